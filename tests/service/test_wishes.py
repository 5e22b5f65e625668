"""Wishing for settings of Exchange: what is refused, and in which words; one wish a setting; none while removing."""

import asyncio
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from gatepost.domain.events import Event
from gatepost.domain.wishes import WishName
from gatepost.errors import Problem
from gatepost.service import wishes
from gatepost.service.database import Database, Scope
from tests.fixtures.database import Urls

LEVEL, INSERT = WishName.DEFAULT_LEVEL, WishName.USER_MAIL_INSERT
SETTINGS = {"default_level": "Allow", "user_mail_insert": None}


@pytest.fixture
def place(database_urls: Urls) -> tuple[UUID, UUID]:
    """A tenant and its organization, whose settings were never read."""
    with psycopg.connect(database_urls.superuser, autocommit=True) as connection:
        made = connection.execute("INSERT INTO tenants (slug, name) VALUES ('acme', 'Acme') RETURNING tenant_id")
        [tenant] = made.fetchone() or [None]
        statement = "INSERT INTO organizations (tenant_id, name) VALUES (%s, 'Lab') RETURNING organization_id"
        [organization] = connection.execute(statement, [tenant]).fetchone() or [None]
    assert isinstance(tenant, UUID)
    assert isinstance(organization, UUID)
    return tenant, organization


async def refused(scope: Scope, organization: UUID, name: WishName, value: str) -> str:
    """Why a wish is refused."""
    with pytest.raises(Problem) as problem:
        await wishes.set(scope, organization, name, value, "anna")
    return f"{problem.value.status} {problem.value.detail}"


def test_what_cannot_be_wished_for_is_refused_in_words(database_urls: Urls, place: tuple[UUID, UUID]) -> None:
    """Unknown organizations, settings that were never read, values that Exchange does not take, a connection's end."""
    tenant, organization = place

    async def look() -> None:
        async with await Database.open(database_urls.operator) as database, database.tenant(tenant) as scope:
            assert "404 There is no such organization" in await refused(scope, tenant, LEVEL, "block")
            assert "409 Exchange's settings were not read yet" in await refused(scope, organization, LEVEL, "block")
            await scope.run(
                "ingest.settings", organization_id=organization, default_level="Allow", settings=dict(SETTINGS)
            )
            assert "400 default-level: expected one of allow" in await refused(scope, organization, LEVEL, "Open")
            assert "400 user-mail-insert: 300 characters" in await refused(scope, organization, INSERT, "x" * 300)
            with pytest.raises(Problem, match="No change of this setting waits"):
                await wishes.withdraw(scope, organization, LEVEL, "anna")

    asyncio.run(look())
    with psycopg.connect(database_urls.superuser, autocommit=True) as connection:
        connection.execute("UPDATE organizations SET state = 'removing'")

    async def look_again() -> None:
        async with await Database.open(database_urls.operator) as database, database.tenant(tenant) as scope:
            assert "409 The connection to its organization is being removed" in await refused(
                scope, organization, LEVEL, "block"
            )

    asyncio.run(look_again())


def test_a_newer_wish_takes_the_place_of_the_one_before_and_may_be_withdrawn(
    database_urls: Urls, place: tuple[UUID, UUID]
) -> None:
    """What an open wish may have brought about is known to the next; a withdrawn one is told to nobody; all audited."""
    tenant, organization = place
    with psycopg.connect(database_urls.superuser, autocommit=True) as connection:
        statement = (
            "INSERT INTO org_settings (tenant_id, organization_id, default_level, settings) VALUES (%s, %s, %s, %s)"
        )
        connection.execute(statement, [tenant, organization, "Allow", Jsonb(SETTINGS)])

    async def work() -> None:
        async with await Database.open(database_urls.operator) as database:
            for value in ("quarantine", "block"):
                async with database.tenant(tenant) as scope:
                    await wishes.set(scope, organization, LEVEL, value, "anna")
            async with database.tenant(tenant) as scope:
                [told] = await wishes.to_send(scope, organization)
                assert (told.value, set(told.known_as)) == ("block", {"allow", "quarantine"})
                standing = await wishes.standing(scope, organization)
                assert standing[LEVEL].document() | {"at": ""} == {
                    "name": "default-level",
                    "now": "allow",
                    "wished": "block",
                    "by": "anna",
                    "at": "",
                    "result": None,
                    "why": "",
                    "told_at": None,
                    "open": True,
                }
                assert (standing[INSERT].now, standing[INSERT].wished) == ("", None)
                await wishes.withdraw(scope, organization, LEVEL, "bert")
            async with database.tenant(tenant) as scope:
                assert await wishes.to_send(scope, organization) == ()

    asyncio.run(work())
    with psycopg.connect(database_urls.superuser) as connection:
        events = connection.execute("SELECT name, actor FROM events ORDER BY at").fetchall()
    wished, withdrawn = Event.SETTING_WISHED.value, Event.SETTING_WITHDRAWN.value
    assert events == [(wished, "anna"), (wished, "anna"), (withdrawn, "bert")]
