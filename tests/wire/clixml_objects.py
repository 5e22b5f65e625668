"""Objects for the tests of the decoder: made by hypothesis, written as CLIXML in many ways, read by the oracles."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from xml.sax.saxutils import escape as xml_escape

import psrpcore.types as ps
from hypothesis import strategies as st
from psrpcore import PSRemotingCrypto
from pypsrp.serializer import Serializer

from gatepost.wire.clixml import Value

NAMESPACE = "http://schemas.microsoft.com/powershell/2004/04"
WANTED = ("Guid", "DeviceId", "Identity", "DeviceAccessState", "FirstSyncTime", "AllowedIDs")
OTHERS = ("Name", "RunspaceId", 'Weird _x0041_ "quoted" <name>', "deviceid", "SerializationData")
NAMES = WANTED + OTHERS

_ESCAPED = re.compile("_(?=x)|[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_HOSTILE = (
    '<S N="DeviceId">stolen</S>', '</S><S N="DeviceId">', "]]>", "&amp;", "&lt;", "&#65;", "_x0041_", "_x", "_X0041_",
    "_xD83D_", "_xd83d__xde00_", "\ud83d", "\ude00", "\ud83d\ude00", "\U0001f600", "\r\n", "\t", "\x00", "\ufffe",
    " />", "-->",    "§", "山田太郎", "", " ", "</MS></Obj>", "<Nil", "<![CDATA[", "a]", "__x0041__",
)  # fmt: skip

texts = st.one_of(
    st.text("abc §é_x<&>\"']", max_size=12),
    st.lists(st.sampled_from(_HOSTILE), max_size=4).map("".join),
    st.text(max_size=8),
)


class Typed(NamedTuple):
    """A property's value: how it is written, and what it must be read as."""

    kind: str
    source: Any
    value: Value


@dataclass(frozen=True)
class Style:
    """A way to write the same object."""

    quote: str = '"'
    space: str = ""
    empty: str = " />"
    prefix: str = ""
    wrapped: bool = False
    group: str = "MS"
    references: bool = True
    types: bool = True
    shown: bool = False
    text: str = "plain"
    astral: bool = False
    declared: bool = False
    marked: bool = False


def joined(text: str) -> str:
    """Text as a reader of UTF-16 units sees it: surrogates that meet are one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _time(when: datetime, ticks: int, offset: int | None) -> Typed:
    text = f"{when.year:04d}-{when:%m-%dT%H:%M:%S}.{ticks:07d}"
    exact = when.replace(microsecond=ticks // 10, tzinfo=UTC, fold=0)
    if offset is None:
        return Typed("DT", text + "Z", exact)
    text += f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    try:
        return Typed("DT", text, exact - timedelta(minutes=offset))
    except OverflowError:
        edge = datetime.min if when.year == 1 else datetime.max  # noqa: DTZ901
        return Typed("DT", text, edge.replace(tzinfo=UTC))


times = st.builds(
    _time,
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59)),  # noqa: DTZ001
    st.integers(0, 9_999_999),
    st.none() | st.integers(-14 * 60, 14 * 60),
)
strings = texts.map(lambda text: Typed("S", text, joined(text)))
nils = st.just(Typed("Nil", "", None))
guids = st.uuids().flatmap(lambda uuid: st.sampled_from([str(uuid), str(uuid).upper()])).map(
    lambda text: Typed("G", text, text.lower())
)  # fmt: skip
enums = texts.filter(bool).map(lambda text: Typed("Enum", text, joined(text)))
identities = texts.filter(bool).map(lambda text: Typed("Id", text, joined(text)))
lists = st.lists(texts, max_size=4).map(lambda items: Typed("LST", items, [joined(item) for item in items]))
others = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(lambda n: Typed("I32", str(n), n)),
    st.integers(0, 2**64 - 1).map(lambda n: Typed("U64", str(n), n)),
    st.integers(0, 255).map(lambda n: Typed("By", str(n), n)),
    st.booleans().map(lambda b: Typed("B", str(b).lower(), b)),
    st.floats(allow_nan=False).map(lambda f: Typed("Db", repr(f), f)),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(lambda d: Typed("D", str(d), Decimal(str(d)))),
    st.binary(max_size=20).map(lambda b: Typed("BA", base64.b64encode(b).decode(), b)),
    st.integers(32, 0xD7FF).map(lambda n: Typed("C", str(n), chr(n))),
    st.dictionaries(texts.map(joined), texts.map(joined), max_size=3).map(lambda d: Typed("DCT", d, dict(d))),
    st.dictionaries(st.sampled_from((*WANTED, "Name")), texts, max_size=3).map(
        lambda d: Typed("Nested", d, {name: joined(text) for name, text in d.items()})
    ),
)
kinds = {
    "Guid": guids,
    "FirstSyncTime": times | nils,
    "DeviceAccessState": strings | enums | nils,
    "Identity": strings | identities | enums,
    "AllowedIDs": lists | nils,
}
any_value = st.one_of(strings, nils, guids, times, enums, identities, lists, others)
plain_objects = st.fixed_dictionaries(
    {name: kinds.get(name, strings | nils) for name in WANTED[1:]} | {"Name": any_value}
)
objects = st.dictionaries(st.sampled_from(NAMES), any_value, max_size=len(NAMES))
styles = st.builds(
    Style,
    quote=st.sampled_from("\"'"),
    space=st.sampled_from(["", "", "\n", "  ", "\r\n\t"]),
    empty=st.sampled_from([" />", "/>", ">"]),
    prefix=st.sampled_from(["", "", "p:"]),
    wrapped=st.booleans(),
    group=st.sampled_from(["Props", "MS"]),
    references=st.booleans(),
    types=st.booleans(),
    shown=st.booleans(),
    text=st.sampled_from(["plain", "plain", "references", "cdata", "comments"]),
    astral=st.booleans(),
    declared=st.booleans(),
    marked=st.booleans(),
)


class Writer:
    """Writes one message in one style."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._references = 0
        self._types: dict[str, int] = {}

    def message(self, properties: dict[str, Typed]) -> bytes:
        """The payload."""
        style = self._style
        body = style.space.join(self._typed(value, name) for name, value in properties.items())
        shown = self._element("ToString", "shown") if style.shown else ""
        head, tail = self._tag(style.group), self._close(style.group)
        inner = self._names("Selected.Device") + shown + f"{head}{style.space}{body}{style.space}{tail}"
        space = f' xmlns{":p" if style.prefix else ""}="{NAMESPACE}"' if style.prefix or style.wrapped else ""
        source = self._tag("Obj", number=True, extra="" if style.wrapped else space)
        source += inner + self._close("Obj")
        if style.wrapped:
            source = self._tag("Objs", extra=f' Version="1.1.0.1"{space}') + source + self._close("Objs")
        source = ('<?xml version="1.0" encoding="utf-16"?>' if style.declared else "") + source
        return (b"\xef\xbb\xbf" if style.marked else b"") + source.encode()

    def _typed(self, value: Typed, name: str | None = None) -> str:
        kind, source = value.kind, value.source
        if kind == "Enum":
            return self._object(name, self._element("ToString", source) + self._element("I32", "1"), "An.Enum")
        if kind == "Id":
            blob = self._tag("MS") + self._element("BA", "AAEC", "SerializationData") + self._close("MS")
            return self._object(name, self._element("ToString", source) + blob, "An.Id")
        if kind == "LST":
            items = "".join(self._element("S", item) for item in source)
            return self._object(name, self._tag("LST") + items + self._close("LST"), "A.List")
        if kind == "DCT":
            entries = "".join(
                self._tag("En") + self._element("S", k, "Key") + self._element("S", v, "Value") + self._close("En")
                for k, v in source.items()
            )
            return self._object(name, self._tag("DCT") + entries + self._close("DCT"), "A.Map")
        if kind == "Nested":
            inner = "".join(self._element("S", text, key) for key, text in source.items())
            return self._object(name, self._tag("Props") + inner + self._close("Props"), "A.Thing")
        return self._element(kind, source, name)

    def _object(self, name: str | None, inner: str, types: str) -> str:
        return self._tag("Obj", name, number=True) + self._names(types) + inner + self._close("Obj")

    def _names(self, first: str) -> str:
        if not self._style.types:
            return ""
        if first in self._types:
            return self._tag("TNRef", extra=f' RefId="{self._types[first]}"')[:-1] + " />"
        self._types[first] = len(self._types)
        names = self._element("T", first) + self._element("T", "System.Object")
        return self._tag("TN", extra=f' RefId="{self._types[first]}"') + names + self._close("TN")

    def _element(self, kind: str, text: str, name: str | None = None) -> str:
        tag = self._tag(kind, name)
        if not text and self._style.empty != ">":
            return tag[:-1] + self._style.empty
        return tag + self._text(text) + self._close(kind)

    def _tag(self, kind: str, name: str | None = None, *, number: bool = False, extra: str = "") -> str:
        quote = self._style.quote
        attributes = ""
        if name is not None:
            shown = _escaped(name, astral=True).replace("&", "&amp;").replace("<", "&lt;")
            attributes = f" N={quote}{shown.replace(quote, '&quot;' if quote == chr(34) else '&apos;')}{quote}"
        if number and self._style.references:
            attributes += f" RefId={quote}{self._references}{quote}"
            self._references += 1
        return f"<{self._style.prefix}{kind}{attributes}{extra}>"

    def _close(self, kind: str) -> str:
        return f"</{self._style.prefix}{kind}>"

    def _text(self, text: str) -> str:
        plain = _escaped(text, astral=self._style.astral)
        if self._style.text == "references":
            return "".join(f"&#x{ord(char):x};" if index % 2 else f"&#{ord(char)};" for index, char in enumerate(plain))
        if self._style.text == "cdata":
            return f"<![CDATA[{plain.replace(']]>', ']]]]><![CDATA[>')}]]>"
        if self._style.text == "comments":
            half = len(plain) // 2
            return f'{xml_escape(plain[:half])}<!-- <S N="DeviceId">no</S> -->{xml_escape(plain[half:])}<?pi <S>?>'
        return xml_escape(plain)


def _escaped(text: str, *, astral: bool) -> str:
    """CLIXML's own escapes; characters beyond the first plane may stay as they are."""
    units = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    if astral:
        return units
    return _ASTRAL.sub(lambda found: re.sub("(....)", r"_x\1_", found[0].encode("utf-16-be").hex()), units)


def expected(properties: dict[str, Typed], fields: Sequence[str] = WANTED) -> tuple[Value, ...]:
    """The row that a message of these properties must give."""
    return tuple(
        properties[field].value if field in properties and field != "SerializationData" else None for field in fields
    )


def by_psrpcore(payload: bytes) -> Any:
    """What psrpcore makes of a payload, as plain values."""
    source = payload.decode("utf-8-sig")
    source = source[source.index("?>") + 2 :] if source.startswith("<?xml") else source
    source = re.sub(rf" xmlns=\"{NAMESPACE}\"", "", source)
    source = source if source.startswith("<Objs") else f"<Objs>{source}</Objs>"
    (value,) = ps.deserialize_clixml(source, PSRemotingCrypto())
    return plain(value, outermost=True)


def plain(value: Any, *, outermost: bool = False) -> Any:
    """A value of psrpcore by our rules."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, ps.PSDict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value.PSObject._to_string is not None and not outermost:
        return str(value.PSObject._to_string)
    for kind, convert in _PLAIN:
        if isinstance(value, kind):
            return convert(value)
    meta = value.PSObject
    members = {
        member.name: plain(member.get_value(value)) for member in [*meta.adapted_properties, *meta.extended_properties]
    }
    members.pop("SerializationData", None)
    return members


def _utc(value: ps.PSDateTime) -> datetime:
    when = datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo
    )
    try:
        return when.astimezone(UTC)
    except OverflowError:
        return (datetime.min if when.year == 1 else datetime.max).replace(tzinfo=UTC)  # noqa: DTZ901


_PLAIN: list[tuple[Any, Any]] = [
    (ps.PSDateTime, _utc),
    (UUID, str),
    (bytes, bytes),
    (ps.PSChar, lambda value: chr(int(value))),
    (Decimal, Decimal),
    (str, str),
    (float, float),
    (int, int),
]


def by_pypsrp(payload: bytes) -> dict[str, Any]:
    """The properties that pypsrp reads of a payload, as it gives them."""
    found = Serializer().deserialize(payload.decode("utf-8-sig"))
    return {**found.adapted_properties, **found.extended_properties}
