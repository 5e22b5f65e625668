"""What Exchange cannot express: the published table, and what Exchange sees for itself."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from gatepost.domain.desired import Level
from gatepost.domain.engine import Device, Lists, Organization, Verdict
from gatepost.domain.facts import Client, Facts
from gatepost.domain.policies import Policy
from gatepost.domain.settings import AccessRule
from gatepost.service.access.expressing import WORDS, Obstacle, obstacle
from gatepost.service.access.facts import Known

DOCUMENT = Path(__file__).parents[3] / "docs" / "policy.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEVELS = ("Allow", "Quarantine", "Block")
NONE = "\N{EN DASH}"
LISTS = {
    NONE: Lists(),
    "allowed": Lists(allowed=("id1",)),
    "blocked": Lists(blocked=("id1",)),
    "not shown": Lists(None, None),
}


def table() -> Iterator[list[str]]:
    """The rows of the published table, cell by cell."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## What Exchange cannot express")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith(tuple(f"| {level} |" for level in Level)):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def known(lists: Lists, device: Device) -> Known:
    """A phone in a mailbox with these lists of others."""
    facts = Facts("ios", None, None, (), None, Client.NATIVE, "ID1", "user@example.test", None, NOW)
    return Known(
        key=(UUID(int=1), "ID1"),
        device_guid=UUID(int=2),
        facts=facts,
        previous=None,
        device=device,
        lists=lists,
        kept=lists,
        published=None,
        said="",
        announce=None,
        policy=Policy(),
        version=None,
    )


def verdict(level: Level, foreign: str, rule: str, default: str) -> Verdict:
    """What Exchange makes of a phone for which this level is published."""
    matching = [] if rule == NONE else [AccessRule("g", "Rule", "DeviceType", "iPhone", rule)]
    organization = Organization(None if rule == "not read" else matching, None if default == "not read" else default)
    phone = known(LISTS[foreign], Device("ID1", "iPhone"))
    return organization.verdict(phone.device, phone.listed(level))


@pytest.mark.parametrize("row", list(table()), ids=" / ".join)
def test_exchange_does_what_the_published_table_says(row: list[str]) -> None:
    """Each row of docs/policy.md, under each default that it speaks of."""
    level, foreign, rule, default, state, way = row
    for each in LEVELS if default == "any" else (default,):
        found = verdict(Level(level), foreign, rule, each)
        assert (found.state, obstacle(Level(level), found) or NONE) == (state, way)


def test_the_table_is_whole() -> None:
    """Every level, and every obstacle that there is, with its words."""
    rows = list(table())
    assert {row[0] for row in rows} == set(Level)
    assert {row[5] for row in rows} - {NONE} == set(Obstacle) == set(WORDS)
    assert len(rows) == 25


@pytest.mark.parametrize(
    ("device", "enabled"),
    [
        (Device("ID1", "iPhone"), False),
        (Device("ID1", "iPhone", state="Blocked", reason="Policy"), True),
        (Device("ID1", "iPhone", state="Blocked", reason="RecentCommands"), True),
        (Device("ID1", "iPhone", state="Allowed", reason="Upgrade"), True),
        (Device("ID1", "iPhone", state="DeviceDiscovery", reason="DeviceDiscovery"), True),
    ],
)
@pytest.mark.parametrize("level", Level)
def test_what_exchange_sees_for_itself_is_no_finding(device: Device, enabled: bool, level: Level) -> None:
    """ActiveSync that is off, a phone that misbehaves or is let in for a while: whatever is decided of it."""
    found = Organization([], "Quarantine").verdict(device, known(Lists((), (), enabled), device).listed(level))
    assert obstacle(level, found) is None
