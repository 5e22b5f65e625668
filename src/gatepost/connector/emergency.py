"""One phone allowed by hand while the service is away, with the connector's own way into Exchange.

It is the one write without a lease, and so no write of Gatepost's: a local administrator makes an entry of his own, as
he could in PowerShell. It only ever gives access, within the local mode and scope, and adds one id to one list, in a
form that meets no other write. Nothing of it is ours afterwards: the entry stays until a person takes it off. A block
entry of ours that stands in the way comes off with it; somebody else's does not.

What was done is a line in a journal before and after, which the connector tells the service once it is back.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatepost.connector import connection, host
from gatepost.connector.lease import Lease
from gatepost.connector.line import Line
from gatepost.connector.passwords import Passwords
from gatepost.connector.permission import Permission
from gatepost.connector.store import FILE, reading
from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, iso
from gatepost.domain.desired import ListName
from gatepost.domain.devices import AccessChange, AccessLists
from gatepost.errors import GatepostError, ServiceUnreachable, StoreError, UsageError, WriteRefused, WriteUncertain
from gatepost.settings import ConnectorSettings

JOURNAL = "allowed-by-hand.jsonl"
TELLING = f"{JOURNAL}.telling"
CODE = "allowed-by-hand"
REMEDY = "The entry is not Gatepost's: pin the device here for good, or take it off the mailbox's list in Exchange."
KNOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A device id in one mailbox, as the last listing has it; ``blocked_by_us``: an entry of ours blocks it."""

    mailbox: str
    dn: str
    address: str | None
    device_id: str
    device: str
    blocked_by_us: bool


def find(settings: ConnectorSettings, device: str, address: str | None = None) -> Target:
    """The one device that is meant by its id, in the mailbox of ``address`` where it is in several.

    An id that no listing has yet is taken as typed where the mailbox is named. Raises UsageError where nothing or more
    than one is meant, StoreError where there is no listing.
    """
    with reading(settings.folder / FILE) as db:
        if db is None:
            raise StoreError("The connector has no listing of mailboxes yet.", "Allow the phone in Exchange by hand.")
        mailboxes = dict(_mailboxes(db.execute("SELECT guid, dn, row FROM sealed_mailboxes")))
        devices = list(_devices(db.execute("SELECT row FROM sealed_devices"), device))
        found = [_target(db.execute, mailboxes[row["mailbox_guid"]], row) for row in devices
                 if row["mailbox_guid"] in mailboxes and _is(mailboxes[row["mailbox_guid"]], address)]  # fmt: skip
        if not found and address:
            rows = [row for row in mailboxes.values() if _is(row, address)]
            found = [_target(db.execute, row, {"device_id": device, "friendly_name": None}) for row in rows]
    if not found:
        raise UsageError(
            f"No mailbox of the last listing has a device with the id {device}"
            f"{f' or the address {address}' if address else ''}.",
            "Check the id (Settings, General, About on the phone; or the mail that Exchange sent). For a phone that is"
            " new, name its mailbox with --mailbox.",
        )
    if len(found) > 1:
        where = ", ".join(sorted(str(target.address) for target in found))
        raise UsageError(f"{len(found)} mailboxes have a device with the id {device}: {where}.", "Name one: --mailbox.")
    return found[0]


def refuse_where_needless(settings: ConnectorSettings) -> None:
    """Raise UsageError where the service answers: then a pin on its console does this, and for good."""
    line, url = Line(settings.service, Passwords(settings).service_proxy), settings.service.url
    try:
        line.request("GET", f"{url.rstrip('/')}/livez", {}, b"", KNOCK_SECONDS)
    except ServiceUnreachable:
        return
    raise UsageError(
        f"The service at {url} answers, so this is no emergency.",
        "Pin the device on its console; or say --even-so.",
    )


def allow(settings: ConnectorSettings, target: Target, by: str) -> AccessLists:
    """Put the device on its mailbox's allowed list, read back; journalled before and after.

    Raises WriteRefused outside the local mode and scope and where somebody else's block entry stands in the way,
    the ExchangeError family, StoreError where the journal cannot be written (then nothing was sent).
    """
    permission = Permission(settings, Lease(), lambda: 0)
    _refuse_outside(permission, target.address)
    journal = Journal(settings.folder)
    with connection.connect(settings) as organization:
        lists = organization.read_access(target.mailbox, target.dn)
        change = _change(target, lists)
        entry = journal.begin(target, by)
        try:
            after = organization.set_access(
                target.mailbox, target.dn, change, lambda: _refuse_outside(permission, target.address)
            )
        except WriteUncertain:
            journal.end(entry, "uncertain")
            raise
        except GatepostError:
            journal.end(entry, "failed")
            raise
    done = after.allowed is not None and _has(after.allowed, target.device_id)
    journal.end(entry, "allowed" if done else "failed")
    return after


class Journal:
    """What was allowed by hand, a JSON object a line, until the service was told."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._telling = folder / TELLING

    def begin(self, target: Target, by: str) -> Mapping[str, Any]:
        """Note what is about to be done. Raises StoreError."""
        entry = {"at": iso(datetime.now(UTC)), "by": by, "host": host.name(), "state": "begun", **asdict(target)}
        self._append(entry)
        return entry

    def end(self, entry: Mapping[str, Any], state: str) -> None:
        """Note what came of it: allowed, failed or uncertain."""
        self._append({**entry, "state": state})

    def findings(self) -> list[dict[str, str]]:
        """What the service is to be told; the lines are set aside until ``told``, and told again after a kill."""
        if not self._telling.exists() and self._path.exists():
            self._path.replace(self._telling)
        last = {(entry["mailbox"], entry["device_id"], entry["at"]): entry for entry in self._read()}
        return [_finding(entry) for entry in last.values()]

    def told(self) -> None:
        """The service has it."""
        self._telling.unlink(missing_ok=True)

    def _append(self, entry: Mapping[str, Any]) -> None:
        try:
            host.append_private(self._path, json.dumps(dict(entry)) + "\n")
        except OSError as error:
            raise StoreError(f"The journal {self._path} cannot be written: {error.strerror}.", "Check it.") from error

    def _read(self) -> Iterator[dict[str, Any]]:
        """The lines set aside; the end of one that a power cut left half is skipped."""
        try:
            lines = self._telling.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _finding(entry: Mapping[str, Any]) -> dict[str, str]:
    what = {
        "allowed": "was allowed",
        "failed": "was to be allowed, which failed,",
    }.get(entry["state"], "was to be allowed, and nobody can tell whether that was done,")
    cause = (
        f"The device {entry['device']} {what} for {entry['address']} by hand, by {entry['by']} on {entry['host']} "
        f"at {entry['at']}, while the service was away."
    )
    return {"code": CODE, "subject": f"{entry['mailbox']}/{entry['device_id']}", "cause": cause, "remedy": REMEDY}


def _refuse_outside(permission: Permission, address: str | None) -> None:
    if not permission.enforcing:
        raise WriteRefused(
            "mode", "The mode is observe: nothing is written, by hand neither.", "Run `gatepost connector mode`."
        )
    if not permission.in_scope(address):
        raise WriteRefused(
            "scope", f"The mailbox {address or 'without an address'} is not in scope.", "Add it to `scope`."
        )


def _change(target: Target, lists: AccessLists) -> AccessChange:
    """The id added to the allowed list, and our own entry taken off the blocked one. Raises WriteRefused."""
    if not _has(lists.blocked or (), target.device_id):
        return AccessChange(allow=(target.device_id,))
    if not target.blocked_by_us:
        raise WriteRefused(
            "conflict",
            f"The blocked list of {target.address} has the device, and that entry is not ours.",
            "Take it off in Exchange first; Gatepost does not touch what others wrote.",
        )
    return AccessChange(allow=(target.device_id,), unblock=(target.device_id,))


def _has(ids: tuple[str, ...], device_id: str) -> bool:
    return device_id.casefold() in {each.casefold() for each in ids}


def _mailboxes(rows: Any) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - a cursor
    for guid, dn, text in rows:
        row = dict(zip(MAILBOX_COLUMNS, json.loads(text), strict=True)) if text else {}
        yield guid, {"guid": guid, "dn": row.get("dn") or dn, "primary_smtp": row.get("primary_smtp")}


def _devices(rows: Any, device: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - a cursor
    """The devices of a listing with this id, or this guid."""
    wanted = device.casefold()
    for (text,) in rows:
        if wanted in text.casefold():
            row = dict(zip(DEVICE_COLUMNS, json.loads(text), strict=False))
            if wanted in {str(row["device_id"]).casefold(), str(row["guid"]).casefold()}:
                yield row


def _is(mailbox: Mapping[str, Any], address: str | None) -> bool:
    return address is None or str(mailbox["primary_smtp"]).casefold() == address.casefold()


def _target(execute: Any, mailbox: Mapping[str, Any], device: Mapping[str, Any]) -> Target:  # noqa: ANN401 - of sqlite3
    """A device with its mailbox, and whether the desired row says that a block entry is ours."""
    key = (mailbox["guid"], device["device_id"])
    rows = execute("SELECT row FROM desired WHERE mailbox = ? AND device_id = ?", key).fetchall()
    owned = {name for (text,) in rows for name in json.loads(text)["owned"]}
    return Target(
        mailbox=mailbox["guid"],
        dn=mailbox["dn"],
        address=mailbox["primary_smtp"],
        device_id=device["device_id"],
        device=str(device.get("friendly_name") or device.get("model") or device["device_id"]),
        blocked_by_us=ListName.BLOCK.value in owned,
    )
