"""How many sessions at a time: the account's budget, less after Exchange pushed back, more after a quiet while."""

import pytest

from gatepost.errors import ExchangeBusy
from gatepost.exchange.budget import CONCURRENCY, GROW_AFTER, LONGEST_PAUSE, RESERVE, Budget

SHELLS = ExchangeBusy("too many shells", about="shells")


@pytest.mark.parametrize(("wanted", "most"), [(6, 6), (1, 1), (100, CONCURRENCY - RESERVE)])
def test_ours_is_what_was_wanted_inside_the_assumed_budget(wanted: int, most: int) -> None:
    """Unless the account's own is known, Exchange's usual one is assumed, and a reserve is left."""
    assert Budget(wanted).limit(0.0) == most


@pytest.mark.parametrize(("concurrency", "most"), [(18, 6), (8, 5), (3, 1), (0, 1), (1_000, 6)])
def test_an_account_s_own_budget_is_kept(concurrency: int, most: int) -> None:
    """A small one leaves at least one session; a large one is not used beyond what was wanted."""
    budget = Budget(6)
    budget.allow(concurrency)
    assert budget.limit(0.0) == most


def test_refused_shells_say_how_many_there_are_and_growing_is_slow() -> None:
    """After a refusal the limit is what was open; it grows by one for each quiet while, up to what is ours."""
    budget = Budget(6)
    budget.push_back(SHELLS, 3, 1_000.0)
    grown = [budget.limit(1_000.0 + GROW_AFTER * quiet) for quiet in (0, 0.9, 1, 2, 2.5, 3, 4)]
    assert grown == [3, 3, 4, 5, 5, 6, 6]


def test_many_quiet_whiles_count_each() -> None:
    """Somebody who looks rarely sees what somebody who looks often would."""
    budget = Budget(6)
    budget.push_back(SHELLS, 1, 0.0)
    assert budget.limit(GROW_AFTER * 2 + 1) == 3


def test_a_throttled_command_costs_one_session_and_a_silence() -> None:
    """For as long as Exchange asks, nothing is sent; others that were on their way cost nothing more."""
    budget = Budget(6)
    budget.push_back(ExchangeBusy("slower", retry_after=9.0), 6, 100.0)
    budget.push_back(ExchangeBusy("slower", retry_after=2.0), 6, 100.0)
    assert budget.limit(100.0) == 5
    assert [budget.pause(now) for now in (100.0, 104.0, 109.0, 200.0)] == [9.0, 5.0, 0.0, 0.0]


def test_a_silence_too_long_to_wait_for_is_an_error_that_says_how_long() -> None:
    """The caller has a schedule of its own for that."""
    budget = Budget(6)
    budget.push_back(ExchangeBusy("not before", "Later.", server="ex1", retry_after=120.0), 6, 0.0)
    with pytest.raises(ExchangeBusy, match=r"not before Later\.") as caught:
        budget.pause(20.0)
    assert (caught.value.retry_after, caught.value.server) == (100.0, "ex1")
    assert budget.pause(120.0 - LONGEST_PAUSE) == LONGEST_PAUSE


def test_never_fewer_than_one() -> None:
    """However often Exchange pushes back."""
    budget = Budget(3)
    for _ in range(10):
        budget.push_back(ExchangeBusy("slower", retry_after=0.0), 3, 0.0)
    assert budget.limit(0.0) == 1
