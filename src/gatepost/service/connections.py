"""Connections: what the console tells of an organization, its connector and its syncs, and what it may ask for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from gatepost import __version__
from gatepost.domain.checks import Check, Level
from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.domain.versions import Product, product_of
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Scope

SYNCS_SHOWN = 12
FINDINGS_SHOWN = 50
SCOPE_SHOWN = 20
KINDS = ("quick", "full")
LONGEST_REASON = 500
ERRORS_SHOWN = 10
CHECKS_SHOWN = 200
SEVERITY = (Level.BAD, Level.WARNING, Level.GOOD, Level.SKIPPED)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """Who stopped all writing, when, and why."""

    at: datetime
    by: str
    why: str

    @classmethod
    def read(cls, row: Row) -> Self | None:
        """A stop as the organization's row has it, None while writing is not stopped."""
        at = row["writing_stopped_at"]
        return cls(at, row["writing_stopped_by"], row["writing_stopped_why"]) if at else None

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {"at": iso(self.at), "by": self.by, "why": self.why}


@dataclass(frozen=True, slots=True)
class Connection:
    """One organization as its connector last told it. Times are None where it never happened.

    ``status`` is pending, connected (its lease runs), disconnected (it said farewell, or its lease ran out), replaced,
    removing or removed. ``last_full`` and ``last_quick`` are when the last one succeeded; ``last_attempt`` when the
    last of any kind began to arrive. ``failure`` is why the connector's last attempt failed, which may never have
    arrived.
    ``mode``, ``scope`` and the ceiling are the connector's local limits of writing, empty and None where it says none.
    ``stopped`` is who stopped all writing, when and why, None while it is not stopped. ``load`` is empty where the
    connector told of none; ``errors`` and the doctor's ``checks`` are as it last told.
    """

    organization_id: UUID
    name: str
    status: str
    sync_requested: str
    connector_host: str
    connector_version: str
    server: str
    exchange_version: str
    domain_controller: str
    mode: str
    scope: Sequence[str]
    ceiling_used: int | None
    ceiling_limit: int | None
    last_contact: datetime | None
    last_attempt: datetime | None
    last_full: datetime | None
    last_quick: datetime | None
    next_full: datetime | None
    next_quick: datetime | None
    failure: str | None
    devices: int
    mailboxes: int
    stopped: Stop | None
    certificate_until: datetime | None
    load: Row
    errors: Sequence[Row]
    checks: Sequence[Check]
    checked_at: datetime | None
    states: Sequence[tuple[str, int]]
    families: Sequence[tuple[str, int]]
    recent: Sequence[Row]
    findings: Sequence[Row]

    @property
    def product(self) -> Product | None:
        """Which Exchange it is; None where the connector did not tell."""
        return product_of(self.exchange_version) if self.exchange_version else None

    @property
    def is_old(self) -> bool:
        """Whether the service brings a newer connector than the one that runs."""
        return bool(self.connector_version) and _numbers(self.connector_version) < _numbers(__version__)

    @property
    def running(self) -> Row | None:
        """The sync that is open now."""
        return next((sync for sync in self.recent if sync["state"] == "open"), None)

    @property
    def held(self) -> Row | None:
        """The newest full sync, if it is held and nobody has accepted it."""
        ended = (sync for sync in self.recent if sync["kind"] == "full" and sync["state"] not in {"open", "abandoned"})
        newest = next(ended, None)
        return newest if newest and newest["state"] == "held" else None

    @property
    def trouble(self) -> bool:
        """Whether something stands at the top of the page that needs a person."""
        return self.status != "connected" or self.failure is not None or self.held is not None


async def organizations(scope: Scope) -> list[dict[str, Any]]:
    """Every organization of the tenant, by name."""
    return await scope.all("connections.organizations")


async def overview(scope: Scope) -> list[dict[str, Any]]:
    """Every organization by name, each with its ``status`` as ``Connection`` has it."""
    rows, now = await scope.all("connections.overview"), datetime.now(UTC)
    return [row | {"status": _status(row, now)} for row in rows]


async def organization(scope: Scope, organization_id: UUID) -> dict[str, Any]:
    """One organization's name, state and last sync. Raises Problem 404 where this tenant has none such."""
    row = await scope.one("connections.organization", organization_id=organization_id)
    if row is None:
        raise no_organization()
    return row


async def counters(scope: Scope, organization_id: UUID | None) -> dict[str, int]:
    """The counts of an organization, or of all together: ``devices``, ``mailboxes``, ``state:…``, ``family:…``."""
    rows = await scope.all("connections.counters", organization_id=organization_id)
    return {row["name"]: row["value"] for row in rows}


def by(counts: Mapping[str, int], what: str) -> list[tuple[str, int]]:
    """The counts of one kind, ``state`` or ``family``, the largest first."""
    prefix = f"{what}:"
    found = [(name.removeprefix(prefix), value) for name, value in counts.items() if name.startswith(prefix) and value]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


async def connection(scope: Scope, organization_id: UUID) -> Connection:
    """One connection. Raises Problem 404 where this tenant has no such organization."""
    row = await scope.one("connections.connection", organization_id=organization_id)
    if row is None:
        raise no_organization()
    counts = await counters(scope, organization_id)
    told = row["status"] or {}
    exchange, next_syncs = _mapping(told.get("exchange")), _mapping(told.get("next_syncs"))
    ceiling = _mapping(told.get("ceiling"))
    return Connection(
        organization_id=organization_id,
        name=row["name"],
        status=_status(row, datetime.now(UTC)),
        sync_requested=row["sync_requested"],
        connector_host=row["host"] or "",
        connector_version=row["version"] or "",
        server=_text(exchange.get("server")),
        exchange_version=_text(exchange.get("version")),
        domain_controller=_text(exchange.get("domain_controller")),
        mode=_text(told.get("mode")),
        scope=[entry for entry in told.get("scope") or () if isinstance(entry, str)][:SCOPE_SHOWN],
        ceiling_used=_whole(ceiling.get("used")),
        ceiling_limit=_whole(ceiling.get("limit")),
        last_contact=row["last_contact"],
        last_attempt=row["last_attempt"],
        last_full=row["last_full"],
        last_quick=row["last_quick"],
        next_full=_moment(next_syncs.get("full")),
        next_quick=_moment(next_syncs.get("quick")),
        failure=_text(told.get("failure")) or None,
        devices=counts.get("devices", 0),
        mailboxes=counts.get("mailboxes", 0),
        stopped=Stop.read(row),
        certificate_until=_moment(told.get("certificate_until")),
        load=_load(_mapping(told.get("load"))),
        errors=_errors(told.get("errors")),
        checks=_checks(_mapping(told.get("doctor")).get("checks")),
        checked_at=_moment(_mapping(told.get("doctor")).get("at")),
        states=by(counts, "state"),
        families=by(counts, "family"),
        recent=await scope.all("connections.syncs", organization_id=organization_id, limit=SYNCS_SHOWN),
        findings=await scope.all("connections.findings", organization_id=organization_id, limit=FINDINGS_SHOWN),
    )


def _status(row: Row, now: datetime) -> str:
    """The organization's state, where connected is split by whether the connector's lease runs."""
    if row["state"] != "connected":
        return str(row["state"])
    return "connected" if row["lease_until"] and row["lease_until"] > now else "disconnected"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _load(told: Mapping[str, Any]) -> Row:
    """What the connector asks of Exchange; nothing where it did not tell."""
    if _whole(told.get("limit")) is None:
        return {}
    return {
        "sessions": _whole(told.get("sessions")) or 0,
        "limit": told["limit"],
        "waiting": _whole(told.get("waiting")) or 0,
        "pushed_back_at": _moment(told.get("pushed_back_at")),
        "why": _text(told.get("why")),
    }


def _errors(told: object) -> list[Row]:
    """The connector's recent errors, the newest first."""
    listed = [_mapping(each) for each in told] if isinstance(told, list) else []
    return [
        {"at": _moment(each.get("at")), "what": _text(each.get("what")), "remedy": _text(each.get("remedy"))}
        for each in listed[:ERRORS_SHOWN]
        if _text(each.get("what"))
    ]


def _checks(told: object) -> list[Check]:
    """What the doctor found, the worst first; what is no check is left out."""
    names = [field.name for field in fields(Check)]
    found = []
    for each in [_mapping(each) for each in told][:CHECKS_SHOWN] if isinstance(told, list) else []:
        if each.get("level") in tuple(Level):
            level, texts = Level(each["level"]), {name: _text(each.get(name)) for name in names if name != "level"}
            found.append(Check(level=level, **texts))
    return sorted(found, key=lambda check: SEVERITY.index(check.level))


def _numbers(version: str) -> list[int]:
    """A version as numbers that compare."""
    return [int(part) for part in re.findall(r"\d+", version)]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _moment(value: object) -> datetime | None:
    """A time as the connector told it; None where it is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


async def request_sync(scope: Scope, organization_id: UUID, kind: str, actor: str) -> None:
    """Ask the connector for a sync; the database wakes it at commit.

    A full one is not replaced by a quick one; after a failed attempt each request counts anew.

    Raises Problem 404, 400 for another kind, 409 where no connector is enrolled.
    """
    if kind not in KINDS:
        raise Problem(400, "malformed", "kind is quick or full.")
    known = await organization(scope, organization_id)
    if known["state"] != "connected":
        raise Problem(409, "not-connected", "No connector is enrolled that could sync. Enrol one first.")
    if await scope.run("connections.request_sync", organization_id=organization_id, kind=kind):
        details = {"kind": kind, "before": known["sync_requested"], "after": kind}
        await audit.record(scope, Event.SYNC_REQUESTED, actor, details, organization_id)


async def stop_writing(scope: Scope, organization_id: UUID, reason: str, actor: str) -> None:
    """Let nobody write to this organization from now on; the database wakes the connector, which drops its lease.

    Raises Problem 404, 400 without a reason, 409 ``stopped`` where it is stopped already.
    """
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Problem(400, "malformed", f"Say why, in at most {LONGEST_REASON} visible characters.", place="reason")
    await organization(scope, organization_id)
    row = await scope.one("connections.stop_writing", organization_id=organization_id, actor=actor, reason=reason)
    stopped = Stop.read(row) if row else None
    if stopped is None:
        raise Problem(409, "stopped", "Writing is stopped already. Load the page anew.")
    details = {"before": None, "after": stopped.document()}
    await audit.record(scope, Event.WRITING_STOPPED, actor, details, organization_id)


async def release_writing(scope: Scope, organization_id: UUID, actor: str) -> None:
    """Let the connector write again, within its own limits. Raises Problem 404, 409 ``not-stopped``."""
    await organization(scope, organization_id)
    row = await scope.one("connections.stopped", organization_id=organization_id)
    before = Stop.read(row) if row else None
    if before is None:
        raise Problem(409, "not-stopped", "Writing is not stopped. Load the page anew.")
    await scope.run("connections.release_writing", organization_id=organization_id)
    details = {"before": before.document(), "after": None}
    await audit.record(scope, Event.WRITING_RELEASED, actor, details, organization_id)


async def accept(scope: Scope, organization_id: UUID, sync_id: str, actor: str) -> None:
    """Accept a held inventory: the next full sync of at least that size goes, and is asked for at once.

    Raises Problem 409 where it is not held any more.
    """
    row = await scope.one("connections.accept", organization_id=organization_id, sync_id=sync_id, actor=actor)
    if row is None:
        raise Problem(409, "not-held", "This inventory is not held any more. Load the page anew.")
    counted = {"devices": row["announced_devices"], "mailboxes": row["announced_mailboxes"]}
    details = {"sync_id": sync_id, **counted, "before": "held", "after": "accepted"}
    await audit.record(scope, Event.SYNC_ACCEPTED, actor, details, organization_id)
    await scope.run("connections.request_sync", organization_id=organization_id, kind="full")


def no_organization() -> Problem:
    """There is no such organization in this tenant."""
    return Problem(404, "not-found", "There is no such organization.")
