"""Whose an entry in a mailbox's list is, from everything that was read of it, in whatever order it was told.

Each outcome of a connector is one *reading* of each list. Readings are ordered by memory, revision and time, and
folded:

- what our write added is ours, until it is read to be gone;
- what stands there without our write is *presumed* ours if a write of ours may have made it: one that was begun and of
  which nobody knows the end, or one that an earlier memory (a store that was lost) may have made without a report;
- else it is *foreign*, and so is everything that stood there before we tried;
- what an administrator *adopts* is ours from that moment, until it is read to be gone or is *returned*. An adoption and
  a return are told in the same order, under the memory and the revision that were the newest then. A return gives back
  what an adoption took over, and nothing that a write of ours has made since.

Pure: the same readings give the same ownership, whenever and how often they came.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gatepost.domain.desired import ListName, Outcome, Result

READINGS_KEPT = 40


class Ownership(StrEnum):
    """What the ledger calls an entry. ``intended``: published, and not known to be there."""

    INTENDED = "intended"
    OURS = "ours"
    PRESUMED = "presumed"
    FOREIGN = "foreign"
    WITHDRAWN = "withdrawn"


OWNED = frozenset({Ownership.OURS, Ownership.PRESUMED})


class Did(StrEnum):
    """What was done to the entry: by a write of ours, or to its ownership by an administrator.

    ``maybe``: a write was begun, and nobody knows its end.
    """

    ADDED = "added"
    REMOVED = "removed"
    MAYBE = "maybe"
    NOTHING = "nothing"
    ADOPTED = "adopted"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """One outcome as seen from one list; compared by when it was, the first four fields.

    ``saw`` is whether the entry is there, None where that was not read. ``doubted``: when this memory began, an intent
    for this list was already acknowledged.
    """

    memory: int
    revision: int
    at: datetime
    outcome_id: str
    did: Did
    saw: bool | None
    doubted: bool


@dataclass(frozen=True, slots=True)
class State:
    """What is known after some readings. ``there`` is None before the first that tells.

    ``owner`` says whose an entry is that is there. ``doubtful``: if the entry is found now, it may be ours.
    ``present_before``: the first that was ever known is that it stood there without us. ``memory`` and ``revision`` are
    of the last reading that told whether it is there. ``adopted``: it is ours because somebody adopted it.
    """

    there: bool | None = None
    owner: Ownership = Ownership.FOREIGN
    doubtful: bool = False
    present_before: bool = False
    memory: int = 0
    revision: int = 0
    adopted: bool = False

    def ownership(self, released: int | None) -> Ownership:
        """What the ledger calls the entry; ``released`` is the revision that wants it no more, None if it is wanted."""
        if self.there:
            return self.owner
        gone = self.there is False and released is not None and self.revision >= released
        return Ownership.WITHDRAWN if gone and not self.doubtful else Ownership.INTENDED


@dataclass(frozen=True, slots=True)
class Story:
    """The newest readings of one entry, and what was known before them."""

    base: State = State()
    readings: tuple[Reading, ...] = ()

    def told(self, reading: Reading) -> "Story":
        """The story with one more reading, in its place; a known one, or one older than all kept, changes nothing."""
        forgotten = self.base != State() and self.readings and reading < self.readings[0]
        if forgotten or any(known.outcome_id == reading.outcome_id for known in self.readings):
            return self
        readings = list(self.readings)
        insort(readings, reading)
        base = self.base
        while len(readings) > READINGS_KEPT:
            base = _after(base, readings.pop(0))
        return Story(base, tuple(readings))

    @property
    def state(self) -> State:
        """What all readings together say."""
        state = self.base
        for reading in self.readings:
            state = _after(state, reading)
        return state

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_story`` reads them."""
        return {
            "base": [getattr(self.base, name) for name in STATE],
            "readings": [[*(getattr(each, name) for name in READING), each.at.isoformat()] for each in self.readings],
        }


STATE = ("there", "owner", "doubtful", "present_before", "memory", "revision", "adopted")
READING = ("memory", "revision", "outcome_id", "did", "saw", "doubted")


def read_story(raw: Mapping[str, Any]) -> Story:
    """A story as the ledger keeps it; one that has not begun is an empty object."""
    if not raw:
        return Story()
    there, owner, *others = raw["base"]
    return Story(State(there, Ownership(owner), *others), tuple(_read(row) for row in raw["readings"]))


def _read(row: Sequence[Any]) -> Reading:
    memory, revision, outcome_id, did, saw, doubted, at = row
    return Reading(memory, revision, datetime.fromisoformat(at).astimezone(UTC), outcome_id, Did(did), saw, doubted)


def reading(outcome: Outcome, name: ListName, memory: int, *, wanted: bool, doubted: bool) -> Reading:
    """What an outcome of this memory says of one list; ``wanted``: the entry was, under the revision worked on."""
    presence = outcome.after or outcome.before
    saw = presence.of(name) if presence else None
    if name in outcome.added:
        did, saw = Did.ADDED, True
    elif name in outcome.removed:
        did, saw = Did.REMOVED, False
    else:
        did = Did.MAYBE if wanted and outcome.result is Result.UNCERTAIN and saw is not True else Did.NOTHING
    return Reading(memory, outcome.revision, outcome.at, outcome.outcome_id, did, saw, doubted)


def adopting(act_id: str, memory: int, revision: int, at: datetime) -> Reading:
    """An administrator says that the entry, which an inventory saw, is ours from now on."""
    return Reading(memory, revision, at, act_id, Did.ADOPTED, saw=True, doubted=False)


def returning(act_id: str, memory: int, revision: int, at: datetime) -> Reading:
    """An administrator takes an adoption back; it says nothing of whether the entry is there."""
    return Reading(memory, revision, at, act_id, Did.RETURNED, saw=None, doubted=False)


def _after(state: State, new: Reading) -> State:
    """What is known after one more reading."""
    if new.did is Did.RETURNED:
        return replace(state, owner=Ownership.FOREIGN, adopted=False) if state.adopted else state
    doubtful = state.doubtful or (new.doubted and new.memory != state.memory)
    if new.saw is None:
        return replace(state, doubtful=doubtful or new.did is Did.MAYBE, memory=new.memory)
    owner, before, adopted = state.owner, state.present_before, state.adopted and new.saw
    if new.did is Did.ADDED:
        owner, adopted = Ownership.OURS, False
    elif new.did is Did.ADOPTED and not (state.there and owner in OWNED):
        owner, adopted, before = Ownership.OURS, True, before or state.there is None
    elif new.saw and not state.there:
        owner = Ownership.PRESUMED if doubtful else Ownership.FOREIGN
        before = before or (state.there is None and owner is Ownership.FOREIGN)
    return State(new.saw, owner, new.did is Did.MAYBE, before, new.memory, new.revision, adopted)
