"""Connections for scripts: their state, and asking for a sync."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel

from gatepost.domain.contract import iso
from gatepost.service import connections, enrolment
from gatepost.service.administrators import Session
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

router = APIRouter(prefix="/api/v1/connections", tags=["connections"])


class Reason(BaseModel):
    """Why something is done."""

    reason: str


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
    product = connection.product
    support = {
        "product": product.name if product else None,
        "supported": product.supported(datetime.now(UTC).date()) if product else None,
        "supported_until": product.supported_until.isoformat() if product and product.supported_until else None,
    }
    document: dict[str, Any] = _plain(
        asdict(connection) | counted | {"support": support, "outdated": connection.is_old}
    )
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


@router.get("/{organization}")
async def one(
    request: Request, organization: UUID, session: Annotated[Session, requires(Permission.CONNECTIONS_READ)]
) -> dict[str, Any]:
    """One connection."""
    async with tenant_of(request, session) as scope:
        return _document(await connections.connection(scope, organization))


@router.post("/{organization}/stop", status_code=202)
async def stop_writing(
    request: Request,
    organization: UUID,
    reason: Reason,
    session: Annotated[Session, requires(Permission.CONNECTIONS_STOP)],
) -> dict[str, Any]:
    """Let nobody write to Exchange from now on."""
    async with tenant_of(request, session) as scope:
        await connections.stop_writing(scope, organization, reason.reason, session.name)
        return _document(await connections.connection(scope, organization))


@router.post("/{organization}/release", status_code=202)
async def release_writing(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_STOP, step_up=True)],
) -> dict[str, Any]:
    """Let the connector write again."""
    async with tenant_of(request, session) as scope:
        await connections.release_writing(scope, organization, session.name)
        return _document(await connections.connection(scope, organization))


@router.post("/{organization}/revoke", status_code=202)
async def revoke(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_REMOVE, step_up=True)],
) -> dict[str, bool]:
    """End what the connector may do, at once; whether there was one."""
    async with tenant_of(request, session) as scope:
        await connections.organization(scope, organization)
        return {"revoked": await enrolment.revoke(scope, organization, session.name)}


@router.post("/{organization}/late-renewal", status_code=202)
async def allow_late_renewal(
    request: Request,
    organization: UUID,
    session: Annotated[Session, requires(Permission.CONNECTIONS_SETUP, step_up=True)],
) -> dict[str, str | None]:
    """Let the connector renew a certificate that has ended; until when, null where there is no connector."""
    async with tenant_of(request, session) as scope:
        await connections.organization(scope, organization)
        return {"until": iso(await enrolment.allow_late_renewal(scope, organization, session.name))}
