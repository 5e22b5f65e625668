"""From one client access server to another and back: two real endpoints with the same organization."""

import contextlib
import random
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ExchangeAvoided, ExchangeError, ExchangeUnreachable, SignInRefused
from gatepost.exchange import breaker
from gatepost.exchange.organization import Organization
from gatepost.exchange.pool import Pool
from gatepost.exchange.sessions import Session
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings, LabSettings
from gatepost.wire.creating import Command

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
SERVERS = Command("Get-ExchangeServer")
DEVICES = Command("Get-MobileDevice", {"ResultSize": "Unlimited"})
VIEW = Command("Set-ADServerSettings", {"ViewEntireForest": True})


def free_port() -> int:
    """A port that is free at both addresses, outside the range from which connections get theirs."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server((FIRST, port)), socket.create_server((SECOND, port)):
            return port


class Site:
    """Two servers of one organization, on the same port of two addresses; the first may go and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.first = self._start(FIRST)
        self.second = self._start(SECOND)
        self.ca_file = folder / "both.pem"
        self.ca_file.write_bytes(self.first.ca_file.read_bytes() + self.second.ca_file.read_bytes())

    def _start(self, host: str) -> Lab:
        secret = self.folder / "password"
        secret.write_text("s3cret-of-both\n", encoding="utf-8")
        folder = self.folder / host
        settings = LabSettings(devices=200, host=host, https_port=self.port, folder=folder, password_file=secret)
        return Lab(settings).start()

    def leave(self) -> None:
        """The first server goes away: nobody listens there, and its shells are gone."""
        self.first.stop()

    def come_back(self) -> None:
        """It returns, with a certificate of the same authority file."""
        shutil.rmtree(self.folder / FIRST)
        self.first = self._start(FIRST)
        self.ca_file.write_bytes(self.first.ca_file.read_bytes() + self.second.ca_file.read_bytes())

    def stop(self) -> None:
        """Both."""
        self.first.stop()
        self.second.stop()

    def settings(self, **changes: Any) -> ExchangeSettings:
        """The first server, and the word that the second is ours."""
        given: dict[str, Any] = {
            "url": f"https://{FIRST}:{self.port}/PowerShell",
            "auth": "basic",
            "user": self.first.user,
            "ca_file": self.ca_file,
            "timeout": 5.0,
            "allowed_redirects": (SECOND,),
        }
        return ExchangeSettings(**(given | changes))

    @contextmanager
    def pool(self, **changes: Any) -> Iterator[Pool]:
        """A pool that knows both; no shell is left at either when it is closed."""
        pool = Pool(self.settings(**changes), self.second.password)
        pool.know_servers([SECOND])
        try:
            yield pool
        finally:
            pool.close()
        assert (len(self.first.shells), len(self.second.shells)) == (0, 0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two servers."""
    made = Site(tmp_path)
    yield made
    made.stop()


def ask(session: Session, _: object = None) -> str:
    """Which server answers; the session knows whom it speaks to."""
    assert len(session.objects(SERVERS)) == 3
    return session.server


def listed(session: Session) -> Iterator[bytes]:
    """A bulk listing."""
    for batch in session.output(DEVICES):
        yield from batch


def test_work_goes_on_at_another_server_and_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads, a listing, a write and many at once; each session is prepared where it is opened."""
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.2)

    def prepare(session: Session) -> None:
        session.objects(VIEW)

    with site.pool() as pool:
        pool.prepare_by(prepare)
        assert [pool.read(ask), pool.server] == [FIRST, FIRST]
        site.leave()
        assert [pool.read(ask), pool.server] == [SECOND, SECOND]
        assert pool.write(ask) == SECOND
        assert len(list(pool.stream(listed))) > 0
        assert {result for _, result in pool.each(ask, range(10))} == {SECOND}
        site.come_back()
        end = time.monotonic() + 10
        while pool.read(ask) != FIRST:
            assert time.monotonic() < end
        assert pool.server == FIRST
        assert pool.write(ask) == FIRST
    for lab in (site.first, site.second):
        shells = {call.shell for call in lab.calls}
        assert [call.cmdlet for call in lab.calls].count(VIEW.name) == len(shells) > 0


@pytest.mark.parametrize("fault", [Fault.BUSY_503, Fault.HTML_500, Fault.HTML_200, Fault.REFUSED, Fault.HANG])
def test_a_server_that_only_seems_to_be_there(site: Site, fault: Fault) -> None:
    """A page for people, a web server that is not ready, silence: the other server is asked at once."""
    with site.pool(timeout=1.0) as pool:
        site.first.faults.add(fault)
        begun = time.monotonic()
        assert pool.read(ask) == SECOND
        assert time.monotonic() - begun < 5
        site.first.faults.clear()


def test_an_organization_is_opened_at_another_server_that_is_known(site: Site) -> None:
    """A connector that starts while the configured server is away uses those that it knew before."""
    site.leave()
    settings = site.settings()
    with pytest.raises(ExchangeUnreachable, match=FIRST):
        Organization.connect(settings, site.second.password)
    with Organization.connect(settings, site.second.password, servers=[FIRST, SECOND]) as organization:
        assert organization.access_servers == (FIRST, SECOND)
        assert organization.capabilities.server == SECOND
        assert len(list(organization.list_devices())) == 200
    assert len(site.second.shells) == 0


def test_a_refused_sign_in_is_not_tried_elsewhere(site: Site) -> None:
    """The account would be locked."""
    site.first.faults.add(Fault.ACCESS_DENIED)
    with site.pool() as pool, pytest.raises(SignInRefused):
        pool.read(ask)
    assert not site.second.calls


def test_credentials_go_to_no_server_that_is_not_ours(site: Site) -> None:
    """However it came to be named: without a word in the settings, another address is never asked."""
    with site.pool(allowed_redirects=()) as pool:
        site.leave()
        with pytest.raises(ExchangeUnreachable, match=FIRST):
            pool.read(ask)
    assert not site.second.calls


def test_a_server_with_another_certificate_is_not_used(site: Site) -> None:
    """One that is not trusted gets no password; what is told is that the first one is away."""
    site.ca_file.write_bytes(site.first.ca_file.read_bytes())
    with site.pool() as pool:
        site.leave()
        with pytest.raises(ExchangeAvoided, match=rf"^{FIRST} is not asked before .* cannot be reached"):
            pool.read(ask)
    assert not site.second.calls


def test_a_write_that_was_sent_is_not_sent_to_the_other_server(site: Site) -> None:
    """It failed on its way back, so it may have been done; the next write goes where it can."""
    with site.pool() as pool:
        pool.read(ask)
        site.first.faults.plan(Fault.RESET, times=1)
        with pytest.raises(ExchangeError):
            pool.write(lambda session: session.objects(VIEW))
        pool.write(lambda session: session.objects(VIEW))
    done = [call.cmdlet for lab in (site.first, site.second) for call in lab.calls]
    assert done.count(VIEW.name) == 2
