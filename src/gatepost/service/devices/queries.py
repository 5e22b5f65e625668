"""Reading devices: pages by key, prefix search, one device with its mailbox and history.

A page is found in two steps, keys first and then what the list shows of them, so that finding reads indexes only.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.search import search_words
from gatepost.errors import Problem
from gatepost.service.connections import counters
from gatepost.service.database import Scope

Row = dict[str, Any]

PAGE = 50
LARGEST_PAGE = 200
WORDS = 6
ENOUGH = 2_000
COUNTED = 1_000
WALK = 20_000
LONGEST_TRAIL = 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ORDERS = ("newest", "changed")
GONE = "gone"
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The key of the last row of a page; the next page begins after it."""

    at: datetime
    guid: UUID
    organization_id: UUID

    def __str__(self) -> str:
        moment = (self.at - EPOCH) // MICROSECOND
        key = moment.to_bytes(8, signed=True) + self.guid.bytes + self.organization_id.bytes
        return urlsafe_b64encode(key).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """A cursor as it was given out. Raises Problem 400."""
        try:
            key = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            at = EPOCH + int.from_bytes(key[:8], signed=True) * MICROSECOND
            return cls(at, UUID(bytes=key[8:24]), UUID(bytes=key[24:]))
        except (ValueError, OverflowError) as error:
            raise bad_cursor() from error


@dataclass(frozen=True, slots=True)
class Filter:
    """Which devices, in which order. ``q`` is text to search for; empty texts and None are filters not set.

    ``trail`` are the cursors of the pages before this one, without the first page, which has none.
    """

    q: str = ""
    state: str = ""
    family: str = ""
    organization_id: UUID | None = None
    sort: str = "newest"
    cursor: Cursor | None = None
    trail: tuple[Cursor, ...] = ()

    @property
    def page(self) -> int:
        """Which page this is, the first being 1; as far as the trail goes back."""
        return len(self.trail) + 2 if self.cursor else 1

    @property
    def narrow(self) -> bool:
        """Whether anything but the order is set."""
        return bool(self.q.strip() or self.state or self.family or self.organization_id)

    def query(self, cursor: Cursor | None = None, trail: Sequence[Cursor] = ()) -> str:
        """The same filter as a query string, for another page."""
        values = {
            "q": self.q,
            "state": self.state,
            "family": self.family,
            "organization": str(self.organization_id or ""),
            "sort": "" if self.sort == ORDERS[0] else self.sort,
            "cursor": str(cursor or ""),
            "trail": ".".join(str(step) for step in trail[-LONGEST_TRAIL:]) if cursor else "",
        }
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def here(self) -> str:
        """This very page, as a query string."""
        return self.query(self.cursor, self.trail)

    @property
    def previous(self) -> str:
        """The page before this one, as a query string."""
        return self.query(self.trail[-1], self.trail[:-1]) if self.trail else self.query()

    def following(self, cursor: Cursor) -> str:
        """The page that begins after a cursor, as a query string."""
        return self.query(cursor, (*self.trail, self.cursor) if self.cursor else ())


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``next`` is None on the last.

    ``total`` is how many devices fit: of the counters, or counted on the first page; None on another, and where more
    fit than are counted (``many``). ``cut`` says that a search for common words looked at the first of the list only;
    the next page looks further.
    """

    rows: Sequence[Row]
    next: Cursor | None
    total: int | None
    many: bool = False
    cut: bool = False


async def page(scope: Scope, wanted: Filter, limit: int = PAGE) -> Page:
    """A page of devices.

    A search begins with its rarest word where few devices have it; else it walks the list, where most fit, and no
    further than ``WALK`` devices, for two common words may never meet.
    """
    organizations = [wanted.organization_id] if wanted.organization_id else await _organizations(scope)
    words = await _words(scope, wanted.q, organizations)
    rare = bool(words) and words[0]["found"] < ENOUGH
    await scope.run("devices_queries.plan_anew")
    total = await _total(scope, wanted)
    enough = limit + 1 if wanted.cursor or total is not None else max(limit, COUNTED) + 1
    parameters = _parameters(wanted, organizations, enough)
    keys = await scope.all(
        f"devices_queries.{wanted.sort}{'_with_words' if rare else ''}",
        **parameters,
        **({} if rare else {"walk": WALK}),
        **(
            _ranges(words[1:]) | {"first": words[0]["word"], "first_end": words[0]["word_end"]}
            if rare
            else _ranges(words)
        ),
    )
    shown = keys[:limit]
    rows = await scope.all(
        "devices_queries.rows",
        organizations=[key["organization_id"] for key in shown],
        guids=[key["guid"] for key in shown],
    )
    end = None
    if words and not rare and len(keys) < enough:
        end = await scope.one(f"devices_queries.end_of_{wanted.sort}", **parameters | {"walk": WALK - 1})
    last = shown[-1] if len(keys) > limit else end
    after = Cursor(last["at"], last["guid"], last["organization_id"]) if last else None
    counted = total is None and not wanted.cursor and end is None
    many = counted and len(keys) >= enough
    return Page(rows, after, len(keys) if counted and not many else total, many, end is not None and last is end)


async def _words(scope: Scope, q: str, organizations: list[UUID]) -> list[Row]:
    """The ranges of words that begin with what was typed, the rarest first; at most six."""
    typed = sorted(set(search_words(q)))[:WORDS]
    if not typed:
        return []
    found = _ranges([{"word": word, "word_end": word + LAST_CHARACTER} for word in typed])
    return await scope.all("devices_queries.commonness", organizations=organizations, enough=ENOUGH, **found)


def _ranges(words: Sequence[Row]) -> dict[str, list[str]]:
    return {"words": [row["word"] for row in words], "word_ends": [row["word_end"] for row in words]}


def _parameters(wanted: Filter, organizations: list[UUID], limit: int) -> dict[str, Any]:
    """What every statement of a page takes."""
    cursor = wanted.cursor
    return {
        "organizations": organizations,
        "gone": wanted.state == GONE,
        "state": None if wanted.state == GONE else wanted.state or None,
        "family": wanted.family or None,
        "after_at": cursor.at if cursor else None,
        "after_guid": cursor.guid if cursor else None,
        "after_organization": cursor.organization_id if cursor else None,
        "limit": limit,
    }


async def _organizations(scope: Scope) -> list[UUID]:
    return [row["organization_id"] for row in await scope.all("connections.organizations")]


async def _total(scope: Scope, wanted: Filter) -> int | None:
    """How many devices fit, where a counter knows it: no search, and at most one of state and family."""
    if wanted.q.strip() or (wanted.state and wanted.family) or wanted.state == GONE:
        return None
    name = f"state:{wanted.state}" if wanted.state else f"family:{wanted.family}" if wanted.family else "devices"
    return (await counters(scope, wanted.organization_id)).get(name, 0)


async def device(scope: Scope, organization_id: UUID, guid: UUID) -> Row:
    """One device with every field. Raises Problem 404 where this tenant has none."""
    row = await scope.one("devices_queries.device", organization_id=organization_id, guid=guid)
    if row is None:
        raise Problem(404, "not-found", "There is no such device.")
    return row


async def by_keys(scope: Scope, organization_id: UUID, keys: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], Row]:
    """What a link to them needs of the devices with these ids in these mailboxes, by both; unknown ones left out."""
    rows = await scope.all(
        "devices_queries.by_keys",
        organization_id=organization_id,
        mailbox_guids=[mailbox for mailbox, _ in keys],
        device_ids=[device_id for _, device_id in keys],
    )
    return {(row["mailbox_guid"], row["device_id"]): row for row in rows}


async def mailbox_of(scope: Scope, found: Row) -> Row | None:
    """The mailbox of a device, None where no mailbox is in view."""
    if found["mailbox_guid"] is None:
        return None
    return await scope.one(
        "devices_queries.mailbox", organization_id=found["organization_id"], guid=found["mailbox_guid"]
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a device's history; ``fields`` holds (name, before, after)."""

    at: datetime
    n: int
    what: str
    fields: tuple[tuple[str, Any, Any], ...]


async def history(
    scope: Scope, organization_id: UUID, guid: UUID, limit: int, after: tuple[datetime, int] | None = None
) -> list[Change]:
    """What changed of a device, newest first, after a key of at and n."""
    at, n = after or (None, None)
    rows = await scope.all(
        "devices_queries.history", organization_id=organization_id, guid=guid, after_at=at, after_n=n, limit=limit
    )
    return [
        Change(
            row["at"],
            row["n"],
            row["what"],
            tuple((name, before, after) for name, (before, after) in sorted(row["changes"].items())),
        )
        for row in rows
    ]


def history_cursor(change: Change) -> str:
    """The key of a change, for the page of history after it."""
    return urlsafe_b64encode(json.dumps([iso(change.at), change.n]).encode()).decode().rstrip("=")


def read_history_cursor(text: str) -> tuple[datetime, int]:
    """A key as ``history_cursor`` made it. Raises Problem 400."""
    try:
        at, n = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return datetime.fromisoformat(at).astimezone(UTC), int(n)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise bad_cursor() from error


def bad_cursor() -> Problem:
    """A cursor that no page gave out."""
    return Problem(400, "cursor", "The cursor is not one that a page gave. Start again without it.")
