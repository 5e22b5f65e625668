"""Documents of policies, drawn at random: everything that a policy can say."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from gatepost.domain.desired import Level
from gatepost.domain.devices import Family
from gatepost.domain.facts import Client
from gatepost.domain.policies import COMPARE, LONGEST_SECONDS

LEVELS = st.sampled_from([level.value for level in Level])
WORDS = st.text("abcÅß日<&\"'* -._@", min_size=1, max_size=8).map(str.strip).filter(bool)
SECONDS = st.one_of(st.integers(0, LONGEST_SECONDS), st.sampled_from([0, 60, 3_600, 86_400, 90_000, 7 * 86_400]))
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])
FIRST, LAST = datetime(1990, 1, 1), datetime(9998, 12, 30, 23, 59)  # noqa: DTZ001 - the zones are drawn
MOMENTS = st.datetimes(FIRST, LAST, timezones=ZONES).map(datetime.isoformat)
PATTERNS = st.sampled_from(["^APPL", r"@sales\.example\.com$", "a|b", "  x y", "(?i)ü+"]).map(str.strip)
VERSIONS = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """At least one, none twice."""
    return st.lists(values, min_size=1, max_size=3, unique=True)


def systems() -> st.SearchStrategy[dict[str, Any]]:
    """A condition of the operating system: by name, by version, or both."""
    version: dict[str, st.SearchStrategy[Any]] = {"operator": st.sampled_from(list(COMPARE)), "version": VERSIONS}
    named: dict[str, st.SearchStrategy[Any]] = {"name": some(WORDS)}
    return st.one_of(
        st.fixed_dictionaries(named), st.fixed_dictionaries(version), st.fixed_dictionaries(named | version)
    )


def conditions(groups: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """What a rule asks: anything, also nothing."""
    return st.fixed_dictionaries(
        {},
        optional={
            "family": some(st.sampled_from([family.value for family in Family])),
            "model": some(WORDS),
            "os": systems(),
            "user_agent": some(WORDS),
            "device_id": PATTERNS,
            "user": PATTERNS,
            "group": some(groups),
            "client": some(st.sampled_from([client.value for client in Client])),
            "synced_days_ago": st.integers(1, 3_660),
        },
    )


def _rule_id(rule: dict[str, Any]) -> str:
    return str(rule["id"])


def documents(groups: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Whole policies that speak of these groups."""
    rules = st.lists(
        st.fixed_dictionaries({"id": st.uuids().map(str), "name": WORDS, "level": LEVELS, "when": conditions(groups)}),
        max_size=4,
        unique_by=_rule_id,
    )
    return st.fixed_dictionaries(
        {
            "enabled": st.booleans(),
            "included": st.lists(groups, max_size=2, unique=True),
            "excluded": st.lists(groups, max_size=2, unique=True),
            "rules": rules,
            "unmanaged": LEVELS,
            "noncompliant": LEVELS,
            "override_default": st.booleans(),
            "grace": st.fixed_dictionaries({"unmanaged": SECONDS, "noncompliant": SECONDS, "warn": SECONDS}),
            "known_until": st.one_of(st.none(), MOMENTS),
            "by_person": st.booleans(),
            "cloud_cache": LEVELS,
            "pre_approval": st.fixed_dictionaries(
                {"enabled": st.booleans(), "per_mailbox": st.integers(0, 20), "days": st.integers(0, 366)}
            ),
        }
    )
