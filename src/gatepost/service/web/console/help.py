"""The public page of help to which notices lead: what anybody can do, in the visitor's language, about nobody."""

from babel.core import negotiate_locale
from fastapi import Request
from starlette.responses import Response

from gatepost.domain.notices import CATALOGUES, language_of
from gatepost.service.database import Database
from gatepost.service.notices.choices import Choices, choices
from gatepost.service.web import i18n, render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import public

CACHED = "public, max-age=300"
router = console_router()


@router.get("/help/t/{slug}", dependencies=[public("help for people who have no account; shows no data of anybody")])
async def help_page(request: Request, slug: str) -> Response:
    """The page; where there is no such tenant it is the same one, without an organization's own address."""
    chosen = await _choices(request.app.state.database, slug)
    catalogue = language_of(_wanted(request), chosen.language)
    return render.page(
        request,
        "help.html",
        headers={"Cache-Control": CACHED},
        texts=catalogue,
        catalogues=list(CATALOGUES.values()),
        portal=chosen.portal,
        contact=chosen.contact,
    )


def _wanted(request: Request) -> str | None:
    """The language that the address names, else the best that the browser asks for."""
    named = request.query_params.get("language", "")
    if named in CATALOGUES:
        return named
    return negotiate_locale(i18n.preferred(request.headers.get("Accept-Language")), list(CATALOGUES))


async def _choices(database: Database, slug: str) -> Choices:
    """What the tenant of this short name chose; what nobody chose where there is none."""
    async with database.control() as scope:
        tenant = await scope.one("tenants.by_slug", slug=slug[:100].lower())
    if tenant is None:
        return Choices()
    async with database.tenant(tenant["tenant_id"]) as scope:
        return await choices(scope)
