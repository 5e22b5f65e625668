"""Reading devices: pages by key, prefix search, one device with its mailbox and history.

A page is found in two steps, keys first and then what the list shows of them, so that finding reads indexes only.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
        key = json.dumps([iso(self.at), str(self.guid), str(self.organization_id)], separators=(",", ":"))
        return urlsafe_b64encode(key.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """A cursor as it was given out. Raises Problem 400."""
        try:
            at, guid, organization_id = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return cls(datetime.fromisoformat(at).astimezone(UTC), UUID(guid), UUID(organization_id))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise bad_cursor() from error


@dataclass(frozen=True, slots=True)
class Filter:
    """Which devices, in which order. ``q`` is text to search for; empty texts and None are filters not set."""

    q: str = ""
    state: str = ""
    family: str = ""
    organization_id: UUID | None = None
    sort: str = "newest"
    cursor: Cursor | None = None

    @property
    def narrow(self) -> bool:
        """Whether anything but the order is set."""
        return bool(self.q.strip() or self.state or self.family or self.organization_id)

    def query(self, cursor: Cursor | None = None) -> str:
        """The same filter as a query string, for another page."""
        values = {
            "q": self.q,
            "state": self.state,
            "family": self.family,
            "organization": str(self.organization_id or ""),
            "sort": "" if self.sort == ORDERS[0] else self.sort,
            "cursor": str(cursor or ""),
        }
        return urlencode({name: value for name, value in values.items() if value})


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``next`` is None on the last; ``total`` is None where counting would cost more than it tells."""

    rows: Sequence[Row]
    next: Cursor | None
    total: int | None


async def page(scope: Scope, wanted: Filter, limit: int = PAGE) -> Page:
    """A page of devices.

    A search begins with its rarest word where few devices have it; else it walks the list, where most fit.
    """
    organizations = [wanted.organization_id] if wanted.organization_id else await _organizations(scope)
    words = await _words(scope, wanted.q, organizations)
    rare = bool(words) and words[0]["found"] < ENOUGH
    await scope.run("devices_queries.plan_anew")
    keys = await scope.all(
        f"devices_queries.{wanted.sort}{'_with_words' if rare else ''}",
        **_parameters(wanted, organizations, limit + 1),
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
    last = shown[-1] if len(keys) > limit else None
    after = Cursor(last["at"], last["guid"], last["organization_id"]) if last else None
    return Page(rows, after, await _total(scope, wanted))


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
