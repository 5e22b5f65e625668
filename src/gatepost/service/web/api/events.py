"""The audit trail for scripts: events, newest first, in pages by key."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from gatepost.domain.contract import iso
from gatepost.service import events
from gatepost.service.administrators import Session
from gatepost.service.events import Cursor, Filter
from gatepost.service.web.happenings import plain
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/events", tags=["events"])
Text = Annotated[str, Query(max_length=200)]


@router.get("")
async def listing(
    request: Request,
    session: Annotated[Session, requires(Permission.AUDIT_READ)],
    actor: Text = "",
    name: Text = "",
    organization: UUID | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    cursor: Text = "",
    limit: Annotated[int, Query(ge=1, le=events.LARGEST_PAGE)] = events.PAGE,
) -> dict[str, Any]:
    """A page of events; ``seq`` is null until one is sealed. ``next`` is the next page's address, null on the last."""
    wanted = Filter(actor, name, organization, since, until, Cursor.read(cursor) if cursor else None)
    async with tenant_of(request, session) as scope:
        found = await events.page(scope, wanted, limit)
    asked = {"actor": actor, "name": name, "organization": organization, "since": iso(since), "until": iso(until)}
    kept = {key: value for key, value in asked.items() if value}
    following = urlencode({**kept, "cursor": str(found.next), "limit": limit}) if found.next else None
    return {
        "events": [plain(row) for row in found.rows],
        "next": f"/api/v1/events?{following}" if following else None,
    }
