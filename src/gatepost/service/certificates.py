"""Certificates of connectors: issued for seven days to a key that the connector made, renewed with a new key each time.

A certificate is in use from the first request that it signs on; until then the one before stays good. So an answer that
is lost, or a connector that dies between any two steps, leaves one of the two that works.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatepost.errors import Problem
from gatepost.service.database import Scope
from gatepost.service.keys import LEEWAY, TenantKeys

LIFE = timedelta(days=7)
LATE = timedelta(days=30)
YOUNG = LIFE * 2 / 3  # what a certificate must have left to be given out again
LONGEST_REQUEST = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a certificate request proves: that its sender holds this key. Its subject says nothing here."""

    public_key: ec.EllipticCurvePublicKey

    @property
    def encoded(self) -> bytes:
        """The key as the database keeps it (SubjectPublicKeyInfo, DER)."""
        return self.public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_request(pem: str) -> Request:
    """Read a request (PKCS #10, PEM). Raises Problem 400 ``malformed`` unless a P-256 key has signed it."""
    try:
        request = x509.load_pem_x509_csr(pem[:LONGEST_REQUEST].encode("ascii"))
        key = request.public_key()
        proven = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Problem(400, "malformed", "csr is not a certificate request in PEM.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Problem(400, "malformed", "csr has another kind of key than P-256.")
    if not proven:
        raise Problem(400, "malformed", "csr is not signed with its own key.")
    return Request(key)


async def issue(scope: Scope, keys: TenantKeys, connector_id: UUID, request: Request) -> str:
    """A new certificate for a connector, as PEM."""
    made = _sign(keys, connector_id, request.public_key, datetime.now(UTC))
    text = made.public_bytes(serialization.Encoding.PEM).decode("ascii")
    await scope.run(
        "certificates.add",
        connector_id=connector_id,
        serial=f"{made.serial_number:x}",
        public_key=request.encoded,
        certificate=text,
        not_after=made.not_valid_after_utc,
    )
    return text


async def renew(scope: Scope, keys: TenantKeys, connector_id: UUID, serial: str, request: Request) -> str:
    """The certificate that follows the one with this serial; the same one again for the same key.

    Raises Problem 400 ``malformed`` where the key was in use before: each certificate has a new one.
    """
    await scope.run("certificates.lock", connector_id=connector_id)
    known = await scope.all("certificates.of_key", connector_id=connector_id, public_key=request.encoded)
    if any(row["first_used_at"] or row["retired_at"] or row["serial"] == serial for row in known):
        raise Problem(400, "malformed", "csr has a key that was used before. Make a new one.")
    return _still_good(known) or await issue(scope, keys, connector_id, request)


async def first(scope: Scope, connector_id: UUID, request: Request) -> str | None:
    """The certificate that an enrolment gave, as long as it may be in use."""
    known = await scope.all("certificates.of_key", connector_id=connector_id, public_key=request.encoded)
    return next((row["certificate"] for row in known if not row["retired_at"] and not row["revoked_at"]), None)


def _still_good(known: list[dict[str, Any]]) -> str | None:
    now = datetime.now(UTC)
    good = (row for row in known if not row["revoked_at"] and row["not_after"] - now > YOUNG)
    return next((row["certificate"] for row in good), None)


def check(row: Mapping[str, Any], now: datetime, *, late: bool = False) -> None:
    """Raise Problem 403 ``retired`` or ``expired`` for a certificate that is not good now.

    ``late`` is for a renewal, which an administrator may allow a certificate that has expired for up to 30 days.
    """
    if row["retired_at"] is not None:
        raise Problem(403, "retired", "This certificate was renewed, and the new one is in use.")
    over = now - row["not_after"]
    if over <= LEEWAY:
        return
    until = row["late_renewal_until"]
    if not late or until is None or until < now or over > LATE:
        raise Problem(
            403,
            "expired",
            "The connector's certificate has expired. An administrator can allow its renewal on the console for 30 "
            "days; after that, enrol again with a new ticket.",
            since=row["not_after"].isoformat(),
        )


def _sign(
    keys: TenantKeys, connector_id: UUID, public_key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Gatepost connector {connector_id}")])
    identity = x509.UniformResourceIdentifier(f"gatepost:tenant/{keys.tenant_id}/connector/{connector_id}")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(keys.authority.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LEEWAY)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([identity]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(keys.authority_key, hashes.SHA256())
    )
