"""Confirming that it is still you: asked for before what is dangerous, good for five minutes."""

from collections.abc import Awaitable
from typing import Annotated

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service.administrators import Session, passkeys
from gatepost.service.administrators.sessions import Token
from gatepost.service.administrators.sign_in import confirm_password
from gatepost.service.web import render, sessions
from gatepost.service.web.console.route import console_router, local, refusal_headers, refusal_text
from gatepost.service.web.permissions import Permission, requires

router = console_router()


@router.get("/step-up")
async def step_up_page(request: Request, session: Annotated[Session, requires(Permission.ACCOUNT_OWN)]) -> Response:
    """Ask for the password, or for the passkey of whoever has one."""
    return await _page(request, session, request.query_params.get("next", ""))


@router.post("/step-up")
async def step_up(request: Request, session: Annotated[Session, requires(Permission.ACCOUNT_OWN)]) -> Response:
    """Check the password, and go back to the page where the button was; the session has a new token."""
    password, address = str((await request.form()).get("password", "")), sessions.client_address(request)
    return await _go_on(request, session, confirm_password(request.app.state.database, session, password, address))


@router.post("/step-up/passkey")
async def step_up_passkey(request: Request, session: Annotated[Session, requires(Permission.ACCOUNT_OWN)]) -> Response:
    """The same with a passkey."""
    answer, address = str((await request.form()).get("credential", "")), sessions.client_address(request)
    place = sessions.needed_place(request)
    return await _go_on(request, session, passkeys.confirm(request.app.state.database, place, session, answer, address))


async def _go_on(request: Request, session: Session, proof: Awaitable[Token]) -> Response:
    """Back to where the person was, if the proof is right; else the form with the reason."""
    wanted = str((await request.form()).get("next", ""))
    try:
        token = await proof
    except Problem as problem:
        text = refusal_text(request, problem)
        if text is None:
            raise
        return await _page(request, session, wanted, text, problem)
    response = RedirectResponse(local(wanted), 303)
    sessions.set_cookie(request, response, token)
    return response


async def _page(
    request: Request, session: Session, wanted: str, refusal: str = "", problem: Problem | None = None
) -> Response:
    """The form; after a refusal with its reason and status."""
    place, options = sessions.passkey_place(request), ""
    if session.has_passkey and place:
        async with sessions.tenant_of(request, session) as scope:
            options = await passkeys.offer_own(scope, place, passkeys.STEP_UP, session.administrator_id)
    return render.page(
        request,
        "step_up.html",
        session=session,
        status=problem.status if problem else 200,
        headers=refusal_headers(problem),
        next=wanted,
        refusal=refusal,
        options=options,
    )
