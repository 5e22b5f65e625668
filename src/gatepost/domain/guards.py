"""Guards: who gains and who newly loses access by a change, and how many may before somebody else looks at it.

Pure. People are counted, not devices: a person is a mailbox. Unknown is no access: what may take access away counts.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from gatepost.domain.engine import State, Verdict

LEAST, SHARE, MOST = 5, 0.005, 500
GIVING = 10
BY_HAND = 20
WINDOW_MINUTES = 60


class Verb(StrEnum):
    """What a change does to access; each has a budget of its own."""

    TAKE = "take"
    GIVE = "give"


@dataclass(frozen=True, slots=True)
class Change:
    """What a change does to one device of one mailbox (guids as text)."""

    mailbox: str
    device: str
    device_id: str
    before: Verdict
    after: Verdict

    @property
    def gains(self) -> bool:
        """Whether it gets access that it did not have."""
        return verb(self.before, self.after) is Verb.GIVE

    @property
    def loses(self) -> bool:
        """Whether it had access, or may have had it, and does not surely have it afterwards."""
        return verb(self.before, self.after) is Verb.TAKE


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does altogether; only devices that gain or lose, by mailbox and device."""

    changes: tuple[Change, ...] = ()

    @property
    def gaining(self) -> int:
        """How many people gain access for a device."""
        return len({change.mailbox for change in self.changes if change.gains})

    @property
    def losing(self) -> int:
        """How many people lose access for a device."""
        return len({change.mailbox for change in self.changes if change.loses})


def verb(before: Verdict, after: Verdict) -> Verb | None:
    """What becomes of access; None where it stays what it is.

    From unknown to surely none counts as taken, and from surely none to unknown as given: where Exchange's rules cannot
    be read, everybody may have access.
    """
    if before.access or before.state is after.state:
        return Verb.TAKE if before.access and not after.access else None
    if after.access or after.state is State.UNKNOWN:
        return Verb.GIVE
    return Verb.TAKE if before.state is State.UNKNOWN else None


def effect(changes: Iterable[Change]) -> Effect:
    """What changes come to: those that change nothing about access are left out."""
    kept = [change for change in changes if change.gains or change.loses]
    return Effect(tuple(sorted(kept, key=lambda each: (each.mailbox, each.device))))


def budget(devices: int, verb: Verb = Verb.TAKE) -> int:
    """How many people may newly lose (or gain) access within ``WINDOW_MINUTES``, in an organization of so many devices.

    Giving has a budget too, for a source gone wrong calls everybody compliant; it is ten times as large.
    """
    taking = max(LEAST, min(int(devices * SHARE), MOST))
    return taking * GIVING if verb is Verb.GIVE else taking


def by_hand(devices: int, verb: Verb = Verb.TAKE) -> int:
    """How many people one administrator's pins may newly concern in an hour: as many as somebody looks at by hand."""
    return max(BY_HAND, budget(devices, verb))


def within(people: Iterable[UUID], counted: Collection[UUID], left: int) -> set[UUID]:
    """Which people a budget lets through: those in the window already (``counted``), and the first ``left`` others."""
    asked = list(dict.fromkeys(people))
    new = [person for person in asked if person not in counted]
    return set(asked) - set(new[max(left, 0) :])


def digest(effect: Effect, entries: Iterable[tuple[str, ...]]) -> str:
    """What an approval is about: the entries to be taken off, and what becomes of each device by that."""
    said = [[each.mailbox, each.device, each.before.state, each.after.state] for each in effect.changes]
    text = json.dumps([said, sorted(map(list, entries))], separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
