"""``/connector/v1``: what a connector may ask (docs/protocol.md). Headers name the tenant; the scope is set first.

The bearer secret stands where a signature will: ``_claim`` reads it, ``enrolment.authenticate`` judges it.
"""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gatepost.domain.contract import ContractError, write_answer
from gatepost.errors import Problem
from gatepost.service import enrolment, ingest
from gatepost.service.database import Database
from gatepost.service.enrolment import Claim, Connector
from gatepost.service.wake import Waker
from gatepost.service.web import bodies
from gatepost.service.web.permissions import connector as for_connectors
from gatepost.service.web.permissions import public

WAIT_SECONDS = 50.0
router = APIRouter(prefix="/connector/v1", tags=["connector"])
SIGNED = [for_connectors()]


@router.post("/enrolments", dependencies=[public("the ticket in the body is the credential")])
async def enrol(request: Request) -> dict[str, Any]:
    """Spend a ticket; the same ticket and key within its life give the same answer."""
    document = _object(await bodies.read_limited(request))
    texts = {name: document.get(name, "") for name in ("ticket", "public_key", "host", "version")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise Problem(400, "malformed", "ticket, public_key, host and version are texts.")
    return (await enrolment.enrol(_database(request), **texts)).document()


@router.post("/check-ins", dependencies=SIGNED)
async def check_in(request: Request) -> Response:
    """Take one numbered document, once."""
    connector = await _authenticate(request)
    body = bodies.unpack(await bodies.read_sent(request), request.headers.get("content-encoding", ""))
    document = await ingest.read(body)
    answer = await ingest.check_in(_database(request), connector, document)
    return Response(write_answer(answer), media_type="application/json")


@router.get("/wait", dependencies=SIGNED)
async def wait(request: Request, revision: Annotated[int, Query(ge=0, lt=2**63)]) -> dict[str, Any]:
    """Hold on for up to 50 s, until the head differs from ``revision`` or a synchronisation is asked for."""
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
            if head.revision != revision or head.untold or left <= 0 or request.app.state.stopping.is_set():
                break
            await _any(woken, left)
    if await request.is_disconnected():  # nobody was told, so the next wait must be
        raise Problem(408, "gone", "The connector did not wait.")
    async with database.tenant(connector.tenant_id) as scope:
        lease = await ingest.renew(scope, connector, head)
    return {
        "incarnation": head.incarnation,
        "revision": head.revision,
        "orders": 0,
        "sync": head.sync,
        "lease_seconds": lease,
    }


@router.post("/farewell", dependencies=SIGNED)
async def farewell(request: Request) -> dict[str, Any]:
    """Take the last outcomes and end the lease, also from a connector that was replaced within the last day."""
    connector = await _authenticate(request, fenced_too=True)
    document = _object(bodies.unpack(await bodies.read_sent(request), request.headers.get("content-encoding", "")))
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
async def claim_notices(request: Request) -> None:
    """Claim notices. None exist yet, so they are gone."""
    await _authenticate(request)
    raise Problem(409, "gone", "The notices are not there to be claimed.")


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _waker(request: Request) -> Waker:
    waker: Waker = request.app.state.waker
    return waker


async def _authenticate(request: Request, *, fenced_too: bool = False) -> Connector:
    claim = _claim(request)
    async with _database(request).tenant(claim.tenant_id) as scope:
        return await enrolment.authenticate(scope, claim, fenced_too=fenced_too)


def _claim(request: Request) -> Claim:
    """What the headers claim. Raises Problem 401 ``signature`` where they do not even have the form."""
    headers = request.headers
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    tenant, _, connector = headers.get("gatepost-key", "").partition("/")
    try:
        claim = Claim(
            tenant_id=UUID(tenant),
            connector_id=UUID(connector),
            epoch=int(headers.get("gatepost-epoch", "")),
            instance=UUID(headers.get("gatepost-instance", "")),
            time=datetime.fromisoformat(headers.get("gatepost-time", "")).astimezone(UTC),
            secret=secret,
        )
    except (ValueError, OverflowError) as error:
        raise _unsigned() from error
    if scheme.lower() != "bearer" or not secret:
        raise _unsigned()
    return claim


def _unsigned() -> Problem:
    return Problem(
        401,
        "signature",
        "Gatepost-Key, -Epoch, -Instance, -Time and Authorization: Bearer are all needed, well formed.",
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
