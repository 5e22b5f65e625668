"""Who speaks for an organization: a connector whose signature was checked and that may speak now."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Connector:
    """An authenticated connector: who it is, the instance (one store of it) that speaks, and when it says it does.

    ``serial`` is its certificate's.
    """

    tenant_id: UUID
    connector_id: UUID
    organization_id: UUID
    epoch: int
    instance: UUID
    time: datetime
    serial: str = ""
