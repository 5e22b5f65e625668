"""Announcements of decisions become mails that wait: one for a mailbox, at most one thing for a device and decision.

A decision is told once it stands: it is published, and the connector said that the lists are so. What was turned back
before anybody could be told is not told at all. A mailbox that has had its mails of the day gets the rest later, in
one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from gatepost.service import access
from gatepost.service.database import Database, Scope
from gatepost.service.notices.choices import choices

A_BATCH = 500
FRESH = timedelta(hours=24)
"""What came to be so longer ago is not news: nobody is told that a phone was blocked last week."""
A_DAY = timedelta(hours=24)
CUT_OFF = frozenset({"blocked", "quarantined"})

Row = Mapping[str, Any]


async def announce(database: Database, tenant_id: UUID, now: datetime | None = None) -> int:
    """Make the mails that are to be made for a tenant; how many things they tell."""
    moment = now or datetime.now(UTC)
    async with database.tenant(tenant_id) as scope:
        places = [row["organization_id"] for row in await scope.all("notices.organizations")]
    told = 0
    for organization_id in places:
        looked = A_BATCH
        while looked >= A_BATCH:
            async with database.tenant(tenant_id) as scope:
                looked, new = await _make(scope, organization_id, moment)
            told += new
    return told


async def _make(scope: Scope, organization_id: UUID, now: datetime) -> tuple[int, int]:
    """One batch: how many announcements were looked at, and how many are told by a mail."""
    await access.lock_head(scope, organization_id)
    key = {"organization_id": organization_id}
    ready = await scope.all("notices.ready", **key, since=now - FRESH, limit=A_BATCH)
    if not ready:
        return 0, 0
    await scope.together("notices.announced", [_announced(row) for row in ready], **key)
    chosen = await choices(scope)
    right = [row for row in ready if row["is_right"] and row["fresh"] and row["reachable"]]
    wanted = await _not_turned_back(scope, organization_id, ready, right)
    if chosen.speaks == "exchange" or not wanted:
        await scope.run("notices.drop_empty", **key, now=now)
        return len(ready), 0
    told = await _tell(scope, organization_id, wanted, chosen.a_person, now)
    await scope.run("notices.drop_empty", **key, now=now)
    return len(ready), told


async def _not_turned_back(
    scope: Scope, organization_id: UUID, looked_at: Sequence[Row], wanted: Sequence[Row]
) -> list[Row]:
    """What is left to tell when what nobody was told yet is forgotten.

    Where a phone lost access and has it again, or the other way round, before its person was told, nothing is.
    """
    gone = await scope.all(
        "notices.overtaken",
        organization_id=organization_id,
        mailbox_guids=[row["mailbox_guid"] for row in looked_at],
        device_ids=[row["device_id"] for row in looked_at],
    )
    untold: defaultdict[tuple[UUID, str], set[str]] = defaultdict(set)
    for row in gone:
        untold[row["mailbox_guid"], row["device_id"]].add(row["kind"])
    return [row for row in wanted if not _undoes(row["kind"], untold[row["mailbox_guid"], row["device_id"]])]


def _undoes(kind: str, untold: set[str]) -> bool:
    """Whether a person who was told nothing of what came before has nothing to be told now."""
    return ("allowed" in untold) if kind in CUT_OFF else (kind == "allowed" and bool(untold & CUT_OFF))


async def _tell(scope: Scope, organization_id: UUID, wanted: Sequence[Row], a_person: int, now: datetime) -> int:
    """Put each thing into the mail that waits for its mailbox, or into a new one."""
    mailboxes = list(dict.fromkeys(row["mailbox_guid"] for row in wanted))
    key = {"organization_id": organization_id, "mailbox_guids": mailboxes}
    mails = {row["mailbox_guid"]: row["notice_id"] for row in await scope.all("notices.waiting", **key)}
    full = await scope.all("notices.full", **key, since=now - A_DAY, limit=a_person)
    later = {row["mailbox_guid"]: row["due_at"] + A_DAY for row in full}
    new = {guid: uuid4() for guid in mailboxes if guid not in mails}
    made = [{"notice_id": new[guid], "mailbox_guid": guid, "due_at": later.get(guid, now)} for guid in new]
    await scope.together("notices.make", made, organization_id=organization_id)
    items = _items(wanted, mails | new)
    return len(await scope.together("notices.tell", items, organization_id=organization_id))


def _items(wanted: Iterable[Row], mails: Mapping[UUID, UUID]) -> list[dict[str, Any]]:
    return [{**_announced(row), "notice_id": mails[row["mailbox_guid"]]} for row in wanted]


def _announced(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("mailbox_guid", "device_id", "since", "kind")}
