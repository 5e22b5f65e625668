"""The page Administration: the way to everything that is not looked at every day, each only to whom may go there."""

from typing import Annotated

from fastapi import Request
from starlette.responses import Response

from gatepost.service import connections
from gatepost.service.administrators import Session
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = console_router()


@router.get("/administration")
async def administration(request: Request, session: Annotated[Session, requires(Permission.ACCOUNT_OWN)]) -> Response:
    """The index of administration."""
    async with tenant_of(request, session) as scope:
        known = await connections.overview(scope)
    return render.page(request, "administration.html", session=session, organizations=known)
