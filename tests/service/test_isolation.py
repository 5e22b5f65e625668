"""No tenant sees or changes another's rows, whatever the statement; no scope is an error."""

import json
from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from gatepost.errors import DatabaseError, NoTenantScope
from gatepost.service.database import Database, Scope
from gatepost.service.statements import STATEMENTS
from tests.fixtures.database import Cluster
from tests.service.filled import Filled
from tests.service.filled.rows import SECRET

pytestmark = pytest.mark.anyio
TENANT_STATEMENTS = sorted(name for name, statement in STATEMENTS.items() if statement.tenant)

# Statements that act on no row of a tenant, so that there is nothing to isolate.
ACTS_ON_NO_ROW = {
    "devices_queries.plan_anew": "sets how the transaction plans",
    "merge.analyze_grown": "looks at the size of tables, and tells how many it looked at",
    "merge.stage_devices": "makes a table of the session",
    "merge.stage_mailboxes": "makes a table of the session",
}
# Statements that make what acme has already, so that they do nothing in its scope; where they are proven.
MADE_ONCE = {"keys.make": "tests/service/test_keys.py"}


@pytest.fixture(scope="module")
def filled(postgres: Cluster) -> Iterator[Filled]:
    """A filled database, for the tests of this module."""
    filled = Filled(postgres.urls(postgres.make()))
    yield filled
    filled.close()


@pytest.fixture(scope="module")
def untouched(filled: Filled) -> list[str]:
    """What acme had before any of the tests."""
    return filled.dump()


@pytest.mark.parametrize("name", TENANT_STATEMENTS)
def test_a_statement_in_another_tenants_scope_sees_and_changes_nothing(
    filled: Filled, untouched: list[str], name: str
) -> None:
    """Run with acme's own ids in the scope of another: no row of acme comes back, and acme's rows stay the same."""
    try:
        _, seen = filled.in_scope(filled.another(), name, commit=True)
    except psycopg.IntegrityError:
        seen = []  # a key of acme's does not exist here
    told = json.dumps(seen, default=str)
    assert str(filled.acme) not in told
    assert SECRET not in told
    assert filled.dump() == untouched


@pytest.mark.parametrize("name", sorted(set(TENANT_STATEMENTS) - set(ACTS_ON_NO_ROW) - set(MADE_ONCE)))
def test_the_same_statement_acts_in_its_own_tenants_scope(filled: Filled, name: str) -> None:
    """The other side of the proof: with the same parameters it returns or changes something where it should."""
    touched, seen = filled.in_scope(filled.acme, name, commit=False)
    assert any(value for row in seen for value in row.values()) if seen else touched > 0


def test_statements_that_act_on_no_row_are_named(filled: Filled) -> None:
    """The list of exceptions is short, true, and of statements that exist."""
    assert set(ACTS_ON_NO_ROW) <= set(TENANT_STATEMENTS)
    for name in ACTS_ON_NO_ROW:
        touched, seen = filled.in_scope(filled.acme, name, commit=False)
        assert touched == -1 or seen == [{"gatepost_analyze_grown": 0}], name


def test_every_table_of_tenants_is_under_forced_row_level_security(filled: Filled) -> None:
    """No table with a tenant_id is forgotten; only ``tenants`` itself is readable without a scope."""
    rows = filled.run(
        sql.SQL(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced, c.relispartition, "
            "(SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
        )
    )
    assert len(rows) > 25
    for row in rows:
        assert row["forced"] is (row["relname"] != "tenants"), row
        assert row["policies"] == (0 if row["relispartition"] or row["relname"] == "tenants" else 1), row


def test_every_key_of_a_tenants_table_begins_with_the_tenant(filled: Filled) -> None:
    """Primary keys, unique keys and indexes lead with tenant_id, so that tenants can be spread over databases."""
    rows = filled.run(
        sql.SQL(
            "SELECT i.indexrelid::regclass::text AS index, a.attname FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indrelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
            "WHERE c.relnamespace = 'public'::regnamespace "
            "AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')"
        )
    )
    assert {row["index"] for row in rows if row["attname"] != "tenant_id"} <= {"tenants_slug_key"}


async def test_a_tenant_statement_without_a_scope_is_an_error(database: Database) -> None:
    """The mistake is named before anything is sent."""
    async with database.control() as scope:
        with pytest.raises(NoTenantScope, match=r"devices_queries\.newest needs the scope of a tenant"):
            await scope.all("devices_queries.newest")


async def test_a_tenants_table_without_a_scope_is_an_error_in_the_database_too(database: Database) -> None:
    """Even past our own check, no scope is an error and never an empty result."""
    with pytest.raises(NoTenantScope):
        async with database.control() as scope:
            await scope.connection.execute("SELECT * FROM organizations")


async def test_a_scope_ends_with_its_transaction(filled: Filled) -> None:
    """A connection that goes back to the pool remembers no tenant."""
    async with await Database.open(filled.urls.app, size=1) as database:
        async with database.tenant(filled.acme) as scope:
            assert await scope.all("jobs.organizations")
        with pytest.raises(NoTenantScope):
            async with database.control() as scope:
                await scope.connection.execute("SELECT * FROM organizations")


async def test_the_operator_in_a_tenants_scope_sees_that_tenant_only(filled: Filled) -> None:
    """The role that may see all is put down when a tenant's scope is opened."""
    async with await Database.open(filled.urls.operator, size=1) as database:
        async with database.tenant(filled.empty) as scope:
            assert await scope.all("jobs.organizations") == []
        async with database.control() as scope:
            cursor = await scope.connection.execute("SELECT count(*) AS n FROM organizations WHERE name = %s", [SECRET])
            assert (await cursor.fetchone() or {})["n"] >= 1


FORBIDDEN: dict[str, LiteralString] = {
    "put row-level security down": "SET row_security = off; SELECT * FROM devices",
    "become the owner": "SET ROLE gatepost_owner",
    "become the operator": "SET ROLE gatepost_operator",
    "make a table": "CREATE TABLE mine (x int)",
    "change a policy": "ALTER TABLE devices NO FORCE ROW LEVEL SECURITY",
    "read a partition": "SELECT * FROM device_history_rest",
    "delete a device": "DELETE FROM devices",
    "delete an event": "DELETE FROM events",
    "change an event": "UPDATE events SET actor = 'nobody'",
    "number an event by itself": "INSERT INTO events (name, actor, body, body_hash, seq) VALUES ('a', '', '{}', '', 1)",
    "change a sealed event": "UPDATE events SET seq = seq + 1 WHERE seq IS NOT NULL",
    "turn the head back": "UPDATE audit_heads SET seq = seq - 1",
    "change a checkpoint": "UPDATE audit_checkpoints SET seq = seq + 1",
    "change a tenant": "UPDATE tenants SET slug = 'x'",
    "make a tenant": "INSERT INTO tenants (slug, name) VALUES ('x', 'x')",
    "change whom a challenge was made for": "UPDATE passkey_challenges SET administrator_id = gen_random_uuid()",
    "forget that passkeys are required": "DELETE FROM sign_in_rules",
    "change a tenant's key": "UPDATE tenant_keys SET public = ''",
    "delete an administrator": "DELETE FROM administrators",
    "delete a removal": "DELETE FROM removals",
    "change the incarnation": "UPDATE incarnation SET incarnation = gen_random_uuid()",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_app_role_cannot(filled: Filled, what: str) -> None:
    """The role that the service signs in with owns nothing and may not get round its limits."""
    with psycopg.connect(filled.urls.app, autocommit=True) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, false)", [str(filled.acme)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(FORBIDDEN[what])


async def test_a_row_of_another_tenant_cannot_be_written(filled: Filled) -> None:
    """WITH CHECK refuses a row that names another tenant than the scope's."""
    async with await Database.open(filled.urls.app, size=1) as database:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.tenant(filled.empty) as scope:
                await scope.connection.execute(
                    "INSERT INTO organizations (tenant_id, name) VALUES (%s, 'theirs')", [filled.acme]
                )


async def test_work_is_done_again_where_postgresql_asks_for_it(filled: Filled) -> None:
    """A transaction that meets a deadlock is run again whole; other errors are not."""
    tries = []

    async def unlucky(scope: Scope) -> int:
        tries.append(scope)
        if len(tries) < 3:
            await scope.connection.execute("DO $$ BEGIN RAISE EXCEPTION 'unlucky' USING ERRCODE = '40P01'; END $$")
        return len(tries)

    async def broken(scope: Scope) -> None:
        tries.append(scope)
        await scope.connection.execute("DO $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = '57014'; END $$")

    async with await Database.open(filled.urls.app, size=1) as database:
        assert await database.work(filled.acme, unlucky) == 3
        tries.clear()
        with pytest.raises(DatabaseError):
            await database.work(filled.acme, broken)
    assert len(tries) == 1
