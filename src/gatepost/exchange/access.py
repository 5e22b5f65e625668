"""What one mailbox may: its personal lists of allowed and blocked devices, ActiveSync itself, its mobile policy.

Everything is read and written at one domain controller of the mailbox's own domain, so that a write is seen by the
reading that follows it. What is there already is not written.
"""

from functools import partial

from gatepost.domain.devices import AccessChange, AccessLists, MailboxAccess
from gatepost.errors import CmdletFailed, UsageError
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import GET_CAS_MAILBOX, SET_CAS_MAILBOX
from gatepost.exchange.commands import Change
from gatepost.exchange.reading import listed, text
from gatepost.exchange.transport import Permit

_ALLOWED, _BLOCKED = "ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs"
_LISTS = ("Guid", _ALLOWED, _BLOCKED)
_ACCESS = ("Guid", "ActiveSyncEnabled", "ActiveSyncMailboxPolicy")


def read_lists(calls: Calls, guid: str, dn: str) -> AccessLists:
    """The two lists of a mailbox."""
    at = calls.at(dn)
    _, allowed, blocked = calls.one(GET_CAS_MAILBOX, _LISTS, guid, **at)
    return AccessLists(listed(allowed), listed(blocked), at.get("DomainController"))


def change_lists(
    calls: Calls,
    guid: str,
    dn: str,
    change: AccessChange,
    permit: Permit,
    seen: AccessLists | None = None,
    *,
    again: bool = True,
) -> AccessLists:
    """Make a change in one write and read the lists back; without a write where they are so already.

    ``seen`` are the lists that the change was made for: where they are others by now, nothing is written either. Not
    ``again``: they were read just now, and are not read once more before the write.
    Raises CmdletFailed where a list that is to change is hidden from us, for what cannot be seen is not written; and
    for an id that cannot be sent.
    """
    before = seen if seen is not None and not again else read_lists(calls, guid, dn)
    if seen is not None and _folded(before) != _folded(seen):
        return before
    wanted = {
        _ALLOWED: _needed(calls, before.allowed, change.allow, change.disallow),
        _BLOCKED: _needed(calls, before.blocked, change.block, change.unblock),
    }
    needed = {name: difference for name, difference in wanted.items() if difference}
    if not needed:
        return before
    read = partial(read_lists, calls, guid, dn)
    try:
        return calls.written(SET_CAS_MAILBOX, permit, read, Identity=guid, **needed, **calls.at(dn))
    except UsageError as error:  # an id that no phone has: it is this mailbox's matter, and nobody else's
        raise CmdletFailed(SET_CAS_MAILBOX.name, error.cause, server=calls.pool.server) from error


def _folded(lists: AccessLists) -> list[list[str] | None]:
    """Two lists as they are compared: without regard to order and case."""
    return [None if ids is None else sorted(map(str.casefold, ids)) for ids in (lists.allowed, lists.blocked)]


def _needed(calls: Calls, present: tuple[str, ...] | None, add: tuple[str, ...], remove: tuple[str, ...]) -> Change:
    """What of a change is not so yet. Ids are the same whatever their case, and are removed as they are spelt there."""
    if not add and not remove:
        return Change()
    if present is None:
        raise CmdletFailed(
            GET_CAS_MAILBOX.name, "it does not show the list that is to change", server=calls.pool.server
        )
    there = {entry.casefold() for entry in present}
    gone = {entry.casefold() for entry in remove}
    missing = {entry.casefold(): entry for entry in add if entry.casefold() not in there}
    return Change(tuple(missing.values()), tuple(entry for entry in present if entry.casefold() in gone))


def read_access(calls: Calls, guid: str, dn: str) -> MailboxAccess:
    """Whether a mailbox may use ActiveSync, and its policy."""
    at = calls.at(dn)
    _, enabled, policy = calls.one(GET_CAS_MAILBOX, _ACCESS, guid, **at)
    return MailboxAccess(enabled if isinstance(enabled, bool) else None, text(policy), at.get("DomainController"))


def change_access(
    calls: Calls, guid: str, dn: str, permit: Permit, eas_enabled: bool | None, mailbox_policy: str | None
) -> MailboxAccess:
    """Switch ActiveSync for a mailbox, or give it a policy by name; None leaves it as it is."""
    before = read_access(calls, guid, dn)
    needed: dict[str, bool | str] = {}
    if eas_enabled is not None and eas_enabled != before.eas_enabled:
        needed["ActiveSyncEnabled"] = eas_enabled
    if mailbox_policy is not None and not _is_named(before.mailbox_policy, mailbox_policy):
        needed["ActiveSyncMailboxPolicy"] = mailbox_policy
    if not needed:
        return before
    return calls.written(
        SET_CAS_MAILBOX, permit, lambda: read_access(calls, guid, dn), Identity=guid, **needed, **calls.at(dn)
    )


def _is_named(policy: str | None, name: str) -> bool:
    """Whether a policy as Exchange prints it, by name or as a path, is the one of this name."""
    return policy is not None and name.casefold() in {policy.casefold(), policy.rpartition("/")[2].casefold()}
