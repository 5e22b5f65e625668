"""What went wrong of late, for people: the newest errors with their remedy, each once, told with every document."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from gatepost.domain.contract import iso
from gatepost.errors import GatepostError

KEPT = 10
LONGEST = 1_000  # characters of a sentence


class Troubles:
    """The last errors of one connector's process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._met: dict[tuple[str, str], datetime] = {}

    def met(self, error: GatepostError) -> None:
        """An error was met now; the same one again is only newer."""
        said = error.cause[:LONGEST], error.remedy[:LONGEST]
        with self._lock:
            self._met.pop(said, None)
            self._met[said] = datetime.now(UTC)
            while len(self._met) > KEPT:
                del self._met[next(iter(self._met))]

    def documents(self) -> tuple[Mapping[str, str], ...]:
        """The errors as JSON values, the newest first."""
        with self._lock:
            met = list(self._met.items())
        return tuple({"at": iso(at) or "", "what": what, "remedy": remedy} for (what, remedy), at in reversed(met))
