"""Programs that ``gatepost demo`` starts, watches and stops: real processes, each with its log file.

Every one is in a session of its own, so that Ctrl-C reaches the demo alone, which then stops them in good order. Where
the system can do it, they also end when the demo is killed.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gatepost.errors import GatepostError

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
TAIL_LINES = 12
POLL_SECONDS = 0.1
ANSWER_SECONDS = 15.0


def gatepost(*arguments: str | Path) -> list[str]:
    """The command line of one of our own programs."""
    ours = [sys.executable, "-m", "gatepost", *map(str, arguments)]
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM", "--", *ours] if setpriv else ours


class Interruption:
    """Ctrl-C and the signals that end a process, as one KeyboardInterrupt; never while a program is being started."""

    def __init__(self) -> None:
        self._held = self._asked = False
        self._numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
        for number in self._numbers:
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)
        self._asked = True
        if not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done in here is done whole; an interruption comes at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._asked:
                raise KeyboardInterrupt


class Program:
    """One running program. One that ``stays`` says on stdout, by its first line, when it is ready.

    ``talk`` is a file descriptor for its stderr; without one that goes to the log. One that ``hears`` answers each line
    on its stdin by one on stdout.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        stays: bool,
        talk: int | None = None,
        hears: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        self.stays = stays
        self._printed = threading.Condition()
        self._ended = False
        self._lines: list[str] = []
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE if hears else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file if talk is None else talk,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Take in what it prints: the first line is waited for, all of it is data."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._printed:
                self._lines.append(line.decode(errors="replace"))
                self._printed.notify_all()
        with self._printed:
            self._ended = True
            self._printed.notify_all()

    def poll_first_line(self) -> dict[str, Any] | None:
        """The first line as JSON, once it is there."""
        return self._line(0) if self._lines else None

    def ask(self, question: object, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Write one line of JSON to it, and read its answer. Raises GatepostError where none comes."""
        assert self.process.stdin is not None
        with self._printed:
            number = len(self._lines)
            with contextlib.suppress(OSError):  # it has ended, which is told below
                self.process.stdin.write(json.dumps(question).encode() + b"\n")
                self.process.stdin.flush()
            self._printed.wait_for(lambda: len(self._lines) > number or self._ended, seconds)
            if len(self._lines) <= number:
                raise GatepostError(f"{self.name} does not answer.", f"The end of {self.log}:\n{_tail(self.log)}")
        return self._line(number)

    def _line(self, number: int) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self._lines[number])
        return line

    def output(self) -> str:
        """All that it printed; only after it ended."""
        self._reader.join()
        return "".join(self._lines)

    def failure(self) -> GatepostError:
        """That it ended, as an error with the tail of its log."""
        code = self.process.returncode
        return GatepostError(f"{self.name} ended (exit code {code}).", f"The end of {self.log}:\n{_tail(self.log)}")

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, wait, and end it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdout, self.process.stdin):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Programs:
    """All programs of a demo; a context manager that leaves nothing running, whatever happens."""

    def __init__(self, logs: Path, interruption: Interruption) -> None:
        self._logs = logs
        self._interruption = interruption
        self._running: list[Program] = []

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all, the last started first."""
        while self._running:
            self._running.pop().stop()

    def start(self, name: str, *arguments: str | Path, hears: bool = False) -> Program:
        """Start one that stays; ``ready`` waits for its first line. One that ``hears`` may be asked."""
        log = self._logs / f"{name}.log"
        log.unlink(missing_ok=True)
        return self._launch(f"The {name}", gatepost(*arguments), log, stays=True, hears=hears)

    def _launch(
        self, name: str, command: list[str], log: Path, *, stays: bool, talk: int | None = None, hears: bool = False
    ) -> Program:
        with self._interruption.held():
            program = Program(name, command, log, stays=stays, talk=talk, hears=hears)
            self._running.append(program)
        return program

    def ready(self, program: Program) -> dict[str, Any]:
        """What it says when it is ready. Raises where it, or another, ended before."""
        end = time.monotonic() + READY_SECONDS
        while (line := program.poll_first_line()) is None:
            self.watch()
            if time.monotonic() > end:
                raise GatepostError(
                    f"{program.name} was not ready within {READY_SECONDS:.0f} s.",
                    f"The end of {program.log}:\n{_tail(program.log)}",
                )
            time.sleep(POLL_SECONDS)
        return line

    def do(self, name: str, *arguments: str | Path, show: bool = False, fine: Sequence[int] = (0,)) -> tuple[int, str]:
        """Run one to its end while the others are watched; returns exit code and output. ``show`` lets it talk.

        Raises where its exit code is none of ``fine``.
        """
        talk = sys.stderr.fileno() if show else None
        program = self._launch(name, gatepost(*arguments), self._logs / "steps.log", stays=False, talk=talk)
        while program.process.poll() is None:
            self.watch()
            time.sleep(POLL_SECONDS)
        self._running.remove(program)
        output = program.output()
        program.stop()
        if program.process.returncode not in fine:
            raise program.failure()
        return program.process.returncode, output

    def watch(self) -> None:
        """Raise where one that should run has ended."""
        for program in self._running:
            if program.stays and program.process.poll() is not None:
                raise program.failure()


def _tail(log: Path) -> str:
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, TAIL_LINES)).rstrip()
    except OSError:
        return "(no log)"
