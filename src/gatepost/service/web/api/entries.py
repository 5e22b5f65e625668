"""Onboarding for scripts: the entries of the lists, adoption, known devices, pins in bulk, the default level."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel

from gatepost.domain.contract import iso
from gatepost.domain.desired import ListName
from gatepost.service import following
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.onboarding import adoption, grandfathering, preapproving, stock, switching
from gatepost.service.onboarding.adoption import Adoption, Choice, How, Preview
from gatepost.service.onboarding.files import Fault
from gatepost.service.onboarding.stock import Effect, Entry, Owner
from gatepost.service.onboarding.switching import Switch
from gatepost.service.web.bodies import listed, read_list
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

LARGEST_PAGE = 5_000
router = APIRouter(prefix="/api/v1/entries/{organization}", tags=["entries"])


class Chosen(BaseModel):
    """Which entries: ``how`` is all, group (with its id) or file (with its text, CSV); ``digest`` is a preview's."""

    how: How
    group: UUID | None = None
    name: str = ""
    text: str = ""
    digest: str = ""

    @property
    def choice(self) -> Choice:
        """As the service takes it."""
        return Choice(self.how, self.group, self.name[:200], self.text)


class Pins(BaseModel):
    """A file of devices (CSV), and what is said of each."""

    text: str
    level: str
    reason: str
    until: AwareDatetime | None = None


class Wanted(BaseModel):
    """A default level, with the digest of its preview."""

    level: str
    digest: str


class Approved(BaseModel):
    """The preview that is approved, by its digest."""

    digest: str


def _entry(entry: Entry) -> dict[str, Any]:
    document = {name: value for name, value in asdict(entry).items() if value is not None}
    return {name: str(value) if isinstance(value, UUID) else value for name, value in document.items()}


def _faults(faults: tuple[Fault, ...] | list[Fault]) -> list[dict[str, Any]]:
    return [{"line": each.line, "why": each.why, "said": each.said} for each in faults]


def _plain(value: Adoption | Switch) -> dict[str, Any]:
    return {name: iso(each) if isinstance(each, datetime) else each for name, each in asdict(value).items()}


def _preview(seen: Preview) -> dict[str, Any]:
    return {
        "about": seen.about,
        "digest": seen.digest,
        "effects": {effect.value: number for effect, number in seen.effects.items()},
        "entries": [_entry(entry) for entry in seen.entries],
        "left": [_entry(entry) for entry in seen.left],
        "faults": _faults(list(seen.faults)),
        "rules_unread": seen.unread,
    }


@router.get("")
async def entries(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.ENTRIES_READ)],
    list: ListName | None = None,
    owner: Owner | None = None,
    effect: Effect | None = None,
    place: Annotated[int, Query(alias="from", ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 500,
) -> dict[str, Any]:
    """Every entry of the lists as last read: whose it is, the device that it names, and what it does to it."""
    async with tenant_of(request, session) as scope:
        known = await stock.take(scope, organization)
    fitting = [
        entry
        for entry in known.entries
        if list in (None, entry.list) and owner in (None, entry.owner) and effect in (None, entry.effect)
    ]
    counts = [
        {"list": its_list, "owner": its_owner, "effect": its_effect, "entries": number}
        for (its_list, its_owner, its_effect), number in known.counts.items()
    ]
    following_place = place + limit if len(fitting) > place + limit else None
    shown = [_entry(entry) for entry in fitting[place : place + limit]]
    return {"counts": counts, "entries": shown, "next_from": following_place, "rules_unread": known.unread}


@router.get("/adoptions")
async def adoptions(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.ENTRIES_READ)]
) -> dict[str, Any]:
    """Every adoption, the newest first."""
    async with tenant_of(request, session) as scope:
        return {"adoptions": [_plain(each) for each in await adoption.adoptions(scope, organization)]}


@router.post("/adoptions/preview", openapi_extra=listed(Chosen))
async def preview(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.ENTRIES_READ)]
) -> dict[str, Any]:
    """What an adoption would take over, what it would leave, and the lines of a file that name no entry."""
    asked = await read_list(request, Chosen)
    async with tenant_of(request, session) as scope:
        return _preview(await adoption.preview(scope, organization, asked.choice))


@router.post("/adoptions", status_code=201, openapi_extra=listed(Chosen))
async def adopt(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.ENTRIES_ADOPT)]
) -> dict[str, Any]:
    """Take over what a preview showed."""
    asked = await read_list(request, Chosen)
    async with tenant_of(request, session) as scope:
        return _plain(await adoption.adopt(scope, organization, asked.choice, asked.digest, Person.of(session)))


@router.post("/adoptions/{adoption_id}/return")
async def give_back(
    request: Request,
    organization: UUID,
    adoption_id: UUID,
    session: Annotated[Session, requires(Permission.ENTRIES_ADOPT)],
) -> dict[str, Any]:
    """Give an adoption back."""
    async with tenant_of(request, session) as scope:
        return _plain(await adoption.give_back(scope, organization, adoption_id, Person.of(session)))


@router.get("/known")
async def known(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.ENTRIES_READ)]
) -> dict[str, int]:
    """How many devices are known, of how many that are there."""
    async with tenant_of(request, session) as scope:
        return asdict(await grandfathering.count(scope, organization))


@router.post("/known")
async def note_known(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.ENTRIES_ADOPT)]
) -> dict[str, int]:
    """Note the devices that have access by Exchange's engine now as known, in place of those noted before."""
    async with tenant_of(request, session) as scope:
        noted = await grandfathering.note(scope, organization, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)
    return asdict(noted)


@router.post("/pins", status_code=201, openapi_extra=listed(Pins))
async def pin(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.DEVICES_PIN)]
) -> dict[str, Any]:
    """Pin every device that a file names, also ids that no device has yet; lines that name none are told."""
    asked = await read_list(request, Pins)
    values = preapproving.Asked(asked.level, asked.reason, asked.until)
    async with tenant_of(request, session) as scope:
        done = await preapproving.pin(scope, organization, asked.text, values, Person.of(session))
    return {"there": len(done.there), "awaited": len(done.awaited), "faults": _faults([*done.faults])}


@router.get("/default-level")
async def default_level(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.ENTRIES_READ)],
    level: str = "",
) -> dict[str, Any]:
    """The last switch of the default level; with ``level``, what switching to it would do."""
    async with tenant_of(request, session) as scope:
        last = await switching.latest(scope, organization)
        seen = await switching.preview(scope, organization, level) if level else None
    told = None
    if seen is not None:
        numbers = {"losing": seen.effect.losing, "gaining": seen.effect.gaining, "needs_approval": seen.held}
        changes = [
            {"device": each.device, "mailbox": each.mailbox, "gains": each.gains, "loses": each.loses}
            for each in seen.effect.changes
        ]
        told = {"level": seen.level, "was": seen.was, "digest": seen.digest, **numbers, "changes": changes}
    return {"last": _plain(last) if last else None, "preview": told}


@router.post("/default-level", status_code=202)
async def switch(
    request: Request,
    organization: UUID,
    wanted: Wanted,
    session: Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)],
) -> dict[str, Any]:
    """Switch the default level, as a preview showed; where many are concerned it waits for a second person."""
    async with tenant_of(request, session) as scope:
        return _plain(await switching.ask(scope, organization, wanted.level, wanted.digest, Person.of(session)))


@router.post("/default-level/approve", status_code=202)
async def approve(
    request: Request,
    organization: UUID,
    approved: Approved,
    session: Annotated[Session, requires(Permission.APPROVALS_DECIDE, step_up=True)],
) -> dict[str, Any]:
    """Approve the switch that waits."""
    async with tenant_of(request, session) as scope:
        return _plain(await switching.approve(scope, organization, approved.digest, Person.of(session)))


@router.post("/default-level/drop", status_code=202)
async def drop(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)],
) -> dict[str, Any]:
    """Let the switch that waits be."""
    async with tenant_of(request, session) as scope:
        return _plain(await switching.drop(scope, organization, Person.of(session)))


@router.post("/default-level/back", status_code=202)
async def go_back(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.EXCHANGE_CHANGE, step_up=True)],
) -> dict[str, Any]:
    """Back to what the default was before the last switch, in one step."""
    async with tenant_of(request, session) as scope:
        return _plain(await switching.go_back(scope, organization, Person.of(session)))
