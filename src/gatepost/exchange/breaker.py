"""A circuit breaker for one server: after repeated failures it is left alone, and then asked by one at a time.

Pure: ``now`` is an argument, in seconds of a clock that only runs forward; moments for people are in UTC.
"""

import random
from datetime import UTC, datetime, timedelta

from gatepost.errors import ExchangeAvoided, ExchangeError, SignInRefused

THRESHOLD = 3
"""Failures in a row after which a server is left alone, where there is no other one."""
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
REFUSED_PAUSE = 60.0
"""Seconds after a refused sign-in: repeated ones would lock the account."""
_PROBE_SECONDS = 120.0


class Breaker:
    """What is known of one server: closed while it works, open for a pause, half-open while one probe is under way."""

    def __init__(self, server: str, chance: random.Random | None = None) -> None:
        self._server = server
        self._chance = chance or random.Random()
        self._since: datetime | None = None
        self._failures = 0
        self._error: ExchangeError | None = None
        self._ceiling = FIRST_PAUSE
        self._opens_at: float | None = None
        self._probing_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is left alone, but for probes."""
        return self._opens_at is not None

    def ask(self, now: float) -> bool:
        """Whether the server may be asked now. Where that is a probe, nobody else may until it is told how it went."""
        if not self.is_due(now):
            return False
        if self._opens_at is not None:
            self._probing_until = now + _PROBE_SECONDS
        return True

    def is_due(self, now: float) -> bool:
        """Whether ``ask`` would say yes, without asking."""
        return self._opens_at is None or (now >= self._opens_at and now >= self._probing_until)

    def spared(self) -> None:
        """A probe ended without telling anything of the server: the next one may go."""
        self._probing_until = 0.0

    def worked(self) -> None:
        """It answered."""
        self._since, self._failures, self._error, self._ceiling = None, 0, None, FIRST_PAUSE
        self._opens_at, self._probing_until = None, 0.0

    def failed(self, error: ExchangeError, now: float, threshold: int = THRESHOLD) -> None:
        """It failed; after ``threshold`` times in a row, or one refused sign-in, it is left alone for a while.

        The pause is between half and all of a ceiling that doubles to 5 minutes, so that many do not come at once.
        """
        self._since = self._since or datetime.now(UTC)
        self._failures += 1
        self._error, self._probing_until = error, 0.0
        if isinstance(error, SignInRefused):
            self._opens_at = now + REFUSED_PAUSE
        elif self._failures >= threshold:
            self._opens_at = now + self._chance.uniform(self._ceiling / 2, self._ceiling)
            self._ceiling = min(self._ceiling * 2, LONGEST_PAUSE)

    def avoided(self, now: float) -> ExchangeError:
        """The error for not asking: since when, why, and until when. A refused sign-in stays one."""
        seconds = max(0.0, (self._opens_at or now) - now)
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        why = self._error.cause if self._error else ""
        remedy = self._error.remedy if self._error else ""
        kind = SignInRefused if isinstance(self._error, SignInRefused) else ExchangeAvoided
        return kind(
            f"{self._server} is not asked before {until:%H:%M:%S} UTC: it has failed since "
            f"{self._since:%Y-%m-%d %H:%M:%S} UTC, {self._failures} times. {why}",
            remedy,
            server=self._server,
        )
