"""How long a preview of a policy edit takes, by classes, and what deciding each device takes instead.

A tenant in which a policy is in force and everything is decided and published (``benchmarks.filling``) is asked what an
edited policy would do: two rules more, by family and version and by a group and the age of the last synchronisation,
and ten days of grace. *Preview* is what a person waits for: question and answer of the worker's process, everything
worked out anew, whole and with the first page of who exactly. *Floor* is the grouping alone, in the database. The peer
reads the facts of each device as the service does for decisions and decides it, on a sample; its figure is for all.

    .venv/bin/python -m benchmarks.preview [--devices 1000000] [--runs 5] [--sample 20000]
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from tests.fixtures.database import Urls

from benchmarks.filling import fill
from gatepost.domain.policies import read_policy
from gatepost.service import administration, migrations
from gatepost.service.access import deciding, facts
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database
from gatepost.service.embedded import Postgres
from gatepost.service.policies import preview, rollout, versions
from gatepost.service.policies.preview import Wanted
from gatepost.service.policies.rings import Ring
from gatepost.service.policies.who import Filter
from gatepost.service.policies.worker import Worker

GROUP = str(UUID(hashlib.md5(b"group 3", usedforsecurity=False).hexdigest()))
OLD = {"operator": "<", "version": "15"}
EDIT: dict[str, Any] = {
    "enabled": True,
    "grace": {"noncompliant": 864_000, "unmanaged": 0, "warn": 86_400},
    "rules": [
        {"id": "o", "name": "Old", "level": "block", "when": {"family": ["ios"], "os": OLD}},
        {"id": "idle", "name": "Idle", "level": "quarantine", "when": {"group": [GROUP], "synced_days_ago": 30}},
    ],
}  # fmt: skip
PATTERN = {
    "id": "user",
    "name": "By address",
    "level": "allow",
    "when": {"user": "^user[0-9]*7@", "family": ["android"]},
}
BATCH = 2_000


@dataclass
class Stopwatch:
    """Seconds on the clock and of processors, for others work on the machine: ours, PostgreSQL's and the worker's."""

    postmaster: int

    async def time(self, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
        """How long something takes."""
        before, started = self._processors(), time.perf_counter()
        await work()
        return time.perf_counter() - started, self._processors() - before

    def _processors(self) -> float:
        """Of all processes that these two began, with those that have ended since."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if {int(path.parent.name), int(fields[1])} & {os.getpid(), self.postmaster}:
                    ticks += sum(map(int, fields[11 : 15 if int(path.parent.name) == self.postmaster else 13]))
        return ticks / os.sysconf("SC_CLK_TCK")


async def measure(
    url: str, watch: Stopwatch, tenant: UUID, organization: UUID, runs: int, sample: int
) -> tuple[list[tuple[str, Any]], Any]:
    """Seconds of each way, each run; and what the preview said."""
    figures: list[tuple[str, Any]] = []
    wanted = Wanted(read_policy(EDIT).document())
    patterned = Wanted(read_policy({**EDIT, "rules": [*EDIT["rules"], PATTERN]}).document())
    worker = Worker(url)
    async with await Database.open(url) as database:

        def anew(asked: Wanted) -> Wanted:
            return replace(asked, now=datetime.now(UTC))

        async def floor() -> None:
            async with database.tenant(tenant) as scope:
                await scope.one("preview.room")
                asked = preview.parameters_of(wanted, await preview.setting_of(scope, wanted), with_previous=False)
                await scope.all("preview.classes", **asked, superseded=[])

        async def with_page() -> None:
            asked = anew(wanted)
            await worker.preview(tenant, asked)
            await worker.who(tenant, asked, Filter("losing"))

        figures.append(
            ("the worker's start and first preview", [await watch.time(lambda: worker.preview(tenant, wanted))])
        )
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "preview": lambda: worker.preview(tenant, anew(wanted)),
            "preview and a page of who loses": with_page,
            "preview with a pattern over addresses": lambda: worker.preview(tenant, anew(patterned)),
            "floor: the grouping alone": floor,
        }
        for name, way in ways.items():
            figures.append((name, [await watch.time(way) for _ in range(runs)]))
        said = await worker.preview(tenant, wanted)
        await worker.close()
        figures.append(await peer(database, tenant, organization, sample, said["devices"]))
    return figures, said


async def peer(
    database: Database, tenant: UUID, organization: UUID, sample: int, devices: int
) -> tuple[str, list[tuple[float, float]]]:
    """Reading and deciding each device, in batches; seconds for all, by a sample."""
    async with database.tenant(tenant) as scope:
        version = await versions.save(scope, EDIT, "", Person(uuid4(), "bench"))
        await rollout.begin(scope, version, Ring.ONE, None, None, Person(uuid4(), "bench"))
    keys = [
        (UUID(hashlib.md5(f"mailbox {number // 2}".encode(), usedforsecurity=False).hexdigest()), f"DEV{number}")
        for number in range(min(sample, devices))
    ]
    started = time.perf_counter()
    for at in range(0, len(keys), BATCH):
        async with database.tenant(tenant) as scope:
            now = datetime.now(UTC)
            known = await facts.load(scope, organization, keys[at : at + BATCH], now)
            assert len(deciding.judge(known, await facts.exchange(scope, organization), now)) == len(known) > 0
    took = (time.perf_counter() - started) * devices / len(keys)
    return "peer: each device read and decided", [(took, 0.0)]


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--sample", type=int, default=20_000)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    folder.chmod(0o711)
    try:
        with Postgres(folder / "postgres") as postgres:
            postgres.start()
            migrations.upgrade(postgres.url("gatepost_owner"))
            roles = ("gatepost_owner", "gatepost_app", "gatepost_operator", "postgres")
            urls = Urls(*(postgres.url(role) for role in roles))
            tenant, organization = administration.create_tenant(urls.operator, "bench", "Bench"), uuid4()
            with psycopg.connect(urls.superuser, autocommit=True) as connection:
                made = "INSERT INTO organizations (tenant_id, organization_id, name, state) "
                connection.execute(f"{made} VALUES (%s, %s, 'x', 'connected')".encode(), [tenant, organization])
            started = time.perf_counter()
            fill(urls.superuser, tenant, organization, given.devices)
            print(f"filled in {time.perf_counter() - started:,.0f} s", flush=True)
            figures, said = asyncio.run(
                measure(urls.app, Stopwatch(postgres.process_id or 0), tenant, organization, given.runs, given.sample)
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{given.devices:,} devices, {platform.machine()}, CPython {platform.python_version()}")
    print({name: said[name] for name in ("devices", "changes", "losing", "gaining", "people_losing", "people_gaining")})
    print("\n| way | seconds, best | median | processor seconds, median |\n| --- | ---: | ---: | ---: |")
    for name, runs in figures:
        clock, processors = zip(*runs, strict=True)
        used = f"{statistics.median(processors):,.2f}" if any(processors) else ""
        print(f"| {name} | {min(clock):,.2f} | {statistics.median(clock):,.2f} | {used} |")


if __name__ == "__main__":
    main()
