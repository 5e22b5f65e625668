"""The page Report: what Gatepost would do and what Exchange does, side by side; and the same as a file."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from gatepost.service import access, connections, report
from gatepost.service.administrators import Session
from gatepost.service.report import Difference, Line
from gatepost.service.web import render, spreadsheets, words
from gatepost.service.web.console.route import console_router
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.reports import COLUMNS, FILTERS, cursor, document, fields, wanted_of
from gatepost.service.web.sessions import tenant_of

router = console_router()
ASKED = ("organization", *FILTERS)


@router.get("/report")
async def side_by_side(request: Request, session: Annotated[Session, requires(Permission.DEVICES_READ)]) -> Response:
    """A page of devices, and how many there are of each kind."""
    wanted = wanted_of(request.query_params)
    async with tenant_of(request, session) as scope:
        counts = await report.counts(scope, wanted.organization_id)
        found = await report.page(scope, wanted)
        organizations = await connections.organizations(scope)
        limits = {row["name"]: await access.limits(scope, row["organization_id"]) for row in organizations}
    asked = {name: request.query_params[name] for name in ASKED if request.query_params.get(name)}
    differences = Counter[Difference]()
    for each in counts:
        differences[each.difference] += each.devices
    return render.page(
        request,
        "report.html",
        session=session,
        counts=counts,
        differences={each: differences[each] for each in Difference},
        total=sum(each.devices for each in counts),
        found=found,
        organizations=organizations,
        observing=[name for name, limit in limits.items() if limit.mode == "observe"],
        asked=dict.fromkeys(ASKED, "") | asked,
        here=urlencode(asked),
        first=wanted.after is None,
        following=urlencode({**asked, "after": cursor(found.after)}) if found.after else "",
        reasons=words.VOCABULARIES["reason"],
    )


@router.get("/report/export")
async def export(request: Request, session: Annotated[Session, requires(Permission.DEVICES_READ)]) -> Response:
    """Every device that fits, as CSV or as JSON lines."""
    lines = report.lines(lambda: tenant_of(request, session), wanted_of(request.query_params))
    if request.query_params.get("format") == "json":
        return _file(_json(lines), "application/x-ndjson", "gatepost-report.jsonl")
    return _file(_csv(lines), "text/csv; charset=utf-8", "gatepost-report.csv")


def _file(lines: AsyncIterator[str], kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type=kind, headers=headers)


async def _json(lines: AsyncIterator[Line]) -> AsyncIterator[str]:
    async for line in lines:
        yield json.dumps(document(line)) + "\n"


async def _csv(lines: AsyncIterator[Line]) -> AsyncIterator[str]:
    yield spreadsheets.MARK + spreadsheets.line(COLUMNS)
    async for line in lines:
        yield spreadsheets.line(fields(line))
