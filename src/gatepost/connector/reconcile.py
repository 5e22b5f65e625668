"""Drives the lists of all mailboxes to what is desired: what is due is looked at, several at a time.

Level-triggered: what a look does depends on the lists as just read and on nothing else. So doing it again, late, or
after a kill changes nothing in the end. What was begun and not seen to its end is read first.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice

from gatepost.connector import host, log
from gatepost.connector.looks import Exchange, Looks
from gatepost.connector.outcomes import is_news
from gatepost.connector.permission import Permission
from gatepost.connector.places import Place, Places
from gatepost.connector.stopping import Stop
from gatepost.connector.writes import Task, Writes
from gatepost.domain.desired import Result
from gatepost.domain.plan import plan

BATCH = 25
COMPARED_AT_ONCE = 1_000  # mailboxes
LOOKS_A_PASS = 3  # at one mailbox
WORKERS = 18
LOCAL = (Result.OBSERVED.value, Result.OUT_OF_SCOPE.value, Result.CEILING.value)
CARRY_SECONDS = 1.0

Opened = Callable[[], AbstractContextManager[Exchange]]


class _Feed:
    """Gives out the mailboxes that are due, each to one worker at a time, and to each worker as it comes for one.

    ``looks`` counts how often each was given out: one that is due again and again waits for the next pass.
    """

    def __init__(self, writes: Writes) -> None:
        self._writes = writes
        self._lock = threading.Lock()
        self._ready: deque[str] = deque()
        self._given: set[str] = set()
        self._halted = False
        self.looks: Counter[str] = Counter()

    def take(self) -> str | None:
        """The next mailbox, None where there is none now."""
        with self._lock:
            if not self._ready and not self._halted:
                due = self._writes.due(BATCH + len(self._given))
                free = (each for each in due if each not in self._given and self.looks[each] < LOOKS_A_PASS)
                self._ready.extend(free)
            if not self._ready or self._halted:
                return None
            mailbox = self._ready.popleft()
            self.looks[mailbox] += 1
            self._given.add(mailbox)
            return mailbox

    def give_back(self, mailbox: str) -> None:
        """It was looked at: it may be given out again when it is due again."""
        with self._lock:
            self._given.discard(mailbox)

    def halt(self) -> None:
        """Give out nothing more."""
        with self._lock:
            self._halted = True


class Reconcile:
    """The work on one organization's lists. ``tell`` is called when there are outcomes to carry."""

    def __init__(
        self,
        writes: Writes,
        places: Places,
        permission: Permission,
        looks: Looks,
        opened: Opened,
        stop: Stop,
        tell: Callable[[], None] = lambda: None,
        workers: int = WORKERS,
    ) -> None:
        self._writes = writes
        self._places = places
        self._permission = permission
        self._looks = looks
        self._opened = opened
        self._stop = stop
        self._tell = tell
        self._carried = 0.0
        self.workers = workers
        writes.look_again(permission.limits, LOCAL)

    def seconds(self) -> float | None:
        """In how many seconds there is something to do, 0 for now, None for nothing; nothing without a listing."""
        return self._writes.seconds() if self._places.known else None

    def run(self) -> Mapping[str, int]:
        """Look at every mailbox that is due; how many looks there were, by what came of them.

        Raises WriteRefused where there is no lease, the ExchangeError family where the organization is away: what is
        due stays due.
        """
        found, feed = Counter[str](), _Feed(self._writes)
        if self.seconds() != 0:
            return found
        if self._permission.enforcing:
            self._permission.check_lease()
        with self._opened() as exchange:
            try:
                found = self._drive(exchange, feed)
            finally:
                if self._writes.has_news():
                    self._tell()
        log.info(
            "reconciled", mailboxes=len(feed.looks), **{word.replace(" ", "_"): count for word, count in found.items()}
        )
        return found

    def compare(self) -> int:
        """Make due every mailbox whose lists, as last listed, are other than what was told of it; how many.

        Soon after our own write the listing may be older than that, or replication under way: those are due later.
        What was compared and agreed is not compared again before its listed row changes, or a look tells something.
        """
        hashes, count = self._writes.uncompared(), 0
        mailboxes = iter(hashes)
        while batch := list(islice(mailboxes, COMPARED_AT_ONCE)):
            self._stop.check()
            places = self._places.find_all(batch)
            tasks = [each for each in self._writes.tasks(batch) if not each.started and not each.failures]
            due = [task for task in tasks if self._differs(task, places[task.mailbox])]
            self._writes.look_at_all((task.mailbox, self._looks.different_until(task)) for task in due)
            agreed = {task.mailbox for task in tasks} - {task.mailbox for task in due}
            self._writes.compared((mailbox, hashes[mailbox]) for mailbox in agreed)
            count += len(due)
        return count

    def _differs(self, task: Task, place: Place) -> bool:
        """Whether the lists as listed are other than what was told; outside of the scope that moves nothing."""
        return self._permission.in_scope(place.address) and is_news(task, plan(task.rows, place.lists))

    def _drive(self, exchange: Exchange, feed: _Feed) -> Counter[str]:
        """Looks at all that is due, several at a time. The first trouble that concerns all ends it, and is raised."""
        with ThreadPoolExecutor(self.workers, "reconcile") as crew:
            works = [crew.submit(self._work, exchange, feed) for _ in range(self.workers)]
        return sum((work.result() for work in works), Counter[str]())

    def _work(self, exchange: Exchange, feed: _Feed) -> Counter[str]:
        """One look after the other, until nothing is due that nobody looks at; outcomes are carried meanwhile."""
        found: Counter[str] = Counter()
        while (mailbox := feed.take()) is not None:
            try:
                self._stop.check()
                found[self._looks.look(exchange, mailbox)] += 1
            except BaseException:
                feed.halt()
                raise
            finally:
                feed.give_back(mailbox)
            self._carry()
        return found

    def _carry(self) -> None:
        """Let outcomes be carried, every second at most."""
        now = host.monotonic()
        if now - self._carried >= CARRY_SECONDS and self._writes.has_news():
            self._carried = now
            self._tell()
