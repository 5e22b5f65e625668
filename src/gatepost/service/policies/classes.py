"""Classes of devices: those that are decided alike, and of which Exchange makes the same.

The database groups the devices (the function gatepost_preview_rows) and this makes of each class what
``domain.access.decide`` and ``domain.engine`` look at. ``FIELDS`` are the parts of a class's ``bits``, lowest first,
with how many bits each has; the function packs them in the same order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from gatepost.domain import guards
from gatepost.domain.access import BY_COMPLIANCE, Decision, Reason, decide
from gatepost.domain.desired import Level
from gatepost.domain.engine import Device, Lists, Organization
from gatepost.domain.facts import Compliance, Facts, Managed, Pinned, Source
from gatepost.domain.guards import Verb
from gatepost.domain.policies import Policy
from gatepost.domain.settings import AccessRule
from gatepost.service.access.facts import client_of, is_discovering
from gatepost.service.policies.cuts import Cuts, standing_for
from gatepost.service.policies.patterns import Found
from gatepost.service.policies.rings import OFF

FIELDS = {
    "barred": 2, "person": 1, "known": 1, "managed": 2, "since": 3, "of_person": 2, "person_since": 3, "first": 3,
    "sync": 10, "pin": 2, "reached": 1, "published": 3, "level": 3, "previous": 6, "allowed": 2, "blocked": 2,
    "enabled": 2,
}  # fmt: skip
OF_ENGINE = ("allowed", "blocked", "enabled")
BARRED = ("", Reason.NO_MAILBOX.value, Reason.ELSEWHERE.value)
MANAGED = (Managed.UNMANAGED, Managed.COMPLIANT, Managed.NONCOMPLIANT, Managed.UNKNOWN)
PINNED = (None, Pinned(Level.ALLOW), Pinned(Level.BLOCK))
LEVELS = (None, *Level)
FOREIGN, UNSHOWN, ADOPTED = 1, 2, 3
"""What a list has of the id: an entry of somebody else, nothing that Exchange would show, one that was adopted."""
REASONS = tuple(sorted(BY_COMPLIANCE))
"""The reasons of an earlier decision that matter: such a one is kept while a source is silent."""
OF_DEVICE = ("family", "model", "os", "user_agent")
"""The conditions that look at what interned facts hold."""


class Class(NamedTuple):
    """One class, as the database tells it: ids as text, and what is the same of all its devices.

    ``mailboxes`` are the guids of their mailboxes, 16 bytes each, as often as they have a device in it.
    """

    organization_id: str
    facts_id: str
    audience_id: str
    state: str
    reason: str
    id_class: int
    user_class: int
    bits: int
    devices: int
    mailboxes: bytes

    def people(self) -> set[tuple[str, bytes]]:
        """The mailboxes, each once, with the organization that they are in."""
        blob = self.mailboxes
        return {(self.organization_id, blob[at : at + 16]) for at in range(0, len(blob), 16)}


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a class: what is decided, the levels published before and after, and who gains or loses by that.

    Of a device that no list could hold nothing is published, whatever is decided.
    """

    decision: Decision
    before: Level
    after: Level
    gains: bool = False
    loses: bool = False

    @property
    def changes(self) -> bool:
        """Whether another level will be published."""
        return self.before is not self.after


@dataclass(frozen=True, slots=True)
class Setting:
    """All that is the same for every class: the policies within the ring and outside of it, and what they are cut by.

    ``pilot`` is the pilot group's name. ``ids`` and ``users`` are what patterns found.
    """

    within: Policy
    outside: Policy | None
    pilot: str | None
    source: Source
    now: datetime
    cuts: Cuts
    ids: Found
    users: Found


Seen = tuple[str | None, str | None, str | None, str | None]
"""What Exchange's rules can see of a device: its type, model, system and user agent; None where none speaks of it."""


class Rules:
    """One organization's engine, and which texts of a device its rules speak of at all."""

    def __init__(self, rules: Sequence[AccessRule] | None, default: str | None) -> None:
        self.engine = Organization(rules, default)
        self._asked = {rule.query for rule in rules or ()}

    def seen(self, facts: Mapping[str, Any]) -> Seen:
        """What the rules can see of a device: devices with the same are treated alike."""
        kind, model, system, agent = (
            text if text in self._asked else None
            for text in (facts["device_type"], facts["model"], facts["os"], facts["user_agent"])
        )
        return kind, model, system, agent


class Deciding:
    """Decides classes; what was decided once is not decided again."""

    def __init__(
        self,
        setting: Setting,
        facts: Mapping[str, Mapping[str, Any]],
        audiences: Mapping[str, frozenset[str]],
        rules: Mapping[str, Rules],
    ) -> None:
        self._setting = setting
        self._facts = facts
        self._audiences = {key: groups & _asked_groups(setting) for key, groups in audiences.items()}
        self._rules = rules
        self._alike = self._like_each_other()
        self._seen: dict[tuple[str, str], Seen] = {}
        self._decided: dict[tuple[Any, ...], Decision] = {}
        self._fates: dict[tuple[Any, ...], Fate] = {}
        self._unpacked: dict[int, dict[str, int]] = {}

    def fate(self, each: Class) -> Fate:
        """What becomes of a class."""
        groups = self._audiences.get(each.audience_id, frozenset())
        device = self._facts[each.facts_id]
        seen = self._seen.get((each.organization_id, each.facts_id))
        if seen is None:
            seen = self._rules[each.organization_id].seen(device)
            self._seen[each.organization_id, each.facts_id] = seen
        alike = self._alike[each.facts_id]
        key = (each.organization_id, alike, seen, groups, each[3:8])
        fate = self._fates.get(key)
        if fate is None:
            fate = self._fates[key] = self._work_out(each, alike, seen, groups)
        return fate

    def _work_out(self, each: Class, alike: str, seen: Seen, groups: frozenset[str]) -> Fate:
        bits = self._unpacked.get(each.bits)
        if bits is None:
            bits = self._unpacked[each.bits] = unpack(each.bits)
        decision = self._decide(each, bits, alike, groups)
        published = LEVELS[bits["published"]] or Level.LEAVE
        if bits["barred"] or published is decision.level:
            return Fate(decision, published, published)
        kind, model, system, agent = seen
        device = Device("x", kind, model, system, agent, each.state or None, each.reason or None)
        engine = self._rules[each.organization_id].engine
        verb = guards.verb(
            engine.verdict(device, _lists(bits, published)), engine.verdict(device, _lists(bits, decision.level))
        )
        return Fate(decision, published, decision.level, gains=verb is Verb.GIVE, loses=verb is Verb.TAKE)

    def _decide(self, each: Class, bits: dict[str, int], alike: str, groups: frozenset[str]) -> Decision:
        asked = tuple(value for name, value in bits.items() if name not in OF_ENGINE and name != "published")
        discovering = is_discovering(each.state)
        key = (alike, groups, each.id_class, each.user_class, discovering, asked)
        found = self._decided.get(key)
        if found is None:
            setting = self._setting
            told = groups if bits["person"] else None
            within = bits["reached"] or (setting.pilot is not None and setting.pilot in groups and bits["person"])
            policy = setting.within if within else setting.outside or OFF
            facts = self._facts_of(each, bits, alike, told)
            found = self._decided[key] = decide(facts, policy, _previous(bits), setting.now)
        return found

    def _facts_of(self, each: Class, bits: dict[str, int], alike: str, groups: frozenset[str] | None) -> Facts:
        setting, cuts = self._setting, self._setting.cuts
        synced = bits["sync"]
        return replace(
            device_facts(self._facts[alike]),
            device_id=setting.ids.standing_for[each.id_class],
            user=setting.users.standing_for[each.user_class],
            groups=groups,
            first_seen=standing_for(cuts.first, bits["first"], setting.now),
            last_sync_at=standing_for(cuts.sync, synced - 1, setting.now) if synced else None,
            discovering=is_discovering(each.state),
            known=bool(bits["known"]),
            source=setting.source,
            own=self._compliance(bits["managed"], bits["since"]),
            of_person=self._compliance(bits["of_person"], bits["person_since"]),
            pin=PINNED[bits["pin"]],
            barred=BARRED[bits["barred"]],
        )

    def _compliance(self, managed: int, since: int) -> Compliance:
        began = standing_for(self._setting.cuts.since, since - 1, self._setting.now) if since else None
        return Compliance(MANAGED[managed], began)

    def _like_each_other(self) -> dict[str, str]:
        """For each of the interned facts, the first of which every rule says the same."""
        policies = [each for each in (self._setting.within, self._setting.outside) if each is not None]
        asked = [
            rule.conditions[name]
            for policy in policies
            for rule in policy.rules
            for name in OF_DEVICE
            if name in rule.conditions
        ]
        first: dict[tuple[Any, ...], str] = {}
        found: dict[str, str] = {}
        now = self._setting.now
        for facts_id, row in self._facts.items():
            known = device_facts(row)
            unsure = replace(known, discovering=True) if asked else known
            told = (known.client, *(each.matches(facts, now) for each in asked for facts in (known, unsure)))
            found[facts_id] = first.setdefault(told, facts_id)
        return found


def unpack(bits: int) -> dict[str, int]:
    """The parts of a class's bits, by name."""
    found = {}
    for name, width in FIELDS.items():
        found[name] = bits & ((1 << width) - 1)
        bits >>= width
    return found


def in_doubt(classes: Iterable[Class], facts: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the compliance sources have no verdict of some device or person, so that what was decided before counts.

    Nobody knows what a person that nobody knows has, by whom Outlook with an id of its own is judged.
    """
    told = {(each.bits, facts[each.facts_id]["family"] == "outlook") for each in classes}
    return any(_unsure(unpack(bits), outlook) for bits, outlook in told)


def _unsure(bits: Mapping[str, int], outlook: bool) -> bool:
    of_person = MANAGED[bits["of_person"]] is Managed.UNKNOWN
    return MANAGED[bits["managed"]] is Managed.UNKNOWN or (of_person and (outlook or bool(bits["person"])))


def device_facts(row: Mapping[str, Any]) -> Facts:
    """Facts of interned ones; what they do not hold is still to be filled in."""
    return Facts(
        family=row["family"],
        model=row["model"],
        os=row["os"],
        os_version=tuple(row["os_version"]),
        user_agent=row["user_agent"],
        client=client_of(row["client_type"], row["family"]),
        device_id="",
        user="",
        groups=None,
        first_seen=datetime.min,  # noqa: DTZ901 - every class has its own
    )


def _asked_groups(setting: Setting) -> frozenset[str]:
    """The groups that make a difference."""
    outside = setting.outside.groups if setting.outside else frozenset()
    return setting.within.groups | outside | ({setting.pilot} if setting.pilot else frozenset())


def _previous(bits: Mapping[str, int]) -> Decision | None:
    """What was decided before, as far as it matters."""
    level, reason = LEVELS[bits["level"]], bits["previous"]
    if level is None:
        return None
    return Decision(level, REASONS[reason - 1] if reason else Reason.POLICY_OFF)


def _lists(bits: Mapping[str, int], level: Level) -> Lists:
    """The two lists as far as one id goes, with the entry that a level needs (as ``Known.listed`` has it)."""
    adopted = level is Level.LEAVE
    foreign = [bits[name] == FOREIGN or (adopted and bits[name] == ADOPTED) for name in ("allowed", "blocked")]
    shown = bits["allowed"] != UNSHOWN and bits["blocked"] != UNSHOWN
    allow = foreign[0] or (level is Level.ALLOW and shown and not foreign[1])
    block = foreign[1] or (level is Level.BLOCK and shown and not foreign[0])
    return Lists(
        None if bits["allowed"] == UNSHOWN else ("x",) * allow,
        None if bits["blocked"] == UNSHOWN else ("x",) * block,
        (None, True, False)[bits["enabled"]],
    )
