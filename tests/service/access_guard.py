"""What tests of the guard share: a tenant with a connector, people, and verdicts of Exchange's engine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from gatepost.domain.desired import Level
from gatepost.domain.engine import State, Step, Verdict
from gatepost.domain.guards import Verb
from gatepost.service import access
from gatepost.service.access import guarding
from gatepost.service.access.due import Cause
from gatepost.service.access.guarding import Sieved, Wanted
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from tests.fixtures.service import Service, in_thread

T = TypeVar("T")
Look = Callable[..., list[dict[str, Any]]]
YES, NO = (Verdict(state, Step.DEFAULT, (Step.DEFAULT,)) for state in (State.ALLOWED, State.BLOCKED))
LOSES, GAINS = (YES, NO), (NO, YES)


@dataclass
class Guarded:
    """A tenant whose organization has a connector, and the statements of its owner."""

    service: Service
    organization: UUID
    look: Look

    def act(self, action: Callable[[Scope], Awaitable[T]]) -> T:
        """Do something in the tenant's scope, in a transaction of its own."""

        async def work() -> T:
            async with (
                await Database.open(self.service.urls.app, size=1) as database,
                database.tenant(self.service.tenant_id) as scope,
            ):
                return await action(scope)

        return in_thread(lambda: asyncio.run(work()))

    def person(self, name: str, *, role: str = "administrator", passkey: bool = False) -> Person:
        """An administrator of old standing."""
        [row] = self.look(
            "INSERT INTO administrators (name, roles, password_hash, made_at) "
            "VALUES (%s, %s, 'x', now() - interval '30 days') RETURNING administrator_id",
            name,
            [role],
        )
        return Person(row["administrator_id"], name, passkey)

    def sieve(self, cause: Cause, wanted: Sequence[Wanted]) -> Sieved:
        """Ask the guard, as whoever decides does: under the head, with the decisions written."""

        async def asked(scope: Scope) -> Sieved:
            await access.lock_head(scope, self.organization)
            return await guarding.sieve(scope, self.organization, cause, wanted)

        return self.act(asked)

    def settled(self, *wanted: Wanted) -> None:
        """These are decided to be as they are published."""

        async def told(scope: Scope) -> None:
            await access.lock_head(scope, self.organization)
            await guarding.settled(scope, self.organization, [each.key for each in wanted])

        self.act(told)

    def decided(self, wanted: Sequence[Wanted], level: Level | None = None) -> None:
        """What is decided of these now."""
        self.look(
            "INSERT INTO decisions (organization_id, mailbox_guid, device_id, level, reason) "
            "SELECT %s, m, d, l, 'unmanaged' FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS k (m, d, l) "
            "ON CONFLICT (tenant_id, organization_id, mailbox_guid, device_id) DO UPDATE SET level = excluded.level",
            self.organization,
            [each.key[0] for each in wanted],
            [each.key[1] for each in wanted],
            [(level or each.level).value for each in wanted],
        )

    def used(self) -> dict[str, int]:
        """How far the budgets are used, by verb."""
        rows = self.look("SELECT verb, count(*) AS people FROM budget_uses GROUP BY verb")
        return {row["verb"]: row["people"] for row in rows}

    def later(self, minutes: int) -> None:
        """Let so many minutes pass, for the guard."""
        self.look("UPDATE budget_uses SET at = at - make_interval(mins => %s)", minutes)
        self.look(
            "UPDATE holds SET opened_at = opened_at - earlier, gathers_until = gathers_until - earlier, "
            "expires_at = expires_at - earlier FROM make_interval(mins => %s) AS t (earlier)",
            minutes,
        )


def block(person: int, phone: int = 0, *, level: Level = Level.BLOCK) -> Wanted:
    """A phone of somebody that has mail and is to lose it."""
    return Wanted(key(person, phone), level, "unmanaged", *LOSES, Level.LEAVE)


def allow(person: int, phone: int = 0) -> Wanted:
    """A phone of somebody that is to get mail."""
    return Wanted(key(person, phone), Level.ALLOW, "compliant", *GAINS, Level.LEAVE)


def key(person: int, phone: int = 0) -> tuple[UUID, str]:
    """A mailbox and a device id."""
    return UUID(int=person + 1), f"PHONE{person}-{phone}"


def people(wanted: Sequence[Wanted], verb: Verb | None = None) -> list[int]:
    """The numbers of the people."""
    return sorted({each.key[0].int - 1 for each in wanted if verb is None or each.verb is verb})
