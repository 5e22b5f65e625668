"""A set-up package as it lies unzipped in a folder: nothing in it may be missing, renamed, moved or changed.

The folder holds the connector as one file, ``setup.toml``, ``ticket``, a text for people, ``manifest.json`` with the
size and SHA-256 of each of them, and ``manifest.signature``. The manifest names the key that signed it; a person
compares that key's fingerprint, told apart, with ``check``: until then the package only agrees with itself.

The connector's file, when it runs, names itself in the variable ``GATEPOST_PACKAGE``: ``beside_program`` finds the
package by it. Where Gatepost was installed in another way there is no such variable.
"""

import base64
import binascii
import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.domain import signing
from gatepost.errors import SettingsError

CONTRACT = 1
PROGRAM = "GATEPOST_PACKAGE"
MANIFEST, SIGNATURE, SETUP, TICKET = "manifest.json", "manifest.signature", "setup.toml", "ticket"
NEEDED = (SETUP, TICKET)
LARGEST = 1024 * 1024
KEY_BYTES = 32
DOWNLOAD_ANEW = "Download the set-up package anew, and unzip it as it is."

Size = Annotated[int, msgspec.Meta(ge=0)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class File(msgspec.Struct, frozen=True):
    """One file of a package as the manifest has it; ``size`` in bytes."""

    name: str
    size: Size
    sha256: Digest


class Manifest(msgspec.Struct, frozen=True):
    """``manifest.json``: what is in the package. ``key`` is the service's public key in base64."""

    contract: int
    key: str
    files: tuple[File, ...]


class Setup(msgspec.Struct, frozen=True):
    """``setup.toml``: for whom the package was made. Times are in UTC."""

    service: str
    tenant: str
    organization: str
    made_by: str
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class SetupPackage:
    """A package that agrees with itself. ``public_key`` is the service's, 32 raw bytes; ``tenant`` its short name."""

    folder: Path
    service_url: str
    organization: str
    tenant: str
    made_by: str
    expires_at: datetime
    ticket_file: Path
    public_key: bytes = field(repr=False)

    def check(self, fingerprint: str) -> None:
        """See that the key is the one that a person was told apart. Raises SettingsError where it is another."""
        if not signing.same_fingerprint(self.public_key, fingerprint):
            raise SettingsError(
                f"The package in {self.folder} was signed by another key than you were told: its fingerprint is "
                f"{signing.fingerprint(self.public_key)}.",
                "Compare it with the console, on the page of the download. Where it differs, do not use the package.",
            )


def beside_program(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of the package that this program runs from; None where it was installed in another way."""
    program = environment.get(PROGRAM)
    folder = Path(program).parent if program else None
    return folder if folder and any((folder / name).exists() for name in (MANIFEST, SIGNATURE, SETUP)) else None


def read(folder: Path, now: datetime | None = None) -> SetupPackage:
    """The package in a folder, checked against its manifest. Raises SettingsError, which names the file."""
    body, signature = _content(folder, MANIFEST), _content(folder, SIGNATURE)
    manifest, key = _manifest(folder, body)
    _verify(folder, body, signature, key)
    for file in manifest.files:
        _check_file(folder, file)
    setup = _setup(folder)
    if setup.expires_at <= (now or datetime.now(UTC)):
        raise SettingsError(
            f"The package in {folder} expired at {setup.expires_at:%Y-%m-%d %H:%M} UTC: its ticket lives for a day.",
            "Download the set-up package anew.",
        )
    return SetupPackage(
        folder,
        setup.service,
        setup.organization,
        setup.tenant,
        setup.made_by,
        setup.expires_at,
        folder / TICKET,
        key,
    )


def _manifest(folder: Path, body: bytes) -> tuple[Manifest, bytes]:
    """What a manifest says, and its key. Raises SettingsError."""
    where = folder / MANIFEST
    try:
        contract = msgspec.json.decode(body, type=dict[str, object]).get("contract")
        if contract != CONTRACT:
            raise SettingsError(
                f"The file {where} is of contract {contract!r}, and this connector knows {CONTRACT}.",
                "Use the connector that lies in the same package.",
            )
        manifest = msgspec.json.decode(body, type=Manifest)
        key = base64.b64decode(manifest.key, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as error:
        raise SettingsError(f"The file {where} was changed: it cannot be read.", DOWNLOAD_ANEW) from error
    if len(key) != KEY_BYTES:
        raise SettingsError(f"The file {where} was changed: its key is none.", DOWNLOAD_ANEW)
    for file in manifest.files:
        if file.name != Path(file.name).name or not _is_plain(file.name):
            raise SettingsError(
                f"The file {where} names {file.name!r}, which is not a file of this folder.",
                "Do not use this package; tell who gave it to you.",
            )
    for name in NEEDED:
        if name not in {file.name for file in manifest.files}:
            raise SettingsError(f"The file {where} does not name {name}.", DOWNLOAD_ANEW)
    return manifest, key


def _is_plain(name: str) -> bool:
    """Whether a name can only be that of a file in the folder, on any system."""
    return name not in {"", ".", ".."} and name.isprintable() and not set(name) & set('/\\:*?"<>|')


def _verify(folder: Path, body: bytes, signature: bytes, key: bytes) -> None:
    """See that the manifest was signed by the key that it names. Raises SettingsError."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(
            base64.b64decode(signature.strip(), validate=True), signing.manifest_bytes(body)
        )
    except (InvalidSignature, ValueError) as error:
        raise SettingsError(
            f"{folder / MANIFEST} or {folder / SIGNATURE} was changed: the signature does not fit.", DOWNLOAD_ANEW
        ) from error


def _check_file(folder: Path, file: File) -> None:
    """See that a file is there as the manifest has it. Raises SettingsError that names it."""
    path = folder / file.name
    found = _status(path)
    if found is None:
        raise _missing(folder, file)
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{path} is not a file any more.", DOWNLOAD_ANEW)
    if found.st_size != file.size:
        raise SettingsError(
            f"The file {path} was changed: it has {found.st_size} bytes in place of {file.size}.", DOWNLOAD_ANEW
        )
    if _digest(path) != file.sha256:
        raise SettingsError(f"The file {path} was changed.", DOWNLOAD_ANEW)


def _missing(folder: Path, file: File) -> SettingsError:
    """Why a file is not there: renamed, spent, or moved away."""
    path = folder / file.name
    for other in sorted(folder.iterdir()):
        found = _status(other)
        if found and stat.S_ISREG(found.st_mode) and found.st_size == file.size and _digest(other) == file.sha256:
            return SettingsError(
                f"The file {path} was renamed: it is there as {other.name}.", f"Give it its name {file.name} again."
            )
    if file.name == TICKET:
        return SettingsError(
            f"There is no ticket file {path}. A ticket is used once, and its file is removed then.",
            "To enrol anew, download the set-up package anew.",
        )
    return SettingsError(
        f"The file {path} is missing: it was moved, or not unzipped.",
        "Run the connector in the folder where the whole package was unzipped.",
    )


def _setup(folder: Path) -> Setup:
    """What ``setup.toml`` says. Raises SettingsError."""
    try:
        raw = tomllib.loads(_content(folder, SETUP).decode("utf-8"))
        return msgspec.convert(raw, Setup)
    except (ValueError, msgspec.ValidationError) as error:
        raise SettingsError(f"The file {folder / SETUP} cannot be read: {error}.", DOWNLOAD_ANEW) from error


def _status(path: Path) -> os.stat_result | None:
    """What a name stands for, links not followed; None where there is nothing of that name. Raises SettingsError."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _content(folder: Path, name: str) -> bytes:
    """A small file of the package. Raises SettingsError that names it."""
    path = folder / name
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise SettingsError(
            f"The file {path} is missing: it was renamed or moved, or not unzipped.",
            "Run the connector in the folder where the whole package was unzipped, with every file under its own name.",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > LARGEST:
        raise SettingsError(f"The file {path} was changed: it is too large.", DOWNLOAD_ANEW)
    return content


def _digest(path: Path) -> str:
    """A file's SHA-256, in hex. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"The file {path} cannot be read: {error.strerror}.", "Check its rights.")
