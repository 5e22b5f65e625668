"""The kinds of mailboxes: those that are not a plain user's, and what is left of those that moved or were disabled."""

from gatepost.domain.devices import MailboxKind, Recipient
from gatepost.exchange import cmdlets
from gatepost.exchange.calls import Calls
from gatepost.exchange.commands import UNLIMITED, Cmdlet
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
    "RemoteSharedMailbox": MailboxKind.REMOTE,
}
"""Mailboxes that moved to Exchange Online; devices of their time here may stay behind."""
LEFT = {"DisabledUser": MailboxKind.DISABLED}
"""Accounts without a mailbox any more: Get-Recipient does not know them, Get-User does."""


def recipients(calls: Calls) -> list[Recipient]:
    """All mailboxes that are not a plain user's, with remote ones and disabled accounts, as far as roles let us see."""
    return [
        *_of_kinds(calls, cmdlets.GET_RECIPIENT, HERE | ELSEWHERE),
        *_of_kinds(calls, cmdlets.GET_USER, LEFT),
    ]


def kinds_here(calls: Calls) -> dict[str, MailboxKind]:
    """The kind of each mailbox of this organization that is not a plain user's, by Guid."""
    return {entry.guid: entry.kind for entry in _of_kinds(calls, cmdlets.GET_RECIPIENT, HERE)}


def _of_kinds(calls: Calls, cmdlet: Cmdlet, kinds: dict[str, MailboxKind]) -> list[Recipient]:
    """The recipients of these kinds; none where the cmdlet is not granted."""
    if not is_granted(calls.capabilities.cmdlets, cmdlet.name):
        return []
    rows = calls.read(cmdlet, RecipientTypeDetails=tuple(kinds), ResultSize=UNLIMITED)
    return [
        Recipient(guid, text(dn), kinds.get(str(kind), MailboxKind.USER), text(smtp))
        for guid, dn, kind, smtp in rows
        if isinstance(guid, str)
    ]
