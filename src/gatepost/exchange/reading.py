"""What Exchange's objects say, as our values: one function for each kind of object.

A row holds the values of a cmdlet's declared fields, in their order (``exchange.cmdlets``). An endpoint may send a
field as text, list, number or nothing at all: whatever comes becomes a value of the declared type, or None.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gatepost.domain.devices import Device, Mailbox, MailboxKind, Server, Statistics
from gatepost.errors import UnreadableObject
from gatepost.wire import clixml

Row = tuple[clixml.Value, ...]
_CONTAINER = "cn=exchangeactivesyncdevices,"
_BETWEEN = ",CN=ExchangeActiveSyncDevices,"
_TEXT_OR_NOTHING = frozenset({str, type(None)})


def readable(decoded: Sequence[Row | UnreadableObject]) -> list[Row]:
    """Rows of a small answer; raises the first unreadable object."""
    rows: list[Row] = []
    for row in decoded:
        if isinstance(row, UnreadableObject):
            raise row
        rows.append(row)
    return rows


def mailbox_dn(device_dn: str | None) -> str | None:
    r"""The distinguished name of the mailbox that holds a device: what stands above its container.

    A device is ``CN=…,CN=ExchangeActiveSyncDevices,<mailbox>``; commas inside a name are escaped by ``\``.
    """
    if not device_dn:
        return None
    name, _, mailbox = device_dn.partition(_BETWEEN)
    if mailbox and "," not in name and not name.endswith("\\"):
        return mailbox  # nearly all are written like that; what follows is for the others
    above = _parent(device_dn)
    return _parent(above) if above.lower().startswith(_CONTAINER) else above or None


def _parent(dn: str) -> str:
    position = dn.find(",")
    while position > 0 and (position - len(dn[:position].rstrip("\\"))) % 2:
        position = dn.find(",", position + 1)
    return dn[position + 1 :] if position >= 0 else ""


def device(number: int, row: Row) -> Device | UnreadableObject:
    """A device; one without a Guid is unreadable, for nothing else tells it from others."""
    guid = row[0]
    if not isinstance(guid, str) or not guid:
        return UnreadableObject(number, "it has no Guid", str(row[1] or "")[:80])
    texts: Sequence[Any] = row[1:18]
    if not _TEXT_OR_NOTHING.issuperset(map(type, texts)):
        texts = list(map(text, texts))
    device_id, dn, *rest = texts
    return Device._make((guid, device_id, mailbox_dn(dn), *rest, moment(row[18]), moment(row[19])))


def mailbox(number: int, row: Row, kinds: dict[str, MailboxKind]) -> Mailbox | UnreadableObject:
    """A mailbox; ``kinds`` has those that are not a plain user's, by Guid."""
    guid, dn, identity, smtp, name, enabled, allowed, blocked, policy, changed = row
    if not isinstance(guid, str) or not guid:
        return UnreadableObject(number, "it has no Guid", str(identity or "")[:80])
    return Mailbox(
        guid,
        text(dn),
        text(identity),
        text(smtp),
        text(name),
        kinds.get(guid, MailboxKind.USER).value,
        enabled if isinstance(enabled, bool) else None,
        listed(allowed),
        listed(blocked),
        text(policy),
        moment(changed),
    )


def statistics(row: Row) -> Statistics:
    """What one device's synchronisation says."""
    guid, attempt, success, policy_at, applied, policy, status, requested, sent, acknowledged, requestor, folders = row
    return Statistics(
        guid=text(guid),
        last_sync_attempt_at=moment(attempt),
        last_success_sync_at=moment(success),
        last_policy_update_at=moment(policy_at),
        policy_applied=text(applied),
        policy_status=text(policy),
        status=text(status),
        wipe_requested_at=moment(requested),
        wipe_sent_at=moment(sent),
        wipe_acknowledged_at=moment(acknowledged),
        last_wipe_requestor=text(requestor),
        folders_synced=folders if isinstance(folders, int) else None,
    )


def server(row: Row) -> Server:
    """One Exchange server."""
    name, fqdn, version, edition, roles, site, *_ = row
    split = [role.strip() for text in texts(roles) for role in text.split(",")]
    return Server(text(name) or "", text(fqdn), text(version), text(edition), tuple(split), text(site))


def text(value: Any) -> str | None:  # noqa: ANN401 - a decoded value of any type
    """A value as text; lists by commas, dates as ISO. None stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return ", ".join(texts(value)) if isinstance(value, list) else str(value)


def texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - a decoded value of any type
    """A value that should be a list, as texts; one text alone is a list of one, nothing an empty one."""
    if value is None or value == "":
        return ()
    return tuple(text(entry) or "" for entry in value) if isinstance(value, list) else (text(value) or "",)


def listed(value: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - a decoded value of any type
    """A list as texts, None where it is not shown: Exchange sends an empty list as a list, and a hidden one as null."""
    return None if value is None else texts(value)


def moment(value: Any) -> datetime | None:  # noqa: ANN401 - a decoded value of any type
    """A moment in UTC; a text is tried as ISO 8601, since an endpoint may send dates as text."""
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(when, datetime):
            return None
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
