"""``gatepost exchange``: straight to Exchange, reads only.

Each command opens one session, reads, prints and closes. With ``--json`` an inventory is one JSON object a line, as it
arrives; without, a table.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table

from gatepost.cli import output
from gatepost.domain.contract import iso
from gatepost.domain.devices import Device, Mailbox, Statistics
from gatepost.errors import CmdletFailed, SettingsError, UnreadableObject
from gatepost.settings import AUTH_METHODS, ExchangeSettings, build, changed, load, read_secret

if TYPE_CHECKING:
    from gatepost.exchange.organization import Organization

app = typer.Typer(help="Straight to Exchange, reads only.", no_args_is_help=True)
T = TypeVar("T")
DEVICE_COLUMNS = ("device_id", "mailbox", "model", "os", "access_state", "first_sync_at")
STATISTICS_COLUMNS = ("last_success_sync_at", "policy_status", "status")

Url = Annotated[str | None, typer.Option("--url", help="The endpoint, such as https://mail.example.com/PowerShell.")]
Auth = Annotated[str | None, typer.Option("--auth", help=f"One of {', '.join(AUTH_METHODS)}; negotiate unless given.")]
User = Annotated[str | None, typer.Option("--user", help=r"The account, as DOMAIN\user or user@domain.")]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="A file that holds the password.")]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="PEM certificates to trust instead of the system's.")]
Proxy = Annotated[str | None, typer.Option("--proxy", help="An HTTP proxy, such as http://proxy.example.com:3128.")]
Connection = Annotated[
    Path | None, typer.Option("--connection", help="A TOML file with the same names as the options.")
]
WithStatistics = Annotated[bool, typer.Option("--statistics", help="One more call a device: sync and wipe.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line for devices and mailboxes.")]


@app.callback()
def group() -> None:
    """Straight to Exchange, reads only."""


@app.command()
def devices(
    url: Url = None, auth: Auth = None, user: User = None, password_file: PasswordFile = None, ca_file: CaFile = None,
    proxy: Proxy = None, connection: Connection = None, json: Json = False,
    statistics: WithStatistics = False,
) -> None:  # fmt: skip
    """List all mobile devices."""
    with _connect(connection, url, auth, user, password_file, ca_file, proxy) as organization:
        unreadable: list[UnreadableObject] = []
        addresses = {
            (mailbox.dn or "").lower(): mailbox.primary_smtp
            for mailbox in _readable(organization.list_mailboxes(), unreadable)
        }
        found: Iterable[Device] = _readable(organization.list_devices(), unreadable)
        if statistics:
            found = list(found)
        rows = (
            _device_fields(device, addresses) | _statistics_of(organization, device, statistics) for device in found
        )
        _print_rows(rows, json, (*DEVICE_COLUMNS, *STATISTICS_COLUMNS) if statistics else DEVICE_COLUMNS)
    _report(unreadable)


@app.command()
def mailboxes(
    url: Url = None, auth: Auth = None, user: User = None, password_file: PasswordFile = None, ca_file: CaFile = None,
    proxy: Proxy = None, connection: Connection = None, json: Json = False,
) -> None:  # fmt: skip
    """List all mailboxes with their allowed and blocked lists."""
    with _connect(connection, url, auth, user, password_file, ca_file, proxy) as organization:
        unreadable: list[UnreadableObject] = []
        rows = (_mailbox_fields(mailbox) for mailbox in _readable(organization.list_mailboxes(), unreadable))
        _print_rows(rows, json, ("primary_smtp", "display_name", "kind", "eas_enabled", "allowed_ids", "blocked_ids"))
    _report(unreadable)


@app.command()
def servers(
    url: Url = None, auth: Auth = None, user: User = None, password_file: PasswordFile = None, ca_file: CaFile = None,
    proxy: Proxy = None, connection: Connection = None, json: Json = False,
) -> None:  # fmt: skip
    """List the Exchange servers."""
    with _connect(connection, url, auth, user, password_file, ca_file, proxy) as organization:
        rows = (_fields(server, server.__slots__) for server in organization.servers())
        _print_rows(rows, json, ("name", "fqdn", "version", "edition", "roles", "site"))


@app.command()
def settings(
    url: Url = None, auth: Auth = None, user: User = None, password_file: PasswordFile = None, ca_file: CaFile = None,
    proxy: Proxy = None, connection: Connection = None, json: Json = False,
) -> None:  # fmt: skip
    """Show the organization's mobile settings."""
    with _connect(connection, url, auth, user, password_file, ca_file, proxy) as organization:
        found = organization.settings()
        _print_one(_fields(found, found.__slots__), json)


@app.command()
def capabilities(
    url: Url = None, auth: Auth = None, user: User = None, password_file: PasswordFile = None, ca_file: CaFile = None,
    proxy: Proxy = None, connection: Connection = None, json: Json = False,
) -> None:  # fmt: skip
    """Show what this endpoint and this account can do."""
    with _connect(connection, url, auth, user, password_file, ca_file, proxy) as organization:
        found = organization.capabilities
        _print_one(_fields(found, found.__slots__), json)


def _connect(
    connection: Path | None, url: str | None, auth: str | None, user: str | None, password_file: Path | None,
    ca_file: Path | None, proxy: str | None,
) -> "Organization":  # fmt: skip
    """Settings from the file and the options (options win), and an open organization."""
    from gatepost.exchange.organization import Organization

    given = {"url": url, "auth": auth, "user": user, "password_file": password_file, "ca_file": ca_file, "proxy": proxy}
    given = {name: value for name, value in given.items() if value is not None}
    if connection is not None:
        chosen = changed(load(ExchangeSettings, connection), given)
    elif url is None:
        raise SettingsError("No address is given.", "Give --url, or --connection with a settings file.")
    else:
        chosen = build(ExchangeSettings, given, "the options")
    password = read_secret(chosen.password_file) if chosen.password_file else None
    return Organization.connect(chosen, password)


def _readable(objects: Iterable[T | UnreadableObject], unreadable: list[UnreadableObject]) -> Iterator[T]:
    """The objects that could be read; the others are kept aside."""
    for entry in objects:
        if isinstance(entry, UnreadableObject):
            unreadable.append(entry)
        else:
            yield entry


def _report(unreadable: list[UnreadableObject]) -> None:
    """Name the objects that could not be read; the command failed then, though the rest was printed."""
    for error in unreadable:
        output.say_error(error)
    if unreadable:
        raise typer.Exit(1)


def _device_fields(device: Device, addresses: dict[str, str | None]) -> dict[str, Any]:
    """A device with exactly the fields of the command's contract, in their order."""
    fields = {"device_id": device.device_id, "mailbox": addresses.get((device.mailbox_dn or "").lower())}
    later = ("identity", "guid", *Device._fields[4:])
    return fields | _fields(device, later)


def _statistics_of(organization: "Organization", device: Device, wanted: bool) -> dict[str, Any]:
    """A device's statistics; nulls where Exchange has none, as for a device whose mailbox is gone."""
    if not wanted:
        return {}
    names = Statistics._fields[1:]
    try:
        return _fields(organization.statistics(device.guid), names)
    except CmdletFailed as error:
        output.talk.print(str(error), markup=False, soft_wrap=True, style="yellow")
        return dict.fromkeys(names)


def _mailbox_fields(mailbox: Mailbox) -> dict[str, Any]:
    return _fields(mailbox, [name for name in Mailbox._fields if name != "dn"])


def _fields(value: object, names: Iterable[str]) -> dict[str, Any]:
    """Attributes as JSON values."""
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a row
    if isinstance(value, datetime):
        return iso(value)
    return list(value) if isinstance(value, tuple) else value


def _print_rows(rows: Iterable[dict[str, Any]], json: bool, shown: tuple[str, ...]) -> None:
    """JSON lines as rows arrive, or a table of the columns that fit a screen."""
    if json:
        output.print_json_lines(rows)
        return
    output.print_table(rows, shown)


def _print_one(fields: dict[str, Any], json: bool) -> None:
    if json:
        output.print_json_lines([fields])
        return
    table = Table(show_header=False, box=None)
    for name, value in fields.items():
        table.add_row(name, output.cell(value))
    output.result.print(table)
