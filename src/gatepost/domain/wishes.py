"""Settings of Exchange that are wished for: what goes to a connector, and what it says became of it.

A wish is carried out once, and only from a value that its maker had seen: an administrator's own change at Exchange is
never overwritten unseen. Levels are in our words here, and an empty text is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gatepost.domain.desired import Level, Result
from gatepost.domain.fields import ContractError, choice, guid, moment, sequence

WISH = "wish"
LONGEST_INSERT = 256  # characters that Exchange takes for a text of its own mails
LEVELS = (Level.ALLOW, Level.QUARANTINE, Level.BLOCK)
ENDED = frozenset({Result.APPLIED, Result.UNCHANGED, Result.CONFLICT})
"""After these a wish needs nothing more; all other results may turn into another one by themselves."""


class WishName(StrEnum):
    """The settings that can be wished for; the text is added to what Exchange mails to a person."""

    DEFAULT_LEVEL = "default-level"
    USER_MAIL_INSERT = "user-mail-insert"
    OTA_NOTIFICATION_INSERT = "ota-notification-insert"


@dataclass(frozen=True, slots=True)
class Wish:
    """One setting should have this ``value``; it is changed only where it is one of ``known_as`` now."""

    wish_id: str
    name: WishName
    value: str
    known_as: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_wish`` reads them."""
        return {
            "wish_id": self.wish_id,
            "name": self.name.value,
            "value": self.value,
            "known_as": list(self.known_as),
        }

    def verdict(self, now: str | None) -> Result | None:
        """What comes of it where Exchange says ``now``: None where it is to be changed."""
        seen = plain(self.name, now)
        if seen == self.value:
            return Result.UNCHANGED
        return None if seen in self.known_as else Result.CONFLICT


@dataclass(frozen=True, slots=True)
class WishOutcome:
    """What became of a wish. ``before`` and ``after`` are what Exchange said, None where it was not asked."""

    outcome_id: str
    wish_id: str
    name: WishName
    result: Result
    at: datetime
    before: str | None = None
    after: str | None = None
    why: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_wish_outcome`` reads them."""
        return {
            "outcome_id": self.outcome_id,
            "about": WISH,
            "wish_id": self.wish_id,
            "name": self.name.value,
            "result": self.result.value,
            "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "before": self.before,
            "after": self.after,
            "why": self.why,
        }


def plain(name: WishName, value: str | None) -> str:
    """A setting as Exchange says it, in our words: a level in small letters, no text as an empty one."""
    said = value or ""
    return said.lower() if name is WishName.DEFAULT_LEVEL else said


def read_wish(raw: Mapping[str, Any], place: str) -> Wish:
    """One wish of an answer. Raises ContractError."""
    known_as = sequence(raw.get("known_as", []), f"{place}.known_as")
    if not all(isinstance(value, str) for value in known_as):
        raise ContractError(f"{place}.known_as", "expected texts")
    wish = Wish(
        wish_id=guid(raw, "wish_id", f"{place}."),
        name=choice(WishName, raw.get("name"), f"{place}.name"),
        value=_value(raw.get("value"), f"{place}.value"),
        known_as=tuple(known_as),
    )
    if why := fault(wish.name, wish.value):
        raise ContractError(f"{place}.value", why)
    return wish


def read_wish_outcome(raw: Mapping[str, Any], place: str) -> WishOutcome:
    """One outcome about a wish. Raises ContractError."""
    return WishOutcome(
        outcome_id=guid(raw, "outcome_id", f"{place}."),
        wish_id=guid(raw, "wish_id", f"{place}."),
        name=choice(WishName, raw.get("name"), f"{place}.name"),
        result=choice(Result, raw.get("result"), f"{place}.result"),
        at=moment(raw.get("at"), f"{place}.at"),
        before=_optional(raw.get("before"), f"{place}.before"),
        after=_optional(raw.get("after"), f"{place}.after"),
        why=str(raw.get("why", "")),
    )


def fault(name: WishName, value: str) -> str:
    """What keeps a value from being wished for, '' where nothing does."""
    if name is WishName.DEFAULT_LEVEL:
        return "" if value in set(LEVELS) else f"expected one of {', '.join(LEVELS)}"
    if len(value) > LONGEST_INSERT:
        return f"{len(value)} characters, and Exchange takes at most {LONGEST_INSERT}"
    return "" if not value or value.isprintable() else "expected visible characters on one line"


def _value(value: Any, place: str) -> str:  # noqa: ANN401 - foreign JSON
    if not isinstance(value, str):
        raise ContractError(place, "expected a text")
    return value


def _optional(value: Any, place: str) -> str | None:  # noqa: ANN401 - foreign JSON
    return None if value is None else _value(value, place)
