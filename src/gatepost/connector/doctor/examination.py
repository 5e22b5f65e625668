"""One examination: parts that look side by side, each in a thread and a time of its own, and what they find.

A part is a generator of checks. Whatever happens in one (a fault of ours too) becomes a check of that part, and the
others go on. A part that is still at it when the time is over is left behind: its thread ends by its own limits.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime

from gatepost.connector.passwords import Passwords
from gatepost.connector.secrets import Secrets
from gatepost.domain.checks import Check, Level
from gatepost.errors import GatepostError
from gatepost.settings import ConnectorSettings

log = logging.getLogger(__name__)

PART_SECONDS = 55.0
"""What an examination takes at the most: after that, a part that is not through is told as such."""

Checks = Iterator[Check]
Progress = Callable[[Check], None]


class Patient:
    """What is examined: settings and passwords, and how to end what takes too long.

    ``test_address`` is where a test notice goes, None for none; ``now`` is when it is examined.
    """

    def __init__(
        self, settings: ConnectorSettings, secrets: Secrets | None, now: datetime, *, test_address: str | None = None
    ) -> None:
        self.settings = settings
        self.passwords = Passwords(settings, secrets)
        self.now = now
        self.test_address = test_address
        self._ends: list[Callable[[], None]] = []
        self._over = False
        self._lock = threading.Lock()

    @property
    def today(self) -> date:
        """The day, in UTC."""
        return self.now.date()

    def began(self, end: Callable[[], None]) -> None:
        """Something begins that ``end`` ends from any thread: it is called when the time is over, at once if it is."""
        with self._lock:
            self._ends.append(end)
            over = self._over
        if over:
            end()

    def end(self) -> None:
        """End all that is under way."""
        with self._lock:
            self._over = True
            ends = list(self._ends)
        for end in ends:
            end()


Part = Callable[[Patient], Checks]


class _Work:
    """One part at work in a thread."""

    def __init__(self, name: str, look: Part, patient: Patient, progress: Progress, subject: str) -> None:
        self.name = name
        self.subject = subject
        self._look = look
        self._patient = patient
        self._progress = progress
        self._lock = threading.Lock()
        self._found: list[Check] = []
        self._thread = threading.Thread(target=self._run, name=f"doctor {name}", daemon=True)
        self._closed = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def found(self, seconds: float) -> tuple[Check, ...]:
        """All checks, after at most so many seconds; nothing is added later."""
        self._thread.join(max(0.0, seconds))
        unfinished = self._thread.is_alive()
        with self._lock:
            self._closed = True
            found = tuple(self._found)
        if not unfinished:
            return found
        late = Check(
            f"{self.name}-unfinished",
            Level.BAD,
            f"The checks of this part ({self.name}) were not through in their time.",
            "Something on the way takes connections and does not answer.",
            "Look at the last check of this part, and at firewalls and proxies between.",
            self.subject,
        )
        return (*found, late)

    def _run(self) -> None:
        try:
            for check in self._look(self._patient):
                self._add(check)
        except GatepostError as error:
            self._add(Check(f"{self.name}-failed", Level.BAD, error.cause, "The rest was not looked at.", error.remedy))
        except Exception as error:
            # Whatever it is, the other parts and the caller go on; its text may hold anything, so its kind is told.
            log.exception("a fault of the doctor")
            self._add(
                Check(
                    f"{self.name}-failed",
                    Level.BAD,
                    f"The doctor itself failed here ({type(error).__name__}).",
                    "The rest of this part was not looked at.",
                    "Look into the log, and tell the makers.",
                )
            )

    def _add(self, check: Check) -> None:
        with self._lock:
            if self._closed:
                return
            self._found.append(check)
        self._progress(check)


def examine_parts(
    patient: Patient, parts: Mapping[str, Part], progress: Progress, seconds: float, kind: str = ""
) -> tuple[Check, ...]:
    """The checks of all parts, in the order of the parts, within ``seconds``. Raises nothing of theirs.

    ``kind`` begins the names of checks where the parts are several of one kind, which their own names tell apart.
    """
    works = [_Work(kind or name, look, patient, progress, name if kind else "") for name, look in parts.items()]
    end = time.monotonic() + seconds
    for work in works:
        work.start()
    return tuple(check for work in works for check in work.found(end - time.monotonic()))
