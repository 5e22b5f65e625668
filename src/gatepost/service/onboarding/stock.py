"""Stock of the entries that stand in the mailboxes' lists: whose each is, which device it names, and what it does.

Exchange's engine (domain.engine) is run with the entry and without it. The lists are those that the last inventory
read, corrected by what the ledger learnt since.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

from gatepost.domain.desired import Level, ListName
from gatepost.domain.engine import Device, Lists, Organization, State, Verdict, read_rules
from gatepost.domain.ledger import OWNED, Ownership
from gatepost.domain.plan import fold
from gatepost.service import access, connections
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

Row = Mapping[str, Any]


class Owner(StrEnum):
    """Whose an entry is. ``ours``: we wrote it, known or presumed; ``adopted``: ours by an adoption."""

    OURS = "ours"
    ADOPTED = "adopted"
    FOREIGN = "foreign"


class Effect(StrEnum):
    """What an entry does to the device that it names, by Exchange's engine with it and without it."""

    GIVES = "gives"
    TAKES = "takes"
    NOTHING = "nothing"
    UNKNOWN = "unknown"
    NO_DEVICE = "no-device"


class Obstacle(StrEnum):
    """Why an entry of somebody else cannot be adopted."""

    OPPOSED = "opposed"
    SPELLINGS = "spellings"
    TOO_LONG = "too-long"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of one list. ``device_id`` is the device's own spelling where a device is in view.

    ``state`` is what becomes of the device now and ``without`` what would without the entry, None where the entry names
    no device in view. ``published`` is the level that Gatepost has published for the id.
    """

    mailbox_guid: UUID
    mailbox: str
    list: ListName
    device_id: str
    owner: Owner
    effect: Effect
    published: Level | None = None
    obstacle: Obstacle | None = None
    device_guid: UUID | None = None
    device: str = ""
    state: State | None = None
    without: State | None = None
    adoption_id: UUID | None = None

    @property
    def key(self) -> Key:
        """The id in its mailbox."""
        return self.mailbox_guid, self.device_id

    @property
    def adoptable(self) -> bool:
        """Whether it is somebody else's and can be taken over."""
        return self.owner is Owner.FOREIGN and self.obstacle is None


@dataclass(frozen=True)
class Stock:
    """All entries of an organization, by mailbox. ``unread``: its rules or default were never read."""

    entries: Sequence[Entry]
    unread: bool

    @cached_property
    def counts(self) -> Mapping[tuple[ListName, Owner, Effect], int]:
        """How many there are of each kind."""
        return Counter((entry.list, entry.owner, entry.effect) for entry in self.entries)

    def count(
        self, name: ListName | None = None, owner: Owner | None = None, effects: Collection[Effect] = tuple(Effect)
    ) -> int:
        """How many there are of these."""
        return sum(
            number
            for (its_list, its_owner, its_effect), number in self.counts.items()
            if name in (None, its_list) and owner in (None, its_owner) and its_effect in effects
        )


async def take(scope: Scope, organization_id: UUID, group_id: UUID | None = None) -> Stock:
    """The stock of an organization, or of the mailboxes of one group's people. Raises Problem 404."""
    await connections.organization(scope, organization_id)
    rows = await scope.all("onboarding.entries", organization_id=organization_id, group_id=group_id)
    organization, unread = await engine_of(scope, organization_id)
    return Stock(await asyncio.to_thread(_entries, rows, organization), unread)


async def engine_of(scope: Scope, organization_id: UUID) -> tuple[Organization, bool]:
    """Exchange's engine with the organization's rules and default, and whether one of them was never read."""
    row = await scope.one("onboarding.settings", organization_id=organization_id)
    rules, default = (read_rules(row["rules"]), row["default_level"]) if row else (None, None)
    return Organization(rules, default), rules is None or not default


@dataclass(frozen=True, slots=True)
class Standing:
    """A device that is there, as the engine looks at it, with the lists as they stand; ``row`` names it to people."""

    row: Row
    device: Device
    lists: Lists


async def devices(scope: Scope, organization_id: UUID) -> list[Standing]:
    """Every device of a mailbox that is there, by mailbox."""
    rows = await scope.all("onboarding.devices", organization_id=organization_id)
    return await asyncio.to_thread(lambda: [Standing(row, Device.of(row), _standing(row)) for row in rows])


def _standing(row: Row) -> Lists:
    """The lists as last read, with our entries of this id and without what we took off since."""

    def corrected(ids: Sequence[str] | None, name: ListName) -> tuple[str, ...] | None:
        if ids is None or not (name in row["owned"] or name in row["withdrawn"]):
            return None if ids is None else tuple(ids)
        others = tuple(each for each in ids if fold(each) != fold(row["device_id"]))
        return (*others, row["device_id"]) if name in row["owned"] else others

    lists = (corrected(row["allowed_ids"], ListName.ALLOW), corrected(row["blocked_ids"], ListName.BLOCK))
    return Lists(*lists, row["eas_enabled"])


def _entries(rows: Sequence[Row], organization: Organization) -> list[Entry]:
    return [_entry(row, organization) for row in rows]


def _entry(row: Row, organization: Organization) -> Entry:
    name = ListName(row["list"])
    published = Level(row["published"]) if row["published"] else None
    device_id = row["device_id"] or row["told_id"] or row["spellings"][0]
    before, without = _verdicts(row, name, organization) if row["guid"] else (None, None)
    return Entry(
        mailbox_guid=row["mailbox_guid"],
        mailbox=row["mailbox"],
        list=name,
        device_id=device_id,
        owner=_owner(row),
        effect=_effect(before, without),
        published=published,
        obstacle=_obstacle(row, name, device_id, published),
        device_guid=row["guid"],
        device=row["friendly_name"] or row["model"] or row["device_type"] or "",
        state=before.state if before else None,
        without=without.state if without else None,
        adoption_id=row["adoption_id"],
    )


def _owner(row: Row) -> Owner:
    if row["adoption_id"]:
        return Owner.ADOPTED
    return Owner.OURS if Ownership(row["ownership"]) in OWNED else Owner.FOREIGN


def _obstacle(row: Row, name: ListName, device_id: str, published: Level | None) -> Obstacle | None:
    """An entry against what is published would change access by being ours; of two spellings nobody knows which."""
    if len(row["spellings"] or ()) > 1:
        return Obstacle.SPELLINGS
    if len(device_id.encode()) > access.LONGEST_ID:
        return Obstacle.TOO_LONG
    return Obstacle.OPPOSED if published not in (None, Level.LEAVE, Level(name.value)) else None


def _verdicts(row: Row, name: ListName, organization: Organization) -> tuple[Verdict, Verdict]:
    device, folded = Device.of(row), fold(row["device_id"])
    standing = {ListName.ALLOW: row["allowed_ids"], ListName.BLOCK: row["blocked_ids"]}
    with_it = {each: ids if ids is None else tuple(ids) for each, ids in standing.items()}
    if row["spellings"] is None:
        with_it[name] = (*(with_it[name] or ()), row["device_id"])
    without = {**with_it, name: tuple(each for each in with_it[name] or () if fold(each) != folded)}

    def verdict(lists: Mapping[ListName, tuple[str, ...] | None]) -> Verdict:
        return organization.verdict(device, Lists(lists[ListName.ALLOW], lists[ListName.BLOCK], row["eas_enabled"]))

    return verdict(with_it), verdict(without)


def _effect(before: Verdict | None, without: Verdict | None) -> Effect:
    if before is None or without is None:
        return Effect.NO_DEVICE
    if State.UNKNOWN in (before.state, without.state):
        return Effect.UNKNOWN
    if before.access == without.access:
        return Effect.NOTHING
    return Effect.GIVES if before.access else Effect.TAKES
