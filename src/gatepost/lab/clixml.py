"""Objects to CLIXML, fast: a plan is compiled for a shape and a choice of properties, then run for every row.

psrpcore's serializer writes about a thousand objects a second; a lab of 100,000 devices needs a hundred times that. So
a plan knows each property's element beforehand, fetches a row's values in one call, and remembers the element of every
value that many rows share. Tests compare what it writes with what psrpcore reads.

Two wire forms: by default enumerations and ids travel as plain strings; with ``serializationLevel=Full`` in the
address they are objects with type names, text and value. ``Select-Object`` moves the chosen properties from ``Props``
to ``MS``.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from operator import attrgetter, call
from typing import Any

TICKS = 10_000_000
EPOCH_DAY = date(1970, 1, 1).toordinal()
SERVER_OFFSET_HOURS = 1
"""The servers' clocks show UTC+1: what Exchange calls local time."""

_NEEDS_CARE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff&<>]|_[xX]")
_PLAIN = bytes(set(range(0x20, 0x7F)) - set(b"&<>_")) + bytes(range(0xC3, 0xED)) + bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character to be escaped: most of ASCII, and U+00C0 up to U+CFFF."""
_SECTION_SIGN = "§".encode()
"""It stands in every device's name, and shares its first byte with the C1 controls."""
_XML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Kind(Enum):
    """The .NET kind of a property, which decides how it is written in either form."""

    STRING = auto()
    INT32 = auto()
    BOOLEAN = auto()
    GUID = auto()
    TIME_UTC = auto()
    TIME_LOCAL = auto()
    ENUM = auto()
    ID = auto()
    TEXT = auto()
    LIST = auto()
    MAP = auto()


@dataclass(frozen=True, slots=True)
class Property:
    """One property: its name, kind, the row attribute it is read from, its .NET type where that shows.

    ``few`` says that many rows share its values. ``members`` are the names of an enumeration in the order of numbers.
    ``filterable`` says whether ``-Filter`` takes it.
    """

    name: str
    kind: Kind = Kind.STRING
    source: str = ""
    net_type: str = ""
    few: bool = False
    members: tuple[str, ...] = ()
    filterable: bool = False

    @property
    def attribute(self) -> str:
        """The attribute of a row (dots lead on)."""
        return self.source or self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """What the objects of one class look like: type names from the class to its root, text, properties."""

    types: tuple[str, ...]
    text: str
    properties: tuple[Property, ...]
    constants: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a plan is to write: the wire form, and the properties chosen by ``Select-Object`` (None takes all)."""

    full: bool = False
    selected: tuple[str, ...] | None = None


def escape(text: str) -> str:
    """Text as it stands in an element: XML's own characters, ``_xHHHH_`` for each UTF-16 unit that CLIXML escapes."""
    # Nearly all text is plain, and deleting plain bytes finds that out three times as fast as a search does.
    rest = text.encode("utf-8", "surrogatepass").replace(_SECTION_SIGN, b"").translate(None, _PLAIN)
    return _NEEDS_CARE.sub(_escape_one, text) if rest else text


def _escape_one(found: re.Match[str]) -> str:
    text = found[0]
    if text in _XML:
        return _XML[text]
    if len(text) == 2:  # a literal _x or _X
        return f"_x005F_{text[1]}"
    units = text.encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"_x{units[at : at + 4]}_" for at in range(0, len(units), 4))


class Memo(dict[Any, str]):
    """A rendering that is remembered by value."""

    def __init__(self, render: Callable[[Any], str]) -> None:
        super().__init__()
        self.render = render

    def __missing__(self, value: object) -> str:
        """Render once."""
        text = self[value] = self.render(value)
        return text


_days = Memo(lambda day: date.fromordinal(EPOCH_DAY + day).strftime("%m-%d"))
_seconds = Memo(lambda second: f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}")


def _day_text(day: int) -> str:
    # strftime pads the year on some systems only.
    return f"{date.fromordinal(EPOCH_DAY + day).year:04d}-{_days[day]}"


_dates = Memo(_day_text)


def time_text(ticks: int, offset_hours: int | None = None) -> str:
    """A moment with seven fractional digits; with an offset the clock of that zone, without one UTC and ``Z``."""
    seconds, fraction = divmod(ticks, TICKS)
    if offset_hours is None:
        day, second = divmod(seconds, 86_400)
        return f"{_dates[day]}T{_seconds[second]}.{fraction:07d}Z"
    day, second = divmod(seconds + offset_hours * 3600, 86_400)
    return f"{_dates[day]}T{_seconds[second]}.{fraction:07d}{offset_hours:+03d}:00"


def _types_xml(types: Sequence[str], ref: int) -> str:
    return f'<TN RefId="{ref}">' + "".join(f"<T>{escape(name)}</T>" for name in types) + "</TN>"


LIST_TYPES = (
    "Microsoft.Exchange.Data.MultiValuedProperty`1[[System.String, mscorlib]]",
    "Microsoft.Exchange.Data.MultiValuedPropertyBase",
    "System.Object",
)
MAP_TYPES = (
    "System.Collections.Generic.Dictionary`2[[System.String, mscorlib],[System.Object, mscorlib]]",
    "System.Object",
)


def _serialization_data(kind: str, text: str) -> str:
    """What a Full object carries beside its text: in Exchange an opaque .NET blob, here one that says so."""
    blob = base64.b64encode(b"\x00\x01\x00\x00\x00\xff\xff\xff\xff" + f"{kind}:{text}".encode("utf-8", "surrogatepass"))
    return f'<MS><BA N="SerializationData">{blob.decode()}</BA></MS>'


class _Renderers:
    """Makes one function per property: value in, element out. Reference ids are fixed as the functions are made."""

    def __init__(self, full: bool) -> None:
        self.full = full
        self.next_ref = 1
        self.known: dict[tuple[str, ...], int] = {}

    def make(self, prop: Property) -> Callable[[Any], str]:
        """The function of one property; null is the same element for all kinds but lists, which are never null."""
        start, nil = f' N="{escape(prop.name)}"', f'<Nil N="{escape(prop.name)}" />'
        if prop.kind in {Kind.LIST, Kind.MAP}:
            return self._list(prop, start) if prop.kind is Kind.LIST else self._map(start)
        inner = self._inner(prop, start)

        def render(value: Any) -> str:  # noqa: ANN401 - any value of a row
            return nil if value is None else inner(value)

        return Memo(render).__getitem__ if prop.few or prop.kind is Kind.BOOLEAN else render

    def _inner(self, prop: Property, start: str) -> Callable[[Any], str]:
        if self.full and prop.kind in {Kind.ENUM, Kind.ID, Kind.TEXT}:
            return self._object(prop, start)
        if prop.kind is Kind.INT32:
            return lambda value: f"<I32{start}>{value}</I32>"
        if prop.kind is Kind.BOOLEAN:
            return lambda value: f"<B{start}>{'true' if value else 'false'}</B>"
        if prop.kind is Kind.GUID:
            return lambda value: f"<G{start}>{value}</G>"
        if prop.kind is Kind.TIME_UTC:
            return lambda value: f"<DT{start}>{time_text(value)}</DT>"
        if prop.kind is Kind.TIME_LOCAL:
            return lambda value: f"<DT{start}>{time_text(value, SERVER_OFFSET_HOURS)}</DT>"
        return lambda value: f"<S{start}>{escape(value)}</S>"

    def _ref(self) -> int:
        ref = self.next_ref
        self.next_ref += 1
        return ref

    def _object(self, prop: Property, start: str) -> Callable[[Any], str]:
        """The Full form of an enumeration, id or other value with a text."""
        enum = prop.kind is Kind.ENUM
        bases = ("System.Enum", "System.ValueType", "System.Object") if enum else ("System.Object",)
        ref = self._ref()
        head = f'<Obj{start} RefId="{ref}">{_types_xml((prop.net_type, *bases), ref)}<ToString>'
        numbers = {name: number for number, name in enumerate(prop.members)}

        def render(value: str) -> str:
            number = f"<I32>{numbers.get(value, 0)}</I32>" if enum else ""
            return f"{head}{escape(value)}</ToString>{number}{_serialization_data(prop.net_type, value)}</Obj>"

        return render

    def _typed(self, types: tuple[str, ...]) -> tuple[int, str]:
        """A new object's reference id, and its type names: spelt out the first time, referred to afterwards."""
        ref = self._ref()
        if types in self.known:
            return ref, f'<TNRef RefId="{self.known[types]}" />'
        self.known[types] = ref
        return ref, _types_xml(types, ref)

    def _list(self, prop: Property, start: str) -> Callable[[Any], str]:
        types = (prop.net_type, *LIST_TYPES[1:]) if prop.net_type else LIST_TYPES
        ref, names = self._typed(types)
        head, empty = f'<Obj{start} RefId="{ref}">{names}<LST>', f'<Obj{start} RefId="{ref}">{names}<LST /></Obj>'

        def render(values: Sequence[str]) -> str:
            if not values:
                return empty
            return head + "".join(f"<S>{escape(value)}</S>" for value in values) + "</LST></Obj>"

        return render

    def _map(self, start: str) -> Callable[[Any], str]:
        ref, names = self._typed(MAP_TYPES)

        def render(values: dict[str, str]) -> str:
            entries = (
                f'<En><S N="Key">{escape(name)}</S><S N="Value">{escape(value)}</S></En>'
                for name, value in values.items()
            )
            return f'<Obj{start} RefId="{ref}">{names}<DCT>{"".join(entries)}</DCT></Obj>'

        return render


class Plan:
    """Writes rows of one shape in one form; make it once and call it for every row."""

    def __init__(self, shape: Shape, choice: Choice) -> None:
        renderers = _Renderers(choice.full)
        whole = choice.selected is None
        live: list[tuple[str, Callable[[Any], str]]] = []
        later: list[Property | str] = []
        for prop in _wanted(shape, choice.selected):
            if isinstance(prop, Property) and prop.name not in shape.constants:
                live.append((prop.attribute, renderers.make(prop)))
            elif whole:
                later.append(prop)
            else:  # Select-Object keeps its order, so what never changes stands among the rest; every row has a class
                live.append(("__class__", _always(_fixed(renderers, prop, shape))))
        self._renders = [render for _, render in live]
        self._values = _fetcher([attribute for attribute, _ in live])
        self._text = attrgetter(shape.text) if whole and shape.text else None
        box, types = ("Props", shape.types) if whole else ("MS", _selected_types(shape.types[0]))
        # Whole objects have their constants last and made last: type names are spelt out at their first mention.
        fixed = "".join(_fixed(renderers, prop, shape) for prop in later)
        self._before = f'<Obj RefId="0">{_types_xml(types, 0)}'.encode()
        self._open, self._after = f"<{box}>", f"{fixed}</{box}></Obj>".encode()

    def __call__(self, row: object) -> bytes:
        """The row as one object in UTF-8."""
        text = f"<ToString>{escape(str(self._text(row)))}</ToString>" if self._text else ""
        body = "".join(map(call, self._renders, self._values(row)))
        return self._before + f"{text}{self._open}{body}".encode() + self._after


def _always(text: str) -> Callable[[Any], str]:
    return lambda _value: text


def _wanted(shape: Shape, selected: tuple[str, ...] | None) -> list[Property | str]:
    """The properties to write; a chosen name that does not exist stays a name, for Select-Object makes it null."""
    if selected is None:
        return list(shape.properties)
    known = {prop.name.lower(): prop for prop in shape.properties}
    return [known.get(name.lower(), name) for name in selected]


def _selected_types(name: str) -> tuple[str, ...]:
    return (f"Selected.{name}", "System.Management.Automation.PSCustomObject", "System.Object")


def _fixed(renderers: _Renderers, prop: Property | str, shape: Shape) -> str:
    """An element that is the same in every row."""
    if isinstance(prop, str):
        return f'<Nil N="{escape(prop)}" />'
    return renderers.make(prop)(shape.constants[prop.name])


def _fetcher(attributes: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """One call that fetches all attributes of a row as a tuple."""
    if not attributes:
        return lambda _row: ()
    fetch = attrgetter(*attributes)
    if len(attributes) == 1:
        return lambda row: (fetch(row),)
    return fetch
