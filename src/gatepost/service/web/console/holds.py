"""The pages of the guard: what waits for a second person, who and why and by what, and how much passes without one."""

from typing import Annotated
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.domain.contract import iso
from gatepost.domain.guards import WINDOW_MINUTES
from gatepost.errors import Problem
from gatepost.service import connections, following
from gatepost.service.access import budget, holds
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.web import render, spreadsheets
from gatepost.service.web.api.holds import cursor_of, read_cursor
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

PAGE = "/holds"
MOST_DIGITS = 7
COLUMNS = (
    "mailbox",
    "device",
    "device_id",
    "published",
    "wanted",
    "reason",
    "now",
    "afterwards",
    "decided_by",
    "state",
)
A_FILE = 1_000_000
router = console_router()


@router.get(PAGE)
async def all_holds(request: Request, session: Annotated[Session, requires(Permission.HOLDS_READ)]) -> Response:
    """Every hold, and the budgets."""
    return await _all(request, session)


@router.get(f"{PAGE}/{{hold_id}}")
async def one_hold(
    request: Request, hold_id: UUID, session: Annotated[Session, requires(Permission.HOLDS_READ)]
) -> Response:
    """One hold: by what, why, who."""
    cursor = request.query_params.get("after", "")
    after = read_cursor(cursor) if cursor else None
    async with tenant_of(request, session) as scope:
        hold = await holds.find(scope, hold_id)
        digest = await holds.digest(scope, hold_id)
        reasons = await holds.reasons(scope, hold_id)
        rows = await holds.items(scope, hold_id, holds.LISTED + 1, after)
    shown = rows[: holds.LISTED]
    return render.page(
        request,
        "hold.html",
        session=session,
        hold=hold,
        digest=digest,
        reasons=reasons,
        items=shown,
        next=cursor_of(shown[-1]) if len(rows) > holds.LISTED else "",
        first=after is None,
        mine=hold.cause.by_id == session.administrator_id,
    )


@router.get(f"{PAGE}/{{hold_id}}/items.csv")
async def items_file(
    request: Request, hold_id: UUID, session: Annotated[Session, requires(Permission.HOLDS_READ)]
) -> Response:
    """Everything that came into a hold, as a file."""
    async with tenant_of(request, session) as scope:
        await holds.find(scope, hold_id)
        rows = await holds.items(scope, hold_id, A_FILE)
    names = ("mailbox", "device", "device_id", "published", "level", "reason", "before_state", "after_state")
    lines = [[str(row[name] or "") for name in (*names, "after_step", "state")] for row in rows]
    text = spreadsheets.MARK + "".join(map(spreadsheets.line, (COLUMNS, *lines)))
    headers = {"Content-Disposition": 'attachment; filename="gatepost-hold.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.post(f"{PAGE}/{{hold_id}}/approve")
async def approve(
    request: Request,
    hold_id: UUID,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> Response:
    """Let through what the page showed."""
    digest = str((await request.form()).get("digest", ""))
    async with tenant_of(request, session) as scope:
        await holds.approve(scope, hold_id, digest, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)
    return _back(hold_id)


@router.post(f"{PAGE}/{{hold_id}}/refuse")
async def refuse(
    request: Request, hold_id: UUID, session: Annotated[Session, requires(Permission.APPROVALS_DECIDE)]
) -> Response:
    """Let what is published stay."""
    why = str((await request.form()).get("why", ""))
    async with tenant_of(request, session) as scope:
        await holds.refuse(scope, hold_id, why, Person.of(session))
    return _back(hold_id)


@router.post(f"{PAGE}/{{hold_id}}/reopen")
async def reopen(
    request: Request, hold_id: UUID, session: Annotated[Session, requires(Permission.APPROVALS_DECIDE)]
) -> Response:
    """Look again at what was refused."""
    async with tenant_of(request, session) as scope:
        await holds.reopen(scope, hold_id, Person.of(session))
    return _back(hold_id)


@router.post(f"{PAGE}/budgets")
async def set_budgets(
    request: Request, session: Annotated[Session, requires(Permission.TENANT_MANAGE, step_up=True)]
) -> Response:
    """Set the budgets, or ask for larger ones."""
    form = await request.form()
    typed = {name: str(form.get(name, "")).strip()[:100] for name in ("take", "give")}
    try:
        async with tenant_of(request, session) as scope:
            await budget.ask(scope, _number(typed, "take"), _number(typed, "give"), Person.of(session))
    except Problem as problem:
        if problem.fields.get("place") not in typed:
            raise
        return await _all(request, session, typed=typed, mistake=problem)
    return RedirectResponse(f"{PAGE}#budgets", 303)


@router.post(f"{PAGE}/budgets/approve")
async def approve_budgets(
    request: Request, session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)]
) -> Response:
    """Approve larger budgets."""
    asked_at = str((await request.form()).get("asked_at", ""))
    async with tenant_of(request, session) as scope:
        await budget.approve(scope, asked_at, Person.of(session))
    return RedirectResponse(f"{PAGE}#budgets", 303)


@router.post(f"{PAGE}/budgets/refuse")
async def refuse_budgets(
    request: Request, session: Annotated[Session, requires(Permission.APPROVALS_DECIDE)]
) -> Response:
    """Let the budgets be what they are."""
    async with tenant_of(request, session) as scope:
        await budget.refuse(scope, Person.of(session))
    return RedirectResponse(f"{PAGE}#budgets", 303)


async def _all(
    request: Request, session: Session, *, typed: dict[str, str] | None = None, mistake: Problem | None = None
) -> Response:
    """The page of all holds; after a mistake with what was typed."""
    async with tenant_of(request, session) as scope:
        found = await holds.listing(scope)
        own = await budget.settings(scope)
        known = await connections.overview(scope)
        used = [(each, await budget.budgets(scope, each["organization_id"])) for each in known]
    kept = {"take": own.take, "give": own.give}
    return render.page(
        request,
        "holds.html",
        session=session,
        status=mistake.status if mistake else 200,
        holds=found,
        own=own,
        asked_at=iso(own.wish.asked_at) if own.wish else "",
        mine=own.wish is not None and own.wish.asked_id == session.administrator_id,
        used=used,
        typed=typed or {name: "" if number is None else str(number) for name, number in kept.items()},
        mistake=mistake.fields["place"] if mistake else "",
        most=budget.MOST,
        minutes=WINDOW_MINUTES,
    )


def _number(typed: dict[str, str], name: str) -> int | None:
    """What was typed as a number, None for nothing. Raises Problem 400 that names the field."""
    text = typed[name]
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise Problem(400, "malformed", "A budget is a whole number, or empty.", place=name)
    return int(text)


def _back(hold_id: UUID) -> Response:
    return RedirectResponse(f"{PAGE}/{hold_id}", 303)
