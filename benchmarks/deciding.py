"""How fast decisions are: one device from *it complies* to *published*, and tens of thousands after a new policy.

PostgreSQL is the embedded one with its ordinary, durable settings, row-level security on. The tenant has ``--devices``
of them, filled by the database; nothing is decided yet. *Decide and publish all* is what follows a new version of the
policy: batches of facts, decisions, the engine, the guard, rows under revisions, intents, events. *Again* decides
all anew where nothing differs. *One* is a source's report about one device, to what it comes to being committed, while
nothing else is due. The peer does what a plain service would: for each device it reads, decides and writes by itself.

    .venv/bin/python -m benchmarks.deciding [--devices 50000]
"""

import argparse
import asyncio
import platform
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from tests.fixtures.database import Urls
from tests.fixtures.service import SETTINGS

from benchmarks.filling import fill
from gatepost.domain.access import decide
from gatepost.service import administration, following, migrations
from gatepost.service.access import deciding, due, facts
from gatepost.service.access.due import Cause
from gatepost.service.access.publishing import lock_head, publish
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import records, sources
from gatepost.service.database import Database, Scope
from gatepost.service.embedded import Postgres
from gatepost.service.policies import Ring, rollout, versions

BENCHMARK = Person(uuid4(), "benchmark")
ONES = 200
PEER = 500
POLICY = {"enabled": True, "unmanaged": "quarantine", "noncompliant": "block"}
ALLOWED = "SELECT count(*) FROM desired WHERE level = 'allow' AND device_id LIKE '%8'"
UNDECIDED = "DELETE FROM decisions; DELETE FROM desired; DELETE FROM list_entries; DELETE FROM decisions_due"


def empty(urls: Urls) -> None:
    """Nothing is decided."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        for statement in UNDECIDED.split("; "):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


async def begin(scope: Scope) -> None:
    """A policy holds for everybody, and the guard lets everything through."""
    version = await versions.save(scope, POLICY, "", BENCHMARK)
    await rollout.begin(scope, version, Ring.ALL, None, None, BENCHMARK)


async def all_of_them(database: Database, tenant: UUID, urls: Urls) -> list[tuple[str, float]]:
    """Seconds for everything, and for everything again."""
    found = []
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("INSERT INTO guard_settings (tenant_id, take, give) VALUES (%s, 1000000, 1000000)", [tenant])
    started = time.perf_counter()
    await database.work(tenant, begin)
    found.append(("mark all", time.perf_counter() - started))
    for name in ("decide and publish all", "decide all again"):
        started = time.perf_counter()
        await deciding.advance(database, tenant)
        found.append((name, time.perf_counter() - started))
        await database.work(tenant, lambda scope: due.mark_all(scope, Cause("policy")))
    await deciding.advance(database, tenant)
    return found


async def one(database: Database, tenant: UUID) -> list[float]:
    """Seconds from a report about one device to its level being published, for many devices in turn."""
    found = []
    async with database.tenant(tenant) as scope:
        source_id = (await sources.all_of(scope, datetime.now(UTC)))[0]["source_id"]
    for number in range(ONES):
        device_id = f"DEV{number * 10 + 8}"

        row = {
            "managed_id": device_id,
            "state": "compliant",
            "device_ids": [device_id],
            "user_name": "",
            "name": device_id,
            "checked_at": None,
        }

        async def report(scope: Scope, row: dict[str, Any] = row) -> None:
            await records.report(scope, source_id, [row], complete=False, person=BENCHMARK)

        started = time.perf_counter()
        await database.work(tenant, report)
        await following.follow(database, tenant)
        found.append(time.perf_counter() - started)
    return found


async def peer(database: Database, tenant: UUID, organization: UUID) -> float:
    """Seconds a device where each is read, decided and published by itself."""
    async with database.tenant(tenant) as scope:
        await due.mark_all(scope, Cause("policy"))
        keys = list(await due.take(scope, organization, PEER))
    started = time.perf_counter()
    for key in keys:
        async with database.tenant(tenant) as scope:
            await lock_head(scope, organization)
            [known] = await facts.load(scope, organization, [key], datetime.now(UTC))
            decision = decide(known.facts, known.policy, known.previous, datetime.now(UTC))
            await publish(scope, organization, key, decision.level, decision.reason.value)
    return (time.perf_counter() - started) / len(keys)


async def measure(urls: Urls, tenant: UUID, organization: UUID, count: int) -> list[tuple[str, str]]:
    """All of it."""
    rows = []
    async with await Database.open(urls.app) as database:
        for name, seconds in await all_of_them(database, tenant, urls):
            rows.append((name, f"{seconds:.1f} s, {count / seconds:,.0f} a second"))
        times = sorted(await one(database, tenant))
        p99 = times[int(len(times) * 0.99)]
        with psycopg.connect(urls.superuser) as connection:
            [published] = connection.execute(ALLOWED).fetchone() or [0]
        assert published == ONES, f"{published} were published"
        rows.append(
            ("one, reported to published", f"p50 {statistics.median(times) * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms")
        )
        empty(urls)
        await asyncio.sleep(0)
        rows.append(("peer: one after the other", f"{1 / await peer(database, tenant, organization):,.0f} a second"))
    return rows


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, default=50_000)
    count: int = options.parse_args().devices
    folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    folder.chmod(0o711)
    try:
        with Postgres(folder / "postgres") as postgres:
            postgres.start()
            migrations.upgrade(postgres.url("gatepost_owner"))
            roles = ("gatepost_owner", "gatepost_app", "gatepost_operator", "postgres")
            urls = Urls(*(postgres.url(role) for role in roles))
            tenant = administration.create_tenant(urls.operator, "deciding", "deciding")
            administration.create_ticket(urls.operator, SETTINGS.vault_file, "deciding", "Benchmark")
            with psycopg.connect(urls.superuser, autocommit=True) as connection:
                row = connection.execute("SELECT organization_id FROM organizations").fetchone()
                assert row is not None
                connection.execute(
                    "INSERT INTO desired_heads (tenant_id, organization_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    [tenant, row[0]],
                )
            fill(urls.superuser, tenant, row[0], count)
            empty(urls)
            rows = asyncio.run(measure(urls, tenant, row[0], count))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{count:,} devices, {platform.machine()}, CPython {platform.python_version()}\n")
    print("| what | |\n| --- | ---: |")
    for name, told in rows:
        print(f"| {name} | {told} |")


if __name__ == "__main__":
    main()
