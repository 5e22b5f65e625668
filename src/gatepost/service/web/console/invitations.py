"""An invitation: its code stands behind the ``#`` of the address, is sent in a form only, and sets a password once."""

from fastapi import Request
from starlette.responses import Response

from gatepost.errors import Problem, ServiceError
from gatepost.service.administrators import invitations
from gatepost.service.web import render, sessions
from gatepost.service.web.console.route import console_router, refusal_headers, refusal_text, typed_twice
from gatepost.service.web.console.sign_in import signed_in
from gatepost.service.web.permissions import public

router = console_router()


@router.get("/t/{slug}/invitation", dependencies=[public("the form for an invitation; the same for every slug")])
async def invitation_page(request: Request, slug: str) -> Response:
    """The form; it does not tell whether the tenant exists."""
    return _form(request, slug)


@router.post("/t/{slug}/invitation", dependencies=[public("the invitation itself; limited by address")])
async def use(request: Request, slug: str) -> Response:
    """Set the password, and sign in."""
    sessions.same_site(request)
    sessions.cookie_name(request)
    form = await request.form()
    code, password, again = (str(form.get(name, "")) for name in ("code", "password", "again"))
    try:
        password = typed_twice(password, again)
        database, address = request.app.state.database, sessions.client_address(request)
        token = await invitations.use(database, slug, code, password, address)
    except ServiceError as error:
        problem = error if isinstance(error, Problem) else Problem(400, "password", error.cause)
        text = refusal_text(request, problem)
        if text is None:
            raise
        return _form(request, slug, text, problem, code)
    return await signed_in(request, token, slug, "/account")


def _form(request: Request, slug: str, refusal: str = "", problem: Problem | None = None, code: str = "") -> Response:
    return render.page(
        request,
        "invitation.html",
        status=problem.status if problem else 200,
        headers=refusal_headers(problem),
        slug=slug,
        refusal=refusal,
        code=code,
    )
