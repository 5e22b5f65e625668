"""``gatepost service`` and ``gatepost admin`` as processes: what they print, and how they end."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from gatepost.cli.main import app
from gatepost.errors import GatepostError
from tests.fixtures.database import Urls
from tests.fixtures.service import Service
from tests.service.speaker import Speaker, device
from tests.service.test_embedded import gone

GATEPOST = [sys.executable, "-m", "gatepost"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}


def gatepost(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*GATEPOST, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=CLEAN | environment
    )


def start(*arguments: object, **environment: str) -> tuple["subprocess.Popen[str]", str]:
    """Run a service until it is ready; the process and its address."""
    process = subprocess.Popen(
        [*GATEPOST, "service", "run", *map(str, arguments), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN | environment,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["url"]


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that the server's user can reach."""
    base = Path(tempfile.mkdtemp(prefix="gatepost-test-"))
    base.chmod(0o711)
    yield base / "data"
    shutil.rmtree(base, ignore_errors=True)


def test_a_small_organization_needs_one_command(data: Path) -> None:
    """Run, make a tenant, an administrator and a ticket beside it, enrol; kill -9, run again: everything is there."""
    process, url = start("--data", data)
    try:
        made = gatepost("admin", "tenant", "create", "--slug", "acme", "--name", "Acme", "--data", data)
        assert json.loads(made.stdout)["slug"] == "acme"
        password = data.parent / "password"
        password.write_text("correct horse battery\n")
        named = ("--tenant", "acme", "--data", data)
        person = gatepost("admin", "administrator", "create", "--name", "anna", "--password-file", password, *named)
        assert json.loads(person.stdout)["name"] == "anna"
        ticket = data.parent / "ticket"
        written = gatepost("admin", "ticket", "create", "--organization", "HQ", "--output", ticket, *named)
        assert json.loads(written.stdout)["ticket_file"] == str(ticket)
        assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
        assert ticket.read_text().strip() not in written.stdout + written.stderr
        speaker = Speaker(url)
        assert speaker.enrol(ticket.read_text().strip()).status_code == 200
        speaker.synchronise([device(1)])
        server = int((data / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    finally:
        process.kill()
        process.communicate()
    assert gone(server)
    process, url = start("--data", data)
    try:
        speaker.url = url
        assert speaker.say()["sequence"] == speaker.sequence
        assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in talk
    assert not (data / "postgres" / "data" / "postmaster.pid").exists()


def test_two_replicas_run_on_a_database_of_ones_own(database_urls: Urls, tmp_path: Path) -> None:
    """With a URL file or a variable no PostgreSQL is started, and both replicas are ready."""
    file = tmp_path / "url"
    file.write_text(database_urls.app + "\n")
    first, one = start("--data", tmp_path / "a", "--database-url-file", file)
    second, two = start("--data", tmp_path / "b", GATEPOST_DATABASE_URL=database_urls.app)
    try:
        assert [requests.get(f"{url}/readyz", timeout=10).status_code for url in (one, two)] == [200, 200]
        assert not (tmp_path / "a").exists()
    finally:
        for process in (first, second):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_database_of_ones_own_is_migrated_and_checked(database_urls: Urls) -> None:
    """The owner migrates, the app role checks; nothing secret is printed."""
    migrated = gatepost("service", "migrate", GATEPOST_OWNER_URL=database_urls.owner)
    checked = gatepost("service", "check", GATEPOST_DATABASE_URL=database_urls.app)
    assert (migrated.returncode, checked.returncode) == (0, 0)
    assert "The database is ready" in checked.stderr
    assert "postgresql://" not in migrated.stdout + migrated.stderr + checked.stdout + checked.stderr


def test_an_empty_database_says_what_to_run(database_urls: Urls) -> None:
    """Without a schema the service does not start, and names the command that helps."""
    empty = database_urls.superuser.rpartition("/")[0] + "/postgres"
    done = gatepost("service", "run", "--port", "0", GATEPOST_DATABASE_URL=empty)
    assert done.returncode == 5
    assert "no schema" in done.stderr
    assert "gatepost service migrate" in done.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://gatepost_app:hush@127.0.0.1:1/gatepost", "cannot be reached"),
        ("postgresql://gatepost_app:hush@host.invalid/gatepost", "cannot be reached"),
        ("nonsense:hush", "The database URL cannot be read."),
    ],
)
def test_a_database_that_is_not_there_is_named_without_its_password(url: str, expected: str) -> None:
    """The cause and the remedy, exit code 5, and no secret."""
    done = gatepost("service", "check", GATEPOST_DATABASE_URL=url)
    assert done.returncode == 5
    assert expected in done.stderr
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(database_urls: Urls, tmp_path: Path) -> None:
    """The service ends with the reason instead of a traceback."""
    process, url = start("--data", tmp_path, GATEPOST_DATABASE_URL=database_urls.app)
    try:
        port = url.rpartition(":")[2]
        done = gatepost("service", "run", "--port", port, GATEPOST_DATABASE_URL=database_urls.app)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert done.returncode == 1
    assert f"could not listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def refused(*arguments: object, operator_url: str = "") -> GatepostError:
    """The error that a command ends with, run in this process."""
    variables = {"GATEPOST_OPERATOR_URL": operator_url} if operator_url else {}
    error = CliRunner().invoke(app, [*map(str, arguments)], env=variables).exception
    assert isinstance(error, GatepostError), error
    return error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("tenant", "create", "--slug", "demo", "--name", "Demo"), "There is a tenant demo already."),
        (("tenant", "create", "--slug", "No Good", "--name", "x"), "cannot be a tenant's short name"),
        (("tenant", "create", "--slug", "x", "--name", ""), "1 to 200 visible characters"),
        (("ticket", "create", "--tenant", "nobody", "--organization", "x"), "There is no tenant nobody."),
    ],
)
def test_what_the_operator_may_not_make_is_said(
    service: Service, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    """Names that are taken or cannot be, and tenants that do not exist; no ticket file is left behind."""
    output = tmp_path / "ticket"
    more = ("--output", output) if arguments[0] == "ticket" else ()
    named = [service.slug if word == "demo" else word for word in arguments]
    error = refused("admin", *named, *more, operator_url=service.urls.operator)
    assert error.exit_code == 1
    assert expected.replace("demo", service.slug) in str(error)
    assert not output.exists()


def test_a_ticket_never_overwrites_a_file(service: Service, tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    file = tmp_path / "ticket"
    file.write_text("mine")
    named = ("--tenant", service.slug, "--organization", "x", "--output", file)
    error = refused("admin", "ticket", "create", *named, operator_url=service.urls.operator)
    assert error.exit_code == 2
    assert "File exists" in str(error)
    assert file.read_text() == "mine"


def test_a_folder_without_a_database_is_named(tmp_path: Path) -> None:
    """An administrator's command does not make a database by accident."""
    error = refused("admin", "tenant", "create", "--slug", "x", "--name", "x", "--data", tmp_path / "none")
    assert "There is no database in" in str(error)
    assert not (tmp_path / "none").exists()
