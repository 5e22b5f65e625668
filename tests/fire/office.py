"""A real service without its web: its functions on a real database, in a process that may be killed around any commit.

A kill is what a database sees of one: the transaction that is open is gone, what was committed stays, and nothing that
the process remembered is there any more.
"""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from gatepost.domain.contract import Answer, read_answer, write_answer
from gatepost.service import administration, following, ingest
from gatepost.service.administrators.person import Person
from gatepost.service.connectors import Connector
from gatepost.service.database import Connection, Database, Scope
from tests.fixtures.database import Urls
from tests.fixtures.service import in_thread

T = TypeVar("T")
MOMENTS = (
    ("sources", "fresh_at, complete_at"),
    ("compliance_records", "since, failing_since, recovered_at, checked_at"),
    ("devices", "managed_since, first_sync_at"),
    ("people", "managed_since"),
    ("decisions", "until, review_at"),
    ("budget_uses", "at"),
    ("holds", "opened_at, gathers_until, expires_at"),
    ("notices", "made_at, due_at, claimed_at"),
)
_numbers = itertools.count()


class Killed(BaseException):
    """The process ends here, as by a power cut."""


@dataclass
class Fate:
    """What the process comes to: at which of its steps it ends, None for at none; whether it did."""

    at: int | None = None
    struck: bool = False
    steps: int = 0

    def step(self) -> None:
        """The next one, which may be its last."""
        if self.steps == self.at:
            self.at, self.struck = None, True
            raise Killed
        self.steps += 1


class Mortal(Database):
    """A database as a process sees it that may be killed just before any of its commits, and just after.

    There is nothing else to try: a transaction that was killed at its first statement or its last is gone alike.
    """

    fate = Fate()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with super()._transaction() as connection:
            yield connection
            self.fate.step()
        self.fate.step()


class House:
    """The process: an event loop in a thread, and its database. Many tenants live in it, one after the other."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="house", daemon=True)
        self._thread.start()
        self.database: Mortal = self.run(Mortal.open(urls.app, size=2))
        self.owner = psycopg.connect(urls.owner, autocommit=True, row_factory=dict_row)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the process."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        """End it."""
        self.run(self.database.close())
        self.owner.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@contextmanager
def house(urls: Urls) -> Iterator[House]:
    """A process on a database."""
    made = House(urls)
    try:
        yield made
    finally:
        made.close()


class Office:
    """One tenant of it, with an organization whose connector is enrolled, and two administrators of old standing."""

    def __init__(self, house: House) -> None:
        self.house = house
        slug = f"fire-{next(_numbers)}"
        self.tenant_id: UUID = in_thread(administration.create_tenant, house.urls.operator, slug, slug)
        house.owner.execute("SELECT set_config('app.tenant', %s, false)", [str(self.tenant_id)])
        made = self.look(
            "INSERT INTO organizations (tenant_id, name, state, epoch, connected_at) "
            "VALUES (%s, 'Head office', 'connected', 1, now()) RETURNING organization_id",
            self.tenant_id,
        )
        self.organization_id: UUID = made[0]["organization_id"]
        added = self.act(
            lambda scope: scope.one(
                "enrolment.add_connector", organization_id=self.organization_id, epoch=1, host="mail1", version="1"
            )
        )
        assert added is not None
        self.connector_id: UUID = added["connector_id"]
        self.instance = uuid4()
        [row] = self.look("SELECT incarnation FROM incarnation")
        self.incarnation = str(row["incarnation"])
        self.anna, self.bert = (self._person(name) for name in ("anna", "bert"))

    def _person(self, name: str) -> Person:
        [row] = self.look(
            "INSERT INTO administrators (name, roles, password_hash, made_at) "
            "VALUES (%s, '{administrator}', 'x', now() - interval '30 days') RETURNING administrator_id",
            name,
        )
        return Person(row["administrator_id"], name)

    # -- what it does ----------------------------------------------------------------------------------------------

    def act(self, action: Callable[[Scope], Awaitable[T]]) -> T:
        """One transaction in the scope of the tenant, as a route makes it."""
        return self.house.run(self.house.database.work(self.tenant_id, action))

    def follow(self) -> None:
        """What follows a transaction, and what every replica does each second."""
        assert self.house.run(following.follow(self.house.database, self.tenant_id)), "the log says what went wrong"

    def check_in(self, document: bytes) -> Answer:
        """What the web does with a document, signatures left aside. Raises Problem."""

        async def take() -> bytes:
            database = self.house.database
            read = await ingest.read(document)
            answer = await ingest.check_in(database, self._connector(), read)
            if read.check_in.outcomes or read.check_in.facts.mailboxes.rows:
                assert await following.follow(database, self.tenant_id), "the log says what went wrong"
            return write_answer(answer)

        return read_answer(self.house.run(take()))

    def claim(self, ids: list[UUID]) -> list[Any]:
        """What a connector gets that claims notices."""
        return self.act(lambda scope: ingest.claim_notices(scope, self._connector(), ids, "https://gatepost.example"))

    def _connector(self) -> Connector:
        now = datetime.now(UTC)
        return Connector(self.tenant_id, self.connector_id, self.organization_id, 1, self.instance, now)

    @contextmanager
    def killed(self, at: int | None) -> Iterator[Fate]:
        """In here the process is killed at that step, and begun again afterwards."""
        fate = self.house.database.fate = Fate(at)
        try:
            yield fate
        except Killed:
            pass
        finally:
            self.house.database.fate = Fate()

    # -- what is seen and done from outside ------------------------------------------------------------------------

    def look(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Any statement, as the owner of the tables in the scope of the tenant."""
        cursor = self.house.owner.execute(query.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def pass_time(self, seconds: float) -> None:
        """For the service, what was is longer ago."""
        for table, columns in MOMENTS:
            moved = ", ".join(f"{name} = {name} - %(ago)s" for name in columns.split(", "))
            self.house.owner.execute(f"UPDATE {table} SET {moved}".encode(), {"ago": timedelta(seconds=seconds)})

    def decided(self) -> dict[str, tuple[str, str]]:
        """Level and reason of what is decided, by device id."""
        rows = self.look("SELECT device_id, level, reason FROM decisions")
        return {row["device_id"]: (row["level"], row["reason"]) for row in rows}

    def published(self) -> dict[str, str]:
        """The level that is published, by device id."""
        return {row["device_id"]: row["level"] for row in self.look("SELECT device_id, level FROM desired")}

    def held(self) -> set[str]:
        """The device ids that wait in a hold, whatever was said of it but that it is let through."""
        rows = self.look(
            "SELECT device_id FROM hold_items JOIN holds USING (tenant_id, hold_id) "
            "WHERE hold_items.state = 'held' AND holds.state IN ('open', 'refused')"
        )
        return {row["device_id"] for row in rows}

    def due(self) -> int:
        """How many are to be decided."""
        return int(self.look("SELECT count(*) AS n FROM decisions_due")[0]["n"])
