"""When faults strike: always while they are chosen, or a number of times, or after a number of events.

What an event is depends on the fault: a request, an answer with output, the start of a pipeline (docs/lab.md). Whatever
place of the lab could strike asks here each time it passes.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, MutableSet
from dataclasses import dataclass

from gatepost.errors import SettingsError
from gatepost.lab.dialects import Fault

_NAMED = re.compile(r"([a-z0-9-]+?)(?::(\d+))?(?:@(\d+))?")


@dataclass(slots=True)
class _Plan:
    """How often a fault will still strike (None: always), and how many events it lets pass before."""

    times: int | None
    after: int


class Faults(MutableSet[Fault]):
    """The faults of one lab; may be changed from any thread while it runs.

    As a set it holds what may strike yet. ``struck`` counts what did.
    """

    def __init__(self, chosen: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._plans = {fault: _Plan(None, 0) for fault in chosen}
        self.struck: Counter[Fault] = Counter()

    def __contains__(self, fault: object) -> bool:
        return fault in self._plans

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._plans))

    def __len__(self) -> int:
        return len(self._plans)

    def add(self, value: Fault) -> None:
        """Let a fault strike at every event."""
        self.plan(value)

    def discard(self, value: Fault) -> None:
        """Let a fault strike no more."""
        with self._lock:
            self._plans.pop(value, None)

    def plan(self, fault: Fault, *, times: int | None = None, after: int = 0) -> None:
        """Let a fault strike ``times`` times (None: always), once ``after`` events have passed."""
        with self._lock:
            self._plans[fault] = _Plan(times, after)

    def strikes(self, fault: Fault) -> bool:
        """Whether the fault strikes at this event, which is counted."""
        with self._lock:
            plan = self._plans.get(fault)
            if plan is None:
                return False
            if plan.after:
                plan.after -= 1
                return False
            if plan.times is not None:
                plan.times -= 1
                if plan.times <= 0:
                    del self._plans[fault]
            self.struck[fault] += 1
            return True


def faults_named(names: str) -> Faults:
    """Faults by their names, joined by commas: ``break-off``, ``break-off:2`` (twice), ``break-off:1@3`` (after three).

    Raises SettingsError.
    """
    faults = Faults()
    for name in filter(None, (part.strip() for part in names.split(","))):
        found = _NAMED.fullmatch(name)
        if found is None or found[1] not in set(Fault):
            raise SettingsError(f"There is no such fault: {name!r}.", f"Choose from {', '.join(Fault)}.")
        faults.plan(Fault(found[1]), times=int(found[2]) if found[2] else None, after=int(found[3] or 0))
    return faults
