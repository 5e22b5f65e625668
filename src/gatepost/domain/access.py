"""What is decided of one device: ``decide`` says leave, allow, quarantine or block, and why.

Pure and total: the same facts, policy, previous decision and moment give the same decision, which is how a decision is
replayed from the audit trail, previewed, and taken once for a whole class of devices. The table is in docs/policy.md;
the laws that it keeps:

- What is unknown, ambiguous or stale never takes access away: the decision before it stays, else hands are left off.
- An administrator's pin goes before everything but the absence of a list to write into.
- Rules are asked in their order; one that waits for what Exchange has not said yet lets nothing stricter pass it.
- A client that stands for all phones of a person (Outlook's cloud) is judged by rules about people only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gatepost.domain.desired import Level
from gatepost.domain.facts import Client, Facts, Managed, Source, later
from gatepost.domain.policies import Policy, Rule

TAKES_AWAY = frozenset({Level.BLOCK, Level.QUARANTINE})


class Reason(StrEnum):
    """Why a device has its level; a person reads the sentence that the console and the notices have for it."""

    PINNED = "pinned"
    GONE = "gone"
    NO_MAILBOX = "no-mailbox"
    ELSEWHERE = "elsewhere"
    NO_ID = "no-id"
    POLICY_OFF = "policy-off"
    EXCLUDED = "excluded"
    NOT_INCLUDED = "not-included"
    PERSON_UNKNOWN = "person-unknown"
    RULE = "rule"
    CLOUD_CACHE = "cloud-cache"
    DISCOVERING = "discovering"
    COMPLIANT = "compliant"
    PRE_APPROVED = "pre-approved"
    KNOWN = "known"
    UNMANAGED = "unmanaged"
    UNMANAGED_GRACE = "unmanaged-grace"
    NONCOMPLIANT = "noncompliant"
    NONCOMPLIANT_GRACE = "noncompliant-grace"
    AMBIGUOUS = "ambiguous"
    STALE = "stale"
    NO_SOURCE = "no-source"


BY_COMPLIANCE = frozenset(
    {
        Reason.COMPLIANT,
        Reason.KNOWN,
        Reason.UNMANAGED,
        Reason.UNMANAGED_GRACE,
        Reason.NONCOMPLIANT,
        Reason.NONCOMPLIANT_GRACE,
    }
)
"""What a compliance source was asked for: such a decision stays while the source is silent or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided: the level, one reason, the rule that decided (its id) and the inputs used, as JSON.

    ``until`` is when access ends (a grace period) or what decides ends (a pin, grandfathering); ``warns``: it ends so
    soon that the person is to be told. ``review_at`` is when it could change by time alone.
    """

    level: Level
    reason: Reason
    rule: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    until: datetime | None = None
    warns: bool = False
    review_at: datetime | None = None


def decide(facts: Facts, policy: Policy, previous: Decision | None, now: datetime) -> Decision:
    """What is decided of a device now; ``previous`` is what was decided before, None for a device never decided."""
    turns: list[datetime] = []

    def result(
        level: Level, reason: Reason, *, rule: Rule | None = None, until: datetime | None = None, **inputs: str | bool
    ) -> Decision:
        ahead = [each for each in (*turns, until) if each is not None and each > now]
        return Decision(level, reason, rule.rule_id if rule else None, inputs, until, False, min(ahead, default=None))

    if facts.barred:
        return result(Level.LEAVE, Reason(facts.barred))
    if facts.pin is not None and (facts.pin.until is None or now < facts.pin.until):
        return result(facts.pin.level, Reason.PINNED, until=facts.pin.until)
    if not policy.enabled:
        return result(Level.LEAVE, Reason.POLICY_OFF)
    if reason := _outside(facts, policy):
        return result(Level.LEAVE, reason)
    rule, waits = _ruling(facts, policy, now, turns)
    if rule is not None and not (waits and rule.level in TAKES_AWAY):
        return result(rule.level, Reason.RULE, rule=rule, name=rule.name)
    if rule is not None:
        return result(Level.LEAVE, _awaited(facts), name=rule.name)
    if facts.client is Client.CLOUD_CACHE:
        return result(policy.cloud_cache, Reason.CLOUD_CACHE)
    decided = _by_compliance(facts, policy, previous, now, result)
    if waits and decided.level in TAKES_AWAY:
        return result(Level.LEAVE, _awaited(facts))
    return decided


def _awaited(facts: Facts) -> Reason:
    """What a rule waits for: for Exchange to say what the device is, or for the directory to know its person."""
    return Reason.DISCOVERING if facts.discovering else Reason.PERSON_UNKNOWN


def _outside(facts: Facts, policy: Policy) -> Reason | None:
    """Why the policy does not speak of this person; exclusion goes before inclusion."""
    if not (policy.included or policy.excluded):
        return None
    if facts.groups is None:
        return Reason.PERSON_UNKNOWN
    if not policy.excluded.isdisjoint(facts.groups):
        return Reason.EXCLUDED
    return Reason.NOT_INCLUDED if policy.included and policy.included.isdisjoint(facts.groups) else None


def _ruling(facts: Facts, policy: Policy, now: datetime, turns: list[datetime]) -> tuple[Rule | None, bool]:
    """The first rule that speaks of the device, and whether one before it cannot be told yet."""
    waits = False
    for rule in policy.rules:
        if facts.client is Client.CLOUD_CACHE and not rule.of_people:
            continue
        told = rule.matches(facts, now)
        turns.extend(turn for each in rule.conditions.values() if (turn := each.turns_at(facts)) and turn > now)
        if told:
            return rule, waits
        waits = waits or told is None
    return None, waits


def _by_compliance(
    facts: Facts,
    policy: Policy,
    previous: Decision | None,
    now: datetime,
    result: Callable[..., Decision],
) -> Decision:
    """What the compliance sources make of it."""
    by_person = facts.client is Client.OUTLOOK and policy.by_person
    compliance = facts.of_person if by_person else facts.own
    inputs: dict[str, str | bool] = {"compliance": compliance.managed.value} | (
        {"by_person": True} if by_person else {}
    )
    if facts.source is Source.NONE:
        return result(Level.LEAVE, Reason.NO_SOURCE)
    if facts.source is Source.STALE or compliance.managed is Managed.UNKNOWN:
        reason = Reason.STALE if facts.source is Source.STALE else Reason.AMBIGUOUS
        if previous is not None and previous.reason in BY_COMPLIANCE:
            return Decision(
                previous.level,
                previous.reason,
                previous.rule,
                {**previous.inputs, "kept": reason.value},
                previous.until,
            )
        return result(Level.LEAVE, reason, **inputs)
    access = Level.ALLOW if policy.override_default else Level.LEAVE
    if compliance.managed is Managed.COMPLIANT:
        return result(access, Reason.COMPLIANT, **inputs)
    if facts.known and policy.known_until is not None and now < policy.known_until:
        return _warned(result(Level.ALLOW, Reason.KNOWN, until=policy.known_until, **inputs), policy, now)
    if compliance.managed is Managed.NONCOMPLIANT:
        end = _grace_end(compliance.since, policy, previous, now)
        during, after, level = Reason.NONCOMPLIANT_GRACE, Reason.NONCOMPLIANT, policy.noncompliant
    else:
        end = later(facts.first_seen, timedelta(seconds=policy.grace.unmanaged))
        during, after, level = Reason.UNMANAGED_GRACE, Reason.UNMANAGED, policy.unmanaged
    if level in TAKES_AWAY and now < end:
        return _warned(result(access, during, until=end, **inputs), policy, now)
    return result(level, after, **inputs)


def _grace_end(since: datetime | None, policy: Policy, previous: Decision | None, now: datetime) -> datetime:
    """When the grace of a device that does not comply ends; where nobody knows since when, it began when we heard."""
    if since is None and previous is not None and previous.reason is Reason.NONCOMPLIANT:
        return now
    if since is None and previous is not None and previous.reason is Reason.NONCOMPLIANT_GRACE and previous.until:
        return previous.until
    return later(since or now, timedelta(seconds=policy.grace.noncompliant))


def _warned(decision: Decision, policy: Policy, now: datetime) -> Decision:
    """The same, with the moment from which its person is to be warned that it ends."""
    assert decision.until is not None
    warn_at = decision.until - timedelta(seconds=policy.grace.warn)
    warns = now >= warn_at
    review_at = decision.review_at if warns else min(warn_at, decision.review_at or warn_at)
    return Decision(decision.level, decision.reason, decision.rule, decision.inputs, decision.until, warns, review_at)
