"""What a removal would do: which entries are ours, and who would gain or lose access if they were taken off.

Exchange's engine is run for each device with our entries and without them (domain.engine). The lists are those that the
last inventory read, corrected by what the ledger learnt since.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain import guards
from gatepost.domain.desired import ListName
from gatepost.domain.engine import Device, Lists, Organization, read_rules
from gatepost.domain.guards import Change, Effect, Verb
from gatepost.domain.script import MailboxEntries, undoing
from gatepost.service import connections, outcomes
from gatepost.service.access import budget
from gatepost.service.database import Scope

Row = Mapping[str, Any]
COLUMNS = {ListName.ALLOW: "allowed_ids", ListName.BLOCK: "blocked_ids"}


@dataclass(frozen=True, slots=True)
class Preview:
    """What taking our entries back would do now. ``devices`` are those that gain or lose, by their guid.

    ``budget`` is how many people may newly lose access in an hour, of which ``used`` did already, whatever the cause.
    ``unread``: the rules or the default were never read, so nobody can tell who keeps access. ``digest`` is what an
    approval is about.
    """

    entries: Sequence[Row]
    effect: Effect
    devices: Mapping[str, Row]
    budget: int
    used: int
    unread: bool
    digest: str

    @property
    def held(self) -> bool:
        """Whether so many lose access that a second person has to approve."""
        return self.effect.losing > 0 and self.effect.losing + self.used > self.budget

    @property
    def unreachable(self) -> int:
        """How many entries are in mailboxes that are gone or elsewhere: nobody can take them off here."""
        return sum(not entry["reachable"] for entry in self.entries)

    @property
    def numbers(self) -> dict[str, int]:
        """The counts, as a removal and its events keep them."""
        return {"gaining": self.effect.gaining, "losing": self.effect.losing, "entries": len(self.entries)}


async def preview(scope: Scope, organization_id: UUID) -> Preview:
    """What taking our entries back would do now. Raises Problem 404 where there is no such organization."""
    await connections.organization(scope, organization_id)
    entries = await entries_of(scope, organization_id)
    devices = await scope.all("removals.devices", organization_id=organization_id)
    settings = await scope.one("removals.settings", organization_id=organization_id)
    rules = read_rules(settings["rules"]) if settings else None
    default = settings["default_level"] if settings else None
    effect = await asyncio.to_thread(_effect, devices, Organization(rules, default))
    limit = (await budget.budgets(scope, organization_id))[Verb.TAKE]
    concerned = {change.device for change in effect.changes}
    named = [(str(entry["mailbox_guid"]), entry["device_id"], entry["list"]) for entry in entries]
    return Preview(
        entries=entries,
        effect=effect,
        devices={str(row["guid"]): row for row in devices if str(row["guid"]) in concerned},
        budget=limit.limit,
        used=max(limit.used, await outcomes.taken_away(scope, organization_id)),
        unread=rules is None or not default,
        digest=guards.digest(effect, named),
    )


async def entries_of(scope: Scope, organization_id: UUID) -> list[dict[str, Any]]:
    """Every entry of ours, known or presumed, by mailbox."""
    return await scope.all("removals.entries", organization_id=organization_id)


async def script(scope: Scope, organization_id: UUID, by: str) -> tuple[str, str]:
    """The PowerShell file that takes off exactly what is ours now: its name and its text."""
    organization = await connections.organization(scope, organization_id)
    made = datetime.now(UTC)
    name = f"gatepost-undo-{made:%Y%m%d-%H%M%S}.ps1"
    found: dict[UUID, dict[str, Any]] = {}
    for entry in await entries_of(scope, organization_id):
        if entry["reachable"]:
            box = found.setdefault(entry["mailbox_guid"], {"name": entry["mailbox"], "allow": [], "block": []})
            box[entry["list"]].append(entry["device_id"])
    mailboxes = [
        MailboxEntries(str(guid), box["name"], tuple(box["allow"]), tuple(box["block"])) for guid, box in found.items()
    ]
    return name, undoing(organization["name"], by, made, mailboxes, name)


def _effect(rows: Sequence[Row], organization: Organization) -> Effect:
    return guards.effect(_change(row, organization) for row in rows)


def _change(row: Row, organization: Organization) -> Change:
    device = Device.of(row)
    return Change(
        mailbox=str(row["mailbox_guid"]),
        device=str(row["guid"]),
        device_id=row["device_id"],
        before=organization.verdict(device, _lists(row, ours=True)),
        after=organization.verdict(device, _lists(row, ours=False)),
    )


def _lists(row: Row, *, ours: bool) -> Lists:
    """The mailbox's lists as far as this device goes, with our entries or without them."""
    allowed, blocked = (_list(row, name, ours=ours) for name in ListName)
    return Lists(allowed, blocked, row["eas_enabled"])


def _list(row: Row, name: ListName, *, ours: bool) -> tuple[str, ...] | None:
    device_id, read = row["device_id"], row[COLUMNS[name]]
    if name in row["owned"]:
        return (device_id,) if ours else () if read is not None else None
    if name in row["withdrawn"]:
        return ()
    return None if read is None else tuple(read)
