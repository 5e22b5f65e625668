"""Cuts: the moments at which a policy changes its mind about a device, for devices that are looked at all together.

At one moment a grace period is over for everything that began before a cut, and runs for all the rest; so where a
device's times stand between the cuts is all that a decision needs of them, and any time between two cuts stands for all
of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gatepost.domain.policies import Policy, SyncOlderThan

JUST_AFTER = timedelta(microseconds=1)
"""A cut is the first moment of what lies above it; PostgreSQL keeps times to the microsecond, as we do."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """The cuts of some policies at one moment, each list in order.

    ``first`` of when a device was seen first, ``sync`` of its last synchronisation, ``since`` of when it or its person
    stopped complying.
    """

    first: Sequence[datetime]
    sync: Sequence[datetime]
    since: Sequence[datetime]

    @classmethod
    def of(cls, policies: Iterable[Policy], now: datetime) -> "Cuts":
        """Every cut of these policies."""
        first: set[datetime] = set()
        sync: set[datetime] = set()
        since: set[datetime] = set()
        for policy in policies:
            first |= _ends(now, policy.grace.unmanaged, policy.grace.warn)
            since |= _ends(now, policy.grace.noncompliant, policy.grace.warn)
            ages = (rule.conditions.get("synced_days_ago") for rule in policy.rules)
            days = {each.days for each in ages if isinstance(each, SyncOlderThan)}
            sync |= {now - timedelta(days=each) + JUST_AFTER for each in days}
        return cls(sorted(first), sorted(sync), sorted(since))


def standing_for(cuts: Sequence[datetime], place: int, now: datetime) -> datetime:
    """A time that stands for all in a place: 0 is before the first cut, 1 from it on, and so forth."""
    if not cuts:
        return now
    return cuts[place - 1] if place else cuts[0] - JUST_AFTER


def _ends(now: datetime, seconds: int, warn: int) -> set[datetime]:
    """When what ends, and what is warned of, just now began."""
    over = now - timedelta(seconds=seconds)
    return {over + JUST_AFTER, over + timedelta(seconds=warn) + JUST_AFTER}
