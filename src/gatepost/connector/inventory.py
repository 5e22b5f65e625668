"""A synchronisation: take a listing into the store, then tell the service all of it (full) or what changed (quick).

Nothing is sent before both bulk listings have ended well, so a listing that fails or is cut off half-way tells nothing.
Telling that was interrupted goes on behind the last part that was answered, where the service still has it open.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gatepost.connector import host, log
from gatepost.connector.courier import SAY_AGAIN, Courier
from gatepost.connector.listing import KINDS, TELLING, Listing
from gatepost.connector.listing import Kind as Rows
from gatepost.connector.rows import RowText
from gatepost.connector.statistics import Readings, Untold
from gatepost.connector.stopping import Stop
from gatepost.connector.taking import Progress, Source, Taken, Taking, Unwatched
from gatepost.domain.contract import (
    BYTES_UNPACKED,
    DEVICE_COLUMNS,
    MAILBOX_COLUMNS,
    ROWS_A_DOCUMENT,
    Facts,
    Kind,
    Scope,
    Sync,
    SyncResult,
    Table,
    iso,
    row_text,
)
from gatepost.errors import ServiceRefused, UplinkError

ATTEMPTS = 3
OVERLAP = 900.0
STATISTICS_A_DOCUMENT = 1_000
PART_BYTES = BYTES_UNPACKED - 256 * 1024  # what is left is for the document around the rows


@dataclass(frozen=True, slots=True)
class Report:
    """What a synchronisation came to. ``state`` is ``sealed`` or ``held`` (then ``why`` says the guard's reason).

    ``devices`` and ``mailboxes`` are what Exchange has, and of the mailboxes those ``elsewhere`` moved away or were
    disabled; the ``sent_`` numbers are what was told. ``seconds`` has ``list``, ``send`` and ``total``.
    """

    scope: Scope
    state: str
    why: str
    devices: int
    mailboxes: int
    elsewhere: int
    sent_devices: int
    sent_mailboxes: int
    unreadable: int
    mended: int
    rejected: int
    seconds: Mapping[str, float]


class _Mismatch(Exception):
    """The service does not have what was sent."""


@dataclass(slots=True)
class _Telling:
    """A synchronisation that is being told, and how far: parts that were answered, and the guid that they end with."""

    sync: Sync
    number: int = 0
    kind: Rows = "mailboxes"
    after: str = ""
    rejected: int = 0


class Inventory:
    """Takes synchronisations of one organization; ``rows_a_part`` shrinks where the service finds a part too large.

    ``overlap`` is how far behind its watermark a quick synchronisation looks, in seconds.
    """

    def __init__(
        self,
        listing: Listing,
        courier: Courier,
        stop: Stop | None = None,
        progress: Progress | None = None,
        rows_a_part: int = ROWS_A_DOCUMENT,
        overlap: float = OVERLAP,
    ) -> None:
        self._listing = listing
        self._courier = courier
        self._stop = stop or Stop()
        self._progress = progress or Unwatched()
        self._rows_a_part = rows_a_part
        self._taking = Taking(listing, overlap, self._stop, self._progress)
        self._memory = Readings(listing.store)

    def run(self, source: Source, scope: Scope) -> Report:
        """List and tell.

        A quick sync lists what changed, where that is possible; else everything, and compares. It becomes a full one
        where there is no sealed listing to compare with, and where it would tell of a sharp loss: a full one is
        announced as a whole, so that the service's guard sees it before a row is told. What goes on with an interrupted
        listing lacks what changed since: a quick sync after it takes that too, and the report is of the first.
        Raises the ExchangeError family where the listing failed (nothing was sent), UplinkError where telling failed,
        Stopped when asked to stop.
        """
        report, dated = self._run(source, scope)
        if dated and report.state == "sealed":
            log.info("what changed since the interrupted listing is taken too")
            self._run(source, Scope.QUICK)
        return report

    def _run(self, source: Source, scope: Scope) -> tuple[Report, bool]:
        """One synchronisation, and whether some of what it told was listed before."""
        begun = host.monotonic()
        taken = self._taking.take(source, scope)
        listed = host.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            if self._listing.is_delta and not self._is_comparable():
                taken = self._taking.take(source, Scope.FULL)
            try:
                return self._tell(taken, scope, begun, listed), taken.dated
            except ServiceRefused as refused:
                if refused.type not in SAY_AGAIN or attempt == ATTEMPTS:
                    raise
                log.info("synchronisation begins again", why=refused.type)
            except _Mismatch as mismatch:
                log.warning("synchronisation begins again", why=str(mismatch))
            self._listing.store.remember(**{TELLING: None})
        raise UplinkError(
            f"The service did not get what was sent, {ATTEMPTS} times: the counts or digests differ.",
            "It is tried again later; if it stays so, update the connector and the service.",
        )

    def _is_comparable(self) -> bool:
        """Whether there is a sealed listing that does not lose too much by the staged one."""
        if not self._listing.has_baseline:
            return False
        if self._listing.shrank():
            log.warning("much is missing in this listing; a full sync asks the service's guard")
            return False
        return True

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, taken: Taken, wanted: Scope, begun: float, listed: float) -> Report:
        comparable = wanted is Scope.QUICK and (self._listing.is_delta or self._is_comparable())
        scope = Scope.QUICK if comparable else Scope.FULL
        devices, mailboxes, digest = self._listing.measure(scope)
        sync = Sync(str(uuid.uuid4()), scope, devices, mailboxes, digest, unreadable=taken.unreadable)
        self._progress.stage("sending", devices + mailboxes)
        telling = (self._interrupted(sync) if taken.resumed else None) or _Telling(sync)
        why = self._begin(sync, taken) if telling.sync is sync else ""
        why = why or self._send_parts(telling) or self._seal(telling.sync)
        state = "held" if why else "sealed"
        every_device, every_mailbox = self._listing.totals()
        elsewhere = self._listing.elsewhere()
        if state == "sealed":
            self._listing.seal(iso(datetime.now(UTC)) or "", taken.notes)
        else:
            self._listing.unfinish()
        ended = host.monotonic()
        seconds = {"list": listed - begun, "send": ended - listed, "total": ended - begun}
        return Report(
            scope=scope,
            state=state,
            why=why,
            devices=every_device,
            mailboxes=every_mailbox,
            elsewhere=elsewhere,
            sent_devices=devices if state == "sealed" else 0,
            sent_mailboxes=mailboxes if state == "sealed" else 0,
            unreadable=taken.unreadable,
            mended=taken.mended,
            rejected=telling.rejected,
            seconds={name: round(value, 3) for name, value in seconds.items()},
        )

    def _begin(self, sync: Sync, taken: Taken) -> str:
        """Announce it. Returns why it is held, '' where it may go."""
        rules = None if taken.rules is None else [asdict(rule) for rule in taken.rules]
        facts = Facts(settings=asdict(taken.settings) | {"rules": rules}, findings=tuple(taken.findings))
        result = self._send(Kind.SYNC_BEGIN, sync, facts)
        if result.state == "held":
            return result.why or "held by the service's guard"
        if result.state != "go":
            raise _Mismatch(f"the service answered {result.state or 'nothing'} to the announcement")
        return ""

    def _send_parts(self, telling: _Telling) -> str:
        """All rows that were not answered yet, mailboxes first so that devices find theirs.

        Returns why a part was held, '' where none was.
        """
        for kind in KINDS[KINDS.index(telling.kind) :]:
            if telling.kind != kind:
                telling.kind, telling.after = kind, ""
            while page := self._listing.page(kind, telling.sync.scope, telling.after, self._rows_a_part, PART_BYTES):
                part = Sync(telling.sync.sync_id, telling.sync.scope, part=telling.number + 1)
                facts = _facts(kind, [row for _, row in page])
                self._keep(telling)
                try:
                    result = self._send(Kind.SYNC_PART, part, facts)
                except ServiceRefused as refused:
                    if refused.type != "too-large" or len(page) == 1:
                        raise
                    self._rows_a_part = max(1, len(page) // 2)
                    continue
                if result.state == "held":
                    return result.why or "held by the service's guard"
                if result.state == "mismatch":
                    raise _Mismatch(result.why or "a part did not fit")
                telling.number, telling.after = telling.number + 1, page[-1][0]
                telling.rejected += _tell_rejected(result)
                self._progress.advance(len(page))
        self._keep(telling)
        return ""

    def _keep(self, telling: _Telling) -> None:
        """Keep how far it is; with the rows of a part, for a part that is sent again must be the same."""
        note = json.dumps(asdict(telling) | {"rows_a_part": self._rows_a_part})
        with self._listing.store.transaction(lasting=False) as db:
            db.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)", (TELLING, note))

    def _interrupted(self, sync: Sync) -> _Telling | None:
        """How far the telling of these very rows had come, None where it had not begun."""
        note = self._listing.store.note(TELLING)
        raw: dict[str, Any] = json.loads(note) if note else {}
        begun = Sync(**raw.pop("sync")) if raw else None
        if begun is None or replace(begun, sync_id=sync.sync_id) != sync:
            return None
        self._rows_a_part = raw.pop("rows_a_part")
        log.info("telling goes on", sync=begun.sync_id, part=raw["number"] + 1)
        return _Telling(begun, **raw)

    def _seal(self, sync: Sync) -> str:
        """Close it. Returns why it is held after all, '' where it is sealed."""
        result = self._send(Kind.SYNC_SEAL, Sync(sync.sync_id, sync.scope), Facts())
        if result.state == "held":
            return result.why or "held by the service's guard"
        if result.state != "sealed":
            raise _Mismatch(result.why or "the seal did not fit")
        return ""

    # -- statistics ------------------------------------------------------------------------------------------------

    def tell_statistics(self) -> int:
        """Tell what was read of devices that were told before; of how many it was news. Raises UplinkError."""
        count = 0
        while untold := self._memory.untold(STATISTICS_A_DOCUMENT):
            self._stop.check()
            rows = list(_news(untold))
            if rows:
                result = self._courier.send(Kind.CYCLE, facts=_facts("devices", rows)).result or SyncResult("")
                if result.state == "held":
                    log.warning("statistics are told later", why=result.why)
                    return count
                _tell_rejected(result)
                self._listing.amend([RowText(row[0], row_text(row).decode("ascii")) for row in rows])
            self._memory.told(each.guid for each in untold)
            count += len(rows)
        return count

    def tell_devices(self, rows: list[RowText]) -> int:
        """Tell devices beside a synchronisation; how many the service took. Raises UplinkError."""
        count = 0
        for start in range(0, len(rows), STATISTICS_A_DOCUMENT):
            self._stop.check()
            page = rows[start : start + STATISTICS_A_DOCUMENT]
            facts = _facts("devices", [json.loads(row.text) for row in page])
            result = self._courier.send(Kind.CYCLE, facts=facts).result or SyncResult("")
            if result.state == "held":
                log.warning("new devices are told later", why=result.why)
                return count
            _tell_rejected(result)
            self._listing.add_sealed(page)
            count += len(page)
        return count

    def _send(self, kind: Kind, sync: Sync, facts: Facts) -> SyncResult:
        self._stop.check()
        return self._courier.send(kind, sync, facts).result or SyncResult("")


def _news(untold: list[Untold]) -> Iterator[list[Any]]:
    """The rows of devices that are still there, and of which something is new."""
    for each in untold:
        if each.row is not None and (row := each.told()) != json.loads(each.row):
            yield row


def _facts(kind: Rows, rows: list[list[Any]]) -> Facts:
    if kind == "mailboxes":
        return Facts(mailboxes=Table(MAILBOX_COLUMNS, tuple(rows)))
    return Facts(devices=Table(DEVICE_COLUMNS, tuple(rows)))


def _tell_rejected(result: SyncResult) -> int:
    for row in result.rejected:
        log.warning("the service rejected a row", guid=str(row.get("guid")), why=str(row.get("why")))
    return len(result.rejected)
