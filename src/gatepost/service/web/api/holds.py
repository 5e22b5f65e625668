"""Holds and budgets of the guard, for scripts: what waits for a second person, and how much may pass without one."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from gatepost.domain.contract import iso
from gatepost.domain.guards import WINDOW_MINUTES
from gatepost.errors import Problem
from gatepost.service import connections, following
from gatepost.service.access import budget, holds
from gatepost.service.access.budget import Budget, Settings
from gatepost.service.access.holds import Hold, HoldState
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.ledger import Key
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

LARGEST_PAGE = 1_000
router = APIRouter(prefix="/api/v1", tags=["holds"])


class Approved(BaseModel):
    """What is approved: the digest of the hold as it was looked at."""

    digest: str


class Refused(BaseModel):
    """Why it is refused; may be empty."""

    why: str = ""


class Wanted(BaseModel):
    """People who may newly lose (``take``) and gain (``give``) access in an hour; null: by the number of devices."""

    take: int | None = None
    give: int | None = None


class Asked(BaseModel):
    """The larger budgets that are approved, by the moment they were asked for."""

    asked_at: str


def document(hold: Hold) -> dict[str, Any]:
    """A hold as JSON values."""
    return {
        "hold": hold.hold_id,
        "organization_id": hold.organization_id,
        "organization": hold.organization,
        "verb": hold.verb,
        "cause": {"kind": hold.cause.kind, "about": hold.about, "by": hold.by or None},
        "state": hold.state,
        "people": hold.people,
        "devices": hold.devices,
        "released": hold.released,
        "dropped": hold.dropped,
        "opened_at": iso(hold.opened_at),
        "gathers_until": iso(hold.gathers_until),
        "expires_at": iso(hold.expires_at),
        "decided_by": hold.decided_by,
        "decided_at": iso(hold.decided_at),
        "why": hold.why,
    }


@router.get("/holds")
async def listing(
    request: Request,
    session: Annotated[Session, requires(Permission.HOLDS_READ)],
    state: HoldState | None = None,
) -> dict[str, Any]:
    """The holds: those that are open first, then the newest."""
    async with tenant_of(request, session) as scope:
        found = await holds.listing(scope, [state] if state else list(HoldState))
    return {"holds": [document(hold) for hold in found]}


@router.get("/holds/{hold}")
async def look(
    request: Request,
    hold: UUID,
    session: Annotated[Session, requires(Permission.HOLDS_READ)],
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = holds.LISTED,
) -> dict[str, Any]:
    """One hold: the digest that an approval names, why, and who; ``next`` is the address of more of them."""
    after = read_cursor(cursor) if cursor else None
    async with tenant_of(request, session) as scope:
        found = await holds.find(scope, hold)
        digest = await holds.digest(scope, hold)
        why = await holds.reasons(scope, hold)
        rows = await holds.items(scope, hold, limit + 1, after)
    shown, following_page = rows[:limit], None
    if len(rows) > limit:
        following_page = f"/api/v1/holds/{hold}?cursor={cursor_of(shown[-1])}&limit={limit}"
    items = [{**row, "added_at": iso(row["added_at"])} for row in shown]
    return {**document(found), "digest": digest, "reasons": why, "items": items, "next": following_page}


@router.post("/holds/{hold}/approve")
async def approve(
    request: Request,
    hold: UUID,
    approved: Approved,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> dict[str, Any]:
    """Approve what was looked at; it is decided once more at once, and published where it is still wanted so."""
    async with tenant_of(request, session) as scope:
        await holds.approve(scope, hold, approved.digest, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)
    async with tenant_of(request, session) as scope:
        return document(await holds.find(scope, hold))


@router.post("/holds/{hold}/refuse")
async def refuse(
    request: Request,
    hold: UUID,
    refused: Refused,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE)],
) -> dict[str, Any]:
    """Let what is published stay; also for whoever asked for it."""
    async with tenant_of(request, session) as scope:
        return document(await holds.refuse(scope, hold, refused.why, Person.of(session)))


@router.post("/holds/{hold}/reopen")
async def reopen(
    request: Request, hold: UUID, session: Annotated[Session, requires(Permission.APPROVALS_DECIDE)]
) -> dict[str, Any]:
    """Look again at what was refused."""
    async with tenant_of(request, session) as scope:
        return document(await holds.reopen(scope, hold, Person.of(session)))


@router.get("/budgets")
async def budgets(request: Request, session: Annotated[Session, requires(Permission.HOLDS_READ)]) -> dict[str, Any]:
    """The tenant's budgets, what is asked for, and how far each organization's are used."""
    async with tenant_of(request, session) as scope:
        own = await budget.settings(scope)
        known = await connections.overview(scope)
        used = {each["organization_id"]: await budget.budgets(scope, each["organization_id"]) for each in known}
    organizations = [
        {
            "organization_id": each["organization_id"],
            "name": each["name"],
            **{verb.value: _budget(limit) for verb, limit in used[each["organization_id"]].items()},
        }
        for each in known
    ]
    return {**_settings(own), "window_minutes": WINDOW_MINUTES, "organizations": organizations}


@router.put("/budgets")
async def set_budgets(
    request: Request,
    wanted: Wanted,
    session: Annotated[Session, requires(Permission.TENANT_MANAGE, step_up=True)],
) -> dict[str, Any]:
    """Set the budgets; where one grows, both wait in ``asked`` for a second person."""
    async with tenant_of(request, session) as scope:
        return _settings(await budget.ask(scope, wanted.take, wanted.give, Person.of(session)))


@router.post("/budgets/approve")
async def approve_budgets(
    request: Request,
    asked: Asked,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> dict[str, Any]:
    """Approve larger budgets."""
    async with tenant_of(request, session) as scope:
        return _settings(await budget.approve(scope, asked.asked_at, Person.of(session)))


@router.post("/budgets/refuse")
async def refuse_budgets(
    request: Request, session: Annotated[Session, requires(Permission.APPROVALS_DECIDE)]
) -> dict[str, Any]:
    """Let the budgets be what they are."""
    async with tenant_of(request, session) as scope:
        return _settings(await budget.refuse(scope, Person.of(session)))


def cursor_of(row: dict[str, Any]) -> str:
    """Where a page of items ends."""
    return f"{row['mailbox_guid']}.{row['device_id'].encode().hex()}"


def read_cursor(text: str) -> Key:
    """Read it back. Raises Problem 400 ``cursor``."""
    mailbox, _, device_id = text.partition(".")
    try:
        return UUID(mailbox), bytes.fromhex(device_id).decode()
    except ValueError:
        raise Problem(400, "cursor", "This page of the list cannot be found. Start again with the first.") from None


def _settings(own: Settings) -> dict[str, Any]:
    asked = None
    if own.wish:
        asked = {"take": own.wish.take, "give": own.wish.give, "by": own.wish.asked_by, "at": iso(own.wish.asked_at)}
    return {"take": own.take, "give": own.give, "set_by": own.set_by, "set_at": iso(own.set_at), "asked": asked}


def _budget(limit: Budget) -> dict[str, int]:
    return {"limit": limit.limit, "standard": limit.standard, "used": limit.used}
