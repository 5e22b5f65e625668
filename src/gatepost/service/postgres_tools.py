"""``pg_dump`` and ``pg_restore``: found, run, and their troubles told in words. No password is in their arguments."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gatepost.errors import DatabaseError
from gatepost.service import embedded
from gatepost.service.database import check_url, unreachable


@dataclass(frozen=True, slots=True)
class Tools:
    """The folder with the programs, and their major version."""

    folder: Path
    version: int

    def program(self, name: str) -> str:
        """The path of one of them."""
        return str(self.folder / name)


def server_version(url: str) -> int:
    """The major version of a server. Raises DatabaseError."""
    check_url(url)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            return connection.info.server_version // 10_000
    except psycopg.Error as error:
        raise unreachable(error) from error


def find(major: int, configured: Path | None = None) -> Tools:
    """The programs for a server of this major version: the same one's, else the next newer's. Raises DatabaseError."""
    folders = [configured] if configured else [*embedded.folders(), *_on_path()]
    found = {tools.version: tools for folder in reversed(folders) if (tools := _probe(folder))}
    usable = [version for version in found if version >= major]
    if not usable:
        raise DatabaseError(
            f"pg_dump and pg_restore of PostgreSQL {major} or later were not found"
            + (f"; those here are of {max(found)}." if found else "."),
            f"Install the client programs of PostgreSQL {major}, or name their folder with --postgres-bin.",
        )
    return found[major if major in found else min(usable)]


@contextlib.contextmanager
def signed_in(url: str) -> Iterator[tuple[str, dict[str, str]]]:
    """How a program reaches a database: a connection string without a password, and an environment naming its file.

    The file with the password is gone afterwards.
    """
    given = conninfo_to_dict(url)
    password = str(given.pop("password", "") or "")
    with tempfile.NamedTemporaryFile("w", prefix="gatepost-", encoding="utf-8") as file:
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        yield make_conninfo("", **given), {**os.environ, "PGPASSFILE": file.name, "LC_ALL": "C.UTF-8"}


def run(tools: Tools, name: str, url: str | None, arguments: list[str], source: IO[bytes] | None = None) -> bytes:
    """Run a program to its end, with ``source`` on its standard input; what it says. Raises DatabaseError."""
    with contextlib.ExitStack() as stack:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        if url is not None:
            address, environment = stack.enter_context(signed_in(url))
            arguments = [*arguments, "--no-password", "--dbname", address]
        errors = stack.enter_context(tempfile.TemporaryFile())
        said = stack.enter_context(tempfile.TemporaryFile())
        with subprocess.Popen(
            [tools.program(name), *arguments], stdin=subprocess.PIPE, stdout=said, stderr=errors, env=environment
        ) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                if source is not None:
                    shutil.copyfileobj(source, process.stdin, 1 << 20)
                process.stdin.close()
        said.seek(0)
        if process.returncode:
            raise failed(name, errors)
        return said.read()


def failed(name: str, errors: IO[bytes]) -> DatabaseError:
    """What a program said last, as our error; passwords are never in it."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if "error:" in line] or lines[-1:] or ["it said nothing"]
    said = re.sub(r"^pg_\w+: (error: )?", "", told[0]).rstrip(".")
    return DatabaseError(
        f"{name} failed: {said}.", "docs/operations.md names the roles and rights that it needs, and what to do."
    )


def _probe(folder: Path) -> Tools | None:
    """The programs in a folder, if both are there and run."""
    if not (folder / "pg_restore").exists():
        return None
    try:
        said = subprocess.run([folder / "pg_dump", "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    major = re.search(r"\) (\d+)", said)
    return Tools(folder, int(major[1])) if major else None


def _on_path() -> list[Path]:
    found = shutil.which("pg_dump")
    return [Path(found).resolve().parent, Path(found).parent] if found else []
