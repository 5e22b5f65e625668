"""What is decided of a device before its first synchronisation: whether its id may be on the list of allowed devices.

Pure. Asked of ids that a compliance source names and that no device of the person's mailbox has yet. It only ever says
allow, for as long as the policy gives an unused one, or leave.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gatepost.domain.access import TAKES_AWAY, Decision, Reason, decide
from gatepost.domain.desired import Level
from gatepost.domain.facts import Facts, Managed
from gatepost.domain.policies import Policy

KEPT_WHILE = frozenset({Reason.STALE, Reason.AMBIGUOUS})


@dataclass(frozen=True, slots=True)
class Ahead:
    """How it stands with an approval ahead of one id in one mailbox.

    ``begun`` is when the one that stands was given, None where none does. ``spent``: one was used or taken back, and
    nothing new was said of the device since. ``others`` are unused ones of the same mailbox.
    """

    begun: datetime | None = None
    spent: bool = False
    others: int = 0


def decide_ahead(facts: Facts, policy: Policy, ahead: Ahead, now: datetime) -> Decision:
    """Allow or leave. A source that is silent or contradicts itself keeps what stands until its time is over."""
    decision = decide(facts, policy, None, now)
    wanted = policy.pre_approval
    until = (ahead.begun or now) + timedelta(days=wanted.days)
    if ahead.begun is not None and now < until and decision.reason in KEPT_WHILE and wanted.enabled:
        return _allowed(until, {"compliance": Managed.COMPLIANT.value, "kept": decision.reason.value})
    fits = ahead.begun is not None or (not ahead.spent and ahead.others < wanted.per_mailbox)
    complies = (decision.level, decision.reason) == (Level.ALLOW, Reason.COMPLIANT) and not _waits(facts, policy, now)
    if wanted.enabled and complies and fits and now < until:
        return _allowed(until, decision.inputs)
    return Decision(Level.LEAVE, Reason.GONE if complies else decision.reason)


def _allowed(until: datetime, inputs: object) -> Decision:
    told = dict(inputs) if isinstance(inputs, dict) else {}
    return Decision(Level.ALLOW, Reason.PRE_APPROVED, None, told, until, False, until)


def _waits(facts: Facts, policy: Policy, now: datetime) -> bool:
    """Whether a rule that takes access away could still speak of it, once the device says what it is."""
    return any(rule.level in TAKES_AWAY and rule.matches(facts, now) is None for rule in policy.rules)
