"""What connectors say became of mails. Kept for a while; forgotten with the addresses and words in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.domain.posting import NoticeOutcome
from gatepost.service import audit
from gatepost.service.database import Scope
from gatepost.service.storable import short

LONGEST_WHY = 1_000
TOO_LATE = timedelta(hours=48)
KEPT = timedelta(days=30)
ENDS = {"sent": Event.NOTICE_SENT, "failed": Event.NOTICE_FAILED}


async def keep(scope: Scope, organization_id: UUID, outcomes: Sequence[NoticeOutcome], actor: str) -> None:
    """Take in what became of mails, each newest word once."""
    if not outcomes:
        return
    now = datetime.now(UTC)
    newest = {each.notice_id: each for each in sorted(outcomes, key=_weight)}
    rows = [
        {
            "notice_id": each.notice_id,
            "permit": each.permit,
            "result": each.result.value,
            "why": short(each.why, LONGEST_WHY),
        }
        for each in newest.values()
    ]
    limits = {"now": now, "made_after": now - TOO_LATE}
    told = await scope.together("notices.told", rows, organization_id=organization_id, **limits)
    happened = [
        (
            ENDS[row["state"]],
            {"notice": str(row["notice_id"]), "mailbox": str(row["mailbox_guid"]), "kind": row["kind"]}
            | ({"why": row["why"]} if row["why"] else {}),
        )
        for row in told
        if row["state"] in ENDS
    ]
    await audit.record_all(scope, happened, actor, organization_id)


async def prune(scope: Scope, now: datetime) -> None:
    """Forget mails of long ago, and let those go that would come too late."""
    await scope.run("notices.expire", made_before=now - TOO_LATE, now=now)
    await scope.run("notices.prune", before=now - KEPT)


def _weight(outcome: NoticeOutcome) -> tuple[bool, datetime]:
    """That a mail was sent counts more than anything that is said later."""
    return outcome.result in ("sent", "found"), outcome.at
