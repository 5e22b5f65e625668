"""Sources of compliance: who they are, whether their word is fresh, and what of it is held.

A source is fresh for so long after its last complete list; one that never sent a complete list, after its last report.
Past that, or while something is held, every decision that asked for compliance stays as it is (domain.access). Whenever
the state of all sources together changes by an act, what depends on it is to be decided anew; that they grow stale by
time changes nothing, so nothing needs to be marked then.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from gatepost.domain.access import BY_COMPLIANCE, Reason
from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.access import due
from gatepost.service.access.due import Cause
from gatepost.service.access.facts import source_state
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import doubts, standing
from gatepost.service.database import Scope

SHORTEST, LONGEST = 60, 30 * 86_400
USUAL = 86_400
LONGEST_NAME = 200
ASKED_FOR_COMPLIANCE = BY_COMPLIANCE | {Reason.STALE, Reason.AMBIGUOUS, Reason.NO_SOURCE, Reason.PRE_APPROVED}
Row = Mapping[str, Any]


async def add(scope: Scope, name: str, fresh_for: int, person: Person) -> UUID:
    """Add a source; its id. Raises Problem 400, 409 ``name-taken``."""
    await scope.one("directory.lock")
    await _check(scope, name, fresh_for, None)
    source_id = uuid4()
    async with changing(scope, cause_of(source_id, person)):
        await scope.run("compliance.add_source", source_id=source_id, name=name.strip(), fresh_for=fresh_for)
    await audit.record(scope, Event.SOURCE_ADDED, person.name, {"name": name.strip(), "fresh_for": fresh_for})
    return source_id


async def change(scope: Scope, source_id: UUID, name: str, fresh_for: int, enabled: bool, person: Person) -> None:
    """Change a source; one that is switched off says nothing. Raises Problem 400, 404, 409 ``name-taken``."""
    await scope.one("directory.lock")
    before = await find(scope, source_id)
    await _check(scope, name, fresh_for, source_id)
    after = {"name": name.strip(), "fresh_for": fresh_for, "enabled": enabled}
    async with changing(scope, cause_of(source_id, person)):
        await scope.run("compliance.change_source", source_id=source_id, **after)
        if before["enabled"] != enabled:
            said = await scope.all("compliance.of_source", source_id=source_id)
            await standing.refresh(scope, said, cause_of(source_id, person))
    was = {name: before[name] for name in after}
    await audit.record(
        scope, Event.SOURCE_CHANGED, person.name, {"name": before["name"], "before": was, "after": after}
    )


async def accept(scope: Scope, source_id: UUID, person: Person) -> None:
    """Believe again what the source said before, and let its next report do what was held.

    Raises Problem 404, 409 ``nothing-held``, 409 ``empty-list``: an empty list is never believed.
    """
    await scope.one("directory.lock")
    source = await find(scope, source_id)
    held = source["held"]
    if held is None:
        raise Problem(409, "nothing-held", "Nothing of this source is held.")
    if held["why"] == doubts.EMPTY:
        raise Problem(409, "empty-list", "An empty list is never believed. Switch the source off if it is at its end.")
    accepted = {name: held[name] for name in ("missing", "recovering")}
    async with changing(scope, cause_of(source_id, person)):
        await scope.run("compliance.accept", source_id=source_id, accepted=accepted)
    body = {"name": source["name"], "why": held["why"], **accepted}
    await audit.record(scope, Event.SOURCE_ACCEPTED, person.name, body)


async def hold(scope: Scope, source: Row, why: str, effect: doubts.Effect, person: Person) -> None:
    """Believe a source no more. The first time is written down, repetitions are not."""
    held = {"why": why, "at": iso(datetime.now(UTC)), **effect.document()}
    if source["held"] and source["held"]["why"] == why:
        held["at"] = source["held"]["at"]
    else:
        body = {"name": source["name"], "why": why, **effect.document()}
        await audit.record(scope, Event.SOURCE_HELD, person.name, body)
    async with changing(scope, cause_of(source["source_id"], person)):
        await scope.run("compliance.hold", source_id=source["source_id"], held=held)


async def find(scope: Scope, source_id: UUID) -> Row:
    """One source, locked. Raises Problem 404."""
    source = await scope.one("compliance.source", source_id=source_id)
    if source is None:
        raise Problem(404, "not-found", "There is no such source.")
    return source


async def all_of(scope: Scope, now: datetime) -> list[dict[str, Any]]:
    """Every source with its counts, and ``state``: off, held, fresh or stale."""
    return [{**row, "state": state_of(row, now)} for row in await scope.all("compliance.sources")]


def state_of(source: Row, now: datetime) -> str:
    """How far a source's word counts."""
    if not source["enabled"]:
        return "off"
    if source["held"] is not None:
        return "held"
    fresh_at = source["fresh_at"]
    age = (now - fresh_at).total_seconds() if fresh_at else None
    return "fresh" if age is not None and age <= source["fresh_for"] else "stale"


def cause_of(source_id: UUID, person: Person) -> Cause:
    """A source asks for a decision; who told its word is behind it: nobody approves what comes of their own report."""
    return Cause("source", str(source_id), person.administrator_id)


@asynccontextmanager
async def changing(scope: Scope, cause: Cause) -> AsyncIterator[None]:
    """Where the state of all sources together is another one afterwards, what asked for compliance is due."""
    now = datetime.now(UTC)
    before = await source_state(scope, now)
    yield
    if await source_state(scope, now) is not before:
        await due.mark_decided(scope, ASKED_FOR_COMPLIANCE, cause)
        await due.mark_ahead(scope, cause)


async def _check(scope: Scope, name: str, fresh_for: int, source_id: UUID | None) -> None:
    if not name.strip() or len(name.strip()) > LONGEST_NAME or not name.strip().isprintable():
        raise Problem(400, "malformed", f"A name has 1 to {LONGEST_NAME} visible characters.", place="name")
    if not SHORTEST <= fresh_for <= LONGEST:
        raise Problem(
            400, "malformed", f"fresh_for is a number of seconds from {SHORTEST} to {LONGEST:,}.", place="fresh_for"
        )
    if await scope.one("compliance.named", name=name.strip(), source_id=source_id):
        raise Problem(409, "name-taken", "There is a source with this name already.", place="name")
