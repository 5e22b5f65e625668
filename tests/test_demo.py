"""``gatepost demo`` as a person runs it: real processes, real ports, and nothing left behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gatepost.connector.setup import set_mode

pytestmark = pytest.mark.xdist_group("demo")
KEYS = {"devices", "mailboxes", "decisions", "changes", "notices", "seconds", "console"}
START_SECONDS = 60


def demo(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """The command as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "gatepost", "demo", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def below(process: int) -> dict[int, str]:
    """The commands of all processes below one, by their ids: children, their children, and so on."""
    rows = list(listed())
    found: dict[int, str] = {}
    parents = {process}
    while parents:
        children = {pid: args for pid, parent, args in rows if parent in parents}
        found |= children
        parents = set(children)
    return found


def listed() -> Iterator[tuple[int, int, str]]:
    """All processes: id, its parent's, command. A small machine has no ``ps``."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            yield int(process.name), parent, (process / "cmdline").read_text().replace("\0", " ")


def alive(processes: dict[int, str]) -> list[str]:
    """Those of the processes that run still."""
    return [args for pid, args in processes.items() if Path(f"/proc/{pid}").exists()]


def gone(processes: dict[int, str]) -> bool:
    """Whether all of them end; a process that was just told to needs a moment to vanish."""
    end = time.monotonic() + 10
    while alive(processes) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(processes)


@contextmanager
def passable() -> Iterator[Path]:
    """A folder that the database's own user can pass through, when the tests run as root; pytest's are closed to it."""
    made = Path(tempfile.mkdtemp(prefix="gatepost-test-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)


@pytest.fixture
def empty() -> Iterator[Path]:
    """A folder of one test."""
    with passable() as made:
        yield made


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that stays, as a person's does: what the first start makes, the next ones use."""
    with passable() as made:
        yield made


def test_once_prints_exactly_one_object(empty: Path) -> None:
    """The whole flow runs once: the inventory, and the story of a phone whose four sides agree at every step."""
    process = demo("--once", "--json", "--devices", "60", "--port", str(free_port()), TMPDIR=str(empty))
    output, talk = process.communicate(timeout=120)
    assert process.returncode == 0, talk
    result = json.loads(output)
    assert set(result) == KEYS
    assert (result["devices"], result["mailboxes"] > 30) == (60, True)
    assert result["decisions"] == {"leave": 60, "allow": 0, "quarantine": 0, "block": 1}
    assert (result["changes"], result["notices"]) == (2, 4)
    story = {"quarantined", "allowed", "warned", "blocked"}
    assert set(result["seconds"]) == {"start", "enrol", "inventory", "total"} | story
    assert sum(result["seconds"][step] for step in story) < 60
    assert result["seconds"]["total"] < 120
    assert re.fullmatch(r"http://localhost:\d+", result["console"])  # a name, which passkeys need
    assert list(empty.iterdir()) == []


def test_it_stays_until_it_is_stopped_and_starts_quickly_again(folder: Path) -> None:
    """The console answers; SIGTERM leaves nothing running; the second start uses what the first made and was told."""
    arguments = ("--devices", "40", "--port", str(free_port()), "--folder", folder, "--json")
    passwords = []
    for seconds, mode in ((START_SECONDS, "enforce"), (15, "observe")):
        begun = time.monotonic()
        process = demo(*arguments)
        assert process.stdout is not None
        result = json.loads(process.stdout.readline() or process.communicate()[1])
        assert time.monotonic() - begun < seconds
        assert 35 <= result["devices"] <= 50  # the story has begun
        with urllib.request.urlopen(f"{result['console']}/readyz", timeout=5) as answer:
            assert answer.status == 200
        parts = below(process.pid)
        assert sum("gatepost" in args for args in parts.values()) >= 3, parts
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=30)
        assert process.returncode == 0, talk
        assert "nothing is left running" in talk
        assert gone(parts), alive(parts)
        place = folder / "devices-40"
        password = place / "administrator.password"
        assert password.stat().st_mode & 0o777 == 0o600
        passwords.append(password.read_text())
        config = place / "connector.toml"
        assert f'mode = "{mode}"\nsettings_may_change = true\n' in config.read_text()
        set_mode(config, "observe")
    assert passwords[0] == passwords[1]
    logs = "".join(path.read_text() for path in folder.rglob("*.log"))
    assert passwords[0].strip() not in logs


def test_a_part_that_dies_is_named_and_the_rest_ends(folder: Path) -> None:
    """Which one, with the end of its log; and then nothing runs."""
    process = demo("--devices", "40", "--port", str(free_port()), "--folder", folder, "--json")
    assert process.stdout is not None
    assert process.stdout.readline()
    parts = below(process.pid)
    [lab] = [pid for pid, args in parts.items() if "lab exchange" in args]
    os.kill(lab, signal.SIGKILL)
    _, talk = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "The lab ended (exit code -9)" in talk
    assert "An Exchange organization with 40 devices is ready" in talk
    assert gone(parts), alive(parts)


def test_a_demo_that_is_killed_leaves_nothing_running(folder: Path) -> None:
    """Even without a chance to clean up, its parts end with it."""
    process = demo("--devices", "40", "--port", str(free_port()), "--folder", folder, "--json")
    assert process.stdout is not None
    assert process.stdout.readline()
    end = time.monotonic() + START_SECONDS
    parts = below(process.pid)
    while not any(" connector run " in args for args in parts.values()):  # it starts once the inventory was told
        assert time.monotonic() < end, parts
        time.sleep(0.05)
        parts = below(process.pid)
    process.kill()
    process.communicate()
    assert gone(parts), alive(parts)


def test_a_port_that_is_taken_is_told_and_the_next_one_used(folder: Path) -> None:
    """Somebody else's server is left alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        process = demo("--devices", "40", "--port", str(taken), "--folder", folder, "--json")
        assert process.stdout is not None
        result = json.loads(process.stdout.readline() or process.communicate()[1])
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=30)
    assert f"Port {taken} is taken; the console is on" in " ".join(talk.split())
    assert result["console"] != f"http://localhost:{taken}"


def test_a_folder_that_cannot_be_made_is_wrong_usage(tmp_path: Path) -> None:
    """The path and the way out are told before anything starts."""
    (tmp_path / "file").write_text("")
    process = demo("--once", "--folder", tmp_path / "file")
    _, talk = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "cannot be made" in talk
    assert "Choose one by --folder" in talk


def test_a_held_inventory_is_told_with_what_to_do(empty: Path) -> None:
    """Where the lab has far fewer phones than last time, the guard holds: exit code 4, and where to accept it."""
    arguments = ("--once", "--port", str(free_port()), "--folder", empty)
    first = demo(*arguments, "--devices", "120")
    _, talk = first.communicate(timeout=120)
    assert first.returncode == 0, talk
    assert "Done: 120 devices" in talk
    (empty / "devices-120").rename(empty / "devices-41")
    second = demo(*arguments, "--devices", "41")
    _, talk = second.communicate(timeout=120)
    assert second.returncode == 4, talk
    said = " ".join(talk.split())
    assert re.search(
        r"The service holds this synchronisation: \d+ of \d+ (devices|mailboxes) are missing; at most 50", said
    ), said
    assert "Accept the inventory on the console" in said
