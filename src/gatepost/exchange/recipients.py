"""The kinds of mailboxes: those that are not a plain user's, and what is left of those that moved or were disabled."""

from gatepost.domain.devices import MailboxKind, Recipient
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import GET_RECIPIENT
from gatepost.exchange.commands import UNLIMITED
from gatepost.exchange.probing import is_granted
from gatepost.exchange.reading import text

HERE = {
    "LinkedMailbox": MailboxKind.LINKED,
    "SharedMailbox": MailboxKind.SHARED,
    "RoomMailbox": MailboxKind.ROOM,
    "EquipmentMailbox": MailboxKind.ROOM,
}
"""Mailboxes of this organization."""
ELSEWHERE = {
    "RemoteUserMailbox": MailboxKind.REMOTE,
    "RemoteRoomMailbox": MailboxKind.REMOTE,
    "RemoteEquipmentMailbox": MailboxKind.REMOTE,
    "DisabledUser": MailboxKind.DISABLED,
}
"""Mailboxes that moved to Exchange Online, and accounts that lost theirs; devices of their time here may stay behind.

Only kinds that every version knows: one unknown name, and Exchange refuses the whole question.
"""


def recipients(calls: Calls) -> list[Recipient]:
    """All mailboxes that are not a plain user's, with remote ones and disabled accounts; none without Get-Recipient."""
    return _of_kinds(calls, HERE | ELSEWHERE)


def kinds_here(calls: Calls) -> dict[str, MailboxKind]:
    """The kind of each mailbox of this organization that is not a plain user's, by Guid."""
    return {entry.guid: entry.kind for entry in _of_kinds(calls, HERE)}


def _of_kinds(calls: Calls, kinds: dict[str, MailboxKind]) -> list[Recipient]:
    if not is_granted(calls.capabilities.cmdlets, GET_RECIPIENT.name):
        return []
    rows = calls.read(GET_RECIPIENT, RecipientTypeDetails=tuple(kinds), ResultSize=UNLIMITED)
    return [
        Recipient(guid, text(dn), kinds.get(str(kind), MailboxKind.USER), text(smtp))
        for guid, dn, kind, smtp in rows
        if isinstance(guid, str)
    ]
