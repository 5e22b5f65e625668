"""The embedded PostgreSQL: first start, later starts, crashes, and what it refuses in words."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gatepost.errors import DatabaseError
from gatepost.service import migrations
from gatepost.service.embedded import Binaries, Postgres, find_binaries

DEBIAN = Path("/usr/lib/postgresql/15/bin")
STARTER = """
import sys
from pathlib import Path
from gatepost.service.embedded import Postgres
postgres = Postgres(Path(sys.argv[1]), options=["fsync=off"])
postgres.start()
print(postgres.process_id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an unprivileged user can reach, which pytest's own is not for root."""
    base = Path(tempfile.mkdtemp(prefix="gatepost-test-"))
    base.chmod(0o711)
    yield base / "postgres"
    shutil.rmtree(base, ignore_errors=True)


def postgres_in(folder: Path, binaries: Binaries | None = None) -> Postgres:
    """A server that does not wait for the disk."""
    return Postgres(folder, binaries, ["fsync=off"])


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def write_down(postgres: Postgres, text: str) -> None:
    """Keep something in the database that must survive."""
    with psycopg.connect(postgres.url("gatepost_owner"), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (note text)")
        connection.execute("INSERT INTO notes VALUES (%s)", [text])


def notes(postgres: Postgres) -> list[str]:
    """What was kept."""
    with psycopg.connect(postgres.url("gatepost_owner")) as connection:
        return [row[0] for row in connection.execute("SELECT note FROM notes ORDER BY note")]


def test_a_lasting_folder_keeps_its_data_port_and_passwords(folder: Path) -> None:
    """Stopped and started again, the same addresses work and the rows are there."""
    with postgres_in(folder) as postgres:
        postgres.start()
        url, pid = postgres.url(), postgres.process_id
        write_down(postgres, "one")
    assert pid is not None
    assert gone(pid)
    with postgres_in(folder) as postgres:
        postgres.start()
        assert postgres.url() == url
        assert notes(postgres) == ["one"]


def test_only_its_own_user_may_read_the_folder(folder: Path) -> None:
    """Data is 0700 and not root's, the passwords are 0600, nothing trusts, and no folder above was changed."""
    before = folder.parent.stat().st_mode
    with postgres_in(folder) as postgres:
        postgres.start()
        assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "cluster.json").stat().st_mode) == 0o600
        assert (folder / "data").stat().st_uid != 0
        rules = (folder / "data" / "pg_hba.conf").read_text()
        methods = {line.split()[-1] for line in rules.splitlines() if line.strip() and not line.startswith("#")}
        assert methods == {"scram-sha-256"}
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url().replace("gatepost_app:", "gatepost_app:x")).close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"host={folder / 'data'} port={postgres.port} user=postgres dbname=postgres").close()
    assert folder.parent.stat().st_mode == before


def test_text_compares_the_same_everywhere(folder: Path) -> None:
    """The locale is the server's own, so that an upgrade of the system changes no index."""
    with postgres_in(folder) as postgres:
        postgres.start()
        with psycopg.connect(postgres.url()) as connection:
            row = connection.execute(
                "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'gatepost'"
            ).fetchone()
    assert row == ("b", "C.UTF-8")


def test_killing_the_service_ends_the_server_and_loses_nothing(folder: Path) -> None:
    """After kill -9 of the process that started it, nothing runs on; the next start has every committed row."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    write_down(postgres_in(folder), "kept")
    starter.kill()
    starter.wait()
    assert gone(pid)
    with postgres_in(folder) as postgres:
        postgres.start()
        assert notes(postgres) == ["kept"]


def test_killing_the_server_itself_is_recovered_from(folder: Path) -> None:
    """A stale postmaster.pid and an unclean folder do not stop the next start."""
    with postgres_in(folder) as postgres:
        postgres.start()
        write_down(postgres, "kept")
        assert postgres.process_id is not None
        os.kill(postgres.process_id, signal.SIGKILL)
        assert gone(postgres.process_id)
    (folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'data'}\n")
    with postgres_in(folder) as postgres:
        postgres.start()
        assert notes(postgres) == ["kept"]


def test_a_server_that_lost_its_service_is_ended_and_started_anew(folder: Path) -> None:
    """Where the kernel does not end it, the next start does: nobody holds the lock, so it belongs to nobody."""
    with postgres_in(folder) as first:
        first.start()
        write_down(first, "kept")
        pid = first.process_id
        assert pid is not None
        first._lock.close()  # type: ignore[union-attr]
        with postgres_in(folder) as second:
            second.start()
            assert second.process_id != pid
            assert gone(pid)
            assert notes(second) == ["kept"]


def test_a_folder_in_use_names_who_uses_it(folder: Path) -> None:
    """A second service is refused with the process that runs the first; an administrator's command joins in."""
    with postgres_in(folder) as first:
        first.start()
        with pytest.raises(DatabaseError, match=rf"in use by the Gatepost process {os.getpid()}.*--database-url-file"):
            postgres_in(folder).start()
        with postgres_in(folder) as guest:
            guest.join()
            write_down(guest, "guest")
        assert notes(first) == ["guest"]


def test_joining_where_nothing_runs_starts_it_for_as_long(folder: Path) -> None:
    """A command works on a stopped folder too and leaves nothing running."""
    with postgres_in(folder) as guest:
        guest.join()
        pid = guest.process_id
        write_down(guest, "alone")
    assert pid is not None
    assert gone(pid)


def test_a_port_that_was_taken_meanwhile_is_changed(folder: Path) -> None:
    """Another program sits on the remembered port: the server takes a free one and remembers that."""
    with postgres_in(folder) as postgres:
        postgres.start()
        port = postgres.port
    with socket.create_server(("127.0.0.1", port)), postgres_in(folder) as postgres:
        postgres.start()
        assert postgres.port != port
        assert f":{postgres.port}/" in postgres.url()
        assert json.loads((folder / "cluster.json").read_text())["port"] == postgres.port


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_a_folder_that_the_servers_user_cannot_reach_is_named(folder: Path) -> None:
    """The remedy is said and no permission is changed."""
    folder.parent.chmod(0o700)
    with pytest.raises(DatabaseError) as caught:
        postgres_in(folder).start()
    assert f"{folder.parent} may be entered by its owner only" in str(caught.value)
    assert f"chmod o+x {folder.parent}" in caught.value.remedy
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_binaries_behind_a_closed_folder_are_copied_once(folder: Path) -> None:
    """A virtual environment under root's home works: its binaries are copied to a readable place."""
    found = find_binaries()
    package = found.root
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    hidden = Binaries(closed / package.name / found.folder.relative_to(package), found.version, closed / package.name)
    cache = folder.parent / "cache"
    for _ in range(2):
        with Postgres(folder, hidden, ["fsync=off"], cache=cache) as postgres:
            postgres.start()
            write_down(postgres, "copied")
    assert notes_after(folder, hidden, cache) == ["copied", "copied"]
    assert len(list(cache.iterdir())) == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def notes_after(folder: Path, binaries: Binaries, cache: Path) -> list[str]:
    """What is in the database at one more start."""
    with Postgres(folder, binaries, ["fsync=off"], cache=cache) as postgres:
        postgres.start()
        return notes(postgres)


def test_a_wrong_binaries_folder_is_named(tmp_path: Path) -> None:
    """A configured folder is taken or refused, never replaced by another."""
    with pytest.raises(DatabaseError, match=rf"{tmp_path} does not hold PostgreSQL 15 or later"):
        find_binaries(tmp_path)


def test_a_folder_of_another_version_is_not_touched(folder: Path) -> None:
    """The data of PostgreSQL 14 under 18: said with both numbers and the way out."""
    with postgres_in(folder) as postgres:
        postgres.start()
    (folder / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(DatabaseError, match="was made by PostgreSQL 14; the one found is"):
        postgres_in(folder).start()


def test_a_server_that_cannot_start_says_its_last_words(folder: Path) -> None:
    """A broken setting ends the start with the server's own reason, at once, and nothing is left running."""
    started = time.monotonic()
    with pytest.raises(DatabaseError, match=r'PostgreSQL ended while it started: .*"shared_buffers"'):
        Postgres(folder, options=["shared_buffers=none"]).start()
    assert time.monotonic() - started < 10
    with postgres_in(folder) as postgres:
        postgres.start()


def test_a_first_start_that_was_cut_off_begins_again(folder: Path) -> None:
    """Half an initdb is never taken for a database."""
    (folder / "data.new").mkdir(parents=True)
    folder.chmod(0o711)
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    with postgres_in(folder) as postgres:
        postgres.start()
        write_down(postgres, "fresh")


@pytest.mark.needs("postgresql-15")
def test_the_systems_postgresql_15_works_too(folder: Path) -> None:
    """Debian's own server, the oldest supported, starts and takes the whole schema."""
    with postgres_in(folder, find_binaries(DEBIAN)) as postgres:
        postgres.start()
        migrations.upgrade(postgres.url("gatepost_owner"))
        with psycopg.connect(postgres.url()) as connection:
            row = connection.execute("SELECT version_num, current_setting('server_version_num') FROM alembic_version")
            assert row.fetchone() == (migrations.head(), str(connection.info.server_version))
