"""The connector's SQLite file: a cache of what was sealed, and an outbox of one document.

Nothing in it is the only copy of anything that matters: deleting it, at any moment, costs a full synchronisation and
never correctness. What the service may have received but not answered is in the outbox, byte for byte, before its first
attempt (synchronous = FULL), so that a process that dies and starts again sends the same bytes.

The sequence has three states: *unknown* in a fresh file (the service is asked), *adopted* (taken from the service, no
document answered yet) and *settled*. Every method is one short transaction on one connection, from any thread.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gatepost.connector import host
from gatepost.domain.contract import Answer
from gatepost.errors import StoreError

FILE = "store.sqlite"
APPLICATION = 0x47504353  # "GPCS" in SQLite's own field for whose file it is
SCHEMA = 6
OUTCOMES_A_DOCUMENT = 1_000
DEAD_LETTERS_KEPT = 20

TABLES = """
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1), organization TEXT NOT NULL, connector TEXT NOT NULL,
    epoch INTEGER NOT NULL, incarnation TEXT NOT NULL, sequence INTEGER, settled INTEGER NOT NULL DEFAULT 0);
CREATE TABLE outbox (sequence INTEGER PRIMARY KEY, document BLOB NOT NULL, acknowledges INTEGER NOT NULL DEFAULT 0);
CREATE TABLE dead_letters (at TEXT NOT NULL, problem TEXT NOT NULL, document BLOB NOT NULL);
CREATE TABLE outcomes (
    outcome_id TEXT PRIMARY KEY, body TEXT NOT NULL, sequence INTEGER,
    suspect INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE desired (
    mailbox TEXT, device_id TEXT, revision INTEGER NOT NULL, row TEXT NOT NULL, told TEXT,
    PRIMARY KEY (mailbox, device_id)) WITHOUT ROWID;
CREATE TABLE work (
    mailbox TEXT PRIMARY KEY, due REAL, written_at REAL, written_on TEXT, undone INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, compared INTEGER) WITHOUT ROWID;
CREATE INDEX work_due ON work (due) WHERE due IS NOT NULL;
CREATE TABLE writes (mailbox TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE taken (at REAL NOT NULL, count INTEGER NOT NULL);
CREATE TABLE statistics (
    guid TEXT PRIMARY KEY, text TEXT, due REAL NOT NULL, urgent INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 1) WITHOUT ROWID;
CREATE INDEX statistics_due ON statistics (urgent DESC, due);
CREATE INDEX statistics_untold ON statistics (guid) WHERE told = 0;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sealed_mailboxes (guid TEXT NOT NULL, hash INTEGER, dn TEXT, row TEXT);
CREATE TABLE sealed_devices (guid TEXT NOT NULL, hash INTEGER NOT NULL, row TEXT NOT NULL);
CREATE TABLE staged_mailboxes (guid TEXT NOT NULL, hash INTEGER, dn TEXT, row TEXT);
CREATE TABLE staged_devices (guid TEXT NOT NULL, hash INTEGER NOT NULL, row TEXT NOT NULL);
"""
BASELINE = "baseline"
STAGING = "staging"
REVISION = "revision"
MAILED = "mailed"
OF_AN_ENROLMENT = (
    "identity", "outbox", "desired", "work", "writes", "sealed_mailboxes", "sealed_devices",
    "statistics",
)  # fmt: skip
UPSERT_DESIRED = """INSERT INTO desired (mailbox, device_id, revision, row) VALUES (?, ?, ?, ?)
    ON CONFLICT (mailbox, device_id) DO UPDATE SET revision = excluded.revision, row = excluded.row, told = NULL
    WHERE excluded.revision > revision"""
WAKE = """INSERT INTO work (mailbox, due) VALUES (?, -?)
    ON CONFLICT (mailbox) DO UPDATE SET due = min(coalesce(due, 0), excluded.due), failures = 0"""
NEXT_FULL, NEXT_QUICK = "next_full", "next_quick"
RUNNING_MODE = "running_mode"


class Store:
    """One connector's store; a context manager. ``path`` is the SQLite file.

    Another enrolment, or another history of the database, starts it afresh; only what became of work already done is
    kept for the service, as long as it is for the same ``organization``. ``acknowledged`` is the highest revision of
    which the service knows, since this process began, that work on it may begin.
    """

    def __init__(self, path: Path, organization: str, connector: str, epoch: int, incarnation: str) -> None:
        self.path = path
        self.acknowledged = 0
        self._lock = threading.RLock()
        self._db = self._connect()
        try:
            self._prepare(organization, connector, epoch, incarnation)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        """The open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        with self._lock:
            self._db.close()

    # -- opening --------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        try:
            host.private_folder(self.path.parent)
            return sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise _broken(self.path, error) from error

    def _prepare(self, organization: str, connector: str, epoch: int, incarnation: str) -> None:
        """Check whose file it is, make the tables, and start afresh where the identity is another."""
        with self._translated():
            application, version, tables = self._stamp()
            if tables and application != APPLICATION:
                raise StoreError(
                    f"The file {self.path} is not a connector's store.",
                    "Give the connector a folder of its own, or delete the file.",
                )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA wal_autocheckpoint = 8000")
            self._db.execute("PRAGMA synchronous = FULL")
        if tables and version != SCHEMA:
            self._drop_all()
        if not tables or version != SCHEMA:
            self._make()
        row = self._one("SELECT organization, connector, epoch FROM identity")
        if row != (organization, connector, epoch):
            self._restart(organization, connector, epoch, incarnation)

    def _stamp(self) -> tuple[int, int, int]:
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        return application, version, self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]

    def _make(self) -> None:
        with self.transaction() as db:
            for statement in TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {SCHEMA}")

    def _drop_all(self) -> None:
        """Another version's tables: nothing in them is worth a migration."""
        with self.transaction() as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            for name in names:
                db.execute(f'DROP TABLE "{name}"')

    # -- transactions ---------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk when it ends, or nothing. Raises StoreError.

        One that is not ``lasting`` need not be on the disk yet (a power cut may undo it): for what is staged and would
        be thrown away by the next start.
        """
        with self._lock, self._translated():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def all(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        with self._lock, self._translated():
            return self._db.execute(statement, parameters).fetchall()

    def _one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        rows = self.all(statement, parameters)
        return rows[0] if rows else None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _broken(self.path, error) from error

    # -- identity and sequence ------------------------------------------------------------------------------------

    @property
    def incarnation(self) -> str:
        """The history of the database that this store belongs to."""
        row = self._one("SELECT incarnation FROM identity")
        return str(row[0]) if row else ""

    @property
    def sequence(self) -> int | None:
        """The number of the last document sealed; None where only the service knows."""
        row = self._one("SELECT sequence FROM identity")
        return row[0] if row else None

    @property
    def settled(self) -> bool:
        """Whether a document of this store was answered since its sequence was taken over."""
        return self._one("SELECT 1 FROM identity WHERE settled = 1") is not None

    def _restart(self, organization: str, connector: str, epoch: int, incarnation: str) -> None:
        """Forget everything but the organization's outcomes: another enrolment, or another history of the database."""
        with self.transaction() as db:
            db.execute(
                "DELETE FROM outcomes WHERE NOT EXISTS (SELECT 1 FROM identity WHERE organization = ?)", (organization,)
            )
            db.execute("UPDATE outcomes SET sequence = NULL")
            for table in OF_AN_ENROLMENT:
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            kept = (STAGING, RUNNING_MODE, MAILED)  # what is staged stays, and what it is; who runs goes on
            db.execute("DELETE FROM notes WHERE name NOT IN (?, ?, ?)", kept)
            db.execute(
                "INSERT INTO identity (one, organization, connector, epoch, incarnation) VALUES (1, ?, ?, ?, ?)",
                (organization, connector, epoch, incarnation),
            )

    def meet(self, incarnation: str) -> None:
        """Start afresh under another history of the database; the identity and unsent outcomes stay."""
        row = self._one("SELECT organization, connector, epoch FROM identity")
        self.acknowledged = 0
        if row:
            self._restart(row[0], row[1], row[2], incarnation)

    def adopt(self, expected: int) -> None:
        """Take the next number from the service. What was in flight is dropped, and a full synchronisation is due."""
        with self.transaction() as db:
            db.execute("DELETE FROM outbox")
            db.execute("UPDATE outcomes SET sequence = NULL")
            db.execute("UPDATE identity SET sequence = ?, settled = 0", (expected - 1,))
            db.execute("DELETE FROM notes WHERE name IN (?, ?)", (BASELINE, NEXT_FULL))

    # -- outbox ---------------------------------------------------------------------------------------------------

    def pending(self) -> tuple[int, bytes] | None:
        """The document in flight, if any: its number and the bytes as sent."""
        row = self._one("SELECT sequence, document FROM outbox ORDER BY sequence LIMIT 1")
        return (row[0], row[1]) if row else None

    def put(self, sequence: int, document: bytes, outcomes: Sequence[str] = (), acknowledges: int = 0) -> None:
        """Keep a sealed document, with the outcomes that it carries, before its first attempt.

        ``acknowledges`` is the revision on which work may begin once it is answered, 0 where it says nothing of that.
        """
        with self.transaction() as db:
            db.execute("INSERT INTO outbox VALUES (?, ?, ?)", (sequence, document, acknowledges))
            db.execute("UPDATE identity SET sequence = ?", (sequence,))
            db.executemany(
                "UPDATE outcomes SET sequence = ? WHERE outcome_id = ?", [(sequence, name) for name in outcomes]
            )

    def settle(self, sequence: int, answer: Answer) -> None:
        """A document was answered: it and its outcomes leave the store, the answer's page of desired state stays.

        Mailboxes with a new row are due now: at minus its revision, which tells how new it is. A row that is not newer
        than the one held is what was worked on already.
        """
        with self.transaction() as db:
            acknowledges = db.execute("SELECT acknowledges FROM outbox WHERE sequence = ?", (sequence,)).fetchone()
            afresh = answer.revision_from == 0 and self.revision > 0
            db.execute("DELETE FROM outbox WHERE sequence = ?", (sequence,))
            db.execute("DELETE FROM outcomes WHERE sequence = ?", (sequence,))
            db.execute("UPDATE identity SET settled = 1")
            if afresh:
                db.execute("DELETE FROM desired")
            rows = [(row.mailbox, row.device_id, row.revision, json.dumps(row.document())) for row in answer.desired]
            db.executemany(UPSERT_DESIRED, rows)
            db.executemany(WAKE, [(row.mailbox, row.revision) for row in answer.desired])
            self._note(db, REVISION, str(answer.revision))
        self.acknowledged = 0 if afresh else max(self.acknowledged, acknowledges[0] if acknowledges else 0)

    def discard(self, sequence: int) -> None:
        """A document was refused and never applied: its number is free again, its outcomes wait for the next."""
        with self.transaction() as db:
            db.execute("DELETE FROM outbox WHERE sequence = ?", (sequence,))
            db.execute("UPDATE outcomes SET sequence = NULL WHERE sequence = ?", (sequence,))
            db.execute("UPDATE identity SET sequence = ? WHERE sequence = ?", (sequence - 1, sequence))

    def bury(self, sequence: int, at: str, problem: str) -> None:
        """Put a document that the service calls malformed aside, for people to look at.

        Its outcomes stay. From now on they travel one by one, so that a malformed one stops only itself: that one is
        in the document put aside, and nowhere else.
        """
        with self.transaction() as db:
            db.execute(
                "INSERT INTO dead_letters (at, problem, document) SELECT ?, ?, document FROM outbox WHERE sequence = ?",
                (at, problem, sequence),
            )
            db.execute(
                "DELETE FROM dead_letters WHERE rowid <= (SELECT max(rowid) FROM dead_letters) - ?",
                (DEAD_LETTERS_KEPT,),
            )
            db.execute("DELETE FROM outcomes WHERE sequence = ? AND suspect = 1", (sequence,))
            db.execute("UPDATE outcomes SET suspect = 1 WHERE sequence = ?", (sequence,))
        self.discard(sequence)

    # -- outcomes, desired, notes ---------------------------------------------------------------------------------

    def add_outcome(self, outcome_id: str, body: Mapping[str, Any]) -> None:
        """Keep what became of a piece of work until the service has it. The same id again changes nothing."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO outcomes (outcome_id, body) VALUES (?, ?)", (outcome_id, json.dumps(dict(body)))
            )

    def outcomes(self) -> list[dict[str, Any]]:
        """Outcomes that no document in flight carries, as many as one document takes; a suspect one goes alone."""
        rows = self.all(
            "SELECT body, suspect FROM outcomes WHERE sequence IS NULL ORDER BY suspect, outcome_id LIMIT ?",
            (OUTCOMES_A_DOCUMENT,),
        )
        clear = [body for body, suspect in rows if not suspect]
        return [json.loads(body) for body in clear or [body for body, _ in rows[:1]]]

    def last_outcomes(self) -> Iterator[list[dict[str, Any]]]:
        """All outcomes that were never answered, in flight or not, by the document; at least one, which may be empty.

        For a farewell, after which nobody speaks any more: what the service has already is ignored by its id.
        """
        bodies = [row[0] for row in self.all("SELECT body FROM outcomes ORDER BY outcome_id")]
        for start in range(0, max(1, len(bodies)), OUTCOMES_A_DOCUMENT):
            yield [json.loads(body) for body in bodies[start : start + OUTCOMES_A_DOCUMENT]]

    @property
    def revision(self) -> int:
        """The revision up to which desired state is held."""
        return int(self.note(REVISION) or 0)

    def desired(self) -> Iterator[dict[str, Any]]:
        """The desired state as last told, row by row."""
        return (json.loads(row[0]) for row in self.all("SELECT row FROM desired ORDER BY mailbox, device_id"))

    def note(self, name: str) -> str | None:
        """A remembered text, such as the time of the last full synchronisation."""
        row = self._one("SELECT value FROM notes WHERE name = ?", (name,))
        return str(row[0]) if row else None

    def notes(self) -> dict[str, str]:
        """All remembered texts."""
        return dict(self.all("SELECT name, value FROM notes"))

    def remember(self, **notes: str | None) -> None:
        """Remember texts; None forgets one."""
        with self.transaction() as db:
            for name, value in notes.items():
                if value is None:
                    db.execute("DELETE FROM notes WHERE name = ?", (name,))
                else:
                    self._note(db, name, value)

    @staticmethod
    def _note(db: sqlite3.Connection, name: str, value: str) -> None:
        db.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", (name, value))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A store to read beside whoever works on it; None where there is none, or not yet. Raises StoreError."""
    if not path.exists():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as db:
            [(version,)] = db.execute("PRAGMA user_version")
            if version and version != SCHEMA:
                yield None  # another version's, which starts afresh
            else:
                [(tables,)] = db.execute("SELECT count(*) FROM sqlite_schema")
                yield db if tables else None
    except sqlite3.Error as error:
        raise _broken(path, error) from error


def peek(path: Path) -> tuple[dict[str, str], int]:
    """The notes of a store and how many documents wait in it, read beside whoever works on it."""
    with reading(path) as db:
        if db is None:
            return {}, 0
        notes = dict(db.execute("SELECT name, value FROM notes").fetchall())
        return notes, int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])


def _broken(path: Path, error: sqlite3.Error) -> StoreError:
    return StoreError(
        f"The connector's store {path} cannot be used: {error}.",
        "Check the disk. Where the file is damaged, stop the connector and delete it: the next full synchronisation "
        "rebuilds it.",
    )
