"""How much of a behaviour gets a phone blocked: Exchange's thresholds, one per behaviour.

They stand in the configuration partition; the lab keeps one copy for all its domain controllers.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

BEHAVIOURS = (
    "UserAgentsChanges",
    "RecentCommands",
    "Watsons",
    "OutOfBudgets",
    "SyncCommands",
    "EnableNotificationEmail",
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One behaviour: after ``limit`` incidents within ``duration`` a phone is blocked for ``block``; 0 is never."""

    name: str
    limit: int = 0
    duration: str = "00:00:00"
    block: str = "00:00:00"
    insert: str = ""

    def with_(self, **fields: Any) -> Self:  # noqa: ANN401 - values of any field
        """The same behaviour with other figures."""
        return replace(self, **fields)


def first_thresholds() -> dict[str, Threshold]:
    """What a new organization has, by name in small letters: nothing blocks."""
    return {name.lower(): Threshold(name) for name in BEHAVIOURS}
