"""Who may decide an approval: another person than the one who asks, and none who came to it just before."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from gatepost.domain.roles import APPROVERS
from gatepost.errors import Problem
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope

COOL_DOWN = timedelta(hours=24)


class Refusal(StrEnum):
    """Why somebody may not approve."""

    NO_APPROVER = "no-approver"
    NEW = "new"
    REQUESTER = "requester"
    TOO_SOON = "too-soon"
    NO_FRESH_PASSKEY = "no-fresh-passkey"


WHY_NOT = {
    Refusal.NO_APPROVER: "Your roles do not let you approve this.",
    Refusal.NEW: "You came to your role less than 24 hours ago. Somebody who has had theirs for longer has to approve.",
    Refusal.REQUESTER: "You asked for this yourself. Another administrator has to approve it.",
    Refusal.TOO_SOON: "You asked for this yourself and nobody else can approve it. You can, 24 hours after you asked.",
    Refusal.NO_FRESH_PASSKEY: "You asked for this, and nobody else can approve it. Prove with a passkey it is you.",
}


async def may_approve(
    scope: Scope,
    administrator_id: UUID,
    requested_by: UUID | None,
    *,
    requested_at: datetime | None = None,
    fresh_passkey: bool = False,
    too: Collection[UUID] = (),
) -> Refusal | None:
    """Why this administrator may not approve what another asked for; None where they may.

    ``requested_by`` None: no person asked, so any approver may; ``too`` are others who had a hand in it.
    Whoever asks does not approve, and nobody who was made, promoted, enabled or invited anew within 24 hours does.
    Where nobody else could approve, the person who asked may, 24 hours after asking (``requested_at``, UTC) and with a
    passkey used within five minutes (``session.has_fresh_passkey``).
    """
    able = {row["administrator_id"]: row for row in await scope.all("administrators.line_up", roles=sorted(APPROVERS))}
    now = datetime.now(UTC)
    own = able.get(administrator_id)
    if own is None:
        return Refusal.NO_APPROVER
    if now - max(own["made_at"], own["promoted_at"] or own["made_at"]) < COOL_DOWN:
        return Refusal.NEW
    behind = {requested_by, *too}
    if administrator_id not in behind:
        return None
    if able.keys() - behind:
        return Refusal.REQUESTER
    if requested_at is None or now - requested_at < COOL_DOWN:
        return Refusal.TOO_SOON
    return None if fresh_passkey else Refusal.NO_FRESH_PASSKEY


async def ensure_may_approve(
    scope: Scope,
    person: Person,
    requested_by: UUID | None,
    requested_at: datetime | None,
    too: Collection[UUID] = (),
) -> None:
    """Let only somebody go on who may approve. Raises Problem 403 ``approval-…`` that says why not."""
    refusal = await may_approve(
        scope,
        person.administrator_id,
        requested_by,
        requested_at=requested_at,
        fresh_passkey=person.fresh_passkey,
        too=too,
    )
    if refusal is not None:
        raise Problem(403, f"approval-{refusal}", WHY_NOT[refusal])
