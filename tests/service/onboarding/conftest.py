"""Fixtures of onboarding: an organization whose lists others filled, and an administrator who comes to it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from gatepost.domain.contract import Facts
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from tests.fixtures.service import in_thread
from tests.service.speaker import device, mailbox
from tests.service.writing import Writer

T = TypeVar("T")
ANNA = Person(uuid4(), "anna")
QUARANTINE = {"default_level": "Quarantine", "rules": []}


@dataclass(frozen=True)
class Site:
    """The service with that organization, seen from inside and by its connector."""

    writer: Writer

    @property
    def organization(self) -> UUID:
        """The organization's id."""
        return self.writer.organization

    def act(self, action: Callable[[Scope], Awaitable[T]]) -> T:
        """Do something in the tenant's scope, in a transaction of its own."""

        async def work() -> T:
            url, tenant_id = self.writer.service.urls.app, self.writer.service.tenant_id
            async with await Database.open(url, size=1) as database, database.tenant(tenant_id) as scope:
                return await action(scope)

        return in_thread(lambda: asyncio.run(work()))

    def lists(self, *boxes: dict[str, Any], **settings: Any) -> None:
        """An inventory reads the lists of the first mailboxes so, and Exchange's settings; the default is quarantine.

        Mailbox n has the devices 2n and 2n + 1, whose ids are DEV0000n.
        """
        rows = [mailbox(number, **(boxes[number] if number < len(boxes) else {})) for number in range(4)]
        states = [device(number, access_state="Quarantined") for number in range(8)]
        self.writer.speaker.synchronise(states, rows)
        self.writer.say(facts=Facts(settings=settings or QUARANTINE))

    @property
    def owned(self) -> Any:
        """The lists in which the connector is told that the first device's entry is ours."""
        assert self.writer.row is not None
        return self.writer.row["owned"]


@pytest.fixture
def site(writer: Writer) -> Site:
    """The organization."""
    return Site(writer)
