"""Takes a listing of an organization into the store: all of it, or what changed since the watermarks.

What has been listed outlives the process, so a listing that was interrupted goes on with the kind that it had come to,
if that was not long ago and the same controller is asked. What Exchange sent and we cannot read is counted and told as
a finding; the rest goes on.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self, TypeVar

from gatepost.connector import log
from gatepost.connector.listing import ELSEWHERE, KINDS, Kind, Listing, fold
from gatepost.connector.rows import Mender, RowText, mend, oversized
from gatepost.connector.statistics import Readings
from gatepost.connector.stopping import Stop
from gatepost.connector.watermarks import Watermarks
from gatepost.domain.contract import Scope, iso
from gatepost.domain.devices import Capabilities, Device, Mailbox, OrganizationSettings, Recipient
from gatepost.domain.settings import AccessRule
from gatepost.errors import CmdletFailed, CmdletNotGranted, UnreadableObject

T = TypeVar("T", Device, Mailbox)
O = TypeVar("O")  # noqa: E741 - an object of a listing

BATCH = 1_000
FINDINGS_A_SYNC = 100
GOES_ON_WITHIN = 900.0
"""Seconds for which what an interrupted listing had is as good as listed anew."""
UNBELIEVABLE = timedelta(days=2)
"""A time so far ahead of this host's clock, which itself may be a day off, says nothing of when changes end."""


class Source(Protocol):
    """What is read: an open Exchange organization."""

    capabilities: Capabilities

    def list_mailboxes(self, changed_since: datetime | None = None) -> Iterable[Mailbox | UnreadableObject]:
        """All mailboxes, or those that changed since, streaming."""

    def list_devices(self, changed_since: datetime | None = None) -> Iterable[Device | UnreadableObject]:
        """All devices, or those that changed since, streaming."""

    def recipients(self) -> Sequence[Recipient]:
        """Mailboxes that are not a plain user's, and what is left of those that moved away or were disabled."""

    def settings(self) -> OrganizationSettings:
        """The organization's mobile settings."""

    def rules(self) -> Sequence[AccessRule]:
        """The organization's device access rules."""


class Progress(Protocol):
    """Somebody who watches: stages with a total where it is known, and how far they are."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins: ``mailboxes``, ``devices``, ``sending`` or ``statistics``."""

    def advance(self, count: int) -> None:
        """So many more are done."""


class Unwatched:
    """Nobody watches."""

    def stage(self, name: str, total: int | None) -> None:
        """Nothing to do."""

    def advance(self, count: int) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class Listed:
    """What there is to say of one kind as listed: where, when (Unix seconds of this host), and what was met.

    ``latest`` is the latest time of change seen.
    """

    controller: str | None
    at: float
    latest: datetime | None = None
    unreadable: int = 0
    mended: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)

    def note(self) -> str:
        """The same as text, to be kept beside the rows."""
        return json.dumps(asdict(self) | {"latest": iso(self.latest)})

    @classmethod
    def read(cls, note: str | None) -> Self | None:
        """What was kept, None where nothing was."""
        if not note:
            return None
        raw: dict[str, Any] = json.loads(note)
        latest = raw.pop("latest")
        return cls(**raw, latest=datetime.fromisoformat(latest) if latest else None)


@dataclass(frozen=True, slots=True)
class Taken:
    """A listing that has ended well. ``notes`` are to be kept with its seal; ``rules`` None where they cannot be read.

    ``resumed`` says that it was whole before, ``dated`` that some of it was listed before: it lacks what changed since.
    """

    settings: OrganizationSettings
    rules: Sequence[AccessRule] | None
    findings: Sequence[Mapping[str, str]]
    unreadable: int
    mended: int
    notes: Mapping[str, str]
    resumed: bool
    dated: bool


class Taking:
    """Takes listings of one organization into one store. ``overlap`` is in seconds, ``now`` in Unix seconds."""

    def __init__(
        self,
        listing: Listing,
        overlap: float,
        stop: Stop,
        progress: Progress,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._listing = listing
        self._watermarks = Watermarks(listing.store, overlap)
        self._memory = Readings(listing.store)
        self._stop = stop
        self._progress = progress
        self._now = now

    def take(self, source: Source, scope: Scope) -> Taken:
        """List what changed where that is enough and possible, else everything.

        Raises the ExchangeError family where that failed, Stopped when asked to stop; what is whole by then is kept.
        """
        controller = source.capabilities.domain_controller
        since = self._watermarks.since(controller) if scope is Scope.QUICK else {}
        settings, rules = source.settings(), _rules(source)
        kept = self._kept(controller, delta=bool(since))
        if not kept:
            self._listing.begin(delta=bool(since))
        mailboxes = kept.get("mailboxes") or self._mailboxes(source, since.get("mailboxes"))
        devices = kept.get("devices") or self._devices(source, since.get("devices"))
        return self._taken(settings, rules, mailboxes, devices, kept)

    def _kept(self, controller: str | None, *, delta: bool) -> dict[Kind, Listed]:
        """What an interrupted listing of the same sort has whole; mailboxes come first."""
        kept: dict[Kind, Listed] = {}
        if controller is None or self._listing.is_delta != delta:
            return kept
        for kind in KINDS:
            listed = Listed.read(self._listing.finished(kind))
            if listed is None or listed.controller != controller or not 0 <= self._now() - listed.at < GOES_ON_WITHIN:
                break
            kept[kind] = listed
        if kept:
            log.info("an interrupted listing goes on", whole=" and ".join(kept))
        return kept

    def _taken(
        self,
        settings: OrganizationSettings,
        rules: Sequence[AccessRule] | None,
        mailboxes: Listed,
        devices: Listed,
        kept: Mapping[Kind, Listed],
    ) -> Taken:
        mended = mailboxes.mended + devices.mended
        findings = [*mailboxes.findings, *devices.findings][:FINDINGS_A_SYNC]
        seen: dict[Kind, datetime | None] = {"mailboxes": mailboxes.latest, "devices": devices.latest}
        return Taken(
            settings,
            rules,
            [*findings, *([_mended(mended)] if mended else [])],
            mailboxes.unreadable + devices.unreadable,
            mended,
            self._watermarks.notes(devices.controller, seen, delta=self._listing.is_delta),
            resumed=len(kept) == len(KINDS),
            dated=bool(kept),
        )

    # -- mailboxes -------------------------------------------------------------------------------------------------

    def _mailboxes(self, source: Source, since: datetime | None) -> Listed:
        listed, mender = self._begun(source, "mailboxes"), Mender()
        for mailboxes in self._batches(source.list_mailboxes(since), listed):
            self._stage_mailboxes(mailboxes, mender, listed)
        listed.mended = mender.mended
        self._listing.finish("mailboxes", listed.note(), keep_missing=listed.unreadable > 0)
        return listed

    def _stage_mailboxes(self, mailboxes: list[Mailbox], mender: Mender, listed: Listed) -> None:
        """Those that can be told, and by name those that cannot."""
        untold = [mailbox for mailbox in mailboxes if oversized(mailbox)]
        if untold:
            listed.unreadable += len(untold)
            listed.findings += map(_too_long, untold[:FINDINGS_A_SYNC])
            self._listing.know_mailboxes([(mailbox.dn, mailbox.guid) for mailbox in untold])
            mailboxes = [mailbox for mailbox in mailboxes if not oversized(mailbox)]
        self._listing.add_mailboxes([(mailbox.dn, mender.mailbox(mailbox)) for mailbox in mailboxes])

    # -- devices ---------------------------------------------------------------------------------------------------

    def _devices(self, source: Source, since: datetime | None) -> Listed:
        """Devices under their owners, with the statistics that were last read of them."""
        listed, mender = self._begun(source, "devices"), Mender()
        self._listing.empty("devices")
        elsewhere = _Elsewhere(source, self._listing, mender)
        for devices in self._batches(source.list_devices(since), listed):
            owners = self._listing.mailboxes_by_dn(device.mailbox_dn for device in devices)
            elsewhere.find(devices, owners)
            rows = [mender.device(each, owners.get(fold(each.mailbox_dn) or "")) for each in devices]
            self._listing.add_devices(self._memory.complete(rows))
        listed.mended = mender.mended
        self._listing.finish("devices", listed.note())
        return listed

    # -- both ------------------------------------------------------------------------------------------------------

    def _begun(self, source: Source, kind: Kind) -> Listed:
        self._progress.stage(kind, None)
        return Listed(source.capabilities.domain_controller, self._now())

    def _batches(self, objects: Iterable[T | UnreadableObject], listed: Listed) -> Iterator[list[T]]:
        """Readable objects by the batch; the others are counted."""
        believable = datetime.fromtimestamp(self._now(), UTC) + UNBELIEVABLE
        for batch in self._readable(objects, listed):
            moments = [each.changed_at for each in batch if each.changed_at is not None]
            if moments and (latest := max(moments)) > believable:
                latest = max((each for each in moments if each <= believable), default=latest)
            if moments and latest <= believable:
                listed.latest = latest if listed.latest is None else max(latest, listed.latest)
            yield batch
            self._progress.advance(len(batch))
            self._stop.check()

    @staticmethod
    def _readable(objects: Iterable[O | UnreadableObject], listed: Listed) -> Iterator[list[O]]:
        batch: list[O] = []
        for each in objects:
            if isinstance(each, UnreadableObject):
                listed.unreadable += 1
                if listed.unreadable <= FINDINGS_A_SYNC:
                    listed.findings.append(_unreadable(each))
                continue
            batch.append(each)
            if len(batch) == BATCH:
                yield batch
                batch = []
        yield batch


class _Elsewhere:
    """Owners that are not in the listing of mailboxes: they moved away, or lost their mailbox. Asked for at need."""

    def __init__(self, source: Source, listing: Listing, mender: Mender) -> None:
        self._source = source
        self._listing = listing
        self._mender = mender
        self._known: dict[str, Recipient] | None = None

    def find(self, devices: Iterable[Device], owners: dict[str, str]) -> None:
        """Find the owners that are lacking by their names, and stage those that are found, without lists."""
        lacking = {folded for each in devices if (folded := fold(each.mailbox_dn)) and folded not in owners}
        if not lacking:
            return
        if self._known is None:
            recipients = (each for each in self._source.recipients() if each.kind in ELSEWHERE)
            self._known = {folded: each for each in recipients if (folded := fold(each.dn))}
        found = {dn: self._known[dn] for dn in lacking & self._known.keys()}
        owners.update({dn: recipient.guid for dn, recipient in found.items()})
        self._listing.add_mailboxes([(recipient.dn, self._row(recipient)) for recipient in found.values()])

    def _row(self, recipient: Recipient) -> RowText:
        empty: dict[str, Any] = dict.fromkeys(Mailbox._fields)
        told = {"dn": recipient.dn, "primary_smtp": recipient.primary_smtp, "kind": recipient.kind.value}
        return self._mender.mailbox(Mailbox(**empty | told | {"guid": recipient.guid}))


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


def _rules(source: Source) -> Sequence[AccessRule] | None:
    """The access rules; an account that may not read them takes an inventory all the same."""
    try:
        return source.rules()
    except (CmdletFailed, CmdletNotGranted) as error:
        log.warning("the device access rules cannot be read", why=str(error))
        return None
