"""The side-by-side report as texts: what an address asks for, a device as JSON values and as a spreadsheet's line."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gatepost.errors import Problem
from gatepost.service.report import Line, Wanted
from gatepost.service.web.explained import explained

FILTERS = ("difference", "level", "state", "reason")
COLUMNS = (
    "mailbox", "device", "device_id", "model", "difference", "decided", "reason", "policy_version", "reported",
    "reported_by", "exchange_now", "exchange_decided_by", "exchange_as_decided", "held", "beyond", "organization",
    "guid",
)  # fmt: skip


def wanted_of(asked: Mapping[str, str]) -> Wanted:
    """What the address asks for. Raises Problem 400 for a place in the list that no page gave."""
    after = asked.get("after", "")
    difference, level, state, reason = (asked.get(name, "")[:100] or None for name in FILTERS)
    cursor = _read_cursor(after) if after else None
    return Wanted(_id(asked.get("organization", "")), difference, level, state, reason, cursor)


def document(line: Line) -> dict[str, Any]:
    """One device as JSON values."""
    return {
        "organization": str(line.organization_id),
        "guid": str(line.guid),
        "device_id": line.device_id,
        "device": line.name,
        "mailbox": line.mailbox,
        "model": line.model,
        "difference": line.difference.value,
        "reported": {"state": line.reported, "reason": line.reported_by},
        "explanation": explained(line.why) if line.why else None,
    }


def fields(line: Line) -> list[str]:
    """A device's texts under ``COLUMNS``."""
    why = line.why
    decision = why.decision if why else None
    return [
        line.mailbox,
        line.name,
        line.device_id,
        line.model,
        line.difference.value,
        decision.level.value if decision else "",
        decision.reason.value if decision else "",
        str(why.version or "") if why else "",
        line.reported or "",
        line.reported_by or "",
        why.now.state.value if why else "",
        why.now.reason.value if why else "",
        why.wanted.state.value if why else "",
        str(why.hold_id) if why and why.held else "",
        (why.beyond or "") if why else "",
        str(line.organization_id),
        str(line.guid),
    ]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def cursor(after: tuple[UUID, UUID]) -> str:
    """The place in the list after a device."""
    return "_".join(map(str, after))


def _read_cursor(text: str) -> tuple[UUID, UUID]:
    organization, _, guid = text.partition("_")
    try:
        return UUID(organization), UUID(guid)
    except ValueError as error:
        raise Problem(400, "cursor", "The cursor is not one that a page gave. Start again without it.") from error
