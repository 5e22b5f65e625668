"""``/api/v1``: the same for scripts. Sign in with ``POST /api/v1/sessions``, then send the token as a bearer."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from gatepost import __version__
from gatepost.service.web.api.alerts import router as alerts
from gatepost.service.web.api.connections import router as connections
from gatepost.service.web.api.devices import router as devices
from gatepost.service.web.api.directory import router as directory
from gatepost.service.web.api.entries import router as entries
from gatepost.service.web.api.events import router as events
from gatepost.service.web.api.holds import router as holds
from gatepost.service.web.api.notices import router as notices
from gatepost.service.web.api.policies import router as policies
from gatepost.service.web.api.removal import router as removal
from gatepost.service.web.api.report import router as report
from gatepost.service.web.api.sessions import router as sessions
from gatepost.service.web.api.sources import router as sources
from gatepost.service.web.permissions import declared, public

PREFIX = "/api/v1"
router = APIRouter()
router.routes.extend(
    [
        *sessions.routes,
        *devices.routes,
        *connections.routes,
        *removal.routes,
        *policies.routes,
        *report.routes,
        *entries.routes,
        *holds.routes,
        *alerts.routes,
        *notices.routes,
        *events.routes,
        *directory.routes,
        *sources.routes,
    ]
)


@router.get(f"{PREFIX}/openapi.json", include_in_schema=False, dependencies=[public("describes the API, no tenant")])
async def openapi(request: Request) -> JSONResponse:
    """The description of the API, with the permission that each call needs."""
    return JSONResponse(describe(request.app))


def describe(app: FastAPI) -> dict[str, object]:
    """OpenAPI of ``/api/v1``."""
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.path.startswith(PREFIX)]
    document = get_openapi(title="Gatepost", version=__version__, routes=routes, description=__doc__)
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"].get(route.path, {}).get(method.lower())
            if operation is not None:
                operation["x-permission"] = declared(route)
                if not declared(route).startswith("public"):
                    operation["security"] = [{"session": []}]
    document.setdefault("components", {})["securitySchemes"] = {"session": {"type": "http", "scheme": "bearer"}}
    return document
