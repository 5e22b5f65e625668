"""One's own account: passkeys, password and sessions."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service.administrators import Session, managing, passkeys
from gatepost.service.administrators import sessions as kept
from gatepost.service.web import render, sessions
from gatepost.service.web.console.route import console_router, refusal_text, typed_twice
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = console_router()
Own = Annotated[Session, requires(Permission.ACCOUNT_OWN)]
Confirmed = Annotated[Session, requires(Permission.ACCOUNT_OWN, step_up=True)]


@router.get("/account")
async def account(request: Request, session: Own) -> Response:
    """The page."""
    return await _page(request, session)


@router.post("/account/passkeys")
async def offer_passkey(request: Request, session: Confirmed) -> Response:
    """Begin to register a passkey: the page on which the browser makes it."""
    place, name = sessions.needed_place(request), str((await request.form()).get("name", ""))
    try:
        name = passkeys.check_name(name)
        async with tenant_of(request, session) as scope:
            options = await passkeys.offer_new(scope, place, session)
    except Problem as problem:
        return await _page(request, session, problem)
    return render.page(request, "passkey_new.html", session=session, options=options, name=name)


@router.post("/account/passkeys/register")
async def register_passkey(request: Request, session: Confirmed) -> Response:
    """Keep the passkey that the browser made."""
    form = await request.form()
    answer, name = str(form.get("credential", "")), str(form.get("name", ""))
    place, address = sessions.needed_place(request), sessions.client_address(request)
    try:
        await passkeys.add(request.app.state.database, place, session, answer, name, address)
    except Problem as problem:
        return await _page(request, session, problem)
    return _back("passkeys")


@router.post("/account/passkeys/{passkey_id}/rename")
async def rename_passkey(request: Request, passkey_id: UUID, session: Own) -> Response:
    """Another name for a passkey."""
    name = str((await request.form()).get("name", ""))
    try:
        async with tenant_of(request, session) as scope:
            await passkeys.rename(scope, session, passkey_id, name)
    except Problem as problem:
        return await _page(request, session, problem)
    return _back("passkeys")


@router.post("/account/passkeys/{passkey_id}/remove")
async def remove_passkey(request: Request, passkey_id: UUID, session: Confirmed) -> Response:
    """Remove a passkey."""
    try:
        async with tenant_of(request, session) as scope:
            await passkeys.remove(scope, session, passkey_id)
    except Problem as problem:
        return await _page(request, session, problem)
    return _back("passkeys")


@router.post("/account/password")
async def change_password(request: Request, session: Confirmed) -> Response:
    """Another password, or none; other sessions end."""
    form = await request.form()
    try:
        if form.get("remove"):
            async with tenant_of(request, session) as scope:
                await managing.remove_password(scope, session)
            return _back("password")
        password = typed_twice(str(form.get("password", "")), str(form.get("again", "")))
        async with tenant_of(request, session) as scope:
            await managing.change_password(scope, session, password)
    except Problem as problem:
        return await _page(request, session, problem)
    return _back("password")


@router.post("/account/sessions/end")
async def end_sessions(request: Request, session: Own) -> Response:
    """End every other session of one's own."""
    async with tenant_of(request, session) as scope:
        await kept.end(scope, session.administrator_id, session.name, but=session.session_id)
    return _back("sessions")


@router.post("/account/sessions/{session_id}/end")
async def end_session(request: Request, session_id: UUID, session: Own) -> Response:
    """End one session of one's own."""
    async with tenant_of(request, session) as scope:
        await kept.end_one(scope, session.administrator_id, session_id, session.name)
    return _back("sessions")


def _back(place: str) -> Response:
    return RedirectResponse(f"/account#{place}", 303)


async def _page(request: Request, session: Session, problem: Problem | None = None) -> Response:
    """The page; with what was not right where a form could not be done."""
    mistake = refusal_text(request, problem) if problem else ""
    if mistake is None:
        assert problem is not None
        raise problem
    async with tenant_of(request, session) as scope:
        values: dict[str, Any] = {
            "passkeys": await passkeys.listed(scope, session.administrator_id),
            "own": await managing.standing(scope, session.administrator_id),
            "sessions": await kept.listed(scope, session.administrator_id),
        }
    return render.page(
        request,
        "account.html",
        session=session,
        status=problem.status if problem else 200,
        mistake=mistake,
        possible=sessions.passkey_place(request) is not None,
        **values,
    )
