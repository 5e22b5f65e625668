"""Connections for scripts: their state, and asking for a sync."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel

from gatepost.domain.contract import iso
from gatepost.service import connections
from gatepost.service.administrators import Session
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/connections", tags=["connections"])


class Asked(BaseModel):
    """Which sync is wanted."""

    kind: Literal["quick", "full"]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a connection
    """A value as JSON: times in UTC, pairs of name and count as an object."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value


def _document(connection: connections.Connection) -> dict[str, Any]:
    counted = {"states": dict(connection.states), "families": dict(connection.families)}
    document: dict[str, Any] = _plain(asdict(connection) | counted)
    return document


@router.get("")
async def listing(
    request: Request, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]
) -> dict[str, Any]:
    """Every connection of the tenant."""
    async with tenant_of(request, session) as scope:
        known = await connections.organizations(scope)
        found = [await connections.connection(scope, row["organization_id"]) for row in known]
    return {"connections": [_document(connection) for connection in found]}


@router.post("/{organization}/sync", status_code=202)
async def request_sync(
    request: Request,
    organization: UUID,
    asked: Asked,
    session: Annotated[Session, requires(Permission.CONNECTIONS_SYNC)],
) -> dict[str, str]:
    """Ask the connector for a sync; it begins as soon as it hears of it."""
    async with tenant_of(request, session) as scope:
        await connections.request_sync(scope, organization, asked.kind, session.name)
        row = await connections.organization(scope, organization)
    return {"sync_requested": row["sync_requested"]}
