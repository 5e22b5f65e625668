"""Since when each thing is wrong, and what is told of it: once when it begins, daily while it lasts, once at its end.

A thing that comes and goes within minutes is one alert: its end is told when it has stayed away for a while.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from gatepost.service.alerts.conditions import SYNC_FAILED_TWICE, Found
from gatepost.service.database import Scope

QUIET = timedelta(minutes=10)
REMIND_EVERY = timedelta(days=1)
KEPT = timedelta(days=30)

Row = dict[str, Any]


async def renew(scope: Scope, found: Iterable[Found], now: datetime) -> list[tuple[str, Row]]:
    """Bring the register up to what is wrong now; what is told of it: ``begin``, ``reminder`` or ``end``, and what of.

    Call it under the lock ``alerts.lock``.
    """
    known = {(row["condition"], row["organization_id"], row["subject"]): row for row in await scope.all("alerts.open")}
    wrong = {each.key: each for each in found}
    told = []
    for key in sorted(known.keys() | wrong.keys(), key=str):
        row = dict(known.get(key) or _new(wrong[key], now))
        what = _still(row, wrong[key], now) if key in wrong else _over(row, now)
        await scope.run("alerts.save", **row)
        if what:
            told.append((what, row))
    for what, row in told:
        await scope.run("alerts.tell", alert_id=row["alert_id"], what=what, now=now)
    return told


async def forget(scope: Scope, now: datetime) -> None:
    """Forget what was over long ago."""
    await scope.run("alerts.prune_deliveries", before=now - KEPT)
    await scope.run("alerts.prune", before=now - KEPT)


async def shown(scope: Scope, now: datetime, limit: int = 50) -> list[Mapping[str, Any]]:
    """The alerts that last, and those that ended within a week."""
    return list(await scope.all("alerts.shown", ended_after=now - timedelta(days=7), limit=limit))


def _new(found: Found, now: datetime) -> Row:
    return {
        "alert_id": uuid4(),
        "organization_id": found.organization_id,
        "condition": found.condition.value,
        "subject": found.subject,
        "detail": found.detail,
        "seen_at": now,
        "clear_at": None,
        "begun_at": None,
        "told_at": None,
    }


def _still(row: Row, found: Found, now: datetime) -> str:
    """It is so now: what is told."""
    row |= {"clear_at": None, "ended_at": None, "detail": found.detail}
    if row["begun_at"] is None:
        if not found.settled and now - row["seen_at"] < SYNC_FAILED_TWICE:
            return ""
        row |= {"begun_at": now, "told_at": now}
        return "begin"
    if now - row["told_at"] < REMIND_EVERY:
        return ""
    row["told_at"] = now
    return "reminder"


def _over(row: Row, now: datetime) -> str:
    """It is not so now: what is told. What was never told ends without a word."""
    row |= {"clear_at": row["clear_at"] or now, "ended_at": None}
    if row["begun_at"] is None:
        row["ended_at"] = now
    elif now - row["clear_at"] >= QUIET:
        row["ended_at"] = now
        return "end"
    return ""
