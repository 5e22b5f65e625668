"""Set-up without anybody to answer: a real service, a lab, proxies with a sign-in, and kill -9 at every step."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from gatepost.cli.main import main
from gatepost.connector import credentials
from gatepost.connector.agent import Agent
from gatepost.connector.secrets import EXCHANGE, NAMES, Secrets
from gatepost.connector.setup import steps
from gatepost.domain import signing
from gatepost.domain.contract import Scope
from gatepost.errors import UsageError
from gatepost.settings import ConnectorSettings, load
from tests.fixtures.lab import MakeLab
from tests.fixtures.site import MakeSite, Site
from tests.fixtures.squid import PASSWORD as PROXY_PASSWORD
from tests.fixtures.squid import USER, Squid

SECONDS = 90


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str) -> Done:
    """One command, in this process and without a terminal."""
    output, talk, before = StringIO(), StringIO(), sys.argv
    sys.argv = ["gatepost", *words]
    try:
        with redirect_stdout(output), redirect_stderr(talk):
            main()
    except SystemExit as end:
        return Done(int(end.code or 0), output.getvalue(), talk.getvalue().replace("│", ""))
    finally:
        sys.argv = before
    raise AssertionError("a command ends with an exit code")


@dataclass
class Host:
    """A machine where a connector is to be: its folder, and the answers that are given there."""

    site: Site
    folder: Path
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "connector.toml"

    @property
    def state(self) -> Path:
        """The connector's folder."""
        return self.folder / "connector"

    @property
    def settings(self) -> ConnectorSettings:
        """The settings as written."""
        return load(ConnectorSettings, self.config)

    def write(self, name: str, text: str) -> str:
        """A file of this machine; its name."""
        (self.folder / name).write_text(text + "\n")
        return name

    def command(self, *options: str, **answers: Any) -> list[str]:
        """The command that sets up with these answers; None leaves one out."""
        found = {key: value for key, value in {**self.answers, **answers}.items() if value is not None}
        self.write("answers.toml", "\n".join(f"{key} = {json.dumps(value)}" for key, value in found.items()))
        words = ("connector", "setup", "--config", str(self.config), "--answers", str(self.folder / "answers.toml"))
        return [sys.executable, "-m", "gatepost", *words, *options]

    def run(self, *options: str, **answers: Any) -> Done:
        """Set up, to the end, in this process."""
        return run(*self.command(*options, **answers)[3:])

    def change(self, subject: str, *options: str, **answers: Any) -> Done:
        """Change one subject, with just these answers."""
        before, self.answers = self.answers, {}
        try:
            return self.run("--change", subject, *options, **answers)
        finally:
            self.answers = before


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site without a connector."""
    return make_site(devices=20)


@pytest.fixture
def host(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A machine with a ticket, and the answers that are enough."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    folder = tmp_path / "machine"
    folder.mkdir()
    made = Host(site, folder)
    made.answers = {
        "server": site.lab.https_url,
        "exchange_ca_file": str(site.lab.ca_file),
        "auth": "basic",
        "exchange_user": site.lab.user,
        "exchange_password_file": made.write("password", site.lab.password),
        "service": site.service_url,
        "ticket_file": str(site.ticket().rename(folder / "ticket")),
        "service_fingerprint": site.fingerprint,
    }
    return made


def holding(secret: str, *places: Path) -> list[str]:
    """The files below some folders that hold a secret in clear."""
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return [str(path) for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.needs("squid")
def test_everything_at_once_and_no_secret_anywhere(host: Host, basic_proxy: Squid) -> None:
    """Proxies that ask for a sign-in, notices, passwords deleted after use; then the connector works by what is sealed.

    While it runs no secret is in its arguments or environment; afterwards none is in any file or in what it said.
    """
    lab, proxy = host.site.lab, basic_proxy.url.removeprefix("http://")
    command = host.command(
        "--json",
        environment="hosted", exchange_proxy=proxy, exchange_proxy_user=USER,
        exchange_proxy_password_file=host.write("proxy-password", PROXY_PASSWORD),
        service_proxy=proxy, service_proxy_user=USER, service_proxy_password_file="proxy-password",
        notices_account=lab.mail.account, notices_password_file="password", ews=lab.ews_url,
        scope=["@example.com"], delete_password_files=True,
    )  # fmt: skip
    passwords = (lab.password, PROXY_PASSWORD)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = _until(process, b"exchange")
    for name in ("cmdline", "environ"):
        told = Path(f"/proc/{process.pid}/{name}").read_bytes()
        assert told
        assert not [secret for secret in passwords if secret.encode() in told]
    output, rest = process.communicate(timeout=SECONDS)
    said += rest
    assert process.returncode in (0, 3), said.decode()
    shown = json.loads(output)
    assert (shown["epoch"], shown["config"]) == (1, str(host.config))
    assert shown["checks"]
    for step in (b"service", b"exchange", b"notices", b"kept", b"enrolled", b"doctor"):
        assert b"\n" + step in b"\n" + said
    for secret in passwords:
        assert secret.encode() not in output + said
        assert holding(secret, host.folder) == []
    assert not any((host.folder / name).exists() for name in ("password", "proxy-password", "ticket"))
    assert (host.settings.mode, host.settings.scope) == ("observe", ("@example.com",))
    kept = Secrets(host.state)
    assert [kept.find(name) for name in NAMES] == [lab.password, PROXY_PASSWORD, PROXY_PASSWORD, lab.password]
    assert host.state.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in host.state.iterdir())
    with Agent(host.settings, patience=10) as agent:
        assert agent.sync(Scope.FULL).state == "sealed"


def _until(process: "subprocess.Popen[bytes]", word: bytes) -> bytes:
    """What a process says on stderr until it says this."""
    assert process.stderr is not None
    said = b""
    while word not in said:
        piece = os.read(process.stderr.fileno(), 4096)
        assert piece, said.decode()
        said += piece
    return said


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({"exchange_user": "LAB\\nobody"}, 6, "does not accept the sign-in of LAB\\nobody"),
        ({"service": "http://127.0.0.1:9"}, 5, "The service at http://127.0.0.1:9 cannot be reached"),
        ({"service_fingerprint": "12:34"}, 2, "This is no fingerprint of a service's key: that has 64 hex digits."),
        ({"service_fingerprint": None}, 2, "service_fingerprint is missing in"),
        ({"ticket_file": None}, 2, "ticket_file is missing in"),
        ({"ticket_file": "nowhere"}, 2, "There is no ticket file"),
        ({"notices_account": "nobody@lab.example", "notices_password_file": "password"}, None, "nobody@lab.example"),
        ({"colour": "red", "mode": "fly"}, 2, "colour: unknown; mode: 'fly' is none of the choices"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_before_anything_is_written(
    host: Host, answers: dict[str, Any], code: int | None, said: str
) -> None:
    """By its exit code and in words; the ticket is not spent, and no file of the connector is there."""
    done = host.run(**answers)
    assert said in " ".join(done.stderr.split())
    assert done.returncode == code or (code is None and done.returncode != 0)
    assert (host.folder / "ticket").exists()
    assert not host.config.exists()
    assert not host.state.exists()
    assert host.site.query("SELECT 1 FROM connectors WHERE tenant_id = %s") == []


def test_another_fingerprint_is_refused_and_the_ticket_kept(host: Host) -> None:
    """The service that answers is not the one that was told apart; with the right one the same ticket is good."""
    done = host.run(service_fingerprint="ab" * 32)
    assert done.returncode != 0
    assert "fingerprint" in done.stderr or "not signed by the service" in done.stderr
    assert (host.folder / "ticket").exists()
    assert not (host.state / credentials.IDENTITY).exists()
    done = host.run()
    assert done.returncode in (0, 3), done.stderr
    assert credentials.load(host.state).epoch == 1


def test_a_connector_that_is_there_is_replaced_only_when_told_so(host: Host) -> None:
    """Exit code 4 with the remedy and the ticket kept; with ``replace = true`` it takes the place."""
    other = host.site.beside("other").enrol()
    done = host.run()
    assert done.returncode == 4, done.stderr
    assert "Another connector is enrolled for this organization, on" in done.stderr
    assert "say replace = true in the answers. The ticket is still good." in " ".join(done.stderr.split())
    assert (host.folder / "ticket").exists()
    done = host.run("--json", replace=True)
    assert done.returncode in (0, 3), done.stderr
    assert json.loads(done.stdout)["epoch"] == credentials.load(other.settings.folder).epoch + 1


KILLED = ("service", "exchange", "kept", "enrolled", "doctor")


def test_set_up_goes_on_after_a_kill_at_every_step(host: Host) -> None:
    """Each state is one of the guide's table: nothing, kept, or enrolled; a spent ticket never is without identity."""
    for step in KILLED:
        process = subprocess.Popen(host.command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _until(process, step.encode())
        process.kill()
        process.communicate(timeout=SECONDS)
        identity = (host.state / credentials.IDENTITY).exists()
        if host.config.exists():
            assert host.settings.exchange.password_file is None
            assert Secrets(host.state).find(EXCHANGE) == host.site.lab.password
        assert identity or (host.folder / "ticket").exists()
        assert identity or step != "doctor"
        assert not identity or host.config.exists()
    done = host.run()
    assert done.returncode in (0, 3), done.stderr
    assert not (host.folder / "ticket").exists()
    [row] = host.site.query("SELECT count(*) AS count FROM connectors WHERE tenant_id = %s")
    assert row["count"] == 1
    assert credentials.load(host.state).epoch == 1
    assert sorted(path.name for path in host.folder.glob("*.toml*")) == ["answers.toml", "connector.toml"]


def test_changes_keep_the_identity_and_are_tried_before_they_are_written(host: Host, make_lab: MakeLab) -> None:
    """A wrong password is not written; a new one, another server, the mode and notices need no new package."""
    assert host.run().returncode in (0, 3)
    identity, before = credentials.load(host.state), host.config.read_bytes()
    wrong = host.change("account", exchange_password_file=host.write("wrong", "wr0ng"))
    assert wrong.returncode == 6
    assert "does not accept the sign-in of" in wrong.stderr
    assert (host.config.read_bytes(), Secrets(host.state).find(EXCHANGE)) == (before, host.site.lab.password)
    other = make_lab(devices=5)
    moved = host.change("server", server=other.https_url, exchange_ca_file=str(other.ca_file))
    assert moved.returncode == 6, "the other server has another password"
    Secrets(host.state).keep(EXCHANGE, other.password)
    moved = host.change("server", server=other.https_url, exchange_ca_file=str(other.ca_file))
    assert moved.returncode == 0, moved.stderr
    told = host.change("mode", "--json", mode="enforce", scope="anna@lab.example")
    assert json.loads(told.stdout) == {"changed": "mode", "running": False, "restart": False}
    given = {"notices_account": other.mail.account, "notices_password_file": host.write("new", other.password)}
    assert host.change("notices", **given, ews=other.ews_url, delete_password_files=True).returncode == 0
    assert not (host.folder / "new").exists()
    settings = host.settings
    assert (settings.exchange.url, settings.mode, settings.scope) == (other.https_url, "enforce", ("anna@lab.example",))
    assert settings.notices is not None
    assert credentials.load(host.state) == identity


def test_a_running_connector_needs_no_restart_for_a_password(host: Host) -> None:
    """Which is sealed under it; what stands in the settings needs one, and set-up says so."""
    assert host.run().returncode in (0, 3)
    with Agent(host.settings, patience=10) as agent:
        agent.sync(Scope.FULL)
        again = host.change("account", exchange_password_file="password")
        assert "takes it up when it opens its next connection" in again.stderr
        assert "start it again" in host.change("mode", mode="enforce").stderr
        agent.sync(Scope.FULL)


def test_without_a_terminal_the_answers_must_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of waiting for somebody for ever."""
    monkeypatch.setattr(sys, "stdin", StringIO())
    for options in ((), ("--change", "mode")):
        done = run("connector", "setup", "--config", str(tmp_path / "c.toml"), *options)
        assert done.returncode == 2
        said = "Nobody is there to answer: this is no terminal. Give the answers in a file: --answers."
        assert said in " ".join(done.stderr.split())


def test_a_change_needs_settings_and_a_subject_that_is_one(host: Host) -> None:
    """Both are told."""
    done = host.change("mode", mode="enforce")
    assert (done.returncode, "There are no settings in" in done.stderr) == (2, True)
    done = host.change("colour", mode="enforce")
    assert done.returncode == 2
    assert "choose one of server, account, proxy, notices, mode, service" in " ".join(done.stderr.split())


@pytest.mark.needs("squid")
def test_the_answers_of_the_guide_are_answers(host: Host, basic_proxy: Squid) -> None:
    """The example is run as it stands, with the names of this place in it."""
    lab, proxy = host.site.lab, basic_proxy.url.removeprefix("http://")
    for name, secret in (("exchange", lab.password), ("proxy", PROXY_PASSWORD), ("notices", lab.password)):
        host.write(f"{name}-password", secret)
    (host.folder / "exchange-ca.pem").write_bytes(lab.ca_file.read_bytes())
    guide = (Path(__file__).parents[2] / "docs" / "administrators-guide.md").read_text(encoding="utf-8")
    [example] = [block for block in guide.split("```") if block.startswith("toml\nenvironment")]
    names = {
        '"ex1.example.com"': json.dumps(lab.https_url),
        '"EXAMPLE\\\\svc-gatepost"': json.dumps(lab.user),
        "proxy.example.com:3128": proxy,
        "gatepost@example.com": lab.mail.account,
        "https://gatepost.example.com": host.site.service_url,
        '"clerk"': json.dumps(USER),
        '"…"': json.dumps(host.site.fingerprint),
    }
    for word, here in names.items():
        assert word in example
        example = example.replace(word, here)
    host.answers = {}
    command = host.command("--json")
    (host.folder / "answers.toml").write_text(example.removeprefix("toml\n"))
    done = run(*command[3:])
    assert done.returncode in (0, 3), done.stderr
    assert json.loads(done.stdout)["epoch"] == 1
    assert not list(host.folder.glob("*-password"))


@dataclass
class Package:
    """An unzipped set-up package of the site's own service, and the answers that are enough with it."""

    host: Host
    folder: Path

    def sign(self) -> "Package":
        """Write the manifest of what is there now."""
        files = [
            {"name": path.name, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in sorted(self.folder.iterdir())
            if path.name in ("setup.toml", "ticket")
        ]
        keys = self.host.site.keys
        manifest = json.dumps({"contract": 1, "key": base64.b64encode(keys.public).decode(), "files": files}).encode()
        (self.folder / "manifest.json").write_bytes(manifest)
        signature = base64.b64encode(keys.sign(signing.manifest_bytes(manifest)))
        (self.folder / "manifest.signature").write_bytes(signature)
        return self


@pytest.fixture
def package(host: Host, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A package in a folder of its own; the program runs from there, as its one file says when it starts."""
    folder = host.folder / "package"
    folder.mkdir()
    (folder / "setup.toml").write_text(
        f'service = "{host.site.service_url}"\ntenant = "acme"\norganization = "Lab"\nmade_by = "anna"\n'
        "expires_at = 2999-01-01T00:00:00Z\n"
    )
    Path(host.answers["ticket_file"]).rename(folder / "ticket")
    del host.answers["ticket_file"], host.answers["service"]
    monkeypatch.setenv("GATEPOST_PACKAGE", str(folder / "gatepost-connector.pyz"))
    return Package(host, folder).sign()


def test_a_package_brings_the_service_and_the_ticket(package: Package) -> None:
    """What was changed is named, another key is refused, and nothing is spent; then it enrols, and goes on for ever."""
    host, setup = package.host, package.folder / "setup.toml"
    done = host.run(service_fingerprint="ab" * 32)
    assert done.returncode == 2
    assert "was signed by another key than you were told" in done.stderr
    whole = setup.read_bytes()
    setup.write_bytes(whole.replace(b"127.0.0.1", b"127.0.0.2"))
    done = host.run()
    assert done.returncode == 2
    assert f"The file {setup} was changed" in done.stderr
    assert (package.folder / "ticket").exists()
    setup.write_bytes(whole)
    done = host.run("--json")
    assert done.returncode in (0, 3), done.stderr
    assert "made for Lab of acme; signed by the service that you were told" in done.stderr
    assert str(package.folder / "gatepost-connector.pyz") + " connector run --config" in done.stderr
    assert not (package.folder / "ticket").exists()
    assert host.settings.service.url == host.site.service_url
    identity = credentials.load(host.state)
    again = host.run(mode="enforce")
    assert again.returncode in (0, 3), again.stderr
    assert (credentials.load(host.state), host.settings.mode) == (identity, "enforce")


def test_set_up_is_not_run_under_a_connector_at_work(host: Host) -> None:
    """What it has in memory would not be what is written; a change is what is meant."""
    assert host.run().returncode in (0, 3)
    with Agent(host.settings, patience=10):
        done = host.run(ticket_file=str(host.site.ticket()))
    assert done.returncode == 2
    assert "A connector runs on the folder" in done.stderr


def test_where_a_connector_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As told; else as its settings say; else beside the package or here, and for root where the system has it."""
    monkeypatch.chdir(tmp_path)
    assert steps.place(tmp_path / "c.toml", None, None) == steps.Place(tmp_path / "c.toml", tmp_path / "connector")
    assert steps.place(Path("c.toml"), Path("f"), None) == steps.Place(tmp_path / "c.toml", tmp_path / "f")
    (tmp_path / "c.toml").write_text(
        'folder = "there"\n[exchange]\nurl = "https://x/P"\n[service]\nurl = "https://y"\n'
    )
    assert steps.place(tmp_path / "c.toml", None, None).folder == tmp_path / "there"
    if os.geteuid() == 0:
        with pytest.raises(UsageError, match=r"There is no user gatepost-connector.* Make it \(useradd --system"):
            steps.place(None, None, None)
        assert str(steps.place(None, None, None, changes=True).config) == "/etc/gatepost/connector.toml"
    else:
        assert steps.place(None, None, tmp_path / "p") == steps.Place(
            tmp_path / "p" / "connector.toml", tmp_path / "p" / "connector"
        )


def test_another_folder_than_that_of_the_settings_is_refused(host: Host) -> None:
    """Both are named by somebody; which one is meant cannot be known."""
    assert host.run().returncode in (0, 3)
    done = host.run("--folder", str(host.folder / "other"), ticket_file=str(host.site.ticket()))
    assert done.returncode == 2
    assert "names another folder" in done.stderr
