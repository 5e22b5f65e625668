"""When the next synchronisation is due. The times are kept in the store: a restart neither repeats nor skips one.

A store without them (fresh, or after a disagreement with the service) means that a full synchronisation is due now.
"""

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from gatepost.connector.patience import Backoff
from gatepost.connector.store import BASELINE, NEXT_FULL, NEXT_QUICK, Store
from gatepost.domain.contract import Scope, iso
from gatepost.settings import SyncSettings

JITTER = 0.1  # of a period, so that many connectors do not come at the same moment
NOTES = {Scope.FULL: NEXT_FULL, Scope.QUICK: NEXT_QUICK}


def utc_now() -> datetime:
    """This moment, on this host's clock."""
    return datetime.now(UTC)


class Schedule:
    """Full and quick synchronisations of one connector; safe to use from several threads."""

    def __init__(
        self,
        settings: SyncSettings,
        store: Store,
        now: Callable[[], datetime] = utc_now,
        chance: random.Random | None = None,
    ) -> None:
        self._every = {Scope.FULL: settings.full_every, Scope.QUICK: settings.quick_every}
        self._store = store
        self._now = now
        self._chance = chance or random.Random()
        self._backoff = Backoff(self._chance)
        self._not_before: datetime | None = None
        self._asked: Scope | None = None
        self._lock = threading.Lock()

    def ask(self, scope: Scope) -> None:
        """Somebody wants one now; full outranks quick."""
        with self._lock:
            if self._asked is not Scope.FULL:
                self._asked = scope

    @property
    def asked(self) -> bool:
        """Whether one is wanted that has not been taken yet."""
        with self._lock:
            return self._asked is not None

    def due(self) -> tuple[Scope, float]:
        """Which synchronisation comes next, and in how many seconds (0: now)."""
        with self._lock:
            now = self._now()
            waits = {scope: self._wait(scope, now) for scope in Scope}
            comparable = self._store.note(BASELINE) is not None
            scope = Scope.QUICK if comparable and waits[Scope.QUICK] < waits[Scope.FULL] else Scope.FULL
            pause = max(0.0, (self._not_before - now).total_seconds()) if self._not_before else 0.0
            return scope, max(waits[scope], pause)

    def done(self, scope: Scope) -> None:
        """One was taken, or is held for a person to decide: the next comes after its period. Full serves as both."""
        with self._lock:
            self._asked = None
            self._not_before = None
            self._backoff.reset()
            scopes = tuple(Scope) if scope is Scope.FULL else (Scope.QUICK,)
            self._store.remember(**{NOTES[each]: self._next(each) for each in scopes})

    def failed(self) -> None:
        """One failed: what is due stays due, after a pause that grows."""
        with self._lock:
            self._not_before = self._now() + timedelta(seconds=self._backoff.next())

    def next_syncs(self) -> dict[str, str]:
        """The next full and quick one as ISO times; what is due now has this moment."""
        now = iso(self._now()) or ""
        return {scope.value: self._store.note(NOTES[scope]) or now for scope in Scope}

    def _next(self, scope: Scope) -> str:
        period = self._every[scope] * self._chance.uniform(1 - JITTER, 1 + JITTER)
        return iso(self._now() + timedelta(seconds=period)) or ""

    def _wait(self, scope: Scope, now: datetime) -> float:
        """Seconds until this one is due; 0 too where the clock or the settings moved the time out of reason."""
        if self._asked is scope:
            return 0.0
        note = self._store.note(NOTES[scope])
        if note is None:
            return 0.0
        seconds = (datetime.fromisoformat(note) - now).total_seconds()
        return 0.0 if seconds > self._every[scope] * (1 + JITTER) + 1 else max(0.0, seconds)
