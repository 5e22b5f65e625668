"""Lists of devices as another tool exports them: CSV with a heading, read without trust, every bad line named.

The heading's words are those that exports use: *mailbox* (or user, email, …) is an address, *device id* is the
ActiveSync id, *list* (or access state, level, …) says which of the two lists; where it says nothing, both are meant.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gatepost.domain.desired import ListName
from gatepost.domain.plan import fold
from gatepost.errors import Problem
from gatepost.service.onboarding.stock import Entry

MOST_LINES = 200_000
LONGEST_FIELD = 4_000
HEADINGS: Mapping[str, frozenset[str]] = {
    "mailbox": frozenset(
        {"mailbox", "user", "email", "emailaddress", "primarysmtpaddress", "useremail", "userprincipalname", "upn"}
    ),
    "device_id": frozenset({"deviceid", "easdeviceid", "easid", "activesyncid", "exchangedeviceid"}),
    "list": frozenset({"list", "accessstate", "deviceaccessstate", "level", "access", "state"}),
}
LISTS: Mapping[str, ListName] = {
    "allow": ListName.ALLOW, "allowed": ListName.ALLOW, "block": ListName.BLOCK, "blocked": ListName.BLOCK,
    "deny": ListName.BLOCK, "denied": ListName.BLOCK,
}  # fmt: skip


class Why(StrEnum):
    """What is wrong with a line."""

    NO_MAILBOX = "no-mailbox"
    NO_ID = "no-id"
    LIST_UNKNOWN = "list-unknown"
    TOO_LONG = "too-long"
    NO_ENTRY = "no-entry"
    MAILBOX_UNKNOWN = "mailbox-unknown"
    CLOUD_CACHE = "cloud-cache"
    TWICE = "twice"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Fault:
    """A line (counted as an editor counts, the heading is 1) that cannot be used, with what it says."""

    line: int
    why: Why
    said: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that can be read: an address (folded), a device id as written, a list or none."""

    line: int
    mailbox: str
    device_id: str
    list: ListName | None


def decode(raw: bytes) -> str:
    """The text of a file, as UTF-8, or as UTF-16 where it begins so. Raises Problem 400 for anything else."""
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise Problem(400, "file", "The file is no text in UTF-8 or UTF-16.", place="file", why="encoding") from error


def named(text: str, entries: Sequence[Entry]) -> tuple[list[Entry], tuple[Fault, ...]]:
    """The entries that a file names, and the lines that name none. Raises Problem 400 where it is no such file."""
    standing: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        standing.setdefault((entry.mailbox.casefold(), fold(entry.device_id)), []).append(entry)
    found: dict[tuple[object, ...], Entry] = {}
    faults: list[Fault] = []
    for line in read(text):
        if isinstance(line, Fault):
            faults.append(line)
            continue
        meant = [
            entry for entry in standing.get((line.mailbox, fold(line.device_id)), ()) if line.list in (None, entry.list)
        ]
        again = bool(meant) and all((*entry.key, entry.list) in found for entry in meant)
        if not meant or again:
            faults.append(Fault(line.line, Why.TWICE if again else Why.NO_ENTRY, f"{line.mailbox} {line.device_id}"))
        found |= {(*entry.key, entry.list): entry for entry in meant}
    return list(found.values()), tuple(faults)


def read(text: str) -> Iterator[Line | Fault]:
    """Each line of a file, or what is wrong with it. Raises Problem 400 where the headings do not say enough."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=_delimiter(text))
    try:
        places = _places(next(rows, []))
        for count, row in enumerate(rows, 1):
            if count > MOST_LINES:
                raise Problem(400, "file", f"A file has at most {MOST_LINES:,} lines.", place="file", why="long")
            if any(field.strip() for field in row):
                yield _line(rows.line_num, row, places)
    except csv.Error as error:
        raise Problem(400, "file", f"Line {rows.line_num} is no CSV: {error}.", place="file", why="no-csv") from error


def _delimiter(text: str) -> str:
    """What separates the fields: what the heading has most of."""
    heading = text.partition("\n")[0]
    return max(",;\t", key=heading.count)


def _places(heading: Sequence[str]) -> Mapping[str, int]:
    """Where each field stands."""
    words = ["".join(filter(str.isalnum, word.casefold())) for word in heading]
    found = {
        name: place
        for name, known in HEADINGS.items()
        for place, word in reversed([*enumerate(words)])
        if word in known
    }
    if missing := {"mailbox", "device_id"} - found.keys():
        names = {"mailbox": "the mailbox (mailbox, user or email)", "device_id": "the device's id (device id)"}
        raise Problem(
            400,
            "file",
            f"The first line must name the columns; there is none for {names[min(missing)]}.",
            place="file",
            why=f"no-{min(missing)}".replace("_", "-"),
        )
    return found


def _line(number: int, row: Sequence[str], places: Mapping[str, int]) -> Line | Fault:
    def field(name: str) -> str:
        place = places.get(name, len(row))
        return row[place].strip() if place < len(row) else ""

    mailbox, device_id, listed = field("mailbox"), field("device_id"), field("list").casefold()
    said = " ".join(filter(None, (mailbox, device_id, listed)))[:200]
    if max(map(len, row)) > LONGEST_FIELD:
        return Fault(number, Why.TOO_LONG, said)
    if not said.isprintable():
        return Fault(number, Why.ODD, ascii(said))
    if not mailbox or not device_id:
        return Fault(number, Why.NO_ID if mailbox else Why.NO_MAILBOX, said)
    if listed and listed not in LISTS:
        return Fault(number, Why.LIST_UNKNOWN, said)
    return Line(number, mailbox.casefold(), device_id, LISTS.get(listed))
