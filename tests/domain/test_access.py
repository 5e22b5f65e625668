"""The decision: its published table, its laws for random facts and policies, and when it is looked at again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain.access import BY_COMPLIANCE, TAKES_AWAY, Decision, Reason, decide
from gatepost.domain.desired import Level
from gatepost.domain.devices import Family
from gatepost.domain.facts import Client, Compliance, Facts, Managed, Pinned, Source
from gatepost.domain.policies import (
    ClientIs,
    Condition,
    FamilyIs,
    Globs,
    Grace,
    GroupIs,
    OsIs,
    PatternIs,
    Policy,
    Rule,
    SyncOlderThan,
    TextIs,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "policy.md"
NOTHING = "\u2013"  # an empty cell
NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
UNITS = {"d": "days", "h": "hours", "m": "minutes"}
POLICY = Policy(
    enabled=True,
    grace=Grace(unmanaged=3_600, noncompliant=86_400, warn=3_600),
    known_until=NOW + timedelta(days=7),
)
DEVICE = Facts(
    family="ios",
    model="iPhone15C2",
    os="iOS 17.1.2 21B101",
    os_version=(17, 1, 2),
    user_agent="Apple-iPhone15C2/2101.101",
    client=Client.NATIVE,
    device_id="ApplDX1",
    user="anna@lab.example",
    groups=frozenset(),
    first_seen=NOW - timedelta(days=30),
)


def table() -> Iterator[list[str]]:
    """The rows of the published table, cell by cell."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## The table")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith(("| device", "|---")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def span(text: str) -> timedelta:
    """A length of time as the table writes it, such as 23h30m."""
    found, number = timedelta(), ""
    for letter in text:
        if letter.isdigit():
            number += letter
        else:
            found, number = found + timedelta(**{UNITS[letter]: int(number)}), ""
    return found


def compliance(text: str) -> Compliance:
    """What sources say, as the table writes it, such as ``noncompliant 2h``."""
    managed, _, ago = text.partition(" ")
    return Compliance(Managed(managed), NOW - span(ago) if ago else None)


def pin(words: str) -> Pinned:
    """A pin as the table writes it: ``block``, ``block for 2h``, ``block until 1h ago``."""
    level, *rest = words.split()
    until = None if not rest else NOW + span(rest[1]) if rest[0] == "for" else NOW - span(rest[1])
    return Pinned(Level(level), until)


def device(cell: str, person: str, source: str, told: str) -> Facts:
    """The facts that a row speaks of."""
    facts = replace(DEVICE, source=Source(source))
    for word in cell.split(", "):
        if word in set(Client):
            facts = replace(facts, client=Client(word))
        elif word.startswith("pinned "):
            facts = replace(facts, pin=pin(word.removeprefix("pinned ")))
        elif word.startswith("new "):
            facts = replace(facts, first_seen=NOW - span(word.removeprefix("new ")))
        elif word == "known":
            facts = replace(facts, known=True)
        elif word == "discovering":
            facts = replace(facts, discovering=True, model=None, os=None, os_version=())
        elif word != "old":
            facts = replace(facts, barred=word)
    if person != NOTHING:
        facts = replace(facts, groups=None if person == "unknown" else frozenset(person.split(", ")))
    own, _, of_person = told.partition(", person ")
    return replace(facts, own=compliance(own), of_person=compliance(of_person or own))


def rules(cell: str) -> Iterator[Rule]:
    """The rules that a row speaks of: by their level, one of another device, one that waits, one about people."""
    for number, word in enumerate(cell.split(", ")):
        kind, _, level = word.rpartition("of people: ")
        when: dict[str, Condition] = {}
        if word == "other":
            when, level = {"family": FamilyIs(("android",))}, "allow"
        elif word == "waiting":
            when, level = {"model": TextIs("model", Globs(("iPad*",)))}, "block"
        elif kind or "of people" in word:
            when = {"user": PatternIs("user", "^anna@")}
        else:
            when = {"device_id": PatternIs("device_id", "^appl")}
        yield Rule(f"r{number}", word, Level(level), when)


@pytest.mark.parametrize("row", list(table()), ids=" / ".join)
def test_the_published_table(row: list[str]) -> None:
    """Each row of docs/policy.md."""
    cell, person, asked, source, told, before, level, reason, until, warns = row
    policy = replace(POLICY, rules=() if asked == NOTHING else tuple(rules(asked)))
    if person != NOTHING:
        policy = replace(policy, included=frozenset({"staff"}), excluded=frozenset({"visitors"}))
    was = before.split()
    previous = None if before == NOTHING else Decision(Level(was[0]), Reason(was[1]))
    found = decide(device(cell, person, source, told), policy, previous, NOW)
    assert (found.level, found.reason, found.warns) == (level, reason, warns == "yes")
    assert found.until == (None if until == NOTHING else NOW + span(until))


def test_the_policy_is_off() -> None:
    """Nothing is decided but what is pinned, whatever rules say."""
    off = replace(POLICY, enabled=False, rules=tuple(rules("block")))
    assert decide(DEVICE, off, None, NOW).reason is Reason.POLICY_OFF
    assert decide(replace(DEVICE, pin=Pinned(Level.BLOCK)), off, None, NOW).level is Level.BLOCK


def test_without_the_override_a_compliant_device_is_left_to_exchange() -> None:
    """So is one in its grace period; one that complies is never given less than that."""
    policy = replace(POLICY, override_default=False)
    facts = replace(DEVICE, source=Source.FRESH, own=Compliance(Managed.COMPLIANT))
    assert decide(facts, policy, None, NOW).level is Level.LEAVE
    late = replace(facts, own=Compliance(Managed.NONCOMPLIANT, NOW))
    assert (decide(late, policy, None, NOW).level, decide(late, policy, None, NOW).until) == (
        Level.LEAVE,
        NOW + timedelta(days=1),
    )


# -- laws --------------------------------------------------------------------------------------------------------------

times = st.integers(-10, 10).map(lambda hours: NOW + timedelta(hours=hours))
levels = st.sampled_from(Level)
group_sets = st.frozensets(st.sampled_from(["staff", "visitors", "pilots"]))
compliances = st.builds(Compliance, st.sampled_from(Managed), st.none() | times)
conditions = st.one_of(
    st.builds(lambda names: ("family", FamilyIs(tuple(names))), st.sets(st.sampled_from(["ios", "other"]), min_size=1)),
    st.builds(lambda text: ("model", TextIs("model", Globs((text,)))), st.sampled_from(["iphone*", "*", "Pixel"])),
    st.builds(
        lambda operator, version: ("os", OsIs(Globs(("iOS*",)), operator, version)),
        st.sampled_from(["<", "<=", "=", ">=", ">"]),
        st.sampled_from([(17,), (17, 1, 2), (18, 0)]),
    ),
    st.builds(lambda text: ("device_id", PatternIs("device_id", text)), st.sampled_from(["^appl", "x[0-9]$", "no"])),
    st.builds(lambda groups: ("group", GroupIs(groups)), group_sets.filter(bool)),
    st.builds(lambda kinds: ("client", ClientIs(tuple(kinds))), st.sets(st.sampled_from(Client), min_size=1)),
    st.builds(lambda days: ("synced_days_ago", SyncOlderThan(days)), st.integers(1, 3)),
)
some_rules = st.lists(st.tuples(levels, st.lists(conditions, max_size=3)), max_size=4).map(
    lambda made: tuple(Rule(f"r{at}", f"rule {at}", level, dict(when)) for at, (level, when) in enumerate(made))
)
policies = st.builds(
    Policy,
    enabled=st.just(True) | st.booleans(),
    included=st.just(frozenset[str]()) | group_sets,
    excluded=st.just(frozenset[str]()) | group_sets,
    rules=some_rules,
    unmanaged=levels,
    noncompliant=levels,
    override_default=st.booleans(),
    grace=st.builds(Grace, st.integers(0, 40_000), st.integers(0, 40_000), st.integers(0, 40_000)),
    known_until=st.none() | times,
    by_person=st.booleans(),
    cloud_cache=levels,
)
devices = st.builds(
    Facts,
    family=st.sampled_from(Family).map(str),
    model=st.sampled_from(["iPhone15C2", "Pixel", None]),
    os=st.sampled_from(["iOS 17.1.2", "Android 14", None]),
    os_version=st.sampled_from([(17, 1, 2), (14,), ()]),
    user_agent=st.none(),
    client=st.sampled_from(Client),
    device_id=st.sampled_from(["ApplDX1", "ANDROID7"]),
    user=st.sampled_from(["anna@lab.example", "ben@lab.example"]),
    groups=st.none() | group_sets,
    first_seen=times,
    last_sync_at=st.none() | times,
    discovering=st.booleans(),
    known=st.booleans(),
    source=st.sampled_from(Source),
    own=compliances,
    of_person=compliances,
    pin=st.none() | st.builds(Pinned, levels, st.none() | times),
    barred=st.sampled_from(["", "", "", "gone", "no-id"]),
)
before = st.none() | st.builds(Decision, levels, st.sampled_from(Reason))
moments = st.integers(0, 20_000).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(devices, policies, before, moments)
def test_a_decision_changes_by_time_alone_only_when_it_said_so(
    facts: Facts, policy: Policy, previous: Decision | None, later: datetime
) -> None:
    """Until ``review_at`` the same is decided again, with the decision itself as the one before."""
    first = decide(facts, policy, previous, NOW)
    assert first.review_at is None or first.review_at > NOW
    if first.review_at is None or later < first.review_at:
        again = decide(facts, policy, first, later)
        assert (again.level, again.reason, again.until, again.warns) == (
            first.level,
            first.reason,
            first.until,
            first.warns,
        )


@given(devices, policies, before)
def test_silent_and_contradicting_sources_never_take_access_away(
    facts: Facts, policy: Policy, previous: Decision | None
) -> None:
    """Where no source has a word that counts, less than before comes from a rule, a person or a pin only."""
    silent = replace(facts, source=Source.STALE)
    unclear = replace(
        facts, source=Source.FRESH, own=Compliance(Managed.UNKNOWN), of_person=Compliance(Managed.UNKNOWN)
    )
    for each in (silent, unclear, replace(facts, source=Source.NONE)):
        found = decide(each, policy, previous, NOW)
        if found.level in TAKES_AWAY and found.reason in BY_COMPLIANCE:
            assert previous is not None
            assert (found.level, found.reason) == (previous.level, previous.reason)


@given(devices, policies, before)
def test_what_nobody_could_tell_yet_is_never_a_reason_to_take_access_away(
    facts: Facts, policy: Policy, previous: Decision | None
) -> None:
    """Whatever Exchange or the directory may say later: if some answer lets the device be, it is let be until then."""
    found = decide(facts, policy, previous, NOW)
    waiting = [rule for rule in policy.rules if rule.matches(facts, NOW) is None]
    if found.level in TAKES_AWAY and found.reason not in (Reason.PINNED, Reason.CLOUD_CACHE) and waiting:
        deciding = next((rule for rule in policy.rules if rule.rule_id == found.rule), None)
        earlier = policy.rules[: policy.rules.index(deciding)] if deciding else policy.rules
        asked = [rule for rule in earlier if facts.client is not Client.CLOUD_CACHE or rule.of_people]
        kept = "kept" in found.inputs
        assert kept or not any(rule in waiting for rule in asked)


@given(devices, policies, before)
def test_people_outside_of_the_policy_are_left_alone(facts: Facts, policy: Policy, previous: Decision | None) -> None:
    """Excluded goes before included, and a pin before both."""
    found = decide(facts, policy, previous, NOW)
    outside = facts.groups is None or bool(policy.excluded & facts.groups)
    if policy.enabled and policy.excluded and outside and found.reason is not Reason.PINNED:
        assert found.level is Level.LEAVE


@given(devices, policies, before)
def test_a_cloud_cache_is_never_judged_as_a_phone(facts: Facts, policy: Policy, previous: Decision | None) -> None:
    """The same is decided of it whatever phone it names and whatever sources say."""
    cloud = replace(facts, client=Client.CLOUD_CACHE)
    other = replace(
        cloud, family="ios", model="x", os=None, os_version=(), device_id="y", source=Source.FRESH, own=Compliance()
    )
    assert decide(cloud, policy, previous, NOW) == decide(other, policy, previous, NOW)
