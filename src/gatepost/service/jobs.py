"""Periodic and background jobs: Procrastinate, on the schema ``jobs``, in the service's own event loop.

Every replica runs a worker and they share the work. A job's arguments are ids only; it opens its tenant's scope first.
A job may run again from its beginning: a periodic one gives the jobs of a dead worker to another.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException

from gatepost.domain.events import Event
from gatepost.errors import GatepostError
from gatepost.service import audit, pins, removal
from gatepost.service.access import holds
from gatepost.service.administrators.passkeys import CHALLENGE_LIVES
from gatepost.service.administrators.sessions import IDLE, LIFETIME
from gatepost.service.database import Database, Scope
from gatepost.service.notices import making, telling
from gatepost.service.policies import watch

OUTCOMES_KEPT = timedelta(days=30)
ATTEMPTS_KEPT = timedelta(days=1)
INVITATIONS_KEPT = timedelta(days=1)
FINDINGS_LAST = timedelta(days=1)
SYNC_MAY_TAKE = timedelta(hours=2)
GONE_KEPT = timedelta(hours=48)
BURIED_AT_ONCE = 5_000
DEAD_AFTER_SECONDS = 60.0
JOBS_KEPT_HOURS = 48
MONTHS_AHEAD = 2
RESTART_SECONDS = 30.0
log = logging.getLogger("gatepost.service")


async def prune(database: Database, tenant_id: UUID) -> None:
    """Forget what a tenant does not need any more; small transactions, each safe to repeat."""
    now = datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        await scope.run("jobs.prune_outcomes", before=now - OUTCOMES_KEPT)
        await scope.run("jobs.prune_sessions", made_before=now - LIFETIME, seen_before=now - IDLE)
        await scope.run("passkeys.prune", made_before=now - CHALLENGE_LIVES)
        await scope.run("invitations.prune", before=now - INVITATIONS_KEPT)
        await scope.run("findings.end_old", before=now - FINDINGS_LAST)
        await telling.prune(scope, now)
    async with database.tenant(tenant_id) as scope:
        await _abandon_stale(scope, now - SYNC_MAY_TAKE)
    buried = BURIED_AT_ONCE
    while buried >= BURIED_AT_ONCE:
        async with database.tenant(tenant_id) as scope:
            buried = await scope.run("jobs.bury", before=now - GONE_KEPT, limit=BURIED_AT_ONCE)


async def recount(database: Database, tenant_id: UUID) -> None:
    """Count a tenant's devices and mailboxes anew; ingest of an organization waits for as long."""
    async with database.tenant(tenant_id) as scope:
        organizations = [row["organization_id"] for row in await scope.all("jobs.organizations")]
    for organization_id in organizations:
        async with database.tenant(tenant_id) as scope:
            await scope.run("jobs.lock_organization", organization_id=organization_id)
            await scope.run("merge.forget_counters", organization_id=organization_id)
            await scope.run("merge.recount", organization_id=organization_id)


async def _abandon_stale(scope: Scope, before: datetime) -> None:
    for left in await scope.all("jobs.stale_syncs", before=before):
        await scope.run("syncs.forget_parts", **left)
        body = {"sync_id": left["sync_id"], "why": "not finished in time"}
        await audit.record(scope, Event.SYNC_ABANDONED, "service", body, left["organization_id"])


def make(database: Database) -> App:
    """The job queue of this database, with every job that there is."""
    options = {"options": "-c search_path=jobs -c timezone=UTC", "application_name": "gatepost jobs"}
    app = App(connector=PsycopgConnector(conninfo=database.url, kwargs=options, min_size=1, max_size=4))

    async def for_each_tenant(name: str) -> None:
        async with database.control() as scope:
            tenants = [row["tenant_id"] for row in await scope.all("tenants.all")]
        for tenant_id in tenants:
            await app.configure_task(name, lock=f"{name}:{tenant_id}").defer_async(tenant_id=str(tenant_id))

    def of_tenant(work: Callable[[Database, UUID], Awaitable[object]]) -> None:
        async def run(tenant_id: str) -> None:
            await work(database, UUID(tenant_id))

        app.task(name=work.__name__)(run)

    of_tenant(prune)
    of_tenant(recount)
    of_tenant(pins.expire_pins)
    of_tenant(holds.expire_holds)
    of_tenant(removal.advance)
    of_tenant(watch.watch)
    of_tenant(making.announce)

    @app.periodic(cron="17 * * * *")
    @app.task(name="prune-all", queueing_lock="prune-all")
    async def prune_all(timestamp: int) -> None:  # noqa: ARG001 - given by the queue
        """Every hour: attempts to sign in, which are no tenant's, and then each tenant."""
        async with database.control() as scope:
            await scope.run("sign_in.prune", before=datetime.now(UTC) - ATTEMPTS_KEPT)
        await for_each_tenant("prune")
        await for_each_tenant("expire_holds")

    @app.periodic(cron="* * * * *")
    @app.task(name="expire-pins-all", queueing_lock="expire-pins-all")
    async def expire_pins_all(timestamp: int) -> None:  # noqa: ARG001 - given by the queue
        """Every minute, for each tenant."""
        await for_each_tenant("expire_pins")

    @app.periodic(cron="* * * * *")
    @app.task(name="advance-all", queueing_lock="advance-all")
    async def advance_all(timestamp: int) -> None:  # noqa: ARG001 - given by the queue
        """Every minute, for each tenant."""
        await for_each_tenant("advance")
        await for_each_tenant("watch")
        await for_each_tenant("announce")

    @app.periodic(cron="43 2 * * *")
    @app.task(name="recount-all", queueing_lock="recount-all")
    async def recount_all(timestamp: int) -> None:  # noqa: ARG001 - given by the queue
        """Every night, for each tenant."""
        await for_each_tenant("recount")

    @app.periodic(cron="5 3 * * *")
    @app.task(name="housekeeping", queueing_lock="housekeeping")
    async def housekeeping(timestamp: int) -> None:  # noqa: ARG001 - given by the queue
        """Every night: partitions for the months ahead, and the queue's own old jobs."""
        async with database.control() as scope:
            await scope.one("jobs.partitions", ahead=MONTHS_AHEAD)
        await app.job_manager.delete_old_jobs(nb_hours=JOBS_KEPT_HOURS, include_failed=True)

    @app.periodic(cron="* * * * *")
    @app.task(name="rescue", queueing_lock="rescue", lock="rescue")
    async def rescue(timestamp: int) -> None:  # noqa: ARG001 - given by the queue
        """Every minute: the jobs of a worker that died are given to another."""
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
            await app.job_manager.retry_job(job)

    return app


async def run(database: Database, pause: float = RESTART_SECONDS) -> None:
    """Work on jobs until cancelled; when the database is away, try again with jitter. Tells an outage once."""
    away = False
    while True:
        app = make(database)
        try:
            async with app.open_async():
                if away:
                    log.info("jobs run again")
                away = False
                await app.run_worker_async(install_signal_handlers=False, concurrency=2, shutdown_graceful_timeout=3)
        except (psycopg.Error, ProcrastinateException, GatepostError) as error:
            if not away:
                log.warning("jobs stopped (%s); they go on when the database is back", type(error).__name__)
            away = True
        if (task := asyncio.current_task()) and task.cancelling():
            return  # the queue's worker swallows a cancellation that meets it while its connection breaks
        await asyncio.sleep(random.uniform(0, pause))
