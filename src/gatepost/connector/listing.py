"""Two listings in the store: the one being taken (*staged*), and the one that the service sealed.

Rows stream in, are joined by SQL and stream out in pages, so memory is flat in the number of devices. A quick
synchronisation is the difference between the two by row hash. When the service seals, the staged one takes the place
of the other in one transaction.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from gatepost.connector.rows import mend
from gatepost.connector.store import BASELINE, TABLES, Store
from gatepost.domain.contract import DEVICE_COLUMNS, ListingDigest, Scope, row_text, text_hash

Kind = Literal["mailboxes", "devices"]

# A mailbox without a row is known and not told: its name finds its devices' owner, and that is all.
ROWS = {
    Scope.FULL: "SELECT n.guid, n.{what} FROM staged_{kind} n "
    "WHERE n.row IS NOT NULL AND n.guid > ? ORDER BY n.guid LIMIT ?",
    Scope.QUICK: "SELECT n.guid, n.{what} FROM staged_{kind} n LEFT JOIN sealed_{kind} o USING (guid) "
    "WHERE n.row IS NOT NULL AND n.guid > ? AND o.hash IS NOT n.hash ORDER BY n.guid LIMIT ?",
}
OWNER = f"'$[{DEVICE_COLUMNS.index('mailbox_guid')}]'"
ORPHANED = f"""SELECT count(*) FROM staged_devices n JOIN sealed_devices o USING (guid) WHERE o.hash IS NOT n.hash
    AND json_extract(o.row, {OWNER}) IS NOT NULL AND json_extract(n.row, {OWNER}) IS NULL"""  # noqa: S608 - our own
KEEP_MISSING = """INSERT INTO staged_mailboxes (guid, dn)
    SELECT o.guid, o.dn FROM sealed_mailboxes o
    WHERE NOT EXISTS (SELECT 1 FROM staged_mailboxes n WHERE n.guid = o.guid)
    AND NOT EXISTS (SELECT 1 FROM staged_mailboxes n WHERE n.dn = o.dn)"""
STAGED_TABLES = [statement for statement in TABLES.split(";") if " staged_" in statement]
HASHES_A_PAGE = 10_000
ALLOWED_AT_LEAST, ALLOWED_SHARE = 50, 0.05


class Listing:
    """The listings of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self) -> None:
        """Throw away what an earlier attempt staged."""
        with self._store.transaction(lasting=False) as db:
            db.execute("DELETE FROM staged_mailboxes")
            db.execute("DELETE FROM staged_devices")

    def add_mailboxes(self, rows: Sequence[tuple[str | None, Sequence[Any]]]) -> None:
        """Stage mailboxes: each with its distinguished name and its row, whose first value is the guid."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO staged_mailboxes (guid, hash, row, dn) VALUES (?, ?, ?, ?)",
                [(row[0], *_kept(row), fold(dn)) for dn, row in rows],
            )

    def know_mailboxes(self, known: Sequence[tuple[str | None, str]]) -> None:
        """Stage mailboxes that cannot be told, by name and guid, so that their devices do not lose them."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO staged_mailboxes (guid, dn) VALUES (?, ?)",
                [(guid, fold(dn)) for dn, guid in known],
            )

    def keep_missing_mailboxes(self) -> None:
        """Stage as known what the sealed listing has and this one lacks: for a listing in which some are unreadable."""
        with self._store.transaction(lasting=False) as db:
            db.execute(KEEP_MISSING)

    def add_devices(self, rows: Sequence[Sequence[Any]]) -> None:
        """Stage devices; the first value of a row is the guid."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO staged_devices (guid, hash, row) VALUES (?, ?, ?)",
                [(row[0], *_kept(row)) for row in rows],
            )

    def mailboxes_by_dn(self, names: Iterable[str | None]) -> dict[str, str]:
        """The guids of the staged mailboxes with these distinguished names, by the name in ``fold``."""
        wanted = json.dumps(sorted({folded for name in names if (folded := fold(name)) is not None}))
        rows = self._store.all(
            "SELECT m.dn, m.guid FROM json_each(?) AS name JOIN staged_mailboxes m ON m.dn = name.value", (wanted,)
        )
        return dict(rows)

    def measure(self, scope: Scope) -> tuple[int, int, str]:
        """How many devices and mailboxes a synchronisation of this scope sends, and the digest of all their rows."""
        digest = ListingDigest()
        counts = {"mailboxes": 0, "devices": 0}
        for kind in counts:
            for value in self._walk(ROWS[scope].format(what="hash", kind=kind)):
                digest.add_hash(value)
                counts[kind] += 1
        return counts["devices"], counts["mailboxes"], digest.hexdigest()

    def totals(self) -> tuple[int, int]:
        """How many devices and mailboxes are staged, to be told."""
        return self._count("staged_devices", "row"), self._count("staged_mailboxes", "row")

    def shrank(self) -> bool:
        """Whether the staged listing lacks more of the sealed one than a quick synchronisation may tell unasked.

        A bulk listing can come short without an error. Only a full synchronisation is looked at by the service's guard.
        """
        for kind in ("devices", "mailboxes"):
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
        for guid, text in self._store.all(ROWS[scope].format(what="row", kind=kind), (after, rows)):
            length += len(text)
            if page and length > size:
                break
            page.append((guid, json.loads(text)))
        return page

    @property
    def has_baseline(self) -> bool:
        """Whether there is a sealed listing to compare with."""
        return self._store.note(BASELINE) is not None

    def seal(self, at: str) -> None:
        """The service has the staged listing: it takes the place of the sealed one."""
        with self._store.transaction() as db:
            db.execute("DROP INDEX staged_mailboxes_dn")
            for kind in ("mailboxes", "devices"):
                db.execute(f"DROP TABLE sealed_{kind}")
                db.execute(f"ALTER TABLE staged_{kind} RENAME TO sealed_{kind}")
            for statement in STAGED_TABLES:
                db.execute(statement)
            db.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", (BASELINE, at))

    def _walk(self, statement: str) -> Iterator[int]:
        """The hashes of a statement, page by page."""
        after = ""
        while page := self._store.all(statement, (after, HASHES_A_PAGE)):
            yield from (value for _, value in page)
            after = page[-1][0]


def _allowed(present: int) -> int:
    """How many of so many may be missing without a question, as the service's guard counts."""
    return max(ALLOWED_AT_LEAST, int(present * ALLOWED_SHARE))


def fold(name: str | None) -> str | None:
    """A distinguished name as it is compared: without regard to case."""
    return None if name is None else mend(name).casefold()


def _kept(row: Sequence[Any]) -> tuple[int, str]:
    """A row's hash and its text."""
    text = row_text(row)
    return _signed(text_hash(text)), text.decode("ascii")


def _signed(value: int) -> int:
    """A hash as SQLite's signed 64 bits; a digest adds up either way."""
    return value - (1 << 64) if value >> 63 else value
