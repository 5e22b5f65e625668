"""Compliance for scripts: sources, and what they report."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from gatepost.domain.contract import iso
from gatepost.errors import Problem
from gatepost.service import following
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import records, sources
from gatepost.service.database import Database, Scope
from gatepost.service.web import bodies
from gatepost.service.web.api.directory import After, Key, Limit, Text, once
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import client_address, tenant_of

router = APIRouter(prefix="/api/v1/sources", tags=["compliance"])


class NewSource(BaseModel):
    """A source; ``fresh_for`` are the seconds for which its word counts."""

    name: str
    fresh_for: int = sources.USUAL


class ChangedSource(NewSource):
    """A source as it is to be from now on."""

    enabled: bool = True


class RecordTold(BaseModel):
    """What a source says of one managed device; ``user`` is a mail address or sign-in name, empty where it names none.

    ``checked_at`` is when the source looked; null is now.
    """

    id: Key
    state: Literal["compliant", "noncompliant", "unknown"]
    device_ids: list[Key] = Field(default_factory=list, max_length=50)
    user: Text = ""
    name: Text = ""
    checked_at: AwareDatetime | None = None


class RecordsTold(BaseModel):
    """Records. ``complete``: the source knows no others."""

    records: list[RecordTold]
    complete: bool = False

    @model_validator(mode="after")
    def _each_once(self) -> "RecordsTold":
        once([record.id for record in self.records])
        return self


@router.post("", status_code=201)
async def add(
    request: Request, wanted: NewSource, session: Annotated[Session, requires(Permission.COMPLIANCE_WRITE)]
) -> dict[str, Any]:
    """Add a source. It is stale until it has reported something."""
    async with tenant_of(request, session) as scope:
        source_id = await sources.add(scope, wanted.name, wanted.fresh_for, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)
    return {"id": source_id}


@router.get("")
async def listing(
    request: Request, session: Annotated[Session, requires(Permission.COMPLIANCE_READ)]
) -> dict[str, Any]:
    """Every source with its state (fresh, stale, held, off), and how many records say what."""
    async with tenant_of(request, session) as scope:
        found = await sources.all_of(scope, datetime.now(UTC))
    counted = ("records", "compliant", "noncompliant", "unknown")
    return {
        "sources": [
            {
                "id": row["source_id"],
                **{name: row[name] for name in ("name", "kind", "state", "fresh_for", "held", "accepted")},
                "fresh_at": iso(row["fresh_at"]),
                "complete_at": iso(row["complete_at"]),
                **{name: row[name] for name in counted},
            }
            for row in found
        ]
    }


@router.put("/{source_id}", status_code=204)
async def change(
    request: Request,
    source_id: UUID,
    wanted: ChangedSource,
    session: Annotated[Session, requires(Permission.COMPLIANCE_WRITE)],
) -> None:
    """Change a source, or switch it off: then it says nothing of any device."""
    async with tenant_of(request, session) as scope:
        await sources.change(scope, source_id, wanted.name, wanted.fresh_for, wanted.enabled, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)


@router.post("/{source_id}/accept", status_code=204)
async def accept(
    request: Request,
    source_id: UUID,
    session: Annotated[Session, requires(Permission.COMPLIANCE_WRITE, step_up=True)],
) -> None:
    """Let the source's next report do what was held."""
    async with tenant_of(request, session) as scope:
        await sources.accept(scope, source_id, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)


@router.put("/{source_id}/records", openapi_extra=bodies.listed(RecordsTold))
async def report(
    request: Request, source_id: UUID, session: Annotated[Session, requires(Permission.COMPLIANCE_WRITE)]
) -> dict[str, Any]:
    """Report; what changes by it is decided and published before the answer.

    409 ``held`` where the report is not believed: nothing of it is kept, and ``why`` says what it would do.
    """
    told = await bodies.read_list(request, RecordsTold)
    rows = [
        {
            "managed_id": record.id,
            "state": record.state,
            "device_ids": record.device_ids,
            "user_name": record.user,
            "name": record.name,
            "checked_at": record.checked_at,
        }
        for record in told.records
    ]

    async def take(scope: Scope) -> records.Reported:
        return await records.report(scope, source_id, rows, complete=told.complete, person=Person.of(session))

    database: Database = request.app.state.database
    done = await database.work(session.tenant_id, take, client_address(request))
    await following.follow(database, session.tenant_id)
    if done.held is not None:
        assert done.effect is not None
        raise Problem(409, "held", WHY_HELD[done.held], why=done.held, **done.effect.document())
    return {"told": len(rows), "changed": done.changed, "removed": done.removed}


@router.get("/{source_id}/records")
async def listed(
    request: Request,
    source_id: UUID,
    session: Annotated[Session, requires(Permission.COMPLIANCE_READ)],
    after: After = "",
    limit: Limit = 100,
) -> dict[str, Any]:
    """A page of what a source reports; ``person`` is the directory's name of the user, null where nobody is known."""
    async with tenant_of(request, session) as scope:
        found = await records.page(scope, source_id, after, limit)
    return {
        "records": [_record(row) for row in found],
        "next": found[-1]["managed_id"] if len(found) == limit else None,
    }


@router.delete("/{source_id}/records/{record}", status_code=204)
async def remove(
    request: Request,
    source_id: UUID,
    record: Key,
    session: Annotated[Session, requires(Permission.COMPLIANCE_WRITE)],
) -> None:
    """Forget one record."""
    async with tenant_of(request, session) as scope:
        await records.remove(scope, source_id, record, Person.of(session))
    await following.follow(request.app.state.database, session.tenant_id)


def _record(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["managed_id"],
        "state": row["state"],
        "device_ids": row["device_ids"],
        "user": row["user_name"],
        "person": row["external_id"],
        "name": row["name"],
        **{name: iso(row[name]) for name in ("since", "failing_since", "checked_at")},
    }


WHY_HELD = {
    "empty": "An empty list is never believed. Nothing was changed, and the source counts as stale.",
    "shrunk": "The list leaves out too many records. Nothing was changed, and the source counts as stale until "
    "somebody accepts it or a fuller list comes.",
    "too-good": "Too many that did not comply would comply at once. Nothing was changed, and the source counts as "
    "stale until somebody accepts it or another complete list comes.",
}
