"""The writer against psrpcore's serializer and deserializer, which it shares no code with."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psrpcore._crypto import PSRemotingCrypto
from psrpcore.types import PSString, deserialize, serialize

from gatepost.lab import shapes
from gatepost.lab.clixml import TICKS, Choice, Kind, Plan, Property, Shape, escape, time_text
from gatepost.lab.rows import Device
from gatepost.lab.seeding import BEGINNING_OF_TIME, END_OF_TIME, make_organization

TEXT = st.text(max_size=40) | st.text("_xX0041AaFfD83D<>&]]'\"\x00\x1f\x7f\x9f\n😀", max_size=20)


@dataclass
class Row:
    """A row with one attribute of each kind."""

    name: str = "row"
    text: str | None = None
    number: int | None = None
    flag: bool | None = None
    guid: str | None = None
    when: int | None = None
    level: str | None = None
    names: tuple[str, ...] = ()


SHAPE = Shape(
    ("Lab.Row", "System.Object"),
    "name",
    (
        Property("Text", Kind.STRING, "text"),
        Property("Number", Kind.INT32, "number"),
        Property("Flag", Kind.BOOLEAN, "flag"),
        Property("Guid", Kind.GUID, "guid"),
        Property("When", Kind.TIME_UTC, "when"),
        Property("Level", Kind.ENUM, "level", "Lab.Level", members=("Low", "High")),
        Property("Names", Kind.LIST, "names"),
        Property("More", Kind.LIST, "names"),
    ),
)


def read(data: bytes) -> Any:
    """One object as psrpcore reads it."""
    return deserialize(ET.fromstring(data), PSRemotingCrypto())


@given(TEXT)
def test_text_is_escaped_as_psrpcore_escapes_it(text: str) -> None:
    """What the writer makes of a text is what psrpcore reads as that text."""
    element = ET.fromstring(f"<S>{escape(text)}</S>")
    found: object = deserialize(element, PSRemotingCrypto())
    assert found == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=40))
def test_text_is_written_as_psrpcore_writes_it(text: str) -> None:
    """The same text in the element, escape for escape, wherever psrpcore can write it."""
    theirs = serialize(PSString(text), PSRemotingCrypto()).text or ""
    assert (ET.fromstring(f"<S>{escape(text)}</S>").text or "") == theirs


@given(
    TEXT | st.none(),
    st.integers(-(2**31), 2**31 - 1) | st.none(),
    st.booleans() | st.none(),
    st.uuids() | st.none(),
    st.lists(TEXT, max_size=3),
)
def test_a_row_is_read_back_as_it_was(
    text: str | None, number: int | None, flag: bool | None, guid: object, names: list[str]
) -> None:
    """Null stays null and empty stays empty; lists of one type refer to the type names of the first."""
    row = Row(text=text, number=number, flag=flag, guid=str(guid) if guid else None, names=tuple(names))
    found = read(Plan(SHAPE, Choice())(row))
    assert (found.Text, found.Number, found.Flag) == (text, number, flag)
    assert (str(found.Guid) if guid else found.Guid) == row.guid
    assert list(found.Names) == names
    assert list(found.More) == names
    assert found.PSObject.type_names == ["Deserialized.Lab.Row", "Deserialized.System.Object"]


def test_the_default_form_writes_enumerations_as_text() -> None:
    """By default an enumeration is a string."""
    assert b'<S N="Level">High</S>' in Plan(SHAPE, Choice())(Row(level="High"))


def test_the_full_form_writes_enumerations_as_objects() -> None:
    """Full has type names, text, number and serialization data."""
    data = Plan(SHAPE, Choice(full=True))(Row(level="High"))
    level = ET.fromstring(data).find("Props/Obj[@N='Level']")
    assert level is not None
    assert [name.text for name in level.iterfind("TN/T")][:2] == ["Lab.Level", "System.Enum"]
    assert (level.findtext("ToString"), level.findtext("I32")) == ("High", "1")
    assert level.find("MS/BA[@N='SerializationData']") is not None


def test_the_selected_form_has_note_properties_and_its_own_type() -> None:
    """Select-Object puts what was chosen into MS, with what does not exist as null."""
    root = ET.fromstring(Plan(SHAPE, Choice(selected=("flag", "Nothing")))(Row(flag=True)))
    assert root.findtext("TN/T") == "Selected.Lab.Row"
    assert root.find("Props") is None
    assert root.find("ToString") is None
    assert [(item.tag, item.get("N"), item.text) for item in root.iterfind("MS/*")] == [
        ("B", "Flag", "true"),
        ("Nil", "Nothing", None),
    ]


@pytest.mark.parametrize(
    ("ticks", "offset", "text"),
    [
        (0, None, "1970-01-01T00:00:00.0000000Z"),
        (-1, None, "1969-12-31T23:59:59.9999999Z"),
        (1_700_000_000 * TICKS + 1, None, "2023-11-14T22:13:20.0000001Z"),
        (1_700_000_000 * TICKS, 1, "2023-11-14T23:13:20.0000000+01:00"),
        (0, -5, "1969-12-31T19:00:00.0000000-05:00"),
        (BEGINNING_OF_TIME, None, "0001-01-01T00:00:00.0000000Z"),
        (END_OF_TIME, None, "9999-12-31T23:59:59.9999999Z"),
    ],
)
def test_times_have_seven_digits_and_their_zone(ticks: int, offset: int | None, text: str) -> None:
    """From the year 1 to 9999, in UTC with Z or on the server's clock with its offset."""
    assert time_text(ticks, offset) == text


@pytest.mark.parametrize("choice", [Choice(), Choice(full=True), Choice(selected=("Guid", "DeviceId", "Identity"))])
def test_every_device_of_an_odd_organization_is_read_by_psrpcore(choice: Choice) -> None:
    """Control characters, emoji and look-alike escapes survive in all forms."""
    plan = Plan(shapes.MOBILE_DEVICE, choice)
    for device in make_organization(120).devices:
        found = read(plan(device))
        assert str(found.Guid) == device.guid
        assert found.DeviceId == device.device_id
        assert str(found.Identity) == device.identity


def test_reference_ids_are_unique_in_each_object() -> None:
    """No two objects share a RefId, and every TNRef was spelt out before."""
    organization = make_organization(60)
    mailbox, device = organization.mailboxes[0], organization.devices[0]
    for full in (False, True):
        for shape, row in ((shapes.CAS_MAILBOX, mailbox), (shapes.MOBILE_DEVICE, device)):
            root = ET.fromstring(Plan(shape, Choice(full=full))(row))
            ids = [item.get("RefId") for item in root.iter("Obj")]
            assert len(ids) == len(set(ids))
            known: set[str | None] = set()
            for item in root.iter():
                if item.tag == "TN":
                    known.add(item.get("RefId"))
                assert item.tag != "TNRef" or item.get("RefId") in known


def test_a_lone_surrogate_is_written_as_its_unit() -> None:
    """.NET strings may hold half a pair; it is escaped like any other unit."""
    assert escape("a\ud83d") == "a_xD83D_"


def test_rows_that_change_are_written_anew() -> None:
    """Remembering shared values never shows an old one."""
    plan = Plan(shapes.MOBILE_DEVICE, Choice(selected=("DeviceAccessState", "DeviceOS")))
    device: Device = make_organization(60).devices[0]
    first = plan(device)
    changed = replace(device, state="Blocked", handset=replace(device.handset, os="Other 1"))
    assert plan(changed) != first
    assert b"Other 1" in plan(changed)
