"""Policies: what is written is what is read, what is wrong is said in words, and no pattern is slow."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from gatepost.domain.facts import Facts
from gatepost.domain.policies import Globs, OsIs, PatternIs, Policy, PolicyError, SyncOlderThan, read_policy
from tests.domain.test_access import DEVICE, NOW, devices, policies
from tests.fixtures.timing import quickest


def one(**when: Any) -> dict[str, Any]:
    """A policy's document with one rule that asks this."""
    return {"rules": [{"id": "a", "name": "A rule", "level": "block", "when": when}]}


@given(policies)
def test_a_policy_is_read_as_it_was_written(policy: Policy) -> None:
    """Whatever is in it."""
    assert read_policy(policy.document()) == policy


def test_an_empty_document_is_a_policy_that_is_off() -> None:
    """It decides nothing until somebody says so."""
    assert read_policy({}) == Policy()
    assert not Policy().enabled


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "policy: expected an object"),
        ({"enabled": "yes"}, "enabled: it is true or false"),
        ({"enalbed": True}, "policy.enalbed: this is not known here; there are by_person, cloud_cache, enabled"),
        ({"unmanaged": "deny"}, "unmanaged: choose from leave, allow, quarantine, block"),
        ({"included": ["", "x"]}, "included[0]: write 1 to 200 visible characters"),
        ({"included": ["x"] * 201}, "included: there are 201, at most 200 may be"),
        ({"grace": {"warn": -1}}, "grace.warn: it is a whole number from 0 to 31,622,400"),
        ({"grace": {"hours": 1}}, "grace.hours: this is not known here; there are noncompliant, unmanaged, warn"),
        ({"known_until": "soon"}, "known_until: write a time as 2027-01-31T12:00:00Z"),
        ({"known_until": "2027-01-31T12:00:00"}, "known_until: the time needs its zone, such as Z"),
        ({"known_until": "9999-12-31T23:59:59-23:59"}, "known_until: write a year from 2 to 9998"),
        ({"pre_approval": {"per_mailbox": 21}}, "pre_approval.per_mailbox: it is a whole number from 0 to 20"),
        ({"rules": [{}] * 201}, "rules: there are 201, at most 200 may be"),
        ({"rules": [{"name": "x", "level": "block"}]}, "rules[0].id: write 1 to 200 visible characters"),
        ({"rules": [one()["rules"][0]] * 2}, "rules[1].id: another rule has this id"),
        (one(family=[]), "rules[0].when.family: name at least one"),
        (one(family=["apple"]), "rules[0].when.family: there is no family apple; choose from ios, android, outlook"),
        (one(client=["pop"]), "rules[0].when.client: there is no kind pop; choose from native, outlook, cloud-cache"),
        (one(colour="red"), "rules[0].when.colour: this is not known here; there are client, device_id, family"),
        (one(os={}), "rules[0].when.os: name a system, or compare its version"),
        (one(os={"name": ["iOS*"], "version": "17"}), "rules[0].when.os.operator: say how the version compares: < <="),
        (one(os={"operator": "~", "version": "1"}), "rules[0].when.os.operator: choose from < <= = >= >"),
        (one(os={"operator": "<", "version": "17.x"}), "os.version: write a version as numbers with dots"),
        (one(user="(("), "rules[0].when.user: this is no pattern: missing ): (("),
        (one(user="a" * 501), "rules[0].when.user: write 1 to 500 visible characters"),
        (one(user="(?:a{1000}){1000}"), "rules[0].when.user: this is no pattern: "),
        (one(device_id="(a)\\1"), "rules[0].when.device_id: this is no pattern: invalid escape sequence: \\1"),
        (one(user_agent=["*a" * 98 + str(n) for n in range(199)]), "rules[0].when.user_agent: the texts and patterns"),
        (one(synced_days_ago=0), "rules[0].when.synced_days_ago: it is at least one day"),
        (one(model=["x\u0000"]), "rules[0].when.model[0]: write 1 to 200 visible characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(document: object, words: str) -> None:
    """A person reads which field it is, and what may stand there."""
    with pytest.raises(PolicyError) as caught:
        read_policy(document)
    assert str(caught.value).startswith("The policy cannot be read at ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "version", "holds"),
    [
        ("<", (17, 2), True), ("<", (17, 1, 2), False), ("<=", (17, 1, 2), True), ("=", (17, 1, 2, 0), True),
        (">=", (17,), True), (">", (17, 1, 2, 0), False), (">", (9, 9, 9), True), ("<", (18,), True),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(operator: str, version: tuple[int, ...], holds: bool) -> None:
    """17.1.2 against others: a missing number is 0, and 9 is less than 17."""
    assert OsIs(None, operator, version).matches(DEVICE, NOW) is holds


@pytest.mark.parametrize(
    ("name", "system", "holds"),
    [
        ("iOS", "iOS 17.1.2 21B101", True), ("ios*", "iOS 17.1.2 21B101", True), ("iOS 17.1.2 21B101", None, True),
        ("iOS", "iPadOS 17.1", False), ("Android", "Android", True), ("Windows Phone", "Windows Phone 8.10", True),
        ("i", "iOS 17.1.2", False), ("21B101", None, False),
    ],
)  # fmt: skip
def test_a_system_is_named_with_its_version_or_without(name: str, system: str | None, holds: bool) -> None:
    """Whoever writes iOS means every iOS, though Exchange has the version in the same text."""
    device = replace(DEVICE, os=system or "iOS 17.1.2 21B101")
    assert OsIs(Globs((name,))).matches(device, NOW) is holds


def test_a_version_that_nobody_knows_compares_with_nothing() -> None:
    """Neither older nor newer, so no rule about versions speaks of it."""
    nameless = replace(DEVICE, os="Apple", os_version=())
    assert not any(OsIs(None, operator, (1,)).matches(nameless, NOW) for operator in ("<", "<=", "=", ">=", ">"))


@pytest.mark.parametrize(
    ("glob", "text", "found"),
    [("iPhone*", "iphone15c2", True), ("*15*", "iPhone15C2", True), ("iPhone", "iPhone15", False),
     ("a.c", "abc", False), ("*", "", True),
     ("Straße*", "straße 5", True), ("x*", "a\nx", False), ("a*", "a\nb", True)],
)  # fmt: skip
def test_a_star_stands_for_anything_and_nothing_else_is_special(glob: str, text: str, found: bool) -> None:
    """Texts are compared whole, without regard to case."""
    assert Globs((glob,)).match(text) is found


def test_no_pattern_is_slow() -> None:
    """A pattern that takes other engines years is matched in linear time, against a device id of the longest kind."""
    hostile = replace(DEVICE, device_id="a" * 1_000)

    def match() -> None:
        for text in ("(a+)+$b", "(a|aa)+$b", "^(([a-z])+.)+[A-Z]([a-z])+$b", "(x+x+)+y"):
            assert PatternIs("device_id", text).matches(hostile, NOW) is False

    assert quickest(match, 1.0) < 1.0


def test_no_policy_is_slow() -> None:
    """As many stars and patterns as a policy may have are compared with the longest model in an instant."""
    texts = [("*" + "ab"[n % 2]) * 20 + str(n) for n in range(200)]
    policy = read_policy(one(model=texts, user="(?:[a-z]?x?){100}z"))
    hostile = replace(DEVICE, model="ab" * 2_000, user="abcx" * 80)

    def match() -> None:
        assert policy.rules[0].matches(hostile, NOW) is False

    assert quickest(match, 5.0) < 5.0


@given(devices)
def test_the_age_of_the_last_sync_turns_when_it_says(facts: Facts) -> None:
    """Just before it does not hold, from then on it does; never for a device whose last sync nobody knows."""
    condition = SyncOlderThan(2)
    turns = condition.turns_at(facts)
    if turns is None:
        assert not condition.matches(facts, NOW + timedelta(days=9_999))
    else:
        assert not condition.matches(facts, turns - timedelta(microseconds=1))
        assert condition.matches(facts, turns)
