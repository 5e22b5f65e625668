"""Everything that a decision about device ids in mailboxes looks at, read at once: facts, what was decided, the lists.

A device id that stands in no device of its mailbox, or whose mailbox was never seen, is left out: nothing is decided of
it. Of several partnerships with one id in a mailbox the one that synchronised last is looked at, for the two lists know
ids only.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.access import BY_COMPLIANCE, Decision, Reason
from gatepost.domain.desired import Level, ListName
from gatepost.domain.devices import Family, MailboxKind
from gatepost.domain.engine import DISCOVERY, Device, Lists, Organization, read_rules
from gatepost.domain.facts import Client, Compliance, Facts, Managed, Pinned, Source
from gatepost.domain.plan import fold
from gatepost.domain.policies import Policy
from gatepost.service import policies
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

INLINE = 200  # rows that may be worked on in the event loop; more of them would be felt there
CLOUD_CACHE = "rest"
ELSEWHERE = (MailboxKind.REMOTE, MailboxKind.DISABLED)
BARRED = frozenset({Reason.GONE, Reason.NO_MAILBOX, Reason.ELSEWHERE})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one device id in one mailbox.

    ``lists`` are the mailbox's as last read, without entries of ours; ``kept`` the same with those that were adopted
    and stay where they are as long as nothing but leave is published. ``published`` is the level that stands published
    (None where nothing ever was), ``said`` its reason. ``announce`` is what its person is still to be told of the
    decision before, ``beyond`` what kept Exchange from it. ``policy`` is the one that holds for it, ``version`` None
    where none does. ``ahead``: its id stands published as approved ahead in another spelling.
    """

    key: Key
    device_guid: UUID
    facts: Facts
    previous: Decision | None
    device: Device
    lists: Lists
    kept: Lists
    published: Level | None
    said: str
    announce: str | None
    policy: Policy
    version: int | None
    beyond: str | None = None
    ahead: bool = False

    @property
    def stands(self) -> Level | None:
        """The level that its entries come to as published, in whatever spelling."""
        return Level.ALLOW if self.ahead and self.published is None else self.published

    def listed(self, level: Level | None) -> Lists:
        """The lists with the entry that this level needs; nothing is added opposite to an entry that is not ours."""
        if level in (None, Level.LEAVE):
            return self.kept
        if level is Level.QUARANTINE:
            return self.lists
        allowed, blocked = self.lists.allowed, self.lists.blocked
        if allowed is None or blocked is None:
            return self.lists
        if holds(blocked if level is Level.ALLOW else allowed, self.key[1]):
            return self.lists
        if level is Level.ALLOW:
            return Lists((*allowed, self.key[1]), blocked, self.lists.enabled)
        return Lists(allowed, (*blocked, self.key[1]), self.lists.enabled)


async def load(scope: Scope, organization_id: UUID, keys: Sequence[Key], now: datetime) -> list[Known]:
    """What is known of these; in no order. ``now`` is the moment at which a source is fresh or stale."""
    if not keys:
        return []
    rows = await scope.all(
        "decisions.load",
        organization_id=organization_id,
        mailbox_guids=[mailbox for mailbox, _ in keys],
        device_ids=[device_id for _, device_id in keys],
    )
    return await read(scope, rows, now)


async def read(scope: Scope, rows: Sequence[Mapping[str, Any]], now: datetime) -> list[Known]:
    """What rows with these columns say, under the policies that are in force."""
    source = await source_state(scope, now)
    force = await policies.in_force(scope)
    audiences = await _audiences(scope, {row["audience_id"] for row in rows} - {None})

    def each() -> list[Known]:
        return [_known(row, source, force, _groups(row, audiences)) for row in rows]

    return await asyncio.to_thread(each) if len(rows) > INLINE else each()


async def source_state(scope: Scope, now: datetime) -> Source:
    """Whether the tenant has compliance sources, and whether all of them spoke lately."""
    row = await scope.one("decisions.source", now=now)
    assert row is not None
    return Source(row["source"])


async def exchange(scope: Scope, organization_id: UUID) -> Organization:
    """Exchange's rules and default level, as last read; one that was never read leaves everything unknown."""
    row = await scope.one("decisions.settings", organization_id=organization_id)
    return Organization(read_rules(row["rules"]), row["default_level"]) if row else Organization(None, None)


def client_of(client_type: str | None, family: str) -> Client:
    """The kind of client that a device is, by the protocol that it speaks and its family."""
    if (client_type or "").casefold() == CLOUD_CACHE:
        return Client.CLOUD_CACHE
    return Client.OUTLOOK if family == Family.OUTLOOK else Client.NATIVE


def is_discovering(access_state: str | None) -> bool:
    """Whether Exchange has yet to find out what the device is."""
    return (access_state or "").casefold() in DISCOVERY


def holds(ids: Sequence[str], device_id: str) -> bool:
    """Whether a list has an id, in whatever case."""
    wanted = fold(device_id)
    return any(fold(each) == wanted for each in ids)


async def _audiences(scope: Scope, audience_ids: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    """The groups of each audience, by the names that policies use."""
    found = await scope.all("decisions.audiences", audience_ids=list(audience_ids)) if audience_ids else []
    return {row["audience_id"]: frozenset(map(str, row["group_ids"])) for row in found}


def _groups(row: Mapping[str, Any], audiences: Mapping[UUID, frozenset[str]]) -> frozenset[str] | None:
    """The groups of the mailbox's person; None where the directory does not know them."""
    return None if row["person_id"] is None else audiences.get(row["audience_id"], frozenset())


def _known(row: Mapping[str, Any], source: Source, force: policies.InForce, groups: frozenset[str] | None) -> Known:
    policy, version = force.policy_for(row["mailbox_guid"], groups)
    return Known(
        key=(row["mailbox_guid"], row["device_id"]),
        device_guid=row["guid"],
        facts=_facts(row, source, groups),
        previous=_previous(row),
        device=Device.of(row),
        lists=_lists(row, set(row["mine"])),
        kept=_lists(row, set(row["mine"]) - set(row["kept"])),
        published=Level(row["published"]) if row["published"] else None,
        said=row["said"] or "",
        announce=row["announce"],
        policy=policy,
        version=version,
        beyond=row["beyond"],
        ahead=row["ahead"],
    )


def _facts(row: Mapping[str, Any], source: Source, groups: frozenset[str] | None) -> Facts:
    return Facts(
        family=row["family"],
        model=row["model"],
        os=row["os"],
        os_version=tuple(row["os_version"]),
        user_agent=row["user_agent"],
        client=client_of(row["client_type"], row["family"]),
        device_id=row["device_id"],
        user=row["primary_smtp"] or "",
        groups=groups,
        first_seen=row["first_seen"],
        last_sync_at=row["last_success_sync_at"],
        discovering=is_discovering(row["access_state"]),
        known=row["known"],
        source=source,
        own=Compliance(Managed(row["managed"]), row["managed_since"]),
        of_person=Compliance(Managed(row["person_managed"]), row["person_managed_since"]),
        pin=Pinned(Level(row["pin_level"]), row["pin_until"]) if row["pin_level"] else None,
        barred=_barred(row),
    )


def _barred(row: Mapping[str, Any]) -> str:
    """Why there is no list that could hold it, else empty."""
    if row["mailbox_gone"]:
        return Reason.NO_MAILBOX.value
    return Reason.ELSEWHERE.value if row["kind"] in ELSEWHERE else ""


def _previous(row: Mapping[str, Any]) -> Decision | None:
    """What was decided before. What was approved ahead complied; where no list could hold it, what is published is."""
    if row["reason"] == Reason.PRE_APPROVED or (row["level"] is None and row["ahead"]):
        return Decision(Level.ALLOW, Reason.COMPLIANT)
    if row["reason"] in BARRED and row["said"] in BY_COMPLIANCE:
        return Decision(Level(row["published"]), Reason(row["said"]))
    if row["level"] is None:
        return None
    return Decision(
        level=Level(row["level"]),
        reason=Reason(row["reason"]),
        rule=row["rule"],
        inputs=row["inputs"],
        until=row["until"],
        warns=row["warns"],
        review_at=row["review_at"],
    )


def _lists(row: Mapping[str, Any], mine: Collection[str]) -> Lists:
    """The lists without the entries of this id in some of them."""
    wanted = fold(row["device_id"])

    def without(ids: Sequence[str] | None, name: ListName) -> tuple[str, ...] | None:
        if ids is None or name not in mine:
            return None if ids is None else tuple(ids)
        return tuple(each for each in ids if fold(each) != wanted)

    return Lists(
        without(row["allowed_ids"], ListName.ALLOW),
        without(row["blocked_ids"], ListName.BLOCK),
        row["eas_enabled"],
    )
