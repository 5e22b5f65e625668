"""What is published to connectors, and how it stands with it: desired rows under revisions, and their findings.

Publishing is one transaction: the head's row is locked and its revision raised, the desired row written, the intent
recorded in the ledger. So commit order is number order, and no connector is told what the ledger does not know.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.desired import Entry, Level, ListName, Result
from gatepost.domain.events import Event
from gatepost.domain.ledger import OWNED, Ownership
from gatepost.errors import Problem
from gatepost.service import audit, findings, ledger
from gatepost.service.database import Scope
from gatepost.service.ledger import Key

ORIGIN = "service"
LONGEST_ID = 1_000  # bytes of a device id; it must fit into an index
ENTRIES = {Level.ALLOW: Entry.ALLOW, Level.BLOCK: Entry.BLOCK}
ROWS_A_REVISION = 1_000  # a revision is told whole
ROWS_AT_ONCE = 5_000
CONFLICT, PRESUMED = "list-conflict", "entry-presumed"
CODES = {
    Result.CONFLICT: CONFLICT,
    Result.REFUSED: "write-refused",
    Result.FAILED: "write-failed",
    Result.UNCERTAIN: "write-uncertain",
    Result.OUT_OF_SCOPE: "write-out-of-scope",
    Result.CEILING: "write-ceiling",
    Result.UNDONE: "entry-undone",
}


@dataclass(frozen=True, slots=True)
class Pin:
    """What an administrator said of a device id in a mailbox. ``until`` None: until it is removed."""

    level: Level
    reason: str
    until: datetime | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Publication:
    """A level that is to be published in place of what was (None: nothing), with its reason.

    ``details`` are for the audit trail: what else the decision was made of.
    """

    key: Key
    level: Level
    reason: str
    was: Level | None
    said: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def document(self, revision: int) -> dict[str, Any]:
        """As the audit trail keeps it."""
        return {
            "mailbox": str(self.key[0]),
            "device_id": self.key[1],
            "level": self.level.value,
            "was": self.was.value if self.was else None,
            "reason": self.reason,
            "before": {"level": self.was.value, "reason": self.said} if self.was else None,
            "after": {"level": self.level.value, "reason": self.reason},
            "revision": revision,
            **self.details,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one device id in one mailbox.

    ``level`` is what is published, None where nothing ever was. ``result`` is what the connector last said, None before
    it said anything of this revision. ``after`` are the lists as it read them back then, by name.
    """

    mailbox_guid: UUID
    device_id: str
    mailbox: str
    pin: Pin | None
    level: Level | None
    reason: str
    entry: Entry
    revision: int
    published_at: datetime | None
    result: Result | None
    result_at: datetime | None
    why: str
    controller: str | None
    after: Mapping[str, bool | None]
    owners: Mapping[ListName, Ownership]
    since: Mapping[ListName, datetime]
    listed: Collection[ListName]

    @property
    def owned(self) -> Sequence[ListName]:
        """The lists that hold an entry of ours, known or presumed."""
        return [name for name in ListName if self.owners.get(name) in OWNED]

    @property
    def applied(self) -> Level:
        """What our entries in the lists, as read back, come to."""
        return Level(self.owned[0].value) if self.owned else Level.LEAVE

    @property
    def applied_since(self) -> datetime | None:
        """Since when; None where we never had an entry."""
        moments = [self.since[name] for name in self.owned or self.since if name in self.since]
        return max(moments, default=None)

    @property
    def opposed(self) -> bool:
        """Whether the last inventory saw an opposite entry that is not ours."""
        return self._rival is not None and self._rival in self.listed

    @property
    def in_the_way(self) -> ListName | None:
        """The opposite list, where the connector last read an entry there that is not ours."""
        return self._rival if self._rival and self.after.get(self._rival) else None

    @property
    def _rival(self) -> ListName | None:
        """The list that must not have the id, unless an entry there is ours."""
        if self.entry is Entry.NONE:
            return None
        opposite = ListName(self.entry.value).opposite
        return opposite if self.owners.get(opposite, Ownership.FOREIGN) is Ownership.FOREIGN else None

    @property
    def troubles(self) -> Sequence[str]:
        """The codes of what keeps the published level from being applied, and of what somebody should know."""
        known = CODES.get(self.result) if self.result else CONFLICT if self.opposed else None
        presumed = PRESUMED if Ownership.PRESUMED in self.owners.values() else None
        return [code for code in (known, presumed) if code]


async def lock_head(scope: Scope, organization_id: UUID) -> int:
    """Let one publisher at a time at an organization; the newest revision.

    Raises Problem 409 where no connector ever enrolled.
    """
    head = await scope.one("access.lock_head", organization_id=organization_id)
    if head is None:
        raise Problem(409, "not-connected", "No connector is enrolled that could carry this out. Enrol one first.")
    return int(head["revision"])


async def publish(scope: Scope, organization_id: UUID, key: Key, level: Level, reason: str) -> int | None:
    """Publish one level; the new revision, None where the same stands published. The caller holds the head."""
    values = {"organization_id": organization_id, "mailbox_guid": key[0], "device_id": key[1]}
    now = await scope.one("access.published", **values)
    if now and now["level"] == level.value:
        if now["reason"] != reason:
            await reword(scope, organization_id, {key: reason})
        return None
    was = Level(now["level"]) if now else None
    return await publish_all(
        scope, organization_id, [Publication(key, level, reason, was, now["reason"] if now else "")]
    )


async def publish_all(scope: Scope, organization_id: UUID, rows: Sequence[Publication]) -> int:
    """Publish levels, set by set, with their intents in the ledger; the newest revision. The caller holds the head.

    A revision has ``ROWS_A_REVISION`` rows at most, for it is told whole. An opposite entry that is not ours is a
    finding at once; the connector decides by what it reads.
    """
    steps = max(1, -(-len(rows) // ROWS_A_REVISION))
    raised = await scope.one("access.raise", organization_id=organization_id, count=steps if rows else 0)
    assert raised is not None, "the caller locked it"
    newest: int = raised["revision"]
    rows = sorted(rows, key=lambda row: row.key)
    revisions = [newest - steps + 1 + place // ROWS_A_REVISION for place in range(len(rows))]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        end = start + ROWS_AT_ONCE
        await _publish(scope, organization_id, rows[start:end], revisions[start:end])
    return newest


async def reword(scope: Scope, organization_id: UUID, reasons: Mapping[Key, str]) -> None:
    """The levels stay published as they are, for another reason: nobody has to do anything about it."""
    if reasons:
        await scope.run(
            "access.reword", organization_id=organization_id, **columns(reasons), reasons=[*reasons.values()]
        )


async def _publish(scope: Scope, organization_id: UUID, rows: Sequence[Publication], revisions: Sequence[int]) -> None:
    keys = [row.key for row in rows]
    entries = [ENTRIES.get(row.level, Entry.NONE) for row in rows]
    await scope.run(
        "access.publish",
        organization_id=organization_id,
        **columns(keys),
        levels=[row.level.value for row in rows],
        reasons=[row.reason for row in rows],
        entries=[entry.value for entry in entries],
        revisions=list(revisions),
    )
    await ledger.intend(scope, organization_id, keys, entries, revisions)
    await ledger.settle(scope, organization_id, {row.key: row.level for row in rows})
    happened = [(Event.LEVEL_PUBLISHED, row.document(revision)) for row, revision in zip(rows, revisions, strict=True)]
    await audit.record_all(scope, happened, "service", organization_id)
    await review(scope, organization_id, keys)


async def publish_again(scope: Scope, organization_id: UUID, worked_on: Mapping[Key, int]) -> None:
    """Tell the connector anew of rows with an entry that turned out to be ours, where what was worked on is older.

    Else it would take the entry, which is wanted no more, for somebody else's. The caller holds the head.
    """
    rows = await standing(scope, organization_id, sorted(worked_on)) if worked_on else []
    behind = [row for row in rows if worked_on[row.mailbox_guid, row.device_id] < row.revision]
    raised = await scope.one("access.raise", organization_id=organization_id, count=1) if behind else None
    if raised:
        keys = [{"mailbox_guid": row.mailbox_guid, "device_id": row.device_id} for row in behind]
        await scope.each(
            "access.publish_again", [{"organization_id": organization_id, **key, **raised} for key in keys]
        )


def columns(keys: Iterable[Key]) -> dict[str, list[Any]]:
    """Keys as the columns that statements take."""
    keys = list(keys)
    return {"mailbox_guids": [mailbox for mailbox, _ in keys], "device_ids": [device_id for _, device_id in keys]}


async def standing(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> list[Standing]:
    """How it stands with these device ids in these mailboxes; those of mailboxes never seen are left out."""
    rows = await scope.all(
        "access.standing",
        organization_id=organization_id,
        mailbox_guids=[mailbox for mailbox, _ in keys],
        device_ids=[device_id for _, device_id in keys],
    )
    return [_standing(row) for row in rows]


async def standing_of(scope: Scope, device: Mapping[str, Any]) -> Standing | None:
    """How it stands with a device; None where it has no mailbox or no id."""
    key = (device["mailbox_guid"], device["device_id"])
    found = await standing(scope, device["organization_id"], [key]) if all(key) else []
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the organization's connector last said of itself: its mode (empty if it said none), whether it is there."""

    mode: str = ""
    connected: bool = False


async def limits(scope: Scope, organization_id: UUID) -> Limits:
    """The limits that the organization's connector works in."""
    row = await scope.one("access.mode", organization_id=organization_id)
    return Limits(row["mode"] or "", row["connected"]) if row else Limits()


async def review(scope: Scope, organization_id: UUID, keys: Sequence[Key]) -> None:
    """Bring the findings about these up to date: told where something is in the way, ended where nothing is."""
    over: list[dict[str, Any]] = []
    found: list[dict[str, str]] = []
    for each in await standing(scope, organization_id, keys):
        subject = f"{each.mailbox_guid}/{each.device_id}"
        ended = sorted({*CODES.values(), PRESUMED} - set(each.troubles))
        over.append({"codes": ended, "subject": subject})
        found += [{"code": code, "subject": subject, **_in_words(code, each)} for code in each.troubles]
    if over:
        await scope.together("findings.end", over, organization_id=organization_id)
    for start in range(0, len(found), findings.FINDINGS_A_DOCUMENT):
        told = found[start : start + findings.FINDINGS_A_DOCUMENT]
        await findings.report(scope, organization_id, ORIGIN, told, complete=False)


def _in_words(code: str, standing: Standing) -> dict[str, str]:
    """Cause and remedy of a finding."""
    level = standing.level.value if standing.level else Level.LEAVE.value
    who = f"The device {standing.device_id} in the mailbox {standing.mailbox}"
    opposite = f"list of {'blocked' if standing.level is Level.ALLOW else 'allowed'} devices"
    said = f": {standing.why.rstrip('.')}." if standing.why else "."
    stays = "It is tried again by itself."
    causes = {
        CONFLICT: (
            f"{who} is to have the level {level}, but somebody else put it on the mailbox's {opposite}.",
            "Take it off that list in Exchange, or change the pin or the policy. What Gatepost did not make stays as "
            "it is.",
        ),
        PRESUMED: (
            f"{who} has an entry that Gatepost very probably made, but the connector's record of it was lost.",
            "Nothing, if so. If an administrator made it: remove the pin, then make the entry anew in Exchange.",
        ),
        CODES[Result.REFUSED]: (
            f"{who} could not be given the level {level}, for Exchange denies the connector's account the write{said}",
            "Give the account the role that the administrator's guide names; it is tried again by itself.",
        ),
        CODES[Result.FAILED]: (f"{who} could not be given the level {level}{said}", stays),
        CODES[Result.UNCERTAIN]: (
            f"{who}: a write was begun, and nobody knows its end yet{said}",
            "The next reading of the mailbox tells; nothing is written until then.",
        ),
        CODES[Result.OUT_OF_SCOPE]: (
            f"{who} is outside of the connector's scope, so it keeps what it has.",
            "Widen the scope in the connector's settings if this mailbox is to be written, or change the pin or the "
            "policy.",
        ),
        CODES[Result.CEILING]: (
            f"{who} waits: the connector's ceiling of writes that take access away is reached for this hour.",
            "It goes on when the hour is over. See first that so many people are to lose access.",
        ),
        CODES[Result.UNDONE]: (
            f"{who} is to have the level {level}, but somebody else undid that again and again.",
            "Find the other tool that writes this mailbox's lists. It is tried again in a day, or once published anew.",
        ),
    }
    cause, remedy = causes[code]
    return {"cause": cause, "remedy": remedy}


def _standing(row: Mapping[str, Any]) -> Standing:
    lists = {ListName.ALLOW: row["allowed_ids"] or (), ListName.BLOCK: row["blocked_ids"] or ()}
    wanted = row["device_id"].casefold()
    spoken = row["result"] is not None and row["result_revision"] == row["revision"]
    owners = {name: Ownership(row[f"{name}_ownership"]) for name in ListName if row[f"{name}_ownership"]}
    pin = None
    if row["pin_level"]:
        pin = Pin(Level(row["pin_level"]), row["pin_reason"], row["pin_until"], row["pin_by"], row["pin_at"])
    return Standing(
        mailbox_guid=row["mailbox_guid"],
        device_id=row["device_id"],
        mailbox=row["primary_smtp"] or row["display_name"] or str(row["mailbox_guid"]),
        pin=pin,
        level=Level(row["level"]) if row["level"] else None,
        reason=row["reason"] or "",
        entry=Entry(row["entry"] or Entry.NONE),
        revision=row["revision"] or 0,
        published_at=row["published_at"],
        result=Result(row["result"]) if spoken else None,
        result_at=row["result_at"] if spoken else None,
        why=row["result_why"] or "" if spoken else "",
        controller=row["result_controller"],
        after=row["result_after"] or {},
        owners=owners,
        since={name: row[f"{name}_since"] for name in owners},
        listed=[name for name in ListName if any(entry.casefold() == wanted for entry in lists[name])],
    )
