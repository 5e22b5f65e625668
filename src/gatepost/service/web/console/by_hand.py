"""The page to print: what Exchange administrators do by hand while Gatepost is down."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from gatepost.service import connections
from gatepost.service.administrators import Session
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

OLD = re.compile(r"(?:^|Version )14\.")  # Exchange 2010, before the cmdlets were renamed
router = console_router()


@router.get("/connection/{organization_id}/by-hand")
async def by_hand(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]
) -> Response:
    """The page for one organization, with the names of its servers and the cmdlets of its version."""
    async with tenant_of(request, session) as scope:
        shown = await connections.connection(scope, organization_id)
    old = OLD.search(shown.exchange_version) is not None
    public_url = request.app.state.settings.public_url
    return render.page(
        request,
        "by_hand.html",
        session=session,
        shown=shown,
        device="Get-ActiveSyncDevice" if old else "Get-MobileDevice",
        clear="Clear-ActiveSyncDevice" if old else "Clear-MobileDevice",
        address=(public_url or str(request.base_url)).rstrip("/"),
    )
