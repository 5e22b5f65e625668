"""May a write to Exchange start now? A lease is permission for some seconds, renewed by every answer of the service.

Exchange checks no token, so this is the fence: no write starts unless the lease outlives it. Time is counted from the
moment the request was *sent*, on a clock that goes on while the machine sleeps, so that this side always ends first.
"""

import threading
from collections.abc import Callable

from gatepost.connector import host


class Lease:
    """Permission to write, held by this process; safe to ask from any thread."""

    def __init__(self, clock: Callable[[], float] = host.monotonic) -> None:
        self.now = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._not_before = 0.0

    def renew(self, asked_at: float, seconds: float, write_in: float = 0.0) -> None:
        """Take what an answer grants: ``seconds`` from ``asked_at``, writes from ``write_in`` seconds after it.

        ``asked_at`` is ``now()`` just before the request was sent. Answers may come out of order: the later end counts.
        """
        with self._lock:
            self._until = max(self._until, asked_at + seconds)
            self._not_before = max(self._not_before, asked_at + write_in)

    def drop(self) -> None:
        """Give it up: the connector was replaced, or met another history of the database."""
        with self._lock:
            self._until = 0.0

    def remaining(self) -> float:
        """Seconds that are left, 0 if none."""
        with self._lock:
            return max(0.0, self._until - self.now())

    def may_start(self, timeout: float) -> bool:
        """Whether a write that takes at most ``timeout`` seconds may start now."""
        with self._lock:
            now = self.now()
            return now >= self._not_before and self._until - now > timeout
