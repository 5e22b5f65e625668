"""Adopting entries of somebody else's: chosen, previewed, taken over in one transaction, given back as easily.

Nothing is published by it. An adopted entry stays as it is (*kept*) until something else than leave is published for
its device id; from then on it is ours as any other. An entry that stands against what is published already is not
adopted: being ours it would be taken off, and that changes who has access.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from gatepost.domain.desired import Level, ListName
from gatepost.domain.events import Event
from gatepost.domain.ledger import Story, adopting, read_story, returning
from gatepost.errors import Problem
from gatepost.service import access, audit
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.onboarding import files, stock
from gatepost.service.onboarding.files import Fault
from gatepost.service.onboarding.stock import Effect, Entry, Owner

ROWS_AT_ONCE = 5_000
ROWS_A_REVISION = 1_000
REMOVED_STATES = ("removing", "removed")
Place = tuple[UUID, str, ListName]


class How(StrEnum):
    """Which entries are meant: all of an organization, those of a group's people, those that a file names."""

    ALL = "all"
    GROUP = "group"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be adopted: all, a group by its id, or a file by its name and its text (CSV)."""

    how: How
    group_id: UUID | None = None
    name: str = ""
    text: str = ""


@dataclass(frozen=True)
class Preview:
    """What an adoption would take over, and what not. ``faults`` are the lines of a file that name no such entry.

    ``digest`` is of the entries to be taken over: what is adopted is what was seen.
    """

    choice: Choice
    about: str
    entries: Sequence[Entry]
    left: Sequence[Entry]
    faults: Sequence[Fault]
    unread: bool

    @cached_property
    def digest(self) -> str:
        """What is to be taken over, as a digest."""
        told = sorted([str(entry.mailbox_guid), entry.list.value, entry.device_id] for entry in self.entries)
        return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def effects(self) -> Mapping[Effect, int]:
        """How many of them do what."""
        return Counter(entry.effect for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Adoption:
    """One adoption. ``standing`` is how many of its entries still are ours by it alone; returned: it was given back."""

    adoption_id: UUID
    how: str
    about: str
    entries: int
    adopted_at: datetime
    adopted_by: str
    returned: int | None
    returned_at: datetime | None
    returned_by: str | None
    standing: int


async def preview(scope: Scope, organization_id: UUID, choice: Choice) -> Preview:
    """What an adoption would do. Raises Problem 404 for an organization or group that is not there, 400 for no CSV."""
    about = await _about(scope, choice)
    known = await stock.take(scope, organization_id, choice.group_id)
    meant, faults = (
        files.named(choice.text, known.entries) if choice.how is How.FILE else (known.entries, tuple[Fault, ...]())
    )
    foreign = [entry for entry in meant if entry.owner is Owner.FOREIGN]
    return Preview(
        choice,
        about,
        [entry for entry in foreign if entry.adoptable],
        [entry for entry in foreign if not entry.adoptable],
        faults,
        known.unread,
    )


async def adopt(scope: Scope, organization_id: UUID, choice: Choice, digest: str, person: Person) -> Adoption:
    """Take over what a preview with this digest showed.

    Raises Problem 404, 400, 409 ``preview-changed`` where it would be something else by now, ``nothing-to-adopt``, and
    ``removed`` where the connection is removed or being so.
    """
    await access.lock_head(scope, organization_id)
    await _refuse_removed(scope, organization_id)
    seen = await preview(scope, organization_id, choice)
    if seen.digest != digest:
        raise Problem(409, "preview-changed", "What this would take over has changed since you looked. Look again.")
    if not seen.entries:
        raise Problem(409, "nothing-to-adopt", "There is no entry of somebody else here that could be adopted.")
    values = {"how": choice.how.value, "about": seen.about, "entries": len(seen.entries), "digest": digest}
    made = await scope.one("onboarding.add", organization_id=organization_id, adopted_by=person.name, **values)
    assert made is not None
    adoption_id: UUID = made["adoption_id"]
    place = await _place(scope, organization_id)
    for start in range(0, len(seen.entries), ROWS_AT_ONCE):
        await _adopt(scope, organization_id, adoption_id, seen.entries[start : start + ROWS_AT_ONCE], place)
    details = {**values, "adoption": str(adoption_id), "effects": dict(seen.effects), "before": None, "after": "ours"}
    await audit.record(scope, Event.ENTRIES_ADOPTED, person.name, details, organization_id)
    return await _known(scope, organization_id, adoption_id)


async def give_back(scope: Scope, organization_id: UUID, adoption_id: UUID, person: Person) -> Adoption:
    """Give back what still is ours by an adoption: it is somebody else's again, as before.

    What is published for it stays published, and connectors are told anew whose the entries are. Raises Problem 404,
    409 ``returned`` where it was given back already.
    """
    await access.lock_head(scope, organization_id)
    known = await _known(scope, organization_id, adoption_id)
    rows = await scope.all("onboarding.adopted", organization_id=organization_id, adoption_id=adoption_id)
    key = {"organization_id": organization_id, "adoption_id": adoption_id}
    if await scope.one("onboarding.return", **key, returned=len(rows), returned_by=person.name) is None:
        raise Problem(409, "returned", "This adoption was given back already.")
    place = await _place(scope, organization_id)
    act_id = str(uuid4())
    for start in range(0, len(rows), ROWS_AT_ONCE):
        told = [_returned(row, act_id, place) for row in rows[start : start + ROWS_AT_ONCE]]
        await scope.together("ledger.save", told, organization_id=organization_id)
    await _tell_again(scope, organization_id, rows)
    details = {
        "adoption": str(adoption_id),
        "how": known.how,
        "about": known.about,
        "entries": len(rows),
        "before": "ours",
        "after": "foreign",
    }
    await audit.record(scope, Event.ENTRIES_RETURNED, person.name, details, organization_id)
    return await _known(scope, organization_id, adoption_id)


async def adoptions(scope: Scope, organization_id: UUID) -> list[Adoption]:
    """Every adoption, the newest first."""
    return [Adoption(**row) for row in await scope.all("onboarding.adoptions", organization_id=organization_id)]


async def groups(scope: Scope) -> list[Mapping[str, Any]]:
    """Every group of the directory, by its name, to choose from."""
    return list(await scope.all("onboarding.groups"))


# -- steps -------------------------------------------------------------------------------------------------------------


async def _about(scope: Scope, choice: Choice) -> str:
    """The name of what is meant."""
    if choice.how is not How.GROUP:
        return choice.name if choice.how is How.FILE else ""
    group = await scope.one("onboarding.group", group_id=choice.group_id)
    if group is None:
        raise Problem(404, "no-group", "There is no such group. Choose one of the directory's.", place="group")
    return str(group["name"])


async def _refuse_removed(scope: Scope, organization_id: UUID) -> None:
    row = await scope.one("onboarding.state", organization_id=organization_id)
    if row is None or row["state"] in REMOVED_STATES:
        raise Problem(409, "removed", "The connection to its organization is being removed, or is removed.")


async def _place(scope: Scope, organization_id: UUID) -> Mapping[str, Any]:
    place = await scope.one("onboarding.place", organization_id=organization_id)
    assert place is not None, "the head is locked"
    return place


async def _adopt(
    scope: Scope, organization_id: UUID, adoption_id: UUID, entries: Sequence[Entry], place: Mapping[str, Any]
) -> None:
    told = await scope.all(
        "onboarding.lock",
        organization_id=organization_id,
        mailbox_guids=[entry.mailbox_guid for entry in entries],
        device_ids=[entry.device_id for entry in entries],
        lists=[entry.list.value for entry in entries],
    )
    stories = {_place_of(row): read_story(row["story"]) for row in told}
    act = adopting(str(adoption_id), **place)
    rows = [_adopted(entry, stories.get((*entry.key, entry.list), Story()).told(act)) for entry in entries]
    await scope.together("onboarding.adopt", rows, organization_id=organization_id, adoption_id=adoption_id)


def _adopted(entry: Entry, story: Story) -> dict[str, Any]:
    state = story.state
    return {
        "mailbox_guid": entry.mailbox_guid,
        "device_id": entry.device_id,
        "list": entry.list.value,
        "ownership": state.ownership(None).value,
        "present_before": state.present_before,
        "memory": state.memory,
        "story": story.document(),
        "kept": entry.published in (None, Level.LEAVE),
    }


def _returned(row: Mapping[str, Any], act_id: str, place: Mapping[str, Any]) -> dict[str, Any]:
    story = read_story(row["story"]).told(returning(act_id, **place))
    state = story.state
    released = row["released_revision"] if row["intended_revision"] is not None else 0
    return {
        "mailbox_guid": row["mailbox_guid"],
        "device_id": row["device_id"],
        "list": row["list"],
        "ownership": state.ownership(released).value,
        "present_before": state.present_before,
        "doubtful": state.doubtful,
        "memory": state.memory,
        "adopted": state.adopted,
        "story": story.document(),
    }


async def _tell_again(scope: Scope, organization_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    """Publish the same anew for the ids of these entries: connectors may hold them as ours."""
    keys = sorted({(row["mailbox_guid"], row["device_id"]) for row in rows})
    columns = {"mailbox_guids": [mailbox for mailbox, _ in keys], "device_ids": [device_id for _, device_id in keys]}
    counted = await scope.one("onboarding.count_published", organization_id=organization_id, **columns)
    published = int(counted["published"]) if counted else 0
    if not published:
        return
    steps = -(-published // ROWS_A_REVISION)
    raised = await scope.one("access.raise", organization_id=organization_id, count=steps)
    assert raised is not None, "the head is locked"
    first = int(raised["revision"]) - steps + 1
    values = {"revision": first, "rows_a_revision": ROWS_A_REVISION}
    await scope.run("onboarding.tell_again", organization_id=organization_id, **columns, **values)


def _place_of(row: Mapping[str, Any]) -> Place:
    return row["mailbox_guid"], row["device_id"], ListName(row["list"])


async def _known(scope: Scope, organization_id: UUID, adoption_id: UUID) -> Adoption:
    for each in await adoptions(scope, organization_id):
        if each.adoption_id == adoption_id:
            return each
    raise Problem(404, "not-found", "There is no such adoption.")
