"""Objects of Exchange as rows: nothing that a database cannot hold gets past this border."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.connector.rows import LIST_LIMIT, TEXT_LIMIT, Mender, RowText, canonical, oversized
from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, iso, row_text
from gatepost.domain.devices import Device, Mailbox


def device(**fields: Any) -> Device:
    """A device with some fields set."""
    empty: dict[str, Any] = dict.fromkeys(Device._fields)
    return Device(**(empty | {"guid": "guid"} | fields))


def mailbox(**fields: Any) -> Mailbox:
    """A mailbox with some fields set."""
    empty: dict[str, Any] = dict.fromkeys(Mailbox._fields)
    given = {"guid": "guid", "kind": "user", "allowed_ids": (), "blocked_ids": ()}
    return Mailbox(**(empty | given | fields))


def read(columns: tuple[str, ...], row: RowText) -> dict[str, Any]:
    """A row's values under their columns."""
    values = json.loads(row.text)
    assert values[0] == row.guid
    return dict(zip(columns, values, strict=True))


def test_a_device_has_its_mailbox_by_guid_and_its_times_as_text() -> None:
    """A row stands under the contract's columns, one value for each."""
    mender = Mender()
    seen = device(device_id="ABC", mailbox_dn="CN=x", first_sync_at=datetime(2026, 11, 22, 12, tzinfo=UTC))
    row = read(DEVICE_COLUMNS, mender.device(seen, "mailbox"))
    assert (row["guid"], row["device_id"], row["mailbox_guid"]) == ("guid", "ABC", "mailbox")
    assert row["first_sync_at"] == "2026-11-22T12:00:00Z"
    assert mender.mended == 0


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Zoë 日本 📱", "Zoë 日本 📱"),
        ("a\x00b", "a\ufffdb"),
        ("half \ud83d here", "half \ufffd here"),
        ("\udcff", "\ufffd"),
        ("bell \x07 stays", "bell \x07 stays"),
        ("é" * (TEXT_LIMIT + 9), "é" * TEXT_LIMIT),
        ("x" * (TEXT_LIMIT + 9), "x" * TEXT_LIMIT),
    ],
)
def test_text_that_a_database_cannot_hold_is_mended(text: str, kept: str) -> None:
    """NUL and half characters become U+FFFD, an overlong text is cut, and it is counted; all else stays as it is."""
    mender = Mender()
    row = mender.device(device(friendly_name=text), None)
    assert read(DEVICE_COLUMNS, row)["friendly_name"] == kept
    assert mender.mended == (text != kept)


def test_list_entries_are_mended_too() -> None:
    """A poison device id in a mailbox's list is mended where it stands."""
    mender = Mender()
    row = read(MAILBOX_COLUMNS, mender.mailbox(mailbox(allowed_ids=("good", "b\x00d"))))
    assert row["allowed_ids"] == ["good", "b\ufffdd"]
    assert mender.mended == 1


def test_a_mailbox_with_lists_past_all_reason_is_oversized() -> None:
    """Lists that no document can carry are recognised before they are told."""
    assert oversized(mailbox(allowed_ids=("x" * 1000,) * (LIST_LIMIT // 1000 + 1)))
    assert not oversized(mailbox(allowed_ids=("x" * 64,) * 1000))


WORDS = st.one_of(st.text(), st.text('\x00\x07\x1f "\\/\x7f\x80§é€日\u2028\ufeff\uffff📱\U0010ffff\ud83d\udc00'))
MOMENTS = st.datetimes(timezones=st.just(UTC))


def defined(values: tuple[Any, ...]) -> list[Any]:
    """Values as the contract has them in a row."""
    return [iso(value) if isinstance(value, datetime) else value for value in values]


@given(st.lists(st.one_of(WORDS, MOMENTS, st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.tuples(WORDS))))
def test_canonical_text_is_the_contract_s_byte_for_byte(values: list[Any]) -> None:
    """Whatever stands in a row, the text is what ``row_text`` makes of it; half a character is refused."""
    try:
        text = canonical(values)
    except UnicodeEncodeError:
        assert any("\ud800" <= char <= "\udfff" for word in values for char in str(word) + "".join(word_of(word)))
        return
    assert text.encode("ascii") == row_text(defined(tuple(values)))


def word_of(value: Any) -> tuple[str, ...]:
    """The texts of a list."""
    return value if isinstance(value, tuple) else ()


@given(WORDS, WORDS, st.none() | MOMENTS)
def test_rows_are_the_contract_s_byte_for_byte(name: str, system: str, moment: datetime | None) -> None:
    """A device's row is the definition's text of its mended values, whether it took the short way or not."""
    seen = device(friendly_name=name, os=system, first_sync_at=moment)
    row = Mender().device(seen, "mailbox")
    values = read(DEVICE_COLUMNS, row)
    assert row.text.encode("ascii") == row_text(list(values.values()))
    assert values["first_sync_at"] == iso(moment)
    assert [values["friendly_name"], values["os"]] == [mended(name), mended(system)]


def mended(text: str) -> str:
    """A text without NUL and half characters, character by character."""
    return "".join("\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in text)


def test_a_long_list_of_good_ids_is_told_as_it_is() -> None:
    """A row may be longer than a text may be."""
    ids = tuple(f"{number:032x}" for number in range(500))
    mender = Mender()
    assert read(MAILBOX_COLUMNS, mender.mailbox(mailbox(allowed_ids=ids)))["allowed_ids"] == list(ids)
    assert mender.mended == 0
