"""What differs between operating systems: private files, one process to a folder, signals, a clock that counts sleep.

The only module of the connector with calls that exist on one system alone; its functions exist on both.
"""

import contextlib
import glob
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from gatepost.errors import StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import pwd

LOCK_FILE = "lock"
HEX = "[0-9a-f]"
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # root works in folders of others, who could lay a link to a file of root's


def private_folder(path: Path) -> Path:
    """Make a folder that only this user may enter (on Windows it inherits the rights of its parent)."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {path} cannot be made: {error.strerror}.", "Choose another folder.") from error
    return path


def settings_folder(path: Path) -> None:
    """Make the folder of a settings file, which others may enter: no secret is in it. Raises StoreError."""
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {path} cannot be made: {error.strerror}.", "Choose another folder.") from error


def write_private(path: Path, content: str | bytes, readers: Path | None = None) -> None:
    """Write a file that only this user may read, whole or not at all, and on the disk when this returns.

    What root writes belongs to whom the folder belongs: set-up may run as root for a connector that does not.
    With ``readers``, a folder, it stays root's, and the group of that folder may read it. What processes that were
    killed here have left beside it goes too.
    """
    raw = content.encode() if isinstance(content, str) else content
    beside = _beside(path)
    try:
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            _belong(file.fileno(), path.parent, readers)
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreError(f"The file {path} cannot be written: {error.strerror}.", "Check rights and space.") from error
    _destroy_unfinished(path)


def append_private(path: Path, text: str) -> None:
    """Add to a file that only this user may read, on the disk when this returns; root's belongs to the folder's owner.

    Raises OSError.
    """
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | NO_LINKS, 0o600)
    with os.fdopen(handle, "wb") as file:
        _belong(file.fileno(), path.parent)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _belong(handle: int, folder: Path, readers: Path | None = None) -> None:
    """Give a file that root has made to the owner of its folder, or let the group of another folder read it."""
    if sys.platform == "win32" or os.geteuid() != 0 or os.fstat(handle).st_nlink != 1:
        return
    if readers is None:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)
    else:
        os.fchown(handle, -1, readers.stat().st_gid)
        os.fchmod(handle, 0o640)


def is_root() -> bool:
    """Whether this process may do everything on a system where that is one user."""
    return sys.platform != "win32" and os.geteuid() == 0


def has_user(name: str) -> bool:
    """Whether this system has a user of this name."""
    if sys.platform == "win32":
        return False
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def give(path: Path, user: str) -> None:
    """Make a user of this system, who is there, the owner of a file or folder. For root."""
    if sys.platform != "win32":
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def destroy(path: Path) -> None:
    """Remove a private file; its bytes are overwritten first, which reaches the disk where that writes in place.

    It loses its name before its bytes: whoever is killed here leaves it as it was, or gone. What was left so, or by
    ``write_private``, goes too. A file that is gone is no fault. Raises StoreError, also for a link: what that leads to
    may be anybody's.
    """
    try:
        os.close(os.open(path, os.O_RDWR | NO_LINKS))
        path.replace(_beside(path))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _stays(path, error) from error
    _destroy_unfinished(path)


def _beside(path: Path) -> Path:
    """A name for what is not yet, or no more, this file."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _destroy_unfinished(path: Path) -> None:
    """Remove what is not yet, or no more, this file; also of processes that were killed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{HEX * 8}"):
        try:
            with os.fdopen(os.open(left, os.O_RDWR | NO_LINKS), "r+b") as file:
                file.write(secrets.token_bytes(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            left.unlink()
            _sync_folder(path.parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _stays(left, error) from error


def _stays(path: Path, error: OSError) -> StoreError:
    return StoreError(f"The file {path} cannot be removed: {error.strerror}.", "Remove it by hand: it holds secrets.")


def is_open_to_all(path: Path) -> bool:
    """Whether every user of this machine may read a file. Windows answers by the folder's rights: never here."""
    return sys.platform != "win32" and bool(path.stat().st_mode & 0o004)


def _sync_folder(path: Path) -> None:
    """Make a rename last through a power cut; Windows does it by itself."""
    if sys.platform != "win32":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class FolderLock:
    """One process at a time on a folder; the system lets go of it when the process dies, however it dies."""

    def __init__(self, folder: Path, name: str = LOCK_FILE) -> None:
        self._folder = folder
        self._name = name
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Take the lock, or raise StoreError at once."""
        if not self.take():
            raise StoreError(
                f"Another connector works on the folder {self._folder}.", "Stop that one, or give this one its own."
            )
        return self

    def take(self) -> bool:
        """Take the lock where it is free. Raises StoreError where the folder cannot hold one."""
        path = self._folder / self._name
        try:
            handle = os.open(path, os.O_CREAT | os.O_RDWR | NO_LINKS, 0o600)
            _belong(handle, self._folder)
        except OSError as error:
            raise StoreError(f"The file {path} cannot be opened: {error.strerror}.", "Check its rights.") from error
        try:
            if sys.platform == "win32":
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        self.release()

    def release(self) -> None:
        """Let go of it, where it was taken."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_locked(folder: Path) -> bool:
    """Whether a connector works on a folder now."""
    lock = FolderLock(folder)
    try:
        return not lock.take()
    finally:
        lock.release()


def on_stop(stop: Callable[[], None]) -> None:
    """Call ``stop`` in the main thread when the system or a person asks this process to end.

    It should raise: what a signal interrupts cannot be waited for. A second signal ends the process at once.
    """
    names = ("SIGINT", "SIGTERM", "SIGBREAK" if sys.platform == "win32" else "SIGHUP")
    numbers = [getattr(signal, name) for name in names]

    def once(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in numbers:
        signal.signal(number, once)


def monotonic() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps: what a lease is measured with."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def processors() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int | None:
    """The machine's memory in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def readable_by_others(path: Path) -> bool:
    """Whether users other than its owner may look into a folder (on Windows its parent's rights decide)."""
    return sys.platform != "win32" and bool(path.stat().st_mode & 0o077)


def name() -> str:
    """This host's name, as shown on the console."""
    return socket.gethostname()
