"""Explaining a device: the decision, Exchange's way to its verdict, what is held, and what would change it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from gatepost.domain.access import Reason
from gatepost.domain.contract import Facts
from gatepost.domain.desired import Level, ListName
from gatepost.domain.engine import State, Step
from gatepost.domain.policies import Policy
from gatepost.domain.prospects import What
from gatepost.service import explanation, following
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.explanation import Explanation
from gatepost.service.policies import Ring, rollout, versions
from tests.fixtures.service import Service, in_thread
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.writing import DEVICE, MAILBOX, Writer, wrote

T = TypeVar("T")
ANNA = Person(uuid4(), "anna")
CLOSED = {"default_level": "Quarantine", "rules": []}
POLICY = replace(Policy(enabled=True), unmanaged=Level.BLOCK)


def act(service: Service, action: Callable[[Scope], Awaitable[T]]) -> T:
    """Do something in the tenant's scope, in a transaction of its own."""

    async def work() -> T:
        async with (
            await Database.open(service.urls.app, size=1) as database,
            database.tenant(service.tenant_id) as scope,
        ):
            return await action(scope)

    return in_thread(lambda: asyncio.run(work()))


def settle(service: Service) -> None:
    """Whatever follows from what was committed."""

    async def work() -> None:
        async with await Database.open(service.urls.app, size=2) as database:
            await following.follow(database, service.tenant_id)

    in_thread(lambda: asyncio.run(work()))


def put_in_force(service: Service, policy: Policy = POLICY) -> None:
    """A policy holds for everybody, and everything is decided."""

    async def work(scope: Scope) -> None:
        version = await versions.save(scope, policy.document(), "", ANNA)
        await rollout.begin(scope, version, Ring.ALL, None, None, ANNA)

    act(service, work)
    settle(service)


def comply(look: Look, managed: str = "unmanaged") -> None:
    """There is a fresh compliance source, which says this of every device."""
    look("INSERT INTO sources (name, fresh_at) VALUES ('mdm', now()) ON CONFLICT DO NOTHING")
    look("UPDATE devices SET managed = %s, managed_since = now()", managed)


def explain(writer: Writer) -> Explanation:
    """Of the first device."""
    key = (MAILBOX, DEVICE)
    found = act(writer.service, lambda scope: explanation.explain(scope, writer.organization, [key]))
    return found[key]


def read(writer: Writer, state: str = "Quarantined", **settings: Any) -> None:
    """Exchange's settings are read, and what it says of every device."""
    devices = [device(number, access_state=state) for number in range(8)]
    writer.speaker.synchronise(devices, [mailbox(number) for number in range(4)])
    writer.say(facts=Facts(settings=settings or CLOSED))


def test_before_anything_is_decided_it_says_what_would_be(writer: Writer) -> None:
    """No policy: hands off; Exchange's default decides, after every step before it said nothing."""
    read(writer)
    why = explain(writer)
    assert (why.decision, why.would.level, why.would.reason) == (None, Level.LEAVE, Reason.POLICY_OFF)
    assert (why.now.state, why.now.reason) == (State.QUARANTINED, Step.DEFAULT)
    assert [step for step, decides in why.steps if decides] == [Step.DEFAULT]
    assert len(why.steps) == len(Step)
    assert (why.held, why.late, why.prospects) == (False, False, [])


def test_a_decision_is_explained_with_its_version_and_what_would_change_it(writer: Writer, look: Look) -> None:
    """Unmanaged, so blocked; enrolled and compliant it would have mail."""
    read(writer)
    comply(look)
    put_in_force(writer.service)
    why = explain(writer)
    assert why.decision is not None
    assert (why.decision.level, why.decision.reason, why.version) == (Level.BLOCK, Reason.UNMANAGED, 1)
    assert why.since is not None
    assert [(each.what, each.decision.level) for each in why.prospects] == [(What.COMPLIES, Level.ALLOW)]
    assert why.wanted.state is State.BLOCKED


def test_our_entry_counts_before_the_next_inventory_and_exchange_may_be_late(writer: Writer) -> None:
    """What was written and read back stands; what Exchange last reported moves when the phone next talks."""
    read(writer)
    writer.pin("allow")
    writer.say()
    writer.say(wrote(ListName.ALLOW, writer.held))
    why = explain(writer)
    assert (why.now.state, why.now.reason, why.reported) == (State.ALLOWED, Step.ALLOWED_LIST, State.QUARANTINED)
    assert why.late
    assert why.decision is not None
    assert why.decision.reason is Reason.PINNED
    assert [each.what for each in why.prospects] == [What.UNPINNED]


def test_an_entry_of_somebody_else_that_is_wanted_as_well_stands_as_it_was_read(writer: Writer) -> None:
    """Before the connector said whose it is: the device is blocked by the list, not by the default."""
    boxes = [mailbox(0, blocked_ids=[DEVICE]), *(mailbox(number) for number in range(1, 4))]
    writer.speaker.synchronise([device(number) for number in range(8)], boxes)
    writer.say(facts=Facts(settings=CLOSED))
    writer.pin("block")
    assert explain(writer).now.reason is Step.BLOCKED_LIST


def test_what_the_guard_holds_is_explained_with_its_hold(writer: Writer, look: Look) -> None:
    """Decided, and not published."""
    read(writer, state="Allowed", default_level="Allow", rules=[])
    look("INSERT INTO guard_settings (take) VALUES (0)")
    comply(look)
    put_in_force(writer.service)
    why = explain(writer)
    assert why.decision is not None
    assert (why.decision.level, why.known.published, why.held) == (Level.BLOCK, None, True)
    assert why.hold_state == "open"
    assert look("SELECT count(*) FROM holds WHERE hold_id = %s", why.hold_id) == [{"count": 1}]


def test_what_exchange_cannot_express_is_said(writer: Writer, look: Look) -> None:
    """Quarantine where the default allows."""
    read(writer, state="Allowed", default_level="Allow", rules=[])
    comply(look)
    put_in_force(writer.service, replace(POLICY, unmanaged=Level.QUARANTINE))
    why = explain(writer)
    assert (why.beyond, why.now.state, why.wanted.state) == ("default-allows", State.ALLOWED, State.ALLOWED)


def test_a_device_that_is_not_there_is_not_explained(writer: Writer) -> None:
    """Its id stands in no device."""
    key = (UUID(int=7), "NOBODY")
    assert act(writer.service, lambda scope: explanation.explain(scope, writer.organization, [key])) == {}


@pytest.mark.parametrize(("said", "meant"), [("DeviceDiscovery", State.DISCOVERY), ("odd", None), (None, None)])
def test_what_exchange_reports_is_read_as_the_engine_says_it(said: str | None, meant: State | None) -> None:
    """A word that nobody knows says nothing."""
    assert explanation.reported(said) is meant
