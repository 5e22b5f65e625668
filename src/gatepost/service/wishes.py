"""Settings of Exchange that an administrator wishes for: its default level, and the texts that it adds to its mails.

A wish waits until a connector has carried it out, which its local administrator must have allowed. It is changed only
from what Exchange said when it was wished, so that nobody's own change is overwritten unseen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.desired import Level, Result
from gatepost.domain.events import Event
from gatepost.domain.wishes import ENDED, Wish, WishName, WishOutcome, fault, plain, read_wish
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.access import due
from gatepost.service.connections import no_organization
from gatepost.service.database import Scope
from gatepost.service.storable import short, storable

LONGEST_WHY = 1_000
REMOVED_STATES = ("removing", "removed")
FIELDS = {
    WishName.DEFAULT_LEVEL: "default_level",
    WishName.USER_MAIL_INSERT: "user_mail_insert",
    WishName.OTA_NOTIFICATION_INSERT: "ota_notification_insert",
}
"""Under which name Exchange's settings, as a connector tells them, have each."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one setting.

    ``now`` is what Exchange last said, in our words, None where it was never read. ``wished`` is None where nothing
    is. ``result`` is what the connector last said of the wish; ``open`` while it may still be carried out.
    """

    name: WishName
    now: str | None
    wished: str | None = None
    by: str = ""
    at: datetime | None = None
    result: Result | None = None
    why: str = ""
    told_at: datetime | None = None
    open: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name.value,
            "now": self.now,
            "wished": self.wished,
            "by": self.by,
            "at": iso(self.at),
            "result": self.result.value if self.result else None,
            "why": self.why,
            "told_at": iso(self.told_at),
            "open": self.open,
        }


async def set(  # noqa: A001 - read as wishes.set; the builtin is not used here
    scope: Scope, organization_id: UUID, name: WishName, value: str, actor: str
) -> UUID:
    """Wish for a setting, in place of what was wished before; the wish's id. A connector that waits is woken.

    A level is in our words (``allow``, ``quarantine``, ``block``); an empty text takes Exchange's away. Raises Problem
    400 for what Exchange would not take, 404, 409 where the connection is removed or the settings were never read.
    """
    if why := fault(name, value):
        raise Problem(400, "malformed", f"{name}: {why}.", place="value")
    seen = await _seen(scope, organization_id)
    if seen["state"] in REMOVED_STATES:
        raise Problem(409, "removed", "The connection to its organization is being removed, or is removed.")
    now = _now(seen, name)
    if now is None:
        raise Problem(409, "not-read", "Exchange's settings were not read yet; they are with the first inventory.")
    columns = {"organization_id": organization_id, "name": name.value, "value": value, "made_by": actor}
    made = await scope.one("wishes.make", **columns, known_as=[now])
    assert made is not None
    change = {"setting": name.value, "before": {"value": now}, "after": {"value": value}}
    await audit.record(scope, Event.SETTING_WISHED, actor, change, organization_id)
    wish_id: UUID = made["wish_id"]
    return wish_id


async def withdraw(scope: Scope, organization_id: UUID, name: WishName, actor: str) -> None:
    """Wish no more for what was not carried out yet. Raises Problem 404 where nothing is open."""
    gone = await scope.one("wishes.withdraw", organization_id=organization_id, name=name.value)
    if gone is None:
        raise Problem(404, "not-wished", "No change of this setting waits.")
    change = {"setting": name.value, "before": {"value": gone["value"]}, "after": None}
    await audit.record(scope, Event.SETTING_WITHDRAWN, actor, change, organization_id)


async def standing(scope: Scope, organization_id: UUID) -> Mapping[WishName, Standing]:
    """How it stands with each setting, wished for or not. Raises Problem 404."""
    seen = await _seen(scope, organization_id)
    rows = {row["name"]: row for row in await scope.all("wishes.standing", organization_id=organization_id)}
    return {name: _standing(name, _now(seen, name), rows.get(name)) for name in WishName}


async def to_send(scope: Scope, organization_id: UUID) -> Sequence[Wish]:
    """What a connector is to carry out, for an answer."""
    return tuple(read_wish(row, "wishes") for row in await scope.all("wishes.send", organization_id=organization_id))


async def keep(scope: Scope, organization_id: UUID, outcomes: Iterable[WishOutcome], actor: str) -> None:
    """Take in what became of wishes, and what Exchange says now: quarantine comes from its default level alone."""
    for outcome in outcomes:
        await _keep(scope, organization_id, outcome, actor)
        if outcome.name is WishName.DEFAULT_LEVEL:
            await due.mark_levels(scope, organization_id, [Level.QUARANTINE], due.SYNC)


async def _keep(scope: Scope, organization_id: UUID, outcome: WishOutcome, actor: str) -> None:
    why = short(outcome.why, LONGEST_WHY)
    told = {"wish_id": outcome.wish_id, "result": outcome.result.value, "why": why, "at": outcome.at}
    ends = outcome.result in ENDED
    wish = await scope.one("wishes.tell", organization_id=organization_id, **told, ends=ends)
    said = outcome.after if outcome.after is not None else outcome.before
    if said is not None:
        value = short(said, LONGEST_WHY)
        place = {"organization_id": organization_id, "field": FIELDS[outcome.name]}
        await scope.run("wishes.learn", **place, value=value, at=outcome.at)
    event = {Result.APPLIED: Event.SETTING_CHANGED, Result.CONFLICT: Event.SETTING_CONFLICT}.get(outcome.result)
    if event is None:
        return
    details = {
        "setting": outcome.name.value,
        "why": why,
        "wished_by": wish["made_by"] if wish else None,
        "before": {"value": outcome.before},
        "after": {"value": outcome.after},
    }
    await audit.record(scope, event, actor, storable(details), organization_id)


async def _seen(scope: Scope, organization_id: UUID) -> Mapping[str, Any]:
    row = await scope.one("wishes.seen", organization_id=organization_id)
    if row is None:
        raise no_organization()
    return row


def _now(seen: Mapping[str, Any], name: WishName) -> str | None:
    """What Exchange last said of a setting, in our words; None where it was never read."""
    if seen["settings"] is None:
        return None
    said = seen["default_level"] if name is WishName.DEFAULT_LEVEL else seen["settings"].get(FIELDS[name])
    return plain(name, said if isinstance(said, str) else None)


def _standing(name: WishName, now: str | None, row: Mapping[str, Any] | None) -> Standing:
    if row is None:
        return Standing(name, now)
    return Standing(
        name,
        now,
        wished=row["value"],
        by=row["made_by"],
        at=row["made_at"],
        result=Result(row["result"]) if row["result"] else None,
        why=row["why"],
        told_at=row["told_at"],
        open=row["ended_at"] is None,
    )
