"""Synchronisations: announced, guarded, merged part by part, sealed. Only a sealed full one calls anything gone.

The shrink guard compares twice: at the announcement what is announced with what there is, and at the seal who was seen
with who there is; devices without a mailbox, and those whose mailbox left too, are missed by nobody. A third comparison
is made at each part, of a quick one too: from how many devices is the mailbox taken away. Where any of this is more
than ``allowed``, or all, the synchronisation is *held*: rows already merged stay, nothing is called gone, and an
administrator may accept it, for a day. The next full one that announces at least as much, and misses no more than what
was accepted, goes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gatepost.domain.contract import Scope as Extent
from gatepost.domain.contract import Sync, SyncResult
from gatepost.domain.events import Event
from gatepost.service import audit
from gatepost.service.connectors import Connector
from gatepost.service.database import Scope
from gatepost.service.devices import merge

ALLOWED_SHARE = 0.05
ALLOWED_AT_LEAST = 50
ACCEPTED_FOR = timedelta(hours=24)

Row = Mapping[str, Any]
NONE_MISSING: Row = {"devices": 0, "mailboxes": 0}


@dataclass(frozen=True, slots=True)
class Listings:
    """The hashed rows of a document."""

    devices: merge.Listing
    mailboxes: merge.Listing

    @property
    def digest(self) -> int:
        """The sum of the rows' hashes."""
        return int(self.devices.digest, 16) + int(self.mailboxes.digest, 16)


def allowed(present: int) -> int:
    """How many of so many may be missing without a question: 5 %, or 50 where that is more."""
    return max(int(present * ALLOWED_SHARE), ALLOWED_AT_LEAST)


async def begin(scope: Scope, connector: Connector, sync: Sync) -> SyncResult:
    """Open the synchronisation, or hold it. One that is still open is abandoned."""
    key = {"organization_id": connector.organization_id, "sync_id": sync.sync_id}
    if await scope.one("syncs.find", **key):
        return SyncResult("mismatch", "This sync_id was used before.")
    await _abandon(scope, connector, "Another synchronisation began.")
    missing, why = NONE_MISSING, ""
    if sync.scope is Extent.FULL:
        missing, why = await _guard_counts(scope, connector, sync)
    await scope.run(
        "syncs.begin",
        **key,
        connector_id=connector.connector_id,
        epoch=connector.epoch,
        kind=sync.scope.value,
        state="held" if why else "open",
        devices=sync.devices,
        mailboxes=sync.mailboxes,
        digest=sync.digest,
        unreadable=sync.unreadable,
        missing_devices=missing["devices"],
        missing_mailboxes=missing["mailboxes"],
        why=why,
    )
    if why:
        await scope.run("syncs.request_taken", **key)
        await _tell(scope, connector, Event.SYNC_HELD, sync.sync_id, {"why": why, "missing": dict(missing)})
    return SyncResult("held" if why else "go", why)


async def part(scope: Scope, connector: Connector, sync: Sync, listings: Listings, now: datetime) -> SyncResult:
    """Merge one part, in its turn, or hold the synchronisation; mailboxes first, so that devices find their names.

    The last one again, from a connector that does not know that it was answered, changes nothing.
    """
    found = await scope.one("syncs.find", organization_id=connector.organization_id, sync_id=sync.sync_id)
    if found and not _not_open(found, connector) and sync.part == found["received_parts"] > 0:
        return SyncResult("merged")
    if problem := _not_open(found, connector) or _not_next(found, sync.part):
        return SyncResult("mismatch", problem)
    assert found is not None
    orphaned = found["orphaned"] + await merge.orphaned(scope, connector.organization_id, listings.devices)
    if why := await guard_orphans(scope, connector, orphaned):
        await _end(scope, connector, {**found, "orphaned": orphaned}, "held", NONE_MISSING, why, 0)
        return SyncResult("held", why)
    mailboxes = await merge.merge_mailboxes(scope, connector.organization_id, listings.mailboxes, now)
    devices = await merge.merge_devices(scope, connector.organization_id, listings.devices, now)
    rejected = (*mailboxes.rejected, *devices.rejected)
    changed = mailboxes.changed + devices.changed
    digest = (int(found["received_digest"] or "0", 16) + listings.digest) % 2**64
    await scope.run(
        "syncs.part",
        organization_id=connector.organization_id,
        sync_id=sync.sync_id,
        devices=listings.devices.received,
        mailboxes=listings.mailboxes.received,
        digest=f"{digest:016x}",
        rejected=len(rejected),
        changed=changed,
        unreadable=listings.devices.nameless + listings.mailboxes.nameless,
        orphaned=orphaned,
    )
    if found["kind"] == Extent.FULL:
        await scope.run(
            "syncs.seen",
            organization_id=connector.organization_id,
            sync_id=sync.sync_id,
            part=sync.part,
            devices=list(listings.devices.rows),
            mailboxes=list(listings.mailboxes.rows),
        )
    summary = {"part": sync.part, "rows": listings.devices.received + listings.mailboxes.received, "changed": changed}
    await _tell(
        scope, connector, Event.SYNC_MERGED, sync.sync_id, {**summary, "digest": f"{listings.digest % 2**64:016x}"}
    )
    return SyncResult("merged", rejected=rejected)


async def seal(scope: Scope, connector: Connector, sync: Sync, now: datetime) -> SyncResult:
    """Close the synchronisation: compare what came with what was announced; a full one calls the unseen gone."""
    found = await scope.one("syncs.find", organization_id=connector.organization_id, sync_id=sync.sync_id)
    if problem := _not_open(found, connector):
        return SyncResult("mismatch", problem)
    assert found is not None
    if problem := _not_as_announced(found):
        await _abandon(scope, connector, problem)
        return SyncResult("mismatch", problem)
    missing, why, gone = NONE_MISSING, "", 0
    key = {"organization_id": connector.organization_id, "sync_id": sync.sync_id}
    if found["kind"] == Extent.FULL:
        await scope.run("merge.plan_sets")
        missing = await scope.one("merge.missing", **key) or missing
        why = await _guard(scope, connector, missing, found["announced_devices"], found["announced_mailboxes"])
    if not why and found["unreadable"]:
        why_kept = f"{found['unreadable']} objects could not be read, so nothing was called gone."
        await _end(scope, connector, found, "sealed", missing, why_kept, 0)
        return SyncResult("sealed", why_kept)
    if not why and found["kind"] == Extent.FULL:
        gone = await _mark_gone(scope, key, now)
    await _end(scope, connector, found, "held" if why else "sealed", missing, why, gone)
    return SyncResult("held" if why else "sealed", why)


def _not_open(found: Row | None, connector: Connector) -> str:
    if found is None or found["state"] != "open" or found["connector_id"] != connector.connector_id:
        return "No such synchronisation is open."
    return ""


def _not_next(found: Row | None, part: int) -> str:
    assert found is not None
    wanted = found["received_parts"] + 1
    return "" if part == wanted else f"Part {part} came where part {wanted} was expected."


def _not_as_announced(found: Row) -> str:
    for what in ("devices", "mailboxes"):
        if found[f"received_{what}"] != found[f"announced_{what}"]:
            return f"{found[f'received_{what}']} {what} came, {found[f'announced_{what}']} were announced."
    received = found["received_digest"] or "0" * 16
    if int(received, 16) != int(found["digest"] or "0", 16):
        return "The rows that came are not those that were announced."
    return ""


async def guard_orphans(scope: Scope, connector: Connector, orphaned: int) -> str:
    """Why so many devices must not lose their mailbox without a person's consent; empty if they may.

    A held part does not know how many more would follow, so what is accepted is that devices lose their mailboxes.
    """
    if orphaned <= ALLOWED_AT_LEAST:
        return ""
    present = await scope.one("merge.count", organization_id=connector.organization_id)
    assert present is not None
    limit = allowed(present["devices"])
    accepted = await _accepted(scope, connector)
    if orphaned <= limit or (accepted and accepted["orphaned"] > limit):
        return ""
    return f"At least {orphaned:,} of {present['devices']:,} devices would lose their mailbox; at most {limit:,} may."


async def _accepted(scope: Scope, connector: Connector) -> Row | None:
    since = datetime.now(UTC) - ACCEPTED_FOR
    return await scope.one("syncs.accepted", organization_id=connector.organization_id, since=since)


async def _guard_counts(scope: Scope, connector: Connector, sync: Sync) -> tuple[Row, str]:
    """How many are missing by the announced counts, and why that is too many (empty if it is not).

    Never stricter than the seal, which knows who is missing.
    """
    present = await scope.one("merge.count", organization_id=connector.organization_id)
    assert present is not None
    missing = {
        "devices": max(0, present["devices"] - sync.devices),
        "mailboxes": max(0, present["mailboxes"] - sync.mailboxes),
    }
    if missing["devices"] > ALLOWED_AT_LEAST:
        excused = await scope.one(
            "merge.excused", organization_id=connector.organization_id, mailboxes=missing["mailboxes"]
        )
        missing["devices"] = max(0, missing["devices"] - (excused["devices"] if excused else 0))
    return missing, await _guard(scope, connector, missing, sync.devices, sync.mailboxes)


async def _guard(scope: Scope, connector: Connector, missing: Row, devices: int, mailboxes: int) -> str:
    """Why so many missing must be looked at by a person first; empty if they need not."""
    present = await scope.one("merge.count", organization_id=connector.organization_id)
    accepted = await _accepted(scope, connector)
    assert present is not None
    if accepted and (devices < accepted["announced_devices"] or mailboxes < accepted["announced_mailboxes"]):
        accepted = None
    for what, announced in (("devices", devices), ("mailboxes", mailboxes)):
        if not announced and present[what] and not accepted:
            return f"The listing has no {what}; {present[what]:,} are known."
        limit = max(allowed(present[what]), accepted[f"missing_{what}"] if accepted else 0)
        if missing[what] > limit:
            return f"{missing[what]:,} of {present[what]:,} {what} are missing; at most {limit:,} may be."
    return ""


async def _mark_gone(scope: Scope, key: dict[str, Any], now: datetime) -> int:
    devices = await scope.one("merge.mark_gone_devices", **key, now=now)
    await scope.one("merge.mark_gone_mailboxes", **key, now=now)
    return int(devices["gone"]) if devices else 0


async def _end(scope: Scope, connector: Connector, found: Row, state: str, missing: Row, why: str, gone: int) -> None:
    key = {"organization_id": connector.organization_id, "sync_id": found["sync_id"]}
    await scope.run(
        "syncs.end",
        **key,
        state=state,
        gone=gone,
        missing_devices=missing["devices"],
        missing_mailboxes=missing["mailboxes"],
        orphaned=found["orphaned"],
        why=why,
    )
    await scope.run("syncs.request_taken", **key)
    await scope.run("syncs.forget_parts", **key)
    event = Event.SYNC_HELD if state == "held" else Event.SYNC_SEALED
    details = {"kind": found["kind"], "why": why, "gone": gone, "missing": dict(missing)}
    await _tell(scope, connector, event, found["sync_id"], details)


async def _abandon(scope: Scope, connector: Connector, why: str) -> None:
    for left in await scope.all("syncs.abandon_open", organization_id=connector.organization_id, why=why):
        await scope.run("syncs.forget_parts", organization_id=connector.organization_id, sync_id=left["sync_id"])
        await _tell(scope, connector, Event.SYNC_ABANDONED, left["sync_id"], {"why": why})


async def _tell(scope: Scope, connector: Connector, event: Event, sync_id: str, details: dict[str, Any]) -> None:
    body = {"sync_id": sync_id, **details}
    await audit.record(scope, event, str(connector.connector_id), body, connector.organization_id)
