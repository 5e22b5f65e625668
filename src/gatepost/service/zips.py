"""A zip archive as a stream: entries are stored, sizes and check sums are known before, so nothing is held in memory.

Python's own writer, where it cannot go back in its output, marks entries in a way that some readers refuse, and cannot
say beforehand how long the archive will be. Format: PKWARE's application note, without encryption or 64-bit sizes.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
NEEDED, MADE_BY_UNIX = 20, 3 << 8 | 20
UTF8, STORED = 1 << 11, 0
REGULAR = 0o100000
LARGEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: ``crc`` is its CRC-32, ``mode`` its rights, ``read`` gives its content in pieces."""

    name: str
    size: int
    crc: int
    mode: int
    read: Callable[[], Iterator[bytes]]


def length(entries: Sequence[Entry]) -> int:
    """How many bytes the archive will have."""
    heads = sum(LOCAL.size + CENTRAL.size + 2 * len(entry.name.encode()) for entry in entries)
    return heads + sum(entry.size for entry in entries) + END.size


def stream(entries: Sequence[Entry], moment: datetime) -> Iterator[bytes]:
    """The archive, each file as of ``moment``. Raises ValueError where it would need 64-bit sizes."""
    if length(entries) > LARGEST:
        raise ValueError("an archive of more than 4 GB")
    directory, at = b"", 0
    for entry in entries:
        name, both = entry.name.encode(), _both(entry, moment)
        yield (head := LOCAL.pack(b"PK\3\4", *both) + name)
        yield from entry.read()
        place = (0, 0, 0, (REGULAR | entry.mode) << 16, at)
        directory += CENTRAL.pack(b"PK\1\2", MADE_BY_UNIX, *both, *place) + name
        at += len(head) + entry.size
    count = len(entries)
    yield directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), at, 0)


def _both(entry: Entry, moment: datetime) -> tuple[int, ...]:
    """What stands before a file and again in the directory."""
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    date = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    return NEEDED, UTF8, STORED, time, date, entry.crc, entry.size, entry.size, len(entry.name.encode()), 0
