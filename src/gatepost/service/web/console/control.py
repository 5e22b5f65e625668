"""What an administrator does to a connection itself: stop all writing, release it, revoke its connector."""

from typing import Annotated
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.service import connections, enrolment
from gatepost.service.administrators import Session
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = console_router()


@router.post("/connection/{organization_id}/stop")
async def stop_writing(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_STOP)]
) -> Response:
    """Let nobody write to Exchange from now on."""
    reason = str((await request.form()).get("reason", ""))
    async with tenant_of(request, session) as scope:
        await connections.stop_writing(scope, organization_id, reason, session.name)
    return _back(organization_id)


@router.post("/connection/{organization_id}/release")
async def release_writing(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_STOP, step_up=True)],
) -> Response:
    """Let the connector write again."""
    async with tenant_of(request, session) as scope:
        await connections.release_writing(scope, organization_id, session.name)
    return _back(organization_id)


@router.post("/connection/{organization_id}/revoke")
async def revoke(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> Response:
    """End what the connector may do, at once; another has to be set up."""
    async with tenant_of(request, session) as scope:
        await connections.organization(scope, organization_id)
        await enrolment.revoke(scope, organization_id, session.name)
    return _back(organization_id)


@router.post("/connection/{organization_id}/late-renewal")
async def allow_late_renewal(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_SETUP, step_up=True)],
) -> Response:
    """Let the connector renew a certificate that has ended, for a while."""
    async with tenant_of(request, session) as scope:
        await connections.organization(scope, organization_id)
        await enrolment.allow_late_renewal(scope, organization_id, session.name)
    return _back(organization_id)


def _back(organization_id: UUID) -> Response:
    """To the connection again, with the focus on what can be done to it."""
    return RedirectResponse(f"/connection?organization={organization_id}#control", 303)
