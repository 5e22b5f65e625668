"""What is in the connector's file: wheels with their hashes, and each file that they unpack to with its own."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ABOUT, WHEELS = "package.json", "wheels/"
KEPT_OF_DATA = ("purelib", "platlib")


class Refused(Exception):
    """This file cannot run here; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class About:
    """``package.json``. ``wheels`` maps a Python (``3.11``) to the names of its wheels, ``hashes`` those to SHA-256.

    ``kerberos`` says of each Python, in words, what there is for Kerberos; ``glibc`` is the oldest that fits, if any.
    """

    version: str
    platform: str
    system: str
    machine: str
    glibc: str
    wheels: dict[str, list[str]]
    hashes: dict[str, str]
    kerberos: dict[str, str]


def files_name(python: str) -> str:
    """Where the list of unpacked files stands, for a Python."""
    return f"files-{python}.json"


def about(archive: zipfile.ZipFile) -> About:
    """What a package says of itself. Raises Refused where it is damaged."""
    try:
        return About(**json.loads(_member(archive, ABOUT)))
    except (ValueError, TypeError) as error:
        raise _damaged(ABOUT) from error


def files(archive: zipfile.ZipFile, python: str) -> dict[str, str]:
    """Every file that is unpacked for a Python, with its SHA-256. Raises Refused where the package is damaged."""
    try:
        listed = json.loads(_member(archive, files_name(python)))
        return {str(path): str(digest) for path, digest in listed.items()}
    except (ValueError, AttributeError) as error:
        raise _damaged(files_name(python)) from error


def wheel(archive: zipfile.ZipFile, name: str, sha256: str) -> bytes:
    """One wheel, checked. Raises Refused that names it where it was changed."""
    body = _member(archive, WHEELS + name)
    if hashlib.sha256(body).hexdigest() != sha256:
        raise _damaged(WHEELS + name)
    return body


def unpacked(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What a wheel unpacks to: paths below the folder of modules, with their content. Raises Refused.

    Scripts and headers are left out: nothing here needs them.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as inner:
        for entry in inner.infolist():
            path = None if entry.is_dir() else _place(entry.filename)
            if path:
                yield path, inner.read(entry)


def _place(name: str) -> str | None:
    """Where a wheel's entry belongs; None for what is not kept. Raises Refused for a path that leads elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise Refused(f"A wheel in this file names {name!r}, which leads out of its folder. Do not use this file.")
    if path.parts[0].endswith(".data"):
        return "/".join(path.parts[2:]) if path.parts[1] in KEPT_OF_DATA else None
    return str(path)


def open_file(program: Path) -> zipfile.ZipFile:
    """The connector's file. Raises Refused where it is damaged."""
    try:
        return zipfile.ZipFile(program)
    except (OSError, zipfile.BadZipFile) as error:
        raise Refused(f"{program} cannot be read: {error}. Copy or download it anew.") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> Refused:
    return Refused(f"This file is damaged: {name} in it was changed or is missing. Copy or download it anew.")
