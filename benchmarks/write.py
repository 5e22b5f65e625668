"""How fast pins become entries of ours: pinned, told, acknowledged, written, read back, reported, in the ledger.

The service is a process of its own on an embedded PostgreSQL with its ordinary, durable settings; the lab is another;
the connector runs here. One change is three cmdlets (read and plan, write, read back), so with a latency no more than
sessions / (3 * latency) changes a second are possible: the column *bound*. After that, what many desired rows cost:
their pages, comparing them with a listing, and finding what is due.

    .venv/bin/python -m benchmarks.write [--pins 300] [--rows 100000]
"""

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from tests.fixtures.database import Urls
from tests.fixtures.service import SETTINGS
from tests.fixtures.site import Service

from benchmarks.labs import RunningLab
from gatepost.connector import log
from gatepost.connector.agent import Agent, Scope
from gatepost.connector.enrolment import enrol
from gatepost.domain.contract import MAILBOX_COLUMNS
from gatepost.service import administration, migrations, pins
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database
from gatepost.service.embedded import Postgres
from gatepost.settings import ConnectorSettings, ExchangeSettings, UplinkSettings

CMDLETS = 3
RACES = ((0.0, 4), (0.0, 8), (0.1, 4), (0.1, 8), (0.1, 16))  # seconds a cmdlet, sessions
HEADS = (
    "ms a cmdlet", "sessions", "pinned/s", "s until told and acknowledged", "written/s", "bound/s",
    "cmdlets a change (and Select-Object)", "audited a change", "s to report", "ours",
)  # fmt: skip


@dataclass
class Bench:
    """A tenant with its lab and its connector's settings."""

    urls: Urls
    lab: RunningLab
    settings: ConnectorSettings
    tenant: UUID

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, past row-level security."""
        with psycopg.connect(self.urls.superuser, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def phones(self) -> list[tuple[UUID, UUID]]:
        """One phone of each mailbox that nobody has an entry for, with its organization."""
        found = self.rows(
            "SELECT DISTINCT ON (mailbox_guid) d.organization_id, d.guid FROM devices d JOIN mailboxes m ON m.guid = "
            "d.mailbox_guid WHERE d.client_type = 'EAS' AND d.device_id <> '' AND m.kind = 'user' "
            "AND allowed_ids = '{}' AND blocked_ids = '{}' ORDER BY mailbox_guid"
        )
        return [(organization, guid) for organization, guid in found]

    async def pin(self, phones: list[tuple[UUID, UUID]]) -> None:
        """Pin each, in a transaction of its own, as administrators do who look at one each."""
        async with await Database.open(self.urls.app) as database:
            for organization, guid in phones:
                somebody = Person(uuid4(), "anna")
                async with database.tenant(self.tenant) as scope:
                    await pins.set_pin(scope, organization, guid, "block", "a benchmark", None, somebody)


def timed(work: Callable[[], Any]) -> float:
    """Seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def race(bench: Bench, phones: list[tuple[UUID, UUID]], latency: float, sessions: int) -> str:
    """One line of the table."""
    pinned = timed(lambda: asyncio.run(bench.pin(phones)))
    with Agent(bench.settings) as agent:
        agent.reconcile.workers = sessions
        told = timed(agent.courier.cycle)
        before = bench.lab.spent(latency)
        written = timed(agent.reconcile.run)
        after = bench.lab.spent()
        reported = timed(agent.courier.cycle)
    [(ours,)] = bench.rows("SELECT count(*) FROM list_entries WHERE ownership = 'ours'")
    count, cmdlets = len(phones), after.cmdlets - before.cmdlets
    bound = f"{sessions / (CMDLETS * latency):,.0f}" if latency else ""
    audited = (after.audited - before.audited) / count
    cells = (
        f"{latency * 1000:.0f}", f"{sessions}", f"{count / pinned:,.0f}", f"{told:.2f}", f"{count / written:,.1f}",
        bound, f"{cmdlets / count:.2f}", f"{audited:.2f}", f"{reported:.2f}", f"{ours:,}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def many(bench: Bench, count: int) -> str:
    """What so many desired rows cost, of which the connector knows nothing yet; nothing is written."""
    bench.rows(
        "WITH head AS (UPDATE desired_heads SET revision = revision + "
        f"{count} RETURNING tenant_id, organization_id, revision - {count} AS base) "
        "INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, reason, entry, revision) "
        "SELECT tenant_id, organization_id, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, "
        f"'MANY' || n, 'block', 'a benchmark', 'block', base + n FROM head, generate_series(1, {count}) n"
    )
    listed = []
    for number in range(1, count + 1):
        values = {"allowed_ids": [], "blocked_ids": [], "dn": f"CN=Many {number}", "primary_smtp": "m@example.test"}
        row = json.dumps([values.get(name) for name in MAILBOX_COLUMNS])
        listed.append((f"00000000-0000-4000-8000-{number:012d}", number, values["dn"], row))
    with Agent(bench.settings) as agent:
        told = timed(agent.courier.cycle)
        with agent.store.transaction() as db:
            db.executemany("INSERT INTO sealed_mailboxes (guid, hash, dn, row) VALUES (?, ?, ?, ?)", listed)
        compared = timed(agent.reconcile.compare)
        due = timed(agent.reconcile.seconds)
    return (
        f"{count:,} rows: {told:.1f} s until told, stored and acknowledged; compared with a listing in "
        f"{compared:.2f} s; what is due found in {due * 1000:.1f} ms"
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=int, default=300)
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    log.start(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Postgres(folder / "postgres") as postgres, RunningLab(given.pins * len(RACES) * 6) as lab:
            postgres.start()
            migrations.upgrade(postgres.url("gatepost_owner"))
            roles = ("gatepost_owner", "gatepost_app", "gatepost_operator", "postgres")
            urls = Urls(*(postgres.url(role) for role in roles))
            service = Service(urls, folder).start()
            try:
                measure(made(urls, lab, service.url, folder), given.pins, given.rows)
            finally:
                service.stop()


def made(urls: Urls, lab: RunningLab, url: str, folder: Path) -> Bench:
    """A tenant whose connector is enrolled and may write everywhere."""
    tenant = administration.create_tenant(urls.operator, "bench", "Bench")
    ticket, fingerprint = administration.create_ticket(urls.operator, SETTINGS.vault_file, "bench", "Lab")
    (folder / "ticket").write_text(ticket)
    (folder / "password").write_text(lab.ready["password"])
    exchange = ExchangeSettings(
        url=lab.ready["url"],
        auth="basic",
        user=lab.ready["user"],
        password_file=folder / "password",
        ca_file=Path(lab.ready["ca_file"]),
        runspaces=17,
    )
    uplink = UplinkSettings(url=url)
    settings = ConnectorSettings(
        folder=folder / "connector", exchange=exchange, service=uplink, mode="enforce", scope=("*",), ceiling=1_000_000
    )
    enrol(settings, folder / "ticket", fingerprint)
    return Bench(urls, lab, settings, tenant)


def measure(bench: Bench, count: int, rows: int) -> None:
    """All lines."""
    with Agent(bench.settings) as agent:
        agent.sync(Scope.FULL)
    phones = bench.phones()
    print(f"| {' | '.join(HEADS)} |\n|{' ---: |' * len(HEADS)}")
    for number, (latency, sessions) in enumerate(RACES):
        chosen = phones[number * count : (number + 1) * count]
        print(race(bench, chosen, latency, sessions), flush=True)
    print(f"\n{many(bench, rows)}")


if __name__ == "__main__":
    main()
