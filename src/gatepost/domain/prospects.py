"""What would change a decision, and when: the same facts a while later, or with one thing otherwise.

Pure: ``decide`` is asked again, so that what is foretold is what would be decided.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gatepost.domain.access import Decision, Reason, decide
from gatepost.domain.facts import Compliance, Facts, Managed, Source
from gatepost.domain.policies import Policy

MOST_TURNS = 6


class What(StrEnum):
    """What would be otherwise: the time, the pin, or what a compliance source says of the device."""

    TIME = "time"
    UNPINNED = "unpinned"
    COMPLIES = "complies"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Prospect:
    """One thing that would change the level, and what would be decided then.

    ``at`` for time only; ``after`` where it comes about so long after a source said so: at the end of a grace period.
    """

    what: What
    decision: Decision
    at: datetime | None = None
    after: timedelta | None = None


def prospects(facts: Facts, policy: Policy, decision: Decision, now: datetime) -> list[Prospect]:
    """What would give the device another level than it has, the times first."""
    found = _by_time(facts, policy, decision, now)
    for what, changed in _otherwise(facts, decision, now):
        other = decide(changed, policy, decision, now)
        if other.level is not decision.level:
            found.append(Prospect(what, other))
        if what is What.FAILS:
            found += _when_its_grace_ends(changed, policy, other, now)
    return found


def _when_its_grace_ends(failing: Facts, policy: Policy, decision: Decision, now: datetime) -> list[Prospect]:
    """What becomes of a device that failed just now, once its grace is over."""
    turns = _by_time(failing, policy, decision, now)[:1]
    return [Prospect(What.FAILS, turn.decision, after=turn.at - now) for turn in turns if turn.at]


def _by_time(facts: Facts, policy: Policy, decision: Decision, now: datetime) -> list[Prospect]:
    """Each change of the level that time alone brings; a few turns ahead, for most change a warning only."""
    found: list[Prospect] = []
    last, at = decide(facts, policy, decision, now), now
    for _ in range(MOST_TURNS):
        if last.review_at is None or last.review_at <= at:
            break
        at = last.review_at
        turned = decide(facts, policy, last, at)
        if turned.level is not last.level:
            found.append(Prospect(What.TIME, turned, at))
        last = turned
    return found


def _otherwise(facts: Facts, decision: Decision, now: datetime) -> list[tuple[What, Facts]]:
    if decision.reason is Reason.PINNED:
        return [(What.UNPINNED, replace(facts, pin=None))]
    told = {What.COMPLIES: Compliance(Managed.COMPLIANT), What.FAILS: Compliance(Managed.NONCOMPLIANT, now)}
    return [
        (what, replace(facts, own=said, of_person=said, source=Source.FRESH))
        for what, said in told.items()
        if facts.own.managed is not said.managed
    ]
