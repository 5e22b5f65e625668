"""Desired rows and outcomes: both ways, and what contradicts itself is refused by its place."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain.desired import (
    Desired,
    Entry,
    Level,
    ListName,
    Outcome,
    Presence,
    Result,
    read_desired,
    read_outcome,
)
from gatepost.domain.fields import ContractError

NAMES = st.lists(st.sampled_from(ListName), unique=True).map(lambda names: tuple(sorted(names)))
MAILBOX = str(UUID(int=7))
AT = datetime(2026, 1, 1, tzinfo=UTC)


def outcome(**changes: Any) -> dict[str, Any]:
    """An outcome that added an allow entry, as JSON, with fields changed."""
    made = Outcome(
        str(UUID(int=1)), MAILBOX, "DEV1", 5, Result.APPLIED, AT, Presence(False, False), Presence(True, False)
    )
    return {**made.document(), "added": ["allow"], **changes}


@given(
    st.text(min_size=1),
    st.sampled_from(Level),
    st.text(),
    st.integers(0, 2**63 - 1),
    st.sampled_from(Entry),
    NAMES,
    NAMES,
)
def test_a_desired_row_comes_back_as_it_was(
    device_id: str, level: Level, reason: str, revision: int, entry: Entry, owned: Any, tried: Any
) -> None:
    """Through JSON and back, whatever a device id holds."""
    row = Desired(MAILBOX, device_id, level, reason, revision, entry, owned, tried)
    assert read_desired(json.loads(json.dumps(row.document())), "desired[0]") == row


@given(st.sampled_from([result for result in Result if result is not Result.APPLIED]), st.text(), st.booleans())
def test_an_outcome_comes_back_as_it_was(result: Result, why: str, hidden: bool) -> None:
    """Through JSON and back, with lists that were not read or not shown."""
    before = Presence(None if hidden else True, False)
    sent = Outcome(str(UUID(int=1)), MAILBOX, "DEV1", 5, result, AT, before, None, controller="dc1", why=why)
    assert read_outcome(json.loads(json.dumps(sent.document())), "outcomes[0]") == sent


def test_a_change_that_was_read_back_comes_back_as_it_was() -> None:
    """What was added and removed, too."""
    after = {"after": {"allow": True, "block": False}, "before": {"allow": False, "block": True}}
    read = read_outcome(outcome(removed=["block"], **after), "o")
    assert (read.added, read.removed) == ((ListName.ALLOW,), (ListName.BLOCK,))
    assert read_outcome(read.document(), "o") == read


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mailbox": "m"}, "o.mailbox: expected a GUID"),
        ({"outcome_id": None}, "o.outcome_id: expected a text"),
        ({"device_id": ""}, "o.device_id: expected a text"),
        ({"revision": "5"}, "o.revision: expected a whole number"),
        ({"result": "done"}, "o.result: expected one of applied, unchanged"),
        ({"at": None}, "o.at: expected an ISO 8601 time"),
        ({"at": "2026-01-01T00:00:00"}, "o.at: expected a time with its zone"),
        ({"before": []}, "o.before: expected an object"),
        ({"after": {"allow": 1, "block": False}}, "o.after.allow: expected true, false or null"),
        ({"added": ["gate"]}, r"o.added\[0\]: expected one of allow, block"),
        ({"added": "allow"}, "o.added: expected a list"),
        ({"before": {"allow": True, "block": False}}, "o.added: allow contradicts what was read"),
        ({"after": {"allow": False, "block": False}}, "o.added: allow contradicts what was read"),
        ({"removed": ["allow"]}, "o.added: allow contradicts what was read"),
        ({"removed": ["block"]}, "o.removed: block contradicts what was read"),
        ({"result": "unchanged"}, "o.result: unchanged changes nothing"),
    ],
)
def test_an_outcome_that_is_none_is_named_by_its_place(change: dict[str, Any], said: str) -> None:
    """The ledger of what is ours is not built on a contradiction."""
    with pytest.raises(ContractError, match=said):
        read_outcome(outcome(**change), "o")
