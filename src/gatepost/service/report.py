"""Side by side, per device: what Gatepost would do, what Exchange does today, and why the two differ.

Works in *observe* mode as in any other: it compares decisions with what Exchange reports and with what its engine makes
of the device. Counts come from the database; each row is explained (``explanation``) when somebody looks at it.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from gatepost.service import connections, explanation
from gatepost.service.database import Scope
from gatepost.service.explanation import Explanation

PAGE = 50
ROWS_AT_ONCE = 1_000
OpenScope = Callable[[], AbstractAsyncContextManager[Scope]]


class Difference(StrEnum):
    """How what is decided differs from what Exchange reports.

    ``other``: blocked in place of quarantined or the other way round, or Exchange reports something else than access.
    ``left``: hands are off. ``undecided``: nothing is decided of it, and nothing can be where it has no mailbox or id.
    """

    LOSES = "loses"
    GAINS = "gains"
    OTHER = "other"
    SAME = "same"
    LEFT = "left"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which devices are wanted; None: any. ``after`` is the key of the last device of the page before."""

    organization_id: UUID | None = None
    difference: str | None = None
    level: str | None = None
    state: str | None = None
    reason: str | None = None
    after: tuple[UUID, UUID] | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many devices have a decided level (``none`` for undecided), a reported state, and so differ."""

    level: str
    state: str
    difference: Difference
    devices: int


@dataclass(frozen=True, slots=True)
class Line:
    """One device; ``why`` is None where nothing can be decided of it."""

    organization_id: UUID
    guid: UUID
    device_id: str
    name: str
    mailbox: str
    model: str
    reported: str | None
    reported_by: str | None
    difference: Difference
    why: Explanation | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page; ``after`` is the key of its last device where there are more."""

    lines: Sequence[Line]
    after: tuple[UUID, UUID] | None


async def counts(scope: Scope, organization_id: UUID | None) -> list[Count]:
    """How many devices there are of each kind, in one organization or in all."""
    rows = await scope.all("explanation.compared", organizations=await _organizations(scope, organization_id))
    return [Count(row["level"], row["state"], Difference(row["difference"]), row["devices"]) for row in rows]


async def page(scope: Scope, wanted: Wanted, limit: int = PAGE) -> Page:
    """One page of devices, in the order of their keys."""
    organization, guid = wanted.after or (None, None)
    rows = await scope.all(
        "explanation.side_by_side",
        organizations=await _organizations(scope, wanted.organization_id),
        difference=wanted.difference,
        level=wanted.level,
        state=wanted.state,
        reason=wanted.reason,
        after_organization=organization,
        after_guid=guid,
        limit=limit + 1,
    )
    shown = rows[:limit]
    last = (shown[-1]["organization_id"], shown[-1]["guid"]) if len(rows) > limit else None
    return Page(await _lines(scope, shown), last)


async def lines(open_scope: OpenScope, wanted: Wanted) -> AsyncIterator[Line]:
    """Every device that is wanted, a short transaction for each thousand: a long one would hold the clean-up back."""
    more = True
    while more:
        async with open_scope() as scope:
            found = await page(scope, wanted, ROWS_AT_ONCE)
        for line in found.lines:
            yield line
        wanted, more = replace(wanted, after=found.after), found.after is not None


async def _organizations(scope: Scope, organization_id: UUID | None) -> list[UUID]:
    if organization_id is not None:
        return [organization_id]
    return [row["organization_id"] for row in await connections.organizations(scope)]


async def _lines(scope: Scope, rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    keys: dict[UUID, list[tuple[UUID, str]]] = defaultdict(list)
    for row in rows:
        if row["mailbox_guid"] and row["device_id"]:
            keys[row["organization_id"]].append((row["mailbox_guid"], row["device_id"]))
    why = {
        (organization_id, *key): found
        for organization_id, asked in keys.items()
        for key, found in (await explanation.explain(scope, organization_id, asked)).items()
    }
    return [_line(row, why.get((row["organization_id"], row["mailbox_guid"], row["device_id"]))) for row in rows]


def _line(row: Mapping[str, Any], why: Explanation | None) -> Line:
    return Line(
        organization_id=row["organization_id"],
        guid=row["guid"],
        device_id=row["device_id"] or "",
        name=row["friendly_name"] or row["model"] or row["device_type"] or "",
        mailbox=row["mailbox"] or "",
        model=row["model"] or "",
        reported=row["access_state"],
        reported_by=row["access_state_reason"],
        difference=Difference(row["difference"]),
        why=why,
    )
