"""What differs between systems: private files, one process to a folder, signals; and that Windows can load it."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from gatepost.connector import host
from gatepost.errors import StoreError

CONNECTOR = Path(host.__file__).parent

WINDOWS = """
import importlib, pkgutil, sys, types
import requests, urllib3, cryptography, psrpcore, spnego, lxml.etree, pypsrp.encryption, msgspec  # as installed there
import sqlite3, ssl, logging.handlers, concurrent.futures, multiprocessing
if "gatepost" in sys.modules:
    raise SystemExit("imported too early")
sys.platform = "win32"
for name in ("fcntl", "pwd", "grp", "resource", "termios", "pty", "tty"):
    sys.modules[name] = None
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
import gatepost.connector
for module in pkgutil.walk_packages(gatepost.connector.__path__, "gatepost.connector."):
    importlib.import_module(module.name)
    print(module.name.rpartition(".")[2])
"""


def test_every_module_of_the_connector_loads_on_windows() -> None:
    """With the platform set to Windows and what only POSIX has blocked, every module can be imported."""
    ran = subprocess.run([sys.executable, "-c", WINDOWS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    modules = {path.stem for path in CONNECTOR.rglob("*.py")} - {"__init__"}
    assert set(ran.stdout.split()) == modules | {"doctor", "setup"}


def test_a_private_file_is_whole_and_for_its_user_only(tmp_path: Path) -> None:
    """Written beside and put in place; nothing else stays in the folder."""
    folder = host.private_folder(tmp_path / "deep" / "folder")
    host.write_private(folder / "secret", "first")
    host.write_private(folder / "secret", "second")
    assert (folder / "secret").read_text() == "second"
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.listdir(folder) == ["secret"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root, who alone can write for others")
def test_what_root_writes_belongs_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    """Set-up may run as root for a connector that does not; settings stay root's, and the connector may read them."""
    folder = host.private_folder(tmp_path / "connector")
    os.chown(folder, 12_345, 23_456)
    host.write_private(folder / "secret", "text")
    with host.FolderLock(folder):
        pass
    for name in ("secret", host.LOCK_FILE):
        made = (folder / name).stat()
        assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (12_345, 23_456, 0o600)
    host.write_private(tmp_path / "connector.toml", "text", readers=folder)
    made = (tmp_path / "connector.toml").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (0, 23_456, 0o640)


@pytest.mark.skipif(os.name == "nt", reason="links there need a right of their own")
def test_a_link_that_somebody_laid_is_not_followed(tmp_path: Path) -> None:
    """Root works in the connector's folder: whoever is the connector must not make root write to a file of root's."""
    folder, theirs = host.private_folder(tmp_path / "connector"), tmp_path / "shadow"
    theirs.write_text("precious")
    before = theirs.stat()
    for name in ("secret", "journal", host.LOCK_FILE):
        (folder / name).symlink_to(theirs)
    with pytest.raises(StoreError, match=r"secret cannot be removed: .*symbolic links\. Remove it by hand"):
        host.destroy(folder / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        host.append_private(folder / "journal", "line")
    with pytest.raises(StoreError, match=r"lock cannot be opened: .*symbolic links"):
        host.FolderLock(folder).take()
    host.write_private(folder / "secret", "text")
    assert not (folder / "secret").is_symlink()
    assert theirs.read_text() == "precious"
    assert (theirs.stat().st_uid, theirs.stat().st_mtime_ns) == (before.st_uid, before.st_mtime_ns)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root, who alone can give files away")
def test_root_gives_away_no_file_that_has_another_name(tmp_path: Path) -> None:
    """Neither through a second name that was laid into the folder nor through a link in the folder's place."""
    folder, theirs = host.private_folder(tmp_path / "connector"), tmp_path / "shadow"
    os.chown(folder, 12_345, 23_456)
    theirs.write_text("precious")
    os.link(theirs, folder / host.LOCK_FILE)
    (folder / "link").symlink_to(theirs)
    with host.FolderLock(folder):
        assert theirs.stat().st_uid == 0
    host.give(folder / "link", "nobody")
    assert theirs.stat().st_uid == 0


def test_what_a_killed_process_left_half_written_goes_with_the_file(tmp_path: Path) -> None:
    """Whether it is written anew or destroyed; names that only look alike stay."""
    other = tmp_path / ".secret.backup"
    other.write_text("theirs")
    secret = tmp_path / "secret"
    for finish in (partial(host.write_private, secret, "text"), partial(host.destroy, secret)):
        (tmp_path / ".secret.0123abcd").write_text("left")
        finish()
        assert not (tmp_path / ".secret.0123abcd").exists()
    assert os.listdir(tmp_path) == [other.name]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The path and what to check stand in the error."""
    with pytest.raises(StoreError, match=r"nowhere/secret cannot be written: No such file.*Check rights and space"):
        host.write_private(tmp_path / "nowhere" / "secret", "text")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be made.*Choose another folder"):
        host.private_folder(tmp_path / "file" / "folder")


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused while the first works, and may begin when it has ended."""
    assert not host.is_locked(tmp_path)
    with host.FolderLock(tmp_path):
        assert host.is_locked(tmp_path)
        with pytest.raises(StoreError, match=r"Another connector works on the folder .*Stop that one"):
            host.FolderLock(tmp_path).__enter__()
    with host.FolderLock(tmp_path):
        pass


def test_a_folder_that_cannot_hold_a_lock_is_told(tmp_path: Path) -> None:
    """It is not mistaken for another connector at work."""
    said = r"lock cannot be opened: No such file or directory\. Check its rights\."
    with pytest.raises(StoreError, match=said), host.FolderLock(tmp_path / "nowhere"):
        pass
    with pytest.raises(StoreError, match=said):
        host.is_locked(tmp_path / "nowhere")


def test_a_dead_process_leaves_no_lock(tmp_path: Path) -> None:
    """However it died, the system lets go of its lock."""
    hold = "import sys, gatepost.connector.host as h, pathlib\nh.FolderLock(pathlib.Path(sys.argv[1])).__enter__()\n"
    program = hold + "print('held', flush=True)\nsys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert host.is_locked(tmp_path)
        holder.kill()
        holder.wait()
    assert not host.is_locked(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_unwinds_what_the_main_thread_waits_for(number: signal.Signals) -> None:
    """The wait ends at once through an exception, so that everything is closed on the way out."""
    program = (
        "import threading, gatepost.connector.host as h\n"
        "class Out(Exception): pass\n"
        "def out(): raise Out\n"
        "h.on_stop(out)\n"
        "try:\n    print('ready', flush=True)\n    threading.Event().wait()\n"
        "except Out:\n    print('closed', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        waiting.send_signal(number)
        assert waiting.stdout.readline() == "closed\n"
        assert waiting.wait(10) == 0


def test_the_clock_of_leases_goes_forward() -> None:
    """It is read in seconds and never goes back."""
    first = host.monotonic()
    assert host.monotonic() >= first
    assert host.name()
