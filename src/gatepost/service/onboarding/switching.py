"""Switching the organization's default level: the last step of coming to Gatepost, and the way back in one step.

Exchange's engine is run for every device with the default as it is and as it would be. Where more people would lose
(or gain) access than the budget allows, the switch waits for a second person; else it is wished of Exchange at once,
and the connector changes it where its local administrator allows that (service.wishes).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain import guards
from gatepost.domain.engine import Organization, read_rules
from gatepost.domain.events import Event
from gatepost.domain.guards import Change, Effect, Verb
from gatepost.domain.wishes import WishName
from gatepost.errors import Problem
from gatepost.service import access, audit, connections, wishes
from gatepost.service.access import budget
from gatepost.service.access.budget import Budget
from gatepost.service.administrators.approving import ensure_may_approve
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.onboarding import stock
from gatepost.service.onboarding.stock import Standing

LEVELS = ("allow", "quarantine", "block")


@dataclass(frozen=True, slots=True)
class Preview:
    """What another default would do. ``devices`` are those that gain or lose, by their guid (text).

    ``held``: so many people lose or gain access that a second person has to approve.
    """

    level: str
    was: str
    effect: Effect
    devices: Mapping[str, Mapping[str, Any]]
    budgets: Mapping[Verb, Budget]
    held: bool
    unread: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch, as asked for. ``state``: asked (it waits), wished (of Exchange), dropped."""

    switch_id: UUID
    level: str
    was: str
    state: str
    digest: str
    gaining: int
    losing: int
    asked_id: UUID
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    ended_at: datetime | None


async def latest(scope: Scope, organization_id: UUID) -> Switch | None:
    """The switch that waits, else the last one; None where there never was one."""
    row = await scope.one("onboarding.latest_switch", organization_id=organization_id)
    return Switch(**row) if row else None


async def current(scope: Scope, organization_id: UUID) -> str:
    """The default level as last read, in our words. Raises Problem 404, 409 ``not-read``."""
    now = (await wishes.standing(scope, organization_id))[WishName.DEFAULT_LEVEL].now
    if now not in LEVELS:
        raise Problem(409, "not-read", "Exchange's default level was not read yet; it is with the first inventory.")
    return now


async def preview(scope: Scope, organization_id: UUID, level: str) -> Preview:
    """What this default would do now. Raises Problem 400 for another word, 404, 409 ``not-read``, ``same-level``."""
    if level not in LEVELS:
        raise Problem(400, "malformed", "level is allow, quarantine or block.", place="level")
    await connections.organization(scope, organization_id)
    was = await current(scope, organization_id)
    if was == level:
        raise Problem(409, "same-level", "That is the default level already.")
    row = await scope.one("onboarding.settings", organization_id=organization_id)
    assert row is not None, "the default was read"
    rules = read_rules(row["rules"])
    there = await stock.devices(scope, organization_id)
    known_rules = rules or ()
    effect = await asyncio.to_thread(_effect, there, Organization(known_rules, was), Organization(known_rules, level))
    concerned = {change.device for change in effect.changes}
    budgets = await budget.budgets(scope, organization_id)
    return Preview(
        level,
        was,
        effect,
        {str(each.row["guid"]): each.row for each in there if str(each.row["guid"]) in concerned},
        budgets,
        await _held(scope, organization_id, effect, budgets),
        rules is None,
        guards.digest(effect, [(was, level)]),
    )


async def ask(scope: Scope, organization_id: UUID, level: str, digest: str, person: Person) -> Switch:
    """Switch to a level, as a preview with this digest showed; at once, or when a second person approved.

    Raises Problem as ``preview``, 409 ``preview-changed``, ``switch-waits`` where one waits already.
    """
    await access.lock_head(scope, organization_id)
    seen = await preview(scope, organization_id, level)
    if seen.digest != digest:
        raise _changed()
    before = await latest(scope, organization_id)
    if before and before.state == "asked":
        raise Problem(409, "switch-waits", "A switch of the default level waits already. Approve or drop it first.")
    numbers = {"gaining": seen.effect.gaining, "losing": seen.effect.losing}
    values = {"level": level, "was": seen.was, "digest": digest, **numbers}
    who = {"asked_id": person.administrator_id, "asked_by": person.name}
    await scope.run("onboarding.add_switch", organization_id=organization_id, **values, **who)
    details = {**numbers, "held": seen.held, "before": {"level": seen.was}, "after": {"level": level}}
    await audit.record(scope, Event.DEFAULT_ASKED, person.name, details, organization_id)
    made = await _known(scope, organization_id)
    if not seen.held:
        await _wish(scope, organization_id, made, seen.effect, person)
    return await _known(scope, organization_id)


async def approve(scope: Scope, organization_id: UUID, digest: str, person: Person) -> Switch:
    """Approve the switch that waits. Raises Problem 409 ``not-asked``, ``preview-changed``, 403 for who may not."""
    await access.lock_head(scope, organization_id)
    waiting = await _waiting(scope, organization_id)
    await ensure_may_approve(scope, person, waiting.asked_id, waiting.asked_at)
    seen = await preview(scope, organization_id, waiting.level)
    if not digest == waiting.digest == seen.digest:
        raise _changed()
    who = {"approved_id": person.administrator_id, "approved_by": person.name}
    await scope.run("onboarding.approve_switch", switch_id=waiting.switch_id, **who)
    details = {"digest": digest, "asked_by": waiting.asked_by, "before": "asked", "after": "approved"}
    await audit.record(scope, Event.DEFAULT_APPROVED, person.name, details, organization_id)
    await _wish(scope, organization_id, waiting, seen.effect, person)
    return await _known(scope, organization_id)


async def drop(scope: Scope, organization_id: UUID, person: Person) -> Switch:
    """Let it be. Raises Problem 409 ``not-asked`` where none waits."""
    waiting = await _waiting(scope, organization_id)
    await scope.run("onboarding.end_switch", switch_id=waiting.switch_id, state="dropped", wish_id=None)
    details = {"level": waiting.level, "before": "asked", "after": "dropped"}
    await audit.record(scope, Event.DEFAULT_DROPPED, person.name, details, organization_id)
    return await _known(scope, organization_id)


async def go_back(scope: Scope, organization_id: UUID, person: Person) -> Switch:
    """Back to what the default was before the last switch, in one step.

    A wish that no connector has carried out is withdrawn; else it is a switch as any other, so that it waits where too
    many would lose access by it. Raises Problem 409 ``not-switched`` where there is nothing to go back to.
    """
    last = await latest(scope, organization_id)
    if last is None or last.state != "wished":
        raise Problem(409, "not-switched", "The default level was not switched from here, or one waits already.")
    standing = (await wishes.standing(scope, organization_id))[WishName.DEFAULT_LEVEL]
    if standing.open and standing.now == last.was:
        await wishes.withdraw(scope, organization_id, WishName.DEFAULT_LEVEL, person.name)
        return last
    seen = await preview(scope, organization_id, last.was)
    return await ask(scope, organization_id, last.was, seen.digest, person)


# -- steps -------------------------------------------------------------------------------------------------------------


def _effect(there: Sequence[Standing], before: Organization, after: Organization) -> Effect:
    """Who gains and loses. Rules and lists that cannot be read count as none, so that more is counted and not less."""
    return guards.effect(
        Change(
            str(each.row["mailbox_guid"]),
            str(each.row["guid"]),
            each.row["device_id"] or "",
            before.verdict(each.device, each.lists.shown),
            after.verdict(each.device, each.lists.shown),
        )
        for each in there
    )


async def _wish(scope: Scope, organization_id: UUID, switch: Switch, effect: Effect, person: Person) -> None:
    """Wish it of Exchange; whom it concerns counts in the budgets."""
    wish_id = await wishes.set(scope, organization_id, WishName.DEFAULT_LEVEL, switch.level, person.name)
    await scope.run("onboarding.end_switch", switch_id=switch.switch_id, state="wished", wish_id=wish_id)
    for verb, people in _people(effect).items():
        await budget.use(scope, organization_id, verb, people)


async def _held(scope: Scope, organization_id: UUID, effect: Effect, budgets: Mapping[Verb, Budget]) -> bool:
    """Whether more people lose or gain access than a budget has left; whoever is in its window already counts once."""
    for verb, people in _people(effect).items():
        counted = await budget.counted(scope, organization_id, verb, people) if people else set()
        if len(people - counted) > budgets[verb].left:
            return True
    return False


def _people(effect: Effect) -> Mapping[Verb, set[UUID]]:
    return {
        Verb.TAKE: {UUID(change.mailbox) for change in effect.changes if change.loses},
        Verb.GIVE: {UUID(change.mailbox) for change in effect.changes if change.gains},
    }


async def _waiting(scope: Scope, organization_id: UUID) -> Switch:
    known = await latest(scope, organization_id)
    if known is None or known.state != "asked":
        raise Problem(409, "not-asked", "No switch of the default level waits for an approval. Load the page anew.")
    return known


async def _known(scope: Scope, organization_id: UUID) -> Switch:
    known = await latest(scope, organization_id)
    assert known is not None, "it was made in this transaction or before"
    return known


def _changed() -> Problem:
    return Problem(409, "preview-changed", "What this would do has changed since you looked. Look at it again.")
