"""Holds: what the guard did not let through, until a second person approves it, refuses it, or a week is over.

An approval names the digest of what was looked at, so that nothing is approved unseen: while a hold is open, and for no
longer than an hour, newcomers of the same cause join it and its digest is another one; afterwards they come into a new
hold. What is approved is decided once more, and let through only where it is still wanted as it was seen.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from gatepost.domain.desired import Level
from gatepost.domain.events import Event
from gatepost.domain.guards import WINDOW_MINUTES, Verb
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.access import budget, due
from gatepost.service.access.due import Cause
from gatepost.service.access.publishing import lock_head
from gatepost.service.administrators.approving import ensure_may_approve
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.ledger import Key

HOLD = "hold"
SERVICE = "service"
DECIDED_WITHIN = timedelta(days=7)
ITEMS_KEPT = timedelta(days=90)
RECENT = timedelta(hours=24)
LONGEST_WHY = 500
LISTED = 200


class HoldState(StrEnum):
    """How it stands with a hold; ``over``: nothing in it is wanted any more."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    OVER = "over"


class ItemState(StrEnum):
    """What became of one thing in a hold; in one that was refused, ``held`` ones stay held."""

    HELD = "held"
    RELEASED = "released"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Item:
    """Where one device id of a mailbox is held: the level that is wanted, and what wants it."""

    hold_id: UUID
    level: Level
    state: HoldState
    cause: Cause

    @property
    def approved(self) -> bool:
        """Whether it is let through when it is decided next."""
        return self.state is HoldState.APPROVED


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. ``people`` and ``devices`` are what waits in it; ``by`` is the name of who is behind the cause."""

    hold_id: UUID
    organization_id: UUID
    organization: str
    verb: Verb
    cause: Cause
    about: str
    by: str
    state: HoldState
    opened_at: datetime
    gathers_until: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    why: str
    people: int
    devices: int
    released: int
    dropped: int


# -- for the guard; the caller holds the organization's head -----------------------------------------------------------


async def standing(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> Mapping[Key, Item]:
    """Those of these that a hold keeps, open, refused, or approved and not yet let through."""
    rows = await scope.all("holds.standing", organization_id=organization_id, **_arrays(keys))
    return {(row["mailbox_guid"], row["device_id"]): _item(row) for row in rows}


async def cause_behind(scope: Scope, cause: Cause) -> Cause:
    """What asked for what a hold let through; any other cause is itself."""
    row = await scope.one("holds.cause", hold_id=cause.ref) if cause.kind == HOLD else None
    return Cause(row["cause"], row["ref"], row["by_id"]) if row else cause


async def add(scope: Scope, organization_id: UUID, verb: Verb, cause: Cause, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put items into the hold of their cause that still gathers, else into a new one."""
    columns = {"verb": verb.value, "cause": cause.kind, "ref": cause.ref, "by_id": cause.by_id}
    found = await scope.one("holds.gathering", organization_id=organization_id, **columns)
    if found is None:
        limits = {"minutes": WINDOW_MINUTES, "expires_at": datetime.now(UTC) + DECIDED_WITHIN}
        found = await scope.one("holds.open", organization_id=organization_id, **columns, **limits)
        assert found is not None
        details = {"hold": str(found["hold_id"]), "verb": verb.value, "cause": cause.kind, "about": cause.ref}
        await audit.record(scope, Event.HOLD_OPENED, SERVICE, {**details, "by": found["by"]}, organization_id)
    await scope.together("holds.add_items", rows, organization_id=organization_id, hold_id=found["hold_id"])


async def end_items(scope: Scope, organization_id: UUID, keys: Sequence[Key], state: ItemState) -> None:
    """These wait no more."""
    if keys:
        await scope.run("holds.end_items", organization_id=organization_id, state=state.value, **_arrays(keys))


async def drop_rest(scope: Scope, organization_id: UUID, keys: Sequence[Key], cause: Cause) -> None:
    """An approved hold was carried out for these: what could not be let through then, never is by this approval."""
    if cause.kind == HOLD and keys:
        await scope.run("holds.drop_rest", organization_id=organization_id, hold_id=cause.ref, **_arrays(keys))


async def drop_all(scope: Scope, organization_id: UUID) -> None:
    """The connection is at its end: nothing waits in its holds any more, and if it lives on all is decided anew."""
    await scope.run("holds.drop_all", organization_id=organization_id)
    await end_empty(scope, organization_id)


async def end_empty(scope: Scope, organization_id: UUID) -> None:
    """Open holds of which nothing is wanted any more are over."""
    ended = await scope.all("holds.end_empty", organization_id=organization_id)
    happened = [
        (Event.HOLD_OVER, {"hold": str(row["hold_id"]), "before": HoldState.OPEN.value, "after": HoldState.OVER.value})
        for row in ended
    ]
    await audit.record_all(scope, happened, SERVICE, organization_id)


# -- for people --------------------------------------------------------------------------------------------------------


async def listing(scope: Scope, states: Collection[HoldState] = tuple(HoldState), limit: int = LISTED) -> list[Hold]:
    """The holds of a tenant: those that are open first, then the newest."""
    rows = await scope.all("holds.listing", hold_id=None, states=[state.value for state in states], limit=limit)
    return [_hold(row) for row in rows]


async def find(scope: Scope, hold_id: UUID) -> Hold:
    """One hold. Raises Problem 404."""
    rows = await scope.all("holds.listing", hold_id=hold_id, states=[state.value for state in HoldState], limit=1)
    if not rows:
        raise Problem(404, "not-found", "There is no such hold.")
    return _hold(rows[0])


async def digest(scope: Scope, hold_id: UUID) -> str:
    """What an approval is about: every item that ever came into the hold, as it was when it came."""
    row = await scope.one("holds.digest", hold_id=hold_id)
    return str(row["digest"]) if row else ""


async def items(scope: Scope, hold_id: UUID, limit: int, after: Key | None = None) -> list[dict[str, Any]]:
    """What is in a hold, by mailbox and device id, ``still``: whether it is decided so now; ``limit`` at a time."""
    mailbox, device_id = after or (None, "")
    return await scope.all("holds.items", hold_id=hold_id, after_mailbox=mailbox, after_device=device_id, limit=limit)


async def reasons(scope: Scope, hold_id: UUID) -> list[dict[str, Any]]:
    """Why: how many people and devices wait for each reason, the most first."""
    return await scope.all("holds.reasons", hold_id=hold_id)


async def open_of(scope: Scope, kind: str, ref: str = "") -> int:
    """How many holds of a kind of cause are open; of all there are with that ``ref`` where one is given."""
    row = await scope.one("holds.open_of", cause=kind, ref=ref)
    return int(row["open"]) if row else 0


async def approve(scope: Scope, hold_id: UUID, digest_seen: str, person: Person) -> Hold:
    """Approve what was looked at: what is still wanted so is decided once more, and let through.

    Whoever let the policy hold that decides so does not approve what comes of it by the clock or an inventory alone,
    nor anything held within a day of that: a short grace period would be a way around the second person.

    Raises Problem 404, 409 ``hold-decided`` where it is not open, ``hold-changed`` where somebody joined it since,
    403 ``approval-…`` for who may not approve.
    """
    hold = await _locked(scope, hold_id, {HoldState.OPEN})
    too = [row["began_id"] for row in await scope.all("holds.behind", hold_id=hold_id, since=hold.opened_at - RECENT)]
    await ensure_may_approve(scope, person, hold.cause.by_id, hold.opened_at, too)
    known = await digest(scope, hold_id)
    if digest_seen != known:
        raise Problem(
            409,
            "hold-changed",
            "More was held since you looked. Look at it again, and decide anew.",
            digest=known,
            people=hold.people,
        )
    await _decide(scope, hold, HoldState.APPROVED, person.name, digest=known, decided_id=person.administrator_id)
    await scope.run("holds.drop_changed", hold_id=hold_id)
    keys = [(row["mailbox_guid"], row["device_id"]) for row in await scope.all("holds.to_release", hold_id=hold_id)]
    await due.mark(scope, hold.organization_id, keys, Cause(HOLD, str(hold_id)))
    counts = {"people": hold.people, "devices": hold.devices, "digest": known, "asked_by": hold.by}
    await _tell(scope, hold, HoldState.APPROVED, Event.HOLD_APPROVED, person.name, **counts)
    return await find(scope, hold_id)


async def refuse(scope: Scope, hold_id: UUID, why: str, person: Person) -> Hold:
    """Let what is published stay. Raises Problem 404, 409 ``hold-decided``, 400 for a reason that cannot be kept."""
    said = why.strip()
    if len(said) > LONGEST_WHY or not said.isprintable():
        raise Problem(400, "malformed", f"A reason has at most {LONGEST_WHY} characters, on one line.", place="why")
    hold = await _locked(scope, hold_id, {HoldState.OPEN})
    await _decide(scope, hold, HoldState.REFUSED, person.name, why=said, decided_id=person.administrator_id)
    await _tell(scope, hold, HoldState.REFUSED, Event.HOLD_REFUSED, person.name, why=said, people=hold.people)
    return await find(scope, hold_id)


async def reopen(scope: Scope, hold_id: UUID, person: Person) -> Hold:
    """Look again at what was refused, by a person or by time. Raises Problem 404, 409 where it was not, or is empty."""
    hold = await _locked(scope, hold_id, {HoldState.REFUSED})
    if not hold.devices:
        raise _decided(hold)
    await scope.run("holds.reopen", hold_id=hold_id, expires_at=datetime.now(UTC) + DECIDED_WITHIN)
    await _tell(scope, hold, HoldState.OPEN, Event.HOLD_REOPENED, person.name, people=hold.people)
    return await find(scope, hold_id)


async def expire_holds(database: Database, tenant_id: UUID) -> None:
    """What nobody decided in time is refused; what is long over is forgotten, and so are uses of budgets."""
    now = datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        for row in await scope.all("holds.expired", now=now):
            hold = await _locked(scope, row["hold_id"], {HoldState.OPEN})
            await _decide(scope, hold, HoldState.REFUSED, SERVICE)
            await _tell(scope, hold, HoldState.REFUSED, Event.HOLD_EXPIRED, SERVICE, people=hold.people)
    async with database.tenant(tenant_id) as scope:
        await scope.run("holds.forget_items", before=now - ITEMS_KEPT)
        await scope.run("budget.prune", before=now - budget.KEPT)


# -- steps -------------------------------------------------------------------------------------------------------------


async def _locked(scope: Scope, hold_id: UUID, states: Collection[HoldState]) -> Hold:
    """A hold that nobody else decides or adds to until the transaction ends, in one of these states."""
    await lock_head(scope, (await find(scope, hold_id)).organization_id)
    hold = await find(scope, hold_id)
    if hold.state not in states:
        raise _decided(hold)
    return hold


def _decided(hold: Hold) -> Problem:
    return Problem(409, "hold-decided", "Nothing of this hold waits for that any more.", state=hold.state)


async def _decide(
    scope: Scope,
    hold: Hold,
    state: HoldState,
    by: str,
    *,
    why: str = "",
    digest: str | None = None,
    decided_id: UUID | None = None,
) -> None:
    said = {"state": state.value, "digest": digest, "decided_id": decided_id, "decided_by": by, "why": why}
    await scope.run("holds.decide", hold_id=hold.hold_id, **said)


async def _tell(scope: Scope, hold: Hold, state: HoldState, event: Event, actor: str, **details: object) -> None:
    about = {"hold": str(hold.hold_id), "verb": hold.verb.value, "cause": hold.cause.kind, "about": hold.cause.ref}
    change = {"before": hold.state.value, "after": state.value}
    await audit.record(scope, event, actor, {**about, **details, **change}, hold.organization_id)


def _arrays(keys: Sequence[Key]) -> dict[str, Any]:
    return {"mailbox_guids": [mailbox for mailbox, _ in keys], "device_ids": [device_id for _, device_id in keys]}


def _item(row: Mapping[str, Any]) -> Item:
    cause = Cause(row["cause"], row["ref"], row["by_id"])
    return Item(row["hold_id"], Level(row["level"]), HoldState(row["state"]), cause)


def _hold(row: Mapping[str, Any]) -> Hold:
    names = ("hold_id", "organization_id", "organization", "opened_at", "gathers_until", "expires_at", "decided_by")
    counts = ("decided_at", "why", "people", "devices", "released", "dropped", "about", "by")
    return Hold(
        verb=Verb(row["verb"]),
        cause=Cause(row["cause"], row["ref"], row["by_id"]),
        state=HoldState(row["state"]),
        **{name: row[name] for name in (*names, *counts)},
    )
