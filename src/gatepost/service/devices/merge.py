"""Rows of a check-in become rows of ``devices`` and ``mailboxes``, set by set, under row-level security.

Most rows of a synchronisation did not change, so the work is ordered by what it costs: hash every row; ask the database
which hashes are new to it; read and check only those; send them with a binary COPY to a table of the session (at 2,000
rows of 30 columns 6 ms, where arrays for ``unnest`` take 24 ms and more); merge them with one statement that also
writes history, interns what rules can see, keeps the counters and the words of the search.

Unchanged rows are not written at all. Who was *seen* is therefore kept for each part, and read at the seal.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, ListingDigest, Row, Table
from gatepost.domain.devices import family
from gatepost.domain.search import words
from gatepost.service.access import due
from gatepost.service.compliance import standing
from gatepost.service.database import Scope
from gatepost.service.devices.rows import PoisonRow, Reader, device_reader, mailbox_reader

NUMBERS = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,5}")
DEVICE = {name: place for place, name in enumerate(DEVICE_COLUMNS)}
MAILBOX = {name: place for place, name in enumerate(MAILBOX_COLUMNS)}
FACTS = ("device_type", "model", "os", "user_agent", "client_type")
STAGED_DEVICE = (*DEVICE_COLUMNS, "family", "facts_id", "words", "row_hash", "os_version")
STAGED_MAILBOX = (*MAILBOX_COLUMNS, "row_hash")
TYPES = {
    **dict.fromkeys(("guid", "mailbox_guid", "facts_id"), "uuid"),
    **dict.fromkeys(("words", "allowed_ids", "blocked_ids"), "text[]"),
    "row_hash": "bigint",
    "os_version": "int4[]",
    "folders_synced": "int4",
    "eas_enabled": "bool",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of one table, hashed: the newest row of each guid, and those that name no guid."""

    reader: Reader
    rows: Mapping[UUID, Row]
    hashes: Mapping[UUID, int]
    nameless: int
    received: int
    digest: str

    def places(self) -> Sequence[UUID]:
        """The guids in the order of the list."""
        return tuple(self.rows)


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a listing: rows written, and poison rows as ``{"guid", "why"}``."""

    changed: int
    rejected: tuple[dict[str, Any], ...]


def list_devices(table: Table) -> Listing:
    """Hash the device rows of a document. Raises ContractError if there is no column ``guid``."""
    return _list(device_reader(table.columns), table) if table.rows else EMPTY


def list_mailboxes(table: Table) -> Listing:
    """Hash the mailbox rows of a document. Raises ContractError if there is no column ``guid``."""
    return _list(mailbox_reader(table.columns), table) if table.rows else EMPTY


async def orphaned(scope: Scope, organization_id: UUID, listing: Listing) -> int:
    """From how many devices this listing would take the mailbox away."""
    guids = [guid for guid, row in listing.rows.items() if listing.reader.is_orphan(row)]
    row = await scope.one("merge.orphaned", organization_id=organization_id, guids=guids) if guids else None
    return int(row["orphaned"]) if row else 0


async def merge_devices(scope: Scope, organization_id: UUID, listing: Listing, now: datetime) -> Merged:
    """Merge devices; a row that cannot be kept is rejected and stops nothing else."""
    changed = await _changed(scope, "merge.changed_devices", organization_id, listing)
    rows, rejected = await asyncio.to_thread(_read, listing, changed)
    if rows:
        await scope.one("directory.lock_shared")
        owners = {row[DEVICE["mailbox_guid"]] for row in rows} - {None}
        names = await _mailbox_names(scope, organization_id, owners)
        staged = await asyncio.to_thread(_complete, listing, rows, names)
        await _stage(scope, "staged_devices", STAGED_DEVICE, staged)
        await due.mark_staged_devices(scope, organization_id)
        await scope.run("merge.merge_devices", organization_id=organization_id, now=now)
        await standing.merged_devices(scope, organization_id, [row[0] for row in rows], due.SYNC)
    return Merged(len(rows), rejected)


async def merge_mailboxes(scope: Scope, organization_id: UUID, listing: Listing, now: datetime) -> Merged:
    """Merge mailboxes with their lists; devices of renamed mailboxes are found under the new name."""
    changed = await _changed(scope, "merge.changed_mailboxes", organization_id, listing)
    rows, rejected = await asyncio.to_thread(_read, listing, changed)
    if rows:
        await scope.one("directory.lock_shared")
        staged = [[*row, listing.hashes[row[0]]] for row in rows]
        await _stage(scope, "staged_mailboxes", STAGED_MAILBOX, staged)
        renamed = [row["guid"] for row in await scope.all("merge.renamed_mailboxes", organization_id=organization_id)]
        await scope.run("merge.merge_mailboxes", organization_id=organization_id, now=now)
        await due.mark_staged_mailboxes(scope, organization_id)
        await standing.merged_mailboxes(scope, organization_id, renamed, due.SYNC)
        await _reword(scope, organization_id, renamed)
    return Merged(len(rows), rejected)


def _list(reader: Reader, table: Table) -> Listing:
    digest = ListingDigest()
    rows: dict[UUID, Row] = {}
    hashes: dict[UUID, int] = {}
    nameless = 0
    for row in table.rows:
        value = digest.add(row)
        guid = reader.guid(row)
        if guid is None:
            nameless += 1
        else:
            rows[guid] = row
            hashes[guid] = value - 2**64 if value >= 2**63 else value  # bigint has a sign
    return Listing(reader, rows, hashes, nameless, len(table.rows), digest.hexdigest())


async def _changed(scope: Scope, statement: str, organization_id: UUID, listing: Listing) -> list[UUID]:
    """Which of the listing's guids are new to the database or have another hash there."""
    if not listing.rows:
        return []
    await scope.run("merge.analyze_grown")
    places = listing.places()
    found = await scope.all(
        statement, organization_id=organization_id, guids=list(places), hashes=list(listing.hashes.values())
    )
    return [places[row["n"] - 1] for row in found]


def _read(listing: Listing, changed: Sequence[UUID]) -> tuple[list[list[Any]], tuple[dict[str, Any], ...]]:
    """The changed rows as values, and those that cannot be kept."""
    rows: list[list[Any]] = []
    rejected: list[dict[str, Any]] = [{"guid": None, "why": "guid is not a GUID"}] * listing.nameless
    for guid in changed:
        try:
            rows.append(listing.reader.read(listing.rows[guid]))
        except PoisonRow as error:
            rejected.append({"guid": str(guid), "why": str(error)})
    return rows, tuple(rejected)


def _complete(
    listing: Listing, rows: Sequence[Sequence[Any]], names: Mapping[UUID, Sequence[str | None]]
) -> list[list[Any]]:
    """Device rows with what we make of them: family, facts, words, hash, version."""
    completed = []
    for row in rows:
        facts = [row[DEVICE[name]] for name in FACTS]
        kin = family(facts[0], facts[2], facts[3])
        facts_id = UUID(bytes=hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).digest())
        own = (row[DEVICE["friendly_name"]], row[DEVICE["device_id"]], facts[1], facts[2], str(row[0]))
        found_by = words((*own, *names.get(row[DEVICE["mailbox_guid"]], ())))
        completed.append([*row, kin.value, facts_id, found_by, listing.hashes[row[0]], os_version(facts[2])])
    return completed


def os_version(system: str | None) -> list[int]:
    """The first version number in an operating system's name, as numbers: ``iOS 17.1.2 21B101`` is 17, 1, 2."""
    found = NUMBERS.search(system or "")
    return [int(number) for number in found[0].split(".")] if found else []


async def _mailbox_names(scope: Scope, organization_id: UUID, guids: set[UUID]) -> Mapping[UUID, Sequence[str | None]]:
    found = await scope.all("merge.mailbox_names", organization_id=organization_id, guids=list(guids)) if guids else []
    return {row["guid"]: (row["primary_smtp"], row["display_name"]) for row in found}


async def _stage(scope: Scope, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Send rows to a table of the session; its rows live as long as the transaction."""
    await scope.run("merge.plan_sets")
    await scope.run(f"merge.{table.replace('staged', 'stage')}")
    async with (
        scope.connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)".encode()) as copy,
    ):
        copy.set_types([TYPES.get(name, "timestamptz" if name.endswith("_at") else "text") for name in columns])
        for row in rows:
            await copy.write_row(row)


async def _reword(scope: Scope, organization_id: UUID, mailboxes: Sequence[UUID]) -> None:
    """The devices of these mailboxes are found under the mailboxes' new names."""
    rows = (
        await scope.all("merge.devices_to_reword", organization_id=organization_id, guids=mailboxes)
        if mailboxes
        else []
    )
    forget, learn = [], []
    for row in rows:
        own = (row["friendly_name"], row["device_id"], row["model"], row["os"], str(row["guid"]))
        new = words((*own, row["primary_smtp"], row["display_name"]))
        key = {"organization_id": organization_id, "guid": row["guid"]}
        if new != row["words"]:
            forget.append({**key, "words": sorted(set(row["words"]) - set(new))})
            learn.append({**key, "words": new})
    if learn:
        await scope.each("merge.forget_words", forget)
        await scope.each("merge.learn_words", learn)


EMPTY = _list(device_reader(("guid",)), Table(("guid",), ()))
