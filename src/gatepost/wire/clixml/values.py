"""The primitive values of CLIXML: the text of an element becomes a plain value, by the element's name.

Converters raise ValueError or ArithmeticError for a text that is no such value; the reader names the property.
"""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

Value: TypeAlias = str | bool | int | float | Decimal | datetime | bytes | list["Value"] | dict[str, "Value"] | None

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def text(raw: str) -> str:
    """A string without its ``_xHHHH_`` escapes of UTF-16 units; pairs of surrogates are joined, lone ones stay."""
    if "_x" not in raw:
        return raw
    plain = _ESCAPE.sub(lambda unit: chr(int(unit[1], 16)), raw)
    if _PAIR.search(plain):
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return plain


def moment(raw: str) -> datetime:
    """A DT in UTC; clamped to the years 1 to 9999 where its offset leads out of them."""
    when = datetime.fromisoformat(raw.strip())
    if when.tzinfo is UTC:
        return when
    if when.tzinfo is None:
        return when.replace(tzinfo=UTC)
    try:
        return when.astimezone(UTC)
    except OverflowError:
        return EARLIEST if when.year == 1 else LATEST


def boolean(raw: str) -> bool:
    """A B: ``true`` or ``false`` in any case, or 1 or 0."""
    try:
        return _BOOLEANS[raw.strip().lower()]
    except KeyError:
        raise ValueError(raw) from None


def guid(raw: str) -> str:
    """A G as lower-case text, so that it can be compared."""
    return raw.strip().lower()


def octets(raw: str) -> bytes:
    """A BA: base64, perhaps broken into lines."""
    return base64.b64decode("".join(raw.split()), validate=True)


def nothing(_raw: str) -> None:
    """A Nil, or a secure string: its key is not ours to hold."""


CONVERTERS: dict[str, Callable[[str], Value]] = {
    "S": text,
    "C": lambda raw: chr(int(raw)),
    "B": boolean,
    "DT": moment,
    "TS": str,
    "G": guid,
    "URI": text,
    "Version": str,
    "XD": text,
    "SBK": text,
    "SS": nothing,
    "Nil": nothing,
    "BA": octets,
    "D": Decimal,
    "Db": float,
    "Sg": float,
    **dict.fromkeys(("By", "SB", "I16", "I32", "I64", "U16", "U32", "U64"), int),
}
