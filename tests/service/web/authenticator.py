"""An authenticator made of code, for what a real one would never do: it signs whatever it is told to.

Written from the layout of authenticator data and attestation objects in WebAuthn; keys are P-256 (ES256).
"""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Asked(HTMLParser):
    """Finds what a page asks of the browser."""

    options: dict[str, Any] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form" and values.get("data-passkey"):
            self.options = json.loads(values["data-options"] or "")


def asked(html: str) -> dict[str, Any]:
    """The options that a page holds for its script."""
    parser = _Asked()
    parser.feed(html)
    assert parser.options is not None, "the page asks for no passkey"
    return parser.options


@dataclass
class Authenticator:
    """One passkey; ``origin`` is what the browser says, ``counter`` the last one, 0 where it never counts."""

    origin: str
    counter: int = 1
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    identity: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""

    def create(self, options: dict[str, Any], flags: int = PRESENT | VERIFIED) -> str:
        """The answer to being asked for a new passkey."""
        self.user_handle = decoded(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + struct.pack(">H", len(self.identity)) + self.identity + public
        data = self._data(options["rp"]["id"], flags | ATTESTED) + attested
        return self._answer(
            clientDataJSON=encoded(self._client("webauthn.create", options["challenge"])),
            attestationObject=encoded(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            transports=["internal"],
        )

    def get(
        self, options: dict[str, Any], flags: int = PRESENT | VERIFIED, host: str = "", handle: bytes | None = None
    ) -> str:
        """The answer to being asked for a proof; ``handle`` says whom it is of, empty for nobody."""
        self.counter += 1 if self.counter else 0
        data = self._data(host or options["rpId"], flags)
        client = self._client("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        said = self.user_handle if handle is None else handle
        return self._answer(
            clientDataJSON=encoded(client),
            authenticatorData=encoded(data),
            signature=encoded(signature),
            **({"userHandle": encoded(said)} if said else {}),
        )

    def _data(self, host: str, flags: int) -> bytes:
        return hashlib.sha256(host.encode()).digest() + struct.pack(">BI", flags, self.counter)

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _answer(self, **response: Any) -> str:
        identity = encoded(self.identity)
        return json.dumps({"id": identity, "rawId": identity, "type": "public-key", "response": response})
