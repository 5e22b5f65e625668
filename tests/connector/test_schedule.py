"""When the next synchronisation is due."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from gatepost.connector.schedule import Schedule
from gatepost.connector.store import BASELINE, Store
from gatepost.domain.contract import Scope
from gatepost.settings import SyncSettings


class Clock:
    """A host's clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        """Forward, or back."""
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


@pytest.fixture
def schedule(store: Store, clock: Clock) -> Schedule:
    """Full once a day, quick every 15 minutes, on a store with a sealed listing that has taken a full one just now."""
    made = Schedule(SyncSettings(), store, clock, random.Random(1))
    made.done(Scope.FULL)
    store.remember(**{BASELINE: "x"})
    return made


def test_a_fresh_store_is_due_for_a_full_one(store: Store, clock: Clock) -> None:
    """Nothing is known, so everything is told, at once."""
    assert Schedule(SyncSettings(), store, clock).due() == (Scope.FULL, 0.0)


def test_quick_comes_every_quarter_of_an_hour_and_full_once_a_day(schedule: Schedule, clock: Clock) -> None:
    """With jitter of a tenth, so that many connectors do not come together."""
    scope, seconds = schedule.due()
    assert scope is Scope.QUICK
    assert 810 <= seconds <= 990
    clock.move(seconds)
    assert schedule.due() == (Scope.QUICK, 0.0)
    schedule.done(Scope.QUICK)
    clock.move(86_400 * 1.1)
    assert schedule.due() == (Scope.FULL, 0.0)


def test_a_restart_neither_repeats_nor_skips_one(schedule: Schedule, store: Store, clock: Clock) -> None:
    """The times are in the store."""
    assert Schedule(SyncSettings(), store, clock).due() == schedule.due()


def test_what_is_asked_for_is_due_now(schedule: Schedule) -> None:
    """A wish of the service is taken once; full outranks quick."""
    schedule.ask(Scope.FULL)
    schedule.ask(Scope.QUICK)
    assert schedule.due() == (Scope.FULL, 0.0)
    assert schedule.asked
    schedule.done(Scope.FULL)
    assert not schedule.asked
    assert schedule.due()[1] > 0


def test_a_failure_pauses_even_what_is_asked_for(schedule: Schedule) -> None:
    """A failing Exchange is not hammered, and success forgets the pause."""
    schedule.ask(Scope.QUICK)
    pauses = []
    for _ in range(20):
        schedule.failed()
        pauses.append(schedule.due()[1])
    assert 0 < pauses[0] <= 1
    assert 75 <= pauses[-1] <= 300
    schedule.done(Scope.QUICK)
    assert schedule.due()[1] > 800


def test_a_held_first_one_is_not_tried_as_a_quick_one(store: Store, clock: Clock) -> None:
    """Without a sealed listing a quick one would be a full one, so it waits for the full one's time."""
    schedule = Schedule(SyncSettings(), store, clock)
    schedule.done(Scope.FULL)
    scope, seconds = schedule.due()
    assert scope is Scope.FULL
    assert seconds > 70_000


def test_a_clock_that_was_set_back_does_not_delay_for_days(schedule: Schedule, clock: Clock) -> None:
    """A time out of all reason counts as due."""
    clock.move(-10 * 86_400)
    assert schedule.due() == (Scope.FULL, 0.0)


def test_the_next_ones_are_told_as_times(schedule: Schedule, store: Store, clock: Clock) -> None:
    """For the console: the time kept, or this moment for what is due."""
    told = schedule.next_syncs()
    assert set(told) == {"full", "quick"}
    assert datetime.fromisoformat(told["quick"]) > clock.time
    store.remember(next_quick=None)
    assert schedule.next_syncs()["quick"] == "2026-11-22T12:00:00Z"
