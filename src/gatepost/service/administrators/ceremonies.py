"""What is asked of an authenticator, and whether its answer is right (WebAuthn, level 2).

The library checks the bytes; what the answer must stand for is checked here: our challenge, once and within five
minutes, for the purpose and the person that it was made for; a person who was verified by the authenticator; a counter
that grew. Pure but for the library's randomness: rows are the caller's.
"""

from dataclasses import dataclass
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gatepost.errors import Problem

SERVICE = "Gatepost"
TIMEOUT_MILLISECONDS = 300_000
LARGEST_ANSWER = 16_384
WHY = {"User verification": "person not verified", "origin": "origin", "RP ID": "host", "signature": "signature"}
"""Words for the audit trail, by what stands in the library's sentences, which hold what was sent."""
UNREADABLE = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError)
"""What the library raises for bytes that are no answer: its own errors, and those of Python that it lets through."""


class Refused(Problem):
    """An answer that does not count; ``why`` is for the audit trail, and the person is not told it."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(401, "passkey-refused", "This passkey was not accepted. Try again.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where passkeys are used: the host that they are bound to, and the origin that browsers must name."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What to ask of the browser, as JSON, and the challenge in it."""

    options: str
    challenge: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey, checked."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A passkey as it is kept: which of its owner's it is for, and what its last counter was."""

    public_key: bytes
    sign_count: int
    user_handle: UUID


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says of itself, before anything of it was checked."""

    text: str
    challenge: bytes
    credential_id: bytes
    user_handle: bytes | None


Descriptors = list[tuple[bytes, list[str]]]
"""Credential ids with their transports."""


def offer_registration(place: Place, user_handle: UUID, name: str, known: Descriptors) -> Offer:
    """Ask for a new passkey of a person: kept by the authenticator, the person verified, none of the known ones."""
    options = generate_registration_options(
        rp_id=place.host,
        rp_name=SERVICE,
        user_id=user_handle.bytes,
        user_name=name,
        timeout=TIMEOUT_MILLISECONDS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return Offer(options_to_json(options), options.challenge)


def offer_proof(place: Place, known: Descriptors) -> Offer:
    """Ask for a proof by one of these passkeys; by any where none is named."""
    options = generate_authentication_options(
        rp_id=place.host,
        timeout=TIMEOUT_MILLISECONDS,
        allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Offer(options_to_json(options), options.challenge)


def _descriptors(known: Descriptors) -> list[PublicKeyCredentialDescriptor]:
    names = {entry.value for entry in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=identity, transports=[AuthenticatorTransport(each) for each in transports if each in names] or None
        )
        for identity, transports in known
    ]


def read_made(text: str) -> bytes:
    """The challenge that a new passkey names. Raises Refused."""
    try:
        credential = parse_registration_credential_json(_bounded(text))
        return parse_client_data_json(credential.response.client_data_json).challenge
    except UNREADABLE as error:
        raise Refused("unreadable") from error


def read(text: str) -> Answer:
    """What an answer says of itself. Raises Refused."""
    try:
        credential = parse_authentication_credential_json(_bounded(text))
        challenge = parse_client_data_json(credential.response.client_data_json).challenge
    except UNREADABLE as error:
        raise Refused("unreadable") from error
    return Answer(text, challenge, credential.raw_id, credential.response.user_handle)


def _bounded(text: str) -> str:
    if len(text) > LARGEST_ANSWER:
        raise Refused("too long")
    return text


def check_made(place: Place, text: str, challenge: bytes) -> Made:
    """A new passkey whose challenge was ours. Raises Refused."""
    try:
        made = verify_registration_response(
            credential=text,
            expected_challenge=challenge,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            require_user_verification=True,
        )
        transports = parse_registration_credential_json(text).response.transports or []
    except UNREADABLE as error:
        raise Refused(_why(error)) from error
    return Made(
        made.credential_id, made.credential_public_key, made.sign_count, tuple(each.value for each in transports)
    )


def check_proof(place: Place, answer: Answer, known: Known, *, handle_needed: bool) -> int:
    """The new counter of a passkey whose answer is right. Raises Refused; whether the counter grew is the caller's.

    An authenticator that chose the person itself (``handle_needed``) must say whom it chose.
    """
    if answer.user_handle != known.user_handle.bytes and (answer.user_handle or handle_needed):
        raise Refused("another person")
    try:
        proof = verify_authentication_response(
            credential=answer.text,
            expected_challenge=answer.challenge,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except UNREADABLE as error:
        raise Refused(_why(error)) from error
    return proof.new_sign_count


def _why(error: Exception) -> str:
    """A word for the audit trail."""
    return next((word for sign, word in WHY.items() if sign in str(error)), "unreadable")
