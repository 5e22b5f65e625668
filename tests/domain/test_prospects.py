"""What would change a decision: the times at which it changes by itself, and what a source or a pin would change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gatepost.domain.access import Reason, decide
from gatepost.domain.desired import Level
from gatepost.domain.facts import Client, Compliance, Facts, Managed, Pinned, Source
from gatepost.domain.policies import Grace, Policy
from gatepost.domain.prospects import What, prospects

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(1)
POLICY = Policy(enabled=True, grace=Grace(noncompliant=7 * 86_400, warn=86_400))
PHONE = Facts(
    family="ios", model="iPhone", os="iOS", os_version=(17,), user_agent=None, client=Client.NATIVE, device_id="DEV",
    user="a@example.test", groups=frozenset(), first_seen=NOW - DAY, source=Source.FRESH,
)  # fmt: skip


def told(facts: Facts, policy: Policy = POLICY) -> list[tuple[What, Level, Reason, datetime | None]]:
    """What would change what is decided of it now."""
    found = prospects(facts, policy, decide(facts, policy, None, NOW), NOW)
    return [(each.what, each.decision.level, each.decision.reason, each.at) for each in found]


def test_the_end_of_a_grace_period_is_foretold_past_its_warning() -> None:
    """The warning changes no level; the end does, at its moment."""
    failing = replace(PHONE, own=Compliance(Managed.NONCOMPLIANT, NOW - DAY))
    assert told(failing) == [(What.TIME, Level.BLOCK, Reason.NONCOMPLIANT, NOW + 6 * DAY)]


def test_what_a_source_would_change_is_foretold() -> None:
    """An unmanaged phone waits in quarantine: complying lets it in; failing too, until its grace ends."""
    assert told(PHONE) == [
        (What.COMPLIES, Level.ALLOW, Reason.COMPLIANT, None),
        (What.FAILS, Level.ALLOW, Reason.NONCOMPLIANT_GRACE, None),
        (What.FAILS, Level.BLOCK, Reason.NONCOMPLIANT, None),
    ]


def test_that_a_phone_with_access_would_lose_it_when_its_grace_ends_is_foretold() -> None:
    """Failing changes nothing at once, so it says after how long; without a grace period it is at once."""
    phone = replace(PHONE, own=Compliance(Managed.COMPLIANT))
    [late] = prospects(phone, POLICY, decide(phone, POLICY, None, NOW), NOW)
    assert (late.what, late.decision.level, late.at, late.after) == (What.FAILS, Level.BLOCK, None, 7 * DAY)
    strict = Policy(enabled=True)
    [now] = prospects(phone, strict, decide(phone, strict, None, NOW), NOW)
    assert (now.what, now.decision.level, now.after) == (What.FAILS, Level.BLOCK, None)


def test_a_pin_goes_before_all_so_its_end_and_its_removal_are_what_counts() -> None:
    """What would be decided without it."""
    pinned = replace(PHONE, pin=Pinned(Level.ALLOW, NOW + DAY))
    assert told(pinned) == [
        (What.TIME, Level.QUARANTINE, Reason.UNMANAGED, NOW + DAY),
        (What.UNPINNED, Level.QUARANTINE, Reason.UNMANAGED, None),
    ]


def test_nothing_is_foretold_where_the_policy_is_off() -> None:
    """Hands are off, whatever comes."""
    assert told(PHONE, Policy()) == []
