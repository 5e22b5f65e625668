"""The chain of the audit trail: sealed without gaps, whatever happens meanwhile, and nothing in it changes unseen."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from gatepost.domain.events import Event
from gatepost.errors import ServiceError, SettingsError
from gatepost.service import audit, auditing, sealing, trail
from gatepost.service.database import Database
from gatepost.service.keys import Keys
from gatepost.service.trail import Verdict
from gatepost.service.vault import Vault
from tests.fixtures.database import Urls
from tests.fixtures.service import SETTINGS, in_thread

pytestmark = pytest.mark.anyio
ACTOR = "anna"


class Trail:
    """A tenant's trail in a fresh database."""

    def __init__(self, urls: Urls, database: Database, tenant_id: UUID) -> None:
        self.urls = urls
        self.database = database
        self.tenant_id = tenant_id
        self.keys = Keys(Vault.open_file(SETTINGS.vault_file))

    async def happen(self, count: int = 1) -> None:
        """So many events, each in a transaction of its own."""
        for number in range(count):
            async with self.database.tenant(self.tenant_id, "192.0.2.7") as scope:
                await audit.record(scope, Event.PIN_SET, ACTOR, {"reason": f"reden é {number}", "until": None})

    async def seal(self) -> int:
        """Seal what waits."""
        return await sealing.seal(self.database, self.keys, self.tenant_id)

    async def verify(self, patience: timedelta = timedelta(minutes=1)) -> Verdict:
        """What is wrong with it."""
        async with self.database.tenant(self.tenant_id) as scope:
            return await trail.verify(scope, "demo", patience)

    async def said(self) -> list[str]:
        """What is wrong with it, as a person reads it, without ids."""
        return [f"{flaw.seq}: {flaw.what}" for flaw in (await self.verify()).flaws]

    def run(self, statement: LiteralString) -> list[dict[str, Any]]:
        """Do something that only the machine's owner could: past row-level security and triggers."""
        with psycopg.connect(self.urls.superuser, autocommit=True, row_factory=dict_row) as connection:
            connection.execute("SET session_replication_role = replica")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
async def trails(database_urls: Urls, database: Database, tenant: UUID) -> Trail:
    """A tenant's trail with twelve sealed events, signed."""
    trail = Trail(database_urls, database, tenant)
    await trail.happen(12)
    assert await trail.seal() == 12
    return trail


async def test_events_get_numbers_without_a_gap_and_a_chain_that_verifies(trails: Trail) -> None:
    """Later events go on where the chain ended, and a verification finds nothing."""
    await trails.happen(3)
    assert await trails.seal() == 3
    verdict = await trails.verify()
    assert (verdict.events, verdict.checkpoints, verdict.flaws) == (15, 1, [])
    async with trails.database.tenant(trails.tenant_id) as scope:
        assert verdict.fingerprint == (await trails.keys.of(scope)).fingerprint


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE events SET body = body || '{\"reason\": \"other\"}' WHERE seq = 5",
            ["5: its body is not the one that was recorded."],
        ),
        (
            "UPDATE events SET actor = 'nobody' WHERE seq = 5",
            ["5: it is not what was sealed here: changed, moved, or put in."],
        ),
        (
            "UPDATE events SET at = at - interval '1 hour' WHERE seq = 5",
            ["5: it is not what was sealed here: changed, moved, or put in."],
        ),
        (
            "UPDATE events SET address = '' WHERE seq = 5",
            ["5: it is not what was sealed here: changed, moved, or put in."],
        ),
        ("DELETE FROM events WHERE seq = 5", ["6: event 5 before it: missing."]),
        ("DELETE FROM events WHERE seq IN (5, 6)", ["7: events 5 to 6 before it: missing."]),
        (
            "BEGIN; UPDATE events SET seq = 100 WHERE seq = 5; UPDATE events SET seq = 5 WHERE seq = 6; "
            "UPDATE events SET seq = 6 WHERE seq = 100; COMMIT",
            [
                "5: it is not what was sealed here: changed, moved, or put in.",
                "6: it is not what was sealed here: changed, moved, or put in.",
                "7: it is not what was sealed here: changed, moved, or put in.",
            ],
        ),
        (
            "INSERT INTO events (tenant_id, name, actor, body, body_hash, seq, chain_hash) "
            "SELECT tenant_id, name, actor, body, body_hash, 13, chain_hash FROM events WHERE seq = 12",
            ["13: has a number, but the trail ends with event 12."],
        ),
        (
            "DELETE FROM events WHERE seq > 10",
            [
                "None: ends with event 10, but 12 were sealed: its end was cut off.",
                "12: was signed, and is not there.",
            ],
        ),
        (
            "DELETE FROM events WHERE seq > 10; "
            "UPDATE audit_heads SET seq = 10, chain_hash = (SELECT chain_hash FROM events WHERE seq = 10)",
            ["12: was signed, but the trail ends with event 10: its end was cut off."],
        ),
        (
            "UPDATE audit_checkpoints SET signature = sha256(signature) || sha256(signature)",
            ["12: its checkpoint's signature is not valid."],
        ),
        (
            "UPDATE tenant_keys SET public = sha256(public)",
            ["12: its checkpoint is signed with another key than the tenant's."],
        ),
    ],
    ids=[
        "body", "actor", "time", "address", "deleted", "two deleted", "reordered", "forged number", "tail cut",
        "tail and head cut", "signature", "key",
    ],
)  # fmt: skip
async def test_whatever_is_changed_is_named(trails: Trail, statement: LiteralString, said: list[str]) -> None:
    """Each way to change the past, by somebody who owns the machine, is told with the number of the event."""
    trails.run(statement)
    assert await trails.said() == said


async def test_an_event_that_commits_late_is_sealed_later_and_leaves_no_gap(trails: Trail) -> None:
    """A transaction that began before the others and ends after them gets the last number."""
    async with trails.database.tenant(trails.tenant_id) as slow:
        await audit.record(slow, Event.SYNC_SEALED, "slow", {})
        await trails.happen(2)
        assert await trails.seal() == 2
    assert await trails.seal() == 1
    assert trails.run("SELECT seq, actor FROM events WHERE seq > 12 ORDER BY seq") == [
        {"seq": 13, "actor": ACTOR},
        {"seq": 14, "actor": ACTOR},
        {"seq": 15, "actor": "slow"},
    ]
    assert await trails.said() == []


async def test_sealers_of_many_replicas_seal_each_event_once(trails: Trail) -> None:
    """Eight sealers at once, while events happen: numbers are each given once."""
    others = [Trail(trails.urls, trails.database, trails.tenant_id) for _ in range(8)]

    async def seal_often(other: Trail) -> None:
        for _ in range(5):
            await other.seal()

    await asyncio.gather(trails.happen(60), *(seal_often(other) for other in others))
    await trails.seal()
    assert trails.run("SELECT count(*) AS n, max(seq) AS last FROM events") == [{"n": 72, "last": 72}]
    assert await trails.said() == []


async def test_a_sealer_that_is_killed_leaves_a_whole_chain(trails: Trail) -> None:
    """Killed with -9 at random moments of sealing: what is sealed verifies, and the next sealer goes on."""
    script = (
        "import asyncio, pathlib, uuid\n"
        "from gatepost.service import audit, sealing\nfrom gatepost.service.database import Database\n"
        "from gatepost.service.keys import Keys\nfrom gatepost.service.vault import Vault\n"
        "from gatepost.domain.events import Event\nsealing.BATCH = 2\n"
        "async def main():\n"
        " keys = Keys(Vault.open_file(pathlib.Path(KEY)))\n"
        " async with await Database.open(input()) as database:\n"
        "  print('ready', flush=True)\n"
        "  while True:\n"
        "   async with database.tenant(uuid.UUID(TENANT)) as scope:\n"
        "    await audit.record_all(scope, [(Event.PIN_SET, {})] * 9, 'x')\n"
        "   await sealing.seal(database, keys, uuid.UUID(TENANT))\n"
        "asyncio.run(main())\n"
    )
    named = f"TENANT, KEY = {str(trails.tenant_id)!r}, {str(SETTINGS.vault_file)!r}\n"
    for delay in (0.02, 0.05, 0.09):
        with subprocess.Popen(
            [sys.executable, "-c", named + script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(trails.urls.app + "\n")
            process.stdin.flush()
            assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
            await asyncio.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
        assert await trails.said() == []
    await trails.seal()
    assert trails.run("SELECT count(*) AS n FROM events WHERE seq IS NULL") == [{"n": 0}]
    verdict = await trails.verify()
    assert verdict.flaws == []
    assert verdict.events > 12


async def test_an_event_that_nobody_seals_is_told(trails: Trail) -> None:
    """Where no service runs, events wait; after a minute that is said."""
    await trails.happen(2)
    assert await trails.said() == []
    [flaw] = (await trails.verify(timedelta(0))).flaws
    assert flaw.what.startswith("2 events wait to be sealed since ")
    assert flaw.what.endswith("does the service run?")


async def test_the_chain_is_signed_again_when_an_hour_is_over(trails: Trail) -> None:
    """Also where nothing more is sealed: the end does not stay unsigned."""
    await trails.happen(1)
    await trails.seal()
    assert trails.run("SELECT seq FROM audit_checkpoints") == [{"seq": 12}]
    trails.run("UPDATE audit_checkpoints SET at = at - interval '61 minutes'")
    assert await trails.seal() == 0
    assert trails.run("SELECT seq FROM audit_checkpoints ORDER BY seq") == [{"seq": 12}, {"seq": 13}]


async def test_one_tenant_whose_key_cannot_be_opened_stops_no_other(
    trails: Trail, operator: Database, tmp_path: Path
) -> None:
    """The sealer goes on with the next tenant and tells at the end."""
    async with operator.control() as scope:
        made = await scope.one("tenants.create", slug="aardvark", name="A")
    assert made is not None
    poisoned = Trail(trails.urls, trails.database, made["tenant_id"])
    await poisoned.happen(2)
    trails.run("INSERT INTO tenant_keys SELECT t.tenant_id, k.public, k.certificate, k.sealed_by, k.signing_sealed, "
               "k.authority_sealed, k.data_sealed FROM tenants t, tenant_keys k WHERE t.slug = 'aardvark'")  # fmt: skip
    await trails.happen(2)
    with pytest.raises(SettingsError, match="cannot be opened with the service's key"):
        await sealing.seal_all(trails.database, Keys(Vault.open_file(SETTINGS.vault_file)))
    assert (await trails.verify()).events == 14


async def test_an_export_verifies_without_the_database_and_witnesses_what_was_cut(
    trails: Trail, tmp_path: Path
) -> None:
    """A file of JSON lines; changed anywhere it is told; and it convicts a database that was rewritten as a whole."""
    file = tmp_path / "trail.jsonl"
    with file.open("w") as out:
        in_thread(auditing.export, trails.urls.operator, "demo", lambda value: print(json.dumps(value), file=out))
    verdict = auditing.verify_file(file)
    assert (verdict.events, verdict.checkpoints, verdict.flaws) == (12, 1, [])
    assert auditing.verify_file(file, verdict.fingerprint.upper().replace(" ", ":")).flaws == []
    assert "another one" in str(auditing.verify_file(file, "00").flaws)
    text = file.read_text()
    for changed, said in (
        (text.replace("reden \\u00e9 4", "reason"), "event 5 ("),
        ("".join(text.splitlines(keepends=True)[:-1]), "breaks off"),
        ("".join(line for line in text.splitlines(keepends=True) if '"seq": 7,' not in line), "event 7 before it"),
    ):
        file.write_text(changed)
        assert said in "; ".join(map(str, auditing.verify_file(file).flaws))
    file.write_text(text)
    trails.run(
        "DELETE FROM audit_checkpoints; DELETE FROM events WHERE seq > 9; "
        "UPDATE audit_heads SET seq = 9, chain_hash = (SELECT chain_hash FROM events WHERE seq = 9)"
    )
    assert await trails.said() == []
    [verdict] = in_thread(auditing.verify, trails.urls.operator, "demo", file)
    assert [str(flaw) for flaw in verdict.flaws] == ["event 12: stands in the export and is not here any more."] * 2


@pytest.mark.parametrize("content", ["", "x\n", "[]\n", '{"kind": "event", "seq": 1}\n', '{"kind": "end"}\n'])
async def test_a_file_that_is_no_trail_is_told(content: str, tmp_path: Path) -> None:
    """Whatever is given as an export."""
    file = tmp_path / "trail.jsonl"
    file.write_text(content)
    with pytest.raises(ServiceError, match="not an exported audit trail, or is damaged"):
        auditing.verify_file(file)
    with pytest.raises(SettingsError, match=r"missing\.jsonl cannot be read: No such file"):
        auditing.verify_file(tmp_path / "missing.jsonl")


async def test_sealing_keeps_up_with_ten_thousand_events(trails: Trail) -> None:
    """Ten thousand events are sealed in seconds, in batches."""
    async with trails.database.tenant(trails.tenant_id) as scope:
        await audit.record_all(scope, [(Event.ENTRY_WRITTEN, {"n": number}) for number in range(10_000)], "x")
    began = time.monotonic()
    assert await trails.seal() == 10_000
    took = time.monotonic() - began
    assert (await trails.verify()).flaws == []
    assert took < 20
