"""Grandfathering: devices that have access now are noted as known, and a policy may let them keep it for a while."""

from dataclasses import dataclass
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit, connections
from gatepost.service.access import due
from gatepost.service.access.due import Cause
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.onboarding import stock


@dataclass(frozen=True, slots=True)
class Known:
    """How many devices are known, of how many that are there."""

    known: int
    devices: int


async def count(scope: Scope, organization_id: UUID) -> Known:
    """How many are known now."""
    row = await scope.one("onboarding.count_known", organization_id=organization_id)
    assert row is not None
    return Known(row["known"], row["devices"])


async def note(scope: Scope, organization_id: UUID, person: Person) -> Known:
    """Note the devices that have access by Exchange's engine now, in place of those noted before; how many they are.

    Those for whom that changes are decided anew. Raises Problem 404, 409 ``not-read`` where nobody can tell who has
    access, for the rules or the default were never read.
    """
    await connections.organization(scope, organization_id)
    engine, unread = await stock.engine_of(scope, organization_id)
    if unread:
        raise Problem(409, "not-read", "Exchange's rules and default were not read yet; they are with the inventory.")
    before = await count(scope, organization_id)
    there = await stock.devices(scope, organization_id)
    known = [each.row["guid"] for each in there if engine.verdict(each.device, each.lists).access]
    changed = await scope.all("onboarding.note_known", organization_id=organization_id, guids=known)
    concerned = sorted({row["mailbox_guid"] for row in changed if row["mailbox_guid"]})
    await due.mark_mailboxes(scope, organization_id, concerned, Cause("known", by_id=person.administrator_id))
    after = await count(scope, organization_id)
    details = {"devices": after.devices, "before": {"known": before.known}, "after": {"known": after.known}}
    await audit.record(scope, Event.DEVICES_KNOWN, person.name, details, organization_id)
    return after
