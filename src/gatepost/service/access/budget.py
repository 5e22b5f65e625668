"""The guard's budgets: how many people may newly lose or gain access in an hour, and who did.

A tenant may set them; else they follow from the number of devices (domain.guards). Making one smaller counts at once,
making one larger waits for a second person: else whoever is to be guarded against would lift the guard first.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gatepost.domain import guards
from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.domain.guards import WINDOW_MINUTES, Verb
from gatepost.errors import Problem
from gatepost.service import audit, connections
from gatepost.service.administrators.approving import ensure_may_approve
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope

MOST = 1_000_000
KEPT = timedelta(days=31)
"""A ring of a rollout may last for thirty days, and is to know who lost access since it began."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Budgets that somebody asked for and nobody approved yet; None is what the number of devices gives."""

    take: int | None
    give: int | None
    asked_id: UUID
    asked_by: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Settings:
    """The tenant's own budgets, None where it is what the number of devices gives; and what is asked for."""

    take: int | None = None
    give: int | None = None
    set_by: str = ""
    set_at: datetime | None = None
    wish: Wish | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """People who may newly lose (or gain) access within the window, and those who did; ``standard``: by devices."""

    limit: int
    standard: int
    used: int

    @property
    def left(self) -> int:
        """How many more may."""
        return max(self.limit - self.used, 0)


async def settings(scope: Scope) -> Settings:
    """The tenant's settings."""
    row = await scope.one("budget.settings")
    if row is None:
        return Settings()
    wish = None
    if row["asked_at"] is not None:
        wish = Wish(row["asked_take"], row["asked_give"], row["asked_id"], row["asked_by"], row["asked_at"])
    return Settings(row["take"], row["give"], row["set_by"], row["set_at"], wish)


async def budgets(scope: Scope, organization_id: UUID) -> Mapping[Verb, Budget]:
    """Both budgets of an organization, and how far they are used now."""
    own = await settings(scope)
    devices = (await connections.counters(scope, organization_id)).get("devices", 0)
    used = await scope.all("budget.used", organization_id=organization_id, minutes=WINDOW_MINUTES)
    counts = {row["verb"]: int(row["people"]) for row in used}
    limits = {Verb.TAKE: own.take, Verb.GIVE: own.give}
    return {verb: _budget(guards.budget(devices, verb), limits[verb], counts.get(verb, 0)) for verb in Verb}


async def counted(scope: Scope, organization_id: UUID, verb: Verb, people: Collection[UUID]) -> set[UUID]:
    """Which of these people are in the window already."""
    values = {"verb": verb.value, "mailbox_guids": list(people), "minutes": WINDOW_MINUTES}
    rows = await scope.all("budget.counted", organization_id=organization_id, **values)
    return {row["mailbox_guid"] for row in rows}


async def spent_by_hand(scope: Scope, organization_id: UUID, verb: Verb, pinned_by: UUID, mailbox: UUID) -> bool:
    """Whether an administrator's pins concern as many other people within the window as one may by hand."""
    devices = (await connections.counters(scope, organization_id)).get("devices", 0)
    who = {"pinned_by": pinned_by, "but": mailbox, "minutes": WINDOW_MINUTES}
    row = await scope.one("budget.by_hand", organization_id=organization_id, verb=verb.value, **who)
    return row is not None and int(row["people"]) >= guards.by_hand(devices, verb)


async def use(
    scope: Scope, organization_id: UUID, verb: Verb, people: Collection[UUID], pinned_by: UUID | None = None
) -> None:
    """These people newly lose (or gain) access now; by somebody's pin, where ``pinned_by`` names them."""
    if people:
        values = {"verb": verb.value, "mailbox_guids": sorted(people), "pinned_by": pinned_by}
        await scope.run("budget.use", organization_id=organization_id, **values)


async def ask(scope: Scope, take: int | None, give: int | None, person: Person) -> Settings:
    """Set both budgets, None for what the number of devices gives. Where one grows, they wait for a second person.

    Raises Problem 400 for a number out of range.
    """
    for name, number in (("take", take), ("give", give)):
        if number is not None and not 0 <= number <= MOST:
            raise Problem(400, "malformed", f"A budget is a number from 0 to {MOST}, or empty.", place=name)
    known = await _lock(scope)
    before, after = _told(known.take, known.give), _told(take, give)
    if await _grows(scope, before, after):
        await scope.run("budget.ask", take=take, give=give, by_id=person.administrator_id, by=person.name)
        await audit.record(scope, Event.BUDGETS_ASKED, person.name, {"before": before, "after": after})
    else:
        await scope.run("budget.set", take=take, give=give, by=person.name)
        await audit.record(scope, Event.BUDGETS_SET, person.name, {"before": before, "after": after})
    return await settings(scope)


async def approve(scope: Scope, asked_at: str, person: Person) -> Settings:
    """Approve the budgets that were asked for at that moment (ISO 8601, as it was shown).

    Raises Problem 409 ``not-asked`` where none wait, ``preview-changed`` where others do by now, 403 for who may not.
    """
    known = await _lock(scope)
    wish = _waiting(known)
    if asked_at != iso(wish.asked_at):
        raise Problem(409, "preview-changed", "Other budgets are asked for by now. Look at them, and decide anew.")
    await ensure_may_approve(scope, person, wish.asked_id, wish.asked_at)
    await scope.run("budget.set", take=wish.take, give=wish.give, by=person.name)
    change = {"before": _told(known.take, known.give), "after": _told(wish.take, wish.give)}
    await audit.record(scope, Event.BUDGETS_SET, person.name, {"asked_by": wish.asked_by, **change})
    return await settings(scope)


async def refuse(scope: Scope, person: Person) -> Settings:
    """Let the budgets be what they are, whoever asked. Raises Problem 409 ``not-asked`` where none wait."""
    known = await _lock(scope)
    wish = _waiting(known)
    await scope.run("budget.forget")
    details = {"asked_by": wish.asked_by, "before": _told(wish.take, wish.give), "after": None}
    await audit.record(scope, Event.BUDGETS_REFUSED, person.name, details)
    return await settings(scope)


def _budget(standard: int, own: int | None, used: int) -> Budget:
    return Budget(standard if own is None else own, standard, used)


async def _lock(scope: Scope) -> Settings:
    """The settings, which nobody else changes until the transaction ends."""
    await scope.run("budget.begin")
    return await settings(scope)


def _waiting(known: Settings) -> Wish:
    if known.wish is None:
        raise Problem(409, "not-asked", "No budgets wait for an approval. Load the page anew.")
    return known.wish


async def _grows(scope: Scope, before: Mapping[str, int | None], after: Mapping[str, int | None]) -> bool:
    """Whether one of the budgets gets larger in any organization."""
    sizes = [int(row["devices"]) for row in await scope.all("budget.sizes")]

    def limit(told: Mapping[str, int | None], verb: Verb, devices: int) -> int:
        own = told[verb]
        return guards.budget(devices, verb) if own is None else own

    return any(limit(after, verb, size) > limit(before, verb, size) for verb in Verb for size in [0, *sizes])


def _told(take: int | None, give: int | None) -> dict[str, int | None]:
    """Both budgets by their verb, also for the audit trail."""
    return {Verb.TAKE.value: take, Verb.GIVE.value: give}
