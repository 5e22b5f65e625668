"""Turns: in order of arrival, inside the budget, never of a thread whose work was ended."""

import threading
import time
from collections.abc import Callable

import pytest

from gatepost.errors import ExchangeBusy, SessionLost
from gatepost.exchange.budget import Budget
from gatepost.exchange.turns import Turns


def go_on() -> None:
    """Nobody is called away."""


def turns_of(wanted: int, check: Callable[[], None] = go_on) -> tuple[Turns, Budget, threading.Condition]:
    """Turns with a budget of so many sessions."""
    budget, changed = Budget(wanted), threading.Condition()
    return Turns(budget, changed, check), budget, changed


def test_as_many_turns_as_the_budget_has() -> None:
    """Each is counted until it is over, whichever thread says so; a thread that has one is never kept waiting."""
    turns, _, changed = turns_of(2)
    turns.begin()
    turns.begin()
    turns.begin()
    with changed:
        assert (turns.room(0.0), turns.waiting) == (-1, 0)
    me = threading.get_ident()
    for _ in range(3):
        over = threading.Thread(target=turns.end, args=(me,))
        over.start()
        over.join()
    with changed:
        assert turns.room(0.0) == 2


def test_who_waits_is_woken_by_a_turn_that_ends() -> None:
    """At once, and not when it looks again by itself."""
    turns, _, changed = turns_of(1)
    turns.begin()
    got = threading.Event()

    def wait() -> None:
        turns.begin()
        got.set()

    other = threading.Thread(target=wait)
    other.start()
    with changed:
        while turns.waiting == 0:
            changed.wait(0.01)
    begun = time.monotonic()
    turns.end(threading.get_ident())
    assert got.wait(4)
    assert time.monotonic() - begun < 4
    other.join()


def test_who_is_called_away_leaves_the_queue() -> None:
    """By the error that says so; those behind it are next."""
    ended = threading.Event()

    def check() -> None:
        if ended.is_set():
            raise SessionLost("The work was ended.")

    turns, _, changed = turns_of(1, check)
    ended.set()
    with pytest.raises(SessionLost, match="was ended"):
        turns.begin()
    with changed:
        assert (turns.room(0.0), turns.waiting) == (1, 0)


def test_a_silence_too_long_is_not_waited_for() -> None:
    """Nobody has a turn, and nobody stays in the queue."""
    turns, budget, changed = turns_of(3)
    with changed:
        budget.push_back(ExchangeBusy("not before", retry_after=120.0), 1, time.monotonic())
    with pytest.raises(ExchangeBusy, match="not before"):
        turns.begin()
    with changed:
        assert turns.waiting == 0
