"""What a doctor finds: named checks, each with a level, what it is, why it matters, and what to do."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How a check ended; ``skipped`` where something before it failed, or where it does not apply here."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``name`` is its stable word, such as ``exchange-version``; ``subject`` what of several it is about."""

    name: str
    level: Level
    what: str
    why: str = ""
    remedy: str = ""
    subject: str = ""

    def document(self) -> dict[str, Any]:
        """The check as JSON values."""
        return asdict(self)


def worst(checks: Iterable[Check]) -> Level:
    """The worst level of all; good for none."""
    found = {check.level for check in checks}
    return next((level for level in (Level.BAD, Level.WARNING) if level in found), Level.GOOD)


class Group(StrEnum):
    """What a check is about, in the order in which people look."""

    MACHINE = "machine"
    SERVICE = "service"
    LIMITS = "limits"
    EXCHANGE = "exchange"
    NOTICES = "notices"


_GROUPS = {
    Group.MACHINE: ("machine", "python", "processors", "memory", "disk", "folder"),
    Group.SERVICE: ("service", "enrolment", "connector", "sync", "last"),
    Group.LIMITS: ("limits", "mode", "scope", "ceiling", "store"),
    Group.NOTICES: ("notices",),
}


def group_of(name: str) -> Group:
    """The group of a check, which the first word of its name tells."""
    first = name.partition("-")[0]
    return next((group for group, words in _GROUPS.items() if first in words), Group.EXCHANGE)


SEVERITY = (Level.BAD, Level.WARNING, Level.SKIPPED, Level.GOOD)
"""The levels, the worst first."""
