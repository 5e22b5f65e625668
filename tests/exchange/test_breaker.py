"""A circuit breaker: left alone after failures, asked by one at a time, closed when it works, and it says why."""

import random
import re

import pytest

from gatepost.errors import ExchangeAvoided, ExchangeUnreachable, SignInRefused
from gatepost.exchange.breaker import FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE, THRESHOLD, Breaker

DOWN = ExchangeUnreachable("ex1 cannot be reached: refused.", "Check the network.", server="ex1")


def opened(now: float = 0.0) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker("ex1", random.Random(1))
    for _ in range(THRESHOLD):
        breaker.failed(DOWN, now)
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    """Work that succeeds in between begins the count anew."""
    breaker = Breaker("ex1")
    for _ in range(THRESHOLD - 1):
        breaker.failed(DOWN, 0.0)
    assert breaker.ask(0.0)
    breaker.worked()
    for _ in range(THRESHOLD - 1):
        breaker.failed(DOWN, 0.0)
    assert breaker.ask(0.0)
    breaker.failed(DOWN, 0.0)
    assert not breaker.ask(0.0)


def test_one_probe_at_a_time() -> None:
    """After the pause one may ask; the others wait for how it goes, and all may when it went well."""
    breaker = opened()
    later = FIRST_PAUSE
    assert [breaker.ask(later), breaker.ask(later), breaker.ask(later)] == [True, False, False]
    breaker.worked()
    assert [breaker.ask(later), breaker.ask(later)] == [True, True]


def test_pauses_double_to_a_bound() -> None:
    """A probe that fails makes the next pause longer, with jitter, up to five minutes."""
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(12):
        begun = now
        while not breaker.is_due(now):
            now += 0.5
        pauses.append(now - begun)
        breaker.failed(DOWN, now)
    assert FIRST_PAUSE / 2 <= pauses[0] <= FIRST_PAUSE + 0.5
    assert all(LONGEST_PAUSE / 2 <= pause <= LONGEST_PAUSE + 0.5 for pause in pauses[-4:])


def test_a_probe_that_never_tells_does_not_block_for_ever() -> None:
    """Whoever probed may have been killed."""
    breaker = opened()
    assert breaker.ask(10.0)
    assert not breaker.ask(100.0)
    assert breaker.ask(200.0)


def test_a_probe_that_is_given_up_leaves_room_for_the_next() -> None:
    """Whoever probed was called away: nothing is known of the server, and nobody has to wait for it."""
    breaker = opened()
    assert breaker.ask(10.0)
    assert not breaker.ask(10.0)
    breaker.spared()
    assert breaker.ask(10.0)


def test_it_says_since_when_and_why() -> None:
    """The error names both, and is one of being unreachable."""
    error = opened(50.0).avoided(51.0)
    assert isinstance(error, ExchangeAvoided)
    assert error.exit_code == 5
    words = (
        r"ex1 is not asked before \d\d:\d\d:\d\d UTC: it has failed since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, 3 times"
    )
    assert re.match(words + r"\. ex1 cannot be reached: refused\. Check the network\.$", str(error))


def test_a_refused_sign_in_opens_it_at_once() -> None:
    """A wrong password tried by many threads would lock the account."""
    breaker = Breaker("ex1")
    breaker.failed(SignInRefused("ex1 does not accept the sign-in.", server="ex1"), 0.0)
    assert not breaker.ask(REFUSED_PAUSE - 1)
    with pytest.raises(SignInRefused, match="does not accept the sign-in"):
        raise breaker.avoided(1.0)
    assert breaker.ask(REFUSED_PAUSE)
