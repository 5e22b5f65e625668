"""The general reader: any payload, parsed under limits, becomes a value. Correct first; ``Rows`` is the fast one."""

import re
from bisect import bisect
from typing import Final, NoReturn

from lxml import etree

from gatepost.errors import UnsafeXml, WireError
from gatepost.wire.clixml.values import CONVERTERS, Value, text

MAX_PAYLOAD: Final = 16 * 1024 * 1024
MAX_PROPERTY: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MAX_ATTRIBUTES: Final = 16
MAX_ELEMENTS: Final = 200_000

NAMESPACE: Final = "http://schemas.microsoft.com/powershell/2004/04"
BOM: Final = b"\xef\xbb\xbf"
PARTS: Final = frozenset({"TN", "TNRef", "ToString", "Props", "MS"})
_QUALIFIED = f"{{{NAMESPACE}}}"
_LISTS = frozenset({"LST", "IE", "QUE", "STK"})
COLLECTIONS: Final = _LISTS | {"DCT"}
_PROGRESS = {
    "AV": "Activity",
    "AI": "ActivityId",
    "S": "CurrentOperation",
    "PI": "ParentActivityId",
    "PC": "PercentComplete",
    "T": "RecordType",
    "SR": "SecondsRemaining",
    "SD": "StatusDescription",
}
_PROGRESS_NUMBERS = frozenset({"AI", "PI", "PC", "SR"})
# What an object serialized by Exchange carries for Exchange's own client: a .NET blob that nobody else may open.
OPAQUE: Final = "SerializationData"
_NAME = re.compile(rb"""\bN\s*=\s*["']([^"'<]*)["'][^<]*\Z""")
_PARSER = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)
_DEEP = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
_CROWDED = etree.XPath(f"boolean(//@*[{MAX_ATTRIBUTES + 1}])")


def decode(payload: bytes) -> Value:
    """The value of one payload; of several objects in one ``Objs`` wrapper, their list.

    Raises UnsafeXml for a DOCTYPE or a limit, WireError for what is not CLIXML.
    """
    reader = Reader(payload)
    values = [reader.value(element) for element in reader.objects]
    return values[0] if len(values) == 1 else list(values)


def type_names(payload: bytes) -> tuple[str, ...]:
    """The .NET type names of a payload's object, most derived first; none for a primitive. Raises as ``decode``."""
    reader = Reader(payload)
    return reader.type_names(reader.objects[0]) if reader.objects else ()


class Reader:
    """One payload: its objects, and what their references lead to."""

    def __init__(self, payload: bytes) -> None:
        self._root = parse(payload)
        self._left = MAX_ELEMENTS
        self._open: dict[etree._Element, str | None] = {}
        self._elements: list[etree._Element] = []
        self._order: dict[etree._Element, int] = {}
        self._places: dict[tuple[str, str], list[int]] = {}
        self.objects = list(self._root) if local(self._root) == "Objs" else [self._root]

    def value(self, element: etree._Element) -> Value:
        """An outermost object or primitive as a value. Raises UnsafeXml, WireError."""
        return self._value(element, outermost=True)

    def members(self, element: etree._Element) -> dict[str, etree._Element]:
        """The property elements of an object by name. Raises WireError for an object that is not made of properties."""
        element = self._follow(element)
        if local(element) != "Obj":
            raise WireError(f"It is a single value ({local(element)}), not an object with properties.")
        if not {local(part) for part in element} <= PARTS:
            raise WireError("It is a collection or a single value, not an object with properties.")
        return self._members(element)

    def member(self, element: etree._Element) -> Value:
        """A property as a value. Raises as ``value``."""
        return self._value(element, outermost=False)

    def type_names(self, element: etree._Element) -> tuple[str, ...]:
        """The type names of an object, also where it only refers to an earlier list."""
        for part in self._follow(element):
            if local(part) == "TN":
                return tuple(text(name.text or "") for name in part)
            if local(part) == "TNRef":
                return tuple(text(name.text or "") for name in self._referred(part, "TN"))
        return ()

    def _value(self, element: etree._Element, *, outermost: bool) -> Value:
        self._charge(1)
        element = self._follow(element)
        kind = local(element)
        if kind == "Obj":
            return self._object(element, outermost=outermost)
        if kind == "PR":
            return _progress(element)
        return primitive(kind, element.text or "", element.get("N"))

    def _object(self, element: etree._Element, *, outermost: bool) -> Value:
        if element in self._open:
            return self._open[element]
        if len(self._open) >= MAX_DEPTH:
            _refuse_depth()
        self._charge(len(element))
        shown = self._open[element] = self._shown(element)
        try:
            return self._opened(element, shown, outermost=outermost)
        finally:
            del self._open[element]

    def _opened(self, element: etree._Element, shown: str | None, *, outermost: bool) -> Value:
        """Collection, primitive, text or properties: whichever comes first in this order is what the object is."""
        for part in element:
            kind = local(part)
            if kind in _LISTS:
                return [self._value(item, outermost=False) for item in part]
            if kind == "DCT":
                return dict(self._entry(entry) for entry in part)
            if kind not in PARTS:
                return self._value(part, outermost=False) if shown is None else shown
        members = self._members(element)
        if shown is not None and not (outermost and members):
            return shown
        return {name: self._value(member, outermost=False) for name, member in members.items()}

    def _charge(self, elements: int) -> None:
        """Count what is read: references make it more than was sent."""
        self._left -= elements
        if self._left < 0:
            raise UnsafeXml(f"The answer unfolds to more than {MAX_ELEMENTS:,} elements.")

    def _shown(self, element: etree._Element) -> str | None:
        """The text that an object gives of itself."""
        for part in element:
            if local(part) == "ToString":
                return text(part.text or "")
        return None

    def _members(self, element: etree._Element) -> dict[str, etree._Element]:
        members: dict[str, etree._Element] = {}
        for group in ("Props", "MS"):
            for part in element:
                if local(part) == group:
                    members.update((text(member.get("N", "")), member) for member in part)
        members.pop(OPAQUE, None)
        return members

    def _entry(self, entry: etree._Element) -> tuple[str, Value]:
        """A key and its value; a key that is not text becomes text."""
        found = {part.get("N"): part for part in entry}
        if "Key" not in found or "Value" not in found:
            raise WireError("A dictionary of the answer has an entry without a key or a value.")
        key = self._value(found["Key"], outermost=False)
        return key if isinstance(key, str) else str(key), self._value(found["Value"], outermost=False)

    def _follow(self, element: etree._Element) -> etree._Element:
        return self._referred(element, "Obj") if local(element) == "Ref" else element

    def _referred(self, reference: etree._Element, kind: str) -> etree._Element:
        """What a Ref or TNRef means: the last such element with its RefId before it."""
        number = reference.get("RefId") or ""
        if not self._order:
            self._number()
        places = self._places.get((kind, number), [])
        found = bisect(places, self._order[reference])
        if not found:
            raise WireError(f"The answer refers to {kind} {number}, which it does not contain.")
        return self._elements[places[found - 1]]

    def _number(self) -> None:
        """Put the elements in order, and note where those with a RefId stand."""
        self._elements = list(self._root.iter())
        for place, element in enumerate(self._elements):
            self._order[element] = place
            if number := element.get("RefId"):
                self._places.setdefault((local(element), number), []).append(place)


def parse(payload: bytes) -> etree._Element:
    """The root element of a payload. Raises UnsafeXml for a DOCTYPE or past a limit, WireError for broken XML."""
    if len(payload) > MAX_PAYLOAD:
        raise UnsafeXml(f"A message of the answer is longer than {MAX_PAYLOAD:,} bytes.")
    if b"<!DOCTYPE" in payload:
        raise UnsafeXml("The answer has a DOCTYPE, which remote PowerShell never sends.")
    if payload.count(b"<") > 2 * MAX_ELEMENTS:
        raise UnsafeXml(f"A message of the answer has more than {MAX_ELEMENTS:,} elements.")
    if len(payload) > MAX_PROPERTY:
        _refuse_long_text(payload)
    try:
        payload.decode()
        root = etree.fromstring(payload, _PARSER)
    except UnicodeDecodeError as error:
        raise WireError(f"The answer is not UTF-8 at byte {error.start}.") from error
    except etree.XMLSyntaxError as error:
        if "depth" in str(error):
            _refuse_depth()
        raise WireError(f"The answer is not well-formed XML: {str(error.msg).strip()}.") from error
    if _DEEP(root):
        _refuse_depth()
    if _CROWDED(root):
        raise UnsafeXml(f"An element of the answer has more than {MAX_ATTRIBUTES} attributes.")
    if len(payload) > MAX_PROPERTY:
        _refuse_long_property(root)
    return root


def primitive(kind: str, raw: str, name: str | None) -> Value:
    """An element's text as a value by the element's name; an unknown kind is its text. Raises WireError."""
    try:
        return CONVERTERS.get(kind, text)(raw)
    except (ValueError, ArithmeticError) as error:
        what = f"The property {text(name)}" if name else "A value"
        raise WireError(f"{what} holds {raw[:60]!r}, which is no {kind} of CLIXML.") from error


def local(element: etree._Element) -> str:
    """An element's name, with or without the namespace of CLIXML."""
    return element.tag.removeprefix(_QUALIFIED)


def _progress(element: etree._Element) -> Value:
    found: dict[str, Value] = {}
    for part in element:
        name, kind = _PROGRESS.get(local(part)), local(part)
        if name:
            found[name] = primitive("I32" if kind in _PROGRESS_NUMBERS else "S", part.text or "", name)
    return found


def _refuse_depth() -> NoReturn:
    raise UnsafeXml(f"An object of the answer is nested more than {MAX_DEPTH} elements deep.")


def _refuse_long_text(payload: bytes) -> None:
    """Refuse a single text over the limit before the parser meets it, naming the property it stands in."""
    longest = max(payload.split(b"<"), key=len)
    if len(longest) > MAX_PROPERTY:
        before = payload[: payload.index(longest)] + longest[:256]
        found = _NAME.search(before)
        _refuse_long(found[1].decode("utf-8", "replace") if found else "")


def _refuse_long_property(root: etree._Element) -> None:
    for element in root.iter():
        if element.get("N") and sum(map(len, element.itertext())) > MAX_PROPERTY:
            _refuse_long(element.get("N", ""))


def _refuse_long(name: str) -> NoReturn:
    what = f"The property {text(name)}" if name else "A value of the answer"
    raise UnsafeXml(f"{what} is longer than {MAX_PROPERTY:,} characters.")
