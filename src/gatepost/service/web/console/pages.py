"""The pages Connection and Devices."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.service import connections
from gatepost.service.administrators import Session
from gatepost.service.devices import queries
from gatepost.service.web import render
from gatepost.service.web.console import findings
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = console_router()


def _id(text: str) -> UUID | None:
    """An id of a query string; None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


@router.get("/connection")
async def connection(request: Request, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]) -> Response:
    """One organization's connection: the one asked for, else the first."""
    wanted = _id(request.query_params.get("organization", ""))
    async with tenant_of(request, session) as scope:
        known = await connections.organizations(scope)
        chosen = wanted or (known[0]["organization_id"] if known else None)
        shown = await connections.connection(scope, chosen) if chosen else None
        told = await findings.shown(scope, shown.organization_id, shown.findings) if shown else []
    return render.page(request, "connection.html", session=session, organizations=known, shown=shown, findings=told)


@router.post("/connection/{organization_id}/sync")
async def request_sync(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_SYNC)]
) -> Response:
    """Ask the connector for a quick or full sync."""
    kind = str((await request.form()).get("kind", ""))
    async with tenant_of(request, session) as scope:
        await connections.request_sync(scope, organization_id, kind, session.name)
    return _back(organization_id, kind)


@router.post("/connection/{organization_id}/accept")
async def accept(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_ACCEPT)]
) -> Response:
    """Accept an inventory that is held."""
    sync_id = str((await request.form()).get("sync_id", ""))
    async with tenant_of(request, session) as scope:
        await connections.accept(scope, organization_id, sync_id, session.name)
    return _back(organization_id, "asked")


def _back(organization_id: UUID, place: str) -> Response:
    """To the connection again, with the focus on what was pressed or on what is said of it."""
    return RedirectResponse(f"/connection?organization={organization_id}#{place}", 303)


def _filter(request: Request) -> queries.Filter:
    """What the address asks for; an order or organization that cannot be is left out."""
    asked = request.query_params
    sort = asked.get("sort", "")
    return queries.Filter(
        q=asked.get("q", "")[:200],
        state=asked.get("state", "")[:100],
        family=asked.get("family", "")[:100],
        organization_id=_id(asked.get("organization", "")),
        sort=sort if sort in queries.ORDERS else queries.ORDERS[0],
        cursor=queries.Cursor.read(asked["cursor"]) if asked.get("cursor") else None,
        trail=tuple(queries.Cursor.read(step) for step in asked.get("trail", "").split(".") if step),
    )


@router.get("/devices")
async def devices(request: Request, session: Annotated[Session, requires(Permission.DEVICES_READ)]) -> Response:
    """A page of the devices that fit."""
    wanted = _filter(request)
    async with tenant_of(request, session) as scope:
        found = await queries.page(scope, wanted)
        counts = await connections.counters(scope, None)
        choices: dict[str, Any] = {
            "organizations": await connections.organizations(scope),
            "states": [*(name for name, _ in connections.by(counts, "state")), queries.GONE],
            "families": [name for name, _ in connections.by(counts, "family")],
        }
    return render.page(
        request,
        "devices.html",
        session=session,
        filter=wanted,
        found=found,
        choices=choices,
        counted=queries.COUNTED,
        walked=queries.WALK,
    )
