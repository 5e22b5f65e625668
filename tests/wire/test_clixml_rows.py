"""The fast reader of listings gives what the general reader gives, and what psrpcore and pypsrp give."""

import re
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gatepost.errors import UnreadableObject
from gatepost.wire.clixml import Row, Rows, Value, decode
from gatepost.wire.clixml.rows import FIRST_LESSON, MAX_SHAPES
from gatepost.wire.clixml.shapes import cut
from tests.fixtures.timing import quickest
from tests.wire.clixml_objects import (
    NAMES,
    WANTED,
    Style,
    Typed,
    Writer,
    by_psrpcore,
    by_pypsrp,
    expected,
    objects,
    plain_objects,
    styles,
)

FIELDS = (*WANTED, "Absent")
_LONE = re.compile("[\ud800-\udfff]")
COMMON = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def slow(payloads: Sequence[bytes], fields: Sequence[str] = FIELDS) -> list[Row | UnreadableObject]:
    """Each message by the general reader: a fresh ``Rows`` has learned nothing."""
    return [row for payload in payloads for row in Rows(fields).decode([payload])]


def trained(payloads: Sequence[bytes], fields: Sequence[str] = FIELDS) -> Rows:
    """Rows that have learned the shapes of these messages."""
    rows = Rows(fields)
    rows.decode([payload for _ in range(FIRST_LESSON) for payload in payloads][: max(FIRST_LESSON, len(payloads))])
    return rows


def shown(rows: Sequence[Row | UnreadableObject]) -> list[object]:
    """Rows so that they can be compared: types tell, and an error is its problem."""
    return [repr(row) if isinstance(row, tuple) else (row.problem, row.excerpt) for row in rows]


def fits(rows: Rows, payload: bytes) -> bool:
    """Whether a message takes the fast path."""
    return rows._fitted(payload) is not None


def canonical(style: Style) -> bool:
    """Whether a style is one that is learned: as PowerShell writes, with or without namespace and numbers."""
    return style.quote == '"' and not style.prefix and not style.declared and style.text == "plain"


@COMMON
@given(st.lists(plain_objects, min_size=1, max_size=5), styles)
@example(
    [{"DeviceId": Typed("S", "</S><S>&", "</S><S>&"), "AllowedIDs": Typed("LST", ["</S><S>"], ["</S><S>"])}], Style()
)
def test_learned_shapes_give_what_was_written(written: list[dict[str, Typed]], style: Style) -> None:
    """Whatever the style, rows are what was written; and where the style is PowerShell's, the fast path made them."""
    payloads = [Writer(style).message(properties) for properties in written]
    rows = trained(payloads)
    assert shown(rows.decode(payloads)) == shown([expected(properties, FIELDS) for properties in written])
    odd_items = any(
        value.kind == "LST" and "" in value.source for properties in written for value in properties.values()
    )
    if canonical(style) and "\r" not in style.space and (style.empty == ">" or not odd_items):
        assert all(fits(rows, payload) for payload in payloads)


@COMMON
@given(st.lists(st.tuples(objects, styles), min_size=1, max_size=4), plain_objects)
def test_rows_agree_with_the_general_reader_and_psrpcore(
    written: list[tuple[dict[str, Typed], Style]], known: dict[str, Typed]
) -> None:
    """After one shape was learned, objects of any other give the row that the general reader and psrpcore give."""
    payloads = [Writer(style).message(properties) for properties, style in written]
    rows = trained([Writer(Style()).message(known)]).decode(payloads)
    assert shown(rows) == shown(slow(payloads))
    assert shown(rows) == shown([expected(properties, FIELDS) for properties, _ in written])
    for payload, row, (_, style) in zip(payloads, rows, written, strict=True):
        if not style.prefix and isinstance(value := by_psrpcore(payload), dict):
            assert shown([row]) == shown([tuple(value.get(field) for field in FIELDS)])


@COMMON
@given(plain_objects)
def test_rows_agree_with_pypsrp(properties: dict[str, Typed]) -> None:
    """Strings, numbers and nulls are those that pypsrp reads; it takes no half characters."""
    simple = {name: typed for name, typed in properties.items() if typed.kind in {"S", "Nil", "G"}}
    assume(not any(_LONE.search(typed.value) for typed in simple.values() if isinstance(typed.value, str)))
    payload = Writer(Style(shown=True)).message(simple)
    (row,) = trained([payload]).decode([payload])
    found = by_pypsrp(payload)
    assert isinstance(row, tuple)
    for name, value in zip(FIELDS, row, strict=True):
        theirs = found.get(name)
        assert (str(theirs) if isinstance(theirs, UUID) else theirs) == value


MARKUP = (
    b"&", b"&#x41;", b"&#0;", b"&amp;", b"&nope;", b"<", b">", b"]]>", b"\r", b"\x00", b"\x1f", b"\xff", b"",
    b"\xef\xbf\xbf", b"\xef\xbb\xbf", b"\xc2\x85", b"\xf0\x9f\x98\x80", b" ", b"\n", b"/", b'"', b"'", b"p:", b"x",
    b"<!-- -->", b"<![CDATA[x]]>", b"<?pi?>", b"<!DOCTYPE a>", b' xmlns="urn:x"', b"_x0041_", b"<S/>", b"</S>",
    b'<S N="DeviceId">x</S>', b'<Nil N="Guid" />', b'<Ref N="DeviceId" RefId="0" />', b"<T>t</T>", b"<LST>", b"</LST>",
    b"<Obj>", b"</Obj>", b"\xef\xbf\xbe",
)  # fmt: skip


@settings(COMMON, max_examples=400)
@given(
    st.lists(plain_objects, min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(MARKUP)), min_size=1, max_size=3),
    st.booleans(),
)
def test_damaged_messages_are_judged_alike(
    written: list[dict[str, Typed]], damages: list[tuple[float, int, bytes]], wrapped: bool
) -> None:
    """A message that was damaged gives the same row, or the same error, on the fast path as from the general reader."""
    payloads = [Writer(Style(wrapped=wrapped)).message(properties) for properties in written]
    rows = trained(payloads)
    damaged = payloads[0]
    for place, length, markup in damages:
        at = int(place * len(damaged))
        damaged = damaged[:at] + markup + damaged[at + length :]
    assert shown(rows.decode([damaged, *payloads])) == shown(slow([damaged, *payloads]))


SMALL = (
    '<Obj RefId="0"><TN RefId="0"><T>t</T></TN><MS><S N="Name">n</S><S N="DeviceId">de</S><Nil N="Guid" />'
    '<Obj N="AllowedIDs" RefId="1"><TNRef RefId="0" /><LST><S>a</S></LST></Obj>'
    '<Obj N="DeviceAccessState" RefId="2"><ToString>Allowed</ToString><I32>1</I32></Obj></MS></Obj>'
)


@pytest.mark.parametrize("frame", ["{}", "{}\n", "<Objs>{}</Objs>"], ids=["bare", "spaces", "wrapped"])
@pytest.mark.parametrize("markup", MARKUP)
def test_damage_at_every_place_is_judged_alike(markup: bytes, frame: str) -> None:
    """Wherever something is put into a message, or over a character of it, both paths give the same."""
    payload = frame.format(SMALL).encode()
    rows = trained([payload])
    damaged = [payload[:at] + markup + payload[at + cut_off :] for at in range(len(payload) + 1) for cut_off in (0, 1)]
    assert [row for one in damaged for row in shown(rows.decode([one]))] == shown(slow(damaged))


def listing(count: int, **more: str) -> list[bytes]:
    """Objects that differ in their id only, with further properties as they are written."""
    extra = "".join(more.values())
    return [
        f'<Obj RefId="0"><MS><S N="DeviceId">d{number}</S><S N="Identity">i</S>{extra}</MS></Obj>'.encode()
        for number in range(count)
    ]


TWO = ("DeviceId", "Identity")


def test_a_wanted_name_inside_another_object_is_not_the_property() -> None:
    """Neither path takes a nested property, wherever it stands."""
    nested = '<Obj N="Owner" RefId="1"><MS><S N="DeviceId">no</S></MS></Obj>'
    payloads = [
        f'<Obj RefId="0"><MS>{nested}<S N="Identity">i{number}</S></MS></Obj>'.encode()
        for number in range(FIRST_LESSON)
    ]
    rows = trained(payloads, TWO)
    assert fits(rows, payloads[0])
    assert rows.decode(payloads[:2]) == [(None, "i0"), (None, "i1")]
    inside = b'<Obj RefId="0"><MS><Obj N="Owner"><MS><S N="DeviceId">no</S><S N="Identity">i</S></MS></Obj></MS></Obj>'
    assert rows.decode([inside]) == [(None, None)]


@pytest.mark.parametrize(
    ("source", "row"),
    [
        (b'<Obj><MS><S N="DeviceId">a</S><S N="DeviceId">b</S></MS></Obj>', ("b", None)),
        (b'<Obj><MS><S N="DeviceId">ms</S></MS><Props><S N="DeviceId">props</S></Props></Obj>', ("ms", None)),
        (b'<Obj><MS><S N="DeviceId"></S><S N="Identity" /></MS></Obj>', ("", "")),
        (b'<Obj><MS><Nil N="DeviceId" /><Nil N="Identity"></Nil></MS></Obj>', (None, None)),
        (b'<Obj><MS><S N="Device_x0049_d">a</S></MS></Obj>', ("a", None)),
        (b'<Obj><MS><S N="deviceid">a</S></MS></Obj>', (None, None)),
        (b'<Obj><MS><Obj N="DeviceId" RefId="1"><LST /></Obj></MS></Obj>', ([], None)),
        (b'<Obj><MS><Obj N="DeviceId" RefId="1"><S>a</S></Obj><Ref N="Identity" RefId="1" /></MS></Obj>', ("a", "a")),
        (b'<Obj><MS><Obj N="DeviceId"><ToString>a</ToString><LST><S>b</S></LST></Obj></MS></Obj>', (["b"], None)),
        (b'<Obj><MS><Obj N="DeviceId"><ToString /> <I32>1</I32></Obj><S N="Identity">i</S></MS></Obj>', ("", "i")),
        (b'<Obj><MS><Obj N="DeviceId"><LST /> </Obj> <S N="Identity">i</S></MS></Obj>', ([], "i")),
        (b'<Obj><MS><Obj N="DeviceId"><LST><S>a</S></LST> </Obj> <S N="Identity">i</S></MS></Obj>', (["a"], "i")),
        (b"<Obj><MS /></Obj>", (None, None)),
        (b"<Obj />", (None, None)),
    ],
)
def test_odd_objects(source: bytes, row: tuple[Value, ...]) -> None:
    """Odd but legal objects give the same row at first sight and after many of them were seen."""
    assert Rows(TWO).decode([source]) == [row]
    assert trained([source], TWO).decode([source]) == [row]
    assert trained(listing(FIRST_LESSON), TWO).decode([source]) == [row]


def test_a_text_that_spells_markup_is_a_text() -> None:
    """An escaped tag inside a value stays inside the value, on the fast path."""
    text = '<S N="Identity">stolen</S>'
    payload = Writer(Style()).message({"DeviceId": Typed("S", text, text), "Identity": Typed("S", "mine", "mine")})
    rows = trained([payload], TWO)
    assert fits(rows, payload)
    assert rows.decode([payload]) == [(text, "mine")]


def test_the_shape_may_change_and_come_back() -> None:
    """A listing that changes its properties, order or wire form half-way is read throughout; new shapes are learned."""
    first = listing(FIRST_LESSON * 4)
    second = listing(FIRST_LESSON * 4, extra='<Nil N="Extra" />')
    full = [Writer(Style()).message({n: Typed("Id", "x", "x") for n in TWO})] * FIRST_LESSON * 8
    rows = Rows(TWO)
    found = rows.decode([*first, *second, *full, *first])
    assert found == [row for part in (first, second, full, first) for row in slow(part, TWO)]
    assert all(fits(rows, payload) for payload in (first[0], second[0], full[0]))


def test_the_number_of_learned_shapes_is_bounded() -> None:
    """However many shapes a listing has, a few are kept, and all objects are read."""
    rows = Rows(TWO)
    for shape in range(100):
        batch = listing(3, extra=f'<I32 N="P{shape}">1</I32>')
        assert rows.decode(batch) == [("d0", "i"), ("d1", "i"), ("d2", "i")]
    assert len(rows._shapes) <= MAX_SHAPES


def test_a_bad_object_leaves_the_others() -> None:
    """An unreadable object is a value in its place, with its number in the listing, the problem and its first text."""
    good = listing(FIRST_LESSON)
    rows = trained(good, ("DeviceId", "Count"))
    typed = b'<Obj RefId="0"><MS><S N="DeviceId">d</S><I32 N="Count">many</I32></MS></Obj>'
    found = rows.decode([good[0], typed, b"<Obj><MS>", good[1]])
    assert found[0] == ("d0", None)
    assert found[3] == ("d1", None)
    assert isinstance(bad := found[1], UnreadableObject)
    assert bad.number == FIRST_LESSON + 1
    assert bad.excerpt == "d many"
    assert str(bad) == (
        "Object 34 of the answer (d many) cannot be read: The property Count holds 'many', which is no I32 of CLIXML. "
        "The others are kept."
    )
    assert isinstance(broken := found[2], UnreadableObject)
    assert broken.problem.startswith("The answer is not well-formed XML: ")
    later = rows.decode([b""])[0]
    assert isinstance(later, UnreadableObject)
    assert later.number == FIRST_LESSON + 4


def test_a_bad_value_is_found_on_the_fast_path_too() -> None:
    """A value that is none of its kind makes its object unreadable, learned shape or not; an unwanted one does not."""
    many = listing(FIRST_LESSON, counted='<I32 N="Count">1</I32>')
    bad = many[0].replace(b">1<", b">one<")
    wanting = trained(many, ("DeviceId", "Count"))
    assert fits(wanting, many[0])
    (row,) = wanting.decode([bad])
    assert isinstance(row, UnreadableObject)
    assert row.problem == "The property Count holds 'one', which is no I32 of CLIXML"
    assert trained(many, TWO).decode([bad]) == [("d0", "i")]


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"<S>text</S>", "It is a single value (S), not an object with properties"),
        (b"<Nil />", "It is a single value (Nil), not an object with properties"),
        (b"<Obj><LST /></Obj>", "It is a collection or a single value, not an object with properties"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Obj />', "The answer has a DOCTYPE, which remote PowerShell never sends"),
    ],
)
def test_what_is_no_row_of_a_listing(payload: bytes, problem: str) -> None:
    """A message without properties, or one that is refused, is an unreadable object and says what it is."""
    (row,) = Rows(TWO).decode([payload])
    assert isinstance(row, UnreadableObject)
    assert row.problem == problem


def test_several_objects_in_one_wrapper_are_several_rows() -> None:
    """An ``Objs`` wrapper may hold any number of objects; each has its own number."""
    inner = b'<Obj><MS><S N="DeviceId">a</S></MS></Obj><S>x</S><Obj><MS><S N="DeviceId">b</S></MS></Obj>'
    found = Rows(TWO).decode([b"<Objs>" + inner + b"</Objs>", b"<Objs />"])
    assert found[0] == ("a", None)
    assert isinstance(bad := found[1], UnreadableObject)
    assert bad.number == 1
    assert found[2:] == [("b", None)]


@pytest.mark.parametrize("fields", [(), ("DeviceId",), ("Absent",), ("DeviceId", "DeviceId", "Identity"), NAMES])
def test_any_choice_of_fields(fields: tuple[str, ...]) -> None:
    """One field, none, absent ones and repeated ones are read after learning as before."""
    payloads = listing(FIRST_LESSON)
    assert trained(payloads, fields).decode(payloads) == slow(payloads, fields)


def test_serialized_data_is_never_a_value() -> None:
    """The .NET blob that Exchange adds for its own client is left out, even if asked for."""
    payloads = listing(FIRST_LESSON, blob='<BA N="SerializationData">AAEC</BA>')
    fields = ("DeviceId", "SerializationData")
    assert slow(payloads[:1], fields) == [("d0", None)]
    assert trained(payloads, fields).decode(payloads[:1]) == [("d0", None)]


def test_what_cannot_be_learned_is_said_by_cut() -> None:
    """References, attribute quotes, prefixes and comments are left to the general reader."""
    wanted = frozenset(TWO)
    assert cut('<Obj><MS><Ref N="DeviceId" RefId="0" /></MS></Obj>', wanted) is None
    assert cut("<Obj><MS><S N='DeviceId'>a</S></MS></Obj>", wanted) is None
    assert cut("<p:Obj />", wanted) is None
    assert cut('<Obj xmlns="urn:other" />', wanted) is None
    assert cut("<Obj><!-- --></Obj>", wanted) is None
    assert cut('<Obj><MS><Ref N="Other" RefId="0" /></MS></Obj>', wanted) is not None


@pytest.mark.parametrize(
    "body",
    [
        '<Obj N="DeviceId" RefId="1"><TN RefId="1">' + "<T>t</T>" * 5_000 + "</TN><LST>",
        '<Obj N="DeviceId" RefId="1"><TN RefId="1"><T>t</T></TN><LST>' + "<S>a</S>" * 5_000 + "<S>",
        '<S N="DeviceId">' + "a]" * 20_000 + "&",
        '<S N="DeviceId">a</S>' * 2_000,
    ],
    ids=["type names", "items", "text", "properties"],
)
def test_a_message_that_almost_fits_costs_linear_time(body: str) -> None:
    """Long messages that break off where the expression has come far are given up at once, not searched again."""
    lists = [f'<Obj RefId="0"><MS>{kind}<S N="Identity">i</S></MS></Obj>'.encode() for kind in (
        '<Obj N="DeviceId" RefId="1"><TN RefId="1"><T>t</T></TN><LST><S>a</S></LST></Obj>',
        '<Obj N="DeviceId" RefId="1"><TN RefId="1"><T>t</T></TN><ToString>a</ToString></Obj>',
        '<S N="DeviceId">a</S>',
    )]  # fmt: skip
    rows = trained(lists, TWO)
    assert all(fits(rows, payload) for payload in lists)
    message = f'<Obj RefId="0"><MS>{body}'.encode()

    def compare() -> None:
        assert not fits(rows, message)

    assert quickest(compare, 0.5) < 0.5


def test_decode_and_rows_agree_on_a_whole_object() -> None:
    """What ``decode`` gives for an object, by name, is what Rows gives for its fields."""
    payload = listing(1, more='<DT N="FirstSyncTime">2024-05-06T07:08:09.1234567Z</DT>')[0]
    value = decode(payload)
    assert isinstance(value, dict)
    assert Rows(FIELDS).decode([payload]) == [tuple(value.get(field) for field in FIELDS)]
