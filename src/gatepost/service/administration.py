"""What the operator does straight to the database: migrate, tenants, administrators, tickets.

Each action signs in as the role that may do it. The URLs of a database of your own come from the settings; those of the
embedded one from its folder, where the server is joined if a service runs it, and started for as long as it takes if
not.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.errors import ServiceError
from gatepost.service import enrolment, migrations, restored, roles, tenants
from gatepost.service.administrators import accounts
from gatepost.service.database import Database, Scope, check_url
from gatepost.service.embedded import Postgres, find_binaries
from gatepost.service.keys import Keys
from gatepost.service.vault import Vault
from gatepost.settings import ServiceSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Urls:
    """How the three roles sign in."""

    app: str
    owner: str
    operator: str


@contextlib.contextmanager
def for_service(settings: ServiceSettings) -> Iterator[str]:
    """The app role's URL of a database that is up to date, with the embedded server where no URL is set."""
    if settings.database_url:
        yield settings.database_url
        return
    with Postgres(settings.data / "postgres", find_binaries(settings.postgres_bin)) as postgres:
        postgres.start()
        migrations.upgrade(postgres.url("gatepost_owner"))
        yield postgres.url()


@contextlib.contextmanager
def embedded_urls(settings: ServiceSettings) -> Iterator[Urls]:
    """The URLs of the embedded server, running."""
    folder = settings.data / "postgres"
    if not (folder / "data").is_dir():
        raise ServiceError(f"There is no database in {folder}.", "Run first: gatepost service run --data …")
    with Postgres(folder, find_binaries(settings.postgres_bin)) as postgres:
        postgres.join()
        yield Urls(postgres.url(), postgres.url("gatepost_owner"), postgres.url("gatepost_operator"))


@contextlib.contextmanager
def new_embedded(settings: ServiceSettings) -> Iterator[Urls]:
    """The URLs of an embedded server that nobody else uses, made where there is none; its schema is left as it is."""
    with Postgres(settings.data / "postgres", find_binaries(settings.postgres_bin)) as postgres:
        postgres.start()
        yield Urls(postgres.url(), postgres.url("gatepost_owner"), postgres.url("gatepost_operator"))


def migrate(owner_url: str) -> str:
    """Bring the schema up to date; returns its revision."""
    check_url(owner_url)
    migrations.upgrade(owner_url)
    return migrations.head()


def check(app_url: str, key_file: Path | None = None) -> str:
    """See that the service could run on this database, with this key file if it is there; the schema's revision.

    Raises SettingsError for the wrong role or key, DatabaseError.
    """

    async def look() -> None:
        async with await Database.open(app_url) as database:
            await roles.check_app(database)
            await database.check()
            await restored.refuse_unfinished(database)
            if key_file and key_file.exists():
                await Keys(Vault.open_file(key_file)).check(database)

    asyncio.run(look())
    return migrations.head()


def create_tenant(operator_url: str, slug: str, name: str) -> UUID:
    """A new tenant. Raises ServiceError, SettingsError for the wrong role."""

    async def create() -> UUID:
        async with operating(operator_url) as database:
            return await tenants.create(database, slug, name)

    return asyncio.run(create())


def list_tenants(operator_url: str) -> list[dict[str, Any]]:
    """Every tenant: short name, name and state."""

    async def look() -> list[dict[str, Any]]:
        async with operating(operator_url) as database, database.control() as scope:
            return await scope.all("tenants.all")

    return [{"slug": row["slug"], "name": row["name"], "state": row["state"]} for row in asyncio.run(look())]


def create_administrator(operator_url: str, slug: str, name: str, password: str, roles: list[str]) -> UUID:
    """A new administrator of a tenant. Raises ServiceError."""

    async def create(scope: Scope) -> UUID:
        return await accounts.create(scope, name, password, roles)

    return _in_tenant(operator_url, slug, create)


def list_administrators(operator_url: str, slug: str) -> list[dict[str, Any]]:
    """Every administrator of a tenant, as JSON values; times are ISO 8601 in UTC."""
    found = _in_tenant(operator_url, slug, accounts.listed)
    return [row | {name: iso(row[name]) for name in row if name.endswith("_at")} for row in found]


def set_password(operator_url: str, slug: str, name: str, password: str, *, forget_passkeys: bool = False) -> int:
    """Another password for an administrator; returns how many sessions it ended. Raises ServiceError."""

    async def change(scope: Scope) -> int:
        return await accounts.set_password(scope, name, password, forget_passkeys=forget_passkeys)

    return _in_tenant(operator_url, slug, change)


def create_ticket(operator_url: str, vault_file: Path, slug: str, organization: str) -> tuple[str, str]:
    """A ticket for one enrolment, and the fingerprint of the service's key, to be told apart from it.

    The key is made where nothing is sealed yet. Raises ServiceError, and SettingsError where ``vault_file`` is not the
    key that seals this database.
    """

    async def checked() -> tuple[str, str]:
        async with operating(operator_url) as database:

            async def create(scope: Scope) -> tuple[str, str]:
                sealed = await scope.one("vault.key_id")
                keys = Keys(Vault.open_file(vault_file, make=sealed is None))
                await keys.check(database)
                made = await keys.of(scope)
                return await enrolment.create_ticket(scope, organization), made.fingerprint

            return await _within(database, slug, create)

    return asyncio.run(checked())


@contextlib.asynccontextmanager
async def operating(operator_url: str) -> AsyncIterator[Database]:
    """The database, signed in by a role that may operate it. Raises SettingsError, DatabaseError."""
    async with await Database.open(operator_url) as database:
        await roles.check_operator(database)
        await database.check()
        yield database


def _in_tenant(operator_url: str, slug: str, task: Callable[[Scope], Awaitable[T]]) -> T:
    async def run() -> T:
        async with operating(operator_url) as database:
            return await _within(database, slug, task)

    return asyncio.run(run())


async def _within(database: Database, slug: str, task: Callable[[Scope], Awaitable[T]]) -> T:
    tenant_id = await tenants.find(database, slug)
    if tenant_id is None:
        raise ServiceError(f"There is no tenant {slug}.", "See: gatepost admin tenant list.")
    return await database.work(tenant_id, task)
