"""How the console's routes answer when something goes wrong: a page in words, or the way to the sign-in."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar
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
    "no-passkeys-here": (
        N_("No passkey works at this address"),
        N_("Open the console at the service's public address: passkeys need its name and https."),
    ),
    "insecure": (N_("This address is not encrypted"), N_("Nobody can sign in here. Use the https address.")),
    "not-found": (N_("There is no such page"), N_("It may have been removed, or the address is not complete.")),
    "not-held": (N_("This inventory is not held any more"), N_("Somebody accepted it, or a newer one has come.")),
    "nothing-held": (
        N_("Nothing of this source is held any more"),
        N_("Somebody accepted it, or a better list has come."),
    ),
    "empty-list": (
        N_("An empty list is never believed"),
        N_("Switch the source off if it is at its end; else see why it has nothing to tell."),
    ),
    "stopped": (N_("Writing is stopped already"), N_("The connection page says by whom and why.")),
    "not-stopped": (N_("Writing is not stopped"), N_("Somebody released it. The connection page shows how it stands.")),
    "removed": (N_("This connection is removed already"), N_("Its page says what to uninstall.")),
    "removing": (N_("A removal is under way already"), N_("Its page shows how far it is, and how else it can end.")),
    "not-removing": (N_("Nothing is being removed"), N_("Somebody ended it. Its page shows how it stands.")),
    "not-asked": (N_("Nothing waits for an approval here"), N_("Somebody decided it. Its page shows how it stands.")),
    "preview-changed": (
        N_("What this would do has changed"),
        N_("Go back, look at the preview again and decide anew."),
    ),
    "approval-no-approver": (N_("You may not approve this"), N_("Your roles do not let you approve.")),
    "approval-new": (
        N_("You may not approve this yet"),
        N_("You came to your role less than 24 hours ago. Somebody who has had theirs for longer has to approve."),
    ),
    "approval-requester": (
        N_("You may not approve this"),
        N_("You asked for it yourself. Another administrator has to approve it."),
    ),
    "approval-too-soon": (
        N_("You may not approve this yet"),
        N_("You asked for it, and nobody else can approve it. You can, 24 hours after you asked."),
    ),
    "approval-no-fresh-passkey": (
        N_("A passkey is needed for this"),
        N_("You asked for it, and nobody else can approve it. Prove with a passkey that it is you."),
    ),
    "everybody": (N_("This version holds for everybody already"), N_("The policy's page shows how it stands.")),
    "rollout-stopped": (N_("The rollout is stopped"), N_("The policy's page says why. Resume it first.")),
    "rollout-not-stopped": (
        N_("No rollout is stopped"),
        N_("Somebody resumed it. The policy's page shows how it stands."),
    ),
    "not-rolling": (
        N_("No rollout is under way"),
        N_("It has ended or was stopped. The policy's page shows how it stands."),
    ),
    "no-rollout": (N_("No version of the policy holds yet"), N_("Roll one out first.")),
    "not-older": (N_("This version is not older than what holds"), N_("Roll it out instead.")),
    "conflict": (N_("Somebody else did the same at this moment"), N_("Look at what they did, and try again.")),
    "hold-decided": (N_("This was decided already"), N_("Somebody was faster, or time was over. Load the hold anew.")),
    "hold-changed": (
        N_("More was held since you looked"),
        N_("Go back, look at the hold again and decide anew."),
    ),
    "not-connected": (N_("No connector is enrolled"), N_("Enrol one first; the connection page shows how.")),
    "cannot-pin": (N_("This device cannot be pinned"), N_("Its page says why.")),
    "no-package": (N_("There is no package for this platform"), N_("The operator builds it; the page says how.")),
    "prerequisites": (N_("Something is not met yet"), N_("Go back; the page says what, and what to do.")),
    "organization-name": (N_("This name cannot be used"), N_("Give one of 1 to 200 visible characters.")),
    "being-removed": (N_("This organization is being removed"), N_("It can be set up again when that has ended.")),
    "not-pinned": (N_("This device is not pinned"), N_("Somebody removed the pin, or its time is over.")),
    "nothing-to-adopt": (N_("There is nothing to adopt"), N_("Every entry here is Gatepost's, or cannot be adopted.")),
    "returned": (N_("This adoption was given back already"), N_("Its row says by whom and when.")),
    "not-read": (N_("Exchange's settings were not read yet"), N_("They come with the first inventory.")),
    "switch-waits": (N_("A switch waits already"), N_("Approve it or drop it first.")),
    "not-switched": (N_("There is nothing to go back to"), N_("The page shows how it stands.")),
    "same-level": (N_("That is the default level already"), N_("The page shows how it stands.")),
    "tested": (
        N_("A test was sent there just now"),
        N_("Its row says how it went. A minute later another can be sent."),
    ),
    "too-large": (N_("The form is too large"), N_("Shorten what you typed.")),
    "malformed": (N_("The request cannot be understood"), N_("Go back and try again.")),
    "busy": (N_("Gatepost is busy"), N_("Wait a moment and load the page anew.")),
    "failed": (N_("Something went wrong in Gatepost"), N_("Its log says why. Tell your operator when it was.")),
    "cursor": (N_("This page of the list cannot be found"), N_("Start again with the first page.")),
}


REFUSALS = {
    "credentials": N_("The name or the password is not right."),
    "passkey": N_("Confirm with your passkey; the password alone does not count."),
    "wrong-password": N_("The password is not right."),
    "passkey-refused": N_("This passkey was not accepted, or it took too long. Try again."),
    "passkey-name": N_("A passkey's name has 1 to 100 visible characters."),
    "no-passkeys-here": N_("You need your passkey, and none works at this address. Use the service's public address."),
    "invitation": N_("This invitation is not right, was used already, or is older than 24 hours. Ask for a new one."),
    "password": N_("The password must have 12 to 1,024 characters."),
    "not-the-same": N_("The two passwords are not the same."),
    "last-factor": N_("You could not sign in any more without this. Add another passkey first."),
    "cannot": N_("You have as many passkeys as there can be. Remove one first."),
    "name": N_("A name has 1 to 200 visible characters."),
    "name-taken": N_("There is an administrator with this name already."),
    "roles": N_("Choose at least one role."),
    "own-account": N_("Nobody changes this of their own account. Ask another administrator."),
    "last": N_("This is the last tenant administrator who can sign in, so the account stays as it is."),
    "disabled": N_("This administrator is disabled. Enable the account first."),
}


class ConsoleRoute(APIRoute):
    """A route whose problems are shown as pages; ``largest_form`` is how many bytes a form may have."""

    largest_form: ClassVar[int] = LARGEST_FORM

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with its problems translated."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                _refuse_large(request, self.largest_form)
                return await answer(request)
            except Problem as problem:
                return await problem_page(request, problem)
            except RequestValidationError:
                return await problem_page(request, Problem(404, "not-found", "There is no such page."))

        return handle


def console_router(route_class: type[ConsoleRoute] = ConsoleRoute) -> APIRouter:
    """A router of console routes."""
    return APIRouter(route_class=route_class, include_in_schema=False)


def _refuse_large(request: Request, largest: int) -> None:
    if request.method == "POST" and not 0 <= int(request.headers.get("Content-Length") or -1) <= largest:
        raise Problem(413, "too-large", "The form is too large, or does not say how large it is.")


async def problem_page(request: Request, problem: Problem) -> Response:
    """A problem as a page; without a session the way to the sign-in, and back here afterwards."""
    if problem.type == "session":
        return to_sign_in(request)
    if problem.type == "step-up":
        return to_step_up(request)
    if problem.type == "passkey-needed":
        return _lead(request, "/account")
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


def refusal_headers(problem: Problem | None) -> dict[str, str]:
    """How long to wait, in seconds, where a problem says so."""
    return {"Retry-After": str(problem.fields["retry_after"])} if problem and "retry_after" in problem.fields else {}


def typed_twice(password: str, again: str) -> str:
    """A new password that was typed the same twice. Raises Problem 400 ``not-the-same``."""
    if password != again:
        raise Problem(400, "not-the-same", "The two passwords are not the same.")
    return password


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
