"""The side-by-side report for scripts: pages by key, and how many devices there are of each kind."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request

from gatepost.service import report
from gatepost.service.administrators import Session
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.reports import cursor, document, wanted_of
from gatepost.service.web.sessions import tenant_of

LARGEST_PAGE = 500
router = APIRouter(prefix="/api/v1/report", tags=["report"])


@router.get("")
async def side_by_side(
    request: Request,
    session: Annotated[Session, requires(Permission.DEVICES_READ)],
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = report.PAGE,
) -> dict[str, Any]:
    """What Gatepost would do with each device and what Exchange does, with the counts of each kind.

    Filters: ``organization``, ``difference`` (loses, gains, other, same, left, undecided), ``level``, ``state``,
    ``reason``. ``next`` is the next page's address, null on the last.
    """
    wanted = wanted_of(request.query_params)
    async with tenant_of(request, session) as scope:
        counts = await report.counts(scope, wanted.organization_id)
        found = await report.page(scope, wanted, limit)
    asked = {name: value for name, value in request.query_params.items() if name != "after"}
    return {
        "counts": [
            {"level": each.level, "state": each.state, "difference": each.difference, "devices": each.devices}
            for each in counts
        ],
        "devices": [document(line) for line in found.lines],
        "next": f"{request.url.path}?{urlencode(asked | {'after': cursor(found.after)})}" if found.after else None,
    }
