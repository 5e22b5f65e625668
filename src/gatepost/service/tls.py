"""The service's certificate and key, looked at before anything starts."""

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gatepost.errors import SettingsError


def check(certificate: Path | None, key: Path | None) -> None:
    """See that both are there, can be read, and belong together; or neither is given. Raises SettingsError."""
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        missing = "--tls-certificate" if certificate is None else "--tls-key"
        raise SettingsError(f"TLS needs a certificate and its key, and {missing} is not given.", "Give both.")
    chain, secret = _bytes(certificate, "certificate"), _bytes(key, "key")
    try:
        x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise SettingsError(
            f"The TLS certificate {certificate} holds no certificate in PEM form.",
            "Give the chain as text that begins with -----BEGIN CERTIFICATE-----.",
        ) from error
    _check_key(key, secret)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise SettingsError(
            f"The TLS key {key} does not belong to the certificate {certificate}, or one of them is too weak.",
            "Give the key that the certificate was made with; the service's own certificate comes first in the chain.",
        ) from error


def _bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"The TLS {what} {path} cannot be read: {error.strerror}.", "Check the path and the rights."
        ) from error


def _check_key(path: Path, text: bytes) -> None:
    try:
        serialization.load_pem_private_key(text, None)
    except TypeError as error:
        raise SettingsError(
            f"The TLS key {path} is encrypted, and nobody is there to type its passphrase.",
            "Write it without one, readable by the service's user only.",
        ) from error
    except ValueError as error:
        raise SettingsError(
            f"The TLS key {path} holds no private key in PEM form.", "Give the key, not the certificate."
        ) from error
