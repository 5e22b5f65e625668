"""A piece of work that is killed at its n-th step, by SIGKILL from inside: before each thing that it leaves behind.

Nothing of ours is changed for it. Python's audit hooks tell of every file that is opened for writing, renamed or
removed in a folder, and of every connection; at the one that was chosen the process kills itself.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

SECONDS = 60
WRITES = os.O_WRONLY | os.O_RDWR
PATHS = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.link": 2, "sqlite3.connect": 1}
"""Events that have paths in front, and how many."""

_processes = multiprocessing.get_context("forkserver")


def killed_at(step: int, folder: Path, work: Callable[..., None], *given: Any) -> bool:
    """Do ``work(*given)`` in a process of its own, killed before its step of this number, counted from 1.

    False where it came to its end before that, in whatever way.
    """
    _processes.set_forkserver_preload([__name__, work.__module__])
    process = _processes.Process(target=_die, args=(step, folder, work, given))
    process.start()
    process.join(SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL), f"step {step} ended with {process.exitcode}"
    return process.exitcode == -signal.SIGKILL


def _die(step: int, folder: Path, work: Callable[..., None], given: tuple[Any, ...]) -> None:
    """The process: a hook that counts, and the work; an error of ours is an end like another."""
    left = step

    def count(event: str, details: tuple[Any, ...]) -> None:
        nonlocal left
        if _leaves_something(event, details, str(folder)):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        work(*given)


def _leaves_something(event: str, details: tuple[Any, ...], folder: str) -> bool:
    """Whether this can be seen from outside: in the folder, or by who is connected to."""
    if event == "socket.connect":
        return True
    if event == "open":
        return isinstance(details[2], int) and bool(details[2] & WRITES) and str(details[0]).startswith(folder)
    return any(str(path).startswith(folder) for path in details[: PATHS.get(event, 0)])
