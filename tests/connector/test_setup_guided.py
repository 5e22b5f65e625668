"""Set-up in a terminal: questions one after the other, passwords that are not shown, answers that can be mended."""

import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost.connector import credentials
from gatepost.connector.secrets import EXCHANGE, Secrets
from gatepost.settings import ConnectorSettings, load
from tests.fixtures.site import MakeSite, Site

SECONDS = 30
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command in a terminal of its own, as a person has it. ``said`` is all that was shown, echo included."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.said = ""
        self._read = 0
        self.pid, self._handle = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # as a terminal has it, also where the tests' own is ignored
            plain = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
            command = [sys.executable, "-m", "gatepost", *words]
            os.execve(sys.executable, command, plain | {"TERM": "xterm", "COLUMNS": "200", **environment})

    def until(self, words: str) -> str:
        """Wait until this is shown after what was waited for before; what came in between."""
        end = time.monotonic() + SECONDS
        while (at := self.said.find(words, self._read)) < 0:
            assert self._more(end), f"{words!r} is not shown after:\n{self.said[self._read :]}"
        between, self._read = self.said[self._read : at], at + len(words)
        return between

    def answer(self, question: str, answer: str = "") -> str:
        """Wait for a question and answer it; what was shown before it."""
        shown = self.until(question)
        self.until(": ")
        os.write(self._handle, answer.encode() + b"\r")
        return shown

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.write(self._handle, b"\x03")

    def end(self) -> int:
        """The exit code, once all is shown."""
        end = time.monotonic() + SECONDS
        while self._more(end):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def _more(self, end: float) -> bool:
        """Take what is shown next; False at the end of it."""
        ready, _, _ = select.select([self._handle], [], [], max(end - time.monotonic(), 0))
        assert ready, f"nothing more is shown after:\n{self.said}"
        try:
            piece = os.read(self._handle, 65_536)
        except OSError:  # how a terminal says that nobody is there any more
            return False
        self.said += STYLE.sub("", piece.decode(errors="replace"))
        return bool(piece)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._handle)


@contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    """A terminal with one of the connector's commands."""
    opened = Terminal("connector", "setup", *words)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site without a connector."""
    return make_site(devices=20)


@pytest.fixture
def words(site: Site, tmp_path: Path) -> list[str]:
    """Options that name a new machine's files and its ticket."""
    folder = tmp_path / "machine"
    folder.mkdir()
    ticket = site.ticket().rename(folder / "ticket")
    return ["--config", str(folder / "connector.toml"), "--ticket-file", str(ticket), "--service", site.service_url]


def settings(words: list[str]) -> ConnectorSettings:
    """What was written."""
    return load(ConnectorSettings, Path(words[1]))


def answer_about_exchange(person: Terminal, site: Site, password: str) -> None:
    """Everything up to the proxies."""
    person.answer("Where does Exchange run [on-premises/hosted] (on-premises)")
    person.answer("Exchange server", site.lab.https_url)
    person.answer("CA file for Exchange (none)", str(site.lab.ca_file))
    person.answer("Sign-in at Exchange by [kerberos/negotiate/basic] (negotiate)", "basic")
    person.answer("Exchange account", site.lab.user)
    person.answer("Its password", password)


def answer_the_rest(person: Terminal) -> None:
    """No proxies, no notices, and what is safe."""
    for question in ("Proxy to the service (none)", "Mailbox that sends notices (none)"):
        person.answer(question)
    person.answer("Mode [observe/enforce] (observe)")
    person.answer("Scope (*)")
    person.answer("CA file for the service (none)")


def test_a_person_is_guided_and_may_mend_what_was_wrong(site: Site, words: list[str]) -> None:
    """Each question with its help; answers that cannot be are asked again; a password that is wrong can be mended.

    Passwords are never shown. Another connector is named, and replaced only by a yes.
    """
    site.beside("other").enrol()
    with terminal(*words) as person:
        assert "on-premises: servers of your own; hosted:" in person.answer("Where does Exchange run", "cloud")
        person.until("Please select one of the available options")
        person.answer("Where does Exchange run")
        person.answer("Exchange server", "outlook.office365.com")
        person.until("which is Exchange Online")
        person.answer("Exchange server", site.lab.https_url)
        person.answer("CA file for Exchange", str(site.lab.ca_file))
        person.answer("Sign-in at Exchange by", "basic")
        person.answer("Exchange account", "reader")
        person.until(r"Write it as DOMAIN\user or as user@domain.")
        person.answer("Exchange account", site.lab.user)
        person.answer("Its password", "wr0ng-pa55")
        answer_the_rest(person)
        person.answer("Fingerprint of the service's key", "1234")
        person.until("This is no fingerprint of a service's key")
        person.answer("Fingerprint of the service's key", site.fingerprint)
        person.until("does not accept the sign-in of")
        person.answer("Change the answers and try again? [y/n] (y)")
        person.answer("Where does Exchange run")
        person.answer(f"Exchange server ({site.lab.https_url})")
        person.answer(f"CA file for Exchange ({site.lab.ca_file})")
        person.answer("(basic)")
        person.answer(f"Exchange account ({site.lab.user})")
        person.answer("Its password (Enter keeps the present one)", site.lab.password)
        answer_the_rest(person)
        assert "version" in person.answer("Replace it? [y/n] (n)", "y")
        person.until("The connector is set up. Start it:")
        assert person.end() in (0, 3)
    assert site.lab.password not in person.said
    assert "wr0ng" not in person.said
    found = settings(words)
    assert credentials.load(found.folder).epoch == 2
    assert Secrets(found.folder).find(EXCHANGE) == site.lab.password
    for step in ("service", "exchange", "kept", "enrolled", "doctor"):
        assert re.search(rf"^{step} ", person.said, re.MULTILINE)


def test_ctrl_c_leaves_nothing_half(site: Site, words: list[str]) -> None:
    """Before the questions end nothing is written, and the ticket stays."""
    with terminal(*words, "--service-fingerprint", site.fingerprint) as person:
        answer_about_exchange(person, site, site.lab.password)
        person.until("Proxy to the service")
        person.interrupt()
        assert person.end() in (1, 130)
    assert sorted(path.name for path in Path(words[1]).parent.iterdir()) == ["ticket"]


def test_a_replacement_that_is_declined_keeps_the_ticket(site: Site, words: list[str]) -> None:
    """What was answered is kept for the next time; and a change asks about its own subject only."""
    other = site.beside("other").enrol()
    options = [*words, "--service-fingerprint", site.fingerprint]
    with terminal(*options) as person:
        answer_about_exchange(person, site, site.lab.password)
        answer_the_rest(person)
        person.answer("Replace it?")
        assert person.end() == 4
    assert Path(words[3]).exists()
    assert credentials.load(other.settings.folder)
    with terminal("--config", words[1], "--change", "proxy") as person:
        person.answer("Proxy to Exchange (none)")
        person.answer("Proxy to the service (none)", "proxy.example.com")
        person.until("Write it as proxy.example.com:3128")
        person.answer("Proxy to the service (none)", "127.0.0.1:9")
        person.answer("User at that proxy (none)")
        person.until("The proxy on the way to the service failed.")
        person.answer("Change the answers and try again? [y/n] (y)", "n")
        assert person.end() == 5
    assert settings(words).service.proxy is None
    with terminal("--config", words[1], "--change", "mode") as person:
        person.answer("Mode [observe/enforce] (observe)", "enforce")
        person.answer("Scope (*)", "@example.com")
        person.until("It counts from the next start.")
        assert person.end() == 0
    assert (settings(words).mode, settings(words).scope) == ("enforce", ("@example.com",))
