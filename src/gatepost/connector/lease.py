"""May a write to Exchange start now? A lease is permission for some seconds, renewed by every answer of the service.

Exchange checks no token, so this is the fence: no write starts unless the lease outlives it. Its end is counted from
the moment the request was *sent*, its beginning from the moment the answer *arrived*, on a clock that goes on while the
machine sleeps: this side always begins last and ends first.
"""

import threading
from collections.abc import Callable

from gatepost.connector import host
from gatepost.domain.contract import LEASE_SECONDS


class Lease:
    """Permission to write, held by this process; safe to ask from any thread.

    ``taken_away`` is how many writes of the last hour took access away, as the service last told with it: known before
    any write may begin, so that a lost store does not open the ceiling. ``stopped``: the service gives nobody
    a lease now.
    """

    def __init__(self, clock: Callable[[], float] = host.monotonic) -> None:
        self.now = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._not_before = 0.0
        self._told_at = float("-inf")
        self._dropped_at = float("-inf")
        self.taken_away = 0
        self.stopped = False

    def hear(self, asked_at: float, seconds: float, write_in: float | None = None) -> None:
        """Take what an answer says: that all writing is stopped, which ends the lease at once, or a renewal."""
        self.stopped = seconds <= 0
        if self.stopped:
            self.drop()
        else:
            self.renew(asked_at, seconds, write_in)

    def renew(self, asked_at: float, seconds: float, write_in: float | None = None) -> None:
        """Take what an answer grants: ``seconds`` from ``asked_at``, writes from ``write_in`` seconds after now.

        ``asked_at`` is ``now()`` just before the request was sent; what was asked before a ``drop`` grants nothing.
        Answers may come out of order: the later end counts, and no answer grants more than the contract's lease. From
        when on writes may begin is what the answer says that was asked for last: it is earlier than was said before
        where the predecessor has given its lease back meanwhile. An answer without ``write_in`` leaves that alone.
        """
        with self._lock:
            if asked_at <= self._dropped_at:
                return
            self._until = max(self._until, asked_at + min(seconds, LEASE_SECONDS))
            if write_in is not None and asked_at >= self._told_at:
                self._told_at = asked_at
                self._not_before = self.now() + write_in

    def drop(self) -> None:
        """Give it up: the connector was replaced, or met another history of the database."""
        with self._lock:
            self._until = 0.0
            self._dropped_at = self.now()

    def remaining(self) -> float:
        """Seconds that are left, 0 if none."""
        with self._lock:
            return max(0.0, self._until - self.now())

    def waits(self) -> bool:
        """Whether the lease of a predecessor is waited for."""
        with self._lock:
            return self._until > 0 and self.now() < self._not_before

    def may_start(self, timeout: float) -> bool:
        """Whether a write that takes at most ``timeout`` seconds may start now."""
        with self._lock:
            now = self.now()
            return now >= self._not_before and self._until - now > timeout
