"""The page Audit trail: who did what, when and from where; and the same as a file."""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, time, timedelta, tzinfo
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import connections, events
from gatepost.service.administrators import Session
from gatepost.service.events import Cursor, Filter, Row
from gatepost.service.web import happenings, render, spreadsheets
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = console_router()
PAGE = "/administration/audit"
COLUMNS = ("seq", "at", "name", "actor", "address", "organization_id", "event_id", "body")
ASKED = ("actor", "event", "organization", "since", "until")


@router.get(PAGE)
async def trail(request: Request, session: Annotated[Session, requires(Permission.AUDIT_READ)]) -> Response:
    """A page of events."""
    wanted = _filter(request)
    async with tenant_of(request, session) as scope:
        found = await events.page(scope, wanted)
        about = await events.devices(scope, found.rows)
        organizations = await connections.organizations(scope)
    asked = _asked(request)
    return render.page(
        request,
        "audit.html",
        session=session,
        found=found,
        about=about,
        organizations=organizations,
        names={row["organization_id"]: row["name"] for row in organizations},
        asked=dict.fromkeys(ASKED, "") | asked,
        first=wanted.cursor is None,
        here=urlencode(asked),
        following=urlencode({**asked, "cursor": str(found.next)}) if found.next else "",
        kinds=happenings.EVENTS,
        lines=happenings.lines,
    )


@router.get(f"{PAGE}/export")
async def export(request: Request, session: Annotated[Session, requires(Permission.AUDIT_READ)]) -> Response:
    """Every event that fits, as CSV or as JSON lines."""
    wanted = _filter(request)
    rows = events.every(lambda: tenant_of(request, session), wanted)
    if request.query_params.get("format") == "json":
        return _file(_json(rows), "application/x-ndjson", "gatepost-audit.jsonl")
    return _file(_csv(rows), "text/csv; charset=utf-8", "gatepost-audit.csv")


def _asked(request: Request) -> dict[str, str]:
    return {name: request.query_params[name][:200] for name in ASKED if request.query_params.get(name)}


def _filter(request: Request) -> Filter:
    """What the address asks for; what cannot be is left out. Days are those of the person's time zone."""
    asked, zone = _asked(request), render.zone_of(request)
    until = _day(asked.get("until", ""), zone)
    cursor = request.query_params.get("cursor")
    name = asked.get("event", "")
    return Filter(
        actor=asked.get("actor", "").strip(),
        name=name if name in set(Event) else "",
        organization_id=_id(asked.get("organization", "")),
        since=_day(asked.get("since", ""), zone),
        until=until + timedelta(days=1) if until else None,
        cursor=Cursor.read(cursor) if cursor else None,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _day(text: str, zone: tzinfo) -> datetime | None:
    """The beginning of a day; None where the text is none, or one that no calendar here reaches."""
    try:
        day = datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time.min, zone)  # noqa: DTZ007 - a date
    except ValueError:
        return None
    if not 1970 <= day.year <= 9_000:
        raise Problem(400, "malformed", "There were no events on that day.")
    return day


def _file(lines: AsyncIterator[str], kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type=kind, headers=headers)


async def _json(rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    async for row in rows:
        yield json.dumps(happenings.plain(row)) + "\n"


async def _csv(rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    yield spreadsheets.MARK + _csv_line(COLUMNS)
    async for row in rows:
        told = happenings.plain(row)
        yield _csv_line("" if told[name] is None else told[name] for name in COLUMNS)


def _csv_line(values: Iterable[Any]) -> str:
    return spreadsheets.line(
        json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value) for value in values
    )
