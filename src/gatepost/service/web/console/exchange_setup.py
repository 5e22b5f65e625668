"""The page Set up Exchange connection: what must be so before, the connector to download, and what goes with it."""

import asyncio
from typing import Annotated, Any

from fastapi import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from gatepost.errors import Problem
from gatepost.service import connections, packages, prerequisites, zips
from gatepost.service.administrators import Session
from gatepost.service.database import Scope
from gatepost.service.packages import Packages
from gatepost.service.web import render
from gatepost.service.web.console import firewall
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, permissions_of, requires
from gatepost.service.web.sessions import tenant_of

PAGE = "/administration/exchange/setup"
NEW = "new"
# Organizations up to so many devices, with cores, MB of memory and GB of disk of the connector's host. Measured in
# docs/benchmarks.md: 77 MB and 38 s of processor time for a full synchronisation of half a million, 85 MB with sending.
# The doctor warns by the same sizes.
SIZES = ((10_000, 1, 512, 3), (50_000, 2, 512, 3), (500_000, 2, 1_024, 4))
router = console_router()


@router.get(PAGE)
async def setup(request: Request, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]) -> Response:
    """The page; who may not set up sees what must be so, and no download."""
    held: Packages = request.app.state.packages
    offered, spoilt = await asyncio.to_thread(held.offered), await asyncio.to_thread(held.spoilt)
    address = _address(request)
    async with tenant_of(request, session) as scope:
        known = await connections.overview(scope)
        authority = await prerequisites.authority(scope)
        fingerprint = (await request.app.state.keys.of(scope)).fingerprint
    found = prerequisites.examine(
        authority,
        permitted=Permission.CONNECTIONS_SETUP in permissions_of(session.roles),
        address=address,
        packages=offered,
    )
    return render.page(
        request,
        "exchange_setup.html",
        session=session,
        prerequisites=found,
        ready=prerequisites.ready(found),
        authority=authority,
        organizations=known,
        packages=offered,
        spoilt=spoilt,
        fingerprint=fingerprint,
        address=address,
        ways=firewall.ways(address),
        firewall=firewall,
        sizes=SIZES,
    )


@router.post(f"{PAGE}/authority")
async def choose_authority(
    request: Request, session: Annotated[Session, requires(Permission.TENANT_MANAGE, step_up=True)]
) -> Response:
    """Choose the tenant's management authority."""
    wanted = str((await request.form()).get("authority", ""))
    async with tenant_of(request, session) as scope:
        await prerequisites.choose(scope, wanted, session.name)
    return RedirectResponse(f"{PAGE}#authority", 303)


@router.post(f"{PAGE}/package")
async def download(
    request: Request, session: Annotated[Session, requires(Permission.CONNECTIONS_SETUP, step_up=True)]
) -> Response:
    """The set-up package for one organization and platform, with a new ticket."""
    form = await request.form()
    held: Packages = request.app.state.packages
    package = await asyncio.to_thread(held.of, str(form.get("platform", "")))
    address = _address(request)
    async with tenant_of(request, session) as scope:
        chosen = await prerequisites.authority(scope)
        if not prerequisites.ready(prerequisites.examine(chosen, permitted=True, address=address, packages=[package])):
            raise Problem(409, "prerequisites", "Something that must be so before is not so yet.")
        made = await packages.make(
            scope,
            await request.app.state.keys.of(scope),
            package,
            service=address,
            tenant=session.tenant_slug,
            organization=await _organization(scope, form),
            actor=session.name,
        )
    headers = {
        "Content-Length": str(zips.length(made.entries)),
        "Content-Disposition": f'attachment; filename="{packages.ARCHIVE}"',
    }
    return StreamingResponse(zips.stream(made.entries, made.made_at), media_type="application/zip", headers=headers)


@router.get(f"{PAGE}/firewall.csv")
async def firewall_table(
    request: Request,
    session: Annotated[Session, requires(Permission.CONNECTIONS_READ)],  # noqa: ARG001 - asked for, not used
) -> Response:
    """The list for the firewall's people, as CSV."""
    body = firewall.table(_address(request), render.language_of(request))
    headers = {"Content-Disposition": 'attachment; filename="gatepost-firewall.csv"'}
    return Response(body, media_type="text/csv; charset=utf-8", headers=headers)


async def _organization(scope: Scope, form: Any) -> str:  # noqa: ANN401 - Starlette's form
    """The name of the organization that was chosen. Raises Problem where it cannot be set up."""
    chosen = str(form.get("organization", NEW))
    if chosen == NEW:
        name = packages.checked_name(str(form.get("name", "")))
        found = [each for each in await connections.overview(scope) if each["name"] == name]
    else:
        found = [each for each in await connections.overview(scope) if str(each["organization_id"]) == chosen]
        if not found:
            raise connections.no_organization()
        name = found[0]["name"]
    if found and found[0]["status"] == "removing":
        raise Problem(409, "being-removed", "This organization is being removed; it can be set up when that has ended.")
    return name


def _address(request: Request) -> str:
    """Where connectors reach this service."""
    public_url: str | None = request.app.state.settings.public_url
    return (public_url or str(request.base_url)).rstrip("/")
