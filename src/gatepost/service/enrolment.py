"""Tickets, enrolment, and who a connector is.

A ticket is ``tenant_id.secret`` and pays for one enrolment. The connector makes its own key and proves it with a
certificate request; the tenant's authority answers with a certificate. Enrolment raises the organization's epoch, and
so fences the connector before it. Nothing here tells whether a tenant exists.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gatepost.domain.contract import iso
from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit, certificates
from gatepost.service.access import due
from gatepost.service.connectors import Connector
from gatepost.service.database import Database, Scope
from gatepost.service.keys import Keys, TenantKeys

TICKET_LIFE = timedelta(hours=24)
CLOCK_TOLERANCE = timedelta(minutes=5)
FAREWELL_FOR = timedelta(hours=24)
LATE_RENEWAL_FOR = timedelta(hours=24)
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request claim, before anything is believed. ``time`` is the connector's clock.

    ``signed`` are the bytes that ``signature`` (base64) is said to cover.
    """

    tenant_id: UUID
    connector_id: UUID
    serial: str
    epoch: int
    instance: UUID
    time: datetime
    signed: bytes
    signature: str


@dataclass(frozen=True, slots=True)
class Proven:
    """A claim whose signature is right, with what decides whether its connector may speak, and the tenant's keys."""

    claim: Claim
    row: Mapping[str, Any]
    keys: TenantKeys


@dataclass(frozen=True, slots=True)
class Application:
    """What a connector says that wants to be enrolled. ``replace``: also where another connector is at work."""

    tenant_id: UUID
    ticket_hash: bytes
    request: certificates.Request
    host: str
    version: str
    replace: bool


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment answers with."""

    tenant: UUID
    organization: UUID
    organization_name: str
    connector: UUID
    epoch: int
    incarnation: UUID
    certificate: str
    authority: str
    service_key: str

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__} | {"server_time": iso(datetime.now(UTC))}


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


def read_application(document: Mapping[str, Any]) -> Application:
    """What a body asks for. Raises Problem 400 ``malformed``, 403 ``ticket``."""
    texts = {name: document.get(name, "") for name in ("ticket", "csr", "host", "version")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise Problem(400, "malformed", "ticket, csr, host and version are texts.")
    if not all(texts[name].isprintable() and len(texts[name]) <= LONGEST for name in ("host", "version")):
        raise Problem(400, "malformed", f"host and version may have {LONGEST} visible characters.")
    request = certificates.read_request(texts["csr"])
    tenant, _, secret = texts["ticket"].partition(".")
    try:
        tenant_id = UUID(tenant)
    except ValueError as error:
        raise _no_ticket() from error
    replace = document.get("replace") is True
    return Application(tenant_id, _digest(secret), request, texts["host"], texts["version"], replace)


async def keys_for(database: Database, keys: Keys, application: Application) -> TenantKeys:
    """The keys of the tenant whose ticket is good: what is answered then is signed. Raises Problem 403 ``ticket``."""
    async with database.tenant(application.tenant_id) as scope:
        await _ticket(scope, application)
        return await keys.of(scope)


async def enrol(database: Database, keys: TenantKeys, application: Application) -> Enrolment:
    """Spend a ticket. The same ticket with the same key gives the same answer again.

    Raises Problem 403 ``ticket`` or ``removed``, 409 ``ticket-used``, or ``occupied`` where another connector is at
    work and is not to be replaced: the ticket is not spent then.
    """

    async def spend(scope: Scope) -> Enrolment:
        return await _spend(scope, keys, application)

    return await database.work(application.tenant_id, spend)


async def prove(scope: Scope, keys: Keys, claim: Claim) -> Proven:
    """Whose key has signed a request. Raises Problem 401 ``signature``: the only refusal that nobody signs."""
    row = await scope.one("enrolment.connector", connector_id=claim.connector_id, serial=claim.serial)
    if row is None or not _is_signed(claim, row["public_key"]):
        raise Problem(401, "signature", "The connector is unknown, or its signature is not right.")
    return Proven(claim, row, await keys.of(scope))


async def admit(scope: Scope, proven: Proven, *, fenced_too: bool = False, late: bool = False) -> Connector:
    """The connector that may speak now. ``fenced_too`` lets one in that was replaced or removed a day ago at most.

    ``late`` is for a renewal: see ``certificates.check``. A certificate that signs for the first time is in use then.
    Raises Problem 401 ``clock``, 403 ``retired``, ``expired``, ``revoked``, ``superseded`` or ``removed``.
    """
    claim, row, now = proven.claim, proven.row, datetime.now(UTC)
    if abs(now - claim.time) > CLOCK_TOLERANCE:
        raise Problem(401, "clock", "The connector's clock is more than 5 minutes off.", server_time=iso(now))
    _refuse_fenced(row, claim.epoch, since=now - FAREWELL_FOR if fenced_too else None)
    certificates.check(row, now, late=late)
    if row["first_used_at"] is None:
        await scope.run("certificates.first_use", connector_id=claim.connector_id, serial=claim.serial)
    return Connector(
        claim.tenant_id,
        row["connector_id"],
        row["organization_id"],
        row["epoch"],
        claim.instance,
        claim.time,
        claim.serial,
    )


async def standing(scope: Scope, connector: Connector) -> dict[str, Any]:
    """What an admitted connector is taken for; nothing is changed by it, no lease and no contact."""
    row = await scope.one("enrolment.standing", organization_id=connector.organization_id)
    assert row is not None, "a connector has an organization"
    return {"organization": row["name"], "state": row["state"], "epoch": connector.epoch}


async def revoke(scope: Scope, organization_id: UUID, actor: str) -> bool:
    """The connector of an organization is let in no more, from now on; whether there was one."""
    row = await scope.one("enrolment.revoke", organization_id=organization_id)
    if row is None:
        return False
    await scope.run("certificates.revoke", connector_id=row["connector_id"])
    body = {"connector": str(row["connector_id"]), "host": row["host"], "before": "in use", "after": "revoked"}
    await audit.record(scope, Event.CONNECTOR_REVOKED, actor, body, organization_id)
    return True


async def allow_late_renewal(scope: Scope, organization_id: UUID, actor: str) -> datetime | None:
    """For 24 hours the connector may renew a certificate that has expired; until when, None where there is none."""
    until = datetime.now(UTC) + LATE_RENEWAL_FOR
    row = await scope.one("enrolment.allow_late", organization_id=organization_id, until=until)
    if row is None:
        return None
    body = {"connector": str(row["connector_id"]), "until": iso(until)}
    await audit.record(scope, Event.LATE_RENEWAL_ALLOWED, actor, body, organization_id)
    return until


def _is_signed(claim: Claim, public_key: bytes) -> bool:
    key = serialization.load_der_public_key(public_key)
    assert isinstance(key, ec.EllipticCurvePublicKey), "only such keys are certified"
    try:
        key.verify(base64.b64decode(claim.signature, validate=True), claim.signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _refuse_fenced(row: Mapping[str, Any], epoch: int, since: datetime | None) -> None:
    """Raise the Problem of a connector that may no longer speak; ``since`` forgives what happened after it.

    A revoked one is never forgiven: its key may be a thief's, whose last words could make others' entries ours.
    """

    def forgiven(moment: datetime | None) -> bool:
        return since is not None and (moment is None or moment > since)

    if row["revoked_at"] is not None:
        raise Problem(403, "revoked", "This connector was revoked by an administrator.")
    if row["organization_state"] == "removed" and not forgiven(row["removed_at"]):
        raise Problem(403, "removed", "This organization was removed.")
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


async def _ticket(scope: Scope, application: Application) -> dict[str, Any]:
    ticket = await scope.one("enrolment.lock_ticket", ticket_hash=application.ticket_hash)
    if ticket is None or ticket["expires_at"] <= datetime.now(UTC):
        raise _no_ticket()
    return ticket


async def _spend(scope: Scope, keys: TenantKeys, application: Application) -> Enrolment:
    ticket = await _ticket(scope, application)
    incarnation = await scope.one("schema.incarnation")
    assert incarnation is not None
    organization_id: UUID = ticket["organization_id"]
    key_hash = hashlib.sha256(application.request.encoded).digest()
    if ticket["used_at"] is not None:
        connector_id, epoch = ticket["connector_id"], ticket["epoch"]
        same = ticket["key_hash"] == key_hash
        certificate = await certificates.first(scope, connector_id, application.request) if same else None
        if certificate is None:
            raise _refusal(keys, "ticket-used", "The ticket was used by another connector. Ask for a new one.")
    else:
        await _refuse_occupied(scope, keys, organization_id, application)
        connector_id, epoch = await _add(scope, keys, organization_id, application)
        certificate = await certificates.issue(scope, keys, connector_id, application.request)
        await scope.run(
            "enrolment.use_ticket",
            ticket_hash=application.ticket_hash,
            connector_id=connector_id,
            key_hash=key_hash,
        )
    return Enrolment(
        application.tenant_id,
        organization_id,
        ticket["organization_name"],
        connector_id,
        epoch,
        incarnation["incarnation"],
        certificate,
        keys.authority.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        _service_key(keys),
    )


async def _refuse_occupied(scope: Scope, keys: TenantKeys, organization_id: UUID, application: Application) -> None:
    """Another connector is replaced only where that is wanted, by who sees what it is."""
    await scope.run("enrolment.lock_organization", organization_id=organization_id)
    other = await scope.one("enrolment.occupant", organization_id=organization_id)
    if other is not None and not application.replace:
        raise _refusal(
            keys,
            "occupied",
            "Another connector works for this organization.",
            host=other["host"],
            version=other["version"],
            last_contact=iso(other["last_at"]),
        )


async def _add(scope: Scope, keys: TenantKeys, organization_id: UUID, application: Application) -> tuple[UUID, int]:
    """A new connector of the next epoch: its id and its epoch."""
    raised = await scope.one("enrolment.raise_epoch", organization_id=organization_id)
    if raised is None:
        raise _refusal(keys, "removed", "This organization is being removed.", status=403)
    epoch: int = raised["epoch"]
    await scope.run("enrolment.supersede", organization_id=organization_id, epoch=epoch)
    if raised["returns"]:
        await due.mark_organization(scope, organization_id, due.SYNC)
    said = {"epoch": epoch, "host": application.host, "version": application.version}
    made = await scope.one("enrolment.add_connector", organization_id=organization_id, **said)
    assert made is not None
    await audit.record(scope, Event.CONNECTOR_ENROLLED, str(made["connector_id"]), said, organization_id)
    return made["connector_id"], epoch


def _refusal(keys: TenantKeys, kind: str, detail: str, *, status: int = 409, **fields: object) -> Problem:
    """A refusal that a connector without an identity can check: it names the key that signs it."""
    return Problem(status, kind, detail, service_key=_service_key(keys), **fields)


def _service_key(keys: TenantKeys) -> str:
    return base64.b64encode(keys.public).decode("ascii")


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _no_ticket() -> Problem:
    return Problem(403, "ticket", "The ticket is unknown or has expired. Ask an administrator for a new one.")
