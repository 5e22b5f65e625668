"""How many sessions may be open at a time: inside the account's budget at Exchange, and fewer after it pushed back.

Pure: ``now`` is an argument, in seconds of a clock that only runs forward; moments for people are in UTC.
"""

from datetime import UTC, datetime

from gatepost.errors import ExchangeBusy

CONCURRENCY = 18
"""PowerShellMaxConcurrency of Exchange's own global policy: assumed where the account's cannot be read."""
RESERVE = 3
"""Sessions of the account's budget that are never ours: for a successor, a doctor, a person at a shell."""
GROW_AFTER = 300.0
"""Seconds without being pushed back, after which one session more is tried."""
LONGEST_PAUSE = 15.0
"""Seconds that work waits here because Exchange asked for it; what is asked beyond is for the caller to wait."""


class Budget:
    """The number of sessions at a time, and when the next command may go out. ``wanted`` is the settings' number."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._concurrency = CONCURRENCY
        self._limit = self.most
        self._changed = 0.0
        self._quiet_until = 0.0
        self._why: ExchangeBusy | None = None
        self.pushed_back: tuple[datetime, str] | None = None

    @property
    def most(self) -> int:
        """The largest number of sessions that is ours to open: at least one."""
        return max(1, min(self._wanted, self._concurrency - RESERVE))

    def allow(self, concurrency: int) -> None:
        """Take the account's budget as it was read: the sessions that Exchange gives it at a time."""
        self._concurrency = concurrency
        self._limit = min(self._limit, self.most)

    def limit(self, now: float) -> int:
        """How many sessions may be open now; grows by one for each quiet while."""
        while self._limit < self.most and now - self._changed >= GROW_AFTER:
            self._limit += 1
            self._changed += GROW_AFTER
        return self._limit

    def push_back(self, error: ExchangeBusy, open_sessions: int, now: float) -> None:
        """Exchange has too much of us: one session fewer from now on, and silence for as long as it asks.

        A refused session says how many it does give: those that are open. The silence is for commands only, and what
        is refused during it was on its way already: it costs nothing more.
        """
        again = now < self._quiet_until
        fewer = open_sessions if error.about == "shells" else self.limit(now) - (not again)
        self._limit = max(1, min(self._limit, fewer))
        self._changed = now
        self.pushed_back = datetime.now(UTC), error.cause
        if error.about in {"commands", "answers"}:
            self._quiet_until = max(self._quiet_until, now + error.retry_after)
            self._why = error

    def pause(self, now: float) -> float:
        """Seconds to wait before anything more is asked, 0 for none. Raises ExchangeBusy where it is too long."""
        left = max(0.0, self._quiet_until - now)
        if left > LONGEST_PAUSE and self._why is not None:
            raise ExchangeBusy(self._why.cause, self._why.remedy, server=self._why.server, retry_after=left)
        return left
