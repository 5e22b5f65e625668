"""Shapes as a dialect has them, and objects that a fault has spoilt."""

import random
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace

from gatepost.lab import shapes
from gatepost.lab.clixml import Kind, Plan, Property, Shape
from gatepost.lab.dialects import Dialect, Fault
from gatepost.lab.rows import Device

SPOILT = 3
"""Which object of a listing a fault spoils, counted from 0."""
HUGE = 2_000_000
DEPTH = 1_000

_EXTRA: tuple[tuple[Property, object], ...] = (
    (Property("LabExtraText"), "an extra property, as a newer Exchange may have"),
    (Property("LabExtraNull"), None),
    (Property("LabExtraList", Kind.LIST), ("one", "two")),
    (Property("LabExtraMap", Kind.MAP), {"key": "value"}),
    (Property("LabExtraFlag", Kind.BOOLEAN), True),
)
_OPTIONAL = frozenset(
    {
        "DeviceImei", "DeviceMobileOperator", "DeviceTelephoneNumber", "DeviceOSLanguage", "ClientVersion", "IsManaged",
        "IsCompliant", "IsDisabled", "LinkedMasterAccount", "OwaMailboxPolicy", "AdminDisplayName", "WhenChanged",
    }
)  # fmt: skip
"""What an older or a hosted Exchange may not have."""
_LISTS = frozenset({"ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs"})


def vary(shape: Shape, dialect: Dialect, variant: int) -> Shape:
    """The shape as the dialect has it; ``variant`` chooses among several orders."""
    properties, constants, types = list(shape.properties), dict(shape.constants), shape.types
    if dialect.missing_properties:
        properties = [prop for prop in properties if prop.name not in _OPTIONAL]
    if dialect.hidden_lists:
        properties = [prop for prop in properties if prop.name not in _LISTS]
    if dialect.extra_properties:
        properties += [prop for prop, _ in _EXTRA]
        constants.update({prop.name: value for prop, value in _EXTRA})
    if dialect.short_identity and shape.types in {shapes.MOBILE_DEVICE.types, shapes.ACTIVESYNC_DEVICE.types}:
        properties = [_short(prop) for prop in properties]
    if dialect.shuffled:
        random.Random(variant).shuffle(properties)
    if dialect.other_types:
        types = tuple(name.replace("Microsoft.Exchange.", "Vendor.Hosting.") for name in types)
    return replace(shape, types=types, properties=tuple(properties), constants=constants)


def _short(prop: Property) -> Property:
    return replace(prop, source="short_identity") if prop.name == "Identity" else prop


def variants(dialect: Dialect) -> int:
    """How many orders of properties take turns."""
    return 3 if dialect.shuffled else 1


def spoil(rows: Iterable[object], plans: list[Plan], faults: AbstractSet[Fault]) -> Iterator[bytes]:
    """The rows as CLIXML, plans taking turns, with one device spoilt where a fault says so."""
    for number, row in enumerate(rows):
        if number == SPOILT and faults and isinstance(row, Device):
            yield _spoilt(row, plans[0], faults)
        else:
            yield plans[number % len(plans)](row)


def _spoilt(device: Device, plan: Plan, faults: AbstractSet[Fault]) -> bytes:
    if Fault.HUGE_PROPERTY in faults:
        device = replace(device, friendly_name="A" * HUGE)
    data = plan(device)
    if Fault.MALFORMED_OBJECT in faults:
        data = data[: len(data) // 2] + b"<S N="
    if Fault.DEEP_OBJECT in faults:
        data = _with_property(data, _nested())
    if Fault.DOCTYPE_CLIXML in faults:
        data = b'<!DOCTYPE Obj [<!ENTITY e "expanded">]>' + _with_property(data, b'<S N="Entity">&e;</S>')
    return data


def _with_property(data: bytes, element: bytes) -> bytes:
    """The object with one more property at its end."""
    for end in (b"</Props></Obj>", b"</MS></Obj>"):
        if data.endswith(end):
            return data[: -len(end)] + element + end
    return data


def _nested() -> bytes:
    opening = b"".join(b'<Obj N="Inner" RefId="%d"><MS>' % (10_000 + depth) for depth in range(DEPTH))
    return opening + b'<S N="Bottom">deep</S>' + b"</MS></Obj>" * DEPTH
