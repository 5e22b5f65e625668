"""What connectors say became of their work: kept once each, told to the ledger, shown as what is applied.

Outcomes may come in any order and again and again: through check-ins, and in the farewell of a connector that was
replaced. Which of them is newer is told by memory, revision and time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.contract import ContractError
from gatepost.domain.desired import ACCESS, ListName, Outcome, Result, read_outcome
from gatepost.domain.events import Event
from gatepost.service import access, audit, ledger
from gatepost.service.database import Scope
from gatepost.service.devices.rows import PoisonRow, guid, moment, text
from gatepost.service.enrolment import Connector
from gatepost.service.memories import Memory
from gatepost.service.storable import short, storable

LONGEST_WHY = 1_000
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome as it came: its row, and what it says of access, None where it is about something else."""

    row: Mapping[str, Any]
    access: Outcome | None


async def keep(scope: Scope, connector: Connector, outcomes: Sequence[Mapping[str, Any]], memory: Memory) -> None:
    """Take in the outcomes that are new. Raises ContractError where one is malformed; then none is taken."""
    told = {each.row["outcome_id"]: each for each in _read(connector, outcomes)}
    if not told:
        return
    known = await scope.all("ingest.known_outcomes", outcome_ids=list(told))
    new = [each for name, each in told.items() if name not in {row["outcome_id"] for row in known}]
    if new:
        await scope.each("ingest.outcome", [each.row for each in new])
        await _apply(scope, connector, [each.access for each in new if each.access], memory)


async def taken_away(scope: Scope, organization_id: UUID) -> int:
    """How many writes that took access away were reported in the last hour."""
    row = await scope.one("ingest.taken_away", organization_id=organization_id, since=datetime.now(UTC) - HOUR)
    return int(row["taken_away"]) if row else 0


async def _apply(scope: Scope, connector: Connector, outcomes: Sequence[Outcome], memory: Memory) -> None:
    """To the ledger, to what is shown as applied, to the findings and the audit trail."""
    if not outcomes:
        return
    organization_id = connector.organization_id
    await access.lock_head(scope, organization_id)
    unwanted = await ledger.tell(scope, organization_id, outcomes, memory)
    await scope.each("access.note", [_note(organization_id, outcome, memory) for outcome in outcomes])
    newest = {key: max(outcome.revision for outcome in outcomes if _key(outcome) == key) for key in unwanted}
    await access.publish_again(scope, organization_id, newest)
    await access.review(scope, organization_id, sorted({_key(outcome) for outcome in outcomes}))
    happened = [event for outcome in outcomes for event in _events(outcome)]
    await audit.record_all(scope, happened, str(connector.connector_id), organization_id)


def _events(outcome: Outcome) -> list[tuple[Event, dict[str, Any]]]:
    """One event for each change of a list, and for what kept us from one."""
    details = {
        "mailbox": outcome.mailbox,
        "device_id": outcome.device_id,
        "revision": outcome.revision,
        "controller": outcome.controller,
        "why": outcome.why[:LONGEST_WHY],
    }
    happened: list[tuple[Event, ListName | None]] = [
        *((Event.ENTRY_WRITTEN, name) for name in outcome.added),
        *((Event.ENTRY_WITHDRAWN, name) for name in outcome.removed),
    ]
    if outcome.result is Result.CONFLICT:
        happened.append((Event.ENTRY_CONFLICT, None))
    if outcome.result is Result.REFUSED:
        happened.append((Event.ENTRY_REFUSED, None))
    return [(event, storable({**details, "list": name.value if name else None})) for event, name in happened]


def _key(outcome: Outcome) -> ledger.Key:
    return UUID(outcome.mailbox), outcome.device_id


def _note(organization_id: UUID, outcome: Outcome, memory: Memory) -> dict[str, Any]:
    return {
        "organization_id": organization_id,
        "mailbox_guid": UUID(outcome.mailbox),
        "device_id": outcome.device_id,
        "result": outcome.result.value,
        "memory": memory.number,
        "revision": outcome.revision,
        "at": outcome.at,
        "lists_before": outcome.before.document() if outcome.before else None,
        "lists_after": outcome.after.document() if outcome.after else None,
        "controller": short(outcome.controller) if outcome.controller else None,
        "why": short(outcome.why, LONGEST_WHY),
    }


def _read(connector: Connector, outcomes: Sequence[Mapping[str, Any]]) -> list[Told]:
    return [_read_one(connector, f"outcomes[{number}]", outcome) for number, outcome in enumerate(outcomes)]


def _read_one(connector: Connector, place: str, raw: Mapping[str, Any]) -> Told:
    try:
        at = raw.get("at")
        row = {
            "outcome_id": guid(raw.get("outcome_id")),
            "organization_id": connector.organization_id,
            "connector_id": connector.connector_id,
            "about": text(raw.get("about")),
            "result": text(raw.get("result")),
            "body": storable(raw),
            "at": None if at is None else moment(at),
        }
        about_access = None
        if row["about"] == ACCESS:
            text(raw.get("device_id"))
            about_access = read_outcome(raw, place)
    except PoisonRow as error:
        raise ContractError(place, str(error)) from error
    took = about_access is not None and (ListName.BLOCK in about_access.added or ListName.ALLOW in about_access.removed)
    return Told({**row, "took_away": took}, about_access)
