"""Objects of Exchange as rows: nothing that a database cannot hold gets past this border."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost.connector.rows import LIST_LIMIT, TEXT_LIMIT, Mender, oversized
from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS
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


def test_a_device_has_its_mailbox_by_guid_and_its_times_as_text() -> None:
    """A row stands under the contract's columns, one value for each."""
    mender = Mender()
    seen = device(device_id="ABC", mailbox_dn="CN=x", first_sync_at=datetime(2026, 11, 22, 12, tzinfo=UTC))
    row = dict(zip(DEVICE_COLUMNS, mender.device(seen, "mailbox"), strict=True))
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
    assert row[DEVICE_COLUMNS.index("friendly_name")] == kept
    assert mender.mended == (text != kept)


def test_list_entries_are_mended_too() -> None:
    """A poison device id in a mailbox's list is mended where it stands."""
    mender = Mender()
    row = dict(zip(MAILBOX_COLUMNS, mender.mailbox(mailbox(allowed_ids=("good", "b\x00d"))), strict=True))
    assert row["allowed_ids"] == ["good", "b\ufffdd"]
    assert mender.mended == 1


def test_a_mailbox_with_lists_past_all_reason_is_oversized() -> None:
    """Lists that no document can carry are recognised before they are told."""
    assert oversized(mailbox(allowed_ids=("x" * 1000,) * (LIST_LIMIT // 1000 + 1)))
    assert not oversized(mailbox(allowed_ids=("x" * 64,) * 1000))
