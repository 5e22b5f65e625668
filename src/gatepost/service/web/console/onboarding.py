"""The pages of onboarding: stock of the lists that others filled, adoption, known devices, pins in bulk."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from gatepost.domain.desired import ListName
from gatepost.errors import Problem
from gatepost.service import access, connections, following
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.onboarding import adoption, files, grandfathering, preapproving, stock, switching
from gatepost.service.onboarding.adoption import Choice, How
from gatepost.service.onboarding.preapproving import Asked
from gatepost.service.onboarding.stock import Effect, Entry, Owner, Stock
from gatepost.service.web import render, spreadsheets
from gatepost.service.web.console.device import until_of
from gatepost.service.web.console.route import ConsoleRoute, console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

PAGE = "/onboarding"
LARGEST_FILE = 512 * 1024
LISTED = 100
COLUMNS = ("mailbox", "list", "device_id", "device", "whose", "effect", "state", "without", "obstacle")


class OnboardingRoute(ConsoleRoute):
    """A route whose form may hold a file, as it was chosen or as a preview hands it on."""

    largest_form: ClassVar[int] = 2 * 1024 * 1024


router = console_router(OnboardingRoute)


@router.get(PAGE)
async def overview(request: Request, session: Annotated[Session, requires(Permission.ENTRIES_READ)]) -> Response:
    """The way of one organization, step by step: the one asked for, else the first."""
    wanted = _id(request.query_params.get("organization", ""))
    async with tenant_of(request, session) as scope:
        known = await connections.organizations(scope)
        chosen = wanted or (known[0]["organization_id"] if known else None)
        values = await _overview(scope, chosen) if chosen else {"shown": None}
    return render.page(
        request, "onboarding.html", session=session, organizations=known, owners=Owner, effects=Effect, **values
    )


@router.get(f"{PAGE}/{{organization_id}}/entries")
async def entries(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.ENTRIES_READ)]
) -> Response:
    """The entries of one kind, a page of them."""
    async with tenant_of(request, session) as scope:
        shown = await connections.organization(scope, organization_id)
        known = await stock.take(scope, organization_id)
    asked = {name: request.query_params.get(name, "") for name in ("list", "owner", "effect")}
    fitting = _fitting(known, asked)
    place = _number(request.query_params.get("from", ""))
    return render.page(
        request,
        "onboarding/entries.html",
        session=session,
        shown=shown,
        asked=asked,
        count=len(fitting),
        entries=fitting[place : place + LISTED],
        start=place,
        next=place + LISTED if len(fitting) > place + LISTED else None,
        lists=ListName,
        owners=Owner,
        effects=Effect,
    )


@router.get(f"{PAGE}/{{organization_id}}/entries.csv")
async def entries_file(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.ENTRIES_READ)]
) -> Response:
    """Every entry, as a file."""
    async with tenant_of(request, session) as scope:
        known = await stock.take(scope, organization_id)
    text = spreadsheets.MARK + "".join(map(spreadsheets.line, (COLUMNS, *map(_fields, known.entries))))
    headers = {"Content-Disposition": 'attachment; filename="gatepost-entries.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.post(f"{PAGE}/{{organization_id}}/adopt")
async def adopt(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.ENTRIES_ADOPT)]
) -> Response:
    """Show what would be taken over; with the digest of what was shown, take it over."""
    form = await request.form()
    try:
        choice = await _choice(form)
        async with tenant_of(request, session) as scope:
            shown = await connections.organization(scope, organization_id)
            if digest := str(form.get("digest", "")):
                await adoption.adopt(scope, organization_id, choice, digest, Person.of(session))
                return _back(organization_id, "adoptions")
            seen = await adoption.preview(scope, organization_id, choice)
    except Problem as problem:
        return await _mistaken(request, session, organization_id, problem, "adopt")
    return render.page(
        request, "onboarding/adopt.html", session=session, shown=shown, seen=seen, listed=LISTED, effects=Effect
    )


@router.post(f"{PAGE}/{{organization_id}}/adoptions/{{adoption_id}}/return")
async def give_back(
    request: Request,
    organization_id: UUID,
    adoption_id: UUID,
    session: Annotated[Session, requires(Permission.ENTRIES_ADOPT)],
) -> Response:
    """Give an adoption back."""
    async with tenant_of(request, session) as scope:
        await adoption.give_back(scope, organization_id, adoption_id, Person.of(session))
    return _back(organization_id, "adoptions")


@router.post(f"{PAGE}/{{organization_id}}/known")
async def note_known(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.ENTRIES_ADOPT)]
) -> Response:
    """Note the devices that have access now."""
    async with tenant_of(request, session) as scope:
        await grandfathering.note(scope, organization_id, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)
    return _back(organization_id, "known")


@router.post(f"{PAGE}/{{organization_id}}/pins")
async def pin(
    request: Request, organization_id: UUID, session: Annotated[Session, requires(Permission.DEVICES_PIN)]
) -> Response:
    """Show which devices a file names; once confirmed, pin them."""
    form = await request.form()
    typed = {name: str(form.get(name, "")) for name in ("level", "reason", "until")}
    try:
        text = (await _file(form))[1]
        asked = Asked(typed["level"], typed["reason"], until_of(typed["until"], render.zone_of(request)))
        async with tenant_of(request, session) as scope:
            shown = await connections.organization(scope, organization_id)
            if form.get("confirmed"):
                await preapproving.pin(scope, organization_id, text, asked, Person.of(session))
                return _back(organization_id, "pins")
            seen = await preapproving.look(scope, organization_id, text, asked)
    except Problem as problem:
        return await _mistaken(request, session, organization_id, problem, "pins")
    return render.page(
        request, "onboarding/pins.html", session=session, shown=shown, seen=seen, typed=typed, text=text, listed=LISTED
    )


async def _overview(scope: Scope, organization_id: UUID) -> dict[str, Any]:
    return {
        "shown": await connections.organization(scope, organization_id),
        "stock": await stock.take(scope, organization_id),
        "adoptions": await adoption.adoptions(scope, organization_id),
        "groups": await adoption.groups(scope),
        "known": await grandfathering.count(scope, organization_id),
        "limits": await access.limits(scope, organization_id),
        "switch": await switching.latest(scope, organization_id),
        "mistake": None,
        "mistaken": "",
    }


async def _mistaken(
    request: Request, session: Session, organization_id: UUID, problem: Problem, place: str
) -> Response:
    """The page again, saying what is wrong at its form; any other problem is a page of its own."""
    if problem.status != 400:
        raise problem
    async with tenant_of(request, session) as scope:
        known = await connections.organizations(scope)
        values = await _overview(scope, organization_id)
    values |= {"mistake": problem, "mistaken": place}
    return render.page(
        request,
        "onboarding.html",
        session=session,
        status=400,
        organizations=known,
        owners=Owner,
        effects=Effect,
        **values,
    )


async def _choice(form: FormData) -> Choice:
    """What is to be adopted. Raises Problem 400."""
    how = str(form.get("how", ""))
    if how not in tuple(How):
        raise Problem(400, "malformed", "how is all, group or file.", place="how")
    if how == How.FILE:
        return Choice(How.FILE, None, *await _file(form))
    if how == How.GROUP:
        group = _id(str(form.get("group", "")))
        if group is None:
            raise Problem(400, "malformed", "Choose a group.", place="group")
        return Choice(How.GROUP, group)
    return Choice(How.ALL)


async def _file(form: FormData) -> tuple[str, str]:
    """The name and the text of a file: as it was chosen, or as a preview handed it on. Raises Problem 400."""
    sent = form.get("file")
    if not isinstance(sent, UploadFile):
        return str(form.get("name", ""))[:200], str(form.get("text", ""))
    raw = await sent.read(LARGEST_FILE + 1)
    if not raw:
        raise Problem(400, "file", "Choose a file.", place="file", why="none")
    if len(raw) > LARGEST_FILE:
        raise Problem(400, "file", f"The file has more than {LARGEST_FILE:,} bytes.", place="file", why="large")
    return (sent.filename or "")[:200], files.decode(raw)


def _fitting(known: Stock, asked: Mapping[str, str]) -> list[Entry]:
    return [
        entry
        for entry in known.entries
        if asked["list"] in ("", entry.list) and asked["owner"] in ("", entry.owner)
        if asked["effect"] in ("", entry.effect)
    ]


def _fields(entry: Entry) -> list[str]:
    """An entry's texts under ``COLUMNS``."""
    states = (entry.state, entry.without, entry.obstacle)
    texts = (entry.mailbox, entry.list.value, entry.device_id, entry.device, entry.owner.value, entry.effect.value)
    return [*texts, *(each.value if each else "" for each in states)]


def _back(organization_id: UUID, place: str) -> Response:
    return RedirectResponse(f"{PAGE}?organization={organization_id}#{place}", 303)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _number(text: str) -> int:
    """A place in a list; the beginning for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
