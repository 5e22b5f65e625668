"""Scopes, roles and errors of the database, on a real PostgreSQL."""

import random
import string
from uuid import UUID

import pytest

from gatepost.errors import DatabaseError, Problem
from gatepost.service.database import Database, Scope
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


LONG = "".join(random.Random(1).choices(string.ascii_letters, k=9_000))  # does not compress into an index


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", LONG], ids=["NUL", "half a pair", "past an index"])
async def test_a_value_that_cannot_be_kept_is_the_senders_mistake(database: Database, tenant: UUID, name: str) -> None:
    """Trying again would not help, so it is no 5xx: a Problem 400, which does not repeat the value."""

    async def keep(scope: Scope) -> None:
        await scope.connection.execute("CREATE TEMPORARY TABLE kept (name text PRIMARY KEY)")
        await scope.connection.execute("INSERT INTO kept VALUES (%s)", [name])

    with pytest.raises(Problem, match=r"^The request holds a value that cannot be kept\.$") as caught:
        await database.work(tenant, keep)
    assert (caught.value.status, caught.value.type) == (400, "malformed")


async def test_a_number_past_its_type_is_the_senders_mistake(database: Database, tenant: UUID) -> None:
    """As with texts."""
    with pytest.raises(Problem):
        async with database.tenant(tenant) as scope:
            await scope.connection.execute("SELECT %s::bigint", [2**70])
