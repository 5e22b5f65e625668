"""Tenants: made by the operator, found by slug. Everything else of a tenant is found inside its scope."""

import re
from uuid import UUID

from psycopg import errors

from gatepost.domain.events import Event
from gatepost.errors import ServiceError
from gatepost.service import audit
from gatepost.service.database import Database

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


async def create(operator: Database, slug: str, name: str) -> UUID:
    """A new tenant; needs the operator's role. Raises ServiceError where the slug is taken or cannot be one."""
    if not SLUG.fullmatch(slug):
        raise ServiceError(
            f"{slug!r} cannot be a tenant's short name.", "Use 1 to 40 of a-z, 0-9 and hyphens, such as acme-nl."
        )
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise ServiceError("A tenant's name has 1 to 200 visible characters.", "Choose another name.")
    try:
        async with operator.control() as scope:
            made = await scope.one("tenants.create", slug=slug, name=name)
    except errors.UniqueViolation as error:
        raise ServiceError(f"There is a tenant {slug} already.", "Choose another short name.") from error
    assert made is not None
    tenant_id: UUID = made["tenant_id"]
    async with operator.tenant(tenant_id) as scope:
        await audit.record(scope, Event.TENANT_CREATED, "operator", {"slug": slug, "name": name})
    return tenant_id


async def find(database: Database, slug: str) -> UUID | None:
    """The id of an active tenant by its slug, None if there is none, or where this cannot be one."""
    if not SLUG.fullmatch(slug):
        return None
    async with database.control() as scope:
        row = await scope.one("tenants.by_slug", slug=slug)
    return row["tenant_id"] if row and row["state"] == "active" else None
