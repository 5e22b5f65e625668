"""Jobs: what they forget, what they mend, and that a dead worker's jobs are done by another."""

import asyncio
from uuid import UUID

import psycopg
import pytest

from gatepost.domain.contract import Facts
from gatepost.service import jobs
from gatepost.service.database import Database
from tests.fixtures.database import Urls
from tests.fixtures.service import Service, new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox

pytestmark = pytest.mark.anyio
DEVICES = [device(number) for number in range(30)]


def filled(urls: Urls) -> Service:
    """A tenant with an inventory of which one device is gone, and a synchronisation left open."""
    with replica_of(urls) as replica:
        service = new_tenant(replica, urls, "demo").with_administrator()
        speaker = Speaker(service.url)
        speaker.enrol(service.ticket())
        speaker.synchronise(DEVICES, [mailbox(0)])
        speaker.synchronise(DEVICES[1:], [mailbox(0)])
        speaker.begin(DEVICES, [mailbox(0)])
        outcome = {"outcome_id": str(UUID(int=1)), "about": "x", "result": "done"}
        finding = {"code": "store-lost", "subject": "s", "cause": "c", "remedy": "r"}
        speaker.say(outcomes=(outcome,), facts=Facts(findings=(finding,)))
    return service


def run(urls: Urls, query: str) -> list[tuple[object, ...]]:
    """Run a query past row-level security."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


async def test_pruning_forgets_what_is_old_and_keeps_the_rest(database_urls: Urls) -> None:
    """Outcomes of a month, attempts of a day, a connector's findings of yesterday, open synchronisations of hours."""
    service = await asyncio.to_thread(filled, database_urls)
    state = (
        "SELECT (SELECT count(*) FROM outcomes), (SELECT count(*) FROM findings WHERE ended_at IS NULL), "
        "(SELECT count(*) FROM syncs WHERE state = 'open'), (SELECT count(*) FROM devices WHERE friendly_name IS NULL)"
    )
    async with await Database.open(database_urls.app) as database:
        await jobs.prune(database, service.tenant_id)
        assert run(database_urls, state) == [(1, 1, 1, 0)]
        run(database_urls, "UPDATE outcomes SET received_at = now() - interval '31 days'")
        run(database_urls, "UPDATE findings SET last = now() - interval '25 hours'")
        run(database_urls, "UPDATE syncs SET started_at = now() - interval '3 hours'")
        run(database_urls, "UPDATE devices SET gone_at = now() - interval '49 hours' WHERE gone_at IS NOT NULL")
        await jobs.prune(database, service.tenant_id)
        await jobs.prune(database, service.tenant_id)
    assert run(database_urls, state) == [(0, 0, 0, 1)]
    assert run(database_urls, "SELECT count(*) FROM events WHERE name = 'service:sync:abandoned'") == [(1,)]


async def test_a_device_gone_for_two_days_is_found_by_nothing_and_may_come_back(database_urls: Urls) -> None:
    """It becomes a tombstone without personal data; when it is seen again it is whole again."""
    service = await asyncio.to_thread(filled, database_urls)
    run(database_urls, "UPDATE devices SET gone_at = now() - interval '49 hours' WHERE gone_at IS NOT NULL")
    async with await Database.open(database_urls.app) as database:
        await jobs.prune(database, service.tenant_id)
    words = f"SELECT count(*) FROM device_words WHERE device_guid = '{DEVICES[0][0]}'"
    assert run(database_urls, words) == [(0,)]

    def again() -> None:
        with replica_of(database_urls) as replica:
            speaker = Speaker(replica.url)
            speaker.enrol(service.ticket())
            speaker.synchronise(DEVICES, [mailbox(0)])

    await asyncio.to_thread(again)
    row = run(database_urls, f"SELECT friendly_name, gone_at FROM devices WHERE guid = '{DEVICES[0][0]}'")
    assert row == [("Phone 0", None)]
    assert run(database_urls, words)[0][0] != 0


async def test_recounting_mends_counters(database_urls: Urls) -> None:
    """Whatever the counters said, afterwards they say what a count gives."""
    service = await asyncio.to_thread(filled, database_urls)
    before = run(database_urls, "SELECT name, value FROM counters WHERE value <> 0 ORDER BY name")
    run(database_urls, "UPDATE counters SET value = value + 7")
    run(database_urls, "INSERT INTO counters SELECT tenant_id, organization_id, 'state:Odd', 3 FROM organizations")
    async with await Database.open(database_urls.app) as database:
        await jobs.recount(database, service.tenant_id)
    assert run(database_urls, "SELECT name, value FROM counters ORDER BY name") == before


async def test_periodic_jobs_reach_every_tenant(database_urls: Urls) -> None:
    """The hourly job defers one job a tenant, and the worker does them."""
    service = await asyncio.to_thread(filled, database_urls)
    run(database_urls, "UPDATE outcomes SET received_at = now() - interval '31 days'")
    async with await Database.open(database_urls.app) as database:
        app = jobs.make(database)
        async with app.open_async():
            await app.configure_task("prune-all").defer_async(timestamp=0)
            await app.configure_task("recount-all").defer_async(timestamp=0)
            await app.configure_task("housekeeping").defer_async(timestamp=0)
            await app.run_worker_async(wait=False, install_signal_handlers=False)
            await app.run_worker_async(wait=False, install_signal_handlers=False)
    done = run(
        database_urls,
        "SELECT task_name, status::text, args FROM jobs.procrastinate_jobs WHERE task_name <> 'rescue' ORDER BY 1",
    )
    by_tenant = {"tenant_id": str(service.tenant_id)}
    expected = [
        ("housekeeping", "succeeded", {"timestamp": 0}),
        ("prune", "succeeded", by_tenant),
        ("prune-all", "succeeded", {"timestamp": 0}),
        ("recount", "succeeded", by_tenant),
        ("recount-all", "succeeded", {"timestamp": 0}),
    ]
    # A worker also defers what was due in the last minutes by the clock, so there may be more of the same.
    assert [row for row in expected if row not in done] == []
    assert {row[1] for row in done} == {"succeeded"}
