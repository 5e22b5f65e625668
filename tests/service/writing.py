"""A connector that writes, for tests of the service: mode enforce, desired rows kept, outcomes made."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from gatepost.domain.contract import Status
from gatepost.domain.desired import ListName, Outcome, Presence, Result
from gatepost.service import pins
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from tests.fixtures.service import Service, in_thread
from tests.service.speaker import Speaker, device, mailbox

MAILBOX = UUID(mailbox(0)[0])
GUID = UUID(device(0)[0])
DEVICE = "DEV00000"
ANNA = Person(UUID(int=1), "anna")
START = datetime(2026, 1, 1, tzinfo=UTC)
NEITHER = Presence(False, False)


def outcome(result: Result, revision: int, **fields: Any) -> Outcome:
    """An outcome about the first device."""
    made = {"outcome_id": str(uuid4()), "mailbox": str(MAILBOX), "device_id": DEVICE, "at": START}
    return Outcome(result=result, revision=revision, **{**made, **fields})


def wrote(name: ListName, revision: int, **fields: Any) -> Outcome:
    """Our write added an entry to a list that had none."""
    after = Presence(name is ListName.ALLOW, name is ListName.BLOCK)
    return outcome(Result.APPLIED, revision, before=NEITHER, after=after, added=(name,), **fields)


def withdrew(name: ListName, revision: int, **fields: Any) -> Outcome:
    """Our write took an entry away."""
    before = Presence(name is ListName.ALLOW, name is ListName.BLOCK)
    return outcome(Result.APPLIED, revision, before=before, after=NEITHER, removed=(name,), **fields)


def saw(name: ListName, revision: int, result: Result = Result.UNCHANGED, **fields: Any) -> Outcome:
    """An entry was found, and nothing done."""
    there = Presence(name is ListName.ALLOW, name is ListName.BLOCK)
    return outcome(result, revision, before=there, after=there, **fields)


@dataclass
class Writer:
    """A connector of a store: what it holds, and what it was told of the first device."""

    service: Service
    speaker: Speaker
    held: int = 0
    row: dict[str, Any] | None = None
    answer: dict[str, Any] = field(default_factory=dict)

    def say(self, *outcomes: Outcome, mode: str = "enforce", **fields: Any) -> dict[str, Any]:
        """Check in with what is held; keep the rows of the answer."""
        status = Status(version="0.1.0", host="mail1", mode=mode, scope=("*",), ceiling={"limit": 1000, "used": 0})
        self.speaker.revision = self.held
        told = tuple(each.document() for each in outcomes)
        self.answer = self.speaker.say(**{"status": status, "outcomes": told, **fields})
        self.held = self.answer["revision"]
        for row in self.answer["desired"]:
            if row["device_id"] == DEVICE:
                self.row = row
        return self.answer

    def lose_store(self) -> None:
        """Everything that the store held is gone."""
        self.held, self.row = 0, None

    def pin(self, level: str = "allow", *, until: datetime | None = None, number: int = 0) -> None:
        """An administrator pins a device."""
        guid = UUID(device(number)[0])
        self._act(lambda scope: pins.set_pin(scope, self.organization, guid, level, "lost", until, ANNA))

    def unpin(self) -> None:
        """An administrator removes the pin."""
        self._act(lambda scope: pins.remove_pin(scope, self.organization, GUID, ANNA))

    def _act(self, action: Callable[[Scope], Awaitable[None]]) -> None:
        async def work() -> None:
            async with (
                await Database.open(self.service.urls.app, size=1) as database,
                database.tenant(self.service.tenant_id) as scope,
            ):
                await action(scope)

        in_thread(lambda: asyncio.run(work()))

    @property
    def organization(self) -> UUID:
        """The organization's id."""
        return UUID(self.speaker.identity["organization"])
