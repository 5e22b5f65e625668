"""Reports of a source: guarded, kept, linked, and what they change marked for decision, in one transaction.

A record is kept where it is not older than the one before it, so that a report that comes twice, late or in another
order changes nothing. ``checked_at`` is when the source looked; a moment that is still to come counts as now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import sources, standing
from gatepost.service.compliance.doubts import WINDOW, Effect, doubt
from gatepost.service.database import Scope

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a report: how many records say something else now, how many are forgotten; ``held``: why it is."""

    changed: int = 0
    removed: int = 0
    held: str | None = None
    effect: Effect | None = None


async def report(scope: Scope, source_id: UUID, rows: Sequence[Row], *, complete: bool, person: Person) -> Reported:
    """Take a report: ``managed_id``, ``state``, ``device_ids``, ``user_name``, ``name``, ``checked_at`` or None.

    The caller commits also what is held. Raises Problem 404, 409 ``source-off``.
    """
    await scope.one("directory.lock")
    source = await sources.find(scope, source_id)
    if not source["enabled"]:
        raise Problem(409, "source-off", "This source is switched off, so nothing of it is kept.")
    now = datetime.now(UTC)
    told = [{**row, "checked_at": min(row["checked_at"] or now, now)} for row in rows]
    effect = await _effect(scope, source_id, told, now, complete=complete)
    why = doubt(effect, source["accepted"])
    if why is not None:
        await sources.hold(scope, source, why, effect, person)
        return Reported(held=why, effect=effect)
    said = await scope.together("compliance.put_records", told, source_id=source_id, now=now)
    lost = []
    if complete and effect.missing:
        kept = [row["managed_id"] for row in told]
        lost = await scope.all("compliance.remove_others", source_id=source_id, managed_ids=kept)
        await audit.record(scope, Event.RECORDS_FORGOTTEN, person.name, {"name": source["name"], "gone": len(lost)})
    async with sources.changing(scope, sources.cause_of(source_id, person)):
        await _believe(scope, source, effect, now)
    await standing.refresh(scope, [*said, *lost], sources.cause_of(source_id, person))
    return Reported(len(said), len(lost))


async def remove(scope: Scope, source_id: UUID, managed_id: str, person: Person) -> None:
    """Forget one record. Raises Problem 404."""
    await scope.one("directory.lock")
    source = await sources.find(scope, source_id)
    lost = await scope.all("compliance.remove", source_id=source_id, managed_id=managed_id)
    if not lost:
        raise Problem(404, "not-found", "This source has no such record.")
    await audit.record(
        scope, Event.RECORDS_FORGOTTEN, person.name, {"name": source["name"], "subject": managed_id, "gone": 1}
    )
    await standing.refresh(scope, lost, sources.cause_of(source_id, person))


async def page(scope: Scope, source_id: UUID, after: str, limit: int) -> list[dict[str, Any]]:
    """A page of what a source reports, after a record's id. Raises Problem 404."""
    await sources.find(scope, source_id)
    return await scope.all("compliance.records", source_id=source_id, after=after, limit=limit)


async def of_device(scope: Scope, device_id: str) -> list[dict[str, Any]]:
    """What every source says of a device id: the evidence of how it stands."""
    return await scope.all("compliance.of_device", device_id=device_id)


async def _effect(scope: Scope, source_id: UUID, told: Sequence[Row], now: datetime, *, complete: bool) -> Effect:
    """What a report would do; where it neither leaves anything out nor calls anything good, nothing is counted."""
    met = await scope.together("compliance.told", told, source_id=source_id)
    recovering, known_too = met[0]["recovering"], met[0]["met"]
    if not complete and not recovering:
        return Effect(0, 0, 0, 0, 0, len(told), complete)
    found = await scope.one("compliance.standing", source_id=source_id, since=now - WINDOW)
    assert found is not None
    missing = found["known"] - known_too if complete else 0
    return Effect(found["known"], found["failing"], found["recovered"], missing, recovering, len(told), complete)


async def _believe(scope: Scope, source: Row, effect: Effect, now: datetime) -> None:
    """Let the source be fresh, if its word says so: a complete list, or any from one that never sent such a list.

    What was held stays held until a complete list may be believed, or it is accepted.
    """
    if effect.complete:
        values: dict[str, Any] = {"fresh_at": now, "complete_at": now, "accepted": None}
    elif source["held"] is None and effect.told and source["complete_at"] is None:
        values = {"fresh_at": now, "complete_at": None, "accepted": _left(source["accepted"], effect)}
    else:
        return
    await scope.run("compliance.believe", source_id=source["source_id"], **values)


def _left(accepted: Row | None, effect: Effect) -> dict[str, Any] | None:
    """What is still let through after a report: an acceptance that it needed is used up."""
    if accepted is None or doubt(effect, None) is not None:
        return None
    return dict(accepted)
