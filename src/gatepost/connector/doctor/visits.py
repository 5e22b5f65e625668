"""The doctor beside a running connector: in a thread of its own, one at a time, and what it last found for the service.

It delays nothing: whoever asks goes on at once, and hears of it by ``tell`` when it is through.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gatepost.domain.checks import Check, Level
from gatepost.domain.contract import iso

MOST_CHECKS = 60
LONGEST_TEXT = 500
"""What travels with every check-in stays small: so many checks of so many characters a text."""

End = Callable[[], None]
Examine = Callable[[Callable[[End], None]], Iterable[Check]]


class Visits:
    """``examine`` looks, and tells its argument how to end it. Safe to use from several threads.

    ``start`` it, and ``close`` it at the end.
    """

    def __init__(self, examine: Examine, tell: Callable[[], None] = lambda: None) -> None:
        self._examine = examine
        self._tell = tell
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end: End = lambda: None
        self._closed = True
        self._told: Mapping[str, Any] = {}

    @property
    def told(self) -> Mapping[str, Any]:
        """What the last visit found, as the service is told: at and checks; empty before the first."""
        return self._told

    def start(self) -> None:
        """Begin the first visit; before that, none can be asked for."""
        with self._lock:
            self._closed = False
        self.ask()

    def ask(self) -> bool:
        """Begin a visit, unless one is under way; whether one was begun."""
        with self._lock:
            if self._closed or (self._thread is not None and self._thread.is_alive()):
                return False
            self._thread = threading.Thread(target=self._visit, name="doctor", daemon=True)
            self._thread.start()
            return True

    def wait(self, seconds: float) -> None:
        """Wait for the visit that is under way, if there is one."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def close(self) -> threading.Thread:
        """Begin no other visit and end the one under way; when the thread is done, its session is closed."""
        with self._lock:
            self._closed = True
            ending = threading.Thread(target=self._end, name="doctor leaves", daemon=True)
        ending.start()
        return ending

    def _visit(self) -> None:
        checks = document(self._examine(self._began), datetime.now(UTC))
        with self._lock:
            self._end = lambda: None
            if self._closed:
                return
            self._told = checks
        self._tell()

    def _began(self, end: End) -> None:
        with self._lock:
            self._end = end
            closed = self._closed
        if closed:
            end()


def document(checks: Iterable[Check], at: datetime) -> dict[str, Any]:
    """Checks as they travel, the worst first where there are too many."""
    found = list(checks)
    if len(found) > MOST_CHECKS:
        found = sorted(found, key=lambda check: (check.level is Level.GOOD, check.level is Level.SKIPPED))[:MOST_CHECKS]
    return {"at": iso(at), "checks": [_brief(check) for check in found]}


def _brief(check: Check) -> dict[str, Any]:
    """A check without what is empty, its texts cut."""
    return {name: _shortened(value) for name, value in check.document().items() if value}


def _shortened(text: str) -> str:
    """A text that is not too long, cut after a word where it has any."""
    words = text[: LONGEST_TEXT - 1].rpartition(" ")[0]
    if len(text) <= LONGEST_TEXT or not words:
        return text[:LONGEST_TEXT]
    return f"{words.rstrip(',')} …"
