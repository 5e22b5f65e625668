"""Passkeys of administrators: made, used and removed. A challenge is one-time, and a refusal is written down.

Who has a passkey must use it: with the password as a second factor, or alone. To confirm that it is still the same
person, the password does not count then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit, tenants
from gatepost.service.administrators import ceremonies, limits, sessions
from gatepost.service.administrators.ceremonies import Answer, Known, Offer, Place, Refused
from gatepost.service.administrators.limits import Attempt
from gatepost.service.administrators.sessions import Session, Token
from gatepost.service.database import Database, Scope

CHALLENGE_LIVES = timedelta(minutes=5)
MOST_CHALLENGES = 50
"""So many unanswered challenges may one address have for a person, and for nobody yet: each costs a row."""
MOST_PASSKEYS = 20
REGISTER, SIGN_IN, SECOND, STEP_UP = "register", "sign-in", "second", "step-up"
FACTORS = {SIGN_IN: "passkey", SECOND: "password+passkey", STEP_UP: "passkey"}
UNNAMED = "somebody with a passkey"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """Who proved who they are, and with what."""

    administrator_id: UUID
    name: str
    factors: str


async def listed(scope: Scope, administrator_id: UUID) -> list[Row]:
    """The passkeys of an administrator: id, name, and moments in UTC."""
    return await scope.all("passkeys.all", administrator_id=administrator_id)


async def required(scope: Scope) -> bool:
    """Whether the tenant requires a passkey of every administrator."""
    rules = await scope.one("administrators.rules")
    return bool(rules and rules["passkeys_required"])


async def offer_new(scope: Scope, place: Place, session: Session) -> str:
    """What to ask of the browser for a new passkey of this person, as JSON. Raises Problem 409, 429."""
    owner = await scope.one("passkeys.owner", administrator_id=session.administrator_id)
    known = await listed(scope, session.administrator_id)
    if owner is None or len(known) >= MOST_PASSKEYS:
        raise Problem(409, "cannot", f"Nobody can have more than {MOST_PASSKEYS} passkeys. Remove one first.")
    offer = ceremonies.offer_registration(place, owner["user_handle"], owner["name"], _descriptors(known))
    return await _keep(scope, offer, REGISTER, session.administrator_id)


async def add(database: Database, place: Place, session: Session, answer: str, name: str, address: str) -> None:
    """Keep a new passkey of this person. Raises Problem 400 ``passkey-name``, 401 ``passkey-refused``."""
    name = check_name(name)
    async with database.tenant(session.tenant_id, address) as scope:
        refused = await _add(scope, place, session, answer, name)
        if refused:
            await audit.record(scope, Event.PASSKEY_REFUSED, session.name, {"name": name, "why": refused.why})
    if refused:
        raise refused


async def _add(scope: Scope, place: Place, session: Session, answer: str, name: str) -> Refused | None:
    try:
        challenge = ceremonies.read_made(answer)
        taken = await scope.one("passkeys.take", challenge=challenge, made_after=_oldest())
        if taken is None or (taken["purpose"], taken["administrator_id"]) != (REGISTER, session.administrator_id):
            return Refused("challenge")
        made = ceremonies.check_made(place, answer, challenge)
    except Refused as refused:
        return refused
    kept = await scope.run(
        "passkeys.add",
        administrator_id=session.administrator_id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        transports=list(made.transports),
        name=name,
    )
    if not kept:
        return Refused("known already")
    await audit.record(scope, Event.PASSKEY_ADDED, session.name, {"before": None, "after": {"name": name}})
    return None


def check_name(name: str) -> str:
    """A passkey's name as it is kept. Raises Problem 400 ``passkey-name``."""
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise Problem(400, "passkey-name", "A passkey's name has 1 to 100 visible characters.")
    return name


async def rename(scope: Scope, session: Session, passkey_id: UUID, name: str) -> None:
    """Another name for a passkey of one's own. Raises Problem 400, 404."""
    name = check_name(name)
    found = await scope.one(
        "passkeys.rename", administrator_id=session.administrator_id, passkey_id=passkey_id, name=name
    )
    if found is None:
        raise Problem(404, "not-found", "There is no such passkey.")
    body = {"before": {"name": found["name"]}, "after": {"name": name}}
    await audit.record(scope, Event.PASSKEY_RENAMED, session.name, body)


async def remove(scope: Scope, session: Session, passkey_id: UUID) -> None:
    """Remove a passkey of one's own. Raises Problem 404, 409 ``last-factor``."""
    standing = await scope.one("administrators.standing", administrator_id=session.administrator_id)
    assert standing is not None
    if standing["passkeys"] == 1 and (not standing["has_password"] or await required(scope)):
        raise Problem(409, "last-factor", "This is the last passkey that you can sign in with. Add another one first.")
    found = await scope.one("passkeys.remove", administrator_id=session.administrator_id, passkey_id=passkey_id)
    if found is None:
        raise Problem(404, "not-found", "There is no such passkey.")
    await audit.record(scope, Event.PASSKEY_REMOVED, session.name, {"before": {"name": found["name"]}, "after": None})


async def offer_sign_in(database: Database, place: Place, slug: str, address: str) -> str:
    """What to ask of the browser for a sign-in with a passkey alone; the same for a tenant that does not exist."""
    tenant_id = await tenants.find(database, slug)
    offer = ceremonies.offer_proof(place, [])
    if tenant_id:
        async with database.tenant(tenant_id, address) as scope:
            await _keep(scope, offer, SIGN_IN, None)
    return offer.options


async def offer_own(scope: Scope, place: Place, purpose: str, administrator_id: UUID) -> str:
    """What to ask of the browser for a proof by a passkey of this person. Raises Problem 429."""
    known = await listed(scope, administrator_id)
    return await _keep(scope, ceremonies.offer_proof(place, _descriptors(known)), purpose, administrator_id)


async def sign_in(database: Database, place: Place, slug: str, answer: str, address: str) -> Token:
    """Sign in with a passkey: alone, or after the password. Raises Problem 401 ``passkey-refused``, 429 ``busy``."""
    attempt = Attempt.of(slug, _named(answer), address)
    await limits.admit(database, attempt)
    tenant_id = await tenants.find(database, slug)
    if tenant_id is None:
        raise Refused("tenant")
    async with database.tenant(tenant_id, address) as scope:
        proof = await _judge(scope, place, answer, (SIGN_IN, SECOND), None, UNNAMED)
        if isinstance(proof, Proof):
            token = await sessions.begin(scope, proof.administrator_id, proof.name, proof.factors)
            await limits.succeeded(scope, attempt)
            return token
    raise proof


async def confirm(database: Database, place: Place, session: Session, answer: str, address: str) -> Token:
    """Prove with a passkey that it is still the same person; the session's new token. Raises as ``sign_in``."""
    attempt = Attempt.of(session.tenant_slug, session.name, address)
    await limits.admit(database, attempt)
    async with database.tenant(session.tenant_id, address) as scope:
        proof = await _judge(scope, place, answer, (STEP_UP,), session.administrator_id, session.name)
        if isinstance(proof, Proof):
            token = await sessions.step_up(scope, session, proof.factors)
            await limits.succeeded(scope, attempt)
            return token
    raise proof


def _named(answer: str) -> str:
    """What a passkey's attempts are counted by: its credential, or that nothing could be read."""
    try:
        return ceremonies.read(answer).credential_id.hex()
    except Refused:
        return ""


async def _judge(
    scope: Scope, place: Place, text: str, purposes: Sequence[str], administrator_id: UUID | None, actor: str
) -> Proof | Refused:
    """Take the challenge and check the answer; a refusal is written down in the same transaction."""
    try:
        return await _check(scope, place, ceremonies.read(text), purposes, administrator_id)
    except Refused as refused:
        body = {"address": scope.address, "factors": "passkey", "why": refused.why}
        await audit.record(scope, Event.SESSION_REFUSED, actor, body)
        return refused


async def _check(
    scope: Scope, place: Place, answer: Answer, purposes: Sequence[str], administrator_id: UUID | None
) -> Proof:
    taken = await scope.one("passkeys.take", challenge=answer.challenge, made_after=_oldest())
    if taken is None or taken["purpose"] not in purposes:
        raise Refused("challenge")
    row = await scope.one("passkeys.by_credential", credential_id=answer.credential_id)
    if row is None or {administrator_id, taken["administrator_id"]} - {None, row["administrator_id"]}:
        raise Refused("unknown passkey")
    known = Known(row["public_key"], row["sign_count"], row["user_handle"])
    counter = ceremonies.check_proof(place, answer, known, handle_needed=taken["purpose"] == SIGN_IN)
    if not await scope.run("passkeys.used", passkey_id=row["passkey_id"], sign_count=counter):
        raise Refused("counter")
    return Proof(row["administrator_id"], row["name"], FACTORS[taken["purpose"]])


async def _keep(scope: Scope, offer: Offer, purpose: str, administrator_id: UUID | None) -> str:
    kept = await scope.run(
        "passkeys.offer",
        challenge=offer.challenge,
        purpose=purpose,
        administrator_id=administrator_id,
        address=limits.address_key(scope.address),
        made_after=_oldest(),
        most=MOST_CHALLENGES,
    )
    if not kept:
        raise Problem(429, "busy", "Too many attempts. Try again in a few minutes.", retry_after=60)
    return offer.options


def _descriptors(known: Sequence[Row]) -> ceremonies.Descriptors:
    return [(row["credential_id"], row["transports"]) for row in known]


def _oldest() -> datetime:
    return datetime.now(UTC) - CHALLENGE_LIVES
