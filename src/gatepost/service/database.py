"""PostgreSQL for the service: a pool, one transaction at a time, always in a scope, only named statements.

A *tenant scope* sets ``app.tenant`` for its transaction before anything else, and row-level security does the rest. A
*control scope* has no tenant: it may run the few statements of ``sql/control`` only. Both roll back when an exception
leaves them. Scopes are not for several tasks at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import JsonbDumper
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gatepost.errors import DatabaseError, NoTenantScope, Problem
from gatepost.service import migrations
from gatepost.service.statements import STATEMENTS, Statement

T = TypeVar("T")
Connection = psycopg.AsyncConnection[DictRow]
Cursor = psycopg.AsyncCursor[DictRow]

# No JIT: statements are short, and a disabled kind of join makes them look dear enough to be compiled for seconds.
OPTIONS = "-c timezone=UTC -c search_path=public -c jit=off"
# As gatepost_app whoever signed in: the operator's role sees every tenant, and a tenant scope must not.
ENTER_TENANT = "SELECT set_config('role', 'gatepost_app', true), set_config('app.tenant', %s, true)"
NO_TENANT = "GP001"  # raised by gatepost_tenant()
POOL_SIZE = 20
WAIT_SECONDS = 10.0
TRIES = 4
ROWS_A_TURN = 1_000
log = logging.getLogger("gatepost.service")


class Scope:
    """One transaction, in the scope of ``tenant_id`` or of none. ``connection`` is for COPY only.

    ``address`` is where who acts in it comes from, for the audit trail; empty for the service itself.
    """

    def __init__(self, connection: Connection, tenant_id: UUID | None, address: str = "") -> None:
        self.connection = connection
        self.tenant_id = tenant_id
        self.address = address

    async def all(self, name: str, /, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - values of SQL
        """All rows of a named statement; where they are very many, others have their turn between making them."""
        cursor = await self._execute(name, parameters)
        rows = found = await cursor.fetchmany(ROWS_A_TURN)
        while len(found) == ROWS_A_TURN:
            await asyncio.sleep(0)
            found = await cursor.fetchmany(ROWS_A_TURN)
            rows.extend(found)
        return rows

    async def one(self, name: str, /, **parameters: Any) -> dict[str, Any] | None:  # noqa: ANN401 - values of SQL
        """The first row of a named statement, None if it has none."""
        return await (await self._execute(name, parameters)).fetchone()

    async def run(self, name: str, /, **parameters: Any) -> int:  # noqa: ANN401 - values of SQL
        """Run a named statement; returns how many rows it touched."""
        return (await self._execute(name, parameters)).rowcount

    async def each(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run a named statement once for each row of parameters, in one round trip."""
        statement = self._statement(name)
        async with self.connection.cursor() as cursor:
            await cursor.executemany(statement.sql, rows)

    async def together(self, name: str, rows: Iterable[Mapping[str, Any]], **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - values of SQL
        """Run a named statement once for all ``rows``, which it reads from ``%(rows)s`` as JSON; what it returns."""
        told = [{key: _plain(value) for key, value in row.items()} for row in rows]
        cursor = await self._execute(name, {**parameters, "rows": {"rows": told}})
        return await cursor.fetchall() if cursor.description else []

    def _statement(self, name: str) -> Statement:
        statement = STATEMENTS[name]
        if statement.tenant and self.tenant_id is None:
            raise NoTenantScope(
                f"The statement {name} needs the scope of a tenant and has none.", "Open Database.tenant first."
            )
        return statement

    async def _execute(self, name: str, parameters: Mapping[str, Any]) -> Cursor:
        return await self.connection.execute(self._statement(name).sql, parameters)


class Database:
    """The connection pool of one process. Make it with ``open``, end it with ``close``, or use ``async with``."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Connection]) -> None:
        self.url = url
        self._pool = pool

    @classmethod
    async def open(cls, url: str, size: int = POOL_SIZE, wait: float = WAIT_SECONDS) -> Self:
        """Connect; later, ``wait`` seconds at most for a connection. Raises DatabaseError where sign-in fails."""
        check_url(url)
        kwargs = {"row_factory": dict_row, "autocommit": True, "application_name": "gatepost", "options": OPTIONS}
        try:
            await (await psycopg.AsyncConnection.connect(url, connect_timeout=int(WAIT_SECONDS))).close()
        except psycopg.Error as error:
            raise unreachable(error) from error
        pool = AsyncConnectionPool(
            url,
            connection_class=Connection,
            kwargs=kwargs,
            min_size=1,
            max_size=size,
            timeout=wait,
            configure=_configure,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        await pool.open()
        return cls(url, pool)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID, address: str = "") -> AsyncIterator[Scope]:
        """One transaction in the scope of a tenant, for somebody at an address. Raises DatabaseError, NoTenantScope."""
        async with self._transaction() as connection:
            await connection.execute(ENTER_TENANT, [str(tenant_id)])
            yield Scope(connection, tenant_id, address)

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Scope]:
        """One transaction without a tenant, for the statements of ``sql/control``. Raises DatabaseError."""
        async with self._transaction() as connection:
            yield Scope(connection, None)

    async def work(self, tenant_id: UUID, task: Callable[[Scope], Awaitable[T]], address: str = "") -> T:
        """Run ``task`` in one tenant transaction, all of it again (4 times at most) where PostgreSQL asks for that.

        Only for tasks whose every effect is in the transaction.
        """
        for _ in range(TRIES - 1):
            try:
                async with self.tenant(tenant_id, address) as scope:
                    return await task(scope)
            except DatabaseError as error:
                if not isinstance(error.__cause__, errors.SerializationFailure | errors.DeadlockDetected):
                    raise
        async with self.tenant(tenant_id, address) as scope:
            return await task(scope)

    async def check(self) -> None:
        """See that the database answers and has the schema of this version. Raises DatabaseError."""
        async with self.control() as scope:
            try:
                row = await scope.one("schema.revision")
            except errors.UndefinedTable as error:
                raise _wrong_schema("no schema") from error
        if row is None or row["version_num"] != migrations.head():
            raise _wrong_schema(f"revision {row['version_num'] if row else 'none'}")

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction; foreign errors become ours here, and only those that are nobody's mistake.

        A value that PostgreSQL cannot hold (NUL, past a type or an index) is the sender's, and stays so however often
        it is sent: a Problem 400.
        """
        try:
            async with self._pool.connection() as connection, connection.transaction():
                yield connection
        except PoolTimeout as error:
            raise unreachable(error) from error
        except (errors.SerializationFailure, errors.DeadlockDetected) as error:
            raise DatabaseError("The transaction met another one and was undone.", "Try again.") from error
        except (psycopg.DataError, errors.ProgramLimitExceeded, UnicodeEncodeError) as error:
            log.warning("a value cannot be kept: %s", type(error).__name__)
            raise Problem(400, "malformed", "The request holds a value that cannot be kept.") from error
        except psycopg.OperationalError as error:
            raise unreachable(error) from error
        except psycopg.Error as error:
            if error.sqlstate == NO_TENANT:
                raise NoTenantScope(
                    "A tenant's table was used without a scope.", "Open Database.tenant first."
                ) from error
            raise


def _plain(value: Any) -> Any:  # noqa: ANN401 - values of SQL
    """A value of SQL as JSON holds it; PostgreSQL reads it back by the column's type."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, UUID | datetime) else value


def check_url(url: str) -> None:
    """Refuse what is no connection string, without repeating it: it holds a password. Raises DatabaseError."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise DatabaseError(
            "The database URL cannot be read.", "Write it as postgresql://role:password@host:port/database."
        ) from None


def passwords_of(url: str | None) -> list[str]:
    """The passwords in a connection string, for what must never show them. Raises DatabaseError where it is none."""
    if not url:
        return []
    check_url(url)
    given = conninfo_to_dict(url)
    return [str(given[name]) for name in ("password", "sslpassword") if given.get(name)]


def unreachable(error: psycopg.Error | PoolTimeout) -> DatabaseError:
    """An error of the connection, as ours. The message never holds the address with its password."""
    lines = str(error).strip().splitlines()
    return DatabaseError(
        f"The database cannot be reached: {lines[-1].strip().rstrip('.') if lines else type(error).__name__}.",
        "Check that PostgreSQL runs, and the address and password in the database URL.",
    )


async def _configure(connection: Connection) -> None:
    """Mappings are sent as jsonb; each statement is planned for its parameters and for the tables as they are now.

    A plan kept from when the tables were empty reads them whole for every part of a first synchronisation.
    """
    connection.adapters.register_dumper(dict, JsonbDumper)
    await connection.execute("SET plan_cache_mode = force_custom_plan")


def _wrong_schema(found: str) -> DatabaseError:
    return DatabaseError(
        f"The database has {found}; this version of Gatepost needs revision {migrations.head()}.",
        "Run: gatepost service migrate.",
    )
