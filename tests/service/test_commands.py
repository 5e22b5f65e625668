"""``gatepost service`` and ``gatepost admin`` as processes: what they print, and how they end."""

import json
import os
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from typer.testing import CliRunner

from gatepost.cli.main import app
from gatepost.domain.signing import same_fingerprint
from gatepost.errors import GatepostError
from tests.fixtures.database import Urls
from tests.fixtures.service import Service
from tests.service.conftest import Look
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
        wanted = ("--organization", "HQ", "--output", ticket, "--url", url)
        written = gatepost("admin", "ticket", "create", *wanted, *named)
        told = json.loads(written.stdout)
        assert told["ticket_file"] == str(ticket)
        command = "gatepost connector setup --ticket-file ticket --config connector.toml --service-fingerprint"
        assert f"{command} '{told['fingerprint']}' --service {url}" in written.stderr
        assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
        assert ticket.read_text().strip() not in written.stdout + written.stderr
        speaker = Speaker(url)
        assert speaker.enrol(ticket.read_text().strip()).status_code == 200
        assert same_fingerprint(b64decode(speaker.identity["service_key"]), told["fingerprint"])
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
    key = ("--key-file", tmp_path / "key")
    first, one = start("--data", tmp_path / "a", "--database-url-file", file, *key)
    second, two = start("--data", tmp_path / "b", *key, GATEPOST_DATABASE_URL=database_urls.app)
    other = gatepost("service", "run", "--data", tmp_path / "c", "--port", "0", "--database-url-file", file)
    try:
        assert other.returncode == 2
        assert "not the one that seals the secrets" in other.stderr
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
    empty = database_urls.app.rpartition("/")[0] + "/postgres"
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


def refused(*arguments: object, operator_url: str = "", **variables: str) -> GatepostError:
    """The error that a command ends with, run in this process."""
    if operator_url:
        variables["GATEPOST_OPERATOR_URL"] = operator_url
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


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("role", "why"),
    [("owner", "which owns the tables"), ("operator", "which sees every"), ("superuser", "which sees every")],
)
def test_the_service_refuses_a_role_that_may_too_much(database_urls: Urls, command: str, role: str, why: str) -> None:
    """Whoever could pass row-level security by is named, with the role to use; no traceback, no address."""
    more = ("--port", "0") if command == "run" else ()
    error = refused("service", command, *more, GATEPOST_DATABASE_URL=getattr(database_urls, role))
    assert error.exit_code == 2
    assert f"signs in as {'postgres' if role == 'superuser' else f'gatepost_{role}'}, {why}" in str(error)
    assert "Sign in as gatepost_app" in str(error)
    assert "postgresql://" not in str(error)


@pytest.mark.parametrize("role", ["app", "owner"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "create", "--slug", "x", "--name", "x"),
        ("tenant", "list"),
        ("administrator", "list", "--tenant", "x"),
        ("ticket", "create", "--tenant", "x", "--organization", "x", "--output", "ticket"),
    ],
)
def test_the_operators_commands_name_the_role_that_they_need(
    database_urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, arguments: tuple[str, ...]
) -> None:
    """The application's and the owner's URL are refused before anything is made."""
    monkeypatch.chdir(tmp_path)
    error = refused("admin", *arguments, GATEPOST_OPERATOR_URL=getattr(database_urls, role))
    assert error.exit_code == 2
    assert f"signs in as gatepost_{role}" in str(error)
    assert "Sign in as gatepost_operator (--operator-url-file or GATEPOST_OPERATOR_URL)." in str(error)
    assert not list(tmp_path.iterdir())


def test_an_empty_database_is_named_to_the_operator_too(database_urls: Urls) -> None:
    """The command that helps, instead of a table that does not exist."""
    empty = database_urls.operator.rpartition("/")[0] + "/postgres"
    assert "gatepost service migrate" in str(refused("admin", "tenant", "list", GATEPOST_OPERATOR_URL=empty))


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A folder with two keys, a certificate of the first, an encrypted key, and a file that is none of them."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, keys[0].public_key(), x509.random_serial_number())
    made = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(keys[0], hashes.SHA256())
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    hidden: list[tuple[str, ec.EllipticCurvePrivateKey, KeySerializationEncryption]] = [
        ("key.pem", keys[0], NoEncryption()),
        ("other.pem", keys[1], NoEncryption()),
        ("encrypted.pem", keys[0], BestAvailableEncryption(b"hush")),
    ]
    for file, key, encryption in hidden:
        (tmp_path / file).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (tmp_path / "text.pem").write_text("nothing")
    return tmp_path


@pytest.mark.parametrize(
    ("certificate", "key", "expected"),
    [
        ("missing.pem", "key.pem", "The TLS certificate {}/missing.pem cannot be read: No such file or directory."),
        ("cert.pem", "missing.pem", "The TLS key {}/missing.pem cannot be read: No such file or directory."),
        ("text.pem", "key.pem", "The TLS certificate {}/text.pem holds no certificate in PEM form."),
        ("cert.pem", "cert.pem", "The TLS key {}/cert.pem holds no private key in PEM form."),
        ("cert.pem", "encrypted.pem", "The TLS key {}/encrypted.pem is encrypted"),
        ("cert.pem", "other.pem", "The TLS key {0}/other.pem does not belong to the certificate {0}/cert.pem"),
        ("cert.pem", None, "--tls-key is not given."),
        (None, "key.pem", "--tls-certificate is not given."),
    ],
)
def test_a_certificate_that_cannot_serve_is_named(
    pem: Path, certificate: str | None, key: str | None, expected: str
) -> None:
    """The file and the remedy, exit code 2, before a database is made."""
    given = [("--tls-certificate", certificate), ("--tls-key", key)]
    options = [word for name, file in given if file for word in (name, pem / file)]
    error = refused("service", "run", "--data", pem / "data", "--port", "0", *options)
    assert error.exit_code == 2
    assert expected.format(pem) in str(error)
    assert error.remedy
    assert not (pem / "data").exists()


def test_a_certificate_and_its_key_serve(database_urls: Urls, pem: Path) -> None:
    """The address is https, and answers with that certificate."""
    files = ("--tls-certificate", pem / "cert.pem", "--tls-key", pem / "key.pem")
    process, url = start("--data", pem, *files, GATEPOST_DATABASE_URL=database_urls.app)
    try:
        assert url.startswith("https://")
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        assert ssl.get_server_certificate(address) == (pem / "cert.pem").read_text()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def told(*arguments: object, operator_url: str) -> list[dict[str, Any]]:
    """The JSON lines of an operator's command, run in this process."""
    done = CliRunner().invoke(app, ["admin", *map(str, arguments)], env={"GATEPOST_OPERATOR_URL": operator_url})
    assert done.exit_code == 0, done.exception
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_tenants_and_administrators_are_listed(service: Service) -> None:
    """As JSON for a program, as a table for a person; never a hash."""
    service.with_administrator()
    url = service.urls.operator
    assert service.slug in [row["slug"] for row in told("tenant", "list", "--json", operator_url=url)]
    [anna] = told("administrator", "list", "--tenant", service.slug, "--json", operator_url=url)
    assert (anna["name"], anna["roles"], anna["disabled_at"]) == ("anna", ["administrator"], None)
    assert set(anna) == {"name", "roles", "made_at", "last_sign_in_at", "disabled_at"}
    table = gatepost("admin", "administrator", "list", "--tenant", service.slug, GATEPOST_OPERATOR_URL=url)
    assert "anna" in table.stdout
    assert "argon2" not in table.stdout


def test_a_new_password_ends_the_sessions_of_the_old_one(service: Service, tmp_path: Path, look: Look) -> None:
    """The old password and its session are worth nothing, the new one is, and the audit trail tells it."""
    service.with_administrator()
    body = {"tenant": service.slug, "name": "anna", "password": service.password}
    token = requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=10).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    file = tmp_path / "password"
    file.write_text("another horse battery\n")
    named = ("--tenant", service.slug, "--name", "Anna", "--password-file", file)
    [said] = told("administrator", "password", *named, operator_url=service.urls.operator)
    assert said["sessions_ended"] == 1
    assert requests.get(f"{service.url}/api/v1/connections", headers=bearer, timeout=10).status_code == 401
    assert requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=10).status_code == 401
    body["password"] = "another horse battery"
    assert requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=10).ok
    [event] = look("SELECT body FROM events WHERE name = 'operator:administrator:password-set'")
    assert event["body"] == {"name": "anna", "sessions": 1}


def test_the_operator_takes_lost_passkeys_away(service: Service, tmp_path: Path, look: Look) -> None:
    """Nobody else can, where the last one lost them; the trail tells how many; an invitation from before ends too."""
    service.with_administrator()
    look(
        "INSERT INTO passkeys (administrator_id, credential_id, public_key, sign_count, name) "
        "SELECT administrator_id, 'x', 'x', 1, 'Lost' FROM administrators"
    )
    look(
        "INSERT INTO invitations (code_hash, administrator_id, made_by, expires_at) "
        "SELECT 'x', administrator_id, 'bert', now() + interval '1 h' FROM administrators"
    )
    file = tmp_path / "password"
    file.write_text("another horse battery\n")
    named = ("--tenant", service.slug, "--name", "anna", "--password-file", file)
    told("administrator", "password", *named, operator_url=service.urls.operator)
    assert len(look("SELECT 1 FROM passkeys")) == 1
    assert look("SELECT 1 FROM invitations") == []
    told("administrator", "password", *named, "--forget-passkeys", operator_url=service.urls.operator)
    assert look("SELECT 1 FROM passkeys") == []
    bodies = look("SELECT body FROM events WHERE name = 'operator:administrator:password-set' ORDER BY at")
    assert bodies[1]["body"] == {"name": "anna", "sessions": 0, "passkeys": 1}


def test_a_role_that_does_not_exist_is_refused_in_words(service: Service, tmp_path: Path, look: Look) -> None:
    """The message names the roles that there are, and nobody was made."""
    file = tmp_path / "password"
    file.write_text("another horse battery\n")
    named = ("--tenant", service.slug, "--name", "eve", "--password-file", file, "--role", "emperor")
    error = refused("admin", "administrator", "create", *named, operator_url=service.urls.operator)
    assert "There is no role emperor." in str(error)
    assert "Choose from reader, helpdesk, operator, policy-author, approver, administrator." in str(error)
    assert look("SELECT 1 FROM administrators") == []


@pytest.mark.parametrize(
    ("name", "password", "expected"),
    [
        ("nobody", "another horse battery", "There is no administrator named nobody."),
        ("anna", "short", "The password must have 12 to 1,024 characters."),
    ],
)
def test_a_password_that_cannot_be_given_is_said(
    service: Service, tmp_path: Path, name: str, password: str, expected: str
) -> None:
    """Nobody of that name, or too short."""
    service.with_administrator()
    file = tmp_path / "password"
    file.write_text(password)
    named = ("--tenant", service.slug, "--name", name, "--password-file", file)
    error = refused("admin", "administrator", "password", *named, operator_url=service.urls.operator)
    assert expected in str(error)
