"""The sending of notices, between service and connector: what is due, what a claim gives, what is said became of it.

A notice is claimed before it is sent, under a permit that is good for one minute; a sending takes at most another. Five
minutes after a claim nothing of it can be under way any more: where no outcome was told by then, Sent Items are looked
through for the notice's own mark, and only where it is not there the notice may be claimed again. So it is never sent
twice, and never lost, whenever a connector dies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gatepost.domain.fields import choice, guid, mapping, moment, sequence, text

NOTICE = "notice"
PERMIT_SECONDS = 60.0  # from when the claim was asked for; no sending begins later
SENDING_SECONDS = 60.0  # the longest that one sending takes
SETTLED_SECONDS = 300.0  # from the claim; longer than both, and than Exchange needs to put a copy into Sent Items
AT_ONCE = 10  # in one claim; all of them can begin while the permit lasts
A_PAGE = 100  # told of in one answer


class Delivery(StrEnum):
    """What became of a notice.

    ``sent``: Exchange took it. ``found``: it was in Sent Items. ``unsent``: nothing left, or nothing was found; it may
    be sent. ``failed``: Exchange refuses this one. ``uncertain``: it left, and nobody can tell yet.
    """

    SENT = "sent"
    FOUND = "found"
    UNSENT = "unsent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice to send; with a ``permit``, one that was claimed under it and is to be looked for."""

    notice_id: str
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """What a claim gives: one mail, to be sent once, marked with its id."""

    notice_id: str
    permit: str
    to: str
    subject: str
    html: str
    text: str

    def document(self) -> dict[str, str]:
        """As JSON values, as ``read_letters`` reads them."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class NoticeOutcome:
    """What became of a notice that was claimed under a permit."""

    outcome_id: str
    notice_id: str
    permit: str
    result: Delivery
    at: datetime
    why: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON values, as ``read_notice_outcome`` reads them."""
        return {
            "outcome_id": self.outcome_id,
            "about": NOTICE,
            "notice_id": self.notice_id,
            "permit": self.permit,
            "result": self.result.value,
            "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "why": self.why,
        }


def read_due(raw: Mapping[str, Any], place: str) -> DueNotice:
    """One notice of an answer. Raises ContractError."""
    permit = raw.get("permit")
    return DueNotice(guid(raw, "notice_id", f"{place}."), None if permit is None else guid(raw, "permit", f"{place}."))


def read_letters(raw: Mapping[str, Any]) -> tuple[Letter, ...]:
    """The answer to a claim. Raises ContractError."""
    rows = sequence(raw.get("letters", []), "letters")
    return tuple(_read_letter(mapping(each, f"letters[{at}]"), f"letters[{at}]") for at, each in enumerate(rows))


def _read_letter(raw: Mapping[str, Any], place: str) -> Letter:
    return Letter(
        notice_id=guid(raw, "notice_id", f"{place}."),
        permit=guid(raw, "permit", f"{place}."),
        **{name: text(raw, name, f"{place}.") for name in ("to", "subject", "html", "text")},
    )


def read_notice_outcome(raw: Mapping[str, Any], place: str) -> NoticeOutcome:
    """One outcome about a notice. Raises ContractError."""
    return NoticeOutcome(
        outcome_id=guid(raw, "outcome_id", f"{place}."),
        notice_id=guid(raw, "notice_id", f"{place}."),
        permit=guid(raw, "permit", f"{place}."),
        result=choice(Delivery, raw.get("result"), f"{place}.result"),
        at=moment(raw.get("at"), f"{place}.at"),
        why=str(raw.get("why", "")),
    )
