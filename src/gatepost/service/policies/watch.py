"""Rollouts that look after themselves: one stops where something is wrong, else widens when its hours are over.

What counts as wrong is in docs/policy.md: people wait in a hold because of it; more people lost access than the preview
said; too many of its writes came to nothing; a connector is silent, so nobody knows what became of it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from gatepost.service.alerts.conditions import SILENT
from gatepost.service.database import Database, Scope
from gatepost.service.policies import rollout, versions
from gatepost.service.policies.preview import Wanted
from gatepost.service.policies.rings import Ring, Rollout, current
from gatepost.service.policies.worker import Worker

ROLLING = "rolling"
LEAST, SHARE = 5, 0.05
"""So many, and more than this share of all: of writes that came to nothing, or of people above the expected number."""


class Anomaly(StrEnum):
    """Why a rollout stopped by itself; kept as its ``why``."""

    HELD = "held"
    LOST = "lost"
    TROUBLED = "troubled"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen since the ring began.

    Open holds because of this version, people who lost access, writes that came to nothing (``troubled``) of those that
    the connector told of (``told``), and connectors that are silent.
    """

    holds: int
    lost: int
    troubled: int
    told: int
    silent: int

    def anomaly(self, expected: int | None) -> Anomaly | None:
        """What is wrong, the gravest first; None where nothing is."""
        if self.holds:
            return Anomaly.HELD
        if expected is not None and self.lost > expected + max(LEAST, expected * SHARE):
            return Anomaly.LOST
        if self.troubled >= LEAST and self.troubled > self.told * SHARE:
            return Anomaly.TROUBLED
        return Anomaly.SILENT if self.silent else None


async def watch(database: Database, tenant_id: UUID) -> None:
    """Stop the tenant's rollout where something is wrong, else widen it where its hours are over."""
    now = datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        known = await current(scope, lock=True)
        if known is None or known.state != ROLLING:
            return
        if anomaly := (await signs(scope, known, now)).anomaly(known.expected):
            await rollout.stop(scope, anomaly.value, None)
            return
    if is_over(known, now):
        await _widen(database, tenant_id, known)


def is_over(known: Rollout, now: datetime) -> bool:
    """Whether the ring has had its hours, and is to go on by itself."""
    return known.ring_hours is not None and now >= known.ring_since + timedelta(hours=known.ring_hours)


async def signs(scope: Scope, known: Rollout, now: datetime) -> Signs:
    """What is seen since the ring began."""
    row = await scope.one(
        "policies.signs", version=str(known.version), since=known.ring_since, silent_before=now - SILENT
    )
    assert row is not None
    return Signs(**row)


async def expected(
    worker: Worker, database: Database, tenant_id: UUID, version: int, ring: Ring, pilot: UUID | None
) -> int:
    """How many people would lose access if a version held within a ring. Raises Problem 404."""
    async with database.tenant(tenant_id) as scope:
        known = await versions.get(scope, version)
    seen = await worker.preview(tenant_id, Wanted(known.document, ring=ring, pilot=pilot))
    losing: int = seen["people_losing"]
    return losing


async def _widen(database: Database, tenant_id: UUID, known: Rollout) -> None:
    """The next ring, unless somebody changed the rollout meanwhile."""
    wider = known.ring.wider
    assert wider is not None, "a rollout that reaches everybody is done"
    worker = Worker(database.url)
    try:
        losing = await expected(worker, database, tenant_id, known.version, wider, known.pilot)
    finally:
        await worker.close()
    async with database.tenant(tenant_id) as scope:
        if await current(scope, lock=True) == known:
            await rollout.advance(scope, None, losing)
