"""Tickets, enrolment, and who a connector is.

A ticket is ``tenant_id.secret`` and pays for one enrolment. The connector makes its own key and sends only the public
part (today ``sha256:`` and the hash of a random secret, where a certificate request will stand). Enrolment raises the
organization's epoch, and so fences the connector before it. Nothing here tells whether a tenant exists.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Database, Scope

TICKET_LIFE = timedelta(hours=24)
CLOCK_TOLERANCE = timedelta(minutes=5)
FAREWELL_FOR = timedelta(hours=24)
PUBLIC_KEY = re.compile(r"sha256:[0-9a-f]{64}")
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Connector:
    """An authenticated connector: who it is, and the instance (one store of it) that speaks."""

    tenant_id: UUID
    connector_id: UUID
    organization_id: UUID
    epoch: int
    instance: UUID


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request claim, before anything is believed. ``time`` is the connector's clock."""

    tenant_id: UUID
    connector_id: UUID
    epoch: int
    instance: UUID
    time: datetime
    secret: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment answers with."""

    tenant: UUID
    organization: UUID
    connector: UUID
    epoch: int
    incarnation: UUID

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return {
            "tenant": str(self.tenant),
            "organization": str(self.organization),
            "connector": str(self.connector),
            "epoch": self.epoch,
            "incarnation": str(self.incarnation),
        }


@dataclass(frozen=True, slots=True)
class Ticket:
    """What pays for one enrolment, in an organization, until a moment. ``text`` is shown once and kept nowhere."""

    text: str = field(repr=False)
    organization_id: UUID
    expires_at: datetime


async def add_ticket(scope: Scope, organization: str, made_by: str) -> Ticket:
    """A new ticket for an organization of the scope's tenant, made if it is new. The caller tells the audit trail."""
    row = await scope.one("enrolment.ensure_organization", name=organization)
    if row is None:  # another transaction made it between the two halves of the statement
        row = await scope.one("enrolment.ensure_organization", name=organization)
    assert row is not None
    secret, expires_at = secrets.token_urlsafe(32), datetime.now(UTC) + TICKET_LIFE
    await scope.run(
        "enrolment.add_ticket",
        ticket_hash=_digest(secret),
        organization_id=row["organization_id"],
        expires_at=expires_at,
        made_by=made_by,
    )
    return Ticket(f"{scope.tenant_id}.{secret}", row["organization_id"], expires_at)


async def create_ticket(scope: Scope, organization: str, made_by: str = "operator") -> str:
    """A ticket as the operator makes one, on the command line. Valid once, for 24 hours."""
    ticket = await add_ticket(scope, organization, made_by)
    await audit.record(scope, Event.TICKET_CREATED, made_by, {"organization": organization}, ticket.organization_id)
    return ticket.text


async def enrol(database: Database, ticket: str, public_key: str, host: str, version: str) -> Enrolment:
    """Spend a ticket. The same ticket with the same key gives the same answer again.

    Raises Problem 403 ``ticket``, 409 ``ticket-used``, 400 ``malformed``.
    """
    tenant, _, secret = ticket.partition(".")
    if not PUBLIC_KEY.fullmatch(public_key):
        raise Problem(400, "malformed", "public_key is not sha256: and 64 hex digits.")
    if not all(text.isprintable() and len(text) <= LONGEST for text in (host, version)):
        raise Problem(400, "malformed", f"host and version may have {LONGEST} visible characters.")
    try:
        tenant_id = UUID(tenant)
    except ValueError as error:
        raise _no_ticket() from error

    async def spend(scope: Scope) -> Enrolment:
        return await _spend(scope, tenant_id, _digest(secret), public_key, host, version)

    return await database.work(tenant_id, spend)


async def authenticate(scope: Scope, claim: Claim, *, fenced_too: bool = False) -> Connector:
    """Whom a request comes from. ``fenced_too`` lets one in that was replaced or removed a day ago at most.

    Raises Problem 401 ``clock`` or ``signature``, 403 ``revoked``, ``superseded`` or ``removed``.
    """
    now = datetime.now(UTC)
    row = await scope.one("enrolment.connector", connector_id=claim.connector_id)
    known = row["public_key"] if row else "sha256:" + "0" * 64
    offered = "sha256:" + hashlib.sha256(claim.secret.encode()).hexdigest()
    if not hmac.compare_digest(known, offered) or row is None:
        raise Problem(401, "signature", "The connector is unknown, or its secret is not right.")
    if abs(now - claim.time) > CLOCK_TOLERANCE:
        raise Problem(401, "clock", "The connector's clock is more than 5 minutes off.", server_time=iso(now))
    _refuse_fenced(row, claim.epoch, since=now - FAREWELL_FOR if fenced_too else None)
    return Connector(claim.tenant_id, row["connector_id"], row["organization_id"], row["epoch"], claim.instance)


def _refuse_fenced(row: dict[str, Any], epoch: int, since: datetime | None) -> None:
    """Raise the Problem of a connector that may no longer speak; ``since`` forgives what happened after it."""

    def forgiven(moment: datetime | None) -> bool:
        return since is not None and (moment is None or moment > since)

    if row["revoked_at"] is not None and not forgiven(row["revoked_at"]):
        raise Problem(403, "revoked", "This connector was revoked by an administrator.")
    if row["organization_state"] == "removing" and not forgiven(None):
        raise Problem(403, "removed", "This organization is being removed.")
    if row["epoch"] != row["current_epoch"] and not forgiven(row["superseded_at"]):
        raise Problem(
            403,
            "superseded",
            f"Another connector on {row['next_host'] or 'another host'} has taken over.",
            by=row["next_host"],
            at=iso(row["next_at"]),
        )
    if epoch != row["epoch"]:
        raise Problem(400, "malformed", "The epoch of the request is not the one that this connector enrolled with.")


async def _spend(
    scope: Scope, tenant_id: UUID, ticket_hash: bytes, public_key: str, host: str, version: str
) -> Enrolment:
    ticket = await scope.one("enrolment.lock_ticket", ticket_hash=ticket_hash)
    if ticket is None or ticket["expires_at"] <= datetime.now(UTC):
        raise _no_ticket()
    incarnation = await scope.one("schema.incarnation")
    assert incarnation is not None
    organization_id: UUID = ticket["organization_id"]
    if ticket["used_at"] is not None:
        if ticket["public_key"] != public_key:
            raise Problem(409, "ticket-used", "The ticket was used by another connector. Ask for a new one.")
        connector_id, epoch = ticket["connector_id"], ticket["epoch"]
    else:
        connector_id, epoch = await _add(scope, organization_id, public_key, host, version)
        await scope.run(
            "enrolment.use_ticket", ticket_hash=ticket_hash, connector_id=connector_id, public_key=public_key
        )
    return Enrolment(tenant_id, organization_id, connector_id, epoch, incarnation["incarnation"])


async def _add(scope: Scope, organization_id: UUID, public_key: str, host: str, version: str) -> tuple[UUID, int]:
    """A new connector of the next epoch: its id and its epoch."""
    raised = await scope.one("enrolment.raise_epoch", organization_id=organization_id)
    if raised is None:
        raise Problem(403, "removed", "This organization is being removed.")
    epoch: int = raised["epoch"]
    await scope.run("enrolment.supersede", organization_id=organization_id, epoch=epoch)
    made = await scope.one(
        "enrolment.add_connector",
        organization_id=organization_id,
        epoch=epoch,
        public_key=public_key,
        host=host,
        version=version,
    )
    assert made is not None
    details = {"epoch": epoch, "host": host, "version": version}
    await audit.record(scope, Event.CONNECTOR_ENROLLED, str(made["connector_id"]), details, organization_id)
    return made["connector_id"], epoch


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _no_ticket() -> Problem:
    return Problem(403, "ticket", "The ticket is unknown or has expired. Ask an administrator for a new one.")
