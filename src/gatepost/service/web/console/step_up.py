"""Confirming that it is still you: asked for before what is dangerous, good for five minutes."""

from typing import Annotated

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service.administrators import Session
from gatepost.service.administrators.sign_in import confirm_password
from gatepost.service.web import render, sessions
from gatepost.service.web.console.route import console_router, local, refusal_text
from gatepost.service.web.permissions import Permission, requires

router = console_router()


@router.get("/step-up")
async def step_up_page(request: Request, session: Annotated[Session, requires(Permission.ACCOUNT_OWN)]) -> Response:
    """Ask for the password, or for the passkey of whoever has one."""
    return _page(request, session, request.query_params.get("next", ""))


@router.post("/step-up")
async def step_up(request: Request, session: Annotated[Session, requires(Permission.ACCOUNT_OWN)]) -> Response:
    """Check the password, and go back to the page where the button was; the session has a new token."""
    form = await request.form()
    password, wanted = str(form.get("password", "")), str(form.get("next", ""))
    database = request.app.state.database
    try:
        token = await confirm_password(database, session, password, sessions.client_address(request))
    except Problem as problem:
        text = refusal_text(request, problem)
        if text is None:
            raise
        return _page(request, session, wanted, text, problem)
    response = RedirectResponse(local(wanted), 303)
    sessions.set_cookie(request, response, token)
    return response


def _page(
    request: Request, session: Session, wanted: str, refusal: str = "", problem: Problem | None = None
) -> Response:
    """The form; after a refusal with its reason and status."""
    headers = {}
    if problem and "retry_after" in problem.fields:
        headers["Retry-After"] = str(problem.fields["retry_after"])
    status = problem.status if problem else 200
    return render.page(
        request, "step_up.html", session=session, status=status, headers=headers, next=wanted, refusal=refusal
    )
