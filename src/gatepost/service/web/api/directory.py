"""People and groups for scripts: told in lists, which may say that they are complete."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, StringConstraints, model_validator

from gatepost.domain.contract import iso
from gatepost.service import directory, following
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.web import bodies
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.sessions import client_address, tenant_of

router = APIRouter(prefix="/api/v1", tags=["people and groups"])
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Address = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"^[^\x00-\x20\x7f]+$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")]
Limit = Annotated[int, Query(ge=1, le=1_000)]
After = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


def once(keys: Sequence[str]) -> None:
    """Refuse a list that names something twice. Raises ValueError."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"{key} is told twice")
        seen.add(key)


class GroupTold(BaseModel):
    """A group; ``id`` is what it is called where it comes from, for good."""

    id: Key
    name: Key


class GroupsTold(BaseModel):
    """Groups. ``complete``: there are no others; ``may_remove``: how many such a list may leave out unasked."""

    groups: list[GroupTold]
    complete: bool = False
    may_remove: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _each_once(self) -> "GroupsTold":
        once([group.id for group in self.groups])
        return self


class PersonTold(BaseModel):
    """A person; ``smtp`` are all mail addresses, ``groups`` all groups, also those that the person is in by others."""

    id: Key
    smtp: list[Address] = Field(default_factory=list, max_length=500)
    upn: Address | None = None
    display_name: Text | None = None
    language: Language | None = None
    enabled: bool | None = None
    groups: list[Key] = Field(default_factory=list, max_length=5_000)


class PeopleTold(BaseModel):
    """People. ``complete``: there are no others; ``may_remove``: how many such a list may leave out unasked."""

    people: list[PersonTold]
    complete: bool = False
    may_remove: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _each_once(self) -> "PeopleTold":
        once([person.id for person in self.people])
        return self


@router.put("/groups", openapi_extra=bodies.listed(GroupsTold))
async def put_groups(
    request: Request, session: Annotated[Session, requires(Permission.DIRECTORY_WRITE)]
) -> dict[str, int]:
    """Tell of groups. A complete list that is empty, or leaves out too many, is refused with 409 ``shrunk``."""
    told = await bodies.read_list(request, GroupsTold)
    rows = [{"external_id": group.id, "name": group.name} for group in told.groups]

    async def put(scope: Scope) -> int:
        return await directory.put_groups(
            scope, rows, complete=told.complete, may_remove=told.may_remove, person=Person.of(session)
        )

    database: Database = request.app.state.database
    removed = await database.work(session.tenant_id, put, client_address(request))
    await following.follow(database, session.tenant_id)
    return {"told": len(rows), "removed": removed}


@router.get("/groups")
async def groups(
    request: Request,
    session: Annotated[Session, requires(Permission.DIRECTORY_READ)],
    after: After = "",
    limit: Limit = 100,
) -> dict[str, Any]:
    """A page of groups. ``group`` is the id by which policies speak of it; ``next`` is the next page's ``after``."""
    async with tenant_of(request, session) as scope:
        found = await directory.groups(scope, after, limit)
    told = [
        {"group": row["group_id"], "id": row["external_id"], "name": row["name"], "people": row["people"]}
        for row in found
    ]
    return {"groups": told, "next": found[-1]["external_id"] if len(found) == limit else None}


@router.put("/people", openapi_extra=bodies.listed(PeopleTold))
async def put_people(
    request: Request, session: Annotated[Session, requires(Permission.DIRECTORY_WRITE)]
) -> dict[str, int]:
    """Tell of people; what changes by it is decided before the answer.

    A complete list that is empty, or leaves out too many, is refused with 409 ``shrunk``.
    """
    told = await bodies.read_list(request, PeopleTold)
    rows = [{"external_id": person.id, **person.model_dump(exclude={"id"})} for person in told.people]

    async def put(scope: Scope) -> int:
        return await directory.put_people(
            scope, rows, complete=told.complete, may_remove=told.may_remove, person=Person.of(session)
        )

    database: Database = request.app.state.database
    removed = await database.work(session.tenant_id, put, client_address(request))
    await following.follow(database, session.tenant_id)
    return {"told": len(rows), "removed": removed}


@router.get("/people")
async def people(
    request: Request,
    session: Annotated[Session, requires(Permission.DIRECTORY_READ)],
    after: After = "",
    limit: Limit = 100,
) -> dict[str, Any]:
    """A page of people with their groups, and what the compliance sources say of their devices together."""
    async with tenant_of(request, session) as scope:
        found = await directory.people(scope, after, limit)
    return {
        "people": [_person(row) for row in found],
        "next": found[-1]["external_id"] if len(found) == limit else None,
    }


def _person(row: dict[str, Any]) -> dict[str, Any]:
    person_id: UUID = row["person_id"]
    kept = ("smtp", "upn", "display_name", "language", "enabled", "groups", "mailboxes", "managed")
    told = {name: row[name] for name in kept}
    return {"person": person_id, "id": row["external_id"], **told, "managed_since": iso(row["managed_since"])}
