"""The page Administrators: who may sign in and with which roles, invitations, and the rule for passkeys."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.domain.roles import Role
from gatepost.errors import Problem
from gatepost.service.administrators import Session, managing, passkeys
from gatepost.service.database import Scope
from gatepost.service.web import render, sessions, words
from gatepost.service.web.console.route import console_router, refusal_text
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

HERE = "/administration/administrators"
router = console_router()
Reader = Annotated[Session, requires(Permission.ADMINISTRATORS_READ)]
Manager = Annotated[Session, requires(Permission.ADMINISTRATORS_MANAGE, step_up=True)]
TenantManager = Annotated[Session, requires(Permission.TENANT_MANAGE, step_up=True)]


@router.get(HERE)
async def administrators(request: Request, session: Reader) -> Response:
    """Everybody, and the roles in words."""
    return await _page(request, session)


@router.post(HERE)
async def invite(request: Request, session: Manager) -> Response:
    """A new administrator, with an invitation that is shown once."""
    form = await request.form()
    name, roles = str(form.get("name", "")), [str(role) for role in form.getlist("roles")]
    try:
        async with tenant_of(request, session) as scope:
            _, code = await managing.invite(scope, session, name, roles)
    except Problem as problem:
        return await _page(request, session, problem, {"name": name, "roles": roles})
    return _invitation(request, session, name.strip(), code)


@router.post(f"{HERE}/passkeys")
async def require_passkeys(request: Request, session: TenantManager) -> Response:
    """Whether everybody needs a passkey."""
    required = (await request.form()).get("required") == "yes"
    async with tenant_of(request, session) as scope:
        if required and sessions.passkey_place(request) is None and not session.has_passkey:
            raise Problem(403, "no-passkeys-here", "Add a passkey of your own first, at the service's public address.")
        await managing.require_passkeys(scope, session, required)
    return RedirectResponse(f"{HERE}#rule", 303)


@router.get(f"{HERE}/{{administrator_id}}")
async def administrator(request: Request, administrator_id: UUID, session: Reader) -> Response:
    """One administrator, and what can be done with the account."""
    return await _one(request, session, administrator_id)


@router.post(f"{HERE}/{{administrator_id}}/roles")
async def set_roles(request: Request, administrator_id: UUID, session: Manager) -> Response:
    """Other roles."""
    roles = [str(role) for role in (await request.form()).getlist("roles")]
    return await _done(
        request, session, administrator_id, lambda s: managing.set_roles(s, session, administrator_id, roles)
    )


@router.post(f"{HERE}/{{administrator_id}}/disable")
async def disable(request: Request, administrator_id: UUID, session: Manager) -> Response:
    """Keep somebody out."""
    return await _done(request, session, administrator_id, lambda s: managing.disable(s, session, administrator_id))


@router.post(f"{HERE}/{{administrator_id}}/enable")
async def enable(request: Request, administrator_id: UUID, session: Manager) -> Response:
    """Let somebody in again."""
    return await _done(request, session, administrator_id, lambda s: managing.enable(s, session, administrator_id))


@router.post(f"{HERE}/{{administrator_id}}/sessions/end")
async def end_sessions(request: Request, administrator_id: UUID, session: Manager) -> Response:
    """Sign somebody out everywhere."""
    return await _done(
        request, session, administrator_id, lambda s: managing.end_sessions(s, session, administrator_id)
    )


@router.post(f"{HERE}/{{administrator_id}}/reset")
async def reset(request: Request, administrator_id: UUID, session: Manager) -> Response:
    """Take what somebody signs in with, and invite them anew."""
    try:
        async with tenant_of(request, session) as scope:
            name, code = await managing.reset(scope, session, administrator_id)
    except Problem as problem:
        return await _one(request, session, administrator_id, problem)
    return _invitation(request, session, name, code)


async def _done(
    request: Request, session: Session, administrator_id: UUID, work: Callable[[Scope], Awaitable[object]]
) -> Response:
    """To the administrator's page again, which says what was not right."""
    try:
        async with tenant_of(request, session) as scope:
            await work(scope)
    except Problem as problem:
        return await _one(request, session, administrator_id, problem)
    return RedirectResponse(f"{HERE}/{administrator_id}", 303)


def _invitation(request: Request, session: Session, name: str, code: str) -> Response:
    """The page that shows an invitation, once. The code stands behind the ``#``, which browsers send to nobody."""
    public_url = request.app.state.settings.public_url
    start = (public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")
    address = f"{start}/t/{quote(session.tenant_slug, safe='')}/invitation#{code}"
    return render.page(request, "invited.html", session=session, name=name, address=address)


async def _one(request: Request, session: Session, administrator_id: UUID, problem: Problem | None = None) -> Response:
    mistake = _mistake(request, problem)
    async with tenant_of(request, session) as scope:
        shown = await managing.standing(scope, administrator_id)
    status = problem.status if problem else 200
    return render.page(
        request, "administrator.html", session=session, status=status, shown=shown, mistake=mistake, roles=list(Role)
    )


async def _page(
    request: Request, session: Session, problem: Problem | None = None, typed: dict[str, Any] | None = None
) -> Response:
    mistake = _mistake(request, problem)
    async with tenant_of(request, session) as scope:
        people, required = await managing.everybody(scope), await passkeys.required(scope)
    return render.page(
        request,
        "administrators.html",
        session=session,
        status=problem.status if problem else 200,
        people=people,
        required=required,
        mistake=mistake,
        typed=typed or {"name": "", "roles": [Role.READER]},
        roles=list(Role),
        may_do=words.ROLE_MAY,
    )


def _mistake(request: Request, problem: Problem | None) -> str:
    """What was not right, in the person's language; another problem goes on to its own page."""
    if problem is None:
        return ""
    text = refusal_text(request, problem)
    if text is None:
        raise problem
    return text
