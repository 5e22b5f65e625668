"""A synchronisation: list everything into the store, then tell the service all of it (full) or what changed (quick).

Nothing is sent before both bulk listings have ended well, so a listing that fails or is cut off half-way tells nothing.
What Exchange sent and we cannot read is counted and told as a finding; the rest goes on, and nothing is called gone.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from gatepost.connector import host, log
from gatepost.connector.courier import SAY_AGAIN, Courier
from gatepost.connector.listing import Kind as Rows
from gatepost.connector.listing import Listing, fold
from gatepost.connector.rows import Mender, mend, oversized
from gatepost.connector.stopping import Stop
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
)
from gatepost.domain.devices import Capabilities, Device, Mailbox, OrganizationSettings
from gatepost.errors import ServiceRefused, UnreadableObject, UplinkError

T = TypeVar("T")

BATCH = 1_000
ATTEMPTS = 3
FINDINGS_A_SYNC = 100
PART_BYTES = BYTES_UNPACKED - 256 * 1024  # what is left is for the document around the rows


class Source(Protocol):
    """What an inventory reads: an open Exchange organization."""

    capabilities: Capabilities

    def list_mailboxes(self) -> Iterable[Mailbox | UnreadableObject]:
        """All mailboxes, streaming."""

    def list_devices(self) -> Iterable[Device | UnreadableObject]:
        """All devices, streaming."""

    def settings(self) -> OrganizationSettings:
        """The organization's mobile settings."""


class Progress(Protocol):
    """Somebody who watches: stages with a total where it is known, and how far they are."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins: ``mailboxes``, ``devices`` or ``sending``."""

    def advance(self, count: int) -> None:
        """So many more are done."""


class Unwatched:
    """Nobody watches."""

    def stage(self, name: str, total: int | None) -> None:
        """Nothing to do."""

    def advance(self, count: int) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a synchronisation came to. ``state`` is ``sealed`` or ``held`` (then ``why`` says the guard's reason).

    ``devices`` and ``mailboxes`` are what Exchange has; the ``sent_`` numbers are what was told. ``seconds`` has
    ``list``, ``send`` and ``total``.
    """

    scope: Scope
    state: str
    why: str
    devices: int
    mailboxes: int
    sent_devices: int
    sent_mailboxes: int
    unreadable: int
    mended: int
    rejected: int
    seconds: Mapping[str, float]


@dataclass(slots=True)
class _Taken:
    """A listing that has ended well."""

    settings: OrganizationSettings
    findings: list[dict[str, str]] = field(default_factory=list)
    unreadable: int = 0
    mended: int = 0


class _Mismatch(Exception):
    """The service does not have what was sent."""


class Inventory:
    """Takes synchronisations of one organization; ``rows_a_part`` shrinks where the service finds a part too large."""

    def __init__(
        self,
        listing: Listing,
        courier: Courier,
        stop: Stop | None = None,
        progress: Progress | None = None,
        rows_a_part: int = ROWS_A_DOCUMENT,
    ) -> None:
        self._listing = listing
        self._courier = courier
        self._stop = stop or Stop()
        self._progress = progress or Unwatched()
        self._rows_a_part = rows_a_part

    def run(self, source: Source, scope: Scope) -> Report:
        """List and tell.

        A quick sync becomes a full one where there is no sealed listing to compare with, and where it would tell of a
        sharp loss: a full one is announced as a whole, so that the service's guard sees it before a row is told.
        Raises the ExchangeError family where the listing failed (nothing was sent), UplinkError where telling failed,
        Stopped when asked to stop.
        """
        begun = host.monotonic()
        taken = self._take(source)
        listed = host.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._tell(taken, scope, begun, listed)
            except ServiceRefused as refused:
                if refused.type not in SAY_AGAIN or attempt == ATTEMPTS:
                    raise
                log.info("synchronisation begins again", why=refused.type)
            except _Mismatch as mismatch:
                log.warning("synchronisation begins again", why=str(mismatch))
        raise UplinkError(
            f"The service did not get what was sent, {ATTEMPTS} times: the counts or digests differ.",
            "It is tried again later; if it stays so, update the connector and the service.",
        )

    # -- listing ---------------------------------------------------------------------------------------------------

    def _take(self, source: Source) -> _Taken:
        """Both bulk listings and the settings, into the store."""
        taken = _Taken(source.settings())
        mender = Mender()
        self._listing.begin()
        self._progress.stage("mailboxes", None)
        for mailboxes in self._batches(source.list_mailboxes(), taken):
            self._stage_mailboxes(mailboxes, mender, taken)
        self._listing.finish("mailboxes", keep_missing=taken.unreadable > 0)
        self._progress.stage("devices", None)
        for devices in self._batches(source.list_devices(), taken):
            owners = self._listing.mailboxes_by_dn(device.mailbox_dn for device in devices)
            self._listing.add_devices(
                [mender.device(each, owners.get(fold(each.mailbox_dn) or "")) for each in devices]
            )
        self._listing.finish("devices")
        taken.mended = mender.mended
        if taken.mended:
            taken.findings.append(_mended(taken.mended))
        return taken

    def _stage_mailboxes(self, mailboxes: list[Mailbox], mender: Mender, taken: _Taken) -> None:
        """Those that can be told, and by name those that cannot."""
        untold = [mailbox for mailbox in mailboxes if oversized(mailbox)]
        if untold:
            taken.unreadable += len(untold)
            taken.findings += map(_too_long, untold[:FINDINGS_A_SYNC])
            self._listing.know_mailboxes([(mailbox.dn, mailbox.guid) for mailbox in untold])
            mailboxes = [mailbox for mailbox in mailboxes if not oversized(mailbox)]
        self._listing.add_mailboxes([(mailbox.dn, mender.mailbox(mailbox)) for mailbox in mailboxes])

    def _batches(self, objects: Iterable[T | UnreadableObject], taken: _Taken) -> Iterator[list[T]]:
        """Readable objects by the batch; the others are counted."""
        batch: list[T] = []
        for each in objects:
            if isinstance(each, UnreadableObject):
                taken.unreadable += 1
                if taken.unreadable <= FINDINGS_A_SYNC:
                    taken.findings.append(_unreadable(each))
                continue
            batch.append(each)
            if len(batch) == BATCH:
                yield batch
                self._advance(len(batch))
                batch = []
        yield batch
        self._advance(len(batch))

    def _advance(self, count: int) -> None:
        self._progress.advance(count)
        self._stop.check()

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, taken: _Taken, wanted: Scope, begun: float, listed: float) -> Report:
        scope = wanted
        if not self._listing.has_baseline:
            scope = Scope.FULL
        elif wanted is Scope.QUICK and self._listing.shrank():
            log.warning("much is missing in this listing; a full sync asks the service's guard")
            scope = Scope.FULL
        devices, mailboxes, digest = self._listing.measure(scope)
        sync = Sync(str(uuid.uuid4()), scope, devices, mailboxes, digest, unreadable=taken.unreadable)
        self._progress.stage("sending", devices + mailboxes)
        state, why, rejected = "held", self._begin(sync, taken), 0
        if not why:
            rejected, why = self._send_parts(sync)
            why = why or self._seal(sync)
            state = "held" if why else "sealed"
        every_device, every_mailbox = self._listing.totals()
        if state == "sealed":
            self._listing.seal(iso(datetime.now(UTC)) or "")
        ended = host.monotonic()
        seconds = {"list": listed - begun, "send": ended - listed, "total": ended - begun}
        return Report(
            scope=scope,
            state=state,
            why=why,
            devices=every_device,
            mailboxes=every_mailbox,
            sent_devices=devices if state == "sealed" else 0,
            sent_mailboxes=mailboxes if state == "sealed" else 0,
            unreadable=taken.unreadable,
            mended=taken.mended,
            rejected=rejected,
            seconds={name: round(value, 3) for name, value in seconds.items()},
        )

    def _begin(self, sync: Sync, taken: _Taken) -> str:
        """Announce it. Returns why it is held, '' where it may go."""
        facts = Facts(settings=asdict(taken.settings), findings=tuple(taken.findings))
        result = self._send(Kind.SYNC_BEGIN, sync, facts)
        if result.state == "held":
            return result.why or "held by the service's guard"
        if result.state != "go":
            raise _Mismatch(f"the service answered {result.state or 'nothing'} to the announcement")
        return ""

    def _send_parts(self, sync: Sync) -> tuple[int, str]:
        """All rows, mailboxes first so that devices find theirs.

        Returns how many rows the service rejected, and why a part was held, '' where none was.
        """
        number = rejected = 0
        for kind in ("mailboxes", "devices"):
            after = ""
            while page := self._listing.page(kind, sync.scope, after, self._rows_a_part, PART_BYTES):
                part = Sync(sync.sync_id, sync.scope, part=number + 1)
                facts = _facts(kind, [row for _, row in page])
                try:
                    result = self._send(Kind.SYNC_PART, part, facts)
                except ServiceRefused as refused:
                    if refused.type != "too-large" or len(page) == 1:
                        raise
                    self._rows_a_part = max(1, len(page) // 2)
                    continue
                if result.state == "held":
                    return rejected, result.why or "held by the service's guard"
                if result.state == "mismatch":
                    raise _Mismatch(result.why or "a part did not fit")
                number, after = number + 1, page[-1][0]
                rejected += _tell_rejected(result)
                self._advance(len(page))
        return rejected, ""

    def _seal(self, sync: Sync) -> str:
        """Close it. Returns why it is held after all, '' where it is sealed."""
        result = self._send(Kind.SYNC_SEAL, Sync(sync.sync_id, sync.scope), Facts())
        if result.state == "held":
            return result.why or "held by the service's guard"
        if result.state != "sealed":
            raise _Mismatch(result.why or "the seal did not fit")
        return ""

    def _send(self, kind: Kind, sync: Sync, facts: Facts) -> SyncResult:
        self._stop.check()
        return self._courier.send(kind, sync, facts).result or SyncResult("")


def _facts(kind: Rows, rows: list[list[Any]]) -> Facts:
    if kind == "mailboxes":
        return Facts(mailboxes=Table(MAILBOX_COLUMNS, tuple(rows)))
    return Facts(devices=Table(DEVICE_COLUMNS, tuple(rows)))


def _tell_rejected(result: SyncResult) -> int:
    for row in result.rejected:
        log.warning("the service rejected a row", guid=str(row.get("guid")), why=str(row.get("why")))
    return len(result.rejected)


def _unreadable(unreadable: UnreadableObject) -> dict[str, str]:
    return {
        "code": "unreadable-object",
        "subject": mend(unreadable.excerpt) or f"object {unreadable.number}",
        "cause": mend(unreadable.cause),
        "remedy": "Look at this object in Exchange; until it can be read, nothing is called gone.",
    }


def _too_long(mailbox: Mailbox) -> dict[str, str]:
    return {
        "code": "list-too-long",
        "subject": mend(mailbox.primary_smtp or mailbox.guid),
        "cause": f"It has {len(mailbox.allowed_ids or ())} allowed and {len(mailbox.blocked_ids or ())} blocked "
        "device ids.",
        "remedy": "Shorten the lists in Exchange; until then this mailbox is not told, and nothing is called gone.",
    }


def _mended(count: int) -> dict[str, str]:
    return {
        "code": "mended-text",
        "subject": "inventory",
        "cause": f"{count} devices or mailboxes have text with NUL or half characters, or more than 4,000 of them.",
        "remedy": "It is shown with replacement characters, or cut; nothing needs to be done.",
    }
