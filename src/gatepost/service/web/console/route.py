"""How the console's routes answer when something goes wrong: a page in words, or the way to the sign-in."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from gatepost.errors import GatepostError, Problem
from gatepost.service.web import render, sessions
from gatepost.service.web.i18n import N_

LARGEST_FORM = 64 * 1024
TENANT_COOKIE = "gatepost-tenant"
WORDS = {
    "permission": (N_("Your role does not allow this"), N_("Ask an administrator of your tenant.")),
    "forgery": (N_("This form could not be checked"), N_("Go back, load the page anew and try again.")),
    "insecure": (N_("This address is not encrypted"), N_("Nobody can sign in here. Use the https address.")),
    "not-found": (N_("There is no such page"), N_("It may have been removed, or the address is not complete.")),
    "not-held": (N_("This inventory is not held any more"), N_("Somebody accepted it, or a newer one has come.")),
    "not-connected": (N_("No connector is enrolled"), N_("Enrol one first; the connection page shows how.")),
    "cannot-pin": (N_("This device cannot be pinned"), N_("Its page says why.")),
    "no-package": (N_("There is no package for this platform"), N_("The operator builds it; the page says how.")),
    "prerequisites": (N_("Something is not met yet"), N_("Go back; the page says what, and what to do.")),
    "organization-name": (N_("This name cannot be used"), N_("Give one of 1 to 200 visible characters.")),
    "being-removed": (N_("This organization is being removed"), N_("It can be set up again when that has ended.")),
    "not-pinned": (N_("This device is not pinned"), N_("Somebody removed the pin, or its time is over.")),
    "too-large": (N_("The form is too large"), N_("Shorten what you typed.")),
    "malformed": (N_("The request cannot be understood"), N_("Go back and try again.")),
    "busy": (N_("Gatepost is busy"), N_("Wait a moment and load the page anew.")),
    "failed": (N_("Something went wrong in Gatepost"), N_("Its log says why. Tell your operator when it was.")),
    "cursor": (N_("This page of the list cannot be found"), N_("Start again with the first page.")),
}


REFUSALS = {
    "credentials": N_("The name or the password is not right."),
    "passkey": N_("Confirm with your passkey; the password alone does not count."),
}


class ConsoleRoute(APIRoute):
    """A route whose problems are shown as pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with its problems translated."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                _refuse_large(request)
                return await answer(request)
            except Problem as problem:
                return await problem_page(request, problem)
            except RequestValidationError:
                return await problem_page(request, Problem(404, "not-found", "There is no such page."))

        return handle


def console_router() -> APIRouter:
    """A router of console routes."""
    return APIRouter(route_class=ConsoleRoute, include_in_schema=False)


def _refuse_large(request: Request) -> None:
    if request.method == "POST" and not 0 <= int(request.headers.get("Content-Length") or -1) <= LARGEST_FORM:
        raise Problem(413, "too-large", "The form is too large, or does not say how large it is.")


async def problem_page(request: Request, problem: Problem) -> Response:
    """A problem as a page; without a session the way to the sign-in, and back here afterwards."""
    if problem.type == "session":
        return to_sign_in(request)
    if problem.type == "step-up":
        return to_step_up(request)
    try:
        session = await sessions.current(request)
    except GatepostError:  # the page about a broken database must not need it
        session = None
    heading, remedy = WORDS.get(problem.type, WORDS["malformed"])
    language = render.language_of(request)
    return render.page(
        request,
        "problem.html",
        session=session,
        status=problem.status,
        code=problem.status,
        heading=language.text(heading),
        remedy=language.text(remedy),
    )


def refusal_text(request: Request, problem: Problem) -> str | None:
    """Why a proof was refused, for beside its form, in the person's language; None for any other problem."""
    language = render.language_of(request)
    if problem.type in REFUSALS:
        return language.text(REFUSALS[problem.type])
    if problem.type != "busy":
        return None
    minutes = -(-int(str(problem.fields.get("retry_after", 60))) // 60)
    return language.plural(
        "Too many attempts. Try again in a minute.", "Too many attempts. Try again in %(count)s minutes.", minutes
    )


def wants_page(request: Request) -> bool:
    """Whether a browser asks, for something that is not the API's or a connector's."""
    machine = request.url.path.startswith(("/api/", "/connector/"))
    return not machine and "text/html" in request.headers.get("Accept", "")


def to_step_up(request: Request) -> Response:
    """Send the browser to confirm who it is, and then back to the page where the button was."""
    wanted = str(request.url) if request.method == "GET" else request.headers.get("Referer", "")
    target = f"/step-up?next={quote(_path(_page_of(request) or wanted), safe='')}"
    return _lead(request, target)


def _page_of(request: Request) -> str:
    """The address of the page that asked by a script for a part of itself; empty for a request of the browser."""
    return request.headers.get("HX-Current-URL", "") if request.headers.get("HX-Request") == "true" else ""


def _path(address: str) -> str:
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _lead(request: Request, target: str) -> Response:
    """Send the browser to another page, also from within a part of one."""
    if request.headers.get("HX-Request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


def to_sign_in(request: Request) -> Response:
    """Send the browser to the sign-in, also from within a page that refreshes itself."""
    inside = request.headers.get("HX-Request") == "true"
    here = _path(_page_of(request) if inside else str(request.url))
    back = f"?next={quote(here, safe='')}" if (inside or request.method == "GET") and here not in {"", "/"} else ""
    slug = request.cookies.get(TENANT_COOKIE, "")
    return _lead(request, f"/t/{quote(slug, safe='')}/{back}" if slug else f"/{back}")


def local(path: str) -> str:
    """A path of ours to go on to, the start for anything else: no other host, no control characters."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain else "/connection"
