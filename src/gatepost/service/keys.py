"""The keys of a tenant: one signs answers and set-up packages, one connectors' certificates, one seals secrets.

Made when first needed, sealed by the installation's vault; their public parts lie in the database in clear.
"""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from gatepost.domain import signing
from gatepost.errors import SettingsError
from gatepost.service.database import Database, Scope
from gatepost.service.vault import KEY_BYTES, Sealer, Vault

AUTHORITY_LIFE = timedelta(days=3_650)
LEEWAY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """A tenant's keys, opened. ``public`` is the raw Ed25519 key that connectors pin at enrolment."""

    tenant_id: UUID
    authority: x509.Certificate
    _signing: Ed25519PrivateKey = field(repr=False)
    _authority: ec.EllipticCurvePrivateKey = field(repr=False)
    _sealer: Sealer = field(repr=False)

    @property
    def public(self) -> bytes:
        """The public key of signatures, 32 raw bytes."""
        return self._signing.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """That key as people compare it."""
        return signing.fingerprint(self.public)

    @property
    def authority_key(self) -> ec.EllipticCurvePrivateKey:
        """What signs connectors' certificates."""
        return self._authority

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature."""
        return self._signing.sign(data)

    def seal(self, secret: bytes, place: str) -> bytes:
        """A secret of this tenant as it may lie in the database, in this place (``table/column/row``) only."""
        return self._sealer.seal(secret, f"{self.tenant_id}/{place}")

    def open(self, sealed: bytes, place: str) -> bytes:
        """The secret again. Raises SettingsError."""
        return self._sealer.open(sealed, f"{self.tenant_id}/{place}")


class Keys:
    """Every tenant's keys, as one process has opened them; they never change once made."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened: dict[UUID, TenantKeys] = {}

    async def check(self, database: Database) -> None:
        """See that this database is sealed by the vault's key, or by none yet. Raises SettingsError."""
        async with database.control() as scope:
            await scope.run("vault.claim", key_id=self._vault.key_id)
            row = await scope.one("vault.key_id")
        if row is None or row["key_id"] != self._vault.key_id:
            raise SettingsError(
                "The key file is not the one that seals the secrets in this database.",
                "Start the service with that file (--key-file, or service.key in --data); replicas share one.",
            )

    async def of(self, scope: Scope) -> TenantKeys:
        """The keys of the scope's tenant, made if there are none. Raises SettingsError where the vault is another.

        What is made is remembered only once it is read back by a later transaction: this one may still be undone.
        """
        assert scope.tenant_id is not None
        if scope.tenant_id in self._opened:
            return self._opened[scope.tenant_id]
        row = await scope.one("keys.find")
        if row is not None:
            self._opened[scope.tenant_id] = self._open(scope.tenant_id, row)
            return self._opened[scope.tenant_id]
        await scope.run("keys.make", **self._made(scope.tenant_id))
        made = await scope.one("keys.find")
        assert made is not None, "this transaction, or one that it waited for, made it"
        return self._open(scope.tenant_id, made)

    def _made(self, tenant_id: UUID) -> dict[str, bytes | str]:
        signing_key, authority = Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
        encoded = {
            "signing": signing_key.private_bytes_raw(),
            "authority": authority.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            "data": secrets.token_bytes(KEY_BYTES),
        }
        return {
            "public": signing_key.public_key().public_bytes_raw(),
            "certificate": _authority(tenant_id, authority).public_bytes(serialization.Encoding.DER),
            "sealed_by": self._vault.key_id,
            **{f"{name}_sealed": self._vault.seal(key, _place(tenant_id, name)) for name, key in encoded.items()},
        }

    def _open(self, tenant_id: UUID, row: dict[str, bytes]) -> TenantKeys:
        def opened(name: str) -> bytes:
            return self._vault.open(row[f"{name}_sealed"], _place(tenant_id, name))

        authority = serialization.load_der_private_key(opened("authority"), None)
        assert isinstance(authority, ec.EllipticCurvePrivateKey)
        return TenantKeys(
            tenant_id,
            x509.load_der_x509_certificate(row["certificate"]),
            Ed25519PrivateKey.from_private_bytes(opened("signing")),
            authority,
            Sealer(opened("data")),
        )


def _place(tenant_id: UUID, name: str) -> str:
    return f"{tenant_id}/tenant_keys/{name}"


def _authority(tenant_id: UUID, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The tenant's own authority, which signs itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Gatepost {tenant_id}")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LEEWAY)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
