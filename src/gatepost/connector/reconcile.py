"""Drives the lists of all mailboxes to what is desired: what is due is looked at, several at a time.

Level-triggered: what a look does depends on the lists as just read and on nothing else. So doing it again, late, or
after a kill changes nothing in the end. What was begun and not seen to its end is read first.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice

from gatepost.connector import log
from gatepost.connector.looks import Exchange, Looks
from gatepost.connector.outcomes import is_news
from gatepost.connector.permission import Permission
from gatepost.connector.places import Place, Places
from gatepost.connector.stopping import Stop
from gatepost.connector.writes import Task, Writes
from gatepost.domain.desired import Result
from gatepost.domain.plan import plan

BATCH = 100
COMPARED_AT_ONCE = 1_000  # mailboxes
LOOKS_A_PASS = 3  # at one mailbox
WORKERS = 4
LOCAL = (Result.OBSERVED.value, Result.OUT_OF_SCOPE.value, Result.CEILING.value)
PUT_OFF = "put off"

Opened = Callable[[], AbstractContextManager[Exchange]]


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
        found: Counter[str] = Counter()
        looks: Counter[str] = Counter()
        if self.seconds() != 0:
            return found
        if self._permission.enforcing:
            self._permission.check_lease()
        with self._opened() as exchange:
            while batch := [each for each in self._writes.due(BATCH) if looks[each] < LOOKS_A_PASS]:
                looks.update(batch)
                try:
                    found.update(self._each(exchange, batch))
                finally:
                    if self._writes.has_news():
                        self._tell()
        log.info("reconciled", mailboxes=len(looks), **{word.replace(" ", "_"): count for word, count in found.items()})
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
            self._writes.look_at_all((task.mailbox, self._looks.patient_until(task)) for task in due)
            agreed = {task.mailbox for task in tasks} - {task.mailbox for task in due}
            self._writes.compared((mailbox, hashes[mailbox]) for mailbox in agreed)
            count += len(due)
        return count

    def _differs(self, task: Task, place: Place) -> bool:
        """Whether the lists as listed are other than what was told; outside of the scope that moves nothing."""
        return self._permission.in_scope(place.address) and is_news(task, plan(task.rows, place.lists))

    def _each(self, exchange: Exchange, batch: Sequence[str]) -> list[str]:
        """A look at each mailbox, several at a time. The first trouble that concerns all ends it, and is raised."""
        halt = threading.Event()

        def look(mailbox: str) -> str:
            if halt.is_set():
                return PUT_OFF
            try:
                self._stop.check()
                return self._looks.look(exchange, mailbox)
            except BaseException:
                halt.set()
                raise

        with ThreadPoolExecutor(min(self.workers, len(batch)), "reconcile") as workers:
            return list(workers.map(look, batch))
