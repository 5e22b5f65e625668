"""Devices for scripts: pages by key, one device, its history."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request

from gatepost.domain.contract import iso
from gatepost.service.administrators import Session
from gatepost.service.devices import queries
from gatepost.service.web.permissions import Permission, requires

router = APIRouter(prefix="/api/v1/devices", tags=["devices"])
Limit = Annotated[int, Query(ge=1, le=queries.LARGEST_PAGE)]


def plain(row: queries.Row) -> dict[str, Any]:
    """A row with times as ISO 8601 in UTC."""
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in row.items()}


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
    async with request.app.state.database.tenant(session.tenant_id) as scope:
        found = await queries.page(scope, wanted, limit)
    following = f"/api/v1/devices?{wanted.query(found.next)}&limit={limit}" if found.next else None
    return {"devices": [plain(row) for row in found.rows], "total": found.total, "next": following}


@router.get("/{organization}/{guid}")
async def device(
    request: Request, organization: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_READ)]
) -> dict[str, Any]:
    """One device with every field, and its mailbox (null where none is in view)."""
    async with request.app.state.database.tenant(session.tenant_id) as scope:
        found = await queries.device(scope, organization, guid)
        mailbox = await queries.mailbox_of(scope, found)
    return {**plain(found), "mailbox": plain(mailbox) if mailbox else None}


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
    async with request.app.state.database.tenant(session.tenant_id) as scope:
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
