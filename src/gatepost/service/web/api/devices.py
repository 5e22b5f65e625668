"""Devices for scripts: pages by key, one device, its history."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel

from gatepost.domain.contract import iso
from gatepost.service import access, explanation, pins
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.devices import queries
from gatepost.service.web.explained import explained
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/devices", tags=["devices"])
Limit = Annotated[int, Query(ge=1, le=queries.LARGEST_PAGE)]


def plain(row: queries.Row) -> dict[str, Any]:
    """A row with times as ISO 8601 in UTC."""
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in row.items()}


class Wanted(BaseModel):
    """A pin as it is asked for; ``until`` null: until it is removed."""

    level: Literal["allow", "block"]
    reason: str
    until: AwareDatetime | None = None


def _states(device: queries.Row, standing: access.Standing | None) -> dict[str, Any]:
    """Pin, desired, applied and effective; nulls where nothing was ever published."""
    known = standing if standing and standing.level is not None else None
    pinned = asdict(standing.pin) if standing and standing.pin else None
    return {
        "pin": plain(pinned) if pinned else None,
        "desired": {
            "level": known.level,
            "reason": known.reason,
            "revision": known.revision,
            "since": iso(known.published_at),
        }
        if known
        else None,
        "applied": {
            "level": known.applied,
            "since": iso(known.applied_since),
            "entries": {name.value: owner.value for name, owner in known.owners.items()},
            "result": known.result,
            "at": iso(known.result_at),
            "why": known.why,
        }
        if known
        else None,
        "effective": {"state": device["access_state"], "reason": device["access_state_reason"]},
    }


@router.get("")
async def devices(
    request: Request,
    session: Annotated[Session, requires(Permission.DEVICES_READ)],
    state: str = "",
    family: str = "",
    organization: UUID | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    sort: Literal["newest", "changed"] = "newest",
    cursor: str = "",
    limit: Limit = queries.PAGE,
) -> dict[str, Any]:
    """A page of devices. ``q`` finds beginnings of words; ``next`` is the next page's address, null on the last."""
    wanted = queries.Filter(q, state, family, organization, sort, queries.Cursor.read(cursor) if cursor else None)
    async with tenant_of(request, session) as scope:
        found = await queries.page(scope, wanted, limit)
    following = f"/api/v1/devices?{wanted.query(found.next)}&limit={limit}" if found.next else None
    return {"devices": [plain(row) for row in found.rows], "total": found.total, "next": following}


@router.get("/{organization}/{guid}")
async def device(
    request: Request, organization: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_READ)]
) -> dict[str, Any]:
    """One device with every field, its mailbox (null where none is in view), its pin, and how it stands with access.

    ``desired`` is what is published to the connector, ``applied`` what our entries in the mailbox's lists come to as
    read back, ``effective`` what Exchange says of the device.
    """
    async with tenant_of(request, session) as scope:
        found = await queries.device(scope, organization, guid)
        mailbox = await queries.mailbox_of(scope, found)
        standing = await access.standing_of(scope, found)
    return {**plain(found), "mailbox": plain(mailbox) if mailbox else None, **_states(found, standing)}


@router.get("/{organization}/{guid}/explanation")
async def explain(
    request: Request, organization: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_READ)]
) -> dict[str, Any] | None:
    """Why a device has the access that it has: what is decided and by what, Exchange's steps, what would change it.

    Null for a device of which nothing can be decided: it is gone, or has no mailbox or no id.
    """
    async with tenant_of(request, session) as scope:
        found = await queries.device(scope, organization, guid)
        key = (found["mailbox_guid"], found["device_id"])
        why = await explanation.explain(scope, organization, [key]) if all(key) else {}
    return explained(why[key]) if key in why else None


@router.get("/{organization}/{guid}/pin")
async def pin(
    request: Request, organization: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_READ)]
) -> dict[str, Any]:
    """The pin of a device; 404 where it has none."""
    async with tenant_of(request, session) as scope:
        return plain(await pins.find(scope, organization, guid))


@router.put("/{organization}/{guid}/pin")
async def set_pin(
    request: Request,
    organization: UUID,
    guid: UUID,
    wanted: Wanted,
    session: Annotated[Session, requires(Permission.DEVICES_PIN)],
) -> dict[str, Any]:
    """Pin a device: what is said of its id in its mailbox goes before every policy, until the pin ends."""
    async with tenant_of(request, session) as scope:
        await pins.set_pin(scope, organization, guid, wanted.level, wanted.reason, wanted.until, Person.of(session))
        return plain(await pins.find(scope, organization, guid))


@router.delete("/{organization}/{guid}/pin", status_code=204)
async def remove_pin(
    request: Request, organization: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_PIN)]
) -> None:
    """Remove a pin: hands off, so that our entries are withdrawn."""
    async with tenant_of(request, session) as scope:
        await pins.remove_pin(scope, organization, guid, Person.of(session))


@router.get("/{organization}/{guid}/history")
async def history(
    request: Request,
    session: Annotated[Session, requires(Permission.DEVICES_READ)],
    organization: UUID,
    guid: UUID,
    cursor: str = "",
    limit: Limit = queries.PAGE,
) -> dict[str, Any]:
    """What changed of a device, newest first."""
    after = queries.read_history_cursor(cursor) if cursor else None
    async with tenant_of(request, session) as scope:
        await queries.device(scope, organization, guid)
        found = await queries.history(scope, organization, guid, limit + 1, after)
    shown = found[:limit]
    following = None
    if len(found) > limit:
        key = queries.history_cursor(shown[-1])
        following = f"/api/v1/devices/{organization}/{guid}/history?cursor={key}&limit={limit}"
    changes = [
        {
            "at": iso(change.at),
            "what": change.what,
            "changes": {name: [before, after] for name, before, after in change.fields},
        }
        for change in shown
    ]
    return {"history": changes, "next": following}
