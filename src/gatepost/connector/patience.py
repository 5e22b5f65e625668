"""Trying again: pauses that grow, with jitter, and for as long as the caller has patience."""

import random
from collections.abc import Callable
from typing import TypeVar

from gatepost.connector import host, log
from gatepost.connector.answers import LONGEST_PAUSE, seconds
from gatepost.connector.stopping import Stop
from gatepost.errors import ServiceRefused, ServiceUnreachable

T = TypeVar("T")

FIRST_PAUSE = 1.0
LEASE_HELD_PAUSE = 10.0


class Backoff:
    """How long to wait before the next attempt, in seconds: ``first`` doubling to 5 min, with full jitter over a floor.

    What the service asks for makes a pause longer and never shorter: a broken one may not make us hammer it.
    """

    def __init__(self, chance: random.Random | None = None, first: float = FIRST_PAUSE) -> None:
        self._chance = chance or random.Random()
        self._first = self._ceiling = first

    def next(self, retry_after: float | None = None) -> float:
        """The next pause: at least what the service asked for, up to 5 min, and some jitter."""
        pause = self._chance.uniform(self._ceiling / 4, self._ceiling)
        self._ceiling = min(self._ceiling * 2, LONGEST_PAUSE)
        asked = seconds(retry_after)
        return pause if asked is None else max(pause, asked + self._chance.uniform(0, asked / 4))

    def reset(self) -> None:
        """It worked: begin with short pauses again."""
        self._ceiling = self._first


class Patience:
    """Repeats a call while the service is away or another instance holds the lease.

    ``limit`` is for how long, in seconds; None is for ever, which is how an agent waits. ``first`` is the ceiling of
    the first pause; ``beat`` is told of each attempt. Only the same bytes are repeated: the caller's call must send
    them.
    """

    def __init__(
        self,
        stop: Stop,
        limit: float | None = None,
        outage: log.Outage | None = None,
        first: float = FIRST_PAUSE,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._beat = beat
        self._stop = stop
        self._limit = limit
        self._outage = outage or log.Outage("the service")
        self._first = first

    def keep_trying(self, call: Callable[[], T]) -> T:
        """The call's result. Raises the last error when patience is over, ServiceRefused at once, Stopped if asked."""
        backoff = Backoff(first=self._first)
        end = None if self._limit is None else host.monotonic() + self._limit
        while True:
            self._stop.check()
            self._beat()
            try:
                result = call()
            except (ServiceUnreachable, ServiceRefused) as error:
                pause = self._pause(error, backoff)
                if pause is None or (end is not None and host.monotonic() + pause > end):
                    raise
                self._outage.failed(str(error))
                self._stop.sleep(pause)
            else:
                self._outage.worked()
                return result

    @staticmethod
    def _pause(error: ServiceUnreachable | ServiceRefused, backoff: Backoff) -> float | None:
        """Seconds until the next attempt, None where another attempt cannot help."""
        if isinstance(error, ServiceUnreachable):
            return backoff.next(error.retry_after)
        if error.type != "lease-held":
            return None
        asked = seconds(error.fields.get("seconds"))
        return backoff.next(LEASE_HELD_PAUSE if asked is None else asked)
