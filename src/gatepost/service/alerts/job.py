"""Looking and telling, each minute, in every replica: a tenant is looked at by one of them at a time."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg

from gatepost.errors import GatepostError
from gatepost.service.alerts import conditions, outbox, register
from gatepost.service.database import Database
from gatepost.service.keys import Keys
from gatepost.settings import ServiceSettings

SEND_EVERY = 5.0
"""Seconds; a test and what is tried again need not wait for the next look."""
log = logging.getLogger("gatepost.service")


async def run(database: Database, keys: Keys, settings: ServiceSettings, ways: outbox.Ways) -> None:
    """Look and tell until cancelled; an outage of the database is told once. Nothing where the settings say never."""
    away, every = False, settings.alerts_every
    looked = time.monotonic() - every
    while every > 0:
        look = time.monotonic() - looked >= every
        try:
            await _all(database, keys, ways, settings.tls_certificate, look=look)
            looked = time.monotonic() if look else looked
            away = False
        except (psycopg.Error, GatepostError) as error:
            if not away:
                log.warning("alerts stopped (%s); they go on by themselves", type(error).__name__)
            away = True
        except Exception:  # what watches must not end by a fault of its own
            log.exception("a fault of alerts")
        await asyncio.sleep(min(SEND_EVERY, every))


async def _all(database: Database, keys: Keys, ways: outbox.Ways, tls_certificate: Path | None, *, look: bool) -> None:
    """Every tenant; one that fails stops no other, and is raised last."""
    async with database.control() as scope:
        tenants = [row["tenant_id"] for row in await scope.all("tenants.all")]
    failed: GatepostError | None = None
    for tenant_id in tenants:
        try:
            if look:
                await evaluate(database, tenant_id, tls_certificate)
            await outbox.send_due(database, keys, ways, tenant_id)
        except GatepostError as error:
            failed = error
        except Exception:  # what watches must not end by a fault of its own
            log.exception("a fault of alerts")
    if failed:
        raise failed


async def evaluate(
    database: Database, tenant_id: UUID, tls_certificate: Path | None = None, now: datetime | None = None
) -> list[tuple[str, register.Row]]:
    """See what is wrong for a tenant, and have told what is to be told; nothing where another replica is at it."""
    moment = now or datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        lock = await scope.one("alerts.lock")
        if lock is None or not lock["locked"]:
            return []
        found = await conditions.look(scope, moment, tls_certificate)
        told = await register.renew(scope, found, moment)
        await register.forget(scope, moment)
    return told
