"""The general reader of CLIXML: every kind of value, both wire forms, and every way to refuse a payload."""

import base64
import math
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost.errors import UnsafeXml, WireError
from gatepost.wire.clixml import Value, decode, type_names
from gatepost.wire.clixml.rows import excerpt
from tests.fixtures.timing import quickest
from tests.wire.clixml_objects import Style, Typed, Writer, by_psrpcore, objects, styles

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(objects, styles)
def test_objects_are_read_as_written_and_as_psrpcore_reads_them(properties: dict[str, Typed], style: Style) -> None:
    """Every property comes back, whatever the style of writing, with the value that psrpcore gives."""
    payload = Writer(style).message(properties)
    value = decode(payload)
    wanted = {name: typed.value for name, typed in properties.items() if name != "SerializationData"}
    if wanted:
        assert value == wanted
    if wanted and not style.prefix:
        assert by_psrpcore(payload) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("<S>text</S>", "text"),
        ("<S></S>", ""),
        ("<S />", ""),
        ("<Nil />", None),
        ("<S>_x000A__x0000_</S>", "\n\x00"),
        ("<S>_xD83D__xDE00_</S>", "\U0001f600"),
        ("<S>_xDE00__xD83D_</S>", "\ude00\ud83d"),
        ("<S>_x005F_x0041_</S>", "_x0041_"),
        ("<S>_x005f_</S>", "_"),
        ("<S>_X0041__x41_ _x0041</S>", "_X0041__x41_ _x0041"),
        ("<S>a<!-- b -->c<![CDATA[<d>]]>&#101;&amp;</S>", "ac<d>e&"),
        ("<B>true</B>", True),
        ("<B>False</B>", False),
        ("<B> 1 </B>", True),
        ("<I16>-3</I16>", -3),
        ("<I32>2147483647</I32>", 2_147_483_647),
        ("<I64>-9223372036854775808</I64>", -(2**63)),
        ("<U16>7</U16>", 7),
        ("<U32>4294967295</U32>", 4_294_967_295),
        ("<U64>18446744073709551615</U64>", 2**64 - 1),
        ("<By>255</By>", 255),
        ("<SB>-128</SB>", -128),
        ("<D>12.3400</D>", Decimal("12.3400")),
        ("<Db>1.5E+300</Db>", 1.5e300),
        ("<Db>-INF</Db>", -math.inf),
        ("<Sg>0.5</Sg>", 0.5),
        ("<C>233</C>", "é"),
        ("<C>55357</C>", "\ud83d"),
        ("<TS>PT1H2.5S</TS>", "PT1H2.5S"),
        ("<URI>http://x/_x0041_</URI>", "http://x/A"),
        ("<Version>15.2.1118.7</Version>", "15.2.1118.7"),
        ("<SBK>Get-Item _x000A_</SBK>", "Get-Item \n"),
        ("<XD>&lt;a /&gt;</XD>", "<a />"),
        ("<SS>AAEC</SS>", None),
        ("<BA>AAEC\n AwQ=</BA>", b"\x00\x01\x02\x03\x04"),
        ("<BA />", b""),
        ("<G>AB3C2F6E-0000-4000-8000-00000000000F</G>", "ab3c2f6e-0000-4000-8000-00000000000f"),
        ("<Whatever>some _x0041_</Whatever>", "some A"),
        ("<PR><AV>Reading</AV><AI>3</AI><PC>-1</PC><T>Processing</T></PR>",
         {"Activity": "Reading", "ActivityId": 3, "PercentComplete": -1, "RecordType": "Processing"}),
        ('<Obj><TN RefId="0"><T>An.Enum</T></TN><ToString>Allowed</ToString><I32>1</I32></Obj>', "Allowed"),
        ("<Obj><I32>5</I32></Obj>", 5),
        ('<Obj><S>text</S><MS><S N="Note">n</S></MS></Obj>', "text"),
        ("<Obj><ToString>shown</ToString></Obj>", "shown"),
        ("<Obj />", {}),
        ("<Obj><LST><S>a</S><Nil /><I32>1</I32></LST></Obj>", ["a", None, 1]),
        ("<Obj><QUE><S>a</S></QUE></Obj>", ["a"]),
        ("<Obj><STK><S>a</S></STK></Obj>", ["a"]),
        ("<Obj><IE><S>a</S></IE></Obj>", ["a"]),
        ('<Obj><DCT><En><S N="Key">a</S><I32 N="Value">1</I32></En></DCT></Obj>', {"a": 1}),
        ('<Obj><DCT><En><I32 N="Key">1</I32><Nil N="Value" /></En></DCT></Obj>', {"1": None}),
        ('<Obj><Props><S N="A">p</S><S N="B">p</S></Props><MS><S N="A">m</S></MS></Obj>', {"A": "m", "B": "p"}),
        ('<Obj><ToString>t</ToString><Props><S N="A">p</S></Props></Obj>', {"A": "p"}),
        ("<Objs><S>a</S></Objs>", "a"),
        ("<Objs><S>a</S><S>b</S></Objs>", ["a", "b"]),
        ("<Objs />", []),
    ],
)  # fmt: skip
def test_values(source: str, value: Value) -> None:
    """Each kind of element becomes the plain value of its kind."""
    found = decode(source.encode("utf-8"))
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-05-06T07:08:09.1234567Z", datetime(2024, 5, 6, 7, 8, 9, 123_456, tzinfo=UTC)),
        ("2024-05-06T07:08:09.1234567+02:00", datetime(2024, 5, 6, 5, 8, 9, 123_456, tzinfo=UTC)),
        ("2024-05-06T07:08:09-03:30", datetime(2024, 5, 6, 10, 38, 9, tzinfo=UTC)),
        ("2024-05-06T07:08:09.5", datetime(2024, 5, 6, 7, 8, 9, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00", FIRST),
        ("0001-01-01T00:00:00+01:00", FIRST),
        ("9999-12-31T23:59:59.9999999", LAST),
        ("9999-12-31T23:59:59.9999999-01:00", LAST),
    ],
)
def test_times_are_in_utc(text: str, value: datetime) -> None:
    """A time is aware and in UTC; the limits of the calendar hold what an offset would carry over them."""
    found = decode(f"<DT>{text}</DT>".encode())
    assert found == value
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC


def test_both_wire_forms_give_the_same_values() -> None:
    """An object inside another is its text, so that the Full form gives what the default form gives."""
    default = '<S N="Identity">a/b</S><S N="State">Allowed</S><Obj N="Ids" RefId="1"><LST><S>1</S></LST></Obj>'
    blob = '<MS><BA N="SerializationData">AAEAAAD/////</BA></MS>'
    full = (
        f'<Obj N="Identity" RefId="1"><TN RefId="1"><T>An.Id</T></TN><ToString>a/b</ToString>'
        f'<Props><S N="Name">b</S></Props>{blob}</Obj>'
        '<Obj N="State" RefId="2"><TN RefId="2"><T>An.Enum</T></TN><ToString>Allowed</ToString><I32>1</I32></Obj>'
        f'<Obj N="Ids" RefId="3"><TN RefId="3"><T>A.List</T></TN><LST><S>1</S></LST>{blob}</Obj>'
    )
    values = [decode(f'<Obj RefId="0"><Props>{form}</Props></Obj>'.encode()) for form in (default, full)]
    assert values[0] == values[1] == {"Identity": "a/b", "State": "Allowed", "Ids": ["1"]}


def test_an_inner_object_without_a_text_is_opened() -> None:
    """Without ToString the properties of an inner object are all that there is to know."""
    payload = b'<Obj><MS><Obj N="Owner"><MS><S N="Name">n</S><BA N="SerializationData">AA==</BA></MS></Obj></MS></Obj>'
    assert decode(payload) == {"Owner": {"Name": "n"}}


def test_references_lead_to_what_was_written_before() -> None:
    """Ref stands for the last object of that number before it; an object that holds itself shows its text there."""
    payload = (
        b'<Obj RefId="0"><ToString>me</ToString><Props><Obj N="A" RefId="1"><LST><S>x</S></LST></Obj>'
        b'<Ref N="B" RefId="1" /><Obj N="C" RefId="1"><LST><S>y</S></LST></Obj><Ref N="D" RefId="1" />'
        b'<Ref N="Self" RefId="0" /></Props></Obj>'
    )
    assert decode(payload) == {"A": ["x"], "B": ["x"], "C": ["y"], "D": ["y"], "Self": "me"}


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        (
            b'<Obj><TN RefId="0"><T>Selected.Device</T><T>System.Object</T></TN></Obj>',
            ("Selected.Device", "System.Object"),
        ),
        (b'<Objs><Obj><TN RefId="0"><T>A</T></TN></Obj></Objs>', ("A",)),
        (b"<Obj><MS /></Obj>", ()),
        (b"<S>a</S>", ()),
        (b"<Objs />", ()),
    ],
)
def test_type_names(payload: bytes, names: tuple[str, ...]) -> None:
    """The type names are those of the outermost object, most derived first."""
    assert type_names(payload) == names


def test_type_names_by_reference() -> None:
    """A TNRef stands for the names that an earlier object was given."""
    payload = b'<Objs><Obj RefId="0"><TN RefId="0"><T>A</T></TN></Obj><Obj RefId="1"><TNRef RefId="0" /></Obj></Objs>'
    second = payload.replace(b'<Obj RefId="0"><TN', b'<Obj RefId="0"><MS><Obj N="x"><TN').replace(
        b'</TN></Obj>', b'</TN></Obj></MS><TNRef RefId="0" /></Obj>'
    )  # fmt: skip
    assert type_names(payload) == ("A",)
    assert type_names(second) == ("A",)


WELL_FORMED = "The answer is not well-formed XML: "
DOCTYPE = "The answer has a DOCTYPE, which remote PowerShell never sends."
DEEP = "An object of the answer is nested more than 32 elements deep."
LONG = "is longer than 1,048,576 characters."
MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("payload", "kind", "sentence"),
    [
        (b'<!DOCTYPE S SYSTEM "file:///etc/passwd"><S>a</S>', UnsafeXml, DOCTYPE),
        (b'<!DOCTYPE S [<!ENTITY a "b">]><S>&a;</S>', UnsafeXml, DOCTYPE),
        (b" \n<!-- --><!DOCTYPE S><S/>", UnsafeXml, DOCTYPE),
        (b"<Obj><MS>" * 500 + b"</MS></Obj>" * 500, UnsafeXml, DEEP),
        (b"<Obj><MS>" * 17 + b"</MS></Obj>" * 17, UnsafeXml, DEEP),
        (b"<S " + b" ".join(b'a%d="1"' % n for n in range(17)) + b">a</S>", UnsafeXml,
         "An element of the answer has more than 16 attributes."),
        (b'<Obj><MS><S N="Note">' + b"x" * 2 * MEBIBYTE + b"</S></MS></Obj>", UnsafeXml, f"The property Note {LONG}"),
        (b'<Obj><MS><S N="Note">' + b"x" * 12 * MEBIBYTE + b"</S></MS></Obj>", UnsafeXml, f"The property Note {LONG}"),
        (b'<Obj><MS><Obj N="Ids"><LST>' + b"<S>0123456789</S>" * 110_000 + b"</LST></Obj></MS></Obj>", UnsafeXml,
         f"The property Ids {LONG}"),
        (b"<S>" + b"x" * 2 * MEBIBYTE + b"</S>", UnsafeXml, f"A value of the answer {LONG}"),
        (b"<S>" + b" " * 16 * MEBIBYTE + b"</S>", UnsafeXml,
         "A message of the answer is longer than 16,777,216 bytes."),
        (b"<Objs>" + b"<S/>" * 400_000 + b"</Objs>", UnsafeXml,
         "A message of the answer has more than 200,000 elements."),
        (b"", WireError, WELL_FORMED),
        (b"not xml", WireError, WELL_FORMED),
        (b"<Obj><MS>", WireError, WELL_FORMED),
        (b"<S>a</S><S>b</S>", WireError, WELL_FORMED),
        (b"<S>&nope;</S>", WireError, WELL_FORMED),
        (b"<S>\x07</S>", WireError, WELL_FORMED),
        (b"<p:S>a</p:S>", WireError, WELL_FORMED),
        (b"<S>\xff</S>", WireError, "The answer is not UTF-8 at byte 3."),
        ("<S>a</S>".encode("utf-16"), WireError, "The answer is not UTF-8 at byte 0."),
        ("<S>a</S>".encode("utf-16-le"), WireError, WELL_FORMED),
        (b'<Obj><MS><I32 N="Count">many</I32></MS></Obj>', WireError,
         "The property Count holds 'many', which is no I32 of CLIXML."),
        (b"<I32>" + b"1" * 5_000 + b"</I32>", WireError,
         f"A value holds '{'1' * 60}', which is no I32 of CLIXML."),
        (b"<I32 />", WireError, "A value holds '', which is no I32 of CLIXML."),
        (b'<Obj><MS><DT N="When">yesterday</DT></MS></Obj>', WireError,
         "The property When holds 'yesterday', which is no DT of CLIXML."),
        (b"<DT>2024-02-30T00:00:00Z</DT>", WireError,
         "A value holds '2024-02-30T00:00:00Z', which is no DT of CLIXML."),
        (b"<B>maybe</B>", WireError, "A value holds 'maybe', which is no B of CLIXML."),
        (b"<D>1,5</D>", WireError, "A value holds '1,5', which is no D of CLIXML."),
        (b"<Db>x</Db>", WireError, "A value holds 'x', which is no Db of CLIXML."),
        (b"<C>1114112</C>", WireError, "A value holds '1114112', which is no C of CLIXML."),
        (b"<BA>A!==</BA>", WireError, "A value holds 'A!==', which is no BA of CLIXML."),
        (b'<Ref RefId="7" />', WireError, "The answer refers to Obj 7, which it does not contain."),
        (b'<Obj><TNRef RefId="7" /></Obj>', None, ""),
        (b'<Obj><DCT><En><S N="Key">a</S></En></DCT></Obj>', WireError,
         "A dictionary of the answer has an entry without a key or a value."),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else "",
)  # fmt: skip
def test_a_payload_that_cannot_be_read_says_why(payload: bytes, kind: type[WireError] | None, sentence: str) -> None:
    """A refused payload raises an error of ours that names the cause; unknown type names alone are no reason."""
    if kind is None:
        assert decode(payload) == {}
        return
    with pytest.raises(kind) as caught:
        decode(payload)
    assert str(caught.value).startswith(sentence)
    assert type(caught.value) is kind


def test_references_cannot_unfold_without_end() -> None:
    """Objects that refer to each other ten times each are refused once they unfold to too much."""
    levels = [f'<Obj N="L0" RefId="0"><LST>{"<S>x</S>" * 10}</LST></Obj>']
    for level in range(1, 12):
        references = f'<Ref RefId="{level - 1}" />' * 10
        levels.append(f'<Obj N="L{level}" RefId="{level}"><LST>{references}</LST></Obj>')
    payload = f"<Obj><MS>{''.join(levels)}</MS></Obj>".encode()
    with pytest.raises(UnsafeXml, match=r"^The answer unfolds to more than 200,000 elements\.$"):
        decode(payload)


def test_a_chain_of_references_is_as_deep_as_nesting() -> None:
    """Objects that each refer to the one before are refused at the depth of nested ones, with no RecursionError."""
    links = ['<Obj N="L0" RefId="0"><LST /></Obj>']
    links += [f'<Obj N="L{n}" RefId="{n}"><LST><Ref RefId="{n - 1}" /></LST></Obj>' for n in range(1, 1_000)]
    with pytest.raises(UnsafeXml, match=r"^An object of the answer is nested more than 32 elements deep\.$"):
        decode(f"<Obj><MS>{''.join(links)}</MS></Obj>".encode())


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text("<>/&;SOobjNilRefId=\"' !-[]T", max_size=60).map(str.encode))
def test_any_bytes_give_a_value_or_an_error_of_ours(payload: bytes) -> None:
    """No input whatever raises anything but a WireError."""
    with suppress(WireError):
        assert isinstance(type_names(payload), tuple)
        decode(payload)


def test_many_references_are_followed_in_linear_time() -> None:
    """A hundred thousand references are looked up, not searched for, before the answer is refused or read."""
    links = '<Ref RefId="1" />' * 90_000
    payload = f'<Objs><Obj RefId="1"><ToString>x</ToString></Obj><Obj><LST>{links}</LST></Obj></Objs>'.encode()

    def read() -> None:
        value = decode(payload)
        assert isinstance(value, list)
        assert value[1] == ["x"] * 90_000

    assert quickest(read, 5.0) < 5.0


def test_references_to_crowded_objects_are_counted() -> None:
    """An object with very many parts, referred to very often, is refused before it was read often."""
    parts, links = '<TNRef RefId="0" />' * 90_000, '<Ref RefId="1" />' * 90_000
    payload = f'<Objs><Obj RefId="1">{parts}</Obj><Obj RefId="2"><LST>{links}</LST></Obj></Objs>'.encode()
    with pytest.raises(UnsafeXml, match=r"^The answer unfolds to more than 200,000 elements\.$"):
        decode(payload)
    inside = f'<Obj RefId="1">{parts}<ToString>x</ToString><LST>{links}</LST></Obj>'.encode()
    assert decode(inside) == ["x"] * 90_000


def test_the_excerpt_is_readable_text() -> None:
    """An excerpt has the values without tags and type names, no control characters, and an end."""
    payload = b'\xef\xbb\xbf<Obj><TN><T>A.Type</T></TN><MS><S N="A">one\x07</S><S N="B">two\n</S>' + b"<S>x</S>" * 400
    assert excerpt(payload).startswith("one two x x")
    assert len(excerpt(payload)) == 200
    assert excerpt(b"\xff<S>") == "�"


def test_base64_of_any_length_is_bytes() -> None:
    """A byte array comes back whole."""
    data = bytes(range(256)) * 100
    assert decode(b"<BA>" + base64.encodebytes(data) + b"</BA>") == data
