"""The audit trail: an action's own transaction writes its event. Insert only; numbering and chaining come later."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event, body_hash
from gatepost.service.database import Scope


async def record(
    scope: Scope, event: Event, actor: str, body: Mapping[str, Any], organization_id: UUID | None = None
) -> None:
    """Write down that ``actor`` (a name, or a connector's id) did this. ``body`` holds JSON values and no secret."""
    await record_all(scope, [(event, body)], actor, organization_id)


async def record_all(
    scope: Scope, happened: Iterable[tuple[Event, Mapping[str, Any]]], actor: str, organization_id: UUID | None = None
) -> None:
    """Write down several events of one actor in one round trip."""
    rows = [
        {"name": Event(event).value, "body": dict(body), "body_hash": body_hash(dict(body))} for event, body in happened
    ]
    if rows:
        await scope.together("audit.insert", rows, actor=actor, address=scope.address, organization_id=organization_id)
