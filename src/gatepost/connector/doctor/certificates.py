"""What a certificate says, in words: for whom, from whom, and until when."""

import ssl
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from gatepost.domain.checks import Level
from gatepost.errors import SettingsError

SOON = timedelta(days=30)

Judgement = tuple[Level, str, str, str]


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """What the connector itself trusts: the system's store, or the one authority given. Raises SettingsError."""
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The CA file {ca_file} cannot be used: {error}.", "Give a file of PEM certificates."
        ) from error


def trusting_anything() -> ssl.SSLContext:
    """For one purpose: to say what a certificate holds that was not trusted. Nothing is ever sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def judged(certificate: bytes, now: datetime) -> Judgement:
    """Level, what, why and remedy of a certificate (DER) that was trusted."""
    what = described(certificate, now)
    read = _read(certificate)
    if read is None or read.not_valid_after_utc - now >= SOON:
        return Level.GOOD, what, "", ""
    return Level.WARNING, what, "When it has ended, nothing connects any more.", "Renew it on the server before that."


def described(certificate: bytes, now: datetime) -> str:
    """A sentence with the names, the issuer and the end of a certificate (DER)."""
    read = _read(certificate)
    if read is None:
        return "The certificate cannot be read."
    return f"The certificate is for {_names(read)}, from {_issuer(read)}, and {ending(read.not_valid_after_utc, now)}."


def ending(until: datetime, now: datetime) -> str:
    """When something ends or ended, with the days."""
    days = (until - now).days
    return f"ends on {until:%Y-%m-%d} (in {days} days)" if days >= 0 else f"ended on {until:%Y-%m-%d}"


def _read(certificate: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError:
        return None


def _names(certificate: x509.Certificate) -> str:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(entry.value) for entry in extension]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    return ", ".join(names[:5]) or _common(certificate.subject) or "nobody named"


def _issuer(certificate: x509.Certificate) -> str:
    return _common(certificate.issuer) or certificate.issuer.rfc4514_string() or "nobody named"


def _common(name: x509.Name) -> str:
    return next((str(entry.value) for entry in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")
