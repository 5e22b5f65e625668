"""Approval before the first synchronisation: what it takes, for how long it stands, and what keeps it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatepost.domain.access import Reason
from gatepost.domain.ahead import Ahead, decide_ahead
from gatepost.domain.desired import Level
from gatepost.domain.facts import Client, Compliance, Facts, Managed, Source
from gatepost.domain.policies import read_policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = read_policy({"enabled": True, "pre_approval": {"enabled": True, "per_mailbox": 2, "days": 7}})
FACTS = Facts(
    family="other",
    model=None,
    os=None,
    os_version=(),
    user_agent=None,
    client=Client.NATIVE,
    device_id="new1",
    user="anna@example.test",
    groups=frozenset(),
    first_seen=NOW,
    discovering=True,
    source=Source.FRESH,
    own=Compliance(Managed.COMPLIANT),
)
STANDS = Ahead(begun=NOW - timedelta(days=1))


def test_a_compliant_device_is_allowed_for_so_long() -> None:
    """From when it was given, and looked at again at its end; what was used says so."""
    decision = decide_ahead(FACTS, POLICY, Ahead(), NOW)
    assert (decision.level, decision.reason, dict(decision.inputs)) == (
        Level.ALLOW,
        Reason.PRE_APPROVED,
        {"compliance": "compliant"},
    )
    assert decision.until == decision.review_at == NOW + timedelta(days=7)
    assert decide_ahead(FACTS, POLICY, STANDS, NOW).until == NOW + timedelta(days=6)


@pytest.mark.parametrize(
    ("ahead", "why"),
    [
        (Ahead(others=2), "the mailbox has as many as it may"),
        (Ahead(spent=True), "it was taken back before"),
        (Ahead(begun=NOW - timedelta(days=7)), "its time is over"),
    ],
)
def test_a_compliant_device_is_left_where_it_may_not_be_approved(ahead: Ahead, why: str) -> None:
    """Hands are off, for a device that is not there."""
    decision = decide_ahead(FACTS, POLICY, ahead, NOW)
    assert (decision.level, decision.reason) == (Level.LEAVE, Reason.GONE), why


@pytest.mark.parametrize(
    ("facts", "document", "reason"),
    [
        ({"own": Compliance(Managed.NONCOMPLIANT, NOW)}, {}, Reason.NONCOMPLIANT),
        ({"own": Compliance(Managed.UNMANAGED)}, {}, Reason.UNMANAGED),
        ({"source": Source.NONE}, {}, Reason.NO_SOURCE),
        ({"groups": frozenset({"visitors"})}, {"excluded": ["visitors"]}, Reason.EXCLUDED),
        ({"groups": None}, {"included": ["staff"]}, Reason.PERSON_UNKNOWN),
        ({"barred": "no-mailbox"}, {}, Reason.NO_MAILBOX),
        ({}, {"enabled": False}, Reason.POLICY_OFF),
        ({}, {"override_default": False}, Reason.COMPLIANT),
    ],
)
def test_only_allow_for_compliance_approves(facts: dict[str, Any], document: dict[str, object], reason: Reason) -> None:
    """Whatever else is decided is left, with that reason; never quarantine or block, also where one stands."""
    policy = read_policy({**POLICY.document(), **document})
    for ahead in (Ahead(), STANDS):
        decision = decide_ahead(replace(FACTS, **facts), policy, ahead, NOW)
        assert (decision.level, decision.reason, decision.until) == (Level.LEAVE, reason, None)


@pytest.mark.parametrize("doubt", [{"source": Source.STALE}, {"own": Compliance(Managed.UNKNOWN)}])
def test_doubt_keeps_what_stands_and_gives_nothing(doubt: dict[str, Any]) -> None:
    """Until its time is over."""
    facts = replace(FACTS, **doubt)
    kept = decide_ahead(facts, POLICY, STANDS, NOW)
    assert (kept.level, kept.reason, kept.until) == (Level.ALLOW, Reason.PRE_APPROVED, NOW + timedelta(days=6))
    assert decide_ahead(facts, POLICY, Ahead(), NOW).level is Level.LEAVE
    assert decide_ahead(facts, POLICY, STANDS, NOW + timedelta(days=6)).level is Level.LEAVE


def test_a_rule_that_may_yet_take_access_away_is_waited_for() -> None:
    """One about the system of a device that nobody has seen; one that cannot concern it is not."""

    def level(when: dict[str, object], then: str) -> Level:
        rule = {"id": "r", "name": "Rule", "level": then, "when": when}
        policy = read_policy({**POLICY.document(), "rules": [rule]})
        return decide_ahead(FACTS, policy, Ahead(), NOW).level

    assert level({"family": ["android"]}, "block") is Level.LEAVE
    assert level({"model": ["Old*"]}, "quarantine") is Level.LEAVE
    assert level({"family": ["android"]}, "allow") is Level.ALLOW
    assert level({"user": "bert@"}, "block") is Level.ALLOW
    assert level({"user": "anna@"}, "block") is Level.LEAVE
