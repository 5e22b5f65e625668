"""What the sources come to for each device and person: columns of theirs, kept where anything that makes them changes.

A record speaks of a device by its ActiveSync id, whatever its case. Records that disagree about one id, and a record
of a user who is not the mailbox's person, make it *unknown*: an id is only what a phone says of itself. Since when a
device does not comply stays as it is while nobody knows.

Reports hold the tenant's directory lock, synchronisations share it, so that no two of them look past each other.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from gatepost.service.access import due
from gatepost.service.access.due import Cause
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

Row = Mapping[str, Any]


async def refresh(scope: Scope, said: Iterable[Row], cause: Cause) -> None:
    """Records changed that speak, or spoke, of these ``device_ids`` and ``person_ids``."""
    rows = list(said)
    ids = sorted({each for row in rows for each in row["device_ids"]})
    people = {person for row in rows for person in row["person_ids"]}
    if ids:
        people |= {row["person_id"] for row in await scope.all("compliance.people_of_ids", ids=ids)}
        await _devices(scope, await scope.all("compliance.devices_of_ids", ids=ids), cause)
        await due.mark_ahead(scope, cause, ids=ids)
    if people:
        changed = await scope.all("compliance.restand_people", person_ids=sorted(people))
        await due.mark_people(scope, [row["person_id"] for row in changed], cause)


async def of_mailboxes(scope: Scope, guids: Collection[UUID], cause: Cause) -> None:
    """Other people have these mailboxes now."""
    if guids:
        await _devices(scope, await scope.all("compliance.devices_of_mailboxes", guids=list(guids)), cause)
        await due.mark_ahead(scope, cause, mailboxes=guids)


async def merged_mailboxes(scope: Scope, organization_id: UUID, guids: Collection[UUID], cause: Cause) -> None:
    """A synchronisation brought these mailboxes, or other names of theirs."""
    filled = await scope.one("directory.filled") if guids else None
    if filled and any(filled.values()):
        await scope.one("pre_approval.plan_keys")
    if filled and filled["people"]:
        found = await scope.all("directory.match_these", organization_id=organization_id, guids=list(guids))
        await due.mark_mailboxes(scope, organization_id, [row["guid"] for row in found], cause)
    if filled and filled["links"]:
        await of_mailboxes(scope, guids, cause)


async def merged_devices(scope: Scope, organization_id: UUID, guids: Collection[UUID], cause: Cause) -> None:
    """A synchronisation brought these devices, or something else of them."""
    filled = await scope.one("directory.filled") if guids else None
    if filled and any(filled.values()):
        await scope.one("pre_approval.plan_keys")
    if filled and filled["links"]:
        await _devices(scope, [{"organization_id": organization_id, "guid": guid} for guid in guids], cause)
    if filled and filled["ahead"]:
        came = await scope.all("pre_approval.came", organization_id=organization_id, guids=list(guids))
        await due.mark(scope, organization_id, [(row["mailbox_guid"], row["device_id"]) for row in came], cause)


async def _devices(scope: Scope, devices: Collection[Row], cause: Cause) -> None:
    """Let these devices stand as the records say; where that is another standing, they are to be decided."""
    if not devices:
        return
    changed = await scope.all(
        "compliance.restand_devices",
        organizations=[row["organization_id"] for row in devices],
        guids=[row["guid"] for row in devices],
    )
    keys: dict[UUID, list[Key]] = {}
    for row in changed:
        if row["mailbox_guid"] and row["device_id"]:
            keys.setdefault(row["organization_id"], []).append((row["mailbox_guid"], row["device_id"]))
    for organization_id, found in keys.items():
        await due.mark(scope, organization_id, found, cause)
