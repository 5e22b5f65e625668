"""The page *Remove connection*: what it would do to whom, its ends, the approval, and how far it is."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.domain.events import Event
from gatepost.service import audit, connections, removal
from gatepost.service.administrators import Session
from gatepost.service.web import render, spreadsheets
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

LISTED = 200
COLUMNS = ("mailbox", "device", "device_id", "model", "now", "afterwards", "decided_by")
router = console_router()


@router.get("/connection/{organization_id}/remove")
async def remove_page(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]
) -> Response:
    """What a removal would do, or how far one is."""
    async with tenant_of(request, session) as scope:
        shown = await connections.connection(scope, organization_id)
        standing = await removal.latest(scope, organization_id)
        is_open = standing is not None and standing.is_open
        values: dict[str, Any] = {
            "shown": shown,
            "removal": standing if is_open or shown.status == "removed" else None,
            "seen": await removal.preview(scope, organization_id),
            "progress": await removal.progress(scope, organization_id, standing) if is_open and standing else None,
        }
    return render.page(request, "removal.html", session=session, listed=LISTED, **values)


@router.get("/connection/{organization_id}/remove/preview.csv")
async def preview_file(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]
) -> Response:
    """Everybody who would gain or lose access if our entries were taken off, as a file."""
    async with tenant_of(request, session) as scope:
        seen = await removal.preview(scope, organization_id)
    text = spreadsheets.MARK + "".join(map(spreadsheets.line, (COLUMNS, *rows(seen))))
    headers = {"Content-Disposition": 'attachment; filename="gatepost-removal.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/connection/{organization_id}/remove")
async def remove(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> Response:
    """Remove the connection, by the end that was chosen."""
    form = await request.form()
    async with tenant_of(request, session) as scope:
        ending, digest = str(form.get("ending", "")), str(form.get("digest", ""))
        await removal.ask(scope, organization_id, ending, digest, removal.Person.of(session))
    return _back(organization_id)


@router.post("/connection/{organization_id}/remove/approve")
async def approve(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> Response:
    """Approve an undoing by which many lose access."""
    digest = str((await request.form()).get("digest", ""))
    async with tenant_of(request, session) as scope:
        await removal.approve(scope, organization_id, digest, removal.Person.of(session))
    return _back(organization_id)


@router.post("/connection/{organization_id}/remove/refresh")
async def refresh(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> Response:
    """Ask anew, where what waits has another effect by now."""
    async with tenant_of(request, session) as scope:
        await removal.refresh(scope, organization_id, removal.Person.of(session))
    return _back(organization_id)


@router.post("/connection/{organization_id}/remove/cancel")
async def cancel(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> Response:
    """Let the connection live on."""
    async with tenant_of(request, session) as scope:
        await removal.cancel(scope, organization_id, removal.Person.of(session))
    return _back(organization_id)


@router.post("/connection/{organization_id}/remove/file")
async def file(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE)]
) -> Response:
    """The PowerShell file that takes off exactly our entries."""
    async with tenant_of(request, session) as scope:
        name, text = await removal.script(scope, organization_id, session.name)
        await audit.record(scope, Event.REMOVAL_FILE, session.name, {"file": name}, organization_id)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text, media_type="text/plain; charset=utf-8", headers=headers)


def rows(seen: removal.Preview) -> list[tuple[str, ...]]:
    """Who gains and who loses, as texts under ``COLUMNS``."""
    found: list[tuple[str, ...]] = []
    for change in seen.effect.changes:
        device = seen.devices[change.device]
        name = device["friendly_name"] or device["model"] or device["device_type"] or ""
        verdicts = (change.before.state.value, change.after.state.value, change.after.reason.value)
        found.append((device["mailbox"], name, change.device_id, device["model"] or "", *verdicts))
    return found


def _back(organization_id: UUID) -> Response:
    return RedirectResponse(f"/connection/{organization_id}/remove", 303)
