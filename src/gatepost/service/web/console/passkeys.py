"""Signing in with a passkey: alone, or after the password."""

from fastapi import Request
from starlette.responses import Response

from gatepost.errors import Problem
from gatepost.service.administrators import passkeys
from gatepost.service.web import render, sessions
from gatepost.service.web.console.route import console_router
from gatepost.service.web.console.sign_in import refusal, signed_in
from gatepost.service.web.permissions import public

router = console_router()


@router.post("/t/{slug}/passkey/ask", dependencies=[public("begins the sign-in; limited by address")])
async def ask(request: Request, slug: str) -> Response:
    """A challenge for any passkey that the browser has for this address."""
    sessions.same_site(request)
    wanted = str((await request.form()).get("next", ""))
    place, address = sessions.needed_place(request), sessions.client_address(request)
    try:
        options = await passkeys.offer_sign_in(request.app.state.database, place, slug, address)
    except Problem as problem:
        return refusal(request, problem, slug, wanted)
    return render.page(request, "passkey.html", slug=slug, next=wanted, options=options, second=False)


@router.post("/t/{slug}/passkey", dependencies=[public("the sign-in itself; limited by address and passkey")])
async def sign_in(request: Request, slug: str) -> Response:
    """Check what the passkey answered; a new session."""
    sessions.same_site(request)
    form = await request.form()
    answer, wanted = str(form.get("credential", "")), str(form.get("next", ""))
    place, address = sessions.needed_place(request), sessions.client_address(request)
    try:
        token = await passkeys.sign_in(request.app.state.database, place, slug, answer, address)
    except Problem as problem:
        return refusal(request, problem, slug, wanted)
    return await signed_in(request, token, slug, wanted)
