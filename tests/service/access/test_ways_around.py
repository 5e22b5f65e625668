"""Ways around the second person: each is tried, and each ends in a hold that who went it cannot approve."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from gatepost.domain import guards
from gatepost.errors import Problem
from gatepost.service import directory, pins
from gatepost.service.access import holds
from gatepost.service.access.holds import Hold, HoldState
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import records, sources
from gatepost.service.database import Database, Scope
from gatepost.service.onboarding import preapproving
from gatepost.service.onboarding.preapproving import Asked
from tests.service.access.deciding import OPEN, Tenant, guid_of
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.writing import Writer

PHONES = 30
NOBODY = Person(UUID(int=0), "nobody")
BLOCKED = {"unmanaged": "block"}


@dataclass
class Many(Tenant):
    """A tenant of thirty people with a phone each, under an open default: five may lose access in an hour."""

    bert: Person = NOBODY
    carl: Person = NOBODY

    def administrator(self, name: str) -> Person:
        """An administrator of old standing."""
        [row] = self.look(
            "INSERT INTO administrators (name, roles, password_hash, made_at) "
            "VALUES (%s, '{administrator}', 'x', now() - interval '30 days') RETURNING administrator_id",
            name,
        )
        return Person(row["administrator_id"], name)

    def open_holds(self) -> list[Hold]:
        """What waits."""
        return self.run(lambda scope: holds.listing(scope, [HoldState.OPEN]))

    def approve(self, hold: Hold, person: Person) -> Hold:
        """Approve what is in it now."""

        async def act(scope: Scope) -> Hold:
            return await holds.approve(scope, hold.hold_id, await holds.digest(scope, hold.hold_id), person)

        return self.run(act)

    def refusal(self, hold: Hold, person: Person) -> str:
        """Why somebody may not approve it."""
        with pytest.raises(Problem) as refused:
            self.approve(hold, person)
        return refused.value.type

    def pin(self, person: Person, *numbers: int, level: str = "block") -> None:
        """Pin devices by hand, one after the other."""

        async def act(scope: Scope) -> None:
            for number in numbers:
                await pins.set_pin(scope, self.writer.organization, guid_of(number), level, "why", None, person)

        self.run(act)

    def unpin(self, person: Person, *numbers: int) -> None:
        """Take pins away, one after the other."""

        async def act(scope: Scope) -> None:
            for number in numbers:
                await pins.remove_pin(scope, self.writer.organization, guid_of(number), person)

        self.run(act)

    def blocked(self) -> int:
        """How many devices are published to be blocked."""
        [row] = self.look("SELECT count(*) AS n FROM desired WHERE level = 'block'")
        return int(row["n"])

    def a_day_later(self) -> None:
        """The policy has held for more than a day."""
        self.look("UPDATE rollouts SET ring_since = ring_since - interval '25 hours'")


@pytest.fixture
def many(writer: Writer, look: Look) -> Many:
    """Thirty people; anna, bert and carl are administrators of old standing."""
    writer.speaker.synchronise(
        [device(number, mailbox_guid=mailbox(number)[0]) for number in range(PHONES)],
        [mailbox(number) for number in range(PHONES)],
    )
    tenant = Many(writer, look)
    tenant.anna, tenant.bert, tenant.carl = map(tenant.administrator, ("anna", "bert", "carl"))
    tenant.settings(OPEN)
    return tenant


def test_pins_by_hand_are_not_held_until_they_are_more_than_a_person_looks_at(many: Many) -> None:
    """An account that was taken over blocks twenty people in an hour; each further one is pinned, counted and held."""
    many.pin(many.anna, *range(PHONES))
    assert many.look("SELECT count(*) AS n FROM pins") == [{"n": PHONES}]
    assert many.blocked() == guards.BY_HAND
    [hold] = many.open_holds()
    assert (hold.people, hold.cause.kind, hold.by) == (PHONES - guards.BY_HAND, "pins", "anna")
    assert many.refusal(hold, many.anna) == "approval-requester"
    many.pin(many.bert, PHONES - 1)
    assert many.blocked() == guards.BY_HAND + 1, "somebody else's own pins are not used up"
    many.approve(hold, many.bert)
    many.follow()
    many.pin(many.anna, 0, level="allow")
    many.pin(many.anna, 0)
    assert (many.blocked(), len(many.open_holds())) == (PHONES, 0), "who is counted is not counted again"


def test_pinning_and_unpinning_is_no_way_around_the_guard(many: Many) -> None:
    """What a policy wants and the guard held is pinned to be allowed, and the pins are taken away again: still held."""
    many.source()
    many.policy(BLOCKED)
    assert (many.blocked(), sum(hold.people for hold in many.open_holds())) == (5, PHONES - 5)
    waiting = [number for number in range(PHONES) if (many.published(number) or ("",))[0] != "block"]
    many.pin(many.bert, *waiting[:12], level="allow")
    many.unpin(many.bert, *waiting[:12])
    assert many.blocked() == 5
    [anew] = [hold for hold in many.open_holds() if hold.cause.kind == "unpin"]
    assert (anew.people, anew.by) == (12, "bert")
    assert {many.refusal(anew, person) for person in (many.anna, many.bert)} == {"approval-requester"}


@pytest.mark.anyio
async def test_many_pins_that_end_at_one_moment_are_no_way_around_the_guard(many: Many, anyio_backend: str) -> None:
    """A file of pins that allow changes nobody's access and is not held; when they end, the policy's wish is."""
    many.source()
    text = "email,device id\n" + "".join(f"user{box}@example.test,DEV{box:05d}\n" for box in range(PHONES))
    soon = Asked("allow", "why", datetime.now(UTC) + timedelta(hours=1))
    many.run(lambda scope: preapproving.pin(scope, many.writer.organization, text, soon, many.anna))
    assert many.open_holds() == []
    many.policy(BLOCKED)
    assert many.blocked() == 0
    many.look("UPDATE pins SET until = now() - interval '1 second'")
    async with await Database.open(many.writer.service.urls.app, size=2) as database:
        await pins.expire_pins(database, many.writer.service.tenant_id)
    assert many.blocked() == 5
    [hold] = many.open_holds()
    assert (hold.people, hold.cause.kind) == (PHONES - 5, "time")
    many.a_day_later()
    assert many.refusal(hold, many.anna) == "approval-requester", "it was anna who let the policy hold"
    many.approve(hold, many.bert)


def test_a_grace_period_that_ends_soon_is_no_way_to_approve_oneself(many: Many) -> None:
    """A policy that takes access a minute later does so by the clock; who let it hold is behind it all the same."""
    many.source()
    many.look("UPDATE devices SET first_seen = now(), first_sync_at = now()")
    many.policy({**BLOCKED, "grace": {"unmanaged": 3_600}})
    assert (many.blocked(), many.open_holds()) == (0, [])
    earlier = "first_seen = first_seen - d, first_sync_at = first_sync_at - d FROM make_interval(hours => 2) AS d"
    many.look(f"UPDATE devices SET {earlier}")
    many.look("UPDATE decisions SET review_at = now() - interval '1 second'")
    many.follow()
    [hold] = many.open_holds()
    assert (hold.cause.kind, hold.cause.by_id, hold.people) == ("time", None, PHONES - 5)
    many.a_day_later()
    assert many.refusal(hold, many.anna) == "approval-requester"
    many.approve(hold, many.bert)
    many.follow()
    assert many.blocked() == PHONES


Detour = Callable[[Scope, Person, UUID], Any]


async def _report(scope: Scope, person: Person, source: UUID) -> None:
    rows = [
        {
            "managed_id": f"m{box}",
            "state": "noncompliant",
            "device_ids": [f"DEV{box:05d}"],
            "user_name": "",
            "name": "",
            "checked_at": None,
        }
        for box in range(PHONES)
    ]
    await records.report(scope, source, rows, complete=True, person=person)


async def _group(scope: Scope, person: Person, _: UUID) -> None:
    await directory.put_people(
        scope,
        [
            {
                "external_id": f"p{box}",
                "smtp": [f"user{box}@example.test"],
                "upn": None,
                "display_name": None,
                "language": None,
                "enabled": True,
                "groups": ["watched"],
            }
            for box in range(PHONES)
        ],
        complete=False,
        may_remove=0,
        person=person,
    )


@pytest.mark.parametrize(("detour", "kind"), [(_report, "source"), (_group, "directory")])
def test_who_tells_the_facts_does_not_approve_what_comes_of_them(many: Many, detour: Detour, kind: str) -> None:
    """Neither by a report of compliance of one's own, nor by putting people into a group that a rule blocks."""

    async def prepare(scope: Scope) -> tuple[UUID, str]:
        await directory.put_groups(
            scope, [{"external_id": "watched", "name": "Watched"}], complete=False, may_remove=0, person=many.bert
        )
        source = await sources.add(scope, "mdm", 86_400, many.bert)
        return source, str((await directory.groups(scope, "", 1))[0]["group_id"])

    source, group = many.run(prepare)
    rule = {"id": "r1", "name": "Watched", "level": "block", "when": {"group": [group]}}
    many.policy({"rules": [rule] if kind == "directory" else [], "noncompliant": "block", "unmanaged": "allow"})
    many.a_day_later()
    many.run(lambda scope: detour(scope, many.bert, source))
    many.follow()
    [hold] = many.open_holds()
    assert (hold.cause.kind, hold.by, hold.people) == (kind, "bert", PHONES - 5)
    assert many.refusal(hold, many.bert) == "approval-requester"
    many.approve(hold, many.anna)
    many.follow()
    assert many.blocked() == PHONES


def test_nobody_approves_what_another_cause_holds_within_a_day_of_their_own_policy(many: Many) -> None:
    """A report that comes at the same moment does not lend its name to what the policy's author wants."""

    async def add(scope: Scope) -> UUID:
        return await sources.add(scope, "mdm", 86_400, many.bert)

    source = many.run(add)
    many.policy({"noncompliant": "block", "unmanaged": "allow"})
    many.run(lambda scope: _report(scope, many.bert, source))
    many.follow()
    [hold] = many.open_holds()
    assert {many.refusal(hold, person) for person in (many.anna, many.bert)} == {"approval-requester"}
    many.approve(hold, many.carl)
