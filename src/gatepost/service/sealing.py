"""The sealer: gives committed events their numbers and chains them, and signs the chain now and then.

Any replica seals any tenant, one at a time by an advisory lock. An action's own transaction only inserts its event, so
no action waits for a chain. An event whose transaction commits late gets a later number, and there is never a gap.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from gatepost.domain import chain
from gatepost.errors import GatepostError
from gatepost.service.database import Database, Scope
from gatepost.service.keys import Keys

BATCH = 1_000
EVERY_SECONDS = 1.0
SHARE = 4  # pauses of so many times the length of a round, where a round takes long
CHECKPOINT_EVERY = timedelta(hours=1)
log = logging.getLogger("gatepost.service")


async def run(database: Database, keys: Keys) -> None:
    """Seal until cancelled. When the database is away, go on trying; an outage is told once."""
    away = False
    while True:
        began = time.monotonic()
        try:
            await seal_all(database, keys)
            if away:
                log.info("events are sealed again")
            away = False
        except (psycopg.Error, GatepostError) as error:
            if not away:
                log.warning("sealing of events stopped (%s); it goes on by itself", type(error).__name__)
            away = True
        await asyncio.sleep(max(EVERY_SECONDS, SHARE * (time.monotonic() - began)))


async def seal_all(database: Database, keys: Keys) -> int:
    """Seal what waits, of every tenant; returns how many events. One that fails stops no other, and is raised last."""
    async with database.control() as scope:
        tenants = [row["tenant_id"] for row in await scope.all("tenants.all")]
    sealed, failed = 0, None
    for tenant_id in tenants:
        try:
            sealed += await seal(database, keys, tenant_id)
        except GatepostError as error:
            failed = error
    if failed:
        raise failed
    return sealed


async def seal(database: Database, keys: Keys, tenant_id: UUID) -> int:
    """Seal what waits of one tenant, in batches with a transaction each; returns how many events."""
    sealed, got = 0, BATCH
    while got >= BATCH:
        async with database.tenant(tenant_id) as scope:
            got = await _round(scope, keys, tenant_id)
        sealed += got
    return sealed


async def _round(scope: Scope, keys: Keys, tenant_id: UUID) -> int:
    """One batch, and a signature where one is due; how many were sealed. Nothing where another sealer is at it."""
    now = datetime.now(UTC)
    waiting = await scope.one("sealing.waiting", since=now - CHECKPOINT_EVERY)
    assert waiting is not None
    if not (waiting["unsealed"] or waiting["unsigned"]):
        return 0
    lock = await scope.one("sealing.lock")
    if lock is None or not lock["locked"]:
        return 0
    sealed = await _batch(scope, tenant_id) if waiting["unsealed"] else 0
    waiting = await scope.one("sealing.waiting", since=now - CHECKPOINT_EVERY)
    if waiting and waiting["unsigned"]:
        await _sign(scope, keys, tenant_id, now)
    return sealed


async def _batch(scope: Scope, tenant_id: UUID) -> int:
    head = await scope.one("sealing.head")
    seq, chain_hash = (head["seq"], head["chain_hash"]) if head else (0, chain.start(tenant_id))
    rows = []
    for row in await scope.all("sealing.unsealed", limit=BATCH):
        seq += 1
        chain_hash = chain.link(chain_hash, seq, chain.Entry(**row))
        rows.append({"event_id": row["event_id"], "seq": seq, "chain_hash": chain_hash})
    if rows:
        await scope.together("sealing.seal", rows)
        await scope.run("sealing.advance", seq=seq, chain_hash=chain_hash)
    return len(rows)


async def _sign(scope: Scope, keys: Keys, tenant_id: UUID, now: datetime) -> None:
    """A checkpoint of where the chain is."""
    head, key = await scope.one("sealing.head"), await keys.of(scope)
    assert head is not None, "it is unsigned, so it is there"
    signature = key.sign(chain.checkpoint_bytes(tenant_id, head["seq"], head["chain_hash"], now))
    await scope.run("sealing.sign", **head, at=now, public=key.public, signature=signature)
