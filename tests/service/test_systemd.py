"""The service under systemd: what it tells, what its unit allows, where its secrets come from, how it ends."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import requests

from gatepost import systemd
from gatepost.service import watchdog
from gatepost.service.database import Database, passwords_of
from tests.fixtures.database import Urls
from tests.fixtures.service import SETTINGS, Service, in_thread, new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox

UNIT = Path(__file__).parents[2] / "packaging" / "gatepost-service.service"
STOP_SECONDS = 10


class Systemd:
    """Listens to notifications, as systemd does."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind("\0" + path[1:] if path.startswith("@") else path)
        self._line.settimeout(30)

    def hear(self) -> str:
        """The next notification."""
        return self._line.recv(4096).decode()

    def hears_within(self, seconds: float) -> bool:
        """Whether anything is told within a time."""
        self._line.settimeout(seconds)
        try:
            self._line.recv(4096)
        except TimeoutError:
            return False
        finally:
            self._line.settimeout(30)
        return True

    def close(self) -> None:
        """Listen no more."""
        self._line.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    """The manager's end of the line, as a file and as an abstract address."""
    made = Systemd(str(tmp_path / "notify") if request.param == "file" else f"@gatepost-test-{os.getpid()}")
    yield made
    made.close()


@pytest.mark.anyio
async def test_signs_of_life_are_given_only_while_the_database_answers(
    database: Database, database_urls: Urls, manager: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stop while every query hangs, and go on afterwards."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    task = asyncio.create_task(watchdog.watch(database))
    try:
        assert await asyncio.to_thread(manager.hear) == "WATCHDOG=1"
        with psycopg.connect(database_urls.superuser) as connection:
            connection.execute("LOCK TABLE incarnation IN ACCESS EXCLUSIVE MODE")
            await asyncio.to_thread(manager.hears_within, 0.2)  # one that was on its way
            assert not await asyncio.to_thread(manager.hears_within, 0.8)
        assert await asyncio.to_thread(manager.hear) == "WATCHDOG=1"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address, an address where nobody listens, a watchdog that is meant for another process."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify(systemd.READY)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    assert not systemd.notify(systemd.READY)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    assert systemd.watchdog_seconds() == 1
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_seconds() is None


@contextlib.contextmanager
def busy(service: Service, speaker: Speaker) -> Iterator[None]:
    """A connector that waits, one that tells a large inventory, and a browser that polls; all until cut off."""
    over = threading.Event()

    def work(what: Callable[[], object]) -> None:
        while not over.is_set():
            with contextlib.suppress(requests.RequestException, AssertionError, OSError):
                what()

    rows, boxes = [device(number) for number in range(1_500)], [mailbox(number) for number in range(750)]
    browser = requests.Session()
    browser.post(f"{service.url}/t/{service.slug}/", {"name": service.administrator, "password": service.password})
    assert browser.get(f"{service.url}/devices", timeout=30).url == f"{service.url}/devices"
    jobs: tuple[Callable[[], object], ...] = (
        lambda: speaker.ask("GET", "wait?revision=0&orders=0"),
        lambda: Speaker.synchronise(speaker, rows, boxes),
        lambda: browser.get(f"{service.url}/devices", timeout=30),
    )
    threads = [threading.Thread(target=work, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


@pytest.mark.parametrize("manager", ["abstract"], indirect=True)
def test_the_service_tells_systemd_and_ends_within_ten_seconds_whatever_it_does(
    database_urls: Urls, manager: Systemd, tmp_path: Path
) -> None:
    """READY with secrets from credentials; SIGTERM amid waiting, ingest and polls; a log of JSON without a secret."""
    with replica_of(database_urls) as replica:
        service = new_tenant(replica, database_urls, "demo").with_administrator()
        speaker = Speaker(service.url)
        assert speaker.enrol(service.ticket()).status_code == 200
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "gatepost.database-url").write_text(database_urls.app)
    shutil.copy(SETTINGS.vault_file, folder / "gatepost.key")
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "60000000", "CREDENTIALS_DIRECTORY": str(folder)}
    log = tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gatepost", "service", "run", "--data", str(tmp_path), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
        )
    with process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        speaker.url = url
        heard = {manager.hear(), manager.hear()}
        assert heard == {"READY=1", "WATCHDOG=1"}
        with busy(replace(service, url=url), speaker):
            time.sleep(0.5)  # whatever is under way then
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            process.wait(30)
            took = time.monotonic() - began
        assert manager.hear() == "STOPPING=1"
    assert process.returncode == 0
    assert took < STOP_SECONDS
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"at", "level", "logger", "event"} <= set(line) for line in lines)
    assert passwords_of(database_urls.app)[0] not in log.read_text()


def test_the_unit_runs_what_there_is(tmp_path: Path) -> None:
    """The command in the unit is one that the program understands, and no secret stands in it."""
    [line] = [line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")]
    words = line.split()[1:]
    options = [word for word in words if word.startswith("--")]
    done = in_thread(
        lambda: subprocess.run(
            [sys.executable, "-m", "gatepost", *words[:2], "--help"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
    )
    assert all(option in done.stdout for option in options)
