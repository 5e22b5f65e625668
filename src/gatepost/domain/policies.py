"""Policies: what people write down of who may have mail on which phone, and the types of rules in it.

A policy is a document (JSON) whose versions never change. ``read_policy`` reads one and says what is wrong with it in
words; ``Policy.document`` writes it. Conditions look at ``domain.facts.Facts``; each says whether it holds, and None
where that cannot be told yet because Exchange has not said what the device is. Patterns are matched by RE2, in linear
time, whatever a person or a phone writes.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import eq, ge, gt, le, lt
from typing import Any, Protocol

import re2

from gatepost.domain.desired import Level
from gatepost.domain.devices import Family
from gatepost.domain.facts import Client, Facts, later
from gatepost.domain.fields import ContractError, mapping, sequence
from gatepost.errors import GatepostError

LONGEST_TEXT = 200
LONGEST_PATTERN = 500
MOST_VALUES = 200
MOST_RULES = 200
MOST_STEPS = 40_000
"""Steps of all compiled texts and patterns of a policy: linear time is so many times a text's length, at the worst."""
LONGEST_SECONDS = 366 * 86_400
VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,5}")
DIGIT = re.compile(r"\d")
COMPARE = {"<": lt, "<=": le, "=": eq, ">=": ge, ">": gt}
PATTERN_BYTES = 1 << 20
CATCH_ALL: Mapping[str, Any] = {}


class PolicyError(GatepostError):
    """A policy that cannot be read: ``place`` names the field, ``why`` says what is wrong with it."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        self.why = why
        super().__init__(f"The policy cannot be read at {place}: {why}.")


class Condition(Protocol):
    """One thing that a rule asks of a device or of its person."""

    def matches(self, facts: Facts, now: datetime) -> bool | None:
        """Whether it holds; None where it cannot be told yet."""

    def turns_at(self, facts: Facts) -> datetime | None:
        """When this could become another answer by time alone; None for never."""

    def document(self) -> Any:  # noqa: ANN401 - JSON
        """As JSON values."""


class _Timeless:
    """A condition that time does not change."""

    __slots__ = ()

    def turns_at(self, _: Facts) -> datetime | None:
        """Never."""
        return None


@dataclass(frozen=True, slots=True)
class FamilyIs(_Timeless):
    """The device is of one of these families."""

    names: tuple[str, ...]

    def matches(self, facts: Facts, _: datetime) -> bool | None:
        """Whether it holds; a device that nobody knows yet may become one."""
        if facts.family == Family.OTHER and facts.discovering:
            return None
        return facts.family in self.names

    def document(self) -> list[str]:
        """As JSON values."""
        return list(self.names)


@dataclass(frozen=True)
class Globs:
    """Texts with ``*`` for anything, compared without regard to case."""

    texts: tuple[str, ...]

    @cached_property
    def _found(self) -> Any:  # noqa: ANN401 - RE2 has no types
        parts = (".*".join(map(re2.escape, text.split("*"))) for text in self.texts)
        return compiled(f"(?s)^(?:{'|'.join(parts)})$", PATTERN_BYTES * 8)

    @property
    def steps(self) -> int:
        """How much there is to be compared. Raises PolicyError where it is more than can be made ready."""
        return int(self._found.programsize)

    def match(self, text: str) -> bool:
        """Whether one of them is this text."""
        return self._found.match(text) is not None


@dataclass(frozen=True)
class TextIs(_Timeless):
    """A text that the device says of itself is one of these; ``name`` is the field, model or user_agent."""

    name: str
    globs: Globs

    @property
    def steps(self) -> int:
        """How much there is to be compared."""
        return self.globs.steps

    def matches(self, facts: Facts, _: datetime) -> bool | None:
        """Whether it holds; None while the device is being discovered and has not said it."""
        said: str | None = getattr(facts, self.name)
        if said is None:
            return None if facts.discovering else False
        return self.globs.match(said)

    def document(self) -> list[str]:
        """As JSON values."""
        return list(self.globs.texts)


def _without_version(system: str) -> str:
    found = DIGIT.search(system)
    return system[: found.start()].rstrip() if found else system


@dataclass(frozen=True)
class OsIs(_Timeless):
    """The operating system's name is one of these, and its version compares so; either may be left out.

    Exchange writes both in one text, ``iOS 17.1.2 21B101``: ``iOS``, ``iOS 17*`` and the whole text all speak of it.
    """

    globs: Globs | None
    operator: str = ""
    version: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """How much there is to be compared."""
        return self.globs.steps if self.globs else 0

    def matches(self, facts: Facts, _: datetime) -> bool | None:
        """Whether it holds. A version that nobody knows compares with nothing."""
        if facts.os is None:
            return None if facts.discovering else False
        if self.globs is not None and not (self.globs.match(facts.os) or self.globs.match(_without_version(facts.os))):
            return False
        if not self.operator:
            return True
        width = max(len(self.version), len(facts.os_version))
        return bool(facts.os_version) and COMPARE[self.operator](
            _padded(facts.os_version, width), _padded(self.version, width)
        )

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        name = {"name": list(self.globs.texts)} if self.globs else {}
        return name | (
            {"operator": self.operator, "version": ".".join(map(str, self.version))} if self.operator else {}
        )


@dataclass(frozen=True)
class PatternIs(_Timeless):
    """A pattern is found in the device id or in the user's address; ``name`` is the field."""

    name: str
    pattern: str

    @cached_property
    def _found(self) -> Any:  # noqa: ANN401 - RE2 has no types
        return compiled(self.pattern)

    @property
    def steps(self) -> int:
        """How much there is to be compared."""
        return int(self._found.programsize)

    def matches(self, facts: Facts, _: datetime) -> bool:
        """Whether it holds."""
        return self._found.search(getattr(facts, self.name)) is not None

    def document(self) -> str:
        """As JSON values."""
        return self.pattern


@dataclass(frozen=True, slots=True)
class GroupIs(_Timeless):
    """The person is in one of these groups of the directory."""

    groups: frozenset[str]

    def matches(self, facts: Facts, _: datetime) -> bool | None:
        """Whether it holds; None for a person whom the directory does not know."""
        return None if facts.groups is None else not self.groups.isdisjoint(facts.groups)

    def document(self) -> list[str]:
        """As JSON values."""
        return sorted(self.groups)


@dataclass(frozen=True, slots=True)
class ClientIs(_Timeless):
    """The client is of one of these kinds."""

    kinds: tuple[Client, ...]

    def matches(self, facts: Facts, _: datetime) -> bool:
        """Whether it holds."""
        return facts.client in self.kinds

    def document(self) -> list[str]:
        """As JSON values."""
        return [kind.value for kind in self.kinds]


@dataclass(frozen=True, slots=True)
class SyncOlderThan:
    """The last successful synchronisation is so many days ago; one that nobody knows of is not old."""

    days: int

    def matches(self, facts: Facts, now: datetime) -> bool:
        """Whether it holds."""
        turns = self.turns_at(facts)
        return turns is not None and now >= turns

    def turns_at(self, facts: Facts) -> datetime | None:
        """When it begins to hold."""
        return None if facts.last_sync_at is None else later(facts.last_sync_at, timedelta(days=self.days))

    def document(self) -> int:
        """As JSON values."""
        return self.days


@dataclass(frozen=True, slots=True)
class Rule:
    """Devices for which every condition holds get ``level``. ``rule_id`` stays when the rule is moved or edited."""

    rule_id: str
    name: str
    level: Level
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def matches(self, facts: Facts, now: datetime) -> bool | None:
        """Whether the rule speaks of this device; None where that cannot be told yet."""
        told = [condition.matches(facts, now) for condition in self.conditions.values()]
        return False if False in told else None if None in told else True

    @property
    def of_people(self) -> bool:
        """Whether it asks of the person only, so that it may speak of a client that stands for all their phones."""
        return set(self.conditions) <= {"user", "group", "client"}

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        when = {name: condition.document() for name, condition in self.conditions.items()}
        return {"id": self.rule_id, "name": self.name, "level": self.level.value, "when": when}


@dataclass(frozen=True, slots=True)
class Grace:
    """For how long (seconds) a device keeps access; ``warn`` is how long before its end its person is warned."""

    unmanaged: int = 0
    noncompliant: int = 0
    warn: int = 86_400

    def document(self) -> dict[str, int]:
        """As JSON values."""
        return {"unmanaged": self.unmanaged, "noncompliant": self.noncompliant, "warn": self.warn}


@dataclass(frozen=True, slots=True)
class PreApproval:
    """Whether a compliant device may be on the allowed list before its first synchronisation.

    At most ``per_mailbox`` unused ones at a time, each taken back after ``days`` without a synchronisation.
    """

    enabled: bool = False
    per_mailbox: int = 3
    days: int = 14

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {"enabled": self.enabled, "per_mailbox": self.per_mailbox, "days": self.days}


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a tenant's policy. What each field does is a table in docs/policy.md.

    ``known_until``: devices that were known when this was switched on (``Facts.known``) keep access until then.
    ``by_person``: Outlook with its own id is judged by its person's devices.
    """

    enabled: bool = False
    included: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    unmanaged: Level = Level.QUARANTINE
    noncompliant: Level = Level.BLOCK
    override_default: bool = True
    grace: Grace = Grace()
    known_until: datetime | None = None
    by_person: bool = True
    cloud_cache: Level = Level.ALLOW
    pre_approval: PreApproval = PreApproval()

    @property
    def groups(self) -> frozenset[str]:
        """Every group that it speaks of."""
        named = (rule.conditions.get("group") for rule in self.rules)
        return (
            self.included
            | self.excluded
            | frozenset(group for each in named if isinstance(each, GroupIs) for group in each.groups)
        )

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_policy`` reads them."""
        until = self.known_until.isoformat().replace("+00:00", "Z") if self.known_until else None
        return {
            "enabled": self.enabled,
            "included": sorted(self.included),
            "excluded": sorted(self.excluded),
            "rules": [rule.document() for rule in self.rules],
            "unmanaged": self.unmanaged.value,
            "noncompliant": self.noncompliant.value,
            "override_default": self.override_default,
            "grace": self.grace.document(),
            "known_until": until,
            "by_person": self.by_person,
            "cloud_cache": self.cloud_cache.value,
            "pre_approval": self.pre_approval.document(),
        }


def compiled(pattern: str, memory: int = PATTERN_BYTES) -> Any:  # noqa: ANN401 - RE2 has no types
    """A pattern made ready, without regard to case, in so many bytes. Raises PolicyError with RE2's own words."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = memory
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        raise PolicyError("pattern", said.decode() if isinstance(said, bytes) else str(said)) from error


def read_policy(raw: object) -> Policy:
    """A policy from its document. Raises PolicyError that names the field; unknown fields are refused too."""
    try:
        return _policy(mapping(raw, "policy"))
    except ContractError as error:
        raise PolicyError(error.place, error.problem) from error


# -- reading -----------------------------------------------------------------------------------------------------------


def _policy(told: Mapping[str, Any]) -> Policy:
    _only(told, set(Policy().document()), "policy")
    grace = _object(told, "grace", {"unmanaged", "noncompliant", "warn"})
    ahead = _object(told, "pre_approval", {"enabled", "per_mailbox", "days"})
    fallback, fallback_grace, fallback_ahead = Policy(), Grace(), PreApproval()
    return Policy(
        enabled=_flag(told, "enabled", fallback.enabled),
        included=frozenset(_texts(told.get("included", []), "included")),
        excluded=frozenset(_texts(told.get("excluded", []), "excluded")),
        rules=_rules(told.get("rules", [])),
        unmanaged=_level(told.get("unmanaged", fallback.unmanaged), "unmanaged"),
        noncompliant=_level(told.get("noncompliant", fallback.noncompliant), "noncompliant"),
        override_default=_flag(told, "override_default", fallback.override_default),
        grace=Grace(
            *(
                _whole(grace, name, getattr(fallback_grace, name), LONGEST_SECONDS, "grace.")
                for name in ("unmanaged", "noncompliant", "warn")
            )
        ),
        known_until=_moment(told.get("known_until"), "known_until"),
        by_person=_flag(told, "by_person", fallback.by_person),
        cloud_cache=_level(told.get("cloud_cache", fallback.cloud_cache), "cloud_cache"),
        pre_approval=PreApproval(
            _flag(ahead, "enabled", fallback_ahead.enabled, "pre_approval."),
            _whole(ahead, "per_mailbox", fallback_ahead.per_mailbox, 20, "pre_approval."),
            _whole(ahead, "days", fallback_ahead.days, 366, "pre_approval."),
        ),
    )


def _rules(raw: object) -> tuple[Rule, ...]:
    told = sequence(raw, "rules")
    if len(told) > MOST_RULES:
        raise PolicyError("rules", f"there are {len(told)}, at most {MOST_RULES} may be")
    rules = tuple(_rule(each, f"rules[{number}]") for number, each in enumerate(told))
    for number, rule in enumerate(rules):
        if any(rule.rule_id == other.rule_id for other in rules[:number]):
            raise PolicyError(f"rules[{number}].id", "another rule has this id")
    _refuse_slow(rules)
    return rules


def _refuse_slow(rules: Iterable[Rule]) -> None:
    """Refuse texts and patterns that together take long to compare, whatever a device is called."""
    steps = 0
    for number, rule in enumerate(rules):
        for name, condition in rule.conditions.items():
            if not isinstance(condition, TextIs | OsIs | PatternIs):
                continue
            place = f"rules[{number}].when.{name}"
            try:
                steps += condition.steps
            except PolicyError as error:
                raise PolicyError(place, f"this cannot be made ready: {error.why}") from error
            if steps > MOST_STEPS:
                raise PolicyError(place, "the texts and patterns of all rules up to here are too much to compare")


def _rule(raw: object, place: str) -> Rule:
    told = mapping(raw, place)
    _only(told, {"id", "name", "level", "when"}, place)
    when = mapping(told.get("when", CATCH_ALL), f"{place}.when")
    _only(when, set(READERS), f"{place}.when")
    return Rule(
        _text(told.get("id"), f"{place}.id"),
        _text(told.get("name"), f"{place}.name"),
        _level(told.get("level"), f"{place}.level"),
        {name: READERS[name](when[name], f"{place}.when.{name}") for name in READERS if name in when},
    )


def _family(raw: object, place: str) -> Condition:
    names = _some(raw, place)
    if unknown := set(names) - set(Family):
        raise PolicyError(place, f"there is no family {min(unknown)}; choose from {', '.join(Family)}")
    return FamilyIs(names)


def _os(raw: object, place: str) -> Condition:
    told = mapping(raw, place)
    _only(told, {"name", "operator", "version"}, place)
    globs = Globs(_some(told["name"], f"{place}.name")) if "name" in told else None
    operator, version = told.get("operator", ""), told.get("version", "")
    if operator == "" and version != "":
        raise PolicyError(f"{place}.operator", f"say how the version compares: {' '.join(COMPARE)}")
    if operator == "" and globs is None:
        raise PolicyError(place, "name a system, or compare its version")
    if operator == "":
        return OsIs(globs)
    if not isinstance(operator, str) or operator not in COMPARE:
        raise PolicyError(f"{place}.operator", f"choose from {' '.join(COMPARE)}")
    if not isinstance(version, str) or VERSION.fullmatch(version) is None:
        raise PolicyError(f"{place}.version", "write a version as numbers with dots, such as 17.1.2")
    return OsIs(globs, operator, tuple(map(int, version.split("."))))


def _pattern(name: str) -> Any:  # noqa: ANN401 - a reader of a condition
    def read(raw: object, place: str) -> Condition:
        text = _text(raw, place, LONGEST_PATTERN)
        try:
            compiled(text)
        except PolicyError as error:
            raise PolicyError(place, f"this is no pattern: {error.why}") from error
        return PatternIs(name, text)

    return read


def _clients(raw: object, place: str) -> Condition:
    names = _some(raw, place)
    if unknown := set(names) - set(Client):
        raise PolicyError(place, f"there is no kind {min(unknown)}; choose from {', '.join(Client)}")
    return ClientIs(tuple(map(Client, names)))


def _days(raw: object, place: str) -> Condition:
    days = _whole({"days": raw}, "days", None, 3_660, f"{place}.")
    if days < 1:
        raise PolicyError(place, "it is at least one day")
    return SyncOlderThan(days)


READERS: Mapping[str, Any] = {
    "family": _family,
    "model": lambda raw, place: TextIs("model", Globs(_some(raw, place))),
    "os": _os,
    "user_agent": lambda raw, place: TextIs("user_agent", Globs(_some(raw, place))),
    "device_id": _pattern("device_id"),
    "user": _pattern("user"),
    "group": lambda raw, place: GroupIs(frozenset(_some(raw, place))),
    "client": _clients,
    "synced_days_ago": _days,
}
"""How each kind of condition is read, by the name that it has in a document."""


def _padded(version: tuple[int, ...], width: int) -> tuple[int, ...]:
    return version + (0,) * (width - len(version))


def _only(told: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    if unknown := sorted(set(told) - set(known)):
        raise PolicyError(f"{place}.{unknown[0]}", f"this is not known here; there are {', '.join(sorted(known))}")


def _object(told: Mapping[str, Any], name: str, known: set[str]) -> Mapping[str, Any]:
    found = mapping(told.get(name, {}), name)
    _only(found, known, name)
    return found


def _flag(told: Mapping[str, Any], name: str, fallback: bool, place: str = "") -> bool:
    value = told.get(name, fallback)
    if not isinstance(value, bool):
        raise PolicyError(f"{place}{name}", "it is true or false")
    return value


def _whole(told: Mapping[str, Any], name: str, fallback: int | None, most: int, place: str) -> int:
    value = told.get(name, fallback)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise PolicyError(f"{place}{name}", f"it is a whole number from 0 to {most:,}")
    return value


def _level(raw: object, place: str) -> Level:
    if not isinstance(raw, str) or raw not in set(Level):
        raise PolicyError(place, f"choose from {', '.join(Level)}")
    return Level(raw)


def _text(raw: object, place: str, longest: int = LONGEST_TEXT) -> str:
    if not isinstance(raw, str) or not raw.strip() or len(raw) > longest or not raw.isprintable():
        raise PolicyError(place, f"write 1 to {longest} visible characters")
    return raw.strip()


def _texts(raw: object, place: str) -> tuple[str, ...]:
    told = sequence(raw, place)
    if len(told) > MOST_VALUES:
        raise PolicyError(place, f"there are {len(told)}, at most {MOST_VALUES} may be")
    return tuple(_text(each, f"{place}[{number}]") for number, each in enumerate(told))


def _some(raw: object, place: str) -> tuple[str, ...]:
    told = _texts(raw, place)
    if not told:
        raise PolicyError(place, "name at least one")
    return told


def _moment(raw: object, place: str) -> datetime | None:
    if raw is None:
        return None
    try:
        moment = datetime.fromisoformat(str(raw))
    except ValueError as error:
        raise PolicyError(place, "write a time as 2027-01-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise PolicyError(place, "the time needs its zone, such as Z")
    if not 1 < moment.year < 9_999:
        raise PolicyError(place, "write a year from 2 to 9998")
    return moment.astimezone(UTC)
