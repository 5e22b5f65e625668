"""Two listings in the store: the one being taken (*staged*), and the one that the service sealed.

Rows stream in, are joined by SQL and stream out in pages, so memory is flat in the number of devices. A quick
synchronisation is the difference between the two by row hash. When the service seals, the staged one takes the place
of the other in one transaction.

A *delta* stages only what may have changed: owners that it lacks are looked up in the sealed listing, and its seal
writes its rows over the sealed ones. What is staged outlives the process, so that an interrupted listing goes on where
it stopped: ``finished`` tells what is whole already.

Rows are appended as they come, and put in order once, when the last one is there (``finish``): keeping a million rows
in the order of random guids from the start costs ten times as much.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from gatepost.connector.rows import RowText, mend
from gatepost.connector.store import BASELINE, STAGING, TABLES, Store
from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, ListingDigest, Scope, iso, text_hash
from gatepost.domain.devices import MailboxKind

Kind = Literal["mailboxes", "devices"]
Side = Literal["staged", "sealed"]
KINDS: tuple[Kind, ...] = ("mailboxes", "devices")
ELSEWHERE = (MailboxKind.REMOTE, MailboxKind.DISABLED)
"""Kinds that are not in the listing of mailboxes; devices of their time here may have stayed behind."""

# A mailbox without a row is known and not told: its name finds its devices' owner, and that is all. Rows are told in
# the order of their guids, so that each part is one stretch of the service's index; hashes add up in any order.
TOLD = {
    Scope.FULL: "FROM staged_{kind} n WHERE n.row IS NOT NULL",
    Scope.QUICK: "FROM staged_{kind} n LEFT JOIN sealed_{kind} o ON o.guid = n.guid "
    "WHERE n.row IS NOT NULL AND o.hash IS NOT n.hash",
}
ROWS = "SELECT n.guid, n.row {told} AND n.guid > ? ORDER BY n.guid LIMIT ?"
HASHES = "SELECT n.rowid, n.hash {told} AND n.rowid > ? ORDER BY n.rowid LIMIT ?"
OWNER = f"'$[{DEVICE_COLUMNS.index('mailbox_guid')}]'"
FIRST_SYNC = f"""SELECT max(json_extract(row, '$[{DEVICE_COLUMNS.index("first_sync_at")}]')) FROM sealed_devices
    WHERE json_extract(row, '$[{DEVICE_COLUMNS.index("first_sync_at")}]') <= ?"""  # noqa: S608 - our own
ORPHANED = f"""SELECT count(*) FROM staged_devices n JOIN sealed_devices o USING (guid) WHERE o.hash IS NOT n.hash
    AND json_extract(o.row, {OWNER}) IS NOT NULL AND json_extract(n.row, {OWNER}) IS NULL"""  # noqa: S608 - our own
BEHIND = " UNION ALL SELECT row FROM sealed_mailboxes WHERE guid NOT IN (SELECT guid FROM staged_mailboxes)"
AWAY = f"""SELECT count(*) FROM (SELECT row FROM staged_mailboxes{{behind}})
    WHERE json_extract(row, '$[{MAILBOX_COLUMNS.index("kind")}]') IN (?, ?)"""  # noqa: S608 - our own
KEEP_MISSING = """INSERT INTO staged_mailboxes (guid, dn)
    SELECT o.guid, o.dn FROM sealed_mailboxes o
    WHERE NOT EXISTS (SELECT 1 FROM staged_mailboxes n WHERE n.guid = o.guid)
    AND NOT EXISTS (SELECT 1 FROM staged_mailboxes n WHERE n.dn = o.dn)"""
UPSERT = {
    "mailboxes": "INSERT INTO sealed_mailboxes (guid, hash, dn, row) SELECT guid, hash, dn, row FROM staged_mailboxes "
    "WHERE true ON CONFLICT (guid) DO UPDATE SET hash = excluded.hash, dn = excluded.dn, row = excluded.row",
    "devices": "INSERT INTO sealed_devices (guid, hash, row) SELECT guid, hash, row FROM staged_devices "
    "WHERE true ON CONFLICT (guid) DO UPDATE SET hash = excluded.hash, row = excluded.row",
}
ADD_SEALED = """INSERT INTO sealed_devices (guid, hash, row) VALUES (?, ?, ?)
    ON CONFLICT (guid) DO UPDATE SET hash = excluded.hash, row = excluded.row"""
STIR = """UPDATE statistics SET due = 0 WHERE guid IN (
    SELECT n.guid FROM staged_devices n JOIN sealed_devices o USING (guid) WHERE n.hash <> o.hash)"""
STAGED_TABLES = [statement for statement in TABLES.split(";") if " staged_" in statement]
FINISHED = "finished_{kind}"
TELLING = "telling"
NO_NOTES: Mapping[str, str] = {}
HASHES_A_PAGE = 10_000
ALLOWED_AT_LEAST, ALLOWED_SHARE = 50, 0.05


class Listing:
    """The listings of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def store(self) -> Store:
        """Where it is kept."""
        return self._store

    # -- staging ---------------------------------------------------------------------------------------------------

    def begin(self, *, delta: bool = False) -> None:
        """Throw away what an earlier attempt staged. A ``delta`` has only what may differ from the sealed listing."""
        with self._store.transaction(lasting=False) as db:
            _empty(db)
            db.execute("INSERT INTO notes (name, value) VALUES (?, ?)", (STAGING, "delta" if delta else "whole"))

    def empty(self, kind: Kind) -> None:
        """Throw away what an earlier attempt staged of one kind that it did not finish."""
        with self._store.transaction(lasting=False) as db:
            db.execute(f"DELETE FROM staged_{kind}")  # noqa: S608 - ours

    @property
    def is_delta(self) -> bool:
        """Whether what is staged is a delta."""
        return self._store.note(STAGING) == "delta"

    def add_mailboxes(self, rows: Iterable[tuple[str | None, RowText]]) -> None:
        """Stage mailboxes, each with its distinguished name."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO staged_mailboxes (guid, hash, dn, row) VALUES (?, ?, ?, ?)",
                [(guid, _hash(text), fold(dn), text) for dn, (guid, text) in rows],
            )

    def know_mailboxes(self, known: Iterable[tuple[str | None, str]]) -> None:
        """Stage mailboxes that cannot be told, by name and guid, so that their devices do not lose them."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO staged_mailboxes (guid, dn) VALUES (?, ?)",
                [(guid, fold(dn)) for dn, guid in known],
            )

    def add_devices(self, rows: Iterable[RowText]) -> None:
        """Stage devices."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO staged_devices (guid, hash, row) VALUES (?, ?, ?)",
                [(guid, _hash(text), text) for guid, text in rows],
            )

    def finish(self, kind: Kind, about: str = "", *, keep_missing: bool = False) -> None:
        """All of a kind is staged; ``about`` is what the caller wants to be told of it if it goes on another day.

        Of what a listing named twice the last stays. ``keep_missing`` stages as known the mailboxes that the sealed
        listing has and this one lacks: for a listing in which some were unreadable. A delta has them anyway.
        """
        keep_missing = keep_missing and kind == "mailboxes" and not self.is_delta
        with self._store.transaction(lasting=False) as db:
            _put_in_order(db, "staged", kind)
            if keep_missing:
                db.execute(KEEP_MISSING)
            note = (FINISHED.format(kind=kind), about)
            db.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", note)

    def finished(self, kind: Kind) -> str | None:
        """What was said about a kind that is staged whole, None if it is not."""
        return self._store.note(FINISHED.format(kind=kind))

    def unfinish(self) -> None:
        """What is staged is not to be gone on with: the service would not have it."""
        notes: Sequence[str] = (TELLING, *(FINISHED.format(kind=kind) for kind in KINDS))
        self._store.remember(**dict.fromkeys(notes))

    def mailboxes_by_dn(self, names: Iterable[str | None]) -> dict[str, str]:
        """The guids of the mailboxes with these distinguished names, by the name in ``fold``.

        Mailboxes are those staged and finished; behind a delta those sealed.
        """
        wanted = list(names)
        behind = self._owners("sealed", wanted) if self.is_delta else {}
        return behind | self._owners("staged", wanted)

    def _owners(self, side: Side, names: Iterable[str | None]) -> dict[str, str]:
        wanted = json.dumps(list({folded for name in names if (folded := fold(name)) is not None}))
        statement = f"SELECT m.dn, m.guid FROM json_each(?) AS name JOIN {side}_mailboxes m ON m.dn = name.value"  # noqa: S608 - ours
        return dict(self._store.all(statement, (wanted,)))

    # -- telling ---------------------------------------------------------------------------------------------------

    def measure(self, scope: Scope) -> tuple[int, int, str]:
        """How many devices and mailboxes a synchronisation of this scope sends, and the digest of all their rows.

        Raises ValueError for a delta as a full one: the service would call everything else gone.
        """
        if scope is Scope.FULL and self.is_delta:
            raise ValueError("a delta is no full listing")
        digest = ListingDigest()
        counts = dict.fromkeys(KINDS, 0)
        for kind in counts:
            for value in self._hashes(kind, scope):
                digest.add_hash(value)
                counts[kind] += 1
        return counts["devices"], counts["mailboxes"], digest.hexdigest()

    def totals(self) -> tuple[int, int]:
        """How many devices and mailboxes there are, to be told: those staged, and behind a delta those sealed."""
        return self._total("devices"), self._total("mailboxes")

    def _total(self, kind: Kind) -> int:
        """Counts by the column ``row``: what is only known does not count."""
        staged = self._count(f"staged_{kind}", "row")
        if not self.is_delta:
            return staged
        [(both,)] = self._store.all(
            f"SELECT count(*) FROM staged_{kind} n JOIN sealed_{kind} o USING (guid) WHERE o.row IS NOT NULL"  # noqa: S608 - ours
        )
        return staged + self._count(f"sealed_{kind}", "row") - int(both)

    def elsewhere(self) -> int:
        """How many of the mailboxes of ``totals`` are in no listing of mailboxes any more: remote or disabled."""
        [(count,)] = self._store.all(AWAY.format(behind=BEHIND if self.is_delta else ""), ELSEWHERE)
        return int(count)

    def shrank(self) -> bool:
        """Whether the staged listing lacks more of the sealed one than a quick synchronisation may tell unasked.

        A bulk listing can come short without an error. Only a full synchronisation is looked at by the service's guard.
        A delta lacks nothing by being short; but it too may say of many devices that they have lost their owner.
        """
        for kind in () if self.is_delta else KINDS:
            sealed, staged = self._count(f"sealed_{kind}"), self._count(f"staged_{kind}")
            if (sealed and not staged) or sealed - staged > _allowed(sealed):
                return True
        [(orphaned,)] = self._store.all(ORPHANED)
        return bool(orphaned > _allowed(self._count("sealed_devices")))

    def _count(self, table: str, column: str = "*") -> int:
        [(count,)] = self._store.all(f"SELECT count({column}) FROM {table}")  # noqa: S608 - names of ours
        return int(count)

    def page(self, kind: Kind, scope: Scope, after: str, rows: int, size: int) -> list[tuple[str, list[Any]]]:
        """The next rows behind guid ``after``, at most ``rows`` and about ``size`` bytes of them, at least one."""
        page: list[tuple[str, list[Any]]] = []
        length = 0
        for guid, text in self._store.all(ROWS.format(told=TOLD[scope].format(kind=kind)), (after, rows)):
            length += len(text)
            if page and length > size:
                break
            page.append((guid, json.loads(text)))
        return page

    @property
    def has_baseline(self) -> bool:
        """Whether there is a sealed listing to compare with."""
        return self._store.note(BASELINE) is not None

    def seal(self, at: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        """The service has the staged listing: it takes the place of the sealed one; the rows of a delta, of theirs.

        ``notes`` are remembered in the same transaction. Statistics of devices that changed are due.
        """
        delta = self.is_delta
        with self._store.transaction() as db:
            if db.execute("SELECT 1 FROM statistics LIMIT 1").fetchone():
                _put_in_order(db, "sealed", "devices")
                db.execute(STIR)
            for kind in KINDS:
                if delta:
                    _put_in_order(db, "sealed", kind)
                    db.execute(UPSERT[kind])
                else:
                    _replace(db, kind)
            _empty(db)
            kept = [(BASELINE, at), *notes.items()]
            db.executemany("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", kept)

    def amend(self, rows: Iterable[RowText]) -> None:
        """The service has these rows of devices now, which stood otherwise in the sealed listing."""
        with self._store.transaction() as db:
            db.executemany(
                "UPDATE sealed_devices SET hash = ?, row = ? WHERE guid = ?",
                [(_hash(text), text, guid) for guid, text in rows],
            )

    # -- beside synchronisations -----------------------------------------------------------------------------------

    def latest_first_sync(self, believable: datetime) -> datetime | None:
        """When the newest device of the sealed listing first synchronised; times behind ``believable`` do not count."""
        [(latest,)] = self._store.all(FIRST_SYNC, (iso(believable),))
        return datetime.fromisoformat(latest) if latest else None

    def sealed_owners(self, names: Iterable[str | None]) -> dict[str, str]:
        """The guids of the sealed listing's mailboxes with these distinguished names, by the name in ``fold``."""
        return self._owners("sealed", names)

    def sealed_devices(self, guids: Iterable[str]) -> set[str]:
        """Those of these devices that the sealed listing has."""
        statement = "SELECT d.guid FROM json_each(?) AS name JOIN sealed_devices d ON d.guid = name.value"
        return {guid for (guid,) in self._store.all(statement, (json.dumps(list(guids)),))}

    def unlike_sealed(self, rows: Iterable[RowText]) -> list[RowText]:
        """The rows of devices that the sealed listing lacks, or has otherwise."""
        told = {row.guid: row for row in rows}
        statement = "SELECT d.guid, d.hash FROM json_each(?) AS name JOIN sealed_devices d ON d.guid = name.value"
        sealed = dict(self._store.all(statement, (json.dumps(list(told)),)))
        return [row for guid, row in told.items() if sealed.get(guid) != _hash(row.text)]

    def add_sealed(self, rows: Iterable[RowText]) -> None:
        """The service has these rows of devices now, which may be new."""
        with self._store.transaction() as db:
            _put_in_order(db, "sealed", "devices")
            db.executemany(ADD_SEALED, [(guid, _hash(text), text) for guid, text in rows])

    def _hashes(self, kind: Kind, scope: Scope) -> Iterator[int]:
        """The hashes of what a scope tells, page by page."""
        statement, after = HASHES.format(told=TOLD[scope].format(kind=kind)), 0
        while page := self._store.all(statement, (after, HASHES_A_PAGE)):
            yield from (value for _, value in page)
            after = page[-1][0]


def _empty(db: sqlite3.Connection) -> None:
    """Nothing is staged, in tables without indexes."""
    for kind in KINDS:
        db.execute(f"DROP TABLE IF EXISTS staged_{kind}")
    for statement in STAGED_TABLES:
        db.execute(statement)
    notes: Sequence[str] = (STAGING, TELLING, *(FINISHED.format(kind=kind) for kind in KINDS))
    db.executemany("DELETE FROM notes WHERE name = ?", [(name,) for name in notes])


def _put_in_order(db: sqlite3.Connection, side: Side, kind: Kind) -> None:
    """Let rows be found by guid, of which each keeps its last row, and mailboxes by name."""
    table = f"{side}_{kind}"
    by_guid = f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_guid ON {table} (guid)"
    try:
        db.execute(by_guid)
    except sqlite3.IntegrityError:
        db.execute(f"DELETE FROM {table} WHERE rowid NOT IN (SELECT max(rowid) FROM {table} GROUP BY guid)")  # noqa: S608 - ours
        db.execute(by_guid)
    if kind == "mailboxes":
        db.execute(f"CREATE INDEX IF NOT EXISTS {table}_dn ON {table} (dn)")


def _replace(db: sqlite3.Connection, kind: Kind) -> None:
    """What is staged becomes what is sealed. Indexes do not change their names with their table, so they go anew."""
    db.execute(f"DROP TABLE sealed_{kind}")
    db.execute(f"DROP INDEX IF EXISTS staged_{kind}_guid")
    db.execute(f"DROP INDEX IF EXISTS staged_{kind}_dn")
    db.execute(f"ALTER TABLE staged_{kind} RENAME TO sealed_{kind}")
    _put_in_order(db, "sealed", kind)


def _allowed(present: int) -> int:
    """How many of so many may be missing without a question, as the service's guard counts."""
    return max(ALLOWED_AT_LEAST, int(present * ALLOWED_SHARE))


def fold(name: str | None) -> str | None:
    """A distinguished name as it is compared: without regard to case."""
    return None if name is None else mend(name).casefold()


def _hash(text: str) -> int:
    """A row's hash as SQLite's signed 64 bits; a digest adds up either way."""
    value = text_hash(text.encode("ascii"))
    return value - (1 << 64) if value >> 63 else value
