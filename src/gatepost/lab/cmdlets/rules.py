"""Device access rules, and the classes of devices that rules are made from."""

from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.lab import configuration_shapes, errors
from gatepost.lab.binding import Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import CONTROLLER, IDENTITY, LISTING, WRITING, target
from gatepost.lab.names import config_dn, key
from gatepost.lab.rows import AccessRule, DeviceClass


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule with its distinguished name."""

    rule: AccessRule

    @property
    def dn(self) -> str:
        """Where the rule stands in the configuration partition."""
        return config_dn(self.rule.name, "Mobile Mailbox Settings")


def _rule(call: Call) -> AccessRule | None:
    """The rule of ``-Identity``, or None after the error was reported."""
    identity = call.arguments.values["Identity"]
    rule = next((rule for rule in call.view.rules if _is_named(rule, identity)), None)
    if rule is None:
        call.missing(identity)
    return rule


def _is_named(rule: AccessRule, identity: str) -> bool:
    return key(identity) in {key(rule.name), key(rule.guid), key(RuleRow(rule).dn)}


def get_rules(call: Call) -> Iterable[RuleRow]:
    """Get-ActiveSyncDeviceAccessRule: all, or one."""
    if call.arguments.text("Identity") is None:
        return [RuleRow(rule) for rule in call.view.rules]
    rule = _rule(call)
    return (RuleRow(rule),) if rule else ()


def new_rule(call: Call) -> Iterable[RuleRow]:
    """New-ActiveSyncDeviceAccessRule: the name follows from what it looks for, so there is one rule for that."""
    values = call.arguments.values
    name = f"{values['QueryString']} ({values['Characteristic']})"
    if any(key(rule.name) == key(name) for rule in call.view.rules):
        call.fail(errors.already_exists(call.cmdlet.name, config_dn(name, "Mobile Mailbox Settings"), call.controller))
        return ()
    if not call.agreed("changing", name=name):
        return ()
    call.touched = name
    rule = AccessRule(name, values["QueryString"], values["Characteristic"], values["AccessLevel"])
    return (RuleRow(call.view.add_rule(rule)),)


def set_rule(call: Call) -> Iterable[object]:
    """Set-ActiveSyncDeviceAccessRule: another level for the same phones; nothing else can change."""
    rule = _rule(call)
    if rule is None or not call.agreed("changing", name=rule.name):
        return ()
    call.touched = rule.name
    level = call.arguments.values.get("AccessLevel", rule.level)
    if level == rule.level:
        call.warn("nothing-changed", identity=rule.name)
    else:
        call.view.change_rule(rule, level=level)
    return ()


def remove_rule(call: Call) -> Iterable[object]:
    """Remove-ActiveSyncDeviceAccessRule: one rule goes."""
    rule = _rule(call)
    if rule is not None and call.agreed("removing", name=rule.name):
        call.touched = rule.name
        call.view.remove_rule(rule)
    return ()


def get_classes(call: Call) -> Iterable[DeviceClass]:
    """Get-ActiveSyncDeviceClass: the types and models that phones have shown."""
    identity = call.arguments.text("Identity")
    if identity is None:
        return call.limit(call.view.classes)
    return _classes_named(call, identity)


def _classes_named(call: Call, identity: str) -> list[DeviceClass]:
    found = [row for row in call.view.classes if key(identity) in {key(row.name), key(row.guid)}]
    if not found:
        call.missing(identity)
    return found


def remove_class(call: Call) -> Iterable[object]:
    """Remove-ActiveSyncDeviceClass: forget a type and model, until a phone shows it again."""
    for row in _classes_named(call, call.arguments.values["Identity"]):
        if call.agreed("removing", name=row.name):
            call.touched = row.name
            call.view.remove_class(row)
    return ()


_LEVEL = "DeviceAccessLevel"
_IDENTITY = target("ActiveSyncDeviceAccessRuleIdParameter")
_NEW = (
    Parameter("QueryString", required=True),
    Parameter("Characteristic", "DeviceAccessCharacteristic", required=True),
    Parameter("AccessLevel", _LEVEL, required=True),
    *WRITING,
)

CMDLETS = (
    Cmdlet("Get-ActiveSyncDeviceAccessRule", get_rules, (IDENTITY, CONTROLLER), configuration_shapes.ACCESS_RULE),
    Cmdlet("New-ActiveSyncDeviceAccessRule", new_rule, _NEW, configuration_shapes.ACCESS_RULE),
    Cmdlet("Set-ActiveSyncDeviceAccessRule", set_rule, (_IDENTITY, Parameter("AccessLevel", _LEVEL), *WRITING)),
    Cmdlet("Remove-ActiveSyncDeviceAccessRule", remove_rule, (_IDENTITY, *WRITING), asks=True),
    Cmdlet("Get-ActiveSyncDeviceClass", get_classes, LISTING, configuration_shapes.DEVICE_CLASS),
    Cmdlet(
        "Remove-ActiveSyncDeviceClass",
        remove_class,
        (target("ActiveSyncDeviceClassIdParameter"), *WRITING),
        asks=True,
    ),
)
