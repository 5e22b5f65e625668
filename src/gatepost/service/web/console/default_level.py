"""The page of the last step: switching the organization's default level, with its preview, and the way back."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.domain.guards import Verb
from gatepost.domain.wishes import WishName
from gatepost.service import connections, wishes
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.onboarding import switching
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

PAGE = "/onboarding/{organization_id}/default"
LISTED = 200
router = console_router()


@router.get(PAGE)
async def default_level(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.ENTRIES_READ)]
) -> Response:
    """How it stands with the default level, and what another one would do."""
    async with tenant_of(request, session) as scope:
        values: dict[str, Any] = {
            "shown": await connections.organization(scope, organization_id),
            "standing": (await wishes.standing(scope, organization_id))[WishName.DEFAULT_LEVEL],
            "last": await switching.latest(scope, organization_id),
            "seen": None,
        }
        waiting = values["last"] if values["last"] and values["last"].state == "asked" else None
        level = waiting.level if waiting else request.query_params.get("level", "")
        if level in switching.LEVELS and level != values["standing"].now and values["standing"].now:
            values["seen"] = await switching.preview(scope, organization_id, level)
    return render.page(
        request,
        "default_level.html",
        session=session,
        waiting=waiting,
        level=level,
        levels=switching.LEVELS,
        listed=LISTED,
        take=Verb.TAKE,
        give=Verb.GIVE,
        **values,
    )


@router.post(PAGE)
async def ask(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)],
) -> Response:
    """Switch, as the preview showed."""
    form = await request.form()
    level, digest = str(form.get("level", "")), str(form.get("digest", ""))
    async with tenant_of(request, session) as scope:
        await switching.ask(scope, organization_id, level, digest, Person.of(session))
    return _back(organization_id)


@router.post(f"{PAGE}/approve")
async def approve(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> Response:
    """Approve a switch by which many lose or gain access."""
    digest = str((await request.form()).get("digest", ""))
    async with tenant_of(request, session) as scope:
        await switching.approve(scope, organization_id, digest, Person.of(session))
    return _back(organization_id)


@router.post(f"{PAGE}/drop")
async def drop(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)],
) -> Response:
    """Let a switch that waits be."""
    async with tenant_of(request, session) as scope:
        await switching.drop(scope, organization_id, Person.of(session))
    return _back(organization_id)


@router.post(f"{PAGE}/back")
async def go_back(
    request: Request,
    organization_id: UUID,
    session: Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)],
) -> Response:
    """Back to what the default was before the last switch."""
    async with tenant_of(request, session) as scope:
        await switching.go_back(scope, organization_id, Person.of(session))
    return _back(organization_id)


def _back(organization_id: UUID) -> Response:
    return RedirectResponse(PAGE.format(organization_id=organization_id), 303)
