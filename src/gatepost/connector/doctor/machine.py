"""Checks of this machine: Python, processors, memory, disk, the connector's folder and who works on it.

Sizing is that of docs/benchmarks.md: a connector stays below 100 MB of memory however many devices there are, for it
lists as a stream; its store keeps and stages what it was told, some 2 kB a device.
"""

import os
import shutil
import sys
from pathlib import Path

from gatepost.connector import host
from gatepost.connector.doctor.examination import Checks, Patient
from gatepost.domain.checks import Check, Level
from gatepost.errors import StoreError

PYTHON = (3, 11)
MEMORY_BYTES = 512 * 1000**2
DISK_BAD, DISK_LOW = 200 * 1000**2, 2 * 1000**3


def look(patient: Patient) -> Checks:
    """The checks, in order."""
    folder = patient.settings.folder
    yield _python()
    yield _processors()
    yield _memory()
    yield _disk(folder)
    yield _folder(folder)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON:
        return Check("python", Level.GOOD, f"Python {version} runs the connector.")
    return Check(
        "python",
        Level.BAD,
        f"Python {version} runs the connector.",
        "It is made for 3.11 or later and may fail at any place.",
        "Install Python 3.11 or later and set the connector up with it.",
    )


def _processors() -> Check:
    count = host.processors()
    what = f"{count} processor{'s' if count != 1 else ''} may be used."
    if count >= 2:
        return Check("processors", Level.GOOD, what)
    return Check(
        "processors",
        Level.WARNING,
        what,
        "Listing and writing share it, so that a full synchronisation of many devices delays writes.",
        "Give the machine a second processor where there are more than some 10,000 devices.",
    )


def _memory() -> Check:
    total = host.memory()
    if total is None:
        return Check("memory", Level.SKIPPED, "This system does not tell its memory.")
    what = f"The machine has {_size(total)} of memory."
    if total >= MEMORY_BYTES:
        return Check("memory", Level.GOOD, what)
    return Check(
        "memory",
        Level.WARNING,
        what,
        "The connector may be ended by the system in the middle of a listing.",
        f"Give it {_size(MEMORY_BYTES)} or more.",
    )


def _disk(folder: Path) -> Check:
    place = next((each for each in (folder, *folder.parents) if each.is_dir()), Path(folder.anchor or "."))
    free = shutil.disk_usage(place).free
    what = f"{_size(free)} are free where the connector's folder is ({place})."
    if free >= DISK_LOW:
        return Check("disk", Level.GOOD, what)
    why = "Its store and outbox lie there; on a full disk no check-in is sealed, and nothing is written to Exchange."
    remedy = f"Make room: {_size(DISK_LOW)} are enough for half a million devices."
    return Check("disk", Level.BAD if free < DISK_BAD else Level.WARNING, what, why, remedy)


def _folder(folder: Path) -> Check:
    """Whether the folder is there, private, and worked on by at most one connector, which its lock sees to."""
    if not folder.is_dir():
        return Check("folder", Level.SKIPPED, f"The folder {folder} is not there yet: setting up makes it.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "folder",
            Level.BAD,
            f"The user that runs the doctor may not write to {folder}.",
            "The connector keeps its identity and its outbox there.",
            "Run the doctor as the connector's user, or give that user the folder.",
        )
    open_to_others = host.readable_by_others(folder)
    if open_to_others:
        return Check(
            "folder",
            Level.WARNING,
            f"Other users of this machine may look into {folder}.",
            "The connector's key and passwords lie there, each in a file for its user alone.",
            f"chmod 700 {folder}",
        )
    try:
        running = host.is_locked(folder)
    except StoreError as error:
        return Check("folder", Level.BAD, error.cause, "Two connectors on one folder undo each other.", error.remedy)
    at_work = "A connector works on it now." if running else "No connector works on it now."
    return Check("folder", Level.GOOD, f"The folder {folder} is private and can be written. {at_work}")


def _size(count: int) -> str:
    """Bytes for people."""
    for unit, size in (("GB", 1000**3), ("MB", 1000**2)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
