"""How long a new phone has mail before it is blocked: it appears, is seen, decided, written, read back and shown.

The service is a process of its own on an embedded PostgreSQL, the lab another (100,000 devices, no latency of its
own), the connector a third, watching as it does unless told otherwise. A policy blocks the phones of some people, by a
rule; phones of theirs appear one after the other at moments of chance. *Told*: the service has the device;
*published*: its level is; *applied*: our entry was read back and is shown. Then a source reports over the API, one
after the other, that phones do not comply, and later that they do: *blocked* and *let in* are seconds from the report
to the entry that was read back, or is gone. *A look* is what one look of the watch costs, and the lab's processor time
for it. The peers are scripts with pypsrp that poll: they ask for the devices of each mailbox, or for all devices; what
a round of theirs takes is measured on a part and multiplied.

    .venv/bin/python -m benchmarks.appear [--devices 100000] [--phones 40]
"""

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from tests.fixtures.database import Urls
from tests.fixtures.site import Service

from benchmarks.labs import RunningLab
from benchmarks.write import Bench, made
from gatepost.cli.story import Api
from gatepost.connector.setup.settings_file import render
from gatepost.exchange.organization import Organization
from gatepost.service import administration, migrations
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.embedded import Postgres
from gatepost.service.policies import Ring, rollout, versions

EVERY = 4.0  # seconds between two phones, on average
PATIENCE = 900.0
ADMINISTRATOR, ROLES = ("anna", "correct-horse-battery"), ["administrator"]
PEER_MAILBOXES, PEER_DEVICES = 200, 2_000
STAGES = {
    "told": "SELECT 1 FROM devices WHERE guid = '{guid}'",
    "published": "SELECT 1 FROM desired WHERE device_id = '{device_id}' AND level = 'block'",
    "applied": "SELECT 1 FROM list_entries WHERE device_id = '{device_id}' AND list = 'block' AND ownership = 'ours'",
}


async def rule(bench: Bench, people: list[str]) -> None:
    """A policy that blocks the phones of these people and leaves all others alone."""
    rules = []
    for number, address in enumerate(people):
        pattern = f"^{address.replace('.', '[.]')}$"
        rules.append({"id": f"r{number}", "name": address, "level": "block", "when": {"user": pattern}})
    document = {"enabled": True, "rules": rules, "unmanaged": "leave", "cloud_cache": "leave"}
    person = Person(uuid4(), "benchmark")

    async def begin(scope: Scope) -> None:
        version = await versions.save(scope, document, "", person)
        await rollout.begin(scope, version, Ring.ALL, None, None, person)

    async with await Database.open(bench.urls.app) as database:
        await database.work(bench.tenant, begin)


def until(true: Callable[[], object], what: str) -> float:
    """Wait for something; the seconds that it took."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > PATIENCE:
            raise RuntimeError(f"{what} did not happen")
        time.sleep(0.5)
    return time.monotonic() - started


def race(bench: Bench, mailboxes: list[str]) -> dict[str, list[float]]:
    """Phones appear on these mailboxes; seconds to each stage of each."""
    waiting: dict[tuple[str, str], tuple[dict[str, Any], float]] = {}
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    next_at, left = time.monotonic(), list(mailboxes)
    while left or waiting:
        now = time.monotonic()
        if left and now >= next_at:
            phone = bench.lab.act(do="appear", mailbox=left.pop(), discovery=60.0)
            for stage in STAGES:
                waiting[phone["guid"], stage] = phone, now
            next_at = now + random.uniform(0.5, 1.5) * EVERY
        for (guid, stage), (phone, since) in list(waiting.items()):
            if bench.rows(STAGES[stage].format(**phone)):
                found[stage].append(time.monotonic() - since)
                del waiting[guid, stage]
        time.sleep(0.05)
    return found


def report(api: Api, source: str, state: str, device_id: str, address: str) -> None:
    """Tell a source's verdict about one device."""
    record = {"id": device_id, "state": state, "device_ids": [device_id], "user": address, "name": "Phone"}
    api.call("PUT", f"/api/v1/sources/{source}/records", {"records": [record]})


def reports(bench: Bench, api: Api, source: str, phones: list[tuple[str, str]]) -> dict[str, list[float]]:
    """These phones, each with its mailbox, are reported not to comply, then to comply; seconds until it is applied."""
    found: dict[str, list[float]] = {"blocked": [], "let in": []}
    for stage, state, is_there in (("blocked", "noncompliant", True), ("let in", "compliant", False)):
        for device_id, address in phones:
            time.sleep(random.uniform(0, 1))
            started = time.monotonic()
            report(api, source, state, device_id, address)
            applied = STAGES["applied"].format(device_id=device_id)
            while bool(bench.rows(applied)) is not is_there:
                assert time.monotonic() - started < PATIENCE, f"{device_id} was not {stage}"
                time.sleep(0.02)
            found[stage].append(time.monotonic() - started)
    return found


def show(found: dict[str, list[float]]) -> None:
    """A line a stage."""
    for stage, took in found.items():
        took.sort()
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        print(f"| {stage} | {statistics.median(took):.2f} | {p99:.2f} | {took[-1]:.2f} |", flush=True)


def looks(bench: Bench) -> str:
    """What one look costs: by the clock, and the lab's processor time."""
    ready = bench.lab.ready
    with Organization.connect(bench.settings.exchange, ready["password"]) as organization:
        assert organization.can_watch
        since = datetime.now(UTC) - timedelta(minutes=15)
        list(organization.new_devices(since))
        before, took = bench.lab.spent(), []
        for _ in range(20):
            started = time.perf_counter()
            list(organization.new_devices(since))
            took.append(time.perf_counter() - started)
        after = bench.lab.spent()
    cmdlets, spent = (after.cmdlets - before.cmdlets) / 20, (after.seconds - before.seconds) / 20
    return (
        f"a look: {statistics.median(took) * 1000:.0f} ms by the clock, {spent * 1000:.0f} ms of the lab's processor, "
        f"{cmdlets:.0f} commands with Select-Object"
    )


def peers(bench: Bench, devices: int, mailboxes: int) -> list[str]:
    """What a round of each script takes."""
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
    some = [str(row[0]) for row in bench.rows(f"SELECT guid FROM mailboxes LIMIT {PEER_MAILBOXES}")]
    with RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool:
        started = time.perf_counter()
        for mailbox in some:
            PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("Mailbox", mailbox).invoke()
        each = (time.perf_counter() - started) / len(some)
        started = time.perf_counter()
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", str(PEER_DEVICES))
        got = len(shell.invoke())
        bulk = (time.perf_counter() - started) / got
    return [
        f"peer: asks each mailbox, {each * 1000:.1f} ms each: {each * mailboxes:,.0f} s a round of {mailboxes:,}",
        f"peer: asks for all devices, {bulk * 1000:.2f} ms each: {bulk * devices:,.0f} s a round of {devices:,}",
    ]


def measure(bench: Bench, folder: Path, devices: int, phones: int) -> None:
    """All of it, with a connector that runs."""
    (folder / "connector.toml").write_text(render(bench.settings))
    command = [sys.executable, "-m", "gatepost", "connector", "run", "--config", str(folder / "connector.toml")]
    with (folder / "connector.log").open("w") as log, subprocess.Popen(command, stderr=log) as connector:
        try:
            sealed = "SELECT 1 FROM syncs WHERE state = 'sealed'"
            print(f"first synchronisation: {until(lambda: bench.rows(sealed), 'the first synchronisation'):.0f} s")
            administration.create_administrator(bench.urls.operator, "bench", *ADMINISTRATOR, ROLES)
            api = Api.sign_in(bench.settings.service.url, "bench", *ADMINISTRATOR)
            source = api.call("POST", "/api/v1/sources", {"name": "Benchmark"})["id"]
            report(api, source, "noncompliant", "somebody-elses-phone", "nobody@elsewhere.example")
            chosen = bench.rows(
                "SELECT guid, primary_smtp FROM mailboxes m WHERE kind = 'user' AND eas_enabled AND blocked_ids = '{}' "
                f"AND allowed_ids = '{{}}' ORDER BY md5(guid::text) LIMIT {phones}"
            )
            asyncio.run(rule(bench, [address for _, address in chosen]))
            due = "SELECT 1 FROM decisions_due LIMIT 1"
            print(f"decided: {until(lambda: not bench.rows(due), 'the decisions'):.0f} s", flush=True)
            unsaid = "SELECT 1 FROM desired WHERE result IS NULL LIMIT 1"
            until(lambda: not bench.rows(unsaid), "the writes")
            show(race(bench, [str(guid) for guid, _ in chosen]))
            others = bench.rows(
                "SELECT DISTINCT ON (m.guid) d.device_id, m.primary_smtp FROM devices d "
                "JOIN mailboxes m ON m.guid = d.mailbox_guid JOIN decisions p USING (mailbox_guid, device_id) "
                "WHERE d.client_type = 'EAS' AND m.kind = 'user' AND m.eas_enabled AND blocked_ids = '{}' "
                "AND allowed_ids = '{}' "
                f"AND p.reason = 'unmanaged' ORDER BY m.guid LIMIT {phones}"
            )
            show(reports(bench, api, source, [(str(device_id), str(address)) for device_id, address in others]))
        finally:
            connector.terminate()
    [(mailboxes,)] = bench.rows("SELECT count(*) FROM mailboxes")
    print(looks(bench), *peers(bench, devices, mailboxes), sep="\n")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--phones", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Postgres(folder / "postgres") as postgres, RunningLab(given.devices) as lab:
            postgres.start()
            migrations.upgrade(postgres.url("gatepost_owner"))
            roles = ("gatepost_owner", "gatepost_app", "gatepost_operator", "postgres")
            urls = Urls(*(postgres.url(role) for role in roles))
            service = Service(urls, folder).start()
            try:
                measure(made(urls, lab, service.url, folder), folder, given.devices, given.phones)
            except BaseException:
                print((folder / "connector.log").read_text()[-4000:], file=sys.stderr)
                raise
            finally:
                service.stop()


if __name__ == "__main__":
    main()
