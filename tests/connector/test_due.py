"""In which order mailboxes are looked at: nobody waits for the end of a long drain, and nothing waits for ever."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from gatepost.connector.store import FILE, Store
from gatepost.connector.writes import Said, Started, Writes
from gatepost.domain.contract import Answer
from gatepost.domain.desired import Result
from tests.fixtures.connector import wanted

NOW = 1_800_000_000.0
DRAIN = 60


def box(number: int) -> str:
    """A mailbox, by the order in which its row was published."""
    return str(UUID(int=(number * 7919) % 100_003))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The store of a connector that was told of one row in each of many mailboxes."""
    with Store(tmp_path / FILE, "o", "c", 1, "history") as store:
        store.adopt(1)
        tell(store, *range(1, DRAIN + 1))
        store.acknowledged = DRAIN
        yield store


def tell(store: Store, *revisions: int) -> None:
    """The service's answer with rows of these revisions, each of a mailbox of its own."""
    rows = tuple(replace(wanted("d", revision=revision), mailbox=box(revision)) for revision in revisions)
    answer = Answer(
        sequence=1, server_time="2026-11-22T12:00:00Z", incarnation="history", revision=revisions[-1], desired=rows
    )
    store.settle(1, answer)


def test_the_newest_and_the_oldest_that_was_published_take_turns(store: Store) -> None:
    """A row of its own goes first in the middle of a drain; every other turn is the drain's."""
    writes = Writes(store, enforcing=True, now=lambda: NOW)
    assert writes.due(4) == [box(60), box(1), box(59), box(2)]
    tell(store, 61)
    assert box(61) not in writes.due(DRAIN), "the service does not know yet that it is held"
    store.acknowledged = 61
    assert writes.due(3) == [box(61), box(1), box(60)]
    assert sorted(writes.due(100)) == sorted(box(number) for number in range(1, 62)), "each once"


def test_a_start_keeps_the_order(store: Store) -> None:
    """What was published last before it is as new after it; what was told under other limits is due as well."""
    writes = Writes(store, enforcing=True, now=lambda: NOW)
    task = writes.task(box(5))
    writes.settle(task, [Said(row, Result.OBSERVED.value) for row in task.rows], due=None)
    writes.look_again("other limits", [Result.OBSERVED.value])
    assert writes.due(4) == [box(60), box(5), box(59), box(1)]


def test_an_open_write_goes_first_and_what_was_put_off_takes_turns(store: Store) -> None:
    """By how long it has been due; and what was put off for longer than anything is was dated by a wrong clock.

    An attempt that failed in the middle of a long drain is made again before its end.
    """
    writes = Writes(store, enforcing=True, now=lambda: NOW)
    for mailbox, due in ((box(7), NOW - 5), (box(8), NOW - 50), (box(9), NOW + 10), (box(10), NOW * 2)):
        writes.settle(writes.task(mailbox), (), due=due)
    assert writes.begin(box(30), Started(NOW, None, ()), lambda: 1)
    found = writes.due(100)
    assert (found[:7], found[-1]) == ([box(number) for number in (30, 60, 1, 8, 59, 2, 7)], box(10))
    assert box(9) not in found
    assert writes.due(2) == [box(30), box(60)]
    assert writes.seconds() == 0.0
