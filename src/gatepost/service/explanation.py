"""Explaining a device: what Exchange makes of it step by step, what Gatepost wants and why, and what would change it.

For one device's page and for many rows of a report alike. Exchange is asked by its engine (domain.engine), with the
mailbox's lists as they were last read and corrected by what the ledger learnt since; what Exchange itself last said
stands beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain.access import Decision, decide
from gatepost.domain.desired import Level, ListName
from gatepost.domain.engine import DISCOVERY, Lists, Organization, State, Step, Verdict
from gatepost.domain.ledger import Ownership
from gatepost.domain.prospects import Prospect, prospects
from gatepost.service import access
from gatepost.service.access import facts
from gatepost.service.access.facts import Known
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a device id of a mailbox has the access that it has.

    ``now`` is what Exchange makes of it by the lists as they stand, ``wanted`` by the lists as decided; ``reported`` is
    what Exchange last said, None where it said nothing. ``decision`` is what was decided last, None where nothing
    ever was; then ``would`` is what would be. ``version`` is of the policy, ``beyond`` what keeps Exchange from it,
    ``due``: it is to be decided anew. ``hold_id``: it waits there, or was refused there (``hold_state``).
    """

    known: Known
    now: Verdict
    wanted: Verdict
    reported: State | None
    decision: Decision | None
    would: Decision
    prospects: Sequence[Prospect] = ()
    since: datetime | None = None
    version: int | None = None
    beyond: str | None = None
    due: bool = False
    hold_id: UUID | None = None
    hold_state: str = ""

    @property
    def held(self) -> bool:
        """Whether what is decided is not published, for the guard holds it."""
        return self.hold_id is not None

    @property
    def late(self) -> bool:
        """Whether Exchange last said something else than its rules make of the device now."""
        return self.reported is not None and State.UNKNOWN is not self.now.state is not self.reported

    @property
    def steps(self) -> Sequence[tuple[Step, bool]]:
        """The engine's steps on the way, each with whether it decided."""
        return [(step, step is self.now.reason) for step in self.now.path]


async def explain(
    scope: Scope, organization_id: UUID, keys: Sequence[Key], now: datetime | None = None
) -> dict[Key, Explanation]:
    """Explain these, by their keys; ids of no device that is there are left out."""
    moment = now or datetime.now(UTC)
    known = await facts.load(scope, organization_id, keys, moment)
    if not known:
        return {}
    organization = await facts.exchange(scope, organization_id)
    told = [each.key for each in known]
    columns = {"mailbox_guids": [mailbox for mailbox, _ in told], "device_ids": [device_id for _, device_id in told]}
    rows = await scope.all("explanation.decided", organization_id=organization_id, **columns)
    decided = {(row["mailbox_guid"], row["device_id"]): row for row in rows}
    standing = await access.standing(scope, organization_id, told)
    there = {(each.mailbox_guid, each.device_id): _there(each) for each in standing}
    return {
        each.key: _explain(each, organization, decided.get(each.key), there.get(each.key, ()), moment) for each in known
    }


def _explain(
    known: Known, organization: Organization, row: Row | None, there: Sequence[ListName], now: datetime
) -> Explanation:
    would = known.previous or decide(known.facts, known.policy, None, now)
    told: dict[str, Any] = {}
    if row is not None:
        told = {name: row[name] for name in ("since", "beyond", "due", "hold_id")}
        told |= {"version": row["policy_version"], "hold_state": row["hold_state"] or ""}
    return Explanation(
        known,
        organization.verdict(known.device, standing_lists(known, there)),
        organization.verdict(known.device, known.listed(would.level)),
        reported(known.device.state),
        known.previous,
        would,
        prospects(known.facts, known.policy, would, now),
        **told,
    )


def _there(standing: access.Standing) -> Sequence[ListName]:
    """The lists with an entry of this id that a decision leaves out: ours, or wanted and seen there before."""
    seen = (name for name in standing.listed if standing.owners.get(name) is Ownership.INTENDED)
    return [*standing.owned, *seen]


def standing_lists(known: Known, there: Sequence[ListName]) -> Lists:
    """The mailbox's lists as they stand: with the entries of this id that a decision leaves out."""

    def with_it(ids: tuple[str, ...] | None, name: ListName) -> tuple[str, ...] | None:
        return (*ids, known.key[1]) if ids is not None and name in there else ids

    lists = known.lists
    return Lists(with_it(lists.allowed, ListName.ALLOW), with_it(lists.blocked, ListName.BLOCK), lists.enabled)


def reported(state: str | None) -> State | None:
    """What Exchange says of a device, as the engine would say it; None where it says nothing of it yet."""
    folded = (state or "").casefold()
    if folded in DISCOVERY:
        return State.DISCOVERY
    return {each.value: each for each in (State.ALLOWED, State.BLOCKED, State.QUARANTINED)}.get(folded)


MEANT = {Level.ALLOW: State.ALLOWED, Level.QUARANTINE: State.QUARANTINED, Level.BLOCK: State.BLOCKED}
"""What a level is meant to come to; hands off comes to whatever Exchange does."""
