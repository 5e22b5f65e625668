"""Mailboxes and what is left of them, by kind; and the writing of a mailbox's own lists."""

from collections.abc import Iterable
from typing import Any

from gatepost.lab import errors, shapes
from gatepost.lab.binding import Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import LISTING, WRITING, several, target
from gatepost.lab.names import key
from gatepost.lab.organization import View
from gatepost.lab.rows import ON_PREMISES, Mailbox

_REMOTE = frozenset({"RemoteUserMailbox"})
_WITHOUT = frozenset({"DisabledUser", "User"})
_LISTS = {"ActiveSyncAllowedDeviceIDs": "allowed", "ActiveSyncBlockedDeviceIDs": "blocked"}


def _boxes(call: Call, kinds: frozenset[str]) -> Iterable[Mailbox]:
    """The recipients of these kinds in view: all, or the one of ``-Identity``."""
    identity = call.arguments.text("Identity")
    if identity is None:
        return call.limit(box for box in call.view.mailboxes if box.kind in kinds and call.sees(box))
    box = find_mailbox(call, identity, kinds)
    return (box,) if box else ()


def find_mailbox(call: Call, identity: str, kinds: frozenset[str] = ON_PREMISES) -> Mailbox | None:
    """The recipient of that identity and one of these kinds, or None after the error was reported."""
    box = call.view.find_mailbox(identity)
    if box is not None and box.kind in kinds and call.sees(box):
        return box
    call.missing(identity)
    return None


def get_cas_mailboxes(call: Call) -> Iterable[Mailbox]:
    """Get-CASMailbox: mailboxes that are here."""
    return _boxes(call, ON_PREMISES)


def _asked_kinds(call: Call) -> set[str]:
    given = call.arguments.values.get("RecipientTypeDetails", ())
    return {name.strip().lower() for text in given for name in text.split(",")}


def get_recipients(call: Call) -> Iterable[Mailbox]:
    """Get-Recipient: mailboxes here and elsewhere; who lost theirs only where the kind is asked for by name."""
    wanted, every = _asked_kinds(call), ON_PREMISES | _REMOTE | _WITHOUT
    kinds = frozenset(kind for kind in every if kind.lower() in wanted) if wanted else ON_PREMISES | _REMOTE
    return _boxes(call, kinds)


def get_users(call: Call) -> Iterable[Mailbox]:
    """Get-User: everybody with an account, also without a mailbox."""
    wanted, every = _asked_kinds(call), ON_PREMISES | _REMOTE | _WITHOUT
    return _boxes(call, frozenset(kind for kind in every if not wanted or kind.lower() in wanted))


def set_cas_mailbox(call: Call) -> Iterable[object]:
    """Set-CASMailbox: the two lists, the policy, and whether ActiveSync is on; what is so already is not written."""
    box = find_mailbox(call, call.arguments.values["Identity"])
    if box is None or not call.agreed("changing", name=box.identity):
        return ()
    call.touched = box.identity
    writer = call.writer(box)
    with call.organization.now():  # the ids of two writers at a time are both kept, as the directory keeps them
        _write(call, writer, writer.find_mailbox(box.guid) or box)
    return ()


def _write(call: Call, writer: View, box: Mailbox) -> None:
    wanted = _lists(call, box) | _others(call)
    changed = {name: value for name, value in wanted.items() if getattr(box, name) != value}
    if call.failures:
        return
    if not changed:
        call.warn("nothing-changed", identity=box.identity)
    elif box.protected:
        call.fail(errors.access_denied(call.cmdlet.name, writer.controller))
    else:
        writer.change_mailbox(box, **changed)


def _lists(call: Call, box: Mailbox) -> dict[str, tuple[str, ...]]:
    """The two lists as they shall be; in a dialect an id that is new in one leaves the other."""
    before = {field: getattr(box, field) for field in _LISTS.values()}
    after = dict(before)
    for name, field in _LISTS.items():
        if name in call.arguments.values:
            after[field] = call.arguments.values[name].applied(before[field])
    if call.dialect.exclusive_lists:
        new = {field: {*map(key, after[field])} - {*map(key, before[field])} for field in after}
        for field, other in (("allowed", "blocked"), ("blocked", "allowed")):
            after[field] = tuple(
                value for value in after[field] if key(value) not in new[other] or key(value) in new[field]
            )
    return after


def _others(call: Call) -> dict[str, Any]:
    values, fields = call.arguments.values, {}
    if "ActiveSyncEnabled" in values:
        fields["enabled"] = values["ActiveSyncEnabled"]
    if "ActiveSyncMailboxPolicy" in values:
        name = call.arguments.text("ActiveSyncMailboxPolicy")
        policy = call.view.find_policy(name) if name else None
        if name and policy is None:
            call.missing(name)
        fields["policy"] = policy.name if policy else "Default"
    return fields


_RECIPIENTS = (
    *LISTING,
    *several("Anr", "PropertySet"),
    *several("RecipientType", "RecipientTypeDetails", type="String[]"),
    Parameter("Properties", "String[]", since="2013"),
    *several("IgnoreDefaultScope", "ReadFromDomainController", type="SwitchParameter"),
)
_CAS = (
    *LISTING,
    *several("Anr"),
    *several("ActiveSyncDebugLogging", "ProtocolSettings", "IgnoreDefaultScope", type="SwitchParameter"),
    *several("ReadFromDomainController", type="SwitchParameter"),
    *several("Monitoring", "RecalculateHasActiveSyncDevicePartnership", type="SwitchParameter", since="2013"),
)
_SET_CAS = (
    target("MailboxIdParameter"),
    Parameter("ActiveSyncEnabled", "Boolean"),
    *several("ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs", type="MultiValuedProperty"),
    Parameter("ActiveSyncMailboxPolicy", "MailboxPolicyIdParameter"),
    *WRITING,
)

CMDLETS = (
    Cmdlet("Get-Recipient", get_recipients, _RECIPIENTS, shapes.RECIPIENT),
    Cmdlet("Get-User", get_users, _RECIPIENTS, shapes.USER),
    Cmdlet("Get-CASMailbox", get_cas_mailboxes, _CAS, shapes.CAS_MAILBOX),
    Cmdlet("Set-CASMailbox", set_cas_mailbox, _SET_CAS),
)
