"""The steps of set-up, in their order: look, try, keep, enrol, examine.

Everything that can be known is tried before anything is written, and everything is written before the ticket is spent;
so a set-up that is ended at any moment goes on when it is run again (docs/administrators-guide.md has the table).
"""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from gatepost.connector import credentials, enrolment, host, package, secrets
from gatepost.connector.credentials import Identity
from gatepost.connector.doctor import examine
from gatepost.connector.line import Line
from gatepost.connector.package import SetupPackage
from gatepost.connector.setup import replies, settings_file
from gatepost.connector.setup.by_hand import configure
from gatepost.connector.setup.questions import Group
from gatepost.connector.setup.replies import Replies
from gatepost.domain import signing
from gatepost.domain.checks import Check
from gatepost.errors import OrganizationOccupied, ServiceUnreachable, SettingsError, UsageError
from gatepost.exchange.mail import Mailer
from gatepost.exchange.organization import Organization
from gatepost.settings import ConnectorSettings, load

CONFIG = "connector.toml"
SYSTEM_CONFIG, SYSTEM_FOLDER = Path("/etc/gatepost") / CONFIG, Path("/var/lib/gatepost-connector/connector")
SERVICE_USER = "gatepost-connector"
SETUP_LOCK = "setup.lock"
KNOCK_SECONDS = 20.0


class Step(StrEnum):
    """What set-up does, as it is shown."""

    PACKAGE = "package"
    SERVICE = "service"
    EXCHANGE = "exchange"
    NOTICES = "notices"
    KEPT = "kept"
    ENROLLED = "enrolled"
    DOCTOR = "doctor"


Tell = Callable[[Step, str | None], None]
"""Told of each step twice: with None when it begins, and with what was found when it is done."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connector lives: its settings file, and the folder of what it keeps."""

    config: Path
    folder: Path

    @property
    def settings(self) -> ConnectorSettings | None:
        """The settings as they are, None where there are none yet. Raises SettingsError."""
        return load(ConnectorSettings, self.config) if self.config.exists() else None

    @property
    def running(self) -> bool:
        """Whether a connector works on the folder now."""
        return self.folder.exists() and host.is_locked(self.folder)

    @property
    def enrolled(self) -> Identity | None:
        """The identity in the folder, if it holds one that counts."""
        try:
            return credentials.load(self.folder)
        except SettingsError:
            return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connector as it is to become. ``passwords`` are all that it needs, ``fresh`` those that change (None: gone)."""

    place: Place
    settings: ConnectorSettings
    passwords: Mapping[str, str] = field(repr=False)
    fresh: Mapping[str, str | None] = field(repr=False)


def find_package() -> Path | None:
    """The folder of the unzipped set-up package that this program runs from, if it does."""
    return package.beside_program()


def service_of(packaged: Path) -> str:
    """The service that a package was made by. Raises SettingsError, which names the file that is not as it was."""
    return package.read(packaged).service_url


def command_of(place: Place) -> str:
    """What starts the connector from now on."""
    if place.config == SYSTEM_CONFIG:
        return f"systemctl enable --now {SERVICE_USER}"
    program = os.environ.get(package.PROGRAM) or "gatepost"
    return shlex.join([program, "connector", "run", "--config", str(place.config)])


def enrol_as_written(config: Path, service: str | None, ticket: Path, fingerprint: str, *, replace: bool) -> Identity:
    """Enrol by settings that are there; nothing is tried before. Raises as ``enrolment.enrol``."""
    return enrolment.enrol(configure(config, service), ticket, fingerprint, replace=replace)


def delete(files: Iterable[Path]) -> None:
    """Remove the files of passwords that are sealed now. Raises StoreError."""
    for file in files:
        host.destroy(file)


def place(config: Path | None, folder: Path | None, packaged: Path | None, *, changes: bool = False) -> Place:
    """Where a connector goes: as told, as its settings say, or by default.

    By default that is beside the unzipped package, or the current folder; for root the system's own folders. Raises
    UsageError where those are meant, and the user whose they are to be is missing; what only ``changes`` has its user.
    """
    base = packaged or Path.cwd()
    system = host.is_root() and config is None and folder is None
    if system and not changes and not host.has_user(SERVICE_USER):
        raise UsageError(
            f"There is no user {SERVICE_USER}, as which the connector is to run.",
            f"Make it (useradd --system {SERVICE_USER}), or name other places: --config and --folder.",
        )
    file = (config or (SYSTEM_CONFIG if system else base / CONFIG)).absolute()
    known = load(ConnectorSettings, file).folder if file.exists() and folder is None else None
    chosen = folder or known or (SYSTEM_FOLDER if system else file.parent / "connector")
    return Place(file, chosen.absolute())


def wanted(place: Place, given: Replies) -> Wanted:
    """What the answers ask for. Raises SettingsError."""
    before = place.settings
    if before is not None and before.folder != place.folder:
        raise UsageError(
            f"{place.config} names another folder: {before.folder}.", "Leave --folder out, or choose another --config."
        )
    settings = replies.settings_of(given, before, place.folder)
    fresh = replies.secrets_of(settings, given)
    there = {**replies.passwords_kept(before), **given.passwords}
    return Wanted(place, settings, {name: there[name] for name in there if fresh.get(name, "") is not None}, fresh)


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """One set-up at a time on a folder; a connector may work on it meanwhile. Raises StoreError."""
    fresh = not place.folder.exists()
    host.private_folder(place.folder)
    if fresh and host.is_root() and place.folder == SYSTEM_FOLDER:
        host.give(place.folder, SERVICE_USER)
    with host.FolderLock(place.folder, SETUP_LOCK):
        credentials.finish(place.folder)
        yield


# -- what is tried before anything is written --------------------------------------------------------------------------


def look_at_package(folder: Path, fingerprint: str, tell: Tell) -> SetupPackage:
    """The package, whole and of the service that was told apart. Raises SettingsError."""
    tell(Step.PACKAGE, None)
    found = package.read(folder)
    found.check(fingerprint)
    tell(Step.PACKAGE, f"made for {found.organization} of {found.tenant}; signed by the service that you were told")
    return found


def check_fingerprint(text: str) -> None:
    """Raise SettingsError where a text cannot be a fingerprint."""
    if not signing.is_fingerprint(text):
        raise SettingsError(
            "This is no fingerprint of a service's key: that has 64 hex digits.",
            "Copy it whole from the page of the download, or from where the ticket was made.",
        )


def reach_service(want: Wanted, tell: Tell) -> None:
    """Ask whether the service is there. Raises ServiceUnreachable, SettingsError."""
    tell(Step.SERVICE, None)
    service = want.settings.service
    line = Line(service, lambda: want.passwords.get(secrets.SERVICE_PROXY))
    found = line.request("GET", f"{service.url.rstrip('/')}/livez", {}, b"", KNOCK_SECONDS)
    if found.status != 200:
        raise ServiceUnreachable(
            f"What answers at {service.url} is not the service, or it is not ready ({found.status}).",
            "Check the address, and what stands between this machine and the service.",
        )
    tell(Step.SERVICE, f"{service.url} answers{f', through {service.proxy}' if service.proxy else ''}")


def sign_in_at_exchange(want: Wanted, tell: Tell) -> None:
    """Sign in and see that the account may do what an inventory needs. Raises the ExchangeError family."""
    tell(Step.EXCHANGE, None)
    exchange = want.settings.exchange
    password = want.passwords.get(secrets.EXCHANGE) if exchange.keytab is None else None
    proxy_password = want.passwords.get(secrets.EXCHANGE_PROXY)
    with Organization.connect(exchange, password, proxy_password=proxy_password) as organization:
        seen = organization.capabilities
    tell(Step.EXCHANGE, f"signed in at {seen.server}, Exchange {seen.version}")


def sign_in_for_notices(want: Wanted, tell: Tell) -> None:
    """Sign in at the mailbox that notices are sent from, where there is to be one. Raises the ExchangeError family."""
    notices = want.settings.notices
    if notices is None:
        return
    tell(Step.NOTICES, None)
    password = want.passwords.get(secrets.NOTICES, "")
    proxy_password = want.passwords.get(secrets.EXCHANGE_PROXY)
    with Mailer.open(notices, want.settings.exchange, password, proxy_password=proxy_password) as mailer:
        mailer.check()
        found = f"{notices.account} at {mailer.url} ({mailer.how})"
    tell(Step.NOTICES, found)


TRIES: Mapping[Group, tuple[Callable[[Wanted, Tell], None], ...]] = {
    Group.SERVER: (sign_in_at_exchange, sign_in_for_notices),
    Group.ACCOUNT: (sign_in_at_exchange,),
    Group.PROXY: (reach_service, sign_in_at_exchange, sign_in_for_notices),
    Group.NOTICES: (sign_in_for_notices,),
    Group.MODE: (),
    Group.SERVICE: (reach_service,),
}
"""What is tried before a change of one subject is written."""

ALL_TRIES = (reach_service, sign_in_at_exchange, sign_in_for_notices)


# -- what is written ---------------------------------------------------------------------------------------------------


def keep(want: Wanted, tell: Tell) -> ConnectorSettings:
    """Write the key table, the passwords and, last of all, the settings; each whole or not at all. The settings.

    Raises SettingsError, StoreError.
    """
    tell(Step.KEPT, None)
    settings = _with_keytab(want)
    secrets.of(settings).change(want.fresh)
    settings_file.write(want.place.config, settings)
    tell(Step.KEPT, f"settings in {want.place.config}, passwords sealed in {settings.folder}")
    return settings


def _with_keytab(want: Wanted) -> ConnectorSettings:
    """The settings with a copy of the key table in the connector's folder."""
    settings, copy = want.settings, want.place.folder / secrets.KEYTAB
    source = settings.exchange.keytab
    if source is None:
        host.destroy(copy)
        return settings
    if source != copy:
        try:
            host.write_private(copy, source.read_bytes())
        except OSError as error:
            raise SettingsError(f"The key table {source} cannot be read: {error.strerror}.", "Check it.") from error
    return msgspec.structs.replace(settings, exchange=msgspec.structs.replace(settings.exchange, keytab=copy))


def enrol(
    settings: ConnectorSettings,
    ticket: Path,
    fingerprint: str,
    replace: Callable[[OrganizationOccupied], bool],
    tell: Tell,
) -> Identity:
    """Spend the ticket; where another connector is enrolled ``replace`` decides. Raises as ``enrolment.enrol``."""
    tell(Step.ENROLLED, None)
    try:
        identity = enrolment.enrol(settings, ticket, fingerprint)
    except OrganizationOccupied as occupied:
        if not replace(occupied):
            raise
        identity = enrolment.enrol(settings, ticket, fingerprint, replace=True)
    tell(Step.ENROLLED, f"as connector {identity.connector}, epoch {identity.epoch}")
    return identity


def ask_doctor(settings: ConnectorSettings, tell: Tell, progress: Callable[[Check], None]) -> tuple[Check, ...]:
    """What the doctor finds, now that all is in place."""
    tell(Step.DOCTOR, None)
    return examine(settings, secrets.of(settings), progress=progress)
