"""How fast check-ins become rows: the merge alone, the whole way over HTTP, and what simpler ways of writing give.

PostgreSQL is the embedded one with its ordinary, durable settings, row-level security on, one transaction a part of
2,000 devices. *Merge* is the transaction as the service runs it: ask what changed, stage, merge with history, facts,
counters and search words, commit. The peers write the same columns of the same rows into the same table and do
nothing else.

    .venv/bin/python -m benchmarks.ingest [--devices 100000]
"""

import argparse
import asyncio
import platform
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from tests.fixtures.database import Urls
from tests.fixtures.service import SETTINGS, new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox

from gatepost.domain.contract import DEVICE_COLUMNS, Table
from gatepost.service import administration, migrations
from gatepost.service.database import ENTER_TENANT, Database
from gatepost.service.database import Scope as DatabaseScope
from gatepost.service.devices import merge
from gatepost.service.devices.rows import device_reader
from gatepost.service.embedded import Postgres

PART = 2_000
PEER_ROWS = 10_000
OS = DEVICE_COLUMNS.index("os")
Rows = Sequence[Sequence[Any]]


def listing(count: int, change: float = 1.0, salt: str = "1") -> list[list[Any]]:
    """Devices of which a share says something else than those with the salt 1."""
    rows = [device(number, mailbox_guid=mailbox(number // 2)[0], os=f"iOS 1 {number % 50}") for number in range(count)]
    for number in range(0, count, round(1 / change)):
        rows[number][OS] = f"iOS {salt} {number % 50}"
    return rows


LISTINGS: dict[str, tuple[float, str]] = {
    "first load": (1.0, "1"),
    "0 % changed": (1.0, "1"),
    "2 % changed": (0.02, "2"),
    "100 % changed": (1.0, "3"),
}


def parts(rows: Rows) -> list[Rows]:
    """Rows as they travel."""
    return [rows[at : at + PART] for at in range(0, len(rows), PART)]


async def merge_all(database: Database, tenant: UUID, organization: UUID, rows: Rows) -> tuple[float, float]:
    """Seconds for hashing and for merging a whole listing, part by part."""
    hashing = merging = 0.0
    for part in parts(rows):
        started = time.perf_counter()
        hashed = merge.list_devices(Table(DEVICE_COLUMNS, tuple(part)))
        hashing += time.perf_counter() - started

        async def task(scope: DatabaseScope, hashed: merge.Listing = hashed) -> None:
            await merge.merge_devices(scope, organization, hashed, datetime.now(UTC))

        started = time.perf_counter()
        await database.work(tenant, task)
        merging += time.perf_counter() - started
    return hashing, merging


async def merges(url: str, tenant: UUID, organization: UUID, count: int) -> list[tuple[str, float]]:
    """The merge alone: a first load, then listings of which nothing, 2 % and everything changed."""
    found = []
    async with await Database.open(url) as database:
        for name, (change, salt) in LISTINGS.items():
            hashing, merging = await merge_all(database, tenant, organization, listing(count, change, salt))
            found.append((f"merge, {name}", count / merging))
            found.append((f"merge and hashing, {name}", count / (merging + hashing)))
    return found


def over_http(urls: Urls, count: int) -> list[tuple[str, float]]:
    """The real endpoint: sealed, gzipped, sent, unpacked, read, merged, answered."""
    found = []
    with replica_of(urls) as replica:
        service = new_tenant(replica, urls, "http")
        speaker = Speaker(service.url)
        speaker.enrol(service.ticket())
        for name, (change, salt) in LISTINGS.items():
            rows = listing(count, change, salt)
            announced, _ = speaker.begin(rows)
            started = time.perf_counter()
            for number, part in enumerate(parts(rows), 1):
                assert speaker.part(announced, number, devices=part)["state"] == "merged"
            sent = time.perf_counter()
            assert speaker.seal(announced)["state"] == "sealed"
            found.append((f"over HTTP, {name}", count / (sent - started)))
            found.append((f"the seal, {name}", count / (time.perf_counter() - sent)))
    return found


async def peers(urls: Urls, tenant: UUID, organization: UUID) -> list[tuple[str, float]]:
    """Per-row and executemany upserts of the same columns, in transactions of one part."""
    names = (*DEVICE_COLUMNS, "family", "facts_id", "row_hash", "first_seen", "last_seen", "changed_seen_at")
    upsert = (
        f"INSERT INTO devices (organization_id, {', '.join(names)}) "
        f"VALUES ({', '.join(['%s'] * (len(names) + 1))}) ON CONFLICT (tenant_id, organization_id, guid) "
        f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"
    ).encode()
    facts_id, now = uuid4(), datetime.now(UTC)
    reader = device_reader(DEVICE_COLUMNS)

    def values(rows: Rows) -> list[list[Any]]:
        return [[organization, *reader.read(row), "ios", facts_id, 1, now, now, now] for row in rows]

    async def one_by_one(connection: psycopg.AsyncConnection, rows: Rows) -> None:
        for row in values(rows):
            await connection.execute(upsert, row)

    async def executemany(connection: psycopg.AsyncConnection, rows: Rows) -> None:
        async with connection.cursor() as cursor:
            await cursor.executemany(upsert, values(rows))

    ways: dict[str, Callable[[psycopg.AsyncConnection, Rows], Awaitable[None]]] = {
        "peer: one INSERT a row": one_by_one,
        "peer: executemany upsert": executemany,
    }
    found = []
    async with await psycopg.AsyncConnection.connect(urls.app) as connection:
        await connection.execute(ENTER_TENANT, [str(tenant)])
        await connection.execute(
            "INSERT INTO device_facts (facts_id, family, os_version) VALUES (%s, 'ios', '{}')", [facts_id]
        )
        await connection.commit()
        for name, way in ways.items():
            for state, salt in (("first load", name), ("again", name), ("100 % changed", f"{name} 2")):
                rows = [device(number, os=salt) for number in range(PEER_ROWS)]
                started = time.perf_counter()
                for part in parts(rows):
                    await connection.execute(ENTER_TENANT, [str(tenant)])
                    await way(connection, part)
                    await connection.commit()
                found.append((f"{name}, {state}", PEER_ROWS / (time.perf_counter() - started)))
            with psycopg.connect(urls.superuser, autocommit=True) as cleaner:
                cleaner.execute("DELETE FROM devices WHERE tenant_id = %s", [tenant])
    return found


def _organization(urls: Urls, slug: str) -> tuple[UUID, UUID]:
    """A new tenant with one organization."""
    tenant = administration.create_tenant(urls.operator, slug, slug)
    administration.create_ticket(urls.operator, SETTINGS.vault_file, slug, "Benchmark")
    with psycopg.connect(urls.superuser) as connection:
        row = connection.execute("SELECT organization_id FROM organizations WHERE tenant_id = %s", [tenant]).fetchone()
    assert row is not None
    return tenant, row[0]


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, default=100_000)
    count: int = options.parse_args().devices
    folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    folder.chmod(0o711)
    try:
        with Postgres(folder / "postgres") as postgres:
            postgres.start()
            migrations.upgrade(postgres.url("gatepost_owner"))
            roles = ("gatepost_owner", "gatepost_app", "gatepost_operator", "postgres")
            urls = Urls(*(postgres.url(role) for role in roles))
            rows = asyncio.run(merges(urls.app, *_organization(urls, "merge"), count))
            rows += over_http(urls, count)
            rows += asyncio.run(peers(urls, *_organization(urls, "peers")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{count:,} devices, parts of {PART:,}, {platform.machine()}, CPython {platform.python_version()}\n")
    print("| way | devices/s |\n| --- | ---: |")
    for name, rate in rows:
        print(f"| {name} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
