"""Backup, restore and the move to another server: everything is there, and connectors meet another history."""

import asyncio
import json
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from gatepost.domain.contract import Kind
from gatepost.domain.desired import ListName
from gatepost.errors import DatabaseError, GatepostError, ServiceError
from gatepost.service import administration, auditing, backup, postgres_tools
from gatepost.service.database import Database
from gatepost.service.keys import Keys
from gatepost.service.vault import Vault
from gatepost.settings import ServiceSettings
from tests.fixtures.database import Cluster, Urls
from tests.fixtures.service import SETTINGS, Service, in_thread, new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox
from tests.service.writing import DEVICE, Writer, saw, wrote

KEY = SETTINGS.vault_file


def rows(urls: Urls, query: str) -> list[dict[str, Any]]:
    """Rows past row-level security."""
    with psycopg.connect(urls.superuser, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def empty(postgres: Cluster) -> Iterator[Urls]:
    """A database without anything in it."""
    name = postgres.make("template0")
    yield postgres.urls(name)
    postgres.drop(name)


@contextmanager
def writing(urls: Urls) -> Iterator[Writer]:
    """A service with a connector that writes; one pin is written and known to be, another is only acknowledged."""
    with replica_of(urls) as replica:
        service = new_tenant(replica, urls, "demo").with_administrator()
        speaker = Speaker(service.url)
        assert speaker.enrol(service.ticket()).status_code == 200
        speaker.synchronise([device(number) for number in range(8)], [mailbox(number) for number in range(4)])
        writer = Writer(service, speaker)
        writer.say()
        writer.pin("allow")
        writer.say()
        writer.say(wrote(ListName.ALLOW, writer.held))
        writer.pin("allow", number=1)
        writer.say()
        yield writer


async def claim(urls: Urls) -> None:
    """The key file seals what is in this database, as a service that starts says."""
    async with await Database.open(urls.app) as database:
        await Keys(Vault.open_file(KEY)).check(database)


@pytest.fixture(scope="module")
def saved(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Urls]]:
    """A backup of a database with one tenant, and that database."""
    name = postgres.make()
    urls = postgres.urls(name)
    with replica_of(urls) as replica:
        new_tenant(replica, urls, "demo")
    in_thread(lambda: asyncio.run(claim(urls)))
    file = tmp_path_factory.mktemp("backup") / "gatepost.backup"
    in_thread(backup.make, urls.operator, file)
    yield file, urls
    postgres.drop(name)


def ownerships(urls: Urls) -> dict[str, str]:
    """Whose the entries are, by device id."""
    return {row["device_id"]: row["ownership"] for row in rows(urls, "SELECT device_id, ownership FROM list_entries")}


def met_again(writer: Writer, url: str) -> Writer:
    """The same connector before the restored database: it is told of another history and begins afresh."""
    speaker = writer.speaker
    speaker.url = url
    refused = speaker.send(speaker.document(kind=Kind.CYCLE, sequence=speaker.sequence + 1))
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (409, "incarnation")
    speaker.identity["incarnation"] = refused.json()["incarnation"]
    speaker.sequence, writer.held, writer.row = 0, 0, None
    refused = speaker.send(speaker.document(kind=Kind.CYCLE, sequence=1))
    assert refused.status_code == 409
    speaker.sequence = refused.json()["expected"] - 1
    return writer


def test_after_a_move_to_another_server_the_connector_begins_afresh_and_writes_nothing_twice(
    database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """What it wrote is known as ours, also what it reported after the backup: nothing is taken for somebody else's."""
    with writing(database_urls) as writer:
        file = tmp_path / "gatepost.backup"
        manifest = in_thread(backup.make, database_urls.operator, file)
        other: dict[str, Any] = {"device_id": "DEV00001"}
        writer.say(wrote(ListName.ALLOW, writer.held, **other))
        assert ownerships(database_urls) == {DEVICE: "ours", "DEV00001": "ours"}
    in_thread(backup.restore, file, empty.owner, empty.operator, KEY)
    assert ownerships(empty) == {DEVICE: "ours", "DEV00001": "intended"}
    with replica_of(empty) as replica:
        met_again(writer, replica.url).say()
        assert [row["entry"] for row in writer.answer["desired"]] == ["allow", "allow"]
        writer.say(saw(ListName.ALLOW, writer.held), saw(ListName.ALLOW, writer.held, **other))
    assert ownerships(empty) == {DEVICE: "ours", "DEV00001": "presumed"}
    [incarnation] = rows(empty, "SELECT incarnation FROM incarnation")
    assert str(incarnation["incarnation"]) not in {manifest.incarnation, ""}


def test_a_restore_ends_sessions_and_unspent_tickets_and_is_an_event(
    database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """Who was signed in signs in anew, no source is believed before it speaks anew; the trail goes on and verifies."""
    with writing(database_urls) as writer:
        writer.service.ticket("Branch")
        rows(
            database_urls,
            "INSERT INTO sessions (tenant_id, administrator_id, secret_hash) "
            "SELECT tenant_id, administrator_id, 'x' FROM administrators",
        )
        rows(
            database_urls, "INSERT INTO sources (tenant_id, name, fresh_at) SELECT tenant_id, 'mdm', now() FROM tenants"
        )
        file = tmp_path / "gatepost.backup"
        in_thread(backup.make, database_urls.operator, file)
    in_thread(backup.restore, file, empty.owner, empty.operator, KEY)
    left = "SELECT (SELECT count(*) FROM sessions) AS s, (SELECT count(*) FROM tickets WHERE used_at IS NULL) AS t"
    assert rows(database_urls, left) == [{"s": 1, "t": 1}]
    assert rows(empty, left) == [{"s": 0, "t": 0}]
    assert rows(empty, "SELECT name, fresh_at FROM sources") == [{"name": "mdm", "fresh_at": None}]
    [event] = rows(empty, "SELECT body, seq FROM events WHERE name = 'operator:database:restored'")
    assert (event["body"]["sessions_ended"], event["body"]["tickets_ended"]) == (1, 1)
    assert event["body"]["before"] != event["body"]["after"]
    [verdict] = in_thread(auditing.verify, empty.operator)
    assert verdict.flaws == []
    assert rows(empty, "SELECT min(acknowledged - revision) AS left, max(revision) > 0 AS some FROM desired_heads") == [
        {"left": 0, "some": True}
    ]


def test_nobody_else_writes_before_a_lease_of_the_lost_history_is_over(
    database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """A connector that is enrolled right after the restore waits for as long as a lease lasts."""
    with writing(database_urls) as writer:
        file = tmp_path / "gatepost.backup"
        in_thread(backup.make, database_urls.operator, file)
    in_thread(backup.restore, file, empty.owner, empty.operator, KEY)
    with replica_of(empty) as replica:
        moved = Service(replica.url, empty, writer.service.tenant_id, "demo")
        successor = Speaker(replica.url)
        assert successor.enrol(moved.ticket()).status_code == 200
        assert successor.say()["write_in_seconds"] > 100


def test_a_restore_that_was_broken_off_is_told_and_finished(saved: tuple[Path, Urls], empty: Urls) -> None:
    """Between the tables and the new history nothing runs; ``restored`` goes on from there."""
    file, _ = saved
    tools = postgres_tools.find(postgres_tools.server_version(empty.owner))
    backup._load(tools, file, empty.owner)
    with pytest.raises(DatabaseError, match="the restore was not finished") as caught:
        in_thread(administration.check, empty.app)
    assert "gatepost service restored" in caught.value.remedy
    first = in_thread(backup.finish, empty.operator)
    in_thread(administration.check, empty.app)
    assert in_thread(backup.finish, empty.operator) != first


def test_a_backup_is_for_its_owner_only_and_holds_the_key_only_where_asked(
    saved: tuple[Path, Urls], tmp_path: Path
) -> None:
    """Mode 0600; the key's id but not the key; nothing is overwritten."""
    file, urls = saved
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["database.dump", "manifest.json"]
        assert KEY.read_bytes().strip() not in archive.read("manifest.json")
    with_key = tmp_path / "with.backup"
    manifest = in_thread(backup.make, urls.operator, with_key, KEY)
    assert manifest.with_key
    kept = tmp_path / "new" / "service.key"
    backup._keep_key(with_key, manifest, kept)
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode)) == (KEY.read_bytes(), 0o600)
    with pytest.raises(ServiceError, match="is there already"):
        in_thread(backup.make, urls.operator, file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _other_version(file: Path) -> None:
    with zipfile.ZipFile(file) as old:
        held = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(held["manifest.json"]) | {"revision": "9999", "version": "7.0"}
    with zipfile.ZipFile(file, "w") as new:
        for name, content in (held | {"manifest.json": json.dumps(manifest).encode()}).items():
            new.writestr(name, content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_flip, "is not a backup of Gatepost, or is damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:-100]), "is not a backup of Gatepost, or is damaged"),
        (lambda file: file.write_bytes(b"x"), "is not a backup of Gatepost, or is damaged"),
        (_other_version, r"was made by another version of Gatepost \(7\.0\)"),
        (Path.unlink, "cannot be read: No such file or directory"),
    ],
    ids=["one bit", "cut", "another file", "newer", "missing"],
)
def test_a_file_that_cannot_be_restored_is_told_before_anything_is_touched(
    saved: tuple[Path, Urls], empty: Urls, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    """Damaged, cut, foreign, of a newer version, missing."""
    file = tmp_path / "copy.backup"
    file.write_bytes(saved[0].read_bytes())
    spoil(file)
    with pytest.raises(ServiceError, match=said):
        in_thread(backup.restore, file, empty.owner, empty.operator, KEY)
    assert rows(empty, "SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'public'") == [{"n": 0}]


def test_a_restore_into_a_full_database_or_with_another_key_is_refused(
    saved: tuple[Path, Urls], empty: Urls, tmp_path: Path
) -> None:
    """Nothing is overwritten, and nothing is restored that could not be opened afterwards."""
    file, urls = saved
    with pytest.raises(ServiceError, match="is not empty"):
        in_thread(backup.restore, file, urls.owner, urls.operator, KEY)
    with pytest.raises(ServiceError, match=r"other\.key is missing, and the backup does not hold it"):
        in_thread(backup.restore, file, empty.owner, empty.operator, tmp_path / "other.key")
    other = ServiceSettings(data=tmp_path)
    in_thread(lambda: Vault.open_file(other.vault_file))
    with pytest.raises(ServiceError, match="is not the one that seals the secrets"):
        in_thread(backup.restore, file, empty.owner, empty.operator, other.vault_file)
    with pytest.raises(ServiceError, match="is not the key file of this database"):
        in_thread(backup.make, urls.operator, tmp_path / "x.backup", other.vault_file)


@pytest.mark.needs("postgresql-15")
def test_a_backup_does_not_go_into_an_older_server(saved: tuple[Path, Urls], postgres15: Cluster) -> None:
    """The message names both versions."""
    older = postgres15.urls(postgres15.make("template0"))
    with pytest.raises(ServiceError, match=r"comes from PostgreSQL \d+; this server is 15"):
        in_thread(backup.restore, saved[0], older.owner, older.operator, KEY)


@pytest.mark.needs("postgresql-15")
def test_the_oldest_server_is_backed_up_and_restored_with_its_own_programs(postgres15: Cluster, tmp_path: Path) -> None:
    """PostgreSQL 15, whose pg_restore must be its own: a newer one says what it does not know."""
    urls, target = postgres15.urls(postgres15.make()), postgres15.urls(postgres15.make("template0"))
    in_thread(administration.create_tenant, urls.operator, "demo", "Demo")
    in_thread(backup.make, urls.operator, tmp_path / "gatepost.backup")
    in_thread(backup.restore, tmp_path / "gatepost.backup", target.owner, target.operator, KEY)
    assert [row["slug"] for row in in_thread(administration.list_tenants, target.operator)] == ["demo"]


def test_troubles_of_the_programs_are_told_in_words_and_without_a_password(
    saved: tuple[Path, Urls], tmp_path: Path
) -> None:
    """A folder without programs, a role that may not read, a server that is not there."""
    _, urls = saved
    with pytest.raises(DatabaseError, match=r"pg_dump and pg_restore of PostgreSQL \d+ or later were not found"):
        in_thread(backup.make, urls.operator, tmp_path / "x", None, tmp_path)
    with pytest.raises(GatepostError) as caught:
        in_thread(backup.make, urls.app, tmp_path / "x")
    assert "gatepost_operator" in caught.value.remedy
    with pytest.raises(DatabaseError, match="cannot be reached") as unreachable:
        in_thread(backup.make, "postgresql://gatepost_operator:hush@127.0.0.1:1/gatepost", tmp_path / "x")
    assert "hush" not in str(unreachable.value)
    assert not list(tmp_path.glob("*x*"))
    with postgres_tools.signed_in(r"postgresql://a:b%3Ac%5Cd@h/d") as (address, environment):
        assert "b" not in address.replace("dbname", "")
        assert Path(environment["PGPASSFILE"]).read_text() == "*:*:*:*:b\\:c\\\\d\n"
    assert not Path(environment["PGPASSFILE"]).exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_the_embedded_database_moves_by_commands(open_folder: Path, empty: Urls) -> None:
    """Backup beside a running server, restore into another folder and into a server of one's own."""
    folder = open_folder
    old, new, file = folder / "old", folder / "new", folder / "gatepost.backup"

    def gatepost(*arguments: str | Path) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "gatepost", *map(str, arguments)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout or "{}")
        return said

    with administration.for_service(ServiceSettings(data=old)):
        with administration.embedded_urls(ServiceSettings(data=old)) as urls:
            in_thread(administration.create_tenant, urls.operator, "demo", "Demo")
        assert gatepost("service", "backup", file, "--data", old)["tenants"] == 1
    assert gatepost("service", "restore", file, "--data", new)["tenants"] == 1
    with administration.embedded_urls(ServiceSettings(data=new)) as urls:
        in_thread(administration.check, urls.app)
    files = {name: folder / f"{name}.url" for name in ("owner", "operator")}
    for name, path in files.items():
        path.write_text(getattr(empty, name))
    own = ("--owner-url-file", files["owner"], "--operator-url-file", files["operator"])
    assert gatepost("service", "restore", file, *own, "--data", new)["tenants"] == 1
    in_thread(administration.check, empty.app)
