"""Mails are given to a connector: claimed in a transaction that is over before the first byte leaves.

What a mail says is made at that moment, of what is so then; a mail that has nothing to tell any more, or nobody who
would read it, is not given.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.notices import Kind
from gatepost.domain.posting import A_PAGE, AT_ONCE, SETTLED_SECONDS, DueNotice, Letter
from gatepost.service.connectors import Connector
from gatepost.service.database import Scope
from gatepost.service.notices import wording
from gatepost.service.notices.choices import Words, choices, words
from gatepost.service.notices.making import A_DAY
from gatepost.service.notices.wording import Written

Row = Mapping[str, Any]
SETTLED = timedelta(seconds=SETTLED_SECONDS)


async def due(scope: Scope, organization_id: UUID, now: datetime, *, may_send: bool) -> tuple[DueNotice, ...]:
    """What a connector is to send, and what it is to look for, for an answer; nothing where it ``may_send`` nothing."""
    key = {"organization_id": organization_id}
    await scope.run("notices.noted", **key, now=now)
    if not may_send:
        return ()
    found = await scope.all("notices.unsettled", **key, before=now - SETTLED, limit=A_PAGE)
    left = min(A_PAGE - len(found), await _left(scope, now))
    if left > 0:
        found += await scope.all("notices.due", **key, now=now, limit=left)
    return tuple(DueNotice(row["notice_id"], row["permit"]) for row in found)


async def claim(
    scope: Scope, connector: Connector, ids: Collection[UUID], base: str | None, now: datetime | None = None
) -> list[Letter]:
    """Give these mails out, as far as they are there to be given; each under a permit that is good for one sending."""
    moment = now or datetime.now(UTC)
    most = min(AT_ONCE, await _left(scope, moment))
    claimed = await scope.all(
        "notices.claim",
        organization_id=connector.organization_id,
        notice_ids=list(ids),
        connector_id=connector.connector_id,
        now=moment,
        limit=max(0, most),
    )
    if not claimed:
        return []
    readers = await scope.all(
        "notices.readers",
        organization_id=connector.organization_id,
        mailbox_guids=[row["mailbox_guid"] for row in claimed],
    )
    addressed = {row["mailbox_guid"]: row for row in readers}
    written = await _write(scope, claimed, addressed, await words(scope, base))
    await _keep(scope, claimed, addressed, written, moment)
    return [
        _letter(row, addressed[row["mailbox_guid"]], written[row["notice_id"]])
        for row in claimed
        if row["notice_id"] in written
    ]


async def _left(scope: Scope, now: datetime) -> int:
    """How many mails the tenant may still send today."""
    row = await scope.one("notices.given", since=now - A_DAY)
    return (await choices(scope)).a_tenant - (int(row["given"]) if row else 0)


async def _write(
    scope: Scope, claimed: Sequence[Row], addressed: Mapping[UUID, Row], said: Words
) -> dict[UUID, Written]:
    """The mails that have a reader and something to tell."""
    items: defaultdict[UUID, list[Row]] = defaultdict(list)
    for item in await scope.all("notices.contents", notice_ids=[row["notice_id"] for row in claimed]):
        items[item["notice_id"]].append(item)
    written = {}
    for row in claimed:
        notice, reader = row["notice_id"], addressed.get(row["mailbox_guid"])
        if reader is None:
            continue
        if row["about"] == "test":
            written[notice] = wording.example(said, Kind(row["kind"]), row["language"], test=True)
        elif items[notice]:
            written[notice] = wording.write(said, reader, items[notice])
    return written


async def _keep(
    scope: Scope,
    claimed: Sequence[Row],
    addressed: Mapping[UUID, Row],
    written: Mapping[UUID, Written],
    now: datetime,
) -> None:
    """Keep what was given, word for word, and let go of what was not."""
    by_id = {row["notice_id"]: row for row in claimed}
    filled = [
        {
            "notice_id": notice,
            "kind": each.kind.value,
            "language": each.language,
            "recipient": addressed[by_id[notice]["mailbox_guid"]]["primary_smtp"],
            "subject": each.mail.subject,
            "html": each.mail.html,
            "text": each.mail.text,
        }
        for notice, each in written.items()
    ]
    await scope.together("notices.fill", filled)
    nobody = [notice for notice, row in by_id.items() if row["mailbox_guid"] not in addressed]
    nothing = [notice for notice in by_id if notice not in written and notice not in nobody]
    for why, notices in (("nobody", nobody), ("overtaken", nothing)):
        await scope.run("notices.drop", notice_ids=notices, why=why, now=now)


def _letter(row: Row, reader: Row, written: Written) -> Letter:
    mail = written.mail
    return Letter(
        notice_id=str(row["notice_id"]),
        permit=str(row["permit"]),
        to=reader["primary_smtp"],
        subject=mail.subject,
        html=mail.html,
        text=mail.text,
    )
