"""The connector's key, made here and never sent: what it signs, its certificate, and what the service's key signed.

Keys at rest are one line of base64 (PKCS #8); signatures and the service's public key are base64 too.
"""

import base64
import binascii
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gatepost connector")])  # the service gives the real one


class Key:
    """A private key of P-256. ``text`` is how it is kept. Raises ValueError where that is none."""

    def __init__(self, text: str) -> None:
        loaded = serialization.load_der_private_key(base64.b64decode(text, validate=True), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("another kind of key")  # noqa: TRY004 - what it is made from is wrong, as any other text
        self._key = loaded

    def request(self) -> str:
        """A certificate request (PKCS #10, PEM): it proves that we hold the key."""
        request = x509.CertificateSigningRequestBuilder().subject_name(SUBJECT).sign(self._key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def sign(self, data: bytes) -> str:
        """An ECDSA signature over the SHA-256 of ``data``."""
        return base64.b64encode(self._key.sign(data, ec.ECDSA(hashes.SHA256()))).decode("ascii")

    def fits(self, certificate: "Certificate") -> bool:
        """Whether a certificate is for this key."""
        return certificate.public_key == self._key.public_key()


class Certificate:
    """A certificate as the service gave it, PEM. Raises ValueError where it is none."""

    def __init__(self, text: str) -> None:
        read = x509.load_pem_x509_certificate(text.encode("ascii"))
        self.public_key = read.public_key()
        self.serial = f"{read.serial_number:x}"
        self.begins: datetime = read.not_valid_before_utc
        self.ends: datetime = read.not_valid_after_utc


def new_key() -> str:
    """A new key, as it is kept."""
    encoded = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(encoded).decode("ascii")


def raw_key(text: str) -> bytes:
    """The 32 bytes of the service's public key. Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True)).public_bytes_raw()


def is_signed(service_key: str, data: bytes, signature: str | None) -> bool:
    """Whether the service's key has signed ``data``. Raises ValueError where ``service_key`` is no key."""
    key = Ed25519PublicKey.from_public_bytes(raw_key(service_key))
    try:
        key.verify(base64.b64decode(signature or "", validate=True), data)
    except (InvalidSignature, binascii.Error):
        return False
    return True
