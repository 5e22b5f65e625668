"""A tenant with a policy and a compliance source, for tests of what is decided of its devices."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from gatepost.domain.contract import Facts
from gatepost.domain.contract import Scope as Extent
from gatepost.service import following
from gatepost.service.access import due
from gatepost.service.access.due import Cause
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.policies import Ring, rollout, versions
from tests.fixtures.service import in_thread
from tests.service.conftest import Look
from tests.service.speaker import device
from tests.service.writing import Writer

T = TypeVar("T")
OPEN: dict[str, Any] = {"default_level": "Allow", "rules": []}
CLOSED: dict[str, Any] = {"default_level": "Quarantine", "rules": []}


@dataclass
class Tenant:
    """A tenant whose connector has synchronised, in an Exchange with a default level."""

    writer: Writer
    look: Look
    anna: Person = field(default_factory=lambda: Person(uuid4(), "anna"))

    def run(self, action: Callable[[Scope], Awaitable[T]]) -> T:
        """Act in the tenant's scope, as a route does."""

        async def work() -> T:
            async with await Database.open(self.writer.service.urls.app, size=2) as database:
                return await database.work(self.writer.service.tenant_id, action)

        return in_thread(lambda: asyncio.run(work()))

    def follow(self) -> None:
        """What follows a transaction."""

        async def work() -> None:
            async with await Database.open(self.writer.service.urls.app, size=2) as database:
                await following.follow(database, self.writer.service.tenant_id)

        in_thread(lambda: asyncio.run(work()))

    def settings(self, settings: dict[str, Any]) -> None:
        """Exchange's default level and rules, as the connector reads them."""
        self.writer.say(facts=Facts(settings=settings))

    def policy(self, document: dict[str, Any], *, enabled: bool = True) -> int:
        """Save a version and let it hold for everybody."""

        async def begin(scope: Scope) -> int:
            version = await versions.save(scope, {"enabled": enabled, **document}, "", self.anna)
            await rollout.begin(scope, version, Ring.ALL, None, None, self.anna)
            return version

        version = self.run(begin)
        self.follow()
        return version

    def source(self) -> None:
        """A compliance source that spoke just now."""
        self.look("INSERT INTO sources (name, fresh_at) VALUES ('mdm', now())")

    def managed(self, number: int, state: str, since: datetime | None = None) -> None:
        """What the source says of a device, and what follows."""
        device_id = f"DEV{number:05d}"
        self.look("UPDATE devices SET managed = %s, managed_since = %s WHERE device_id = %s", state, since, device_id)
        self.mark(device_id)
        self.follow()

    def mark(self, *device_ids: str) -> None:
        """Something about these devices is new."""
        self.run(lambda scope: due.mark_device_ids(scope, [each.lower() for each in device_ids], Cause("source")))

    def tell(self, *rows: list[Any], mailboxes: tuple[list[Any], ...] = ()) -> None:
        """The connector tells of devices and mailboxes; what follows is over when it has its answer."""
        self.writer.speaker.synchronise(list(rows), list(mailboxes), scope=Extent.QUICK)

    def decided(self, number: int) -> dict[str, Any]:
        """What is decided of a device; its level and reason, at least."""
        [row] = self.look("SELECT * FROM decisions WHERE device_id = %s", f"DEV{number:05d}")
        return row

    def level(self, number: int) -> tuple[str, str]:
        """Level and reason of what is decided."""
        row = self.decided(number)
        return row["level"], row["reason"]

    def published(self, number: int) -> tuple[str, str, str] | None:
        """Level, reason and entry of what is published; None where nothing ever was."""
        rows = self.look("SELECT level, reason, entry FROM desired WHERE device_id = %s", f"DEV{number:05d}")
        return (rows[0]["level"], rows[0]["reason"], rows[0]["entry"]) if rows else None


def guid_of(number: int) -> UUID:
    """The guid of a device."""
    return UUID(device(number)[0])


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until it is so, as somebody else makes it."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)
