"""Who exactly: the devices behind the numbers of a preview, a page at a time, found again by their classes."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from gatepost.errors import Problem
from gatepost.service.database import Scope
from gatepost.service.policies.classes import Class, Fate
from gatepost.service.policies.preview import Worked, class_columns

PAGE = 50
LARGEST_PAGE = 5_000
What = Literal["changes", "losing", "gaining", "all"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which devices; empty texts are filters not set. ``group`` is a group's name as policies use it."""

    what: What = "changes"
    reason: str = ""
    level: str = ""
    family: str = ""
    model: str | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Devices as JSON values, and the cursor of the next page; None on the last."""

    rows: Sequence[dict[str, Any]]
    next: str | None


async def page(scope: Scope, worked: Worked, wanted: Filter, cursor: str = "", limit: int = PAGE) -> Page:
    """A page of the devices that fit. Raises Problem 400 where the cursor is none."""
    chosen = [(each, fate) for each, fate in worked.fates if _fits(each, fate, wanted, worked)]
    organization_id, guid = _read(cursor)
    rows = await scope.all(
        "preview.who",
        **worked.asked,
        **class_columns(each for each, _ in chosen),
        fates=list(range(len(chosen))),
        after_organization=organization_id,
        after_guid=guid,
        limit=limit + 1,
    )
    shown = [_plain(row, chosen[row["fate"]][1]) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(shown, _cursor(last["organization_id"], last["guid"]) if last else None)


def _fits(each: Class, fate: Fate, wanted: Filter, worked: Worked) -> bool:
    kinds = {"changes": fate.changes, "losing": fate.loses, "gaining": fate.gains, "all": True}
    facts = worked.facts[each.facts_id]
    return (
        kinds[wanted.what]
        and wanted.reason in ("", fate.decision.reason)
        and wanted.level in ("", fate.after)
        and wanted.family in ("", facts["family"])
        and wanted.model in (None, facts["model"] or "")
        and (not wanted.group or wanted.group in worked.audiences.get(each.audience_id, ()))
    )


def _plain(row: dict[str, Any], fate: Fate) -> dict[str, Any]:
    ids = {name: str(row[name]) for name in ("organization_id", "guid", "mailbox_guid")}
    named = {name: row[name] for name in ("device_id", "friendly_name", "family", "model", "os", "mailbox")}
    return {
        **ids,
        **named,
        "before": fate.before.value,
        "after": fate.after.value,
        "reason": fate.decision.reason.value,
        "rule": fate.decision.rule,
        "loses": fate.loses,
        "gains": fate.gains,
    }


def _cursor(organization_id: UUID, guid: UUID) -> str:
    return urlsafe_b64encode(organization_id.bytes + guid.bytes).decode().rstrip("=")


def _read(cursor: str) -> tuple[UUID | None, UUID | None]:
    if not cursor:
        return None, None
    try:
        key = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return UUID(bytes=key[:16]), UUID(bytes=key[16:])
    except ValueError as error:
        raise Problem(400, "cursor", "The cursor is none that was given out here.") from error
