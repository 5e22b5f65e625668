"""Wiping a phone, taking a wipe back, and removing a partnership."""

from collections.abc import Iterable

from gatepost.lab import errors
from gatepost.lab.binding import Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.devices import find_device
from gatepost.lab.cmdlets.parameters import WRITING, target
from gatepost.lab.rows import ON_PREMISES, Wipe


def clear_device(call: Call) -> Iterable[object]:
    """Clear-MobileDevice: ask for a wipe, of the phone or the account only, or take one back with ``-Cancel``.

    A wipe that was asked for before stays as it was; taking one back also forgets one that was acknowledged.
    """
    device = find_device(call, call.arguments.values["Identity"])
    if device is None:
        return ()
    if device.mailbox.kind not in ON_PREMISES:
        call.fail(errors.no_mailbox_here(call.cmdlet.name, device.identity))
    elif call.agreed("wiping", name=device.identity):
        field = "account_wipe" if call.arguments.values.get("AccountOnly") else "wipe"
        before: Wipe | None = getattr(device, field)
        after = None if call.arguments.values.get("Cancel") else before or _request(call)
        call.touched = device.identity
        if after is before:
            call.warn("nothing-changed", identity=device.identity)
        elif device.mailbox.protected:
            call.fail(errors.access_denied(call.cmdlet.name, call.writer(device.mailbox).controller))
        else:
            call.writer(device.mailbox).change_device(device, **{field: after})
    return ()


def _request(call: Call) -> Wipe:
    notify = call.arguments.values.get("NotificationEmailAddresses")
    return Wipe(call.organization.clock(), call.session.user, notify=notify.applied(()) if notify else ())


def remove_device(call: Call) -> Iterable[object]:
    """Remove-MobileDevice: the partnership goes, also one whose mailbox is elsewhere or gone."""
    device = find_device(call, call.arguments.values["Identity"])
    if device is None or not call.agreed("removing", name=device.identity):
        return ()
    call.touched = device.identity
    writer = call.writer(device.mailbox)
    if device.mailbox.protected:
        call.fail(errors.access_denied(call.cmdlet.name, writer.controller))
    else:
        writer.remove_device(device)
    return ()


_CLEAR = (
    target("MobileDeviceIdParameter"),
    Parameter("Cancel", "SwitchParameter"),
    Parameter("NotificationEmailAddresses", "MultiValuedProperty"),
    *WRITING,
)
_ACCOUNT = Parameter("AccountOnly", "SwitchParameter", since="2016")
_REMOVE = (target("MobileDeviceIdParameter"), *WRITING)

CMDLETS = (
    Cmdlet("Clear-MobileDevice", clear_device, (*_CLEAR, _ACCOUNT), asks=True, since="2013"),
    Cmdlet("Clear-ActiveSyncDevice", clear_device, _CLEAR, asks=True),
    Cmdlet("Remove-MobileDevice", remove_device, _REMOVE, asks=True, since="2013"),
    Cmdlet("Remove-ActiveSyncDevice", remove_device, _REMOVE, asks=True),
)
