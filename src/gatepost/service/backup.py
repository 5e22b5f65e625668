"""Backup of the whole service into one file, and its way back into an empty database.

The file is a ZIP without compression: ``database.dump`` (pg_dump's custom format), ``manifest.json``, and with
``--with-key`` also ``service.key``. It is for the owner's eyes only (0600): secrets in it are sealed by the key file,
and everything else, from names to addresses, is in clear.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import psycopg

from gatepost import __version__
from gatepost.domain.contract import iso
from gatepost.errors import DatabaseError, ServiceError
from gatepost.service import migrations, postgres_tools, restored
from gatepost.service.administration import operating
from gatepost.service.database import Database, unreachable
from gatepost.service.vault import Vault

FORMAT = 1
DUMP, MANIFEST, KEY = "database.dump", "manifest.json", "service.key"
CHUNK = 1 << 20
HISTORY = "TABLE DATA public incarnation "
"""The row that a restore leaves out, so that nothing runs on a database whose restore was broken off."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. ``key_id`` names the key file that seals its secrets, empty where it has none."""

    format: int
    made_at: str
    version: str
    revision: str
    postgres: int
    incarnation: str
    key_id: str
    with_key: bool
    tenants: int
    size: int
    sha256: str


def make(operator_url: str, file: Path, key_file: Path | None = None, postgres_bin: Path | None = None) -> Manifest:
    """Write a backup while the service runs; ``key_file`` goes into it where one is given.

    Raises ServiceError, SettingsError, DatabaseError; then there is no file.
    """
    if file.exists():
        raise ServiceError(f"The file {file} is there already.", "Name a new file; nothing is overwritten.")
    major = postgres_tools.server_version(operator_url)
    tools = postgres_tools.find(major, postgres_bin)
    known = asyncio.run(_describe(operator_url))
    if key_file and known["key_id"] and Vault.open_file(key_file).key_id != known["key_id"]:
        raise ServiceError(f"{key_file} is not the key file of this database.", "Name the one that the service uses.")
    with _new_file(file) as out, zipfile.ZipFile(out, "w") as archive:
        size, digest = _dump(tools, operator_url, archive)
        manifest = Manifest(
            format=FORMAT,
            made_at=iso(datetime.now(UTC)) or "",
            version=__version__,
            revision=known["revision"],
            postgres=major,
            incarnation=known["incarnation"],
            key_id=known["key_id"],
            with_key=key_file is not None,
            tenants=int(known["tenants"]),
            size=size,
            sha256=digest,
        )
        if key_file:
            archive.writestr(KEY, key_file.read_bytes())
        archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
    return manifest


def read(file: Path) -> Manifest:
    """What a backup says of itself, after all of it was looked at. Raises ServiceError where it is none, or damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            raw = json.loads(archive.read(MANIFEST))
            if raw.get("format") != FORMAT or not migrations.knows(raw["revision"]):
                raise ServiceError(
                    f"The backup {file} was made by another version of Gatepost ({raw.get('version')}).",
                    "Restore it with that version, or a newer one.",
                )
            manifest = Manifest(**raw)
            size, digest = _digest(archive)
    except OSError as error:
        raise ServiceError(f"The backup {file} cannot be read: {error.strerror}.", "Check path and rights.") from error
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise _damaged(file) from error
    if (size, digest) != (manifest.size, manifest.sha256):
        raise _damaged(file)
    return manifest


def restore(
    file: Path, owner_url: str, operator_url: str, key_file: Path, postgres_bin: Path | None = None
) -> Manifest:
    """Bring a backup into an empty database, up to this version's schema, as another history.

    ``key_file`` must be the one that seals its secrets; where it is missing and in the backup, it is written. Raises
    ServiceError, SettingsError, DatabaseError.
    """
    manifest = read(file)
    major = postgres_tools.server_version(owner_url)
    if major < manifest.postgres:
        raise ServiceError(
            f"The backup comes from PostgreSQL {manifest.postgres}; this server is {major}.",
            f"Restore into PostgreSQL {manifest.postgres} or later.",
        )
    tools = postgres_tools.find(major, postgres_bin)
    _refuse_full(owner_url)
    _keep_key(file, manifest, key_file)
    _load(tools, file, owner_url)
    migrations.upgrade(owner_url)
    finish(operator_url, manifest.made_at)
    return manifest


def finish(operator_url: str, made_at: str = "") -> str:
    """Make a restored database another history; returns its incarnation. Raises SettingsError, DatabaseError."""

    async def begin() -> str:
        async with operating(operator_url) as database:
            return str(await restored.begin_afresh(database, made_at))

    return asyncio.run(begin())


async def _describe(operator_url: str) -> dict[str, str]:
    async with operating(operator_url) as database:
        await restored.refuse_unfinished(database)
        return await _facts(database)


async def _facts(database: Database) -> dict[str, str]:
    async with database.control() as scope:
        key, incarnation = await scope.one("vault.key_id"), await scope.one("schema.incarnation")
        tenants = await scope.all("tenants.all")
    return {
        "revision": migrations.head(),
        "incarnation": str(incarnation["incarnation"]) if incarnation else "",
        "key_id": key["key_id"] if key else "",
        "tenants": str(len(tenants)),
    }


def _dump(tools: postgres_tools.Tools, url: str, archive: zipfile.ZipFile) -> tuple[int, str]:
    """Stream pg_dump into the archive; its size and digest. A dump is of one moment, whatever goes on meanwhile."""
    digest, size = hashlib.sha256(), 0
    with postgres_tools.signed_in(url) as (address, environment), tempfile.TemporaryFile() as errors:
        command = [tools.program("pg_dump"), "--format=custom", "--no-owner", "--no-password", "--dbname", address]
        with (
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
            ) as process,
            archive.open(DUMP, "w", force_zip64=True) as out,
        ):
            assert process.stdout is not None
            while chunk := process.stdout.read(CHUNK):
                out.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        if process.returncode:
            raise postgres_tools.failed("pg_dump", errors)
    return size, digest.hexdigest()


def _digest(archive: zipfile.ZipFile) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with archive.open(DUMP) as dump:
        while chunk := dump.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _load(tools: postgres_tools.Tools, file: Path, owner_url: str) -> None:
    """All of it in one transaction, but for the row of the incarnation."""
    with zipfile.ZipFile(file) as archive, tempfile.NamedTemporaryFile("wb") as wanted:
        with archive.open(DUMP) as dump:
            listed = postgres_tools.run(tools, "pg_restore", None, ["--list"], dump)
        wanted.write(b"".join(line for line in listed.splitlines(keepends=True) if HISTORY.encode() not in line))
        wanted.flush()
        arguments = ["--single-transaction", "--exit-on-error", "--no-owner", f"--use-list={wanted.name}"]
        with archive.open(DUMP) as dump:
            postgres_tools.run(tools, "pg_restore", owner_url, arguments, dump)


def _refuse_full(owner_url: str) -> None:
    """See that the database is empty and has the roles around it. Raises ServiceError, DatabaseError."""
    tables = (
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'S') AND n.nspname !~ '^(pg_|information_schema$)'"
    )
    missing = (
        "SELECT string_agg(name, ', ') FROM unnest(%s::text[]) AS r (name) "
        "WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)"
    )
    try:
        with psycopg.connect(owner_url, connect_timeout=10) as connection:
            [count] = connection.execute(tables).fetchone() or (0,)
            [roles] = connection.execute(missing, [list(migrations.ROLES)]).fetchone() or (None,)
    except psycopg.Error as error:
        raise unreachable(error) from error
    if roles:
        raise DatabaseError(f"Roles are missing in this server: {roles}.", "docs/operations.md says how to make them.")
    if count:
        raise ServiceError(
            "The database is not empty: it holds tables already.",
            "A backup goes into an empty database only. Name a new --data folder, or make another database.",
        )


def _keep_key(file: Path, manifest: Manifest, key_file: Path) -> None:
    """See that the key file is the one; written where it is missing and in the backup. Raises ServiceError."""
    if not key_file.exists() and manifest.with_key:
        with zipfile.ZipFile(file) as archive, _new_file(key_file) as out:
            out.write(archive.read(KEY))
    if not manifest.key_id:
        return
    if not key_file.exists():
        raise ServiceError(
            f"The key file {key_file} is missing, and the backup does not hold it.",
            "Put the service's key file there from its own backup, or name it with --key-file.",
        )
    if Vault.open_file(key_file).key_id != manifest.key_id:
        raise ServiceError(
            f"The key file {key_file} is not the one that seals the secrets in this backup.",
            "Name the key file that the service used when the backup was made (--key-file).",
        )


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there whole or not at all, for our eyes only. Raises ServiceError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(
            f"The file {path} cannot be written: {error.strerror}.", "Check path, rights and room on the disk."
        ) from error


def _damaged(file: Path) -> ServiceError:
    return ServiceError(f"The file {file} is not a backup of Gatepost, or is damaged.", "Use another copy of it.")
