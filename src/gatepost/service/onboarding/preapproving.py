"""Pins in bulk: chosen devices of a file are allowed (or blocked) until a moment, also those not seen yet.

A device that is there is decided at once, as by any pin. An id that no device has yet is published all the same, so
that its phone has mail from its first synchronisation; where the pin ends, the entry is taken off again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.access import Reason
from gatepost.domain.contract import iso
from gatepost.domain.desired import Level
from gatepost.domain.events import Event
from gatepost.domain.plan import fold
from gatepost.errors import Problem
from gatepost.service import access, audit, connections, pins
from gatepost.service.access import deciding
from gatepost.service.access.due import Cause
from gatepost.service.access.publishing import columns
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.ledger import Key
from gatepost.service.onboarding import files
from gatepost.service.onboarding.files import Fault, Line, Why

MOST = 5_000
MANY = "pins"  # a cause of its own: one pin was looked at, a file of them goes through the guard
Spellings = Mapping[tuple[UUID, str], str | None]
"""How devices spell their ids, by mailbox and folded id; None for a cloud's id, which stands for no single phone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is said of every device of the file."""

    level: str
    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Pinned:
    """What came of a file: ids of devices that are there, ids that are awaited, and lines that could not be used."""

    there: Sequence[Key]
    awaited: Sequence[Key]
    faults: Sequence[Fault]


async def look(scope: Scope, organization_id: UUID, text: str, asked: Asked) -> Pinned:
    """Which ids a file names.

    Raises Problem 400 where it is no such file, names too many at once, or where a level, reason or end cannot be, 404.
    """
    pins.check(asked.level, asked.reason, asked.until)
    await connections.organization(scope, organization_id)
    lines, faults = _read(text)
    guids = await _mailboxes(scope, organization_id, lines)
    spelt = await _spellings(scope, organization_id, list(guids.values()))
    there: dict[Key, None] = {}
    awaited: dict[Key, None] = {}
    for line in lines:
        key = _key(line, guids.get(line.mailbox), spelt)
        if isinstance(key, Why) or key in there or key in awaited:
            why = key if isinstance(key, Why) else Why.TWICE
            faults.append(Fault(line.line, why, f"{line.mailbox} {line.device_id}"))
        else:
            (there if (key[0], fold(key[1])) in spelt else awaited)[key] = None
    return Pinned([*there], [*awaited], sorted(faults, key=lambda fault: fault.line))


async def pin(scope: Scope, organization_id: UUID, text: str, asked: Asked, person: Person) -> Pinned:
    """Pin every id that a file names; lines that name none are left out, and told.

    What is over the guard's budget is pinned too, and held for a second person: nobody looked at each.

    Raises Problem as ``look``, 409 where no connector ever enrolled, or the connection is removed.
    """
    await access.lock_head(scope, organization_id)
    if (await connections.organization(scope, organization_id))["state"] in pins.REMOVED_STATES:
        raise Problem(409, "cannot-pin", pins.WHY_NOT["removed"], why="removed")
    found = await look(scope, organization_id, text, asked)
    keys = sorted([*found.there, *found.awaited])
    if not keys:
        return found
    level = Level(asked.level)
    values = {"level": level.value, "reason": asked.reason.strip(), "until": asked.until, "by": person.name}
    rows = await scope.all("onboarding.pins", organization_id=organization_id, **columns(keys))
    before = {(row["mailbox_guid"], row["device_id"]): _told(row) for row in rows}
    await scope.run("onboarding.pin", organization_id=organization_id, **columns(keys), **values)
    told = _told(values)
    happened = [
        (Event.PIN_SET, {**told, "mailbox": str(key[0]), "device_id": key[1], "before": before.get(key), "after": told})
        for key in keys
    ]
    await audit.record_all(scope, happened, person.name, organization_id)
    if found.there:
        many = Cause(MANY, "", person.administrator_id)
        await deciding.decide_now(scope, organization_id, sorted(found.there), many)
    await _await(scope, organization_id, sorted(found.awaited), level)
    return found


async def _await(scope: Scope, organization_id: UUID, keys: Sequence[Key], level: Level) -> None:
    """Publish what is pinned of ids that no device has yet."""
    rows = await scope.all("decisions.published", organization_id=organization_id, **columns(keys)) if keys else []
    known = {(row["mailbox_guid"], row["device_id"]): row for row in rows}
    wanted = [
        access.Publication(
            key,
            level,
            Reason.PINNED.value,
            Level(known[key]["level"]) if key in known else None,
            known[key]["reason"] if key in known else "",
        )
        for key in keys
        if key not in known or known[key]["level"] != level
    ]
    if wanted:
        await access.publish_all(scope, organization_id, wanted)


def _told(pin: Mapping[str, Any]) -> dict[str, Any]:
    """A pin for the audit trail."""
    return {"level": pin["level"], "reason": pin["reason"], "until": iso(pin["until"])}


def _read(text: str) -> tuple[list[Line], list[Fault]]:
    lines: list[Line] = []
    faults: list[Fault] = []
    for each in files.read(text):
        if isinstance(each, Fault):
            faults.append(each)
        else:
            lines.append(each)
    if len(lines) > MOST:
        raise Problem(400, "file", f"At most {MOST:,} devices can be pinned at once.", place="file", why="many")
    return lines, faults


async def _mailboxes(scope: Scope, organization_id: UUID, lines: Sequence[Line]) -> Mapping[str, UUID]:
    addresses = sorted({line.mailbox for line in lines})
    rows = await scope.all("onboarding.mailboxes", organization_id=organization_id, addresses=addresses)
    return {row["address"]: row["guid"] for row in rows}


async def _spellings(scope: Scope, organization_id: UUID, guids: Sequence[UUID]) -> Spellings:
    rows = await scope.all("onboarding.spellings", organization_id=organization_id, guids=list(guids)) if guids else []
    return {(row["mailbox_guid"], fold(row["device_id"])): None if row["cloud"] else row["device_id"] for row in rows}


def _key(line: Line, guid: UUID | None, spelt: Spellings) -> Key | Why:
    """What a line is about, in the device's own spelling; else what is wrong with it."""
    if guid is None:
        return Why.MAILBOX_UNKNOWN
    spelling = spelt.get((guid, fold(line.device_id)), line.device_id)
    if spelling is None:
        return Why.CLOUD_CACHE
    return Why.TOO_LONG if len(spelling.encode()) > access.LONGEST_ID else (guid, spelling)
