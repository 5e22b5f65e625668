"""What the service wants of one device in one mailbox's lists, and what the connector says became of it.

A desired row goes from service to connector under a revision; outcomes come back under the revision that was worked on.
Both are parts of the documents in ``domain.contract``; docs/protocol.md says how they are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gatepost.domain.fields import ContractError, choice, choices, guid, mapping, moment, text, whole

ACCESS = "access"


class Level(StrEnum):
    """What is decided of a device. ``leave``: hands off, no entry of ours."""

    LEAVE = "leave"
    ALLOW = "allow"
    QUARANTINE = "quarantine"
    BLOCK = "block"


class ListName(StrEnum):
    """A mailbox's two personal lists, by what an entry in them does."""

    ALLOW = "allow"
    BLOCK = "block"

    @property
    def opposite(self) -> "ListName":
        """The other one."""
        return ListName.BLOCK if self is ListName.ALLOW else ListName.ALLOW


class Entry(StrEnum):
    """The one list that should hold an entry of ours, or none."""

    ALLOW = "allow"
    BLOCK = "block"
    NONE = "none"


class Result(StrEnum):
    """What became of the work on a desired row.

    ``applied``: our write did it, as read back. ``unchanged``: nothing to do. ``conflict``: an opposite entry that is
    not ours, so no write. ``refused``: Exchange denies the account the write. ``failed``: anything else, tried again.
    ``uncertain``: a write was begun and nobody can tell yet what it did; only a later read resolves it. ``observed``:
    the mode is observe; it would change. ``out-of-scope``, ``ceiling``: the connector's local limits forbid it.
    ``undone``: somebody else undid it again and again, so it is not written for a day.
    """

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    REFUSED = "refused"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    OBSERVED = "observed"
    OUT_OF_SCOPE = "out-of-scope"
    CEILING = "ceiling"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the device id is in each of the mailbox's lists, as read; None for a list that Exchange does not show."""

    allow: bool | None
    block: bool | None

    def of(self, name: ListName) -> bool | None:
        """Whether it is in this list."""
        return self.allow if name is ListName.ALLOW else self.block

    def document(self) -> dict[str, bool | None]:
        """As JSON values."""
        return {"allow": self.allow, "block": self.block}


@dataclass(frozen=True, slots=True)
class Desired:
    """One desired row: (mailbox guid, device id) should have this ``entry`` of ours and no other.

    ``owned`` are the lists in which the ledger calls this id's entry ours, known or presumed. ``tried`` are lists in
    which a connector may have made an entry that it never reported: one found there counts as ours.
    """

    mailbox: str
    device_id: str
    level: Level
    reason: str
    revision: int
    entry: Entry
    owned: tuple[ListName, ...] = ()
    tried: tuple[ListName, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_desired`` reads them."""
        return {
            "mailbox": self.mailbox,
            "device_id": self.device_id,
            "level": self.level.value,
            "reason": self.reason,
            "revision": self.revision,
            "entry": self.entry.value,
            "owned": [name.value for name in self.owned],
            "tried": [name.value for name in self.tried],
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one desired row, once for each change of ``result`` under a revision.

    ``before`` and ``after`` are readings of the lists, None where they were not read. ``added`` and ``removed`` are the
    lists that our write changed, as read back. ``at`` is when that was known, in the service's time.
    """

    outcome_id: str
    mailbox: str
    device_id: str
    revision: int
    result: Result
    at: datetime
    before: Presence | None = None
    after: Presence | None = None
    added: tuple[ListName, ...] = ()
    removed: tuple[ListName, ...] = ()
    controller: str | None = None
    why: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_outcome`` reads them."""
        return {
            "outcome_id": self.outcome_id,
            "about": ACCESS,
            "mailbox": self.mailbox,
            "device_id": self.device_id,
            "revision": self.revision,
            "result": self.result.value,
            "before": self.before.document() if self.before else None,
            "after": self.after.document() if self.after else None,
            "added": [name.value for name in self.added],
            "removed": [name.value for name in self.removed],
            "controller": self.controller,
            "why": self.why,
            "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }


def read_desired(raw: Mapping[str, Any], place: str) -> Desired:
    """One desired row of an answer. Raises ContractError."""
    return Desired(
        mailbox=guid(raw, "mailbox", f"{place}."),
        device_id=_id(raw, place),
        level=choice(Level, raw.get("level"), f"{place}.level"),
        reason=str(raw.get("reason", "")),
        revision=whole(raw, "revision", f"{place}."),
        entry=choice(Entry, raw.get("entry"), f"{place}.entry"),
        owned=choices(ListName, raw.get("owned", []), f"{place}.owned"),
        tried=choices(ListName, raw.get("tried", []), f"{place}.tried"),
    )


def read_outcome(raw: Mapping[str, Any], place: str) -> Outcome:
    """One outcome about access. Raises ContractError, also where it contradicts itself."""
    controller = raw.get("controller")
    outcome = Outcome(
        outcome_id=guid(raw, "outcome_id", f"{place}."),
        mailbox=guid(raw, "mailbox", f"{place}."),
        device_id=_id(raw, place),
        revision=whole(raw, "revision", f"{place}."),
        result=choice(Result, raw.get("result"), f"{place}.result"),
        at=moment(raw.get("at"), f"{place}.at"),
        before=_presence(raw.get("before"), f"{place}.before"),
        after=_presence(raw.get("after"), f"{place}.after"),
        added=choices(ListName, raw.get("added", []), f"{place}.added"),
        removed=choices(ListName, raw.get("removed", []), f"{place}.removed"),
        controller=None if controller is None else str(controller),
        why=str(raw.get("why", "")),
    )
    _check(outcome, place)
    return outcome


def _check(outcome: Outcome, place: str) -> None:
    """Refuse an outcome that contradicts itself: the ledger of what is ours must not be built on one."""
    for name in ListName:
        was = outcome.before.of(name) if outcome.before else None
        now = outcome.after.of(name) if outcome.after else None
        if name in outcome.added and (name in outcome.removed or was is True or now is False):
            raise ContractError(f"{place}.added", f"{name} contradicts what was read")
        if name in outcome.removed and (was is False or now is True):
            raise ContractError(f"{place}.removed", f"{name} contradicts what was read")
    if (outcome.added or outcome.removed) and outcome.result is not Result.APPLIED:
        raise ContractError(f"{place}.result", f"{outcome.result} changes nothing; a change that was read is applied")


def _presence(raw: Any, place: str) -> Presence | None:  # noqa: ANN401 - foreign JSON
    if raw is None:
        return None
    read = mapping(raw, place)
    for name in ListName:
        if not isinstance(read.get(name.value), bool | None):
            raise ContractError(f"{place}.{name}", "expected true, false or null")
    return Presence(read.get("allow"), read.get("block"))


def _id(raw: Mapping[str, Any], place: str) -> str:
    """A device id: a text that a store and a directory can hold."""
    value = text(raw, "device_id", f"{place}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ContractError(f"{place}.device_id", "expected a text without half of a surrogate pair") from error
    return value
