"""``gatepost exchange``: straight to Exchange, reads only.

Each command opens one session, reads, prints and closes. With ``--json`` an inventory is one JSON object a line, as it
arrives; without, a table.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table

from gatepost.cli import output
from gatepost.cli.connecting import connected, connected_lacking, connected_unless
from gatepost.domain.contract import iso
from gatepost.domain.devices import Device, Grant, Mailbox, Statistics
from gatepost.domain.settings import AccessRule, DeviceClass
from gatepost.errors import CmdletFailed, UnreadableObject
from gatepost.settings import MODES

if TYPE_CHECKING:
    from gatepost.exchange.organization import Organization

app = typer.Typer(help="Straight to Exchange, reads only.", no_args_is_help=True)
T = TypeVar("T")
DEVICE_COLUMNS = ("device_id", "mailbox", "model", "os", "access_state", "first_sync_at")
STATISTICS_COLUMNS = ("last_success_sync_at", "policy_status", "status")

WithStatistics = Annotated[bool, typer.Option("--statistics", help="One more call a device: sync and wipe.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line for devices and mailboxes.")]


@app.callback()
def group() -> None:
    """Straight to Exchange, reads only."""


@app.command()
@connected
def devices(organization: "Organization", *, json: Json = False, statistics: WithStatistics = False) -> None:
    """List all mobile devices."""
    unreadable: list[UnreadableObject] = []
    addresses = {
        (mailbox.dn or "").lower(): mailbox.primary_smtp
        for mailbox in _readable(organization.list_mailboxes(), unreadable)
    }
    found = _readable(organization.list_devices(), unreadable)
    rows = ((device, _device_fields(device, addresses)) for device in found)
    told = _with_statistics(organization, rows) if statistics else (fields for _, fields in rows)
    _print_rows(told, json, (*DEVICE_COLUMNS, *STATISTICS_COLUMNS) if statistics else DEVICE_COLUMNS)
    _report(unreadable)


@app.command()
@connected
def mailboxes(organization: "Organization", *, json: Json = False) -> None:
    """List all mailboxes with their allowed and blocked lists."""
    unreadable: list[UnreadableObject] = []
    rows = (_mailbox_fields(mailbox) for mailbox in _readable(organization.list_mailboxes(), unreadable))
    _print_rows(rows, json, ("primary_smtp", "display_name", "kind", "eas_enabled", "allowed_ids", "blocked_ids"))
    _report(unreadable)


@app.command()
@connected
def servers(organization: "Organization", *, json: Json = False) -> None:
    """List the Exchange servers."""
    rows = (_fields(server, server.__slots__) for server in organization.servers())
    _print_rows(rows, json, ("name", "fqdn", "version", "edition", "roles", "site"))


@app.command()
@connected
def settings(organization: "Organization", *, json: Json = False) -> None:
    """Show the organization's mobile settings."""
    found = organization.settings()
    _print_one(_fields(found, found.__slots__), json)


@app.command()
@connected
def rules(organization: "Organization", *, json: Json = False) -> None:
    """List the device access rules."""
    names = AccessRule.__slots__
    _print_rows((_fields(rule, names) for rule in organization.rules()), json, names[1:])


@app.command()
@connected
def policies(organization: "Organization", *, json: Json = False) -> None:
    """List the mobile device mailbox policies with their settings, by their names since Exchange 2013."""
    found = organization.policies()
    if json:
        output.print_json_lines(_fields(policy, policy.__slots__) for policy in found)
        return
    rows = (
        {"policy": policy.name, "default": policy.is_default, "setting": name, "value": _plain(value)}
        for policy in found
        for name, value in policy.settings.items()
    )
    output.print_table(rows, ("policy", "default", "setting", "value"))


@app.command()
@connected
def classes(organization: "Organization", *, json: Json = False) -> None:
    """List the types and models of devices that the organization has met."""
    names = DeviceClass.__slots__
    _print_rows((_fields(entry, names) for entry in organization.device_classes()), json, names)


@app.command()
@connected_unless("print_script")
def rbac(
    organization: "Organization | None",
    *,
    json: Json = False,
    print_script: Annotated[bool, typer.Option("--print", help="Print PowerShell that makes the roles.")] = False,
    mode: Annotated[
        str, typer.Option(help="With --print: observe needs reading alone, enforce writes lists.")
    ] = "observe",
    settings: Annotated[
        bool, typer.Option("--settings", help="With --print: rules, policies and settings too.")
    ] = False,
    wipe: Annotated[bool, typer.Option("--wipe", help="With --print: wiping and removing devices too.")] = False,
    account: Annotated[str, typer.Option(help=r"With --print: the account, as DOMAIN\user or user@domain.")] = "",
    scope_group: Annotated[
        str, typer.Option(help="With --print: the distinguished name of a group; only its members can be written to.")
    ] = "",
    remove: Annotated[
        bool, typer.Option("--remove", help="With --print: take away again what the script made.")
    ] = False,
) -> None:
    """Check what the account's roles grant of each cmdlet that Gatepost uses, and name a role for what is missing.

    With --print nothing is connected to: PowerShell is printed that makes roles with exactly what is needed, for an
    Exchange administrator to read and run. Exit code 6 where a cmdlet is missing without which there is no inventory.
    """
    if print_script:
        _print_roles(mode, settings=settings, wipe=wipe, account=account, scope_group=scope_group, remove=remove)
        return
    assert organization is not None
    found = organization.grants()
    _print_rows((_fields(grant, Grant.__slots__) for grant in found), json, Grant.__slots__)
    for writes, doing in ((False, "Reading"), (True, "Writing")):
        lacking = [grant for grant in found if grant.writes is writes and (not grant.granted or grant.missing)]
        roles = ", ".join(f"'{role}'" for role in dict.fromkeys(grant.role for grant in lacking))
        says = f"some of it is not granted; these roles contain it: {roles}." if lacking else "all of it is granted."
        output.talk.print(f"{doing}: {says}", markup=False, soft_wrap=True)
    organization.require()


@app.command()
@connected_lacking
def capabilities(organization: "Organization", *, json: Json = False) -> None:
    """Show what this endpoint and this account can do.

    Exit code 6 where a cmdlet is missing without which there is no inventory.
    """
    found = organization.capabilities
    _print_one(_fields(found, found.__slots__), json)
    organization.require()


def _print_roles(mode: str, *, settings: bool, wipe: bool, account: str, scope_group: str, remove: bool) -> None:
    from gatepost.exchange import roles

    if mode not in MODES:
        raise typer.BadParameter(f"choose one of {', '.join(MODES)}", param_hint="--mode")
    if remove:
        text = roles.removal(account)
    else:
        text = roles.script(roles.duties(mode, settings=settings, wipe=wipe), account=account, scope_group=scope_group)
    sys.stdout.write(text)


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


def _with_statistics(
    organization: "Organization", rows: Iterable[tuple[Device, dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Rows with the statistics of their devices, in the order in which they come.

    Nulls where Exchange has none, as for a device whose mailbox is gone; any other error ends the command.
    """
    names = Statistics._fields[1:]
    by_guid = {device.guid: fields for device, fields in rows}
    for guid, found in organization.statistics_of(list(by_guid)):
        fields = by_guid.pop(guid)
        if isinstance(found, Statistics):
            yield fields | _fields(found, names)
        elif isinstance(found, CmdletFailed):
            output.talk.print(str(found), markup=False, soft_wrap=True, style="yellow")
            yield fields | dict.fromkeys(names)
        else:
            raise found


def _mailbox_fields(mailbox: Mailbox) -> dict[str, Any]:
    return _fields(mailbox, [name for name in Mailbox._fields if name != "dn"])


def _fields(value: object, names: Iterable[str]) -> dict[str, Any]:
    """Attributes as JSON values."""
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a row
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
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
