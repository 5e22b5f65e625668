"""The audit trail: an action's own transaction writes its event. Insert only; numbering and chaining come later."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event, body_hash
from gatepost.service.database import Scope


async def record(
    scope: Scope, event: Event, actor: str, body: Mapping[str, Any], organization_id: UUID | None = None
) -> None:
    """Write down that ``actor`` (a name, or a connector's id) did this. ``body`` holds JSON values and no secret."""
    details = dict(body)
    await scope.run(
        "audit.insert",
        name=Event(event).value,
        actor=actor,
        body=details,
        body_hash=body_hash(details),
        organization_id=organization_id,
    )
