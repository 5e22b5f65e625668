"""Turns at an account's sessions: in order of arrival, so that nobody starves; inside the budget; silent when asked to.

Threads wait here and nowhere else before they speak to Exchange. One condition guards it all, which is the pool's.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from gatepost.exchange.budget import Budget

_LOOK_AGAIN = 5.0
"""Seconds after which those who wait look by themselves: a budget grows by time alone."""


class Turns:
    """Who has a turn, and who waits for one. ``check_going`` raises for a thread whose work was ended.

    All but ``begin`` and ``end`` are asked while ``changed`` is held.
    """

    def __init__(self, budget: Budget, changed: threading.Condition, check_going: Callable[[], None]) -> None:
        self._budget = budget
        self._changed = changed
        self._check_going = check_going
        self._queue: deque[object] = deque()
        self._taken: Counter[int] = Counter()

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._queue)

    def room(self, now: float) -> int:
        """How many turns are free; less than none where threads have several, or the budget has shrunk."""
        return self._budget.limit(now) - self._taken.total()

    def begin(self) -> None:
        """Wait until it is this thread's turn. One that has a turn already never waits for itself.

        Raises ExchangeBusy where Exchange wants silence for too long, and what ``check_going`` raises.
        """
        me, thread = object(), threading.get_ident()
        with self._changed:
            self._queue.append(me)
            try:
                while True:
                    self._check_going()
                    now = time.monotonic()
                    pause = self._budget.pause(now)
                    free = self.room(now) > 0 and self._queue[0] is me
                    if not pause and (free or self._taken[thread]):
                        self._taken[thread] += 1
                        return
                    self._changed.wait(pause or _LOOK_AGAIN)
            finally:
                self._queue.remove(me)
                self._changed.notify_all()

    def end(self, thread: int) -> None:
        """A thread's turn is over; any thread may say so."""
        with self._changed:
            self._taken[thread] -= 1
            self._taken += Counter()  # drops what is zero
            self._changed.notify_all()
