"""What a source may not say without somebody looking: too little, or too much good.

An empty list that says that it is complete is never believed. One that leaves out more records than ``syncs.allowed``,
and a report that calls more than ``SHARE`` of what does not comply compliant within ``WINDOW`` (``LEAST`` where that is
more), are *held*: nothing of it is kept, and the source counts as stale until a list comes that may be believed, or an
administrator accepts what was held, for the next report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gatepost.service.syncs import allowed

SHARE, LEAST = 0.2, 50
WINDOW = timedelta(hours=1)
EMPTY, SHRUNK, TOO_GOOD = "empty", "shrunk", "too-good"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a report would do: how many records it leaves out, and how many that fail it calls compliant.

    ``known`` are the source's records, ``failing`` those that do not comply, ``recovered`` those that came to comply
    within the window; ``told`` is how many the report has, ``complete`` whether it says that these are all.
    """

    known: int
    failing: int
    recovered: int
    missing: int
    recovering: int
    told: int
    complete: bool

    def document(self) -> dict[str, int]:
        """The numbers that people look at."""
        numbers = {"known": self.known, "failing": self.failing, "missing": self.missing}
        return {**numbers, "recovering": self.recovered + self.recovering, "told": self.told}


def doubt(effect: Effect, accepted: Mapping[str, Any] | None) -> str | None:
    """Why a report is held; None where it may be believed, by itself or by what was ``accepted``."""
    let = accepted or {}
    if effect.complete and not effect.told:
        return EMPTY
    if effect.complete and effect.missing > max(allowed(effect.known), let.get("missing", 0)):
        return SHRUNK
    if effect.recovering and effect.recovered + effect.recovering > max(recoveries(effect), let.get("recovering", 0)):
        return TOO_GOOD
    return None


def recoveries(effect: Effect) -> int:
    """How many may come to comply within the window: a share of what failed at its beginning, or ``LEAST``."""
    return max(int((effect.failing + effect.recovered) * SHARE), LEAST)
