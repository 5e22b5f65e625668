"""The documents between connector and service: both ways, unknown fields, and every malformed place named."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain import contract
from gatepost.domain.contract import Answer, CheckIn, ContractError, Facts, Kind, Scope, Status, Sync, SyncResult, Table
from gatepost.domain.desired import Desired, Entry, Level, ListName

WANTED = Desired("00000000-0000-0000-0000-000000000001", "DEV1", Level.ALLOW, "why", 4, Entry.ALLOW, (ListName.ALLOW,))
CELL = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(), max_size=20)
ROWS = st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=5)


def document(**changes: Any) -> bytes:
    """A check-in's bytes with fields changed as JSON."""
    plain = json.loads(contract.seal(CheckIn("o", 1, "i", 1, Kind.CYCLE)))
    return json.dumps(plain | changes).encode()


@given(ROWS, st.text(max_size=9))
def test_a_check_in_comes_back_as_it_was(rows: list[list[Any]], why: str) -> None:
    """Whatever is in the rows, lone surrogates too, reading what was sealed gives the same document."""
    facts = Facts(Table(("a", "b", "c"), tuple(rows)), gone=("g",), settings={"x": why}, findings=({"code": why},))
    sent = CheckIn(
        "o",
        3,
        "i",
        7,
        Kind.SYNC_BEGIN,
        5,
        Status(failure=why, mode="enforce", scope=("*", why)),
        Sync("s", Scope.QUICK, 1, 2, "ab", 3, 4),
        facts,
    )
    assert contract.read_check_in(contract.seal(sent)) == sent


def test_an_answer_comes_back_as_it_was() -> None:
    """The service's answer is read as it was written."""
    sent = Answer(
        4, "2026-01-01T00:00:00Z", "i", 120, 5, 1, 9, True, (WANTED,), sync="full", taken_away=3,
        result=SyncResult("merged", "", ({"guid": "g", "why": "w"},)),
    )  # fmt: skip
    assert contract.read_answer(contract.write_answer(sent)) == sent


def test_unknown_fields_are_ignored() -> None:
    """A newer connector may say more."""
    assert contract.read_check_in(document(novelty={"a": 1})).organization == "o"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"{", "document"),
        (b"[]", "document"),
        (b"\xff", "document"),
        (b"[" * 100_000, "document"),
        (document(contract="1"), "contract"),
        (document(organization=""), "organization"),
        (document(epoch=-1), "epoch"),
        (document(epoch=True), "epoch"),
        (document(sequence=2**64), "sequence"),
        (document(kind="steal"), "kind"),
        (document(status=[]), "status"),
        (document(sync={"sync_id": "s", "scope": "half"}), "sync.scope"),
        (document(facts={"devices": {"columns": ["a"], "rows": [[1, 2]]}}), r"facts\.devices\.rows\[0\]"),
        (document(facts={"devices": {"columns": ["a"], "rows": [[1]] * 2001}}), "facts.devices.rows"),
        (document(facts={"gone": "x"}), "facts.gone"),
        (document(facts={"findings": [1]}), r"facts\.findings\[0\]"),
        (document(outcomes={}), "outcomes"),
    ],
)
def test_a_malformed_document_is_named_by_its_place(body: bytes, place: str) -> None:
    """The error says where, so that both sides can be mended."""
    with pytest.raises(ContractError, match=f"malformed at {place}"):
        contract.read_check_in(body)


@given(ROWS, st.randoms())
def test_a_digest_does_not_depend_on_order_and_adds_up(rows: list[list[Any]], chance: Any) -> None:
    """Parts may be counted one after the other, rows in any order."""
    whole, turned, parts = contract.ListingDigest(), contract.ListingDigest(), contract.ListingDigest()
    for row in rows:
        whole.add(row)
    for row in chance.sample(rows, len(rows)):
        turned.add(row)
    for row in rows[:2]:
        parts.add(row)
    rest = contract.ListingDigest(parts.hexdigest())
    for row in rows[2:]:
        rest.add(row)
    assert whole.hexdigest() == turned.hexdigest() == rest.hexdigest()


def test_times_are_written_in_utc_with_z() -> None:
    """Whatever the zone, with the fraction where there is one."""
    assert contract.iso(None) is None
    assert contract.iso(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
    moment = datetime(2026, 1, 1, 1, 2, 3, 45, tzinfo=timezone(timedelta(hours=2)))
    assert contract.iso(moment) == "2025-12-31T23:02:03.000045Z"
