"""A policy as the form in which people write it, and the form as a policy's document. Pure.

A ``Draft`` holds every field as it was typed, right or wrong, so that a page can show it again. ``draft_of`` makes one
of a policy, ``read`` of what a browser sent, ``document`` makes the JSON that ``domain.policies.read_policy`` judges.
Every policy survives: what is not touched in the form comes back as it was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Self

from gatepost.domain.devices import Family
from gatepost.domain.facts import Client
from gatepost.domain.policies import COMPARE, MOST_RULES, Policy, Rule

Fields = Mapping[str, Sequence[str]]
"""What a browser sends: every name with its values."""

UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
"""The units in which people write lengths of time, in seconds; the longest first."""

CHOICES: dict[str, Any] = {
    "units": tuple(UNITS),
    "families": tuple(Family),
    "clients": tuple(Client),
    "operators": tuple(COMPARE),
}
"""What the form offers to choose among, by the names that its template has for them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as it is typed: a number and one of ``UNITS``."""

    amount: str
    unit: str

    @classmethod
    def of(cls, seconds: int) -> Self:
        """So many seconds, in the longest unit that needs no fraction."""
        unit = next(name for name, size in UNITS.items() if seconds % size == 0)
        return cls(str(seconds // UNITS[unit]), unit)

    @property
    def seconds(self) -> int | str:
        """In seconds; what was typed where that is no number."""
        amount = _number(self.amount)
        return amount * UNITS.get(self.unit, 1) if isinstance(amount, int) else amount


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as a browser's field has it, in the person's time zone; ``was`` is what it was before, exactly."""

    typed: str = ""
    was: str = ""

    @classmethod
    def of(cls, moment: datetime | None, zone: tzinfo) -> Self:
        """A moment of a policy."""
        return cls(_local(moment, zone), moment.isoformat()) if moment else cls()

    def told(self, zone: tzinfo) -> str | None:
        """As a document tells it; what was typed where that is no moment; None for none."""
        before = _parsed(self.was)
        if before is not None and before.tzinfo is not None and self.typed == _local(before, zone):
            return self.was
        moment = _parsed(self.typed)
        if moment is None:
            return self.typed or None
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups that are chosen, by their ids, and the name of one more as it is typed."""

    chosen: tuple[str, ...] = ()
    typed: str = ""

    def resolved(self, known: Mapping[str, str]) -> Self:
        """With the typed group chosen, where exactly one of ``known`` (names by id) has that name or id."""
        wanted = self.typed.casefold()
        found = [key for key, name in known.items() if wanted in {name.casefold(), key.casefold()}]
        if not wanted or len(found) != 1:
            return self
        return replace(self, chosen=tuple(dict.fromkeys((*self.chosen, *found))), typed="")


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """One rule as it is typed. ``models``, ``systems`` and ``agents`` have one value a line."""

    rule_id: str
    name: str = ""
    level: str = "block"
    families: tuple[str, ...] = ()
    models: str = ""
    systems: str = ""
    operator: str = ""
    version: str = ""
    agents: str = ""
    device_id: str = ""
    user: str = ""
    groups: Groups = Groups()
    clients: tuple[str, ...] = ()
    synced: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON values; a condition that is left empty is not asked."""
        when = {
            "family": list(self.families),
            "model": _lines(self.models),
            "os": self._system(),
            "user_agent": _lines(self.agents),
            "device_id": self.device_id,
            "user": self.user,
            "group": list(self.groups.chosen),
            "client": list(self.clients),
            "synced_days_ago": _number(self.synced) if self.synced else None,
        }
        asked = {name: value for name, value in when.items() if value not in (None, "", [], {})}
        return {"id": self.rule_id, "name": self.name, "level": self.level, "when": asked}

    def _system(self) -> dict[str, Any]:
        names = {"name": _lines(self.systems)} if self.systems else {}
        compared = {"operator": self.operator or "?", "version": self.version}
        return names | (compared if self.operator or self.version else {})


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole policy as it is typed."""

    enabled: bool
    included: Groups
    excluded: Groups
    rules: tuple[RuleDraft, ...]
    unmanaged: str
    noncompliant: str
    override_default: bool
    grace_unmanaged: Span
    grace_noncompliant: Span
    warn: Span
    known_until: Moment
    by_person: bool
    cloud_cache: str
    ahead: bool
    per_mailbox: str
    days: str

    def document(self, zone: tzinfo) -> dict[str, Any]:
        """As JSON values, with what cannot be read left as it was typed; ``zone`` is the person's."""
        return {
            "enabled": self.enabled,
            "included": list(self.included.chosen),
            "excluded": list(self.excluded.chosen),
            "rules": [rule.document() for rule in self.rules],
            "unmanaged": self.unmanaged,
            "noncompliant": self.noncompliant,
            "override_default": self.override_default,
            "grace": {
                "unmanaged": self.grace_unmanaged.seconds,
                "noncompliant": self.grace_noncompliant.seconds,
                "warn": self.warn.seconds,
            },
            "known_until": self.known_until.told(zone),
            "by_person": self.by_person,
            "cloud_cache": self.cloud_cache,
            "pre_approval": {
                "enabled": self.ahead,
                "per_mailbox": _number(self.per_mailbox),
                "days": _number(self.days),
            },
        }

    def with_rule(self, rule_id: str) -> Self:
        """With one empty rule more, at the end."""
        return replace(self, rules=(*self.rules, RuleDraft(rule_id)))

    def without_rule(self, place: int) -> Self:
        """Without the rule at this place."""
        return replace(self, rules=self.rules[:place] + self.rules[place + 1 :])

    def with_rule_at(self, place: int, target: int) -> Self:
        """With the rule of one place at another; as it is where there is no such place."""
        if not (0 <= place < len(self.rules) and 0 <= target < len(self.rules)):
            return self
        left = self.without_rule(place).rules
        return replace(self, rules=(*left[:target], self.rules[place], *left[target:]))

    def resolved(self, known: Mapping[str, str]) -> Self:
        """With every group chosen whose name is typed and known; ``known`` are the names by id."""
        return replace(
            self,
            included=self.included.resolved(known),
            excluded=self.excluded.resolved(known),
            rules=tuple(replace(rule, groups=rule.groups.resolved(known)) for rule in self.rules),
        )

    def groups(self) -> dict[str, Groups]:
        """Every choice of groups, by its place in a document."""
        of_rules = {f"rules[{place}].when.group": rule.groups for place, rule in enumerate(self.rules)}
        return {"included": self.included, "excluded": self.excluded, **of_rules}


def draft_of(policy: Policy, zone: tzinfo) -> Draft:
    """A policy as a form has it."""
    return Draft(
        enabled=policy.enabled,
        included=Groups(tuple(sorted(policy.included))),
        excluded=Groups(tuple(sorted(policy.excluded))),
        rules=tuple(_rule_draft(rule) for rule in policy.rules),
        unmanaged=policy.unmanaged.value,
        noncompliant=policy.noncompliant.value,
        override_default=policy.override_default,
        grace_unmanaged=Span.of(policy.grace.unmanaged),
        grace_noncompliant=Span.of(policy.grace.noncompliant),
        warn=Span.of(policy.grace.warn),
        known_until=Moment.of(policy.known_until, zone),
        by_person=policy.by_person,
        cloud_cache=policy.cloud_cache.value,
        ahead=policy.pre_approval.enabled,
        per_mailbox=str(policy.pre_approval.per_mailbox),
        days=str(policy.pre_approval.days),
    )


def _rule_draft(rule: Rule) -> RuleDraft:
    when = rule.document()["when"]
    system = when.get("os", {})
    return RuleDraft(
        rule_id=rule.rule_id,
        name=rule.name,
        level=rule.level.value,
        families=tuple(when.get("family", ())),
        models="\n".join(when.get("model", ())),
        systems="\n".join(system.get("name", ())),
        operator=system.get("operator", ""),
        version=system.get("version", ""),
        agents="\n".join(when.get("user_agent", ())),
        device_id=when.get("device_id", ""),
        user=when.get("user", ""),
        groups=Groups(tuple(when.get("group", ()))),
        clients=tuple(when.get("client", ())),
        synced=str(when.get("synced_days_ago", "")),
    )


def read(fields: Fields) -> Draft:
    """What a browser sent; a field that is missing is empty. One rule more than there may be is read, and no more."""
    one, many = _readers(fields)
    return Draft(
        enabled="enabled" in fields,
        included=Groups(many("included"), one("included.typed")),
        excluded=Groups(many("excluded"), one("excluded.typed")),
        rules=tuple(_read_rule(fields, key) for key in many("rule")[: MOST_RULES + 1]),
        unmanaged=one("unmanaged"),
        noncompliant=one("noncompliant"),
        override_default="override_default" in fields,
        grace_unmanaged=_read_span(one, "grace.unmanaged"),
        grace_noncompliant=_read_span(one, "grace.noncompliant"),
        warn=_read_span(one, "grace.warn"),
        known_until=Moment(one("known_until"), one("known_until.was")),
        by_person="by_person" in fields,
        cloud_cache=one("cloud_cache"),
        ahead="pre_approval.enabled" in fields,
        per_mailbox=one("pre_approval.per_mailbox"),
        days=one("pre_approval.days"),
    )


def _read_rule(fields: Fields, key: str) -> RuleDraft:
    one, many = _readers(fields, f"{key}.")
    return RuleDraft(
        rule_id=one("id"),
        name=one("name"),
        level=one("level"),
        families=many("family"),
        models=one("model"),
        systems=one("os"),
        operator=one("operator"),
        version=one("version"),
        agents=one("user_agent"),
        device_id=one("device_id"),
        user=one("user"),
        groups=Groups(many("group"), one("group.typed")),
        clients=many("client"),
        synced=one("synced"),
    )


def _read_span(one: Callable[[str], str], name: str) -> Span:
    return Span(one(name), one(f"{name}.unit"))


def _readers(fields: Fields, prefix: str = "") -> tuple[Callable[[str], str], Callable[[str], tuple[str, ...]]]:
    """How one value of a name is read, and how all are."""

    def many(name: str) -> tuple[str, ...]:
        return tuple(fields.get(prefix + name, ()))

    def one(name: str) -> str:
        return next(iter(many(name)), "").replace("\r\n", "\n").strip()

    return one, many


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _number(typed: str) -> int | str:
    """A whole number; what was typed where it is none."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 12 else typed


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _local(moment: datetime, zone: tzinfo) -> str:
    """A moment as a browser's field writes it: in the zone, without it; in UTC at the end of all years."""
    try:
        there = moment.astimezone(zone)
    except OverflowError:
        there = moment.astimezone(UTC)
    return there.replace(tzinfo=None).isoformat(timespec="seconds" if there.second else "minutes")
