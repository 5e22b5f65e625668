"""A check-in becomes one transaction: exactly once, in order, from the one connector and instance that may speak.

Order of locks, here and everywhere: the connector's check-in row, the organization, then devices by key. The first puts
documents in order; the second, taken FOR SHARE where an enrolment takes it FOR UPDATE, fences: no document of an older
epoch can commit after a newer connector was told its epoch.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.contract import (
    CONTRACT,
    DESIRED_A_PAGE,
    LEASE_SECONDS,
    Answer,
    CheckIn,
    ContractError,
    Facts,
    Kind,
    Sync,
    SyncResult,
    digest,
    iso,
    read_check_in,
)
from gatepost.domain.contract import Scope as Extent
from gatepost.domain.desired import Level, read_desired
from gatepost.domain.events import Event
from gatepost.domain.posting import DueNotice, Letter
from gatepost.errors import Problem
from gatepost.service import audit, findings, memories, outcomes, syncs, wishes
from gatepost.service.access import due
from gatepost.service.connectors import Connector
from gatepost.service.database import Database, Scope
from gatepost.service.devices import merge
from gatepost.service.memories import Memory
from gatepost.service.notices import claiming
from gatepost.service.storable import short, storable

SUPPORTED = (CONTRACT,)
LISTING_DIGEST = re.compile(r"[0-9a-f]{0,16}")
ALLOWED_BY_HAND = "allowed-by-hand"  # the code of a finding of the connector
MOST = 100_000_000  # of anything announced, so that sums of it stay within 32 bits


@dataclass(frozen=True, slots=True)
class Document:
    """A check-in as it came: its digest, what it says, and its rows hashed."""

    digest: str
    check_in: CheckIn
    listings: syncs.Listings


@dataclass(frozen=True, slots=True)
class Head:
    """Revision and requested synchronisation; ``untold`` if the connector was not told of that request yet.

    ``orders`` counts what waits in an answer and was in none yet.
    ``incarnation`` is the database's history, without which a revision means nothing. ``stopped``: an administrator has
    stopped all writing. ``current``: the connector is still the one that works for its organization.
    """

    incarnation: str
    revision: int
    sync: str
    requested_at: datetime | None
    untold: bool
    stopped: bool
    current: bool
    orders: int = 0


async def read(body: bytes) -> Document:
    """Read and hash a document, in a thread: it may have 4 MiB. Raises ContractError, Problem 422 ``contract``."""
    try:
        return await asyncio.to_thread(_read, body)
    except RecursionError as error:
        raise ContractError("document", "nested too deeply") from error


async def check_in(database: Database, connector: Connector, document: Document) -> Answer:
    """Apply a document once and answer it. Raises Problem; then nothing was applied."""

    async def apply(scope: Scope) -> Answer:
        return await _check_in(scope, connector, document)

    return await database.work(connector.tenant_id, apply)


async def renew(scope: Scope, connector: Connector, told: Head | None = None) -> int:
    """A waiting connector renews its lease, and is ``told`` something; its seconds, 0 where all writing is stopped.

    Raises Problem ``lease-held``, ``superseded``.
    """
    row = await _lock(scope, connector)
    organization = await _lock_epoch(scope, connector)
    _refuse_other_instance(row, connector)
    await scope.run("ingest.renew", **_lease(connector), told_at=told.requested_at if told else None)
    return _lease_seconds(organization)


async def head(scope: Scope, connector: Connector) -> Head:
    """What a connector that waits would be told now."""
    row = await scope.one(
        "ingest.waiting", organization_id=connector.organization_id, connector_id=connector.connector_id
    )
    assert row is not None, "enrolment makes the row"
    incarnation = await _incarnation(scope)
    return Head(
        incarnation,
        row["revision"] or 0,
        row["sync_requested"],
        row["sync_requested_at"],
        row["untold"],
        row["stopped"],
        row["current"],
        row["orders"],
    )


async def claim_notices(scope: Scope, connector: Connector, ids: Sequence[UUID], base: str | None) -> list[Letter]:
    """Give notices to be sent. Raises Problem ``superseded``, ``lease-held``; nothing while all writing is stopped."""
    _refuse_other_instance(await _lock(scope, connector), connector)
    if (await _lock_epoch(scope, connector))["stopped"]:
        return []
    return await claiming.claim(scope, connector, ids, base)


async def farewell(scope: Scope, connector: Connector, last_words: tuple[Mapping[str, Any], ...]) -> None:
    """The last outcomes of a connector, and the end of its lease.

    A farewell that comes again ends no lease that was renewed after it: only words newer than all others do.
    """
    last = await _lock(scope, connector)
    if last_words:
        await outcomes.keep(scope, connector, last_words, await memories.recall(scope, connector, last))
    ended = await scope.run(
        "ingest.end_lease",
        connector_id=connector.connector_id,
        instance=connector.instance,
        spoken_at=connector.time,
    )
    details = {"outcomes": len(last_words), "lease_ended": bool(ended)}
    await audit.record(scope, Event.CONNECTOR_FAREWELL, str(connector.connector_id), details, connector.organization_id)


def _read(body: bytes) -> Document:
    read_in = read_check_in(body)
    if read_in.contract not in SUPPORTED:
        raise Problem(422, "contract", "This version of the contract is not spoken here.", supported=list(SUPPORTED))
    if read_in.sync is not None:
        _check_sync(read_in.sync)
    _refuse_untaken(read_in.facts)
    listings = syncs.Listings(merge.list_devices(read_in.facts.devices), merge.list_mailboxes(read_in.facts.mailboxes))
    return Document(digest(body), read_in, listings)


def _refuse_untaken(facts: Facts) -> None:
    """What the contract knows and this version does not take is refused, never dropped in silence."""
    if facts.gone:
        raise ContractError("facts.gone", "only a sealed full synchronisation tells what is gone")
    for name, table in (("people", facts.people), ("groups", facts.groups)):
        if table.rows:
            raise ContractError(f"facts.{name}", "this version takes none yet")


def _check_sync(sync: Sync) -> None:
    """What the database could not hold is the document's mistake."""
    if len(sync.sync_id) > 100 or not sync.sync_id.isprintable():
        raise ContractError("sync.sync_id", "expected at most 100 visible characters")
    if max(sync.devices, sync.mailboxes, sync.part, sync.unreadable) > MOST:
        raise ContractError("sync", f"a number is more than {MOST:,}")
    if not LISTING_DIGEST.fullmatch(sync.digest):
        raise ContractError("sync.digest", "expected 16 hex digits")


async def _check_in(scope: Scope, connector: Connector, document: Document) -> Answer:
    sealed, now = document.check_in, datetime.now(UTC)
    last = await _lock(scope, connector)
    organization = await _lock_epoch(scope, connector)
    incarnation = await _incarnation(scope)
    _refuse_foreign(sealed, connector, incarnation)
    _refuse_other_instance(last, connector)
    lease = _lease(connector) | {"told_at": organization["sync_requested_at"]}
    if _is_repeated(sealed.sequence, document.digest, last):
        await scope.run("ingest.renew", **lease)
        result, memory = _as_result(last["result"]), memories.known(last)
    else:
        memory = await memories.listen(scope, connector, last, sealed)
        await outcomes.keep(scope, connector, sealed.outcomes, memory)
        result = await _apply(scope, connector, document, now)
        await scope.run(
            "ingest.remember",
            **lease,
            **memory.columns(),
            sequence=sealed.sequence,
            digest=document.digest,
            result=asdict(result) if result else None,
            status=_status(sealed),
        )
        host, version = short(sealed.status.host), short(sealed.status.version)
        await scope.run("ingest.host", connector_id=connector.connector_id, host=host, version=version)
    return await _answer(scope, connector, sealed, result, incarnation, memory, now)


async def _lock(scope: Scope, connector: Connector) -> Mapping[str, Any]:
    row = await scope.one("ingest.lock", connector_id=connector.connector_id)
    assert row is not None, "enrolment makes the row"
    return row


async def _lock_epoch(scope: Scope, connector: Connector) -> Mapping[str, Any]:
    """The organization, which no enrolment passes until this ends. Raises Problem ``superseded`` if one has."""
    organization = await scope.one("ingest.organization", organization_id=connector.organization_id)
    assert organization is not None
    if organization["epoch"] != connector.epoch:
        raise Problem(403, "superseded", "Another connector has just taken over.")
    return organization


async def _incarnation(scope: Scope) -> str:
    row = await scope.one("schema.incarnation")
    assert row is not None
    return str(row["incarnation"])


def _refuse_foreign(sealed: CheckIn, connector: Connector, incarnation: str) -> None:
    """A document for another organization, epoch or history of the database."""
    if sealed.incarnation != incarnation:
        raise Problem(
            409, "incarnation", "The database was restored; begin afresh with a full sync.", incarnation=incarnation
        )
    if sealed.organization != str(connector.organization_id):
        raise Problem(400, "malformed", "The document is about another organization.")
    if sealed.epoch != connector.epoch:
        raise Problem(400, "malformed", "The document is of another epoch.")


def _refuse_other_instance(last: Mapping[str, Any], connector: Connector) -> None:
    """Two instances of one connector (a clone, a store made anew) must not both believe that they may write."""
    left = (last["lease_until"] - datetime.now(UTC)).total_seconds() if last["lease_until"] else 0
    if last["instance"] not in (None, connector.instance) and left > 0:
        raise Problem(
            409, "lease-held", "Another instance of this connector holds the lease.", seconds=max(1, round(left + 0.5))
        )


def _is_repeated(sequence: int, seen_digest: str, last: Mapping[str, Any]) -> bool:
    """Whether the document was applied before; False if it is the next one. Raises Problem for every other number."""
    expected = last["sequence"] + 1
    if sequence == last["sequence"] and sequence > 0:
        if seen_digest == last["digest"]:
            return True
        raise Problem(409, "sequence-reused", "This number was used for another document.", expected=expected)
    if sequence != expected:
        raise Problem(
            409, "sequence-gap", f"Document {sequence} came where {expected} was expected.", expected=expected
        )
    return False


async def _apply(scope: Scope, connector: Connector, document: Document, now: datetime) -> SyncResult | None:
    """What a document says, done. Facts in it are merged in every kind of document."""
    sealed = document.check_in
    if sealed.facts.settings is not None:
        await _keep_settings(scope, connector, sealed.facts.settings)
    if sealed.kind is Kind.CYCLE:
        await findings.report(scope, connector.organization_id, "connector", sealed.facts.findings, complete=False)
        await _record_by_hand(scope, connector, sealed.facts.findings)
        return await _merge_cycle(scope, connector, document, now)
    if sealed.sync is None:
        raise ContractError("sync", f"{sealed.kind} needs it")
    if sealed.kind is Kind.SYNC_BEGIN:
        whole = sealed.sync.scope is Extent.FULL
        await findings.report(scope, connector.organization_id, "sync", sealed.facts.findings, complete=whole)
        return await syncs.begin(scope, connector, sealed.sync)
    if sealed.kind is Kind.SYNC_PART:
        return await syncs.part(scope, connector, sealed.sync, document.listings, now)
    return await syncs.seal(scope, connector, sealed.sync, now)


async def _record_by_hand(scope: Scope, connector: Connector, told: Iterable[Mapping[str, Any]]) -> None:
    """What a local administrator allowed while the service was away belongs into the audit trail."""
    names = ("subject", "cause")
    happened = [
        (Event.ENTRY_ALLOWED_BY_HAND, storable({name: finding.get(name) for name in names}))
        for finding in told
        if finding.get("code") == ALLOWED_BY_HAND
    ]
    await audit.record_all(scope, happened, str(connector.connector_id), connector.organization_id)


async def _merge_cycle(scope: Scope, connector: Connector, document: Document, now: datetime) -> SyncResult | None:
    """Facts outside a synchronisation: merged like a part, and nothing is ever called gone by them."""
    listings = document.listings
    if not listings.devices.received and not listings.mailboxes.received:
        return None
    orphaned = await merge.orphaned(scope, connector.organization_id, listings.devices)
    if why := await syncs.guard_orphans(scope, connector, orphaned):
        return SyncResult("held", why)
    mailboxes = await merge.merge_mailboxes(scope, connector.organization_id, listings.mailboxes, now)
    devices = await merge.merge_devices(scope, connector.organization_id, listings.devices, now)
    await scope.run(
        "syncs.seen_beside",
        organization_id=connector.organization_id,
        devices=list(listings.devices.rows),
        mailboxes=list(listings.mailboxes.rows),
    )
    return SyncResult("merged", rejected=(*mailboxes.rejected, *devices.rejected))


async def _keep_settings(scope: Scope, connector: Connector, settings: Mapping[str, Any]) -> None:
    """Keep them; where default or rules changed, quarantine is looked at again, for it comes from nothing else."""
    level = settings.get("default_level")
    before = await scope.one("decisions.settings", organization_id=connector.organization_id)
    await scope.run(
        "ingest.settings",
        organization_id=connector.organization_id,
        default_level=short(level) if isinstance(level, str) else None,
        settings=storable(settings),
    )
    after = await scope.one("decisions.settings", organization_id=connector.organization_id)
    if before != after:
        await due.mark_levels(scope, connector.organization_id, [Level.QUARANTINE], due.SYNC)


async def _answer(
    scope: Scope,
    connector: Connector,
    sealed: CheckIn,
    result: SyncResult | None,
    incarnation: str,
    memory: Memory,
    now: datetime,
) -> Answer:
    """The answer, made anew each time from what is committed with this document."""
    key = {"organization_id": connector.organization_id}
    older = await scope.one("ingest.older_lease", **key, connector_id=connector.connector_id)
    until = older["lease_until"] if older else None
    organization = await scope.one("ingest.organization", **key)
    assert organization is not None
    head = await scope.one("ingest.head", **key)
    held = await scope.one("syncs.held", **key)
    revision = head["revision"] if head else 0
    begin_at = sealed.revision if sealed.revision <= revision else 0
    rows = await scope.all(
        "ingest.desired",
        **key,
        revision=begin_at,
        limit=DESIRED_A_PAGE,
        memory=memory.number,
        doubted=memory.doubted,
    )
    desired = tuple(read_desired(row, "desired") for row in rows)
    reached = desired[-1].revision if len(desired) >= DESIRED_A_PAGE else revision
    return Answer(
        sequence=sealed.sequence,
        server_time=iso(datetime.now(UTC)) or "",
        incarnation=incarnation,
        lease_seconds=_lease_seconds(organization),
        write_in_seconds=max(0, round((until - now).total_seconds() + 0.5)) if until else 0,
        revision_from=begin_at,
        revision=reached,
        more=reached < revision,
        desired=desired,
        notices=await _notices(scope, connector, sealed, organization, now),
        wishes=tuple(await wishes.to_send(scope, connector.organization_id)),
        sync=organization["sync_requested"],
        held={"count": held["held"] if held else 0},
        result=result,
        taken_away=await outcomes.taken_away(scope, connector.organization_id),
    )


async def _notices(
    scope: Scope, connector: Connector, sealed: CheckIn, organization: Mapping[str, Any], now: datetime
) -> tuple[DueNotice, ...]:
    """What a connector is to send: nothing while it only observes, or all writing is stopped."""
    if sealed.kind is not Kind.CYCLE:
        return ()
    may_send = sealed.status.mode == "enforce" and not organization["stopped"]
    return await claiming.due(scope, connector.organization_id, now, may_send=may_send)


def _as_result(stored: Mapping[str, Any] | None) -> SyncResult | None:
    return SyncResult(stored["state"], stored["why"], tuple(stored["rejected"])) if stored else None


def _lease_seconds(organization: Mapping[str, Any]) -> int:
    """What a connector may write for: nothing while an administrator has stopped all writing."""
    return 0 if organization["stopped"] else LEASE_SECONDS


def _lease(connector: Connector) -> dict[str, Any]:
    """Who holds the lease from now on. While writing is stopped it gives no right, and still says who is at work."""
    return {
        "connector_id": connector.connector_id,
        "instance": connector.instance,
        "lease_until": datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS),
        "spoken_at": connector.time,
    }


def _status(sealed: CheckIn) -> dict[str, Any]:
    return {field.name: storable(getattr(sealed.status, field.name)) for field in fields(sealed.status)}
