"""How fast many changes drain: blocked and read back at Exchange, with so many sessions.

The service is a process of its own on an embedded PostgreSQL with its ordinary, durable settings; the lab is another,
with a latency for each cmdlet; the connector runs here. A change is three cmdlets (read, write, read back), and no more
than sessions / (3 * latency) changes a second are possible: *bound*. The peers are what a plain script does with
pypsrp: one session, one ``Set-CASMailbox`` a change, without looking before or after; and the same with both readings.

    .venv/bin/python -m benchmarks.drain [--changes 1000] [--only MILLISECONDS SESSIONS] [--no-peers]
"""

import argparse
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from tests.fixtures.database import Urls
from tests.fixtures.site import Service

from benchmarks.labs import RunningLab
from benchmarks.write import Bench, made
from gatepost.connector import log
from gatepost.connector.agent import Agent, Scope, start_process
from gatepost.connector.reconcile import CARRY_SECONDS
from gatepost.service import migrations
from gatepost.service.embedded import Postgres

CMDLETS = 3
RACES = ((0.1, 6), (0.1, 18), (0.25, 6), (0.25, 18), (0.5, 18))  # seconds a cmdlet, sessions
DEVICES = 3
"""So many a change, of which enough have a mailbox of their own whose lists are empty."""
PEER = 40
SHELLS = 24
PUBLISH = """
    WITH head AS (UPDATE desired_heads SET revision = revision + {count} RETURNING tenant_id, organization_id,
                  revision - {count} AS base),
    chosen AS (SELECT DISTINCT ON (d.mailbox_guid) d.mailbox_guid, d.device_id
               FROM devices d JOIN mailboxes m ON m.guid = d.mailbox_guid
               WHERE d.client_type = 'EAS' AND d.device_id <> '' AND m.kind = 'user' AND allowed_ids = '{{}}'
                 AND blocked_ids = '{{}}' AND NOT EXISTS (
                     SELECT 1 FROM desired o WHERE o.mailbox_guid = d.mailbox_guid)
               ORDER BY d.mailbox_guid LIMIT {count}),
    numbered AS (SELECT *, row_number() OVER () AS n FROM chosen),
    intended AS (
        INSERT INTO list_entries (tenant_id, organization_id, mailbox_guid, device_id, list, ownership,
                                  intended_revision)
        SELECT tenant_id, organization_id, mailbox_guid, device_id, 'block', 'intended', base + n FROM head, numbered)
    INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, reason, entry, revision)
    SELECT tenant_id, organization_id, mailbox_guid, device_id, 'block', 'a benchmark', 'block', base + n
    FROM head, numbered RETURNING mailbox_guid, device_id
"""


@contextmanager
def carrying(agent: Agent) -> Iterator[None]:
    """What came of it is told each second, and the lease renewed by that, as the running connector does."""
    over = threading.Event()

    def carry() -> None:
        while not over.wait(CARRY_SECONDS):
            agent.courier.cycle()

    courier = threading.Thread(target=carry)
    courier.start()
    try:
        yield
    finally:
        over.set()
        courier.join()


def race(bench: Bench, count: int, latency: float, sessions: int) -> str:
    """One line of the table. The sessions are open when the time begins: a drain of an hour opens them twice."""
    exchange = msgspec.structs.replace(bench.settings.exchange, runspaces=sessions + 1)
    bench.lab.spent(latency)
    with Agent(msgspec.structs.replace(bench.settings, exchange=exchange)) as agent:
        bench.rows(PUBLISH.format(count=2 * sessions))
        agent.courier.cycle()
        agent.reconcile.run()
        published = bench.rows(PUBLISH.format(count=count))
        agent.courier.cycle()
        before = bench.lab.spent(latency)
        used = time.process_time()
        started = time.perf_counter()
        with carrying(agent):
            found = agent.reconcile.run()
        seconds = time.perf_counter() - started
        used = time.process_time() - used
        after = bench.lab.spent()
        agent.courier.cycle()
    assert found["written"] >= 0.99 * len(published), found  # a mailbox that refuses all is drawn now and then
    rate, bound = len(published) / seconds, sessions / (CMDLETS * latency)
    audited = (after.audited - before.audited) / len(published)
    return (
        f"| {latency * 1000:.0f} | {sessions} | {rate:.1f} | {bound:.1f} | {rate / bound:.0%} | {audited:.2f} "
        f"| {used / len(published) * 1000:.1f} | {(after.seconds - before.seconds) / len(published) * 1000:.1f} |"
    )


def script(bench: Bench, latency: float, *, careful: bool) -> str:
    """The peer's line: one after the other, with both readings or without."""
    published = bench.rows(PUBLISH.format(count=PEER))
    bench.lab.spent(latency)
    ready = bench.lab.ready
    wsman = WSMan(
        "localhost",
        port=urlsplit(ready["url"]).port,
        path="PowerShell",
        auth="basic",
        username=ready["user"],
        password=ready["password"],
        cert_validation=ready["ca_file"],
    )
    with RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool:
        started = time.perf_counter()
        for mailbox, device_id in published:
            for cmdlet in ("Get-CASMailbox", "Set-CASMailbox", "Get-CASMailbox") if careful else ("Set-CASMailbox",):
                shell = PowerShell(pool).add_cmdlet(cmdlet).add_parameter("Identity", str(mailbox))
                if cmdlet.startswith("Set"):
                    shell.add_parameter("ActiveSyncBlockedDeviceIDs", {"Add": [device_id]})
                    shell.add_parameter("Confirm", False)
                shell.invoke()
                assert not shell.had_errors, shell.streams.error
        rate = PEER / (time.perf_counter() - started)
    return f"| {latency * 1000:.0f} | 1 | {rate:.1f} | {'with both readings' if careful else 'the write alone'} |"


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=1_000)
    parser.add_argument("--only", type=int, nargs=2, metavar=("MILLISECONDS", "SESSIONS"), help="one line of the table")
    parser.add_argument("--no-peers", action="store_true")
    given = parser.parse_args()
    count: int = given.changes
    races = ((given.only[0] / 1000, given.only[1]),) if given.only else RACES
    start_process(quiet=True)
    log.start(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Postgres(folder / "postgres") as postgres, RunningLab(count * len(races) * DEVICES, shells=SHELLS) as lab:
            postgres.start()
            migrations.upgrade(postgres.url("gatepost_owner"))
            roles = ("gatepost_owner", "gatepost_app", "gatepost_operator", "postgres")
            urls = Urls(*(postgres.url(role) for role in roles))
            service = Service(urls, folder).start()
            try:
                bench = made(urls, lab, service.url, folder)
                measure(bench, count, races)
                if not given.no_peers:
                    peers(bench)
            finally:
                service.stop()


def measure(bench: Bench, count: int, races: tuple[tuple[float, int], ...]) -> None:
    """Our lines."""
    with Agent(bench.settings) as agent:
        agent.sync(Scope.FULL)
    print("| ms a cmdlet | sessions | changes/s | bound/s | share | audited a change | our ms of CPU | the lab's |")
    print(f"|{' ---: |' * 8}")
    for latency, sessions in races:
        print(race(bench, count, latency, sessions), flush=True)


def peers(bench: Bench) -> None:
    """Their lines."""
    print("\n| ms a cmdlet | sessions | changes/s | peer: pypsrp, one after the other |\n| ---: | ---: | ---: | --- |")
    for latency in (0.1, 0.25):
        for careful in (False, True):
            print(script(bench, latency, careful=careful), flush=True)


if __name__ == "__main__":
    main()
