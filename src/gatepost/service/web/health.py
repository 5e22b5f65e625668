"""``/livez``: the process answers. ``/readyz``: the database answers too and has the schema of this version."""

import logging

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from gatepost import __version__
from gatepost.errors import DatabaseError
from gatepost.service.database import Database
from gatepost.service.web.permissions import public

router = APIRouter(tags=["health"])
log = logging.getLogger("gatepost.service")


@router.get("/livez", dependencies=[public("load balancers ask whether the process lives; says nothing else")])
async def livez() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", dependencies=[public("load balancers ask whether to send requests; says nothing else")])
async def readyz(request: Request) -> Response:
    """The service can do its work; 503 where the database is away or has another schema."""
    database: Database = request.app.state.database
    try:
        await database.check()
    except DatabaseError as error:
        log.warning("not ready: %s", error)
        return JSONResponse({"status": "unavailable"}, 503)
    return JSONResponse({"status": "ok"})
