"""Scopes, roles and errors of the database, on a real PostgreSQL."""

from uuid import UUID

import pytest

from gatepost.errors import DatabaseError
from gatepost.service.database import Database
from tests.fixtures.database import Urls

pytestmark = pytest.mark.anyio


async def test_a_control_scope_runs_control_statements(database: Database, tenant: UUID) -> None:
    """A tenant is found by its slug without a scope."""
    async with database.control() as scope:
        row = await scope.one("tenants.by_slug", slug="demo")
    assert row is not None
    assert row["tenant_id"] == tenant


async def test_the_schema_is_checked(database: Database) -> None:
    """A migrated database passes the check."""
    await database.check()


async def test_a_wrong_password_names_the_remedy_and_not_the_password(database_urls: Urls) -> None:
    """The message of a refused sign-in holds a cause and a remedy, and no password."""
    wrong = database_urls.app.replace("gatepost_app:", "gatepost_app:x")
    with pytest.raises(DatabaseError) as caught:
        await Database.open(wrong)
    assert "password authentication failed" in str(caught.value)
    assert "Check that PostgreSQL runs" in str(caught.value)
    assert wrong.split(":")[2].split("@")[0] not in str(caught.value)
