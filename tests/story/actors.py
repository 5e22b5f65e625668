"""Who acts in the story: the service's operator, the hosts where connectors are set up, and Exchange with its people.

Every program is a process as somebody would start it; a connector is the downloaded file on the system's own Python,
with an empty environment, on a host of another name.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gatepost.lab.rows import Device, Mailbox
from gatepost.lab.server import Lab
from tests.fixtures.browser import at_name
from tests.fixtures.relays import ExchangeRelay, ServiceRelay
from tests.fixtures.site import free_port, program
from tests.fixtures.squid import PASSWORD as PROXY_PASSWORD
from tests.fixtures.squid import USER, Squid

SECONDS = 60.0
PYTHON = str(Path(sys.executable).resolve())
ON_HOST = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--uts", "sh", "-c"]
ON_HOST += ['hostname "$0" && exec "$@"']
PASSWORD = "the first administrator's password"
LISTS = ("allowed", "blocked")

Lists = tuple[frozenset[str], frozenset[str]]
"""The ids on a mailbox's two lists: allowed, blocked."""


def until(true: Callable[[], object], what: str, logs: Callable[[], str]) -> None:
    """Wait for something to become true; a failure shows the logs."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {SECONDS:.0f} s:\n{logs()}"
        time.sleep(0.05)


class Operator:
    """Runs the service on a machine that has nothing but Gatepost and the connector's file to offer."""

    def __init__(self, connector_file: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gatepost-story-"))
        folder.chmod(0o711)  # started by root, PostgreSQL runs as another user
        self._folder, self._data = folder, folder / "service"
        self._log = folder / "service.log"
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        packages = self._data / "packages"
        packages.mkdir(parents=True)
        for path in (connector_file, connector_file.with_suffix(".json")):
            shutil.copy(path, packages)

    def __enter__(self) -> Self:
        """Start the service with its own PostgreSQL, and wait until it answers."""
        self._process = program("service", "run", "--data", self._data, "--port", str(self.port), log=self._log)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log()
        assert at_name(json.loads(line)["url"]) == self.url
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, PostgreSQL too."""
        self._process.terminate()
        self._process.communicate(timeout=SECONDS)
        shutil.rmtree(self._folder)

    def admin(self, *words: str) -> dict[str, Any]:
        """``gatepost admin``; what it prints."""
        process = program("admin", *words, "--data", self._data, log=self._log)
        output, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, self.log()
        found: dict[str, Any] = json.loads(output)
        return found

    def log(self) -> str:
        """What service and commands said."""
        return self._log.read_text()[-20_000:]


class Exchange:
    """The organization, where an administrator of Exchange has entries of their own in every mailbox of the story."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.organization.view().change_settings(default_level="Block")
        self.phones = [found for mailbox in lab.organization.view().mailboxes if (found := _phone(mailbox))]
        for mailbox, _ in self.phones:
            own = {name: (f"OWN{name.upper()}{mailbox.guid[:6]}",) for name in LISTS}
            lab.organization.home(mailbox).change_mailbox(mailbox, **own)
        self.own = self.lists()

    def lists(self) -> list[Lists]:
        """What stands in each mailbox."""
        return [self.of(mailbox) for mailbox, _ in self.phones]

    def of(self, mailbox: Mailbox) -> Lists:
        """What stands in a mailbox."""
        found = self.lab.organization.home(mailbox).find_mailbox(mailbox.guid)
        assert found is not None
        return frozenset(found.allowed), frozenset(found.blocked)

    def allows(self, number: int) -> bool:
        """Whether the phone is on its mailbox's list of allowed devices, beside the administrator's entries alone."""
        allowed, blocked = self.own[number]
        mailbox, phone = self.phones[number]
        return self.of(mailbox) == (allowed | {phone.device_id}, blocked)

    def added(self) -> list[tuple[str, str]]:
        """Mailbox and id of each entry that was ever put on the list of allowed devices, by the audit log."""
        calls = [call for call in self.lab.audit if call.cmdlet == "Set-CASMailbox" and call.succeeded]
        given = [(call, call.parameters.get("ActiveSyncAllowedDeviceIDs")) for call in calls]
        return [(call.parameters["Identity"], entry) for call, change in given if change for entry in change.add]

    def writes(self) -> int:
        """How many writes the audit log has."""
        return sum(call.cmdlet != "Set-ADServerSettings" for call in self.lab.audit)


def _phone(mailbox: Mailbox) -> tuple[Mailbox, Device] | None:
    """A plain user and the first phone, if it can be pinned and the organization's default decides about it."""
    found = [each for each in mailbox.devices if each.device_id and each.handset.client_type == "EAS"]
    plain = mailbox.kind == "UserMailbox" and mailbox.enabled and not mailbox.protected
    by_default = bool(found) and found[0].reason == "Global"
    return (mailbox, found[0]) if plain and by_default and not mailbox.allowed + mailbox.blocked else None


@dataclass
class Host:
    """A machine near Exchange, by its name; ``home`` is where the connector's file unpacks itself."""

    name: str
    folder: Path
    home: Path
    exchange: ExchangeRelay
    lab: Lab
    proxy: Squid
    key: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """What the connector keeps."""
        return self.folder / "connector"

    def unzip(self, archive: Path, fingerprint: str) -> None:
        """Bring the set-up package here; the fingerprint is told apart."""
        with zipfile.ZipFile(archive) as package:
            package.extractall(self.folder)
        passwords = {"exchange": self.lab.password, "proxy": PROXY_PASSWORD}
        for name, password in passwords.items():
            (self.folder / f"{name}-password").write_text(f"{password}\n")
        proxy = self.proxy.url.removeprefix("http://")
        ways = {f"{way}_proxy": proxy for way in ("exchange", "service")}
        ways |= {f"{way}_proxy_user": USER for way in ("exchange", "service")}
        ways |= {f"{way}_proxy_password_file": "proxy-password" for way in ("exchange", "service")}
        self.answers = {
            "environment": "hosted",
            "server": self.exchange.url,
            "exchange_ca_file": str(self.lab.ca_file),
            "auth": "basic",
            "exchange_user": self.lab.user,
            "exchange_password_file": "exchange-password",
            "mode": "observe",
            "scope": ["*"],
            "service_fingerprint": fingerprint,
            "delete_password_files": True,
        } | ways

    def set_up(self, **answers: Any) -> "subprocess.CompletedProcess[str]":
        """The silent set-up."""
        given = self.answers | answers
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in given.items()]
        (self.folder / "answers.toml").write_text("".join(lines))
        return self.run("setup", "--answers", "answers.toml", "--json")

    def run(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """One of the connector's commands, to its end."""
        line = self._line(command, *words)
        return subprocess.run(
            line, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS,
        )  # fmt: skip

    def start(self) -> None:
        """``connector run``."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._line("run"), cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, stderr=log
            )

    def stop(self) -> int:
        """End it as its operator does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self.process is not None
        code, self.process = self.process.wait(SECONDS), None
        return code

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """What it said."""
        path = self.folder / "log"
        return f"{self.name}:\n{path.read_text()[-8_000:]}" if path.exists() else f"{self.name}: never started"

    def secrets(self) -> list[str]:
        """The files here that hold a key, a certificate or a password, sealed or not."""
        marks = [text.encode() for text in (self.lab.password, PROXY_PASSWORD, "PRIVATE KEY", "CERTIFICATE", '"key"')]
        names = {"secrets.json", "secrets.key", "enrolment.json", "renewal.json", "ticket"}
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".pyz"]
        files = [path for path in files if path.parent == self.state or path.name != "manifest.json"]
        return [path.name for path in files if path.name in names or any(each in path.read_bytes() for each in marks)]

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "GATEPOST_HOME": str(self.home)}

    def _line(self, command: str, *words: str) -> list[str]:
        file = [PYTHON, "-I", "gatepost-connector.pyz", "connector", command]
        return [*ON_HOST, self.name, *file, "--config", "connector.toml", *words]


def front_of(operator: Operator) -> ServiceRelay:
    """What stands before the service, and keeps what passes: people and connectors reach it there."""
    relay = ServiceRelay(operator.port)
    relay.url = at_name(relay.url)
    relay.single = True
    return relay
