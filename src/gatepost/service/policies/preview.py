"""What a policy would do, before anything is changed: decided once for each class of devices.

The same facts, policies, earlier decisions and engine as for a single device; so what is counted here is what is
published when it is applied, for the same facts and the same moment. Who exactly they are is asked for page by page.
This is work for the worker's process (``worker``), never for the event loop of the service.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.desired import Level
from gatepost.domain.engine import read_rules
from gatepost.domain.facts import Source
from gatepost.domain.policies import Policy, read_policy
from gatepost.service.access.facts import source_state
from gatepost.service.database import Scope
from gatepost.service.policies.classes import REASONS, Class, Deciding, Fate, Rules, Setting, in_doubt
from gatepost.service.policies.cuts import Cuts
from gatepost.service.policies.patterns import Found, find, patterns_of
from gatepost.service.policies.rings import Ring, current

MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """The policy that is looked at, within a ring; of one organization, or None for all of the tenant."""

    document: Mapping[str, Any]
    organization_id: UUID | None = None
    ring: Ring = Ring.ALL
    pilot: UUID | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True)
class Tally:
    """How many devices are decided so, get another level by it, lose access, gain it."""

    devices: int = 0
    changes: int = 0
    losing: int = 0
    gaining: int = 0

    def add(self, fate: Fate, devices: int) -> None:
        """Count the devices of a class."""
        self.devices += devices
        self.changes += devices * fate.changes
        self.losing += devices * fate.loses
        self.gaining += devices * fate.gains

    def join(self, other: "Tally") -> None:
        """Count what another counted."""
        self.devices += other.devices
        self.changes += other.changes
        self.losing += other.losing
        self.gaining += other.gaining


@dataclass(frozen=True, slots=True)
class Preview:
    """What a policy would do at a moment.

    ``losing`` and ``gaining`` are people (mailboxes), ``total`` is of devices. ``levels`` are how many devices have
    each level published before and after; ``moves`` how many go from one to another. Tallies by model, family and
    group are of the devices that change; of groups by id, with the name in ``names``. ``unread`` are organizations
    whose rules or default level were never read: nobody can tell who has access there.
    """

    at: datetime
    total: Tally
    losing: int
    gaining: int
    levels: Mapping[str, tuple[int, int]]
    moves: Mapping[tuple[str, str], int]
    reasons: Mapping[str, Tally]
    models: Mapping[str, Tally]
    families: Mapping[str, Tally]
    groups: Mapping[str, Tally]
    names: Mapping[str, str]
    unread: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "at": iso(self.at),
            **asdict(self.total),
            "people_losing": self.losing,
            "people_gaining": self.gaining,
            "levels": {level: {"before": before, "after": after} for level, (before, after) in self.levels.items()},
            "moves": [{"before": was, "after": now, "devices": count} for (was, now), count in self.moves.items()],
            "reasons": [{"reason": reason, **asdict(tally)} for reason, tally in _largest(self.reasons)],
            "models": [{"model": name, **asdict(tally)} for name, tally in _largest(self.models)],
            "families": [{"family": name, **asdict(tally)} for name, tally in _largest(self.families)],
            "groups": [
                {"group": key, "name": self.names.get(key, key), **asdict(tally)}
                for key, tally in _largest(self.groups)
            ],
            "unread": list(self.unread),
        }


@dataclass(frozen=True, slots=True)
class Worked:
    """Every class with its fate, and what was needed to tell; ``asked`` are the parameters of the statements."""

    fates: Sequence[tuple[Class, Fate]]
    facts: Mapping[str, Mapping[str, Any]]
    audiences: Mapping[str, frozenset[str]]
    asked: Mapping[str, Any]
    unread: Sequence[str]
    now: datetime


async def work_out(scope: Scope, wanted: Wanted, *, doubtful: bool = False) -> Worked:
    """Decide every class of devices.

    ``doubtful``: what was decided before is looked at from the beginning, for it is known to count somewhere; where it
    turns out to count, classes are asked for once more.
    """
    await scope.one("preview.room")
    setting = await setting_of(scope, wanted)
    asked = parameters_of(wanted, setting, with_previous=doubtful or setting.source is Source.STALE)
    asked["superseded"] = [row["guid"] for row in await scope.all("preview.doubled")]
    classes, facts = await _classes(scope, asked)
    if not asked["with_previous"] and in_doubt(classes, facts):
        asked["with_previous"] = True
        classes, facts = await _classes(scope, asked)
    rows = await scope.all("preview.audiences")
    audiences = {row["audience_id"]: frozenset(row["group_ids"]) for row in rows}
    rules, unread = await _rules(scope, {each.organization_id for each in classes})
    deciding = Deciding(setting, facts, audiences, rules)
    fates = [(each, deciding.fate(each)) for each in classes]
    return Worked(fates, facts, audiences, asked, unread, wanted.now)


async def total(scope: Scope, worked: Worked) -> Preview:
    """What it all comes to."""
    whole, reasons, of_facts, of_audiences = Tally(), _Tallies(), _Tallies(), _Tallies()
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    moves: Counter[tuple[str, str]] = Counter()
    for each, fate in worked.fates:
        was, now = fate.before.value, fate.after.value
        whole.add(fate, each.devices)
        reasons.of(fate.decision.reason.value).add(fate, each.devices)
        before[was] += each.devices
        after[now] += each.devices
        if fate.changes:
            moves[was, now] += each.devices
            of_facts.of(each.facts_id).add(fate, each.devices)
            of_audiences.of(each.audience_id).add(fate, each.devices)
    models, families, groups = _Tallies(), _Tallies(), _Tallies()
    for facts_id, tally in of_facts.items():
        models.of(worked.facts[facts_id]["model"] or "").join(tally)
        families.of(worked.facts[facts_id]["family"]).join(tally)
    for audience_id, tally in of_audiences.items():
        for group in worked.audiences.get(audience_id, ()):
            groups.of(group).join(tally)
    largest = [key for key, _ in _largest(groups)]
    named = {row["group_id"]: row["name"] for row in await scope.all("preview.group_names", names=largest)}
    return Preview(
        at=worked.now,
        total=whole,
        losing=_people(each for each, fate in worked.fates if fate.loses),
        gaining=_people(each for each, fate in worked.fates if fate.gains),
        levels={level.value: (before[level.value], after[level.value]) for level in Level},
        moves=dict(moves.most_common()),
        reasons=reasons,
        models=models,
        families=families,
        groups=groups,
        names=named,
        unread=worked.unread,
    )


class _Tallies(dict[str, Tally]):
    """Tallies by name."""

    def of(self, name: str) -> Tally:
        """The one of this name, begun where there is none."""
        found = self.get(name)
        if found is None:
            found = self[name] = Tally()
        return found


def class_columns(classes: Iterable[Class]) -> dict[str, list[Any]]:
    """Classes as the columns that a statement joins with."""
    names = ("organizations", "facts", "audiences", "states", "reasons", "ids", "users", "bits")
    columns = list(zip(*(each[:8] for each in classes), strict=True)) or [()] * len(names)
    return {f"of_{name}": list(column) for name, column in zip(names, columns, strict=True)}


def _people(classes: Iterable[Class]) -> int:
    """How many people have a device in one of these."""
    return len({person for each in classes for person in each.people()})


async def setting_of(scope: Scope, wanted: Wanted) -> Setting:
    """Everything that is the same for all classes."""
    known = await current(scope)
    base = known.everywhere if known and wanted.ring is not Ring.ALL else None
    rows = await scope.all("policies.documents", versions=[base]) if base is not None else []
    outside = read_policy(rows[0]["document"]) if rows else None
    within = read_policy(wanted.document)
    policies = [within, outside] if outside else [within]
    return Setting(
        within=within,
        outside=outside,
        pilot=str(wanted.pilot) if wanted.pilot else None,
        source=await source_state(scope, wanted.now),
        now=wanted.now,
        cuts=Cuts.of(policies, wanted.now),
        ids=await _found(scope, "device_id", policies),
        users=await _found(scope, "user", policies),
    )


async def _found(scope: Scope, name: str, policies: Sequence[Policy]) -> Found:
    patterns = patterns_of(policies, name)
    if not patterns:
        return Found()
    rows = await scope.all("preview.device_ids" if name == "device_id" else "preview.users")
    return find(patterns, (row["text"] for row in rows))


def parameters_of(wanted: Wanted, setting: Setting, *, with_previous: bool) -> dict[str, Any]:
    """The parameters of gatepost_preview_rows; what was decided before is read only where it could be kept."""
    return {
        "organization_id": wanted.organization_id,
        "now": wanted.now,
        "buckets": wanted.ring.buckets,
        "with_previous": with_previous,
        "reasons": [reason.value for reason in REASONS],
        "first_cuts": list(setting.cuts.first),
        "sync_cuts": list(setting.cuts.sync),
        "since_cuts": list(setting.cuts.since),
        "ids": list(setting.ids.texts),
        "id_classes": list(setting.ids.classes),
        "users": list(setting.users.texts),
        "user_classes": list(setting.users.classes),
    }


async def _classes(scope: Scope, asked: Mapping[str, Any]) -> tuple[list[Class], dict[str, Mapping[str, Any]]]:
    """Every class, and the interned facts that they speak of."""
    classes = [Class(*row.values()) for row in await scope.all("preview.classes", **asked)]
    facts_ids = list({each.facts_id for each in classes})
    return classes, {row["facts_id"]: row for row in await scope.all("preview.facts", facts_ids=facts_ids)}


async def _rules(scope: Scope, organizations: Collection[str]) -> tuple[dict[str, Rules], list[str]]:
    """The engine of each organization, and the organizations of which it is not known."""
    found: dict[str, Rules] = {}
    unread: list[str] = []
    for organization_id in sorted(organizations):
        row = await scope.one("decisions.settings", organization_id=UUID(organization_id))
        rules = read_rules(row["rules"]) if row else None
        default = row["default_level"] if row else None
        found[organization_id] = Rules(rules, default)
        if rules is None or not default:
            unread.append(organization_id)
    return found, unread


def _largest(tallies: Mapping[str, Tally]) -> list[tuple[str, Tally]]:
    """The largest first, as many as a page shows."""
    order = sorted(tallies.items(), key=lambda each: (-each[1].changes, -each[1].devices, each[0]))
    return order[:MOST_NAMED]
