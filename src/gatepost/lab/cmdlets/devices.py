"""Partnerships and what their mailboxes know of them."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.lab import shapes
from gatepost.lab.binding import Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import CONTROLLER, IDENTITY, LISTING, several
from gatepost.lab.errors import no_mailbox_here
from gatepost.lab.rows import ON_PREMISES, TICKS, Device, Wipe

_CLIENTS = {"ActiveSync": "EAS", "RestApi": "REST", "UniversalOutlook": "Outlook", "OWAforDevices": "MOWA"}
"""The switches that choose clients of one kind."""


def speaks_activesync(call: Call, device: Device) -> bool:
    """Whether a cmdlet of this name shows the device: those with the old names know ActiveSync only."""
    return "ActiveSync" not in call.cmdlet.name or not device.handset.is_outlook


def get_devices(call: Call) -> Iterable[Device]:
    """Get-MobileDevice and Get-ActiveSyncDevice: all, those of a mailbox, or one."""
    identity, mailbox = call.arguments.text("Identity"), call.arguments.text("Mailbox")
    if identity is not None:
        device = find_device(call, identity)
        return (device,) if device else ()
    if mailbox is None:
        return call.limit(_chosen(call, (device for device in call.view.devices if call.sees(device.mailbox))))
    owner = call.view.find_mailbox(mailbox)
    if owner is None or not call.sees(owner):
        call.missing(mailbox)
        return ()
    return call.limit(_chosen(call, list(owner.devices)))


def find_device(call: Call, identity: str) -> Device | None:
    """The device of that identity, or None after the error was reported."""
    device = call.view.find_device(identity)
    if device is not None and call.sees(device.mailbox) and speaks_activesync(call, device):
        return device
    call.missing(identity)
    return None


def _chosen(call: Call, devices: Iterable[Device]) -> Iterable[Device]:
    kinds = {kind for switch, kind in _CLIENTS.items() if call.arguments.values.get(switch)}
    return (
        device
        for device in devices
        if speaks_activesync(call, device) and (not kinds or device.handset.client_type in kinds)
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a mailbox knows of one partnership; ``wipe`` and ``account_wipe`` are all null where there was none."""

    device: Device
    last_policy_update: int | None
    last_attempt: int
    last_success: int
    status: str
    policy: str | None
    policy_status: str
    folders: int
    can_wipe: bool
    wipe: "WipeTimes"
    account_wipe: "WipeTimes"


@dataclass(frozen=True, slots=True)
class WipeTimes:
    """How far a wipe has come, as statistics show it."""

    requested: int | None = None
    sent: int | None = None
    acknowledged: int | None = None
    requestor: str | None = None


def get_statistics(call: Call) -> Iterable[Statistics]:
    """Get-MobileDeviceStatistics of one device or of a mailbox's devices; an orphan has none."""
    found = []
    for device in get_devices(call):
        if device.mailbox.kind in ON_PREMISES:
            found.append(_statistics(device, call.organization.clock()))
        else:
            call.fail(no_mailbox_here(call.cmdlet.name, device.identity))
    return found


def _statistics(device: Device, now: int) -> Statistics:
    """Figures that are always the same for the same device; a synchronisation that is still to come is not in them."""
    chance = random.Random(device.guid)
    attempt = device.changed + chance.randrange(60 * TICKS, 3_600 * TICKS)
    if attempt > now:
        attempt = device.changed
    allowed = device.state == "Allowed"
    return Statistics(
        device=device,
        last_policy_update=device.created if allowed else None,
        last_attempt=attempt,
        last_success=attempt if allowed else device.changed,
        status=wipe_status(device),
        policy=device.mailbox.policy,
        policy_status="AppliedInFull" if allowed else "Unknown",
        folders=chance.randrange(3, 40) if allowed else 0,
        can_wipe=can_wipe(device),
        wipe=_times(device.wipe),
        account_wipe=_times(device.account_wipe),
    )


def can_wipe(device: Device) -> bool:
    """Whether the client understands a wipe: all do but the oldest, which say next to nothing of themselves."""
    return device.handset.client_version != "12.0"


def wipe_status(device: Device) -> str:
    """The status as Exchange derives it; a wipe of the whole phone comes before one of the account."""
    if device.wipe is not None:
        return _wipe_status(device, device.wipe, "DeviceWipe")
    if device.account_wipe is not None:
        return _wipe_status(device, device.account_wipe, "AccountOnlyDeviceWipe")
    return "DeviceOk"


def _wipe_status(device: Device, wipe: Wipe, prefix: str) -> str:
    if wipe.acknowledged is not None:
        return f"{prefix}Succeeded"
    return f"{prefix}Pending" if can_wipe(device) else "DeviceBlocked"


def _times(wipe: Wipe | None) -> WipeTimes:
    return WipeTimes(wipe.requested, wipe.sent, wipe.acknowledged, wipe.requestor) if wipe else WipeTimes()


_SWITCHES = (
    *several("ActiveSync", "OWAforDevices", type="SwitchParameter"),
    *several("RestApi", "UniversalOutlook", type="SwitchParameter", since="2016"),
)
_DEVICES = (*LISTING, Parameter("Mailbox"), Parameter("Monitoring", "SwitchParameter", since="2013"))
_STATISTICS = (
    IDENTITY,
    Parameter("Mailbox"),
    Parameter("GetMailboxLog", "SwitchParameter"),
    Parameter("NotificationEmailAddresses", "MultiValuedProperty"),
    Parameter("ShowRecoveryPassword", "SwitchParameter"),
    CONTROLLER,
)
_EITHER = (("Identity", "Mailbox"),)
_ONE = ("Identity", "Mailbox")

CMDLETS = (
    Cmdlet(
        "Get-MobileDevice", get_devices, (*_DEVICES, *_SWITCHES), shapes.MOBILE_DEVICE, one_of=_EITHER, since="2013"
    ),
    Cmdlet("Get-ActiveSyncDevice", get_devices, _DEVICES, shapes.ACTIVESYNC_DEVICE, one_of=_EITHER),
    Cmdlet(
        "Get-MobileDeviceStatistics",
        get_statistics,
        (*_STATISTICS, *_SWITCHES),
        shapes.STATISTICS,
        one_of=_EITHER,
        any_of=_ONE,
        since="2013",
    ),
    Cmdlet(
        "Get-ActiveSyncDeviceStatistics", get_statistics, _STATISTICS, shapes.STATISTICS, one_of=_EITHER, any_of=_ONE
    ),
)
