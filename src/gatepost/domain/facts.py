"""Everything that a decision looks at, as values: the device, its person, what the compliance sources say, a pin."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from gatepost.domain.desired import Level

LAST = datetime(9999, 12, 30, tzinfo=UTC)
"""No moment that is computed is later; it can still be told in every zone."""


def later(moment: datetime, by: timedelta) -> datetime:
    """A moment moved on; the end of time, which Exchange may say where it knows of none, moves no further."""
    return LAST if moment > LAST - by else moment + by


class Client(StrEnum):
    """The kinds of clients: the phone's own mail app, Outlook with an id of its own, Outlook through its cloud."""

    NATIVE = "native"
    OUTLOOK = "outlook"
    CLOUD_CACHE = "cloud-cache"


class Managed(StrEnum):
    """What the compliance sources say of a device. ``unknown``: they have no verdict, or contradict each other."""

    UNMANAGED = "unmanaged"
    COMPLIANT = "compliant"
    NONCOMPLIANT = "noncompliant"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Whether there is a compliance source, and whether it spoke lately."""

    NONE = "none"
    FRESH = "fresh"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Compliance:
    """What the sources say, and since when (of a device that does not comply)."""

    managed: Managed = Managed.UNMANAGED
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pinned:
    """What an administrator said of it, until a moment or for good."""

    level: Level
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision looks at.

    ``user`` is the mailbox's primary address; ``groups`` are the person's (None: the directory does not know them).
    ``first_seen`` is when Exchange had the device first, as far as we know. ``own`` is what the sources say of the
    device itself, ``of_person`` of all devices of its person together. ``known``: it was there when grandfathering was
    switched on. ``barred``: why there is no list that could hold it (gone, no-mailbox, elsewhere, no-id), else empty.
    """

    family: str
    model: str | None
    os: str | None
    os_version: tuple[int, ...]
    user_agent: str | None
    client: Client
    device_id: str
    user: str
    groups: frozenset[str] | None
    first_seen: datetime
    last_sync_at: datetime | None = None
    discovering: bool = False
    known: bool = False
    source: Source = Source.NONE
    own: Compliance = Compliance()
    of_person: Compliance = Compliance()
    pin: Pinned | None = None
    barred: str = ""
