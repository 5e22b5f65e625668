"""The statements that depend on the server, on the oldest PostgreSQL that is supported."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.types.json import JsonbDumper

from gatepost.service import jobs
from gatepost.service.database import Database
from gatepost.service.statements import STATEMENTS
from tests.fixtures.database import Cluster, Urls
from tests.fixtures.service import new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox

pytestmark = [pytest.mark.needs("postgresql-15"), pytest.mark.anyio]


@pytest.fixture
def urls15(postgres15: Cluster) -> Iterator[Urls]:
    """A fresh database on PostgreSQL 15."""
    name = postgres15.make()
    yield postgres15.urls(name)
    postgres15.drop(name)


def test_the_whole_way_of_an_inventory(urls15: Urls) -> None:
    """Enrolment, a full and a quick synchronisation, history, words, counters, leaving and coming back."""
    devices, owners = [device(number) for number in range(60)], [mailbox(0)]
    with replica_of(urls15) as replica:
        service = new_tenant(replica, urls15, "demo")
        speaker = Speaker(service.url)
        speaker.enrol(service.ticket())
        assert speaker.synchronise(devices, owners)[-1]["state"] == "sealed"
        speaker.synchronise([device(0, model="changed"), *devices[2:]], [mailbox(0, display_name="Renamed")])
        speaker.synchronise(devices, owners)
    with psycopg.connect(urls15.superuser) as connection:
        whole = connection.execute("SELECT current_setting('server_version_num')::int / 10000").fetchone()
        history = connection.execute("SELECT what, count(*) FROM device_history GROUP BY 1 ORDER BY 1").fetchall()
        counted = connection.execute("SELECT name, value FROM counters WHERE value <> 0 ORDER BY 1").fetchall()
    assert whole == (15,)
    assert history == [("changed", 2), ("gone", 1), ("returned", 1)]
    assert dict(counted) == {"devices": 60, "mailboxes": 1, "family:ios": 60, "state:Allowed": 60}


async def test_jobs_run(urls15: Urls) -> None:
    """The queue's own tables and functions work there, and so do our jobs."""
    async with await Database.open(urls15.app) as database:
        app = jobs.make(database)
        async with app.open_async():
            for name in ("prune-all", "recount-all", "housekeeping"):
                await app.configure_task(name).defer_async(timestamp=0)
            await app.run_worker_async(wait=False, install_signal_handlers=False)
    with psycopg.connect(urls15.superuser) as connection:
        states = connection.execute("SELECT DISTINCT status::text FROM jobs.procrastinate_jobs").fetchall()
    assert states == [("succeeded",)]


def test_every_statement_is_understood(urls15: Urls) -> None:
    """No statement uses what only a newer server has: each one is planned."""
    with psycopg.connect(urls15.superuser, autocommit=True) as connection:
        connection.adapters.register_dumper(dict, JsonbDumper)
        connection.execute("SELECT set_config('app.tenant', gen_random_uuid()::text, false)")
        planned = 0
        for name, statement in STATEMENTS.items():
            if name.startswith("merge.stage_"):
                connection.execute(statement.sql)
        for statement in STATEMENTS.values():
            if statement.sql.upper().startswith((b"SELECT", b"INSERT", b"UPDATE", b"DELETE", b"WITH")):
                example = {key: None if value in ("", []) else value for key, value in statement.example.items()}
                connection.execute(b"EXPLAIN " + statement.sql, example)
                planned += 1
    assert planned > 80
