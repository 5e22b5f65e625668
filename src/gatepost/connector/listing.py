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
from gatepost.domain.contract import ListingDigest, Scope, row_text, text_hash

Kind = Literal["mailboxes", "devices"]

PAGES: dict[tuple[Kind, Scope], str] = {
    ("mailboxes", Scope.FULL): "SELECT guid, row FROM staged_mailboxes WHERE guid > ? ORDER BY guid LIMIT ?",
    ("devices", Scope.FULL): "SELECT guid, row FROM staged_devices WHERE guid > ? ORDER BY guid LIMIT ?",
    (
        "mailboxes",
        Scope.QUICK,
    ): "SELECT n.guid, n.row FROM staged_mailboxes n LEFT JOIN sealed_mailboxes o USING (guid) "
    "WHERE n.guid > ? AND o.hash IS NOT n.hash ORDER BY n.guid LIMIT ?",
    ("devices", Scope.QUICK): "SELECT n.guid, n.row FROM staged_devices n LEFT JOIN sealed_devices o USING (guid) "
    "WHERE n.guid > ? AND o.hash IS NOT n.hash ORDER BY n.guid LIMIT ?",
}
HASHES: dict[tuple[Kind, Scope], str] = {
    ("mailboxes", Scope.FULL): "SELECT guid, hash FROM staged_mailboxes WHERE guid > ? ORDER BY guid LIMIT ?",
    ("devices", Scope.FULL): "SELECT guid, hash FROM staged_devices WHERE guid > ? ORDER BY guid LIMIT ?",
    (
        "mailboxes",
        Scope.QUICK,
    ): "SELECT n.guid, n.hash FROM staged_mailboxes n LEFT JOIN sealed_mailboxes o USING (guid) "
    "WHERE n.guid > ? AND o.hash IS NOT n.hash ORDER BY n.guid LIMIT ?",
    ("devices", Scope.QUICK): "SELECT n.guid, n.hash FROM staged_devices n LEFT JOIN sealed_devices o USING (guid) "
    "WHERE n.guid > ? AND o.hash IS NOT n.hash ORDER BY n.guid LIMIT ?",
}
STAGED_TABLES = [statement for statement in TABLES.split(";") if " staged_" in statement]
HASHES_A_PAGE = 10_000


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
            for value in self._walk(HASHES[kind, scope]):  # type: ignore[index]
                digest.add_hash(value)
                counts[kind] += 1
        return counts["devices"], counts["mailboxes"], digest.hexdigest()

    def totals(self) -> tuple[int, int]:
        """How many devices and mailboxes are staged."""
        [(devices,)] = self._store.all("SELECT count(*) FROM staged_devices")
        [(mailboxes,)] = self._store.all("SELECT count(*) FROM staged_mailboxes")
        return devices, mailboxes

    def page(self, kind: Kind, scope: Scope, after: str, rows: int, size: int) -> list[tuple[str, list[Any]]]:
        """The next rows behind guid ``after``, at most ``rows`` and about ``size`` bytes of them, at least one."""
        page: list[tuple[str, list[Any]]] = []
        length = 0
        for guid, text in self._store.all(PAGES[kind, scope], (after, rows)):
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
