"""Whose an entry is: the rules one by one, and the same ownership from the same readings in any order."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain.desired import ListName, Outcome, Presence, Result
from gatepost.domain.ledger import (
    OWNED,
    READINGS_KEPT,
    Did,
    Ownership,
    Reading,
    Story,
    adopting,
    read_story,
    reading,
    returning,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING, ADDED, REMOVED, MAYBE, ADOPTED, RETURNED = (
    Did.NOTHING,
    Did.ADDED,
    Did.REMOVED,
    Did.MAYBE,
    Did.ADOPTED,
    Did.RETURNED,
)


def story(*steps: tuple[Did, bool | None] | tuple[Did, bool | None, int, bool], revision: int = 5) -> Story:
    """A story of readings one after the other: what we did, what was seen, in which memory, and whether it doubts."""
    told = Story()
    for number, step in enumerate(steps):
        did, saw, memory, doubted = (*step, 1, False)[:4] if len(step) == 2 else step
        name = str(UUID(int=number))
        told = told.told(Reading(memory, revision, START + timedelta(seconds=number), name, did, saw, doubted))
    return told


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], Ownership.INTENDED),
        ([(NOTHING, False)], Ownership.INTENDED),
        ([(NOTHING, None)], Ownership.INTENDED),
        ([(ADDED, True)], Ownership.OURS),
        ([(ADDED, True), (NOTHING, True)], Ownership.OURS),
        ([(ADDED, True), (NOTHING, True, 2, True)], Ownership.OURS),
        ([(ADDED, True), (NOTHING, False)], Ownership.INTENDED),
        ([(ADDED, True), (NOTHING, False), (NOTHING, True)], Ownership.FOREIGN),
        ([(NOTHING, True)], Ownership.FOREIGN),
        ([(NOTHING, True), (NOTHING, True, 2, True)], Ownership.FOREIGN),
        ([(NOTHING, True, 2, True)], Ownership.PRESUMED),
        ([(NOTHING, False, 2, True), (NOTHING, True, 2, True)], Ownership.FOREIGN),
        ([(NOTHING, False), (NOTHING, True, 2, True)], Ownership.PRESUMED),
        ([(NOTHING, None, 2, True), (NOTHING, True, 2, True)], Ownership.PRESUMED),
        ([(MAYBE, None), (NOTHING, True)], Ownership.PRESUMED),
        ([(MAYBE, False), (NOTHING, True)], Ownership.PRESUMED),
        ([(MAYBE, None), (NOTHING, False), (NOTHING, True)], Ownership.FOREIGN),
        ([(MAYBE, None), (ADDED, True)], Ownership.OURS),
        ([(ADDED, True), (MAYBE, None), (NOTHING, True)], Ownership.OURS),
        ([(ADOPTED, True)], Ownership.OURS),
        ([(NOTHING, True), (ADOPTED, True), (NOTHING, True)], Ownership.OURS),
        ([(NOTHING, False), (ADOPTED, True), (NOTHING, True, 2, True)], Ownership.OURS),
        ([(ADOPTED, True), (NOTHING, False)], Ownership.INTENDED),
        ([(ADOPTED, True), (NOTHING, False), (NOTHING, True)], Ownership.FOREIGN),
        ([(NOTHING, True), (ADOPTED, True), (RETURNED, None)], Ownership.FOREIGN),
        ([(ADOPTED, True), (RETURNED, None), (NOTHING, True, 2, True)], Ownership.FOREIGN),
        ([(ADOPTED, True), (RETURNED, None), (ADOPTED, True)], Ownership.OURS),
        ([(RETURNED, None), (NOTHING, True)], Ownership.FOREIGN),
        ([(ADDED, True), (ADOPTED, True), (RETURNED, None)], Ownership.OURS),
        ([(MAYBE, None), (NOTHING, True), (ADOPTED, True), (RETURNED, None)], Ownership.PRESUMED),
        ([(ADOPTED, True), (REMOVED, False), (ADDED, True), (RETURNED, None)], Ownership.OURS),
    ],
)
def test_a_wanted_entry_is_called(steps: list[Any], expected: Ownership) -> None:
    """By what was read of it, and by what a write of ours may have done."""
    assert story(*steps).state.ownership(None) is expected


@pytest.mark.parametrize(
    ("steps", "released", "expected"),
    [
        ([(ADDED, True), (REMOVED, False)], 5, Ownership.WITHDRAWN),
        ([(ADDED, True), (NOTHING, False)], 5, Ownership.WITHDRAWN),
        ([(NOTHING, False)], 5, Ownership.WITHDRAWN),
        ([(NOTHING, False)], 6, Ownership.INTENDED),
        ([(MAYBE, False)], 5, Ownership.INTENDED),
        ([(ADDED, True)], 5, Ownership.OURS),
        ([(NOTHING, True)], 5, Ownership.FOREIGN),
        ([(ADOPTED, True)], 0, Ownership.OURS),
        ([(ADOPTED, True), (REMOVED, False)], 5, Ownership.WITHDRAWN),
        ([], 5, Ownership.INTENDED),
    ],
)
def test_an_entry_that_is_wanted_no_more_is_called(steps: list[Any], released: int, expected: Ownership) -> None:
    """Withdrawn once it was read to be gone under the revision that wants it no more, or a later one."""
    assert story(*steps).state.ownership(released) is expected


@pytest.mark.parametrize(
    ("steps", "before"),
    [
        ([(NOTHING, True)], True),
        ([(ADOPTED, True)], True),
        ([(ADDED, True)], False),
        ([(MAYBE, None), (NOTHING, True)], False),
    ],
)
def test_that_it_was_there_before_us_is_remembered(steps: list[Any], before: bool) -> None:
    """The first that was ever known of an entry tells that."""
    assert story(*steps, (NOTHING, False)).state.present_before is before


READINGS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 4),
        st.integers(0, 9),
        st.sampled_from(Did),
        st.sampled_from([True, False, None]),
    ),
    max_size=12,
)


def readings(steps: list[tuple[int, int, int, Did, bool | None]]) -> list[Reading]:
    """Readings that can be: what was added or adopted is there, what was removed is not; a later memory doubts."""
    seen = {ADDED: True, REMOVED: False, ADOPTED: True, RETURNED: None}
    return [
        Reading(
            memory, revision, START + timedelta(seconds=at), str(UUID(int=number)), did, seen.get(did, saw), memory > 1
        )
        for number, (memory, revision, at, did, saw) in enumerate(steps)
    ]


@given(READINGS, st.randoms(), st.none() | st.integers(1, 5))
def test_any_order_and_repetition_gives_the_same_ownership(steps: Any, chance: Any, released: int | None) -> None:
    """However outcomes travel, the ledger says the same in the end; also after it was kept and read again."""
    told = readings(steps)
    ordered, mixed = Story(), Story()
    for each in sorted(told):
        ordered = ordered.told(each)
    for each in chance.sample(told, len(told)) + chance.choices(told, k=5) if told else []:
        mixed = read_story(json.loads(json.dumps(mixed.document()))).told(each)
    assert mixed == ordered
    assert mixed.state.ownership(released) is ordered.state.ownership(released)


@given(READINGS, st.randoms())
def test_an_entry_that_was_there_before_any_try_is_never_ours(steps: Any, chance: Any) -> None:
    """Until it is read to be gone: whatever is told of it meanwhile, a write that added it included by nobody."""
    told = [
        replace(each, did=NOTHING if each.did in (ADDED, ADOPTED) else each.did, saw=True)
        for each in readings(steps)
        if each.did is not REMOVED
    ]
    first = Reading(1, 0, START - timedelta(1), str(UUID(int=99)), NOTHING, True, False)
    mixed = Story()
    for each in chance.sample([first, *told], len(told) + 1):
        mixed = mixed.told(each)
    assert mixed.state.ownership(None) is Ownership.FOREIGN
    assert mixed.state.present_before


@given(READINGS, st.randoms())
def test_what_was_adopted_and_returned_is_ours_only_by_a_write_of_ours(steps: Any, chance: Any) -> None:
    """Without a write that added it, or may have, no order of readings leaves a returned entry with us."""
    told = [
        replace(each, did=NOTHING, doubted=False) if each.did in (ADDED, MAYBE) else replace(each, doubted=False)
        for each in readings(steps)
    ]
    last = returning("returned", 4, 9, START)
    mixed = Story()
    for each in chance.sample([*told, last], len(told) + 1):
        mixed = mixed.told(each)
    assert mixed.state.ownership(None) not in OWNED
    assert not mixed.state.adopted


@given(READINGS, st.randoms())
def test_an_adoption_leaves_what_is_ours_by_a_write_as_it_was(steps: Any, chance: Any) -> None:
    """Adopted and returned again, an entry that was ours, or presumed to be, is called what it was called before."""
    told = [each for each in readings(steps) if each.did not in (ADOPTED, RETURNED)]
    before = Story()
    for each in told:
        before = before.told(each)
    acts = [adopting("adopted", 4, 9, START), returning("returned", 4, 9, START + timedelta(1))]
    after = Story()
    for each in chance.sample([*told, *acts], len(told) + 2):
        after = after.told(each)
    owned = before.state.there and before.state.owner in OWNED
    assert after.state.owner is (before.state.owner if owned else Ownership.FOREIGN)


def test_a_story_from_before_adoption_is_read() -> None:
    """What was kept by an earlier version has no word of it."""
    told = story((ADDED, True), *[(NOTHING, True)] * READINGS_KEPT)
    document = told.document()
    document["base"].pop()
    assert read_story(document) == told


def test_a_long_story_keeps_its_end_and_what_came_before_it() -> None:
    """Only the newest readings are kept, with what the older ones came to."""
    told = story((ADDED, True), *[(NOTHING, True)] * (READINGS_KEPT + 20))
    assert len(told.readings) == READINGS_KEPT
    assert told.state.ownership(None) in OWNED
    ancient = Reading(1, 1, START - timedelta(1), "x", REMOVED, False, False)
    assert told.told(ancient) == told


@pytest.mark.parametrize(
    ("changes", "wanted", "did", "saw"),
    [
        ({"result": Result.APPLIED, "added": (ListName.ALLOW,)}, True, ADDED, True),
        ({"result": Result.APPLIED, "removed": (ListName.ALLOW,)}, False, REMOVED, False),
        ({"result": Result.UNCHANGED, "after": Presence(True, False)}, True, NOTHING, True),
        ({"result": Result.REFUSED, "before": Presence(False, False)}, True, NOTHING, False),
        ({"result": Result.UNCERTAIN}, True, MAYBE, None),
        ({"result": Result.UNCERTAIN}, False, NOTHING, None),
        ({"result": Result.UNCERTAIN, "before": Presence(False, None)}, True, MAYBE, False),
        ({"result": Result.UNCERTAIN, "before": Presence(True, None)}, True, NOTHING, True),
        ({"result": Result.CONFLICT, "before": Presence(None, True)}, True, NOTHING, None),
    ],
)
def test_an_outcome_is_read_for_one_list(changes: dict[str, Any], wanted: bool, did: Did, saw: bool | None) -> None:
    """What our write did is told apart from what was only seen; an uncertain write may have added what it was to."""
    outcome = Outcome(str(UUID(int=1)), str(UUID(int=2)), "DEV1", 5, at=START, **changes)
    made = reading(outcome, ListName.ALLOW, 3, wanted=wanted, doubted=True)
    assert (made.did, made.saw, made.memory, made.doubted) == (did, saw, 3, True)
