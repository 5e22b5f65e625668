"""The same work for many items, by a few threads, with results in any order and nothing kept."""

import itertools
import threading
from collections.abc import Callable, Collection, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import TypeVar

from gatepost.errors import ExchangeError, WireError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
Each = Generator[tuple[I, T | ExchangeError], None, None]
"""Items with their results; to be closed by who does not read it to its end."""


def each(
    do: Callable[[I], T],
    items: Iterable[I],
    workers: int,
    dismissing: Callable[[Collection[int]], AbstractContextManager[None]],
) -> Each[I, T]:
    """Each item with its result, or with the error that it met; any other exception ends it all.

    ``items`` is read as it is needed, in the caller's thread. A caller that stops early ends the work under way:
    ``dismissing`` is told which threads, by their ids, and must make them come back soon, while it is waited for them;
    one that begins only then is among them as soon as it runs.
    """
    threads: set[int] = set()
    under_way: dict[Future[T], I] = {}
    waiting = iter(items)
    with ThreadPoolExecutor(workers, "each", lambda: threads.add(threading.get_ident())) as crew:
        try:
            while True:
                for item in itertools.islice(waiting, 2 * workers - len(under_way)):
                    under_way[crew.submit(do, item)] = item
                if not under_way:
                    return
                for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                    item, outcome = under_way.pop(done), _outcome(done)
                    yield item, outcome
        finally:
            if under_way:
                with dismissing(threads):
                    crew.shutdown(cancel_futures=True)


def _outcome(done: Future[T]) -> T | ExchangeError:
    """The result, or the error as a value."""
    try:
        return done.result()
    except ExchangeError as error:
        return error
    except WireError as error:
        wrapped = ExchangeError(error.cause, error.remedy)
        wrapped.__cause__ = error
        return wrapped
