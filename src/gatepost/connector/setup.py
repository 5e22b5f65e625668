"""Set-up: a ticket pays for an identity. What can be told apart beforehand is checked before the ticket is used."""

import json
import re
import tomllib
from pathlib import Path

from gatepost.connector import credentials, host
from gatepost.connector.credentials import Identity
from gatepost.connector.patience import Patience
from gatepost.connector.stopping import Stop
from gatepost.connector.uplink import Uplink
from gatepost.errors import ServiceRefused, SettingsError
from gatepost.settings import ConnectorSettings, UplinkSettings, changed, load, read_secret

PATIENCE = 30.0
_TABLE = re.compile(r"^\s*\[", re.MULTILINE)
_MODE = re.compile(r"""^([ \t]*)mode[ \t]*=[ \t]*(?:"[^"\n]*"|'[^'\n]*')([ \t]*(?:#[^\n]*)?)$""", re.MULTILINE)
REFUSALS = {
    "ticket": ("The ticket is unknown or has expired.", "Ask for a new one; a ticket lives for a day."),
    "ticket-used": ("The ticket was used by another connector.", "If that was not you, ask your administrator."),
}


def configure(config: Path, service: str | None) -> ConnectorSettings:
    """The settings in a file; its ``[service]`` is added where it is missing. Raises SettingsError."""
    try:
        raw = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return load(ConnectorSettings, config)  # says what is wrong with the file
    known = raw.get("service")
    if service:
        UplinkSettings(url=service)  # before it is written anywhere
    if service and known is None:
        with config.open("a", encoding="utf-8") as file:
            file.write(f"\n[service]\nurl = {json.dumps(service)}\n")
    settings = load(ConnectorSettings, config)
    if service and settings.service.url != service:
        raise SettingsError(
            f"{config} names another service: {settings.service.url}.",
            "Change [service] url in it, or leave --service out.",
        )
    return settings


def set_mode(config: Path, mode: str) -> ConnectorSettings:
    """Write the mode into a settings file, and nothing else; the settings with it. Raises SettingsError.

    A connector reads its settings when it starts, so one that runs goes on as it was until it is started again.
    """
    before = load(ConnectorSettings, config)
    wanted = changed(before, {"mode": mode})
    text = config.read_text(encoding="utf-8")
    table = _TABLE.search(text)
    head, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    line = f'mode = "{mode}"'
    head, count = _MODE.subn(lambda found: found[1] + line + found[2], head, count=1)
    if not count:
        head = f"{line}\n{head}"
    host.write_private(beside := config.with_name(f"{config.name}.new"), head + rest)
    try:
        if load(ConnectorSettings, beside) != wanted:
            raise SettingsError(f"The mode cannot be written into {config}.", f"Put this line at its top: {line}")
        beside.chmod(config.stat().st_mode)
        beside.replace(config)
    finally:
        beside.unlink(missing_ok=True)
    return wanted


def enrol(settings: ConnectorSettings, ticket_file: Path, patience: float = PATIENCE) -> Identity:
    """Turn a ticket into this folder's identity; the ticket's file is deleted once that is on the disk.

    An answer that was lost is no dead end: with the same ticket the same secret is used again, and the service gives
    the same answer. ``patience`` is for how long an unreachable service is tried, in seconds. Raises SettingsError
    for a used, unknown or missing ticket, the UplinkError family for a service away.
    """
    ticket = _ticket(ticket_file, settings.folder)
    folder = host.private_folder(settings.folder)
    with host.FolderLock(folder):
        secret = credentials.secret_for(folder, ticket)
        uplink = Uplink(settings.service)
        key, instance = credentials.public_key(secret), credentials.instance(folder)
        try:
            got = Patience(Stop(), patience).keep_trying(lambda: uplink.enrol(ticket, key, instance))
        except ServiceRefused as refused:
            if refused.type in REFUSALS:
                raise SettingsError(*REFUSALS[refused.type]) from refused
            raise
        identity = Identity(got.tenant, got.organization, got.connector, got.epoch, got.incarnation, secret)
        credentials.save(folder, identity)
    ticket_file.unlink(missing_ok=True)
    return identity


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
