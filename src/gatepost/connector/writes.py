"""What is to be written and what was begun: when each mailbox is due, its rows, its write in flight, what that takes.

A write is recorded before its first byte leaves, in a lasting transaction, with the lists as they were for its ids:
after a kill a read shows what it did (an entry that is there now and was not there before was made by it). There is one
open write a mailbox, so a second cannot begin before a read has shown what became of the first.

Times are seconds since the epoch, since they must outlive a restart.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from typing import Any

from gatepost.connector.store import Store, reading
from gatepost.domain.desired import Desired, ListName, Outcome, Presence, read_desired

HOUR = 3_600.0
LONGEST_WAIT = 2 * 86_400.0  # what is due later than that was put off by a clock that was wrong
# Nothing begins on a mailbox while the service does not know that one of its rows is held. The first is by the index of
# ``due``, in order, so that what is due first is found without looking at all of it.
HELD = "NOT EXISTS (SELECT 1 FROM desired WHERE desired.mailbox = work.mailbox AND desired.revision > :known)"
NEWEST = f"FROM work WHERE due <= 0 AND {HELD} ORDER BY due, mailbox"  # published rows are due at minus their revision
OLDEST = f"FROM work WHERE due <= 0 AND {HELD} ORDER BY due DESC, mailbox DESC"
LATER = f"FROM work WHERE due > 0 AND due <= :now AND {HELD} ORDER BY due, mailbox"
MISDATED = f"FROM work WHERE due > :latest AND {HELD} ORDER BY due, mailbox"
BEGUN = f"FROM writes CROSS JOIN work USING (mailbox) WHERE (due <= :now OR due > :latest) AND {HELD} ORDER BY due"
AMONG = "WHERE mailbox IN (SELECT value FROM json_each(?))"
ROWS = "SELECT mailbox, row, told FROM desired"
OPEN = "SELECT mailbox, body FROM writes"
WORK = "SELECT mailbox, written_at, written_on, undone, failures"
ANYTHING = 2**63 - 1
LIMITS, TOLD_AT = "limits", "told_at"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """What one write is to do for one device, and how that id stood in the lists before."""

    device_id: str
    revision: int
    before: Presence
    add: tuple[ListName, ...]
    remove: tuple[ListName, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A write that was begun and that no read has shown the end of.

    ``over``: Exchange has answered it (with an error), so nothing more comes of it.
    """

    started_at: float
    controller: str | None
    steps: tuple[Step, ...]
    takes_away: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One mailbox: its rows, what was told of each under its revision, and what was written there, when and where.

    ``undone`` counts how often somebody undid what was written, ``failures`` the failed attempts in a row.
    """

    mailbox: str
    rows: tuple[Desired, ...] = ()
    told: Mapping[str, str | None] = field(default_factory=dict)
    started: Started | None = None
    written_at: float | None = None
    written_on: str | None = None
    undone: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of one row now, what counts as told of it, and the outcome where that is news.

    There may be no row any more: a write that was begun for it is told all the same.
    """

    row: Desired | None
    told: str | None
    outcome: Outcome | None = None


class Writes:
    """The work of one connector. ``enforcing``: rows wait until the service knows that they are held."""

    def __init__(self, store: Store, *, enforcing: bool, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._enforcing = enforcing
        self.now = now

    # -- what is due -----------------------------------------------------------------------------------------------

    def due(self, limit: int) -> list[str]:
        """Mailboxes to look at now, those with an open write first.

        Then the newest and the oldest of what was published and the longest due of what was put off take turns: what
        one person asks for in the middle of a long drain does not wait for its end, also where its first attempt
        failed, and nothing waits for ever.
        """
        taking_turns = zip_longest(*(self._due(source, limit) for source in (NEWEST, OLDEST, LATER)))
        waiting = (each for turn in taking_turns for each in turn if each is not None)
        found = dict.fromkeys(chain(self._due(BEGUN, limit), waiting))
        if len(found) < limit:
            found.update(dict.fromkeys(self._due(MISDATED, limit)))
        return list(found)[:limit]

    def _due(self, source: str, limit: int) -> list[str]:
        return [row[0] for row in self._store.all(f"SELECT mailbox {source} LIMIT {limit}", self._moment())]

    def seconds(self) -> float | None:
        """In how many seconds the next mailbox is due, 0 for now, None where none is."""
        if self.due(1):
            return 0.0
        [(due,)] = self._store.all("SELECT min(due) FROM work WHERE due > ?", (self.now(),))
        return None if due is None else max(0.0, float(due) - self.now())

    def _moment(self) -> dict[str, float]:
        known = self._store.acknowledged if self._enforcing else ANYTHING
        return {"now": self.now(), "latest": self.now() + LONGEST_WAIT, "known": known}

    def look_at(self, mailbox: str, at: float = 0.0) -> None:
        """Make a mailbox due, at a time or now; what is due earlier stays so."""
        self.look_at_all([(mailbox, at)])

    def look_at_all(self, moments: Iterable[tuple[str, float]]) -> None:
        """The same for many mailboxes, each at its time."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(
                "INSERT INTO work (mailbox, due) VALUES (?, ?) ON CONFLICT (mailbox) "
                "DO UPDATE SET due = min(coalesce(due, excluded.due), excluded.due)",
                moments,
            )

    def look_again(self, limits: str, told: Iterable[str]) -> None:
        """After a start: make due what was left open, and where the local limits are others, what was told so."""
        concerned = list(told) if self._store.note(LIMITS) != limits else []
        with self._store.transaction() as db:
            db.execute(
                "UPDATE work SET due = min(coalesce(due, 0), 0) "
                "WHERE mailbox IN (SELECT mailbox FROM desired WHERE told IS NULL "
                "OR told IN (SELECT value FROM json_each(?))) OR mailbox IN (SELECT mailbox FROM writes)",
                (json.dumps(concerned),),
            )
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (LIMITS, limits))

    def told_at(self) -> datetime:
        """The time of the newest outcome that was ever kept."""
        told = self._store.note(TOLD_AT)
        return datetime.fromisoformat(told) if told else LONG_AGO

    # -- one mailbox -----------------------------------------------------------------------------------------------

    def uncompared(self) -> dict[str, int | None]:
        """Mailboxes with desired rows whose listed row was not compared yet since it or what was told changed.

        Each with the listed row's hash.
        """
        return dict(
            self._store.all(
                "SELECT DISTINCT d.mailbox, m.hash FROM desired d JOIN sealed_mailboxes m ON m.guid = d.mailbox "
                "LEFT JOIN work w ON w.mailbox = d.mailbox WHERE coalesce(w.compared <> m.hash, 1) ORDER BY d.mailbox"
            )
        )

    def compared(self, hashes: Iterable[tuple[str, int | None]]) -> None:
        """Listed rows, each with its hash, that agree with what was told; a look forgets that again."""
        with self._store.transaction(lasting=False) as db:
            rows = ((value, mailbox) for mailbox, value in hashes)
            db.executemany("UPDATE work SET compared = ? WHERE mailbox = ?", rows)

    def tasks(self, mailboxes: Iterable[str]) -> Iterator[Task]:
        """What is known of these mailboxes, read side by side: a query for each table, and none for each mailbox."""
        these = (json.dumps(list(mailboxes)),)
        work = {mailbox: rest for mailbox, *rest in self._store.all(f"{WORK} FROM work {AMONG}", these)}
        begun = dict(self._store.all(f"{OPEN} {AMONG}", these))
        rows = self._store.all(f"{ROWS} {AMONG} ORDER BY mailbox, device_id", these)
        for mailbox, of_mailbox in groupby(rows, key=itemgetter(0)):
            yield _task(mailbox, [row[1:] for row in of_mailbox], work.get(mailbox), begun.get(mailbox))

    def task(self, mailbox: str) -> Task:
        """All that is known of one mailbox."""
        rows = self._store.all("SELECT row, told FROM desired WHERE mailbox = ? ORDER BY device_id", (mailbox,))
        work = self._store.all(f"{WORK} FROM work WHERE mailbox = ?", (mailbox,))
        begun = self._store.all("SELECT body FROM writes WHERE mailbox = ?", (mailbox,))
        return _task(mailbox, rows, work[0][1:] if work else None, begun[0][0] if begun else None)

    def settle(
        self,
        task: Task,
        said: Iterable[Said],
        *,
        due: float | None,
        written: tuple[float, str | None] | None = None,
        undone: int | None = None,
        failures: int = 0,
        started: Started | None = None,
    ) -> None:
        """Keep what came of a look at a mailbox, with its outcomes: all of it or nothing.

        ``written`` is when and on which controller; ``started`` is the write that is open still. A row that came
        meanwhile is left alone, and is due. A power cut may undo it until the next document is sealed: then the write
        that was begun is open again, and its mailbox is read.
        """
        with self._store.transaction(lasting=False) as db:
            for each in said:
                if each.row is not None:
                    key = (task.mailbox, each.row.device_id, each.row.revision)
                    db.execute(
                        "UPDATE desired SET row = ?, told = ? WHERE mailbox = ? AND device_id = ? AND revision = ?",
                        (json.dumps(each.row.document()), each.told, *key),
                    )
                if each.outcome is not None:
                    body = json.dumps(each.outcome.document())
                    db.execute("INSERT INTO outcomes (outcome_id, body) VALUES (?, ?)", (each.outcome.outcome_id, body))
                    db.execute(
                        "INSERT INTO notes VALUES (?, ?) "
                        "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
                        (TOLD_AT, each.outcome.at.astimezone(UTC).isoformat(timespec="microseconds")),
                    )
            db.execute("DELETE FROM writes WHERE mailbox = ?", (task.mailbox,))
            if started is not None:
                _keep(db.execute, task.mailbox, started)
            written_at, written_on = written or (task.written_at, task.written_on)
            work = (due, written_at, written_on, task.undone if undone is None else undone, failures)
            db.execute("INSERT OR REPLACE INTO work VALUES (?, ?, ?, ?, ?, ?, NULL)", (task.mailbox, *work))
            newest = max((row.revision for row in task.rows), default=-1)
            db.execute(
                "UPDATE work SET due = 0, failures = 0 WHERE mailbox = ? AND EXISTS "
                "(SELECT 1 FROM desired WHERE desired.mailbox = work.mailbox AND revision > ?)",
                (task.mailbox, newest),
            )

    # -- writes in flight ------------------------------------------------------------------------------------------

    def begin(self, mailbox: str, started: Started, may_take: Callable[[], int]) -> bool:
        """Record a write on the disk before its first byte leaves; False, and nothing kept, past the ceiling."""
        with self._store.transaction() as db:
            if started.takes_away > may_take():
                return False
            _keep(db.execute, mailbox, started)
            if started.takes_away:
                db.execute("INSERT INTO taken VALUES (?, ?)", (started.started_at, started.takes_away))
            db.execute("DELETE FROM taken WHERE at <= ?", (self.now() - HOUR,))
        return True

    def leave(self, mailbox: str, started: Started) -> Started:
        """The bytes of a write are about to leave: from now on it may take its time, however long ago it was begun.

        A power cut may leave it dated as it was begun; starting a machine again takes longer than the difference.
        """
        leaving = replace(started, started_at=self.now())
        with self._store.transaction(lasting=False) as db:
            _keep(db.execute, mailbox, leaving)
        return leaving

    def abandon(self, mailbox: str, started: Started) -> None:
        """Nothing of this write was sent: it does not count."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM writes WHERE mailbox = ?", (mailbox,))
            if started.takes_away:
                db.execute(
                    "DELETE FROM taken WHERE rowid = (SELECT max(rowid) FROM taken WHERE at = ? AND count = ?)",
                    (started.started_at, started.takes_away),
                )

    def take(self, count: int, may_take: Callable[[], int]) -> int | None:
        """Count a write beside the lists that takes access from so many devices; None past the ceiling.

        Else what comes back is for ``give_back``, where nothing of the write was sent after all.
        """
        with self._store.transaction() as db:
            if count > may_take():
                return None
            return db.execute("INSERT INTO taken VALUES (?, ?)", (self.now(), count)).lastrowid or 0

    def give_back(self, taken: int) -> None:
        """Nothing of that write was sent: it does not count."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM taken WHERE rowid = ?", (taken,))

    def taken(self) -> int:
        """How many devices our writes of the last hour took access from, or may have."""
        [(count,)] = self._store.all("SELECT coalesce(sum(count), 0) FROM taken WHERE at > ?", (self.now() - HOUR,))
        return int(count)

    def in_flight(self, seconds: float) -> bool:
        """Whether a write may be under way at Exchange: begun in the last ``seconds``, its end not known."""
        statement = (
            "SELECT 1 FROM writes WHERE json_extract(body, '$.started_at') > ? AND NOT json_extract(body, '$.over')"
        )
        return bool(self._store.all(statement, (self.now() - seconds,)))

    def has_news(self) -> bool:
        """Whether outcomes wait for a check-in."""
        return bool(self._store.all("SELECT 1 FROM outcomes WHERE sequence IS NULL LIMIT 1"))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the work stands, read beside whoever does it; see ``state.State``."""

    pending: int = 0
    uncertain: int = 0
    taken: int = 0
    written_at: float | None = None


def glance(path: Path, now: Callable[[], float] = time.time) -> Standing:
    """How the work in a store stands; all zero where there is none yet. Raises StoreError."""
    with reading(path) as db:
        if db is None:
            return Standing()
        [(pending,)] = db.execute(
            "SELECT count(*) FROM desired WHERE coalesce(told, '') NOT IN ('applied', 'unchanged')"
        )
        [(uncertain,)] = db.execute("SELECT count(*) FROM writes")
        [(taken,)] = db.execute("SELECT coalesce(sum(count), 0) FROM taken WHERE at > ?", (now() - HOUR,))
        [(written_at,)] = db.execute("SELECT max(written_at) FROM work")
        return Standing(pending, uncertain, taken, written_at)


def known(row: Desired, lists: Iterable[ListName]) -> Desired:
    """The row once the lists were read: exactly these entries are ours, and nothing is guessed any more."""
    return replace(row, owned=tuple(sorted(lists)), tried=())


def _task(mailbox: str, rows: Sequence[Sequence[Any]], work: Sequence[Any] | None, begun: str | None) -> Task:
    read = [(read_desired(json.loads(row), "desired"), told) for row, told in rows]
    written_at, written_on, undone, failures = work or (None, None, 0, 0)
    return Task(
        mailbox,
        rows=tuple(row for row, _ in read),
        told={row.device_id: told for row, told in read},
        started=_read_started(json.loads(begun)) if begun else None,
        written_at=written_at,
        written_on=written_on,
        undone=undone,
        failures=failures,
    )


def _keep(execute: Callable[..., object], mailbox: str, started: Started) -> None:
    execute("INSERT OR REPLACE INTO writes VALUES (?, ?)", (mailbox, json.dumps(_document(started))))


def _document(started: Started) -> dict[str, Any]:
    return {
        "started_at": started.started_at,
        "controller": started.controller,
        "takes_away": started.takes_away,
        "over": started.over,
        "steps": [
            {
                "device_id": step.device_id,
                "revision": step.revision,
                "before": step.before.document(),
                "add": step.add,
                "remove": step.remove,
            }
            for step in started.steps
        ],
    }


def _read_started(raw: Mapping[str, Any]) -> Started:
    steps = tuple(
        Step(
            each["device_id"],
            each["revision"],
            Presence(**each["before"]),
            tuple(map(ListName, each["add"])),
            tuple(map(ListName, each["remove"])),
        )
        for each in raw["steps"]
    )
    return Started(raw["started_at"], raw["controller"], steps, raw["takes_away"], raw["over"])
