"""Policies for scripts: versions, what is in force, the rollout, and what a policy would do."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import StreamingResponse

from gatepost.domain.contract import iso
from gatepost.errors import Problem
from gatepost.service import following
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.policies import rings, rollout, versions, watch
from gatepost.service.policies.preview import Wanted
from gatepost.service.policies.rings import Ring, Rollout
from gatepost.service.policies.who import LARGEST_PAGE, PAGE, Filter
from gatepost.service.web import spreadsheets
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import tenant_of

COLUMNS = (
    "organization_id", "mailbox", "mailbox_guid", "device_id", "guid", "friendly_name", "family", "model", "os",
    "before", "after", "reason", "rule", "loses", "gains",
)  # fmt: skip
FURTHEST = timedelta(days=3_660)
router = APIRouter(prefix="/api/v1", tags=["policies"])
Writer = Annotated[Session, requires(Permission.POLICIES_WRITE)]
Roller = Annotated[Session, requires(Permission.POLICIES_WRITE, step_up=True)]
Reader = Annotated[Session, requires(Permission.POLICIES_READ)]


class Draft(BaseModel):
    """A policy to be kept as a new version."""

    document: dict[str, Any]
    note: str = ""


class Beginning(BaseModel):
    """A version to be rolled out. ``pilot`` is a group's id; ``ring_hours`` null: widened by hand only."""

    version: int
    ring: Ring = Ring.ALL
    pilot: UUID | None = None
    ring_hours: int | None = None


class Stopping(BaseModel):
    """Why a rollout is stopped."""

    why: str = ""


class Back(BaseModel):
    """The older version that is to hold again."""

    version: int


class Asked(BaseModel):
    """What is to be looked at: a policy, or a version of it. ``at`` is the moment that is asked for, now if null."""

    document: dict[str, Any] | None = None
    version: int | None = None
    organization: UUID | None = None
    ring: Ring = Ring.ALL
    pilot: UUID | None = None
    at: AwareDatetime | None = None


class AskedWho(Asked):
    """Which of the devices behind a preview; empty texts are filters not set."""

    what: Literal["changes", "losing", "gaining", "all"] = "changes"
    reason: str = ""
    level: str = ""
    family: str = ""
    model: str | None = None
    group: str = ""
    cursor: str = ""
    limit: int = Field(PAGE, ge=1, le=LARGEST_PAGE)

    @property
    def filter(self) -> Filter:
        """The filter."""
        return Filter(self.what, self.reason, self.level, self.family, self.model, self.group)


def _version(known: versions.Version) -> dict[str, Any]:
    return asdict(known) | {"made_at": iso(known.made_at)}


def _rollout(known: Rollout | None) -> dict[str, Any] | None:
    if known is None:
        return None
    shown = {name: value for name, value in asdict(known).items() if name not in ("began_id", "pilot_name")}
    return shown | {"pilot": str(known.pilot) if known.pilot else None, "ring_since": iso(known.ring_since)}


@router.get("/policies")
async def listing(
    request: Request, session: Reader, before: int | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """Versions, the newest first; ``next`` is the next page's address, null on the last."""
    async with tenant_of(request, session) as scope:
        found = await versions.listing(scope, before, limit + 1)
    shown = found[:limit]
    following_page = f"/api/v1/policies?before={shown[-1].version}&limit={limit}" if len(found) > limit else None
    return {"policies": [_version(each) for each in shown], "next": following_page}


@router.post("/policies", status_code=201)
async def save(request: Request, draft: Draft, session: Writer) -> dict[str, Any]:
    """Keep a new version. It holds for nobody until it is rolled out."""
    async with tenant_of(request, session) as scope:
        version = await versions.save(scope, draft.document, draft.note, Person.of(session))
        return _version(await versions.get(scope, version))


@router.get("/policies/rollout")
async def rollout_now(request: Request, session: Reader) -> dict[str, Any]:
    """How far the newest version is rolled out; null where none ever was."""
    async with tenant_of(request, session) as scope:
        return {"rollout": _rollout(await rings.current(scope))}


@router.post("/policies/rollout", status_code=202)
async def begin(request: Request, asked: Beginning, session: Roller) -> dict[str, Any]:
    """Let a version hold within a ring, or for everybody."""
    state = request.app.state
    await _may_begin(request, session, asked)
    expected = await watch.expected(
        state.worker, state.database, session.tenant_id, asked.version, asked.ring, asked.pilot
    )
    async with tenant_of(request, session) as scope:
        made = await rollout.begin(
            scope, asked.version, asked.ring, asked.pilot, asked.ring_hours, Person.of(session), expected
        )
    return await _followed(request, session, made)


@router.post("/policies/rollout/advance", status_code=202)
async def advance(request: Request, session: Roller) -> dict[str, Any]:
    """Widen the rollout to the next ring."""
    state = request.app.state
    async with tenant_of(request, session) as scope:
        known = await rings.current(scope)
    expected = None
    if known is not None and (wider := known.ring.wider):
        expected = await watch.expected(
            state.worker, state.database, session.tenant_id, known.version, wider, known.pilot
        )
    async with tenant_of(request, session) as scope:
        made = await rollout.advance(scope, Person.of(session), expected)
    return await _followed(request, session, made)


@router.post("/policies/rollout/stop", status_code=202)
async def stop(request: Request, asked: Stopping, session: Writer) -> dict[str, Any]:
    """Let the rollout go no further."""
    async with tenant_of(request, session) as scope:
        return {"rollout": _rollout(await rollout.stop(scope, asked.why, Person.of(session)))}


@router.post("/policies/rollout/resume", status_code=202)
async def resume(request: Request, session: Roller) -> dict[str, Any]:
    """Let a stopped rollout go on."""
    async with tenant_of(request, session) as scope:
        return {"rollout": _rollout(await rollout.resume(scope, Person.of(session)))}


@router.post("/policies/rollout/roll-back", status_code=202)
async def roll_back(request: Request, asked: Back, session: Roller) -> dict[str, Any]:
    """Let an older version hold for everybody again."""
    async with tenant_of(request, session) as scope:
        made = await rollout.roll_back(scope, asked.version, Person.of(session))
    return await _followed(request, session, made)


@router.get("/policies/{version}")
async def one(request: Request, version: int, session: Reader) -> dict[str, Any]:
    """One version."""
    async with tenant_of(request, session) as scope:
        return _version(await versions.get(scope, version))


@router.post("/previews")
async def preview(request: Request, asked: Asked, session: Reader) -> dict[str, Any]:
    """What a policy would do, in numbers; nothing is changed by it."""
    wanted = await _wanted(request, session, asked)
    result: dict[str, Any] = await request.app.state.worker.preview(session.tenant_id, wanted)
    return result


@router.post("/previews/devices")
async def who(request: Request, asked: AskedWho, session: Reader) -> dict[str, Any]:
    """A page of the devices behind the numbers; ``next`` is the cursor of the next page, null on the last."""
    wanted = await _wanted(request, session, asked)
    worker = request.app.state.worker
    page = await worker.who(session.tenant_id, wanted, asked.filter, asked.cursor, asked.limit)
    return {"devices": page.rows, "next": page.next, "at": iso(wanted.now)}


@router.post("/previews/devices.csv")
async def who_csv(request: Request, asked: AskedWho, session: Reader) -> StreamingResponse:
    """All of the devices behind the numbers, as CSV."""
    wanted = await _wanted(request, session, asked)
    worker = request.app.state.worker

    async def lines() -> AsyncIterator[str]:
        yield spreadsheets.MARK + spreadsheets.line(COLUMNS)
        cursor: str | None = asked.cursor
        while cursor is not None:
            page = await worker.who(session.tenant_id, wanted, asked.filter, cursor, LARGEST_PAGE)
            for row in page.rows:
                yield spreadsheets.line("" if row[name] is None else str(row[name]) for name in COLUMNS)
            cursor = page.next

    headers = {"Content-Disposition": 'attachment; filename="gatepost-preview.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


async def _wanted(request: Request, session: Session, asked: Asked) -> Wanted:
    """What is asked for. Raises Problem 400 that names the field, 404 where there is no such version."""
    if (asked.document is None) == (asked.version is None):
        raise Problem(400, "malformed", "Name a version, or send a document; not both.", place="document")
    document: Mapping[str, Any]
    if asked.version is not None:
        async with tenant_of(request, session) as scope:
            document = (await versions.get(scope, asked.version)).document
    else:
        document = versions.read(asked.document).document()
    now = datetime.now(UTC)
    if asked.at is not None and not now - FURTHEST < asked.at < now + FURTHEST:
        raise Problem(400, "malformed", "The moment must be within ten years from now.", place="at")
    return Wanted(document, asked.organization, asked.ring, asked.pilot, asked.at or now)


async def _may_begin(request: Request, session: Session, asked: Beginning) -> None:
    async with tenant_of(request, session) as scope:
        await rollout.check(scope, asked.version, asked.ring, asked.pilot, asked.ring_hours)


async def _followed(request: Request, session: Session, made: Rollout) -> dict[str, Any]:
    """What is in force now; what follows from it is begun."""
    await following.follow(request.app.state.database, session.tenant_id)
    return {"rollout": _rollout(made)}
