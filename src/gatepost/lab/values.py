"""Values of parameters: what a client may send for a declared type, and what the cmdlet gets.

    Boolean, SwitchParameter     a Boolean or a number; never the text ``$true``
    Int32, Unlimited, X[]        a number; a number or None for ``Unlimited``; a tuple of texts
    MultiValuedProperty          ``Multi``, of a list, one value, null, or a hashtable with Add and Remove
    Unlimited[X]                 the text that Exchange would print, or ``Unlimited``
    an enumeration of ENUMS      the member as Exchange spells it
    anything else                text, or None for null

What does not fit raises UnfitError with the words that stand in Exchange's error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatepost.lab.names import key

ENUMS: dict[str, tuple[str, ...]] = {
    "DeviceAccessLevel": ("Allow", "Block", "Quarantine"),
    "DeviceAccessCharacteristic": ("DeviceType", "DeviceModel", "DeviceOS", "UserAgent", "XMSWLHeader"),
    "BluetoothType": ("Disable", "HandsfreeOnly", "Allow"),
    "CalendarAgeFilterType": ("All", "TwoWeeks", "OneMonth", "ThreeMonths", "SixMonths"),
    "EmailAgeFilterType": ("All", "OneDay", "ThreeDays", "OneWeek", "TwoWeeks", "OneMonth"),
    "RequireEncryptionSMIMEAlgorithmType": ("TripleDES", "DES", "RC2128bit", "RC264bit", "RC240bit"),
    "RequireSignedSMIMEAlgorithmType": ("SHA1", "MD5"),
    "SMIMEEncryptionAlgorithmNegotiationType": (
        "BlockNegotiation", "OnlyStrongAlgorithmNegotiation", "AllowAnyAlgorithmNegotiation",
    ),
}  # fmt: skip
"""The enumerations that parameters take, with their members in the order of their numbers."""

_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):([0-5]\d):([0-5]\d)(?:\.\d+)?")
_SIZE = re.compile(r"(\d+)\s*(B|KB|MB|GB)?(?:\s*\([\d,]+ bytes\))?", re.IGNORECASE)
_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
UNLIMITED = "Unlimited"


class UnfitError(Exception):
    """A value that cannot become the declared type."""


@dataclass(frozen=True, slots=True)
class Multi:
    """The new content of a property with many values: the whole of it, or what is added and removed.

    Values are the same without regard to case, as the directory compares them.
    """

    whole: tuple[str, ...] | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def applied(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """What stands there afterwards. Adding what is there and removing what is not change nothing."""
        if self.whole is not None:
            return self.whole
        gone = {key(value) for value in self.remove}
        kept = tuple(value for value in before if key(value) not in gone)
        known = {key(value) for value in kept}
        return kept + tuple(value for value in dict.fromkeys(self.add) if key(value) not in known)


def convert(kind: str, value: Any) -> Any:  # noqa: ANN401 - whatever was sent; one return per kind
    """The value as the declared type. Raises UnfitError."""
    if kind in {"Boolean", "SwitchParameter"}:
        return _boolean(kind, value)
    if kind == "Unlimited":
        return None if str(value).lower() == "unlimited" else _number(value, "Unlimited")
    if kind in {"Int32", "Nullable[Int32]"}:
        return _number(value, kind)
    if kind == "MultiValuedProperty":
        return multi(value)
    if kind == "EnhancedTimeSpan" or kind.startswith("Unlimited["):
        return _unlimited(kind.removeprefix("Unlimited[").removesuffix("]"), value)
    if kind.endswith("[]"):
        values = value if isinstance(value, list | tuple) else [] if value is None else [value]
        return tuple(str(entry) for entry in values)
    if isinstance(value, list | tuple | dict):
        raise UnfitError(_cannot("System.Object[]", kind))
    if kind in ENUMS:
        return _member(kind, value)
    return None if value is None else str(value)


def multi(value: Any) -> Multi:  # noqa: ANN401 - whatever was sent
    """A list, one value, null or a hashtable as the content of a property with many values. Raises UnfitError."""
    if isinstance(value, Mapping):
        return _change(value)
    given = _texts(value)
    twice = next((text for at, text in enumerate(given) if key(text) in map(key, given[:at])), None)
    if twice is not None:
        raise UnfitError(f'The value "{twice}" is already present in the collection.')
    return Multi(given)


def _change(table: Mapping[Any, Any]) -> Multi:
    parts = {str(name).lower(): _texts(value) for name, value in table.items()}
    if not parts or set(parts) - {"add", "remove"}:
        raise UnfitError('The hashtable has keys that aren\'t valid. The keys that are allowed are "Add" and "Remove".')
    return Multi(add=parts.get("add", ()), remove=parts.get("remove", ()))


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever was sent
    values = value if isinstance(value, list | tuple) else () if value is None else (value,)
    if any(isinstance(entry, list | tuple | Mapping) for entry in values):
        raise UnfitError(_cannot("System.Object[]", "MultiValuedProperty"))
    return tuple(str(entry) for entry in values if entry is not None and str(entry))


def _cannot(value: object, wanted: str) -> str:
    return f'Cannot convert value "{value}" to type "System.{wanted}".'


def _boolean(kind: str, value: object) -> bool:
    if value is None and kind == "SwitchParameter":
        return True
    if not isinstance(value, bool | int | float):
        raise UnfitError(
            'Cannot convert value "System.String" to type "System.Boolean". Boolean parameters accept only Boolean '
            "values and numbers, such as $True, $False, 1 or 0."
        )
    return bool(value)


def _number(value: object, kind: str) -> int | None:
    if value is None and kind.startswith("Nullable"):
        return None
    try:
        return int(str(value))
    except ValueError as error:
        raise UnfitError(_cannot(value, kind)) from error


def _member(kind: str, value: object) -> str:
    """The member of an enumeration, by name without regard to case or by number."""
    members = ENUMS[kind]
    found = next((name for name in members if name.lower() == str(value).lower()), None)
    if found is None and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(members):
        found = members[value]
    if found is None:
        raise UnfitError(
            f'Cannot convert value "{value}" to type "{kind}" due to enumeration values that are not valid. '
            "Specify one of the following enumeration values and try again. The possible enumeration values are "
            f'"{",".join(members)}".'
        )
    return found


def _unlimited(inner: str, value: object) -> str:
    """A number, span of time or size as Exchange prints it, or ``Unlimited``."""
    text = str(value).strip()
    if text.lower() == "unlimited":
        return UNLIMITED
    if inner == "Int32" and text.isascii() and text.isdigit():
        return str(int(text))
    if inner == "EnhancedTimeSpan" and (span := _SPAN.fullmatch(text)):
        days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
        return f"{days}." * bool(days) + f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    if inner == "ByteQuantifiedSize" and (size := _SIZE.fullmatch(text)):
        return _size(int(size[1]) * _UNITS[(size[2] or "").upper()])
    raise UnfitError(_cannot(value, f"Unlimited`1[{inner}]"))


def _size(count: int) -> str:
    unit = next((name for name in ("GB", "MB", "KB") if count and count % _UNITS[name] == 0), "B")
    return f"{count // _UNITS[unit]} {unit} ({count:,} bytes)"
