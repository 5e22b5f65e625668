"""The ends of a connection: asked for, approved where many would lose access, undone, done or cancelled.

``leave``, ``file`` and ``force`` change nothing at Exchange, so they are done at once. ``undo`` publishes *hands off*
for everything of ours; the connector goes on until all is read back as taken off, and then the connection is removed.
Each step is one transaction: whoever is killed between two finds one of the states that docs/protocol.md lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.domain.guards import Verb
from gatepost.errors import Problem
from gatepost.service import access, audit
from gatepost.service.access import budget, due, holds
from gatepost.service.access.due import Cause
from gatepost.service.administrators.approving import ensure_may_approve
from gatepost.service.administrators.person import Person
from gatepost.service.connections import no_organization
from gatepost.service.database import Database, Scope
from gatepost.service.removal.preview import Preview, preview

SERVICE = "service"
OVER = "The connection was removed."
ROWS_A_REVISION = 1_000
EVENTS_AT_ONCE = 5_000


class Ending(StrEnum):
    """What becomes of our entries at the end."""

    LEAVE = "leave"
    FILE = "file"
    UNDO = "undo"
    FORCE = "force"


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal, as asked for. ``state`` is asked, undoing, done or cancelled; the numbers are of its preview."""

    removal_id: UUID
    ending: str
    state: str
    digest: str
    gaining: int
    losing: int
    entries: int
    asked_id: UUID
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    why: str

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an undoing is: entries ``left`` of those there were, by what the connector last said of each."""

    entries: int
    left: int
    results: Mapping[str, int]


async def latest(scope: Scope, organization_id: UUID) -> Removal | None:
    """The removal that is open, else the last one; None where there never was one."""
    row = await scope.one("removals.latest", organization_id=organization_id)
    return Removal(**row) if row else None


async def ask(scope: Scope, organization_id: UUID, ending: str, digest: str, person: Person) -> Removal:
    """Remove a connection. An undoing begins at once, or waits for an approval where too many would lose access.

    ``digest`` is of the preview that was seen, for an undoing. Raises Problem 404, 400 for another ending, 409
    ``removed`` where it is removed, ``removing`` where that is under way, ``preview-changed``.
    """
    if ending not in tuple(Ending):
        raise Problem(400, "malformed", "ending is leave, file, undo or force.", place="ending")
    organization = await _lock(scope, organization_id)
    if organization["state"] == "removed":
        raise Problem(409, "removed", "This connection is removed already.")
    seen = await preview(scope, organization_id)
    standing = await latest(scope, organization_id)
    if standing and standing.is_open:
        if ending == Ending.UNDO:
            raise Problem(409, "removing", "The entries are being taken back already, or that waits for an approval.")
        await _end(
            scope, organization_id, standing, "cancelled", person.name, f"It was ended by another way: {ending}."
        )
    if ending == Ending.UNDO and digest != seen.digest:
        raise _changed(seen)
    removal = await _add(scope, organization_id, ending, seen, person)
    if ending != Ending.UNDO or not seen.entries:
        await _finish(scope, organization_id, removal, organization["state"], person.name)
    elif not seen.held:
        losing = {UUID(change.mailbox) for change in seen.effect.changes if change.loses}
        await budget.use(scope, organization_id, Verb.TAKE, losing)
        await _begin(scope, organization_id, removal, organization["state"], person.name)
    return await _known(scope, organization_id)


async def approve(scope: Scope, organization_id: UUID, digest: str, person: Person) -> Removal:
    """Approve what waits: the undoing begins. Nobody approves what they asked for, unless they are alone.

    Raises Problem 404, 409 ``not-asked``; ``preview-changed`` where another effect is to be expected by now; 403
    ``approval-`` and why this person may not.
    """
    organization = await _lock(scope, organization_id)
    removal = await latest(scope, organization_id)
    if removal is None or removal.state != "asked":
        raise Problem(409, "not-asked", "No removal waits for an approval. Load the page anew.")
    await ensure_may_approve(scope, person, removal.asked_id, removal.asked_at)
    seen = await preview(scope, organization_id)
    if not digest == removal.digest == seen.digest:
        raise _changed(seen)
    await scope.run(
        "removals.approve",
        removal_id=removal.removal_id,
        approved_id=person.administrator_id,
        approved_by=person.name,
    )
    details = {"digest": digest, "asked_by": removal.asked_by, "before": "asked", "after": "undoing", **seen.numbers}
    await audit.record(scope, Event.REMOVAL_APPROVED, person.name, details, organization_id)
    await _begin(scope, organization_id, removal, organization["state"], person.name)
    return await _known(scope, organization_id)


async def refresh(scope: Scope, organization_id: UUID, person: Person) -> Removal | None:
    """Ask anew, in this person's name, for what waits, where its effect is another by now; else nothing happens."""
    await _lock(scope, organization_id)
    removal = await latest(scope, organization_id)
    if removal is None or removal.state != "asked":
        return removal
    seen = await preview(scope, organization_id)
    if seen.digest != removal.digest:
        values = {"digest": seen.digest, **seen.numbers}
        asked = {"asked_id": person.administrator_id, "asked_by": person.name}
        await scope.run("removals.ask_anew", removal_id=removal.removal_id, **values, **asked)
        before = {name: getattr(removal, name) for name in values}
        details = {"ending": removal.ending, "before": before, "after": values}
        await audit.record(scope, Event.REMOVAL_ASKED, person.name, details, organization_id)
    return await _known(scope, organization_id)


async def cancel(scope: Scope, organization_id: UUID, person: Person) -> Removal:
    """Let the connection live on. What was taken back by then stays taken back. Raises Problem 409 ``not-removing``."""
    await _lock(scope, organization_id)
    removal = await latest(scope, organization_id)
    if removal is None or not removal.is_open:
        raise Problem(409, "not-removing", "Nothing is being removed. Load the page anew.")
    await _end(scope, organization_id, removal, "cancelled", person.name, "")
    if removal.state == "undoing":
        await scope.run("removals.set_state", organization_id=organization_id, state="connected")
        await due.mark_organization(scope, organization_id, Cause("removal", by_id=person.administrator_id))
    return await _known(scope, organization_id)


async def progress(scope: Scope, organization_id: UUID, removal: Removal) -> Progress:
    """How far an undoing is."""
    rows = await scope.all("removals.left", organization_id=organization_id)
    results = {row["result"]: row["entries"] for row in rows}
    return Progress(removal.entries, sum(results.values()), results)


async def advance(database: Database, tenant_id: UUID) -> None:
    """End the undoings of which everything is read back as taken off, each in its own transaction."""
    async with database.tenant(tenant_id) as scope:
        undoing = [row["organization_id"] for row in await scope.all("removals.undoing")]
    for organization_id in undoing:
        async with database.tenant(tenant_id) as scope:
            await _lock(scope, organization_id)
            removal = await latest(scope, organization_id)
            if (
                removal
                and removal.state == "undoing"
                and not await scope.all("removals.left", organization_id=organization_id)
            ):
                await _finish(scope, organization_id, removal, "removing", SERVICE)


# -- steps -------------------------------------------------------------------------------------------------------------


async def _lock(scope: Scope, organization_id: UUID) -> dict[str, Any]:
    organization = await scope.one("removals.lock", organization_id=organization_id)
    if organization is None:
        raise no_organization()
    return organization


async def _known(scope: Scope, organization_id: UUID) -> Removal:
    removal = await latest(scope, organization_id)
    assert removal is not None, "it was made in this transaction or before"
    return removal


async def _add(scope: Scope, organization_id: UUID, ending: str, seen: Preview, person: Person) -> Removal:
    """Write down what is asked for. Only an undoing that is held stays in this state."""
    state = "asked" if ending == Ending.UNDO and seen.held else "undoing"
    values = {"ending": ending, "digest": seen.digest, **seen.numbers}
    asked = {"asked_id": person.administrator_id, "asked_by": person.name}
    await scope.run("removals.add", organization_id=organization_id, state=state, **values, **asked)
    details = {**values, "held": state == "asked", "before": None, "after": state}
    await audit.record(scope, Event.REMOVAL_ASKED, person.name, details, organization_id)
    return await _known(scope, organization_id)


async def _begin(scope: Scope, organization_id: UUID, removal: Removal, before: str, actor: str) -> None:
    """Publish hands off for everything of ours; the connector takes it back as it would after any other change."""
    await access.lock_head(scope, organization_id)
    await _end_pins(scope, organization_id, actor)
    await holds.drop_all(scope, organization_id)
    key = {"organization_id": organization_id}
    counted = await scope.one("removals.count_wanted", **key)
    wanted = int(counted["wanted"]) if counted else 0
    steps = max(1, -(-wanted // ROWS_A_REVISION))
    raised = await scope.one("access.raise", **key, count=steps)
    assert raised is not None, "the head is locked"
    revision = int(raised["revision"]) - steps + 1
    await scope.run("removals.let_go", **key, reason=OVER, revision=revision, rows_a_revision=ROWS_A_REVISION)
    await scope.run("removals.release", **key, revision=revision)
    await scope.run("removals.set_state", **key, state="removing")
    details = {"asked": iso(removal.asked_at), "device_ids": wanted, "before": before, "after": "removing"}
    await audit.record(scope, Event.REMOVAL_BEGUN, actor, details, organization_id)


async def _finish(scope: Scope, organization_id: UUID, removal: Removal, before: str, actor: str) -> None:
    """The connection is removed: nobody is told anything more, and the ledger goes on to know whose entries are."""
    key = {"organization_id": organization_id}
    if await scope.one("access.lock_head", **key) is not None:  # there is none before the first enrolment
        await _end_pins(scope, organization_id, actor)
        await holds.drop_all(scope, organization_id)
        raised = await scope.one("access.raise", **key, count=1)
        await scope.run("removals.release", **key, revision=raised["revision"] if raised else 0)
        await scope.run("removals.forget_desired", **key)
    await scope.run("removals.set_state", **key, state="removed")
    await scope.run("removals.end", removal_id=removal.removal_id, state="done", ended_by=actor, why="")
    details = {"ending": removal.ending, "before": before, "after": "removed"}
    await audit.record(scope, Event.CONNECTION_REMOVED, actor, details, organization_id)


async def _end(scope: Scope, organization_id: UUID, removal: Removal, state: str, actor: str, why: str) -> None:
    await scope.run("removals.end", removal_id=removal.removal_id, state=state, ended_by=actor, why=why)
    details = {"ending": removal.ending, "why": why, "before": removal.state, "after": state}
    await audit.record(scope, Event.REMOVAL_CANCELLED, actor, details, organization_id)


async def _end_pins(scope: Scope, organization_id: UUID, actor: str) -> None:
    """Nothing is pinned any more; each pin that ends is an event."""
    ended = await scope.all("removals.end_pins", organization_id=organization_id)
    happened = [(Event.PIN_EXPIRED, _ended(row)) for row in ended]
    for start in range(0, len(happened), EVENTS_AT_ONCE):
        await audit.record_all(scope, happened[start : start + EVENTS_AT_ONCE], actor, organization_id)


def _ended(pin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mailbox": str(pin["mailbox_guid"]),
        "device_id": pin["device_id"],
        "level": pin["level"],
        "reason": pin["reason"],
        "until": iso(pin["until"]),
        "by": pin["by"],
        "why": OVER,
    }


def _changed(seen: Preview) -> Problem:
    return Problem(
        409,
        "preview-changed",
        "What this would do has changed since you looked. Look at it again, and decide anew.",
        digest=seen.digest,
        **seen.numbers,
    )
