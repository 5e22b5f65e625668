"""The page of one device: what it is, how it stands with its access, and the form that pins it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service import access, connections, explanation, pins
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.devices import queries
from gatepost.service.web import explaining, render, words
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

HISTORY_SHOWN = 100
LIST_QUERY = {"q", "state", "family", "organization", "sort", "cursor", "trail"}
LONGEST_BACK = 4_000
FIELDS = ("level", "reason", "until")
router = console_router()


def _list_query(request: Request) -> str:
    """The list that led to a device, as its address told; only what a list can be asked for."""
    asked = parse_qsl(request.query_params.get("back", "")[:LONGEST_BACK])
    return urlencode([(name, value) for name, value in asked if name in LIST_QUERY])


@router.get("/devices/{organization_id}/{guid}")
async def device(
    request: Request, organization_id: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_READ)]
) -> Response:
    """One device: every field, its mailbox, its access, its history."""
    return await _page(request, organization_id, guid, session)


@router.post("/devices/{organization_id}/{guid}/pin")
async def pin(
    request: Request, organization_id: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_PIN)]
) -> Response:
    """Pin the device; what cannot be is said beside the form, which keeps what was typed."""
    form = await request.form()
    typed = {name: str(form.get(name, "")) for name in FIELDS}
    try:
        until = until_of(typed["until"], render.zone_of(request))
        async with tenant_of(request, session) as scope:
            await pins.set_pin(scope, organization_id, guid, typed["level"], typed["reason"], until, Person.of(session))
    except Problem as problem:
        if problem.fields.get("place") not in FIELDS:
            raise
        return await _page(request, organization_id, guid, session, typed, str(problem.fields["place"]))
    return _back(request, organization_id, guid)


@router.post("/devices/{organization_id}/{guid}/unpin")
async def unpin(
    request: Request, organization_id: UUID, guid: UUID, session: Annotated[Session, requires(Permission.DEVICES_PIN)]
) -> Response:
    """Remove the pin."""
    async with tenant_of(request, session) as scope:
        await pins.remove_pin(scope, organization_id, guid, Person.of(session))
    return _back(request, organization_id, guid)


def _back(request: Request, organization_id: UUID, guid: UUID) -> Response:
    back = _list_query(request)
    query = f"?{urlencode({'back': back})}" if back else ""
    return RedirectResponse(f"/devices/{organization_id}/{guid}{query}#access", 303)


def until_of(typed: str, zone: tzinfo) -> datetime | None:
    """The end of a pin as a browser's field tells it, in the person's time zone. Raises Problem 400."""
    if not typed.strip():
        return None
    try:
        parsed = datetime.fromisoformat(typed.strip())
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem(400, "malformed", "The end is no date and time.", place="until") from error


async def _page(
    request: Request,
    organization_id: UUID,
    guid: UUID,
    session: Session,
    typed: Mapping[str, str] | None = None,
    mistake: str = "",
) -> Response:
    """The page; with what was ``typed`` where a field of the form holds a ``mistake``."""
    async with tenant_of(request, session) as scope:
        found = await queries.device(scope, organization_id, guid)
        mailbox = await queries.mailbox_of(scope, found)
        history = await queries.history(scope, organization_id, guid, HISTORY_SHOWN + 1)
        organization = await connections.organization(scope, organization_id)
        stands = await _access(scope, found, mailbox, history)
    back = _list_query(request)
    return render.page(
        request,
        "device.html",
        session=session,
        status=400 if mistake else 200,
        device=found,
        mailbox=mailbox,
        organization=organization,
        history=[_dated(change) for change in history[:HISTORY_SHOWN]],
        more_history=len(history) > HISTORY_SHOWN,
        groups=words.device_groups(found),
        statistics=words.has_statistics(found),
        back=f"/devices?{back}" if back else "/devices",
        query=f"?{urlencode({'back': back})}" if back else "",
        labels=words.DEVICE_FIELDS,
        vocabularies=words.VOCABULARIES,
        happenings=words.HAPPENINGS,
        explain=explaining.explain,
        detail=explaining.detail,
        typed=typed,
        mistake=words.MISTAKES.get(mistake),
        mistaken=mistake,
        **stands,
    )


def _dated(change: queries.Change) -> queries.Change:
    """A change whose times, kept as text, are times again."""
    fields = ((name, _time(name, before), _time(name, after)) for name, before, after in change.fields)
    return replace(change, fields=tuple(fields))


def _time(name: str, value: object) -> object:
    """What a field held; a time where its name says so and it is one."""
    if not (name.endswith("_at") and isinstance(value, str)):
        return value
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return value


async def _access(
    scope: Scope, found: queries.Row, mailbox: queries.Row | None, history: Sequence[queries.Change]
) -> dict[str, Any]:
    """What the page shows of a device's access."""
    organization = await connections.organization(scope, found["organization_id"])
    key = "removed" if organization["state"] in pins.REMOVED_STATES else pins.key_of(found, mailbox)
    changed = (
        change.at
        for change in history
        if change.what != "gone" and "access_state" in {name for name, *_ in change.fields}
    )
    ids = (found["mailbox_guid"], found["device_id"])
    why = await explanation.explain(scope, found["organization_id"], [ids]) if all(ids) else {}
    return {
        "standing": await access.standing_of(scope, found),
        "why": why.get(ids),
        "cannot_pin": words.CANNOT_PIN[key] if isinstance(key, str) else None,
        "effective_since": next(changed, found["first_seen"]),
        "limits": await access.limits(scope, found["organization_id"]),
    }
