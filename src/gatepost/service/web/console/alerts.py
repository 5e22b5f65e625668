"""The page Alerts: what needs a person now, and where it is told."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service.administrators import Session
from gatepost.service.alerts import register, targets, texts
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.i18n import N_
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = console_router()
PAGE = "/administration/alerts"
MISTAKES = {
    "address": N_("This is no address of that kind. The examples show how it is written."),
    "no-relay": N_("The operator of this service has not named a mail relay, so alerts cannot go by mail."),
    "target-known": N_("Alerts go there already."),
    "too-many": N_("There are as many targets as there may be. Remove one first."),
}


@router.get(PAGE)
async def alerts(request: Request, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]) -> Response:
    """What is wrong, and where it is told."""
    return await _page(request, session)


@router.post(f"{PAGE}/targets")
async def add(request: Request, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]) -> Response:
    """Add a target; the page that follows shows a webhook's secret, this once."""
    form = await request.form()
    kind, address, language = (str(form.get(name, ""))[:1_000] for name in ("kind", "address", "language"))
    try:
        async with tenant_of(request, session) as scope:
            keys = await request.app.state.keys.of(scope)
            by_mail = request.app.state.ways.relay is not None
            _, secret = await targets.add(scope, keys, kind, address, language, session.name, by_mail=by_mail)
    except Problem as problem:
        if problem.type not in MISTAKES:
            raise
        return await _page(request, session, typed={"kind": kind, "address": address}, mistake=problem)
    if secret:
        return await _page(request, session, secret=secret, made=address)
    return RedirectResponse(f"{PAGE}#targets", 303)


@router.post(f"{PAGE}/targets/{{target_id}}/test")
async def test(
    request: Request, target_id: UUID, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]
) -> Response:
    """Send a test."""
    async with tenant_of(request, session) as scope:
        await targets.test(scope, target_id, session.name)
    return RedirectResponse(f"{PAGE}#targets", 303)


@router.post(f"{PAGE}/targets/{{target_id}}/remove")
async def remove(
    request: Request, target_id: UUID, session: Annotated[Session, requires(Permission.ALERTS_MANAGE)]
) -> Response:
    """Let no alert go there any more."""
    async with tenant_of(request, session) as scope:
        await targets.remove(scope, target_id, session.name)
    return RedirectResponse(f"{PAGE}#targets", 303)


async def _page(
    request: Request,
    session: Session,
    *,
    typed: dict[str, str] | None = None,
    mistake: Problem | None = None,
    secret: str = "",
    made: str = "",
) -> Response:
    language, zone = render.language_of(request), render.zone_of(request)
    async with tenant_of(request, session) as scope:
        known = await targets.all_of(scope)
        told = await register.shown(scope, datetime.now(UTC))
    rows = [
        {
            **row,
            "place": texts.place(row, language),
            "text": texts.sentence(row, language, over=row["ended_at"] is not None, zone=zone),
            "remedy": texts.remedy(row, language),
        }
        for row in told
    ]
    return render.page(
        request,
        "alerts.html",
        session=session,
        status=mistake.status if mistake else 200,
        headers={"Cache-Control": "no-store"},
        alerts=rows,
        targets=known,
        by_mail=request.app.state.ways.relay is not None,
        typed=typed or {"kind": "", "address": ""},
        mistake=MISTAKES[mistake.type] if mistake else None,
        secret=secret,
        made=made,
    )
