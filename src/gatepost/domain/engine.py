"""Exchange's access engine as we understand it: what becomes of a device, given the lists, the rules and the default.

The order is Exchange's own (docs/engine.md has it as a table): ActiveSync off for the mailbox, mailbox policy not met,
blocked list, allowed list, a rule that blocks, quarantines or allows, the organization's default. How a device behaves
is Exchange's to see, so two things are taken from what Exchange last said of the device: that it does not meet the
policy or misbehaves, and that it is let in for a while after an upgrade or is being identified.

Pure. What is not known gives the state ``unknown``, which counts as access for nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatepost.domain.plan import fold
from gatepost.domain.settings import AccessRule


class State(StrEnum):
    """What becomes of a device that asks for mail. ``off``: the mailbox may not use ActiveSync at all."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    DISCOVERY = "discovery"
    OFF = "off"
    UNKNOWN = "unknown"


class Step(StrEnum):
    """The steps, in their order; the value is what a person reads of the one that decided."""

    OFF = "off"
    BEHAVIOUR = "behaviour"
    POLICY = "policy"
    BLOCKED_LIST = "blocked-list"
    ALLOWED_LIST = "allowed-list"
    PASSING = "passing"
    RULE = "rule"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state, the step that decided (``reason``), the steps on the way to it, and the rule where one decided."""

    state: State
    reason: Step
    path: tuple[Step, ...]
    rule: str | None = None

    @property
    def access(self) -> bool:
        """Whether the device surely gets mail."""
        return self.state is State.ALLOWED


@dataclass(frozen=True, slots=True)
class Device:
    """What the engine looks at. ``state`` and ``reason`` are what Exchange last said of it, in its own words."""

    device_id: str | None
    device_type: str | None = None
    model: str | None = None
    os: str | None = None
    user_agent: str | None = None
    state: str | None = None
    reason: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Device":
        """The device of a row that calls these things as the inventory does."""
        return cls(
            row["device_id"],
            row["device_type"],
            row["model"],
            row["os"],
            row["user_agent"],
            row["access_state"],
            row["access_state_reason"],
        )


@dataclass(frozen=True, slots=True)
class Lists:
    """A mailbox as the engine looks at it: its two lists (None: not shown), and whether it may use ActiveSync."""

    allowed: tuple[str, ...] | None = ()
    blocked: tuple[str, ...] | None = ()
    enabled: bool | None = True

    @property
    def shown(self) -> "Lists":
        """The same where a list that is not shown counts as empty: for counting whom the default may concern."""
        return Lists(self.allowed or (), self.blocked or (), self.enabled)


STATES = {"block": State.BLOCKED, "quarantine": State.QUARANTINED, "allow": State.ALLOWED}
"""Each access level of Exchange with the state that it gives, the strictest first."""
CHARACTERISTICS = {"devicetype": "device_type", "devicemodel": "model", "deviceos": "os", "useragent": "user_agent"}
"""What rules look at, by our names. They may look at a header as well, which nobody tells us: that never matches."""
LISTED = frozenset({"individual", "devicerule", "global", "unknown", ""})
"""Reasons that Exchange finds anew at each request from what is known here; all others but these are its own to see."""
FOR_A_WHILE = {("allowed", "upgrade"): State.ALLOWED}
DISCOVERY = frozenset({"devicediscovery", "discovery"})


class Organization:
    """The rules and the default level of one organization, made ready for many devices.

    ``rules`` is None where they could not be read, ``default`` where nobody knows it.
    """

    def __init__(self, rules: Iterable[AccessRule] | None, default: str | None) -> None:
        self._default = STATES.get((default or "").casefold(), State.UNKNOWN)
        self._rules: dict[str, dict[tuple[str, str], str | None]] | None = None if rules is None else _by_level(rules)

    def verdict(self, device: Device, lists: Lists) -> Verdict:
        """What becomes of a device of a mailbox with these lists."""
        path: list[Step] = []

        def decided(state: State, step: Step, rule: str | None = None) -> Verdict:
            return Verdict(state, step, (*path, step), rule)

        for step, found in self._held(device, lists):
            if found is not None:
                return decided(found, step)
            path.append(step)
        level = self._ruled(device)
        if level is not None:
            return decided(*level)
        path.append(Step.RULE)
        return decided(self._default, Step.DEFAULT)

    def _held(self, device: Device, lists: Lists) -> Iterable[tuple[Step, State | None]]:
        """The steps before the rules, each with the state that it gives, None where it lets the device pass on."""
        state, reason = (device.state or "").casefold(), (device.reason or "").casefold()
        yield Step.OFF, State.OFF if lists.enabled is False else None
        misbehaves = state == "blocked" and reason not in LISTED | {"policy"}
        yield Step.BEHAVIOUR, State.BLOCKED if misbehaves else None
        yield Step.POLICY, State.BLOCKED if (state, reason) == ("blocked", "policy") else None
        yield Step.BLOCKED_LIST, _listed(device, lists.blocked, State.BLOCKED)
        yield Step.ALLOWED_LIST, _listed(device, lists.allowed, State.ALLOWED)
        passing = State.DISCOVERY if state in DISCOVERY else FOR_A_WHILE.get((state, reason))
        yield Step.PASSING, passing

    def _ruled(self, device: Device) -> tuple[State, Step, str | None] | None:
        """What the rules say; rules that could not be read leave it unknown."""
        if self._rules is None:
            return State.UNKNOWN, Step.RULE, None
        for level, state in STATES.items():
            for characteristic, name in CHARACTERISTICS.items():
                said = getattr(device, name)
                if said is not None and (characteristic, said) in self._rules[level]:
                    return state, Step.RULE, self._rules[level][characteristic, said]
        return None


def _by_level(rules: Iterable[AccessRule]) -> dict[str, dict[tuple[str, str], str | None]]:
    """The name of the first rule for each text, by level; the text is compared exactly, so a look-up finds it."""
    found: dict[str, dict[tuple[str, str], str | None]] = {level: {} for level in STATES}
    for rule in rules:
        level, characteristic = (rule.level or "").casefold(), (rule.characteristic or "").casefold()
        if level in found and characteristic in CHARACTERISTICS and rule.query is not None:
            found[level].setdefault((characteristic, rule.query), rule.name)
    return found


def _listed(device: Device, ids: tuple[str, ...] | None, state: State) -> State | None:
    """The state where the device's id is in a list; ``unknown`` where the list is not shown."""
    if ids is None:
        return State.UNKNOWN
    wanted = fold(device.device_id) if device.device_id else None
    return state if wanted is not None and any(fold(entry) == wanted for entry in ids) else None


def read_rules(raw: object) -> list[AccessRule] | None:
    """Rules as facts about settings hold them; None where there are none to be read."""
    if not isinstance(raw, list):
        return None
    return [_rule(each) for each in raw if isinstance(each, Mapping)]


def _rule(raw: Mapping[str, object]) -> AccessRule:
    def text(name: str) -> str | None:
        value = raw.get(name)
        return value if isinstance(value, str) else None

    return AccessRule(text("guid") or "", text("name"), text("characteristic"), text("query"), text("level"))
