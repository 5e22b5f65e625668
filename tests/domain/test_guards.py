"""Guards: how many people may lose access, who counts, and what an approval is about."""

from uuid import UUID

import pytest

from gatepost.domain.engine import Device, Lists, Organization, State, Step, Verdict
from gatepost.domain.guards import Change, Verb, budget, digest, effect, verb, within

YES, NO = (Verdict(state, Step.DEFAULT, (Step.DEFAULT,)) for state in (State.ALLOWED, State.BLOCKED))
UNKNOWN = Organization(None, None).verdict(Device("x"), Lists())


@pytest.mark.parametrize(
    ("devices", "people"), [(0, 5), (999, 5), (1_200, 6), (40_000, 200), (100_000, 500), (10**6, 500)]
)
def test_the_budget_is_half_a_percent_between_five_and_five_hundred(devices: int, people: int) -> None:
    """Small organizations may always change a handful; large ones never a thousand unseen."""
    assert budget(devices) == people


def test_people_are_counted_and_not_devices() -> None:
    """Two phones of one mailbox are one person; who keeps what he has is in no list."""
    told = effect(
        [
            Change("a", "1", "x", YES, NO),
            Change("a", "2", "y", YES, NO),
            Change("b", "3", "z", NO, YES),
            Change("c", "4", "z", YES, YES),
        ]
    )
    assert (told.gaining, told.losing, len(told.changes)) == (1, 1, 3)


def test_access_that_becomes_unknown_counts_as_lost() -> None:
    """A guard that took unknown for access would let anything through."""
    assert effect([Change("a", "1", "x", YES, UNKNOWN)]).losing == 1
    assert effect([Change("a", "1", "x", UNKNOWN, UNKNOWN)]).changes == ()


def test_access_that_may_have_been_there_counts_as_lost_too() -> None:
    """Where Exchange's rules cannot be read, a block may cut off anybody: nobody would be counted otherwise."""
    assert (verb(UNKNOWN, NO), verb(UNKNOWN, YES), verb(NO, UNKNOWN)) == (Verb.TAKE, Verb.GIVE, Verb.GIVE)
    assert (verb(YES, NO), verb(NO, YES), verb(YES, YES), verb(NO, NO)) == (Verb.TAKE, Verb.GIVE, None, None)


@pytest.mark.parametrize(
    ("devices", "people"), [(0, 50), (999, 50), (1_200, 60), (40_000, 2_000), (100_000, 5_000), (10**6, 5_000)]
)
def test_ten_times_as_many_may_gain_access(devices: int, people: int) -> None:
    """A source gone wrong lets in no more than that before somebody looks."""
    assert budget(devices, Verb.GIVE) == people


def test_a_budget_lets_the_first_through_and_whoever_is_counted_already() -> None:
    """All that is asked for one person goes one way; without anything left only the counted pass."""
    ann, bob, cas, dee = (UUID(int=number) for number in range(4))
    assert within([bob, ann, bob, cas, dee], [dee], 2) == {bob, ann, dee}
    assert within([ann, bob], [bob], 0) == {bob}
    assert within([ann], [], -3) == set()


def test_a_digest_is_of_what_happens_and_not_of_its_order() -> None:
    """The same effect and entries have the same digest; another device, state or entry has another."""
    one, two = Change("a", "1", "x", YES, NO), Change("b", "2", "y", NO, YES)
    entries = [("a", "x", "allow"), ("b", "y", "block")]
    known = digest(effect([one, two]), entries)
    assert digest(effect([two, one]), entries[::-1]) == known
    assert digest(effect([one]), entries) != known
    assert digest(effect([one, Change("b", "2", "y", NO, UNKNOWN)]), entries) != known
    assert digest(effect([one, two]), entries[:1]) != known
