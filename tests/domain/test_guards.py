"""Guards: how many people may lose access, who counts, and what an approval is about."""

import pytest

from gatepost.domain.engine import Device, Lists, Organization, State, Step, Verdict
from gatepost.domain.guards import Change, budget, digest, effect

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


def test_a_digest_is_of_what_happens_and_not_of_its_order() -> None:
    """The same effect and entries have the same digest; another device, state or entry has another."""
    one, two = Change("a", "1", "x", YES, NO), Change("b", "2", "y", NO, YES)
    entries = [("a", "x", "allow"), ("b", "y", "block")]
    known = digest(effect([one, two]), entries)
    assert digest(effect([two, one]), entries[::-1]) == known
    assert digest(effect([one]), entries) != known
    assert digest(effect([one, Change("b", "2", "y", NO, UNKNOWN)]), entries) != known
    assert digest(effect([one, two]), entries[:1]) != known
