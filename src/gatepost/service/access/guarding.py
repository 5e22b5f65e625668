"""The guard: of what is wanted, how much may be published now, and what waits in a hold for a second person.

Whatever the cause, people are counted who newly lose access, and who gain it (domain.guards). What changes nobody's
access is let through. What was held stays so while nobody with a name wants it anew, so that it does not trickle
through as the window slides; a person's new change is asked about anew, in that person's name. Pins are counted and not
held, for whoever pins has looked at that device: up to as many people an hour as one administrator looks at by hand.
What is over that goes by the budgets, like a file of pins; else one account that was taken over could block everybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from gatepost.domain import guards
from gatepost.domain.desired import Level
from gatepost.domain.engine import Verdict
from gatepost.domain.guards import Verb
from gatepost.service.access import budget, holds
from gatepost.service.access.due import Cause
from gatepost.service.access.holds import Item, ItemState
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

PIN = "pin"
MANY = "pins"
TOLD = frozenset({"source", "directory"})
"""Causes of those who tell what is so elsewhere: they do not ask for what is held, so it stays in whose name it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A level that was decided and is not what is ``published``.

    ``before`` and ``after`` are what Exchange makes of the device with the lists as they are published, and as wanted.
    """

    key: Key
    level: Level
    reason: str
    before: Verdict
    after: Verdict
    published: Level | None

    @property
    def verb(self) -> Verb | None:
        """What it does to access."""
        return guards.verb(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Sieved:
    """What may be published now, and what is held; each in the order in which it was wanted."""

    publish: Sequence[Wanted] = ()
    held: Sequence[Wanted] = ()


class _Fate(StrEnum):
    """What becomes of one thing that is wanted: let through, held as before, or to be counted."""

    FREE = "free"
    STAYS = "stays"
    COUNTED = "counted"


async def sieve(scope: Scope, organization_id: UUID, cause: Cause, wanted: Sequence[Wanted]) -> Sieved:
    """Say what may be published of what one cause wants; the rest is held. The caller holds the organization's head."""
    if not wanted:
        return Sieved()
    cause = await _as_counted(scope, organization_id, await holds.cause_behind(scope, cause), wanted)
    standing = await holds.standing(scope, organization_id, [each.key for each in wanted])
    fates = {each.key: _fate(each, standing.get(each.key), cause) for each in wanted}
    counted = [each for each in wanted if fates[each.key] is _Fate.COUNTED]
    refused = {each.key for each in await _over_budget(scope, organization_id, cause, counted)}
    through = [each for each in wanted if fates[each.key] is not _Fate.STAYS and each.key not in refused]
    await _leave_holds(scope, organization_id, through, standing)
    await _hold(scope, organization_id, cause, [each for each in counted if each.key in refused], standing)
    passed = {each.key for each in through}
    return Sieved(through, [each for each in wanted if each.key not in passed])


async def _as_counted(scope: Scope, organization_id: UUID, cause: Cause, wanted: Sequence[Wanted]) -> Cause:
    """The cause; of a pin by somebody whose pins of this hour are very many, that of very many."""
    if cause.kind != PIN or cause.by_id is None:
        return cause
    for each in wanted:
        if each.verb and await budget.spent_by_hand(scope, organization_id, each.verb, cause.by_id, each.key[0]):
            return Cause(MANY, "", cause.by_id)
    return cause


async def settled(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> None:
    """These are decided to be what is published: what was held of them is wanted no more. The caller holds the head."""
    standing = await holds.standing(scope, organization_id, keys) if keys else {}
    if standing:
        await holds.end_items(scope, organization_id, list(standing), ItemState.DROPPED)
        await holds.end_empty(scope, organization_id)


def _fate(wanted: Wanted, item: Item | None, cause: Cause) -> _Fate:
    if wanted.verb is None:
        return _Fate.FREE
    if cause.kind == PIN:
        return _Fate.COUNTED
    nobody_new = cause.by_id is None or cause.kind in TOLD or (item is not None and item.cause == cause)
    if item is None or item.level is not wanted.level or not nobody_new:
        return _Fate.COUNTED
    return _Fate.FREE if item.approved else _Fate.STAYS


async def _over_budget(scope: Scope, organization_id: UUID, cause: Cause, asked: Sequence[Wanted]) -> list[Wanted]:
    """What does not fit into the budgets; what does is counted."""
    limits = await budget.budgets(scope, organization_id) if asked else {}
    over: list[Wanted] = []
    for verb, limit in limits.items():
        own = [each for each in asked if each.verb is verb]
        people = {each.key[0] for each in own}
        if cause.kind != PIN and len(people) > limit.left:
            counted = await budget.counted(scope, organization_id, verb, people)
            people = guards.within((each.key[0] for each in own), counted, limit.left)
        await budget.use(scope, organization_id, verb, people, cause.by_id if cause.kind == PIN else None)
        over += [each for each in own if each.key[0] not in people]
    return over


async def _leave_holds(
    scope: Scope, organization_id: UUID, through: Sequence[Wanted], standing: Mapping[Key, Item]
) -> None:
    """What is published is in no hold any more: let through by its approval, or decided otherwise since."""
    found = [(each, standing[each.key]) for each in through if each.key in standing]
    if not found:
        return
    released = [each.key for each, item in found if item.approved and item.level is each.level]
    dropped = [each.key for each, item in found if not (item.approved and item.level is each.level)]
    await holds.end_items(scope, organization_id, released, ItemState.RELEASED)
    await holds.end_items(scope, organization_id, dropped, ItemState.DROPPED)
    await holds.end_empty(scope, organization_id)


async def _hold(
    scope: Scope, organization_id: UUID, cause: Cause, rest: Sequence[Wanted], standing: Mapping[Key, Item]
) -> None:
    """Put what does not fit into the hold of its cause; an item is in one hold at a time."""
    if not rest:
        return
    await holds.end_items(
        scope, organization_id, [each.key for each in rest if each.key in standing], ItemState.DROPPED
    )
    for verb in Verb:
        rows = [_row(each) for each in rest if each.verb is verb]
        if rows:
            await holds.add(scope, organization_id, verb, cause, rows)
    if standing:
        await holds.end_empty(scope, organization_id)


def _row(wanted: Wanted) -> dict[str, object]:
    return {
        "mailbox_guid": wanted.key[0],
        "device_id": wanted.key[1],
        "level": wanted.level.value,
        "published": wanted.published.value if wanted.published else None,
        "reason": str(wanted.reason),
        "before_state": wanted.before.state.value,
        "after_state": wanted.after.state.value,
        "after_step": wanted.after.reason.value,
        "after_rule": wanted.after.rule,
    }
