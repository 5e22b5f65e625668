"""The same work for many items: every item comes out once, with its result or its error."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest

from gatepost.errors import ExchangeError, SessionLost, UsageError, WireError
from gatepost.exchange.parallel import each


class Dismissed:
    """Remembers whom it was told to make come back, and sets an event that they wait for."""

    def __init__(self) -> None:
        self.threads: list[Collection[int]] = []
        self.over = threading.Event()

    @contextmanager
    def __call__(self, threads: Collection[int]) -> Iterator[None]:
        """Make them come back."""
        self.threads.append(threads)
        self.over.set()
        yield


def test_every_item_comes_out_once() -> None:
    """Whatever the number of workers and items; nobody is dismissed when all was read."""
    for workers, items in ((1, 0), (1, 5), (3, 2), (4, 100)):
        dismissed = Dismissed()
        found = each(lambda item: item * 2, range(items), workers, dismissed)
        assert sorted(found, key=lambda pair: pair[0]) == [(item, item * 2) for item in range(items)]
        assert not dismissed.threads


@pytest.mark.parametrize("error", [SessionLost("gone"), WireError("cut off", "Try again.")])
def test_an_error_comes_with_its_item(error: Exception) -> None:
    """One of Exchange or of its bytes is a value, always of the ExchangeError family, and the others go on."""

    def work(item: int) -> int:
        if item == 3:
            raise error
        return item

    found = dict(each(work, range(6), 2, Dismissed()))
    assert isinstance(found[3], ExchangeError)
    assert str(found[3]) == str(error)
    assert [found[item] for item in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]


def test_a_mistake_of_ours_ends_it() -> None:
    """It is no result of an item."""

    def work(_: int) -> int:
        raise UsageError("not that way")

    with pytest.raises(UsageError, match="not that way"):
        list(each(work, range(6), 2, Dismissed()))


def test_who_leaves_early_waits_for_the_dismissed_only() -> None:
    """Those at work are told, those waiting are never begun, and items are not read ahead without bound."""
    dismissed, read, begun = Dismissed(), [], []

    def items() -> Iterator[int]:
        for item in range(1_000):
            read.append(item)
            yield item

    def work(item: int) -> int:
        begun.append(item)
        if item:
            assert dismissed.over.wait(10)
        return item

    found = each(work, items(), 3, dismissed)
    assert next(found) == (0, 0)
    found.close()
    [threads] = dismissed.threads
    assert 1 <= len(threads) <= 3
    assert threading.get_ident() not in threads
    assert len(begun) <= 4
    assert len(read) <= 6
