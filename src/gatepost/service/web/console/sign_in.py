"""Sign-in, sign-out and the choice of language."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service.administrators import Session
from gatepost.service.administrators.sessions import Token
from gatepost.service.administrators.sessions import sign_out as end_session
from gatepost.service.administrators.sign_in import sign_in as check_password
from gatepost.service.database import Database
from gatepost.service.web import render, sessions
from gatepost.service.web.console.route import TENANT_COOKIE, console_router, local, refusal_headers, refusal_text
from gatepost.service.web.i18n import LANGUAGES
from gatepost.service.web.permissions import Permission, public, requires

YEAR = 31_536_000
router = console_router()


@router.get("/", dependencies=[public("leads to the sign-in or to the pages; shows nothing of a tenant")])
async def start(request: Request) -> Response:
    """To the pages with a session; else to the tenant's sign-in, asking for the tenant where it is not known."""
    asked = request.query_params.get("tenant")
    if asked is None and await sessions.current(request):
        return RedirectResponse("/connection", 303)
    slug = (asked if asked is not None else request.cookies.get(TENANT_COOKIE, "")).strip().lower()
    if slug:
        wanted = request.query_params.get("next", "")
        return RedirectResponse(
            f"/t/{quote(slug, safe='')}/" + (f"?next={quote(wanted, safe='')}" if wanted else ""), 303
        )
    return render.page(request, "tenant.html")


@router.get("/t/{slug}/", dependencies=[public("the sign-in itself; the same for every slug")])
async def sign_in_page(request: Request, slug: str) -> Response:
    """The form; it does not tell whether the tenant exists."""
    return _form(request, slug, request.query_params.get("next", ""))


@router.post("/t/{slug}/", dependencies=[public("the sign-in itself; limited by address and name")])
async def sign_in(request: Request, slug: str) -> Response:
    """Check the password; a new session each time, and the one before ends."""
    sessions.same_site(request)
    sessions.cookie_name(request)
    form = await request.form()
    name, password, wanted = (str(form.get(field, "")) for field in ("name", "password", "next"))
    database: Database = request.app.state.database
    place, address = sessions.passkey_place(request), sessions.client_address(request)
    try:
        token = await check_password(database, slug, name, password, address, place)
    except Problem as problem:
        return refusal(request, problem, slug, wanted, name)
    if isinstance(token, str):
        return render.page(request, "passkey.html", slug=slug, next=wanted, options=token, second=True)
    return await signed_in(request, token, slug, wanted)


async def signed_in(request: Request, token: Token, slug: str, wanted: str) -> Response:
    """Hand the new session to the browser and go on; the session that it had before ends."""
    before = await sessions.current(request)
    if before:
        await end_session(request.app.state.database, before, sessions.client_address(request))
    response = RedirectResponse(local(wanted or "/connection"), 303)
    sessions.set_cookie(request, response, token)
    _remember(request, response, TENANT_COOKIE, slug)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, session: Annotated[Session, requires(Permission.SESSION_END)]) -> Response:
    """End the session here and at the server."""
    await end_session(request.app.state.database, session, sessions.client_address(request))
    response = RedirectResponse(f"/t/{session.tenant_slug}/", 303)
    sessions.clear_cookie(request, response)
    return response


@router.post("/language", dependencies=[public("chooses a language for this browser; also before the sign-in")])
async def language(request: Request) -> Response:
    """Remember the language that the person chose, and show the same page in it."""
    sessions.same_site(request)
    form = await request.form()
    response = RedirectResponse(local(str(form.get("back", "/"))), 303)
    chosen = str(form.get("language", ""))
    if chosen in LANGUAGES:
        _remember(request, response, render.LANGUAGE_COOKIE, chosen)
    return response


def _form(request: Request, slug: str, wanted: str, name: str = "", refusal: str = "", status: int = 200) -> Response:
    possible = sessions.passkey_place(request) is not None
    return render.page(
        request, "sign_in.html", status=status, slug=slug, next=wanted, name=name, refusal=refusal, possible=possible
    )


def refusal(request: Request, problem: Problem, slug: str, wanted: str, name: str = "") -> Response:
    """The form again, with the reason in the person's language."""
    text = refusal_text(request, problem)
    if text is None:
        raise problem
    response = _form(request, slug, wanted, name, text, problem.status)
    response.headers.update(refusal_headers(problem))
    return response


def _remember(request: Request, response: Response, cookie: str, value: str) -> None:
    """Keep a preference in the browser; it is no secret."""
    secure = sessions.is_secure(request)
    response.set_cookie(cookie, value, max_age=YEAR, path="/", secure=secure, httponly=True, samesite="lax")
