"""Connections: what the console tells of an organization, its connector and its syncs, and what it may ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Scope

SYNCS_SHOWN = 12
FINDINGS_SHOWN = 50
SCOPE_SHOWN = 20
KINDS = ("quick", "full")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """One organization as its connector last told it. Times are None where it never happened.

    ``status`` is pending, connected (its lease runs), disconnected (it said farewell, or its lease ran out), replaced
    or removing. ``last_full`` and ``last_quick`` are when the last one succeeded; ``last_attempt`` when the last of any
    kind began to arrive. ``failure`` is why the connector's last attempt failed; that one may never have arrived.
    ``mode``, ``scope`` and the ceiling are the connector's local limits of writing, empty and None where it says none.
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
    states: Sequence[tuple[str, int]]
    families: Sequence[tuple[str, int]]
    recent: Sequence[Row]
    findings: Sequence[Row]

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
    if (await organization(scope, organization_id))["state"] != "connected":
        raise Problem(409, "not-connected", "No connector is enrolled that could sync. Enrol one first.")
    if await scope.run("connections.request_sync", organization_id=organization_id, kind=kind):
        await audit.record(scope, Event.SYNC_REQUESTED, actor, {"kind": kind}, organization_id)


async def accept(scope: Scope, organization_id: UUID, sync_id: str, actor: str) -> None:
    """Accept a held inventory: the next full sync of at least that size goes, and is asked for at once.

    Raises Problem 409 where it is not held any more.
    """
    row = await scope.one("connections.accept", organization_id=organization_id, sync_id=sync_id, actor=actor)
    if row is None:
        raise Problem(409, "not-held", "This inventory is not held any more. Load the page anew.")
    details = {"sync_id": sync_id, "devices": row["announced_devices"], "mailboxes": row["announced_mailboxes"]}
    await audit.record(scope, Event.SYNC_ACCEPTED, actor, details, organization_id)
    await scope.run("connections.request_sync", organization_id=organization_id, kind="full")


def no_organization() -> Problem:
    """There is no such organization in this tenant."""
    return Problem(404, "not-found", "There is no such organization.")
