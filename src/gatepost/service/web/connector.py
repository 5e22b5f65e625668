"""``/connector/v1``: what a connector may ask (docs/protocol.md). Headers name the tenant; the scope is set first.

``_claim`` reads who says to be asking, ``enrolment.prove`` checks the signature, and from there on every answer is
signed too; ``enrolment.admit`` says whether this connector may speak now. Only then a body is read.
"""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatepost.domain import signing
from gatepost.domain.contract import CheckIn, ContractError, Kind, iso, write_answer
from gatepost.domain.events import Event
from gatepost.domain.posting import A_PAGE, Letter
from gatepost.errors import Problem
from gatepost.service import audit, certificates, enrolment, following, ingest
from gatepost.service.connectors import Connector
from gatepost.service.database import Database, Scope
from gatepost.service.enrolment import Claim
from gatepost.service.keys import Keys
from gatepost.service.wake import Waker
from gatepost.service.web import bodies
from gatepost.service.web.answers import sign_answer
from gatepost.service.web.permissions import connector as for_connectors
from gatepost.service.web.permissions import public

WAIT_SECONDS = 50.0
SERIAL = re.compile(r"[0-9a-f]{1,40}")
router = APIRouter(prefix="/connector/v1", tags=["connector"])
SIGNED = [for_connectors()]


@router.post("/enrolments", dependencies=[public("the ticket in the body is the credential")])
async def enrol(request: Request) -> dict[str, Any]:
    """Spend a ticket; the same ticket and key within its life give the same answer."""
    body = await bodies.read_limited(request)
    application = enrolment.read_application(_object(body))
    keys = await enrolment.keys_for(_database(request), _keys(request), application)
    sign_answer(request, keys, signing.content_digest(body))
    return (await enrolment.enrol(_database(request), keys, application)).document()


@router.post("/certificates", dependencies=SIGNED)
async def renew_certificate(request: Request) -> dict[str, Any]:
    """The connector's next certificate, for a new key; the same one again for the same key."""
    connector = await _authenticate(request, late=True)
    csr = _object(await bodies.read_sent(request)).get("csr", "")
    if not isinstance(csr, str):
        raise Problem(400, "malformed", "csr is a text.")
    wanted = certificates.read_request(csr)
    async with _database(request).tenant(connector.tenant_id) as scope:
        keys = await _keys(request).of(scope)
        text = await certificates.renew(scope, keys, connector.connector_id, connector.serial, wanted)
        details = {"before": connector.serial}
        actor = str(connector.connector_id)
        await audit.record(scope, Event.CERTIFICATE_RENEWED, actor, details, connector.organization_id)
    return {"certificate": text, "server_time": iso(datetime.now(UTC))}


@router.post("/check-ins", dependencies=SIGNED)
async def check_in(request: Request) -> Response:
    """Take one numbered document, once."""
    connector = await _authenticate(request)
    body = bodies.unpack(await bodies.read_sent(request))
    document = await ingest.read(body)
    answer = await ingest.check_in(_database(request), connector, document)
    if document.check_in.outcomes or _has_facts(document.check_in):
        await following.follow(_database(request), connector.tenant_id)
    return Response(write_answer(answer), media_type="application/json")


@router.get("/wait", dependencies=SIGNED)
async def wait(
    request: Request, revision: Annotated[int, Query(ge=0, lt=2**63)], stopped: Annotated[int, Query(ge=0, le=1)] = 0
) -> dict[str, Any]:
    """Hold on for up to 50 s, until the head differs from what the connector says that it knows.

    That is ``revision``, whether all writing is ``stopped``, and a synchronisation that was asked for.
    """
    connector = await _authenticate(request)
    database, waker = _database(request), _waker(request)
    async with database.tenant(connector.tenant_id) as scope:
        await ingest.renew(scope, connector)
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    with waker.waiter(connector.tenant_id, connector.organization_id) as woken:
        while True:
            woken.clear()
            async with database.tenant(connector.tenant_id) as scope:
                head = await ingest.head(scope, connector)
            left = deadline - asyncio.get_running_loop().time()
            news = head.revision != revision or head.stopped != bool(stopped) or head.untold or head.orders
            news = news or not head.current
            if news or left <= 0 or request.app.state.stopping.is_set():
                break
            await _any(woken, left)
    if await request.is_disconnected():  # nobody was told, so the next wait must be
        raise Problem(408, "gone", "The connector did not wait.")
    if not head.current:
        await _authenticate(request)  # says why
    async with database.tenant(connector.tenant_id) as scope:
        lease = await ingest.renew(scope, connector, head)
    return {
        "incarnation": head.incarnation,
        "revision": head.revision,
        "orders": head.orders,
        "sync": head.sync,
        "lease_seconds": lease,
    }


@router.get("/status", dependencies=SIGNED)
async def status(request: Request) -> dict[str, Any]:
    """What the service takes a connector for: a reading that renews no lease, for a doctor beside a running one."""
    connector = await _authenticate(request)
    async with _database(request).tenant(connector.tenant_id) as scope:
        found = await enrolment.standing(scope, connector)
    return found | {"server_time": iso(datetime.now(UTC))}


@router.post("/farewell", dependencies=SIGNED)
async def farewell(request: Request) -> dict[str, Any]:
    """Take the last outcomes and end the lease, also from a connector that was replaced within the last day."""
    connector = await _authenticate(request, fenced_too=True)
    document = _object(bodies.unpack(await bodies.read_sent(request)))
    outcomes = document.get("outcomes", [])
    if not isinstance(outcomes, list) or not all(isinstance(outcome, dict) for outcome in outcomes):
        raise ContractError("outcomes", "expected a list of objects")
    async with _database(request).tenant(connector.tenant_id) as scope:
        await ingest.farewell(scope, connector, tuple(outcomes))
    return {}


@router.post("/orders/{order_id}/claim", dependencies=SIGNED)
async def claim_order(request: Request, order_id: UUID) -> None:
    """Claim an order. None exists yet, so it is gone."""
    await _authenticate(request)
    raise Problem(409, "gone", f"The order {order_id} is not there to be claimed.")


@router.post("/notices/claim", dependencies=SIGNED)
async def claim_notices(request: Request) -> dict[str, Any]:
    """Claim notices, each once: what is answered is to be sent now, and is nobody else's any more."""
    connector = await _authenticate(request)
    ids = _object(bodies.unpack(await bodies.read_sent(request))).get("ids", [])
    wanted = _notice_ids(ids)
    base = request.app.state.settings.public_url

    async def work(scope: Scope) -> list[Letter]:
        return await ingest.claim_notices(scope, connector, wanted, base)

    letters = await _database(request).work(connector.tenant_id, work)
    if not letters:
        raise Problem(409, "gone", "These notices are not there to be claimed.")
    return {"letters": [letter.document() for letter in letters]}


def _notice_ids(ids: object) -> list[UUID]:
    """The ids of a claim. Raises ContractError."""
    if not isinstance(ids, list) or not 0 < len(ids) <= A_PAGE:
        raise ContractError("ids", f"expected a list of 1 to {A_PAGE} ids")
    try:
        return [UUID(each) for each in ids]
    except (TypeError, ValueError, AttributeError) as error:
        raise ContractError("ids", "expected GUIDs") from error


def _has_facts(document: CheckIn) -> bool:
    """Whether a document may have changed what is known of a device or a mailbox."""
    return document.kind is not Kind.SYNC_BEGIN and bool(
        document.sync or document.facts.devices.rows or document.facts.mailboxes.rows
    )


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _waker(request: Request) -> Waker:
    waker: Waker = request.app.state.waker
    return waker


def _keys(request: Request) -> Keys:
    keys: Keys = request.app.state.keys
    return keys


async def _authenticate(request: Request, *, fenced_too: bool = False, late: bool = False) -> Connector:
    """Who asks, and may. Raises Problem; from a right signature on, the answer is signed, whatever it is."""
    claim = _claim(request)
    async with _database(request).tenant(claim.tenant_id) as scope:
        proven = await enrolment.prove(scope, _keys(request), claim)
        sign_answer(request, proven.keys, claim.signature)
        return await enrolment.admit(scope, proven, fenced_too=fenced_too, late=late)


def _claim(request: Request) -> Claim:
    """What the headers claim. Raises Problem 401 ``signature`` where they do not even have the form."""
    headers = request.headers
    values = tuple(headers.get(name, "") for name in signing.SIGNED_HEADERS)
    target = request.scope["raw_path"] + b"?" * bool(request.scope["query_string"]) + request.scope["query_string"]
    tenant, connector, serial = (*headers.get(signing.KEY, "").split("/"), "", "", "")[:3]
    if not SERIAL.fullmatch(serial):
        raise _unsigned()
    try:
        return Claim(
            tenant_id=UUID(tenant),
            connector_id=UUID(connector),
            serial=serial,
            epoch=int(headers.get(signing.EPOCH, "")),
            instance=UUID(headers.get(signing.INSTANCE, "")),
            time=datetime.fromisoformat(headers.get(signing.TIME, "")).astimezone(UTC),
            signed=signing.request_bytes(request.method, target.decode("ascii"), values),
            signature=headers.get(signing.SIGNATURE, ""),
        )
    except (ValueError, OverflowError) as error:
        raise _unsigned() from error


def _unsigned() -> Problem:
    return Problem(
        401,
        "signature",
        "Gatepost-Key, -Epoch, -Instance, -Time, -Signature and Content-Digest are all needed, well formed.",
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ContractError("document", "not JSON") from error
    if not isinstance(document, dict):
        raise ContractError("document", "expected an object")
    return document


async def _any(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, but no longer than that."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
