"""Cuts and patterns: what stands for many devices decides as each of them would."""

from datetime import UTC, datetime, timedelta
from random import Random

from gatepost.domain.access import decide
from gatepost.domain.desired import Level
from gatepost.domain.facts import Client, Compliance, Facts, Managed, Source
from gatepost.domain.policies import Grace, PatternIs, Policy, Rule, SyncOlderThan
from gatepost.service.policies.cuts import Cuts, standing_for
from gatepost.service.policies.patterns import Found, find, patterns_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
POLICY = Policy(
    enabled=True,
    rules=(Rule("old", "Old", Level.BLOCK, {"synced_days_ago": SyncOlderThan(30)}),),
    grace=Grace(unmanaged=5 * 86_400, noncompliant=3 * 86_400, warn=86_400),
)


def facts(first_seen: datetime, last_sync_at: datetime | None, managed: Managed, since: datetime | None) -> Facts:
    """A native client of a fresh source."""
    return Facts(
        family="ios", model=None, os=None, os_version=(), user_agent=None, client=Client.NATIVE, device_id="x", user="",
        groups=frozenset(), first_seen=first_seen, last_sync_at=last_sync_at, source=Source.FRESH,
        own=Compliance(managed, since),
    )  # fmt: skip


def test_between_two_cuts_every_time_is_decided_alike() -> None:
    """Times around each cut, and random ones, are decided as the time that stands for their place."""
    cuts, random = Cuts.of([POLICY], NOW), Random(1)
    edges = [
        cut + timedelta(microseconds=step) for cut in (*cuts.first, *cuts.sync, *cuts.since) for step in (-2, -1, 0, 1)
    ]
    times = [*edges, *(NOW - timedelta(seconds=random.uniform(-86_400, 60 * 86_400)) for _ in range(200))]

    def place(time: datetime, of: list[datetime]) -> datetime:
        return standing_for(of, sum(time >= cut for cut in of), NOW)

    for time in times:
        for managed in (Managed.UNMANAGED, Managed.NONCOMPLIANT):
            single = decide(facts(time, time, managed, time), POLICY, None, NOW)
            first, synced, since = (place(time, list(of)) for of in (cuts.first, cuts.sync, cuts.since))
            alike = decide(facts(first, synced, managed, since), POLICY, None, NOW)
            assert (single.level, single.reason, single.warns) == (alike.level, alike.reason, alike.warns), time


def test_without_cuts_any_time_will_do() -> None:
    """A policy that asks for no age of a synchronisation has no cut of it."""
    cuts = Cuts.of([Policy()], NOW)
    assert cuts.sync == []
    assert standing_for(cuts.sync, 0, NOW) == NOW


def test_patterns_are_found_by_one_pass() -> None:
    """Texts that the same patterns match are one class; what nothing matches is not kept, but for one of them."""
    found = find(["^dev", "9$"], ["DEV1", "x", "dev9", "a9", "y", "dev2"])
    assert list(zip(found.texts, found.classes, strict=True)) == [("DEV1", 1), ("dev9", 2), ("a9", 3), ("dev2", 1)]
    assert found.standing_for == ["y", "DEV1", "dev9", "a9"]
    assert Found().standing_for == ("",)


def test_the_patterns_of_policies_are_each_asked_once() -> None:
    """By the column that they look at."""
    rules = tuple(
        Rule(str(number), "x", Level.ALLOW, {name: PatternIs(name, text)})
        for number, (name, text) in enumerate([("user", "a"), ("device_id", "b"), ("user", "a"), ("user", "c")])
    )
    assert patterns_of([Policy(rules=rules)], "user") == ["a", "c"]
    assert patterns_of([Policy(rules=rules)], "device_id") == ["b"]
