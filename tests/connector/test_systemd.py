"""The connector under systemd: what it tells, what its unit allows, and how soon it ends whatever hangs."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.connector.agent import status
from tests.connector.test_agent import ask, finish, sealed, until
from tests.connector.test_writing import lists, pinnable
from tests.fixtures.relays import AFTER, BEFORE, ExchangeRelay, ServiceRelay
from tests.fixtures.site import MakeSite, Site, program

STOP_SECONDS = 10


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Listens as systemd does, at the path ``notify`` in the test's folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(30)
        yield line


def stopped(process: subprocess.Popen[str]) -> float:
    """Ask a connector to end; its seconds until it has ended well."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0
    return time.monotonic() - began


def test_systemd_is_told_of_the_start_of_life_and_of_the_end(
    site: Site, manager: socket.socket, tmp_path: Path
) -> None:
    """READY once it works, signs of life while it does, STOPPING before it ends."""
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
    process = program("connector", "run", "--config", site.config, log=site.folder / "connector.log", **environment)
    heard = [manager.recv(99), manager.recv(99), manager.recv(99)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert stopped(process) < STOP_SECONDS
    last = b""
    while last != b"STOPPING=1":
        last = manager.recv(99)


def test_a_signal_that_reaches_another_thread_ends_it_too(site: Site) -> None:
    """Linux hands a signal to whichever thread it likes, and a thread that waits for an event sleeps on."""
    process = site.connector("run")
    until(lambda: sealed(site, "full"), "the first synchronisation", site)
    threads = [int(each.name) for each in Path(f"/proc/{process.pid}/task").iterdir()]
    began = time.monotonic()
    os.kill(max(threads), signal.SIGTERM)
    assert finish(process)[0] == 0
    assert time.monotonic() - began < STOP_SECONDS


def test_a_service_that_hangs_does_not_hold_up_the_end(make_site: MakeSite) -> None:
    """A check-in without an answer, and a farewell that gets none: it ends in time."""
    site = make_site(devices=20).enrol()
    with ServiceRelay(int(site.service_url.rpartition(":")[2])) as relay:
        slow = site.of(relay.url)
        process = slow.connector("run")
        until(lambda: sealed(slow, "full"), "the first synchronisation", slow)
        held = relay.halt("check-in", BEFORE)
        relay.halt("farewell", BEFORE)
        ask(slow, "quick")
        held.wait()
        assert stopped(process) < STOP_SECONDS


def test_a_write_that_hangs_does_not_hold_up_the_end(make_site: MakeSite) -> None:
    """Exchange does not answer a write: it ends in time, and what is not known is looked at after the next start."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.pin(phone.guid, "block")
    with ExchangeRelay(site.lab) as relay:
        slow = replace(site, exchange_url=relay.url).configure()
        held = relay.halt("write", AFTER)
        process = slow.connector("run")
        held.wait()
        assert stopped(process) < STOP_SECONDS
    assert lists(site, mailbox)[1] == (phone.device_id,)
    assert status(site.settings).uncertain == 1
