"""The page People and compliance: who is known, what the compliance sources say, and what of it is not believed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service import directory, following
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import sources
from gatepost.service.database import Scope
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.i18n import N_
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

PAGE = "/administration/sources"
MINUTE, HOUR = 60, 3_600
MISTAKES = {
    "name": N_("A name has 1 to 200 visible characters."),
    "fresh_for": N_("Write a whole number: from one minute to 720 hours."),
    "name-taken": N_("There is a source with this name already."),
}
router = console_router()
Reader = Annotated[Session, requires(Permission.COMPLIANCE_READ)]
Writer = Annotated[Session, requires(Permission.COMPLIANCE_WRITE)]
Accepter = Annotated[Session, requires(Permission.COMPLIANCE_WRITE, step_up=True)]


@router.get(PAGE)
async def page(request: Request, session: Reader) -> Response:
    """Counts of people, and every source."""
    return await _page(request, session)


@router.post(PAGE)
async def add(request: Request, session: Writer) -> Response:
    """Add a source."""
    typed = await _typed(request)

    async def act(scope: Scope) -> None:
        await sources.add(scope, typed["name"], seconds(typed), Person.of(session))

    return await _do(request, session, act, typed)


@router.post(f"{PAGE}/{{source_id}}")
async def change(request: Request, source_id: UUID, session: Writer) -> Response:
    """Change a source."""
    typed = {**await _typed(request), "source": str(source_id)}

    async def act(scope: Scope) -> None:
        enabled = bool(typed["enabled"])
        await sources.change(scope, source_id, typed["name"], seconds(typed), enabled, Person.of(session))

    return await _do(request, session, act, typed)


@router.post(f"{PAGE}/{{source_id}}/accept")
async def accept(request: Request, source_id: UUID, session: Accepter) -> Response:
    """Let the next report do what was held."""

    async def act(scope: Scope) -> None:
        await sources.accept(scope, source_id, Person.of(session))

    return await _do(request, session, act, {})


def seconds(typed: dict[str, str]) -> int:
    """What was typed as a number and its unit. Raises Problem 400."""
    number = typed["fresh_for"].strip()
    if not number.isascii() or not number.isdecimal() or len(number) > len(str(sources.LONGEST)):
        raise Problem(400, "malformed", "fresh_for is no whole number.", place="fresh_for")
    return int(number) * (HOUR if typed["unit"] == "hours" else MINUTE)


def parts(length: int) -> tuple[int, str]:
    """Seconds as a form shows them: whole hours, else minutes."""
    return (length // HOUR, "hours") if length % HOUR == 0 else (-(-length // MINUTE), "minutes")


async def _typed(request: Request) -> dict[str, str]:
    form = await request.form()
    told = {name: str(form.get(name, ""))[:1_000] for name in ("name", "fresh_for", "unit", "enabled")}
    return {**told, "source": ""}


async def _do(
    request: Request, session: Session, act: Callable[[Scope], Awaitable[None]], typed: dict[str, str]
) -> Response:
    """Act, let follow what follows, and show the page anew; a mistake is shown beside the form that was sent."""
    try:
        async with tenant_of(request, session) as scope:
            await act(scope)
    except Problem as problem:
        mistake = MISTAKES.get(problem.type) or MISTAKES.get(str(problem.fields.get("place")))
        if mistake is None:
            raise
        return await _page(request, session, typed, mistake)
    await following.follow(request.app.state.database, session.tenant_id)
    return RedirectResponse(PAGE, 303)


async def _page(request: Request, session: Session, typed: dict[str, str] | None = None, mistake: str = "") -> Response:
    async with tenant_of(request, session) as scope:
        known = await sources.all_of(scope, datetime.now(UTC))
        counts = await directory.counts(scope)
    return render.page(
        request,
        "sources.html",
        session=session,
        status=400 if mistake else 200,
        counts=counts,
        sources=[_shown(row) for row in known],
        typed=typed or {"source": ""},
        mistake=mistake,
        usual=parts(sources.USUAL),
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    number, unit = parts(row["fresh_for"])
    held = row["held"] and {**row["held"], "at": datetime.fromisoformat(row["held"]["at"])}
    return {**row, "number": number, "unit": unit, "held": held}
