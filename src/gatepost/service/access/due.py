"""Which devices are to be decided, and what asks for it: marked in the transaction that brings something new.

Marks are level-triggered: a decision looks at what is there then, so marking twice, late or for nothing changes
nothing. Nothing is marked in a tenant that has no policy in force: pins, the only thing decided there, are decided at
once. Every function here is one statement, cheap where nothing can change.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gatepost.domain.desired import Level
from gatepost.service.database import Scope
from gatepost.service.ledger import Key


@dataclass(frozen=True, slots=True)
class Cause:
    """What asks for a decision: policy, rollout, source, directory, pin, sync, time or hold.

    ``ref`` says which one (a version, the id of a source or of a hold), ``by_id`` is the administrator behind it.
    """

    kind: str
    ref: str = ""
    by_id: UUID | None = None


SYNC = Cause("sync")
TIME = Cause("time")


async def mark(scope: Scope, organization_id: UUID, keys: Sequence[Key], cause: Cause) -> None:
    """These device ids in these mailboxes."""
    if keys:
        await scope.run("due.mark", organization_id=organization_id, **_keys(keys), **_columns(cause))


async def mark_mailboxes(scope: Scope, organization_id: UUID, guids: Collection[UUID], cause: Cause) -> None:
    """Every device of these mailboxes."""
    if guids:
        values = {"organization_id": organization_id, "guids": list(guids)}
        await scope.run("due.mark_mailboxes", **values, **_columns(cause))


async def mark_people(scope: Scope, person_ids: Collection[UUID], cause: Cause) -> None:
    """Every device of these people, in all organizations of the tenant."""
    if person_ids:
        await scope.run("due.mark_people", person_ids=list(person_ids), **_columns(cause))


async def mark_device_ids(scope: Scope, folded_ids: Collection[str], cause: Cause) -> None:
    """Every device with one of these ids (in lower case), in all organizations of the tenant."""
    if folded_ids:
        await scope.run("due.mark_device_ids", folded_ids=list(folded_ids), **_columns(cause))


async def mark_all(scope: Scope, cause: Cause) -> None:
    """Every device of every organization of the tenant that is not removed, and what might be approved ahead."""
    await scope.run("due.mark_all", **_columns(cause))
    await mark_ahead(scope, cause)


async def mark_ahead(
    scope: Scope, cause: Cause, *, ids: Collection[str] | None = None, mailboxes: Collection[UUID] | None = None
) -> None:
    """Ids that might be approved ahead, or are: all, some of these (in lower case), or those in these mailboxes."""
    if ids is None and mailboxes is None:
        await scope.run("pre_approval.mark_all", **_columns(cause))
    if ids:
        await scope.run("pre_approval.mark_ids", ids=list(ids), **_columns(cause))
    if mailboxes:
        await scope.run("pre_approval.mark_mailboxes", guids=list(mailboxes), **_columns(cause))


async def mark_decided(scope: Scope, reasons: Collection[str], cause: Cause) -> None:
    """Devices whose last decision has one of these reasons (domain.access.Reason), or was kept because of one."""
    if reasons:
        await scope.run("due.mark_decided", reasons=[str(reason) for reason in reasons], **_columns(cause))


async def mark_levels(scope: Scope, organization_id: UUID, levels: Collection[Level], cause: Cause) -> None:
    """Devices of an organization whose last decision has one of these levels."""
    values = {"organization_id": organization_id, "levels": [level.value for level in levels]}
    await scope.run("due.mark_levels", **values, **_columns(cause))


async def mark_organization(scope: Scope, organization_id: UUID, cause: Cause) -> None:
    """Everything that was decided in an organization: its connection lives on, or again, and nothing is published."""
    await mark_levels(scope, organization_id, list(Level), cause)


async def mark_staged_devices(scope: Scope, organization_id: UUID) -> None:
    """Devices of the part that is about to be merged, where something differs that a decision looks at."""
    await scope.run("due.mark_staged_devices", organization_id=organization_id, **_columns(SYNC))


async def mark_staged_mailboxes(scope: Scope, organization_id: UUID) -> None:
    """Devices of the mailboxes that were just merged: their lists, their kind or their owner's address may differ."""
    await scope.run("due.mark_staged_mailboxes", organization_id=organization_id, **_columns(SYNC))


async def mark_overdue(scope: Scope) -> int:
    """Devices whose decision was to be looked at again by now; how many."""
    return await scope.run("due.mark_overdue", **_columns(TIME))


async def organizations(scope: Scope) -> list[UUID]:
    """The organizations in which something is due."""
    return [row["organization_id"] for row in await scope.all("due.organizations")]


async def take(scope: Scope, organization_id: UUID, limit: int) -> dict[Key, Cause]:
    """Some that are due, each with its cause, locked: the oldest first, what is one of very many last."""
    rows = await scope.all("due.take", organization_id=organization_id, limit=limit)
    return {(row["mailbox_guid"], row["device_id"]): Cause(row["cause"], row["ref"], row["by_id"]) for row in rows}


async def done(scope: Scope, organization_id: UUID, keys: Collection[Key]) -> None:
    """These are decided."""
    if keys:
        await scope.run("due.done", organization_id=organization_id, **_keys(keys))


async def tenants(scope: Scope) -> list[UUID]:
    """The tenants that have something to decide by now; in a control scope."""
    return [row["tenant_id"] for row in await scope.all("due.tenants")]


def _keys(keys: Collection[Key]) -> dict[str, Any]:
    return {"mailbox_guids": [mailbox for mailbox, _ in keys], "device_ids": [device_id for _, device_id in keys]}


def _columns(cause: Cause) -> dict[str, Any]:
    return {"cause": cause.kind, "ref": cause.ref, "by_id": cause.by_id}
