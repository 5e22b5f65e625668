"""What connectors say became of their work: kept once each, told to the ledger, shown as what is applied.

Outcomes may come in any order and again and again: through check-ins, and in the farewell of a connector that was
replaced. Which of them is newer is told by memory, revision and time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.contract import ContractError
from gatepost.domain.desired import ACCESS, ListName, Outcome, Result, read_outcome
from gatepost.domain.events import Event
from gatepost.domain.posting import NOTICE, NoticeOutcome, read_notice_outcome
from gatepost.domain.wishes import WISH, WishOutcome, read_wish_outcome
from gatepost.service import access, audit, findings, ledger, wishes
from gatepost.service.connectors import Connector
from gatepost.service.database import Scope
from gatepost.service.devices.rows import PoisonRow, guid, moment, text
from gatepost.service.memories import Memory
from gatepost.service.notices import telling
from gatepost.service.storable import short, storable

LONGEST_WHY = 1_000
MALFORMED = "outcome-malformed"
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome as it came: its row, and what it says of access, a wish or a notice; at most one of them is there."""

    row: Mapping[str, Any]
    access: Outcome | None
    wish: WishOutcome | None = None
    notice: NoticeOutcome | None = None


async def keep(scope: Scope, connector: Connector, outcomes: Sequence[Mapping[str, Any]], memory: Memory) -> None:
    """Take in the outcomes that are new. One that is malformed is a finding and an event, and stops only itself."""
    told, malformed = _read(outcomes)
    if malformed:
        await _refuse(scope, connector, malformed)
    if not told:
        return
    place = {"organization_id": connector.organization_id, "connector_id": connector.connector_id}
    new = {
        row["outcome_id"] for row in await scope.together("ingest.outcomes", [t.row for t in told.values()], **place)
    }
    about_access = [each.access for name, each in told.items() if name in new and each.access]
    if about_access:
        await _apply(scope, connector, about_access, memory)
    about_wishes = [each.wish for name, each in told.items() if name in new and each.wish]
    await wishes.keep(scope, connector.organization_id, about_wishes, str(connector.connector_id))
    about_notices = [each.notice for name, each in told.items() if name in new and each.notice]
    await telling.keep(scope, connector.organization_id, about_notices, str(connector.connector_id))


async def _refuse(scope: Scope, connector: Connector, malformed: Sequence[ContractError]) -> None:
    """Say what could not be read: the ledger does not know what those writes did."""
    organization_id = connector.organization_id
    told = [
        {
            "code": MALFORMED,
            "subject": f"{connector.connector_id} {error.place}",
            "cause": f"The connector reported the end of a write in a form that is not understood. {error}",
            "remedy": "Update the connector. The entry may be ours without being known as ours: compare the mailbox's "
            "lists with what the device's page says.",
        }
        for error in malformed[: findings.FINDINGS_A_DOCUMENT]
    ]
    await findings.report(scope, organization_id, access.ORIGIN, told, complete=False)
    refused = [(Event.OUTCOME_REFUSED, {"why": storable(str(error))}) for error in malformed]
    await audit.record_all(scope, refused, str(connector.connector_id), organization_id)


async def taken_away(scope: Scope, organization_id: UUID) -> int:
    """How many writes that took access away were reported in the last hour."""
    row = await scope.one("ingest.taken_away", organization_id=organization_id, since=datetime.now(UTC) - HOUR)
    return int(row["taken_away"]) if row else 0


async def _apply(scope: Scope, connector: Connector, outcomes: Sequence[Outcome], memory: Memory) -> None:
    """To the ledger, to what is shown as applied, to the findings and the audit trail.

    After a restore of the database a connector may report of revisions that this history has not given out yet. They
    count as of its newest one: what is read later must not be taken for older.
    """
    organization_id = connector.organization_id
    head = await access.lock_head(scope, organization_id)
    worked_on = {_key(outcome): outcome.revision for outcome in sorted(outcomes, key=lambda each: each.revision)}
    outcomes = [replace(outcome, revision=min(outcome.revision, head)) for outcome in outcomes]
    unwanted = await ledger.tell(scope, organization_id, outcomes, memory)
    newest = {_key(outcome): outcome for outcome in sorted(outcomes, key=lambda each: (each.revision, each.at))}
    notes = [_note(outcome) for outcome in newest.values()]
    await scope.together("access.note", notes, organization_id=organization_id, memory=memory.number)
    known = {key: worked_on[key] if worked_on[key] <= head else 0 for key in unwanted}
    await access.publish_again(scope, organization_id, known)
    await access.review(scope, organization_id, sorted(newest))
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
        "before": {"lists": outcome.before.document()} if outcome.before else None,
        "after": {"lists": outcome.after.document()} if outcome.after else None,
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


def _note(outcome: Outcome) -> dict[str, Any]:
    return {
        "mailbox_guid": UUID(outcome.mailbox),
        "device_id": outcome.device_id,
        "result": outcome.result.value,
        "revision": outcome.revision,
        "at": outcome.at,
        "lists_before": outcome.before.document() if outcome.before else None,
        "lists_after": outcome.after.document() if outcome.after else None,
        "controller": short(outcome.controller) if outcome.controller else None,
        "why": short(outcome.why, LONGEST_WHY),
    }


def _read(outcomes: Sequence[Mapping[str, Any]]) -> tuple[dict[UUID, Told], list[ContractError]]:
    """Each outcome by its id, and what is wrong with those that are none."""
    told: dict[UUID, Told] = {}
    malformed: list[ContractError] = []
    for number, raw in enumerate(outcomes):
        try:
            each = _read_one(f"outcomes[{number}]", raw)
            told[each.row["outcome_id"]] = each
        except ContractError as error:
            malformed.append(error)
    return told, malformed


def _read_one(place: str, raw: Mapping[str, Any]) -> Told:
    try:
        at = raw.get("at")
        row = {
            "outcome_id": guid(raw.get("outcome_id")),
            "about": text(raw.get("about")),
            "result": text(raw.get("result")),
            "body": storable(raw),
            "at": None if at is None else moment(at),
        }
        about_access, about_wish, about_notice = None, None, None
        if row["about"] == ACCESS:
            _check_id(raw.get("device_id"))
            about_access = read_outcome(raw, place)
        elif row["about"] == WISH:
            about_wish = read_wish_outcome(raw, place)
        elif row["about"] == NOTICE:
            about_notice = read_notice_outcome(raw, place)
    except PoisonRow as error:
        raise ContractError(place, str(error)) from error
    took = about_access is not None and (ListName.BLOCK in about_access.added or ListName.ALLOW in about_access.removed)
    return Told({**row, "took_away": took}, about_access, about_wish, about_notice)


def _check_id(raw: Any) -> None:  # noqa: ANN401 - foreign JSON
    """Refuse a device id that no index could hold."""
    if len(text(raw).encode()) > access.LONGEST_ID:
        raise PoisonRow("has a device id that is too long")
