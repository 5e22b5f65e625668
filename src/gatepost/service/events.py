"""Events as people look at them: a page of them, newest first, by actor, kind, organization and time."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from gatepost.errors import Problem
from gatepost.service.database import Scope
from gatepost.service.devices import queries
from gatepost.service.ledger import Key

PAGE = 50
LARGEST_PAGE = 500
EXPORT_PAGE = 2_000
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The key of the last event of a page; the next page begins after it."""

    at: datetime
    event_id: UUID

    def __str__(self) -> str:
        moment = (self.at - EPOCH) // MICROSECOND
        return urlsafe_b64encode(moment.to_bytes(8, signed=True) + self.event_id.bytes).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """A cursor as it was given out. Raises Problem 400."""
        try:
            key = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return cls(EPOCH + int.from_bytes(key[:8], signed=True) * MICROSECOND, UUID(bytes=key[8:]))
        except (ValueError, OverflowError) as error:
            raise Problem(400, "cursor", "The cursor is none that was given out here.") from error


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events; empty texts and None are filters not set. ``until`` is the first moment that is left out."""

    actor: str = ""
    name: str = ""
    organization_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Events, and where the next page begins; None on the last."""

    rows: Sequence[Row]
    next: Cursor | None


async def page(scope: Scope, wanted: Filter, limit: int = PAGE) -> Page:
    """A page of events, newest first."""
    rows = await scope.all(
        "trail.page",
        actor=wanted.actor,
        name=wanted.name,
        organization_id=wanted.organization_id,
        since=wanted.since,
        until=wanted.until,
        before_at=wanted.cursor.at if wanted.cursor else None,
        before_id=wanted.cursor.event_id if wanted.cursor else None,
        limit=limit + 1,
    )
    shown = rows[:limit]
    return Page(shown, Cursor(shown[-1]["at"], shown[-1]["event_id"]) if len(rows) > limit else None)


async def every(open_scope: Callable[[], AbstractAsyncContextManager[Scope]], wanted: Filter) -> AsyncIterator[Row]:
    """Every event that fits, in short transactions."""
    while True:
        async with open_scope() as scope:
            found = await page(scope, wanted, EXPORT_PAGE)
        for row in found.rows:
            yield row
        if found.next is None:
            return
        wanted = replace(wanted, cursor=found.next)


async def devices(scope: Scope, rows: Sequence[Row]) -> dict[UUID, Row]:
    """The devices that events are about, by the events' ids, where they are known."""
    about: dict[UUID, dict[UUID, Key]] = {}
    for row in rows:
        if (key := _key(row["body"])) and row["organization_id"]:
            about.setdefault(row["organization_id"], {})[row["event_id"]] = key
    found: dict[UUID, Row] = {}
    for organization_id, keys in about.items():
        known = await queries.by_keys(scope, organization_id, sorted(set(keys.values())))
        found |= {event_id: known[key] for event_id, key in keys.items() if key in known}
    return found


def _key(body: Mapping[str, Any]) -> Key | None:
    mailbox, device_id = body.get("mailbox"), body.get("device_id")
    if not isinstance(mailbox, str) or not isinstance(device_id, str) or "\x00" in device_id:
        return None
    try:
        return UUID(mailbox), device_id
    except ValueError:
        return None
