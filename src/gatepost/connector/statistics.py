"""The statistics of devices, which cost Exchange a call each: what was last read of them, and of whom to read next.

They are kept beside the listing, so that a listing made anew has the last known ones. Due is who was never read, whose
statistics are old or whose device changed since; a wipe under way is looked at first, then those due the longest, so
that all come round. A device that Exchange has no answer for is put off, and stops no other.
"""

import itertools
import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gatepost.connector import host, log
from gatepost.connector.rows import STATISTICS, RowText, statistics_text, with_statistics
from gatepost.connector.stopping import Stop
from gatepost.connector.store import Store
from gatepost.domain.devices import Capabilities, Statistics
from gatepost.errors import (
    CmdletNotGranted,
    ExchangeAvoided,
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    NotExchange,
    SessionLost,
    SignInRefused,
    UntrustedCertificate,
)

DAY = 86_400.0
CALLS = 10_000  # at most, each time
SHARE, LONGEST = 1 / 3, 300.0  # of the time between two quick synchronisations, and seconds
KEPT_AT_ONCE = 100
LOST_IN_A_ROW = 3
PUT_OFF, LONGEST_PUT_OFF = 3_600.0, 7 * DAY  # seconds
OF_ALL = (CmdletNotGranted, ExchangeAvoided, ExchangeBusy, NotExchange, SignInRefused, UntrustedCertificate)
LOST = (ExchangeUnreachable, SessionLost)

ADD_NEW = """INSERT INTO statistics (guid, due) SELECT guid, 0 FROM sealed_devices d
    WHERE NOT EXISTS (SELECT 1 FROM statistics s WHERE s.guid = d.guid) ORDER BY guid"""
FORGET_GONE = "DELETE FROM statistics WHERE NOT EXISTS (SELECT 1 FROM sealed_devices d WHERE d.guid = statistics.guid)"
DUE = "SELECT guid FROM statistics WHERE due <= ? OR due > ? ORDER BY urgent DESC, due LIMIT ?"
KEEP = """UPDATE statistics SET text = coalesce(:text, text), due = :due, urgent = :urgent,
    failures = CASE WHEN :failed THEN failures + 1 ELSE 0 END, told = told AND :text IS NULL WHERE guid = :guid"""
UNTOLD = """SELECT s.guid, s.text, d.row FROM statistics s LEFT JOIN sealed_devices d ON d.guid = s.guid
    WHERE s.told = 0 ORDER BY s.guid LIMIT ?"""


class Source(Protocol):
    """What statistics are read from: an open Exchange organization."""

    capabilities: Capabilities

    def statistics_of(self, guids: Iterable[str]) -> Generator[tuple[str, Statistics | ExchangeError], None, None]:
        """Each device with its statistics or the error that it met, in any order."""


class Watcher(Protocol):
    """Somebody who watches."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins."""

    def advance(self, count: int) -> None:
        """So many more are done."""


class Untold(NamedTuple):
    """Statistics that the service does not have, with the device's row as it was last told."""

    guid: str
    text: str
    row: str | None

    def told(self) -> list[Any]:
        """The device's row with them."""
        return [*json.loads(self.row or "[]")[:-STATISTICS], *json.loads(self.text)]


class Readings:
    """What was read, in one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def complete(self, rows: Sequence[RowText]) -> Sequence[RowText]:
        """Devices' rows with the statistics that are known."""
        if not rows or not self._store.all("SELECT 1 FROM statistics LIMIT 1"):
            return rows
        found = self._store.all(
            "SELECT s.guid, s.text FROM json_each(?) AS name JOIN statistics s ON s.guid = name.value "
            "WHERE s.text IS NOT NULL",
            (json.dumps([row.guid for row in rows]),),
        )
        known = dict(found)
        return [with_statistics(row, known[row.guid]) if row.guid in known else row for row in rows]

    def follow(self) -> None:
        """Have those devices that the sealed listing has: new ones are due, others are forgotten."""
        with self._store.transaction() as db:
            db.execute(ADD_NEW)
            db.execute(FORGET_GONE)

    def due(self, now: float, every: float) -> list[str]:
        """Devices to be read, the most urgent first. A time that no clock can have set counts as due."""
        return [guid for (guid,) in self._store.all(DUE, (now, now + max(every, LONGEST_PUT_OFF) + DAY, CALLS))]

    def keep(self, read: Iterable["Reading"]) -> None:
        """Keep what was read, or that it could not be."""
        with self._store.transaction(lasting=False) as db:
            db.executemany(KEEP, [each._asdict() for each in read])

    def failures(self, guid: str) -> int:
        """How many times in a row a device could not be read."""
        [(count,)] = self._store.all("SELECT failures FROM statistics WHERE guid = ?", (guid,)) or [(0,)]
        return int(count)

    def untold(self, limit: int) -> list[Untold]:
        """What was read and not told."""
        return [Untold(*row) for row in self._store.all(UNTOLD, (limit,))]

    def told(self, guids: Iterable[str]) -> None:
        """The service has these."""
        with self._store.transaction() as db:
            db.executemany("UPDATE statistics SET told = 1 WHERE guid = ?", [(guid,) for guid in guids])


class Reading(NamedTuple):
    """What came of one call: a ``text`` to keep, or none where it failed; when the device is due again."""

    guid: str
    text: str | None
    due: float
    urgent: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Rounds:
    """How many devices were read, and how many could not be."""

    read: int = 0
    failed: int = 0


class Reader:
    """Reads what is due, within a share of the time between two quick synchronisations.

    ``every`` and ``quick_every`` are in seconds; with ``every`` 0 nothing is read. ``now`` is in Unix seconds.
    """

    def __init__(
        self,
        memory: Readings,
        stop: Stop,
        progress: Watcher,
        every: float,
        quick_every: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self._stop = stop
        self._progress = progress
        self._every = every
        self._seconds = min(quick_every * SHARE, LONGEST)
        self._now = now

    def run(self, source: Source, enough: Callable[[], bool] = lambda: False) -> Rounds:
        """Read, until the time is over or there is ``enough``. Trouble that concerns all ends it, and is logged."""
        if self._every <= 0 or source.capabilities.statistics_cmdlet is None:
            return Rounds()
        self._memory.follow()
        guids = self._memory.due(self._now(), self._every)
        self._progress.stage("statistics", len(guids))
        end = host.monotonic() + self._seconds
        going = itertools.takewhile(lambda _: host.monotonic() < end and not enough(), guids)
        kept: list[Reading] = []
        read = failed = 0
        try:
            for reading in self._read(source, going):
                kept.append(reading)
                failed, read = failed + reading.failed, read + (not reading.failed)
                if len(kept) >= KEPT_AT_ONCE:
                    self._memory.keep(kept)
                    kept = []
        finally:
            self._memory.keep(kept)
        return Rounds(read, failed)

    def _read(self, source: Source, guids: Iterator[str]) -> Iterator[Reading]:
        """What came of each call; Exchange going away ends it, with the device that met that put off."""
        lost = 0
        with closing(source.statistics_of(guids)) as found:
            for guid, got in found:
                self._stop.check()
                self._progress.advance(1)
                if isinstance(got, OF_ALL):
                    log.warning("statistics are read later", why=str(got))
                    return
                lost = lost + 1 if isinstance(got, LOST) else 0
                yield self._reading(guid, got)
                if lost >= LOST_IN_A_ROW:
                    log.warning("statistics are read later", why=str(got))
                    return

    def _reading(self, guid: str, got: Statistics | ExchangeError) -> Reading:
        now = self._now()
        if isinstance(got, ExchangeError):
            pause = PUT_OFF if isinstance(got, LOST) else max(self._every, PUT_OFF)
            pause = min(pause * 2.0 ** min(self._memory.failures(guid), 10), LONGEST_PUT_OFF)
            return Reading(guid, None, now + pause, urgent=False, failed=True)
        wiping = got.wipe_requested_at is not None and got.wipe_acknowledged_at is None
        return Reading(guid, statistics_text(got), now if wiping else now + self._every, urgent=wiping, failed=False)
