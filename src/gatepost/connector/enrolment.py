"""Enrolment: a ticket pays for an identity. What can be told apart beforehand is checked before the ticket is used."""

from pathlib import Path
from typing import Any

from gatepost import __version__
from gatepost.connector import credentials, host
from gatepost.connector.answers import Enrolment, not_the_service
from gatepost.connector.credentials import Identity
from gatepost.connector.keys import Certificate, Key
from gatepost.connector.passwords import Passwords
from gatepost.connector.patience import Patience
from gatepost.connector.stopping import Stop
from gatepost.connector.uplink import Uplink
from gatepost.domain import signing
from gatepost.errors import OrganizationOccupied, ServiceRefused, SettingsError
from gatepost.settings import ConnectorSettings, read_secret

PATIENCE = 30.0
REFUSALS = {
    "ticket": ("The ticket is unknown or has expired.", "Ask for a new one; a ticket lives for a day."),
    "ticket-used": ("The ticket was used by another connector.", "If that was not you, ask your administrator."),
}


def enrol(
    settings: ConnectorSettings,
    ticket_file: Path,
    fingerprint: str,
    *,
    replace: bool = False,
    patience: float = PATIENCE,
) -> Identity:
    """Turn a ticket into this folder's identity; the ticket's file is deleted once that is on the disk.

    ``fingerprint`` is that of the service's key, told apart from the ticket. ``replace``: also where another connector
    is at work, which ends then. An answer that was lost is no dead end: with the same ticket the same key is used
    again, and the service gives the same answer. ``patience`` is for how long an unreachable service is tried, in
    seconds. Raises SettingsError for a used, unknown or missing ticket and for another fingerprint,
    OrganizationOccupied, the UplinkError family for a service away.
    """
    if not signing.is_fingerprint(fingerprint):
        raise SettingsError(
            "What was given as the service's fingerprint is none: it has 64 hex digits.",
            "Copy it whole from where the ticket was made.",
        )
    ticket = _ticket(ticket_file, settings.folder)
    folder = host.private_folder(settings.folder)
    with host.FolderLock(folder):
        credentials.finish(folder)
        key = credentials.key_for(folder, ticket)
        application = {
            "ticket": ticket,
            "csr": Key(key).request(),
            "instance": credentials.instance(folder),
            "host": host.name(),
            "version": __version__,
            "replace": replace,
        }
        uplink = Uplink(settings.service, proxy_password=Passwords(settings).service_proxy)
        try:
            got = Patience(Stop(), patience).keep_trying(lambda: uplink.enrol(application, fingerprint))
        except ServiceRefused as refused:
            raise _in_words(refused) from refused
        identity = _identity(got, key)
        credentials.save(folder, identity, spent=ticket_file)
    return identity


def _identity(got: Enrolment, key: str) -> Identity:
    if not Key(key).fits(Certificate(got.certificate)):
        raise not_the_service("its certificate is for another key")
    return Identity(
        tenant=got.tenant,
        organization=got.organization,
        organization_name=got.organization_name,
        connector=got.connector,
        epoch=got.epoch,
        incarnation=got.incarnation,
        service_key=got.service_key,
        certificate=got.certificate,
        key=key,
    )


def _in_words(refused: ServiceRefused) -> Exception:
    """A refusal as set-up tells it; what it has no words of its own for comes in the service's."""
    if refused.type == "occupied":
        return OrganizationOccupied(*(_text(refused.fields.get(name)) for name in ("host", "version", "last_contact")))
    return SettingsError(*REFUSALS[refused.type]) if refused.type in REFUSALS else refused


def _text(value: Any) -> str:  # noqa: ANN401 - foreign JSON
    return value[:200] if isinstance(value, str) and value.isprintable() else ""


def _ticket(file: Path, folder: Path) -> str:
    """What a ticket's file holds. Raises SettingsError, which says what may have become of a file that is gone."""
    try:
        return read_secret(file)
    except SettingsError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        done = " This connector is enrolled already: nothing is left to do." if _is_enrolled(folder) else ""
        raise SettingsError(
            f"There is no ticket file {file}. A ticket is used once, and its file is removed then.{done}",
            "To enrol anew, ask for a new ticket." if done else "Check the path, or ask for a new ticket.",
        ) from error


def _is_enrolled(folder: Path) -> bool:
    """Whether a folder holds an identity that was not replaced."""
    try:
        credentials.load(folder)
    except SettingsError:
        return False
    return True
