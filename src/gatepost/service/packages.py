"""The connector's packages that an operator has put here, and the set-up package made of one for an organization.

A package is an opaque file (``make package``) with a JSON beside it; one that was changed since is not offered.
The set-up package is a zip: that file, the settings, a new ticket, a text for people, and a manifest with the hash of
each, signed by the tenant's key (``connector/package.py`` reads it; docs/protocol.md has its contract).
"""

import base64
import hashlib
import json
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gatepost.domain import signing
from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.errors import Problem, ServiceError
from gatepost.service import audit, enrolment
from gatepost.service.database import Scope
from gatepost.service.keys import TenantKeys
from gatepost.service.zips import Entry

CONTRACT = 1
ARCHIVE, PROGRAM = "Gatepost_Connector_Setup.zip", "gatepost-connector.pyz"
CHUNK = 256 * 1024
LONGEST_NAME = 200
PRIVATE, PUBLIC, RUNNABLE = 0o600, 0o644, 0o755


@dataclass(frozen=True, slots=True)
class About:
    """What ``make package`` wrote beside a package. ``kerberos`` says of each Python what there is for Kerberos."""

    version: str
    platform: str
    python: tuple[str, ...]
    kerberos: dict[str, str]
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """One package on offer. ``crc`` and ``stamp`` are of the file as it was looked at."""

    path: Path
    about: About
    crc: int
    stamp: tuple[int, ...]

    @property
    def platform(self) -> str:
        """The platform that it is for."""
        return self.about.platform


@dataclass(frozen=True, slots=True)
class Made:
    """A set-up package that was made: its entries, and until when its ticket is good."""

    entries: tuple[Entry, ...]
    made_at: datetime
    expires_at: datetime


class Packages:
    """The packages in a folder, each read once as long as it does not change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._sums: dict[tuple[int, ...], tuple[str, int]] = {}

    def offered(self) -> list[Package]:
        """The newest package of each platform; blocks while files are read for the first time."""
        with self._lock:
            found = [package for path in self._files() if (package := self._package(path))]
        newest = {package.platform: package for package in sorted(found, key=_age)}
        return [newest[platform] for platform in sorted(newest)]

    def of(self, platform: str) -> Package:
        """The package for a platform. Raises Problem 409 ``no-package``."""
        for package in self.offered():
            if package.platform == platform:
                return package
        raise Problem(409, "no-package", "There is no package for this platform.")

    def spoilt(self) -> list[str]:
        """The names of packages that are not offered: changed since they were built, or copied in part."""
        with self._lock:
            return [path.name for path in self._files() if self._package(path) is None]

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == ".pyz" and path.is_file())
        except OSError:
            return []

    def _package(self, path: Path) -> Package | None:
        try:
            about = TypeAdapter(About).validate_json(path.with_suffix(".json").read_bytes())
            stamp = _stamp(path)
            if stamp not in self._sums:
                self._sums[stamp] = _sums(path)
        except (OSError, ValidationError):
            return None
        sha256, crc = self._sums[stamp]
        return Package(path, about, crc, stamp) if (sha256, stamp[0]) == (about.sha256, about.size) else None


def _age(package: Package) -> tuple[int, str]:
    return package.stamp[1], package.path.name


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes with a file's content: size, time, and which file it is."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev


def _sums(path: Path) -> tuple[str, int]:
    """A file's SHA-256 in hex and its CRC-32."""
    digest, crc = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            crc = zlib.crc32(piece, crc)
    return digest.hexdigest(), crc


def checked_name(name: str) -> str:
    """An organization's name as it may stand in files and on pages. Raises Problem 400 ``organization-name``."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or not _encodable(name):
        raise Problem(400, "organization-name", f"An organization's name has 1 to {LONGEST_NAME} visible characters.")
    return name


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


async def make(
    scope: Scope, keys: TenantKeys, package: Package, *, service: str, tenant: str, organization: str, actor: str
) -> Made:
    """A set-up package with a new ticket for an organization, which is made if it is new. Raises Problem.

    ``service`` is the address that the connector will call, ``tenant`` the tenant's short name.
    """
    ticket = await enrolment.add_ticket(scope, checked_name(organization), actor)
    body = {
        "organization": checked_name(organization),
        "platform": package.platform,
        "version": package.about.version,
        "expires_at": iso(ticket.expires_at),
    }
    await audit.record(scope, Event.PACKAGE_MADE, actor, body, ticket.organization_id)
    now = datetime.now(UTC)
    setup = _toml(
        service=service,
        tenant=tenant,
        organization=checked_name(organization),
        made_by=actor,
        expires_at=ticket.expires_at,
    )
    entries = (
        Entry(PROGRAM, package.about.size, package.crc, RUNNABLE, lambda: _pieces(package)),
        _entry("setup.toml", setup, PUBLIC),
        _entry("ticket", ticket.text.encode("ascii") + b"\n", PRIVATE),
        _entry("README.txt", README, PUBLIC),
    )
    digests = {PROGRAM: package.about.sha256}
    manifest = _manifest(entries, digests, keys.public)
    signature = base64.b64encode(keys.sign(signing.manifest_bytes(manifest))) + b"\n"
    signed = (_entry("manifest.json", manifest, PUBLIC), _entry("manifest.signature", signature, PUBLIC))
    return Made((*entries, *signed), now, ticket.expires_at)


def _manifest(entries: tuple[Entry, ...], digests: dict[str, str], public_key: bytes) -> bytes:
    """The list of files with size and SHA-256; those not in ``digests`` are small and read here."""

    def digest(entry: Entry) -> str:
        return digests.get(entry.name) or hashlib.sha256(b"".join(entry.read())).hexdigest()

    files = [{"name": entry.name, "size": entry.size, "sha256": digest(entry)} for entry in entries]
    document = {"contract": CONTRACT, "key": base64.b64encode(public_key).decode("ascii"), "files": files}
    return json.dumps(document, indent=1).encode() + b"\n"


def _entry(name: str, body: bytes, mode: int) -> Entry:
    return Entry(name, len(body), zlib.crc32(body), mode, lambda: iter([body]))


def _pieces(package: Package) -> Iterator[bytes]:
    """A package's content. Raises ServiceError where it is not the file any more that the manifest was signed for."""
    with package.path.open("rb") as file:
        found = os.fstat(file.fileno())
        if (found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev) != package.stamp:
            raise ServiceError(f"{package.path} was replaced while it was handed out.", "Download it anew.")
        while piece := file.read(CHUNK):
            yield piece


def _toml(**values: str | datetime) -> bytes:
    """Settings as TOML; a text that has a line end or control character cannot come here (``checked_name``)."""
    lines = [f"{name} = {_value(value)}" for name, value in values.items()]
    return "\n".join([HEAD, *lines, ""]).encode()


def _value(value: str | datetime) -> str:
    if isinstance(value, datetime):
        return iso(value) or ""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


HEAD = "# Made by Gatepost for one organization. Do not change this file: the manifest is signed, and set-up looks."
README = Path(__file__).with_name("packages.txt").read_bytes()
