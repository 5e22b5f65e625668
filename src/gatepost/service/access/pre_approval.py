"""Approval ahead: ids of compliant devices of known people, on the list of allowed devices before they synchronise.

An id that a source names and that no device of the person's mailbox has is due like a device, and goes the same way:
decided (domain.ahead), counted and perhaps held by the guard, published. It is published in lower case, for Exchange
compares ids so. When the device comes, it is decided as every device is, and what stood there ahead in another spelling
is let go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.access import Decision, Reason
from gatepost.domain.ahead import Ahead, decide_ahead
from gatepost.domain.desired import Level
from gatepost.domain.devices import Family
from gatepost.service.access import facts
from gatepost.service.access.facts import Known
from gatepost.service.access.publishing import columns
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

NOBODY = UUID(int=0)
UNSEEN: Mapping[str, Any] = {
    **dict.fromkeys(("device_type", "model", "os", "user_agent", "client_type", "access_state", "access_state_reason")),
    **dict.fromkeys(("last_success_sync_at", "managed_since", "person_managed_since", "pin_level", "pin_until")),
    **dict.fromkeys(("level", "reason", "announce", "beyond")),
    "guid": NOBODY,
    "family": Family.OTHER.value,
    "os_version": (),
    "known": False,
    "ahead": False,
    "person_managed": "unknown",
}
"""What is known of a device that was never seen, as ``facts.read`` reads it."""
Decided = tuple[Known, Decision]


async def decide(scope: Scope, organization_id: UUID, keys: Sequence[Key], now: datetime) -> list[Decided]:
    """What is decided of those of these ids that are approved ahead, or are to be. The caller holds the head."""
    if not keys:
        return []
    rows = await scope.all("pre_approval.load", organization_id=organization_id, **columns(keys))
    known = await facts.read(scope, [{**UNSEEN, "first_seen": now, **row} for row in rows], now)
    begun: Counter[UUID] = Counter()
    decided: list[Decided] = []
    for row, each in zip(rows, known, strict=True):
        if each.published not in (None, Level.LEAVE) and each.said != Reason.PRE_APPROVED:
            continue  # it stands for something else, and nothing is known of that any more
        ahead = _ahead(row, begun[each.key[0]])
        decision = decide_ahead(replace(each.facts, discovering=True), each.policy, ahead, now)
        if decision.level is Level.ALLOW and ahead.begun is None:
            begun[each.key[0]] += 1
        if decision.level is Level.ALLOW or ahead.begun is not None or each.published is Level.ALLOW:
            decided.append((each, decision))
    return decided


async def keep(scope: Scope, organization_id: UUID, decided: Sequence[Decided]) -> None:
    """Write down which are approved ahead until when, and which no longer are."""
    rows = [
        {
            "mailbox_guid": known.key[0],
            "device_id": known.key[1],
            "until_at": decision.until if decision.level is Level.ALLOW else None,
        }
        for known, decision in decided
    ]
    if rows:
        await scope.together("pre_approval.keep", rows, organization_id=organization_id)


async def superseded(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> list[Key]:
    """Those of these ids that stand published ahead, and whose device came in another spelling and is decided."""
    found = await scope.all("pre_approval.superseded", organization_id=organization_id, **columns(keys)) if keys else []
    return [(row["mailbox_guid"], row["device_id"]) for row in found]


def _ahead(row: Mapping[str, Any], just_begun: int) -> Ahead:
    stands = row["made_at"] is not None and row["ended_at"] is None
    news = row["since"] is not None and row["ended_at"] is not None and row["since"] > row["ended_at"]
    return Ahead(
        begun=row["made_at"] if stands else None,
        spent=row["ended_at"] is not None and not news,
        others=row["others"] + just_begun,
    )
