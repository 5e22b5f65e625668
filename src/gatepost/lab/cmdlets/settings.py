"""The organization's mobile settings, and the thresholds of behaviour-based blocking."""

from collections.abc import Iterable
from typing import Any

from gatepost.lab import configuration_shapes, errors
from gatepost.lab.binding import Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import CONTROLLER, IDENTITY, WRITING, target
from gatepost.lab.rows import MobileSettings
from gatepost.lab.thresholds import Threshold

LONGEST_INSERT = 256
"""The most characters that a text for users may have."""
_INSERTS = {"UserMailInsert": "user_insert", "OtaNotificationMailInsert": "notification_insert"}
_THRESHOLD = {
    "BehaviorTypeIncidenceLimit": "limit",
    "BehaviorTypeIncidenceDuration": "duration",
    "DeviceBlockDuration": "block",
    "AdminEmailInsert": "insert",
}


def _settings(call: Call) -> MobileSettings | None:
    """The one object there is, unless another is asked for."""
    settings = call.view.settings
    identity = (call.arguments.text("Identity") or settings.name).lower()
    if identity in {settings.name.lower(), settings.guid.lower()}:
        return settings
    call.missing(identity)
    return None


def get_settings(call: Call) -> Iterable[object]:
    """Get-ActiveSyncOrganizationSettings: the one object there is."""
    settings = _settings(call)
    return (settings,) if settings else ()


def set_settings(call: Call) -> Iterable[object]:
    """Set-ActiveSyncOrganizationSettings: the default level, and who is told what."""
    settings = _settings(call)
    if settings is None or not call.agreed("changing", name=settings.name):
        return ()
    call.touched = settings.name
    with call.organization.now():
        _write(call, call.view.settings)
    return ()


def _write(call: Call, settings: MobileSettings) -> None:
    wanted = _wanted(call, settings)
    changed = {name: value for name, value in wanted.items() if getattr(settings, name) != value}
    if call.failures:
        return
    if changed:
        call.view.change_settings(**changed)
    else:
        call.warn("nothing-changed", identity=settings.name)


def _wanted(call: Call, settings: MobileSettings) -> dict[str, Any]:
    values, fields = call.arguments.values, {}
    if "DefaultAccessLevel" in values:
        fields["default_level"] = values["DefaultAccessLevel"]
    if "AdminMailRecipients" in values:
        fields["admins"] = values["AdminMailRecipients"].applied(settings.admins)
        for address in fields["admins"]:
            if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
                raise errors.bad_value(
                    call.cmdlet.name, "AdminMailRecipients", f'The email address "{address}" isn\'t correct.'
                )
    for name, field in _INSERTS.items():
        if name in values:
            fields[field] = values[name]
            if len(values[name] or "") > LONGEST_INSERT:
                call.fail(errors.too_long(call.cmdlet.name, name, len(values[name]), LONGEST_INSERT))
    return fields


def get_thresholds(call: Call) -> Iterable[Threshold]:
    """Get-ActiveSyncDeviceAutoblockThreshold: what may get a phone blocked by its behaviour."""
    identity = call.arguments.text("Identity")
    if identity is None:
        return list(call.thresholds.values())
    found = call.thresholds.get(identity.lower())
    if found is None:
        call.missing(identity)
    return (found,) if found else ()


def set_threshold(call: Call) -> Iterable[object]:
    """Set-ActiveSyncDeviceAutoblockThreshold: how much of a behaviour, in what time, blocks for how long."""
    for found in get_thresholds(call):
        if call.agreed("changing", name=found.name):
            call.touched = found.name
            given = {field: call.arguments.values[name] for name, field in _THRESHOLD.items() if name in call.arguments}
            call.thresholds[found.name.lower()] = found.with_(**given)
    return ()


_SET = (
    IDENTITY,
    Parameter("DefaultAccessLevel", "DeviceAccessLevel"),
    Parameter("AdminMailRecipients", "MultiValuedProperty"),
    Parameter("UserMailInsert"),
    Parameter("OtaNotificationMailInsert"),
    *WRITING,
)
_SET_THRESHOLD = (
    target("ActiveSyncDeviceAutoblockThresholdIdParameter"),
    Parameter("BehaviorTypeIncidenceLimit", "Int32"),
    Parameter("BehaviorTypeIncidenceDuration", "EnhancedTimeSpan"),
    Parameter("DeviceBlockDuration", "EnhancedTimeSpan"),
    Parameter("AdminEmailInsert"),
    *WRITING,
)

CMDLETS = (
    Cmdlet(
        "Get-ActiveSyncOrganizationSettings",
        get_settings,
        (IDENTITY, CONTROLLER),
        configuration_shapes.ORGANIZATION_SETTINGS,
    ),
    Cmdlet("Set-ActiveSyncOrganizationSettings", set_settings, _SET),
    Cmdlet(
        "Get-ActiveSyncDeviceAutoblockThreshold",
        get_thresholds,
        (IDENTITY, CONTROLLER),
        configuration_shapes.THRESHOLD,
        since="2013",
    ),
    Cmdlet("Set-ActiveSyncDeviceAutoblockThreshold", set_threshold, _SET_THRESHOLD, since="2013"),
)
