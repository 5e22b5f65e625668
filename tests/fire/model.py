"""What should come of it, in the simplest words: what is decided of a device, and who may lose access unasked."""

from dataclasses import dataclass, field
from typing import Any

DAY = 86_400.0
HOUR = 3_600.0
BY_COMPLIANCE = {"compliant", "known", "noncompliant", "noncompliant-grace", "unmanaged", "unmanaged-grace"}
AGREED = ("compliant", "noncompliant")

Decided = tuple[str, str]
"""Level and reason."""


@dataclass
class Word:
    """What one source last said of one device, and when it looked."""

    state: str
    looked_at: float


@dataclass
class Model:
    """What people, sources and administrators said, in simulated time."""

    policy: dict[str, Any] = field(default_factory=dict)
    excluded: bool = False
    pins: dict[str, str] = field(default_factory=dict)
    words: dict[tuple[str, str], Word] = field(default_factory=dict)
    fresh_at: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def hear(self, source: str, device: str, state: str, looked_at: float) -> None:
        """A report; what is older than what is known changes nothing."""
        known = self.words.get((source, device))
        if known is None or looked_at >= known.looked_at:
            self.words[source, device] = Word(state, looked_at)

    def fresh(self, now: float) -> bool:
        """Whether every source spoke lately, and is believed."""
        return not self.held and all(now - at <= DAY for at in self.fresh_at.values())

    def managed(self, device: str) -> str:
        """What the sources come to."""
        said = {word.state for (_, about), word in self.words.items() if about == device}
        if not said:
            return "unmanaged"
        return said.pop() if len(said) == 1 and said <= set(AGREED) else "unknown"

    def levels(self, device: str, before: Decided, now: float) -> set[str]:
        """The levels that may be decided now, of a device of which ``before`` was decided; more than one in grace."""
        if device in self.pins:
            return {self.pins[device]}
        if not self.policy["enabled"] or (self.excluded and self.policy.get("excluded")):
            return {"leave"}
        if self.policy.get("rules") and device == "d2":
            return {self.policy["rules"][0]["level"]}
        managed = self.managed(device)
        if managed == "unknown" or not self.fresh(now):
            return {before[0] if before[1] in BY_COMPLIANCE else "leave"}
        if managed == "compliant":
            return {"allow"}
        level = self.policy[managed]
        grace = managed == "noncompliant" and "grace" in self.policy
        return {level, "allow"} if grace else {level}
