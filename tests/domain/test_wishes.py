"""Wishes for settings: both ways through the contract, what may be wished for, and what comes of a wish."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost.domain import contract
from gatepost.domain.contract import Answer, ContractError
from gatepost.domain.desired import Result
from gatepost.domain.wishes import Wish, WishName, WishOutcome, fault, read_wish, read_wish_outcome

GUID = "00000000-0000-0000-0000-000000000001"
WISH = Wish(GUID, WishName.DEFAULT_LEVEL, "quarantine", ("allow", ""))
TOLD = WishOutcome(
    GUID, GUID, WishName.USER_MAIL_INSERT, Result.APPLIED, datetime(2026, 1, 2, tzinfo=UTC), "", "x", "w"
)


def test_wishes_come_back_as_they_were_in_an_answer_and_one_that_cannot_be_read_stops_only_itself() -> None:
    """A wish of a later version, for a setting that is not known here, is said and left."""
    raw = json.loads(contract.write_answer(Answer(1, "t", "i", wishes=(WISH,))))
    assert contract.read_answer(json.dumps(raw).encode()).wishes == (WISH,)
    raw["wishes"].insert(0, {**raw["wishes"][0], "name": "device-limit"})
    answer = contract.read_answer(json.dumps(raw).encode())
    assert answer.wishes == (WISH,)
    [why] = answer.unreadable
    assert "wishes[0].name: expected one of default-level, user-mail-insert, ota-notification-insert" in why


def test_an_outcome_comes_back_as_it_was() -> None:
    """With what Exchange said before and after."""
    assert read_wish_outcome(TOLD.document(), "outcomes[0]") == TOLD


@pytest.mark.parametrize(
    ("read", "document", "change", "why"),
    [
        (read_wish, WISH.document(), {"wish_id": "x"}, "at p.wish_id: expected a GUID"),
        (read_wish, WISH.document(), {"known_as": [1]}, "at p.known_as: expected texts"),
        (read_wish, WISH.document(), {"value": 3}, "at p.value: expected a text"),
        (read_wish, WISH.document(), {"value": "leave"}, "at p.value: expected one of allow, quarantine, block"),
        (read_wish_outcome, TOLD.document(), {"at": "soon"}, "at p.at: expected an ISO 8601 time"),
        (read_wish_outcome, TOLD.document(), {"at": "2026-01-01T00:00:00"}, "at p.at: expected a time with its zone"),
        (read_wish_outcome, TOLD.document(), {"at": "0001-01-01T00:00+14:00"}, "at p.at: expected an ISO 8601 time"),
        (read_wish_outcome, TOLD.document(), {"after": 7}, "at p.after: expected a text"),
        (read_wish_outcome, TOLD.document(), {"result": "done"}, "at p.result: expected one of applied"),
    ],
)
def test_what_is_malformed_is_named(read: Any, document: dict[str, Any], change: dict[str, Any], why: str) -> None:
    """The place, and what was expected there."""
    with pytest.raises(ContractError) as refused:
        read({**document, **change}, "p")
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        (WishName.DEFAULT_LEVEL, "block", ""),
        (WishName.DEFAULT_LEVEL, "Block", "expected one of allow, quarantine, block"),
        (WishName.USER_MAIL_INSERT, "", ""),
        (WishName.USER_MAIL_INSERT, "x" * 256, ""),
        (WishName.USER_MAIL_INSERT, "x" * 257, "257 characters, and Exchange takes at most 256"),
        (WishName.OTA_NOTIFICATION_INSERT, "one\ntwo", "expected visible characters on one line"),
    ],
)
def test_only_what_exchange_takes_can_be_wished_for(name: WishName, value: str, why: str) -> None:
    """Levels in our words, and texts of one line that are not too long."""
    assert fault(name, value) == why


@pytest.mark.parametrize(
    ("now", "result"),
    [("Allow", None), (None, None), ("Quarantine", Result.UNCHANGED), ("Block", Result.CONFLICT)],
)
def test_a_setting_is_changed_only_from_what_was_seen(now: str | None, result: Result | None) -> None:
    """Whatever the case; as wished already, nothing is to be done; anything else is somebody's own."""
    assert WISH.verdict(now) is result
