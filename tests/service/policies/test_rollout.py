"""Versions and rollouts: kept, begun, widened, stopped, resumed, rolled back; by themselves too."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from gatepost.errors import Problem
from gatepost.service.access import holds
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.policies import in_force, rings, rollout, versions, watch
from gatepost.service.policies.rings import Ring, Rollout
from gatepost.service.policies.watch import Anomaly, Signs
from tests.fixtures.database import Urls
from tests.service.policies.population import Population, populate

pytestmark = pytest.mark.anyio
ANNA, BOB = Person(uuid4(), "anna"), Person(uuid4(), "bob")
ON = {"enabled": True, "unmanaged": "block"}


@pytest.fixture
def made(database_urls: Urls, tenant: UUID) -> Population:
    """A small population."""
    return populate(database_urls.superuser, tenant, 1, mailboxes=4)


async def save(scope: Scope, **changes: object) -> int:
    """A new version."""
    return await versions.save(scope, {**ON, **changes}, "because", ANNA)


async def run(scope: Scope, query: bytes, *parameters: object) -> list[dict[str, Any]]:
    """Any statement, in the scope."""
    cursor = await scope.connection.execute(query, parameters)
    return await cursor.fetchall() if cursor.description else []


async def test_versions_are_kept_and_never_change(database: Database, tenant: UUID, made: Population) -> None:
    """Numbered from 1, listed newest first, read back as they mean; groups must be there."""
    async with database.tenant(tenant) as scope:
        assert await versions.newest(scope) is None
        assert [await save(scope), await save(scope, unmanaged="allow")] == [1, 2]
        first, second = await versions.get(scope, 1), await versions.newest(scope)
        assert second is not None
        assert (first.policy.unmanaged, second.policy.unmanaged, second.version) == ("block", "allow", 2)
        assert (first.note, first.made_by) == ("because", "anna")
        assert [each.version for each in await versions.listing(scope, before=2)] == [1]
        assert await save(scope, included=[str(made.groups[0])]) == 3
        events = await run(scope, b"SELECT body FROM events WHERE name = 'console:policy:saved' ORDER BY at, body")
        assert {each["body"]["version"] for each in events} == {1, 2, 3}


async def test_a_policy_that_cannot_be_is_refused_in_words(database: Database, tenant: UUID) -> None:
    """The message names the place; nothing is kept."""
    refused: list[tuple[object, str, str]] = [
        ({"enabled": 1}, "", "The policy cannot be read at enabled: it is true or false."),
        ({"included": ["nobody"]}, "", "The directory has no group nobody."),
        ([], "", "The policy cannot be read at policy: "),
        ({}, "x" * 501, "A note has at most 500 visible characters."),
    ]
    async with database.tenant(tenant) as scope:
        for document, note, said in refused:
            with pytest.raises(Problem) as problem:
                await versions.save(scope, document, note, ANNA)
            assert problem.value.detail.startswith(said)
            assert problem.value.fields["place"]
        assert await versions.listing(scope) == []


async def test_a_rollout_goes_from_ring_to_ring(database: Database, tenant: UUID, made: Population) -> None:
    """What held for everybody holds outside of the ring; each step marks the devices and is in the audit trail."""
    async with database.tenant(tenant) as scope:
        for changes in ({}, {"unmanaged": "allow"}, {"unmanaged": "leave"}):
            await save(scope, **changes)
        assert (await in_force(scope)).version is None
        first = await rollout.begin(scope, 1, Ring.ALL, None, 5, ANNA)
        assert (first.state, first.base, first.ring_hours) == ("done", None, None)
        due = await run(scope, b"SELECT DISTINCT cause, ref, by_id FROM decisions_due")
        assert due == [{"cause": "policy", "ref": "1", "by_id": ANNA.administrator_id}]
        second = await rollout.begin(scope, 2, Ring.PILOT, made.groups[0], 2, ANNA, expected=3)
        assert (second.state, second.base, second.expected) == ("rolling", 1, 3)
        wider = await rollout.advance(scope, BOB, 4)
        assert (wider.ring, wider.base, wider.ring_hours, wider.expected) == (Ring.ONE, 1, 2, 4)
        third = await rollout.begin(scope, 3, Ring.TEN, None, None, ANNA)
        assert third.base == 1, "version 2 held for few, so it is nobody's base"
        assert (await rollout.stop(scope, " wait ", BOB)).why == "wait"
        with pytest.raises(Problem, match="Resume it first"):
            await rollout.advance(scope, ANNA)
        assert (await rollout.resume(scope, BOB)).state == "rolling"
        assert (await rollout.advance(scope, ANNA)).state == "done"
        with pytest.raises(Problem, match="for everybody already"):
            await rollout.advance(scope, ANNA)
        back = await rollout.roll_back(scope, 1, BOB)
        assert (back.version, back.base, back.ring, back.state) == (1, 3, Ring.ALL, "done")
        force = await in_force(scope)
        assert force.policy_for(uuid4(), None)[1] == 1
        names = {row["name"] for row in await run(scope, b"SELECT name FROM events WHERE name LIKE 'console:%%'")}
        assert names >= {"console:rollout:begun", "console:rollout:advanced", "console:rollout:stopped"}
        assert names >= {"console:rollout:resumed", "console:policy:rolled-back"}


async def test_a_rollout_that_cannot_be_is_refused_in_words(database: Database, tenant: UUID, made: Population) -> None:
    """Each message says what is wrong, and nothing holds afterwards."""
    async with database.tenant(tenant) as scope:
        version = await save(scope)
        refused = [
            (9, Ring.ALL, None, None, "The policy has no version 9."),
            (version, Ring.PILOT, None, None, "Name the pilot group that is to go first."),
            (version, Ring.PILOT, uuid4(), None, "The directory has no such pilot group."),
            (version, Ring.ONE, None, 721, "The hours of a ring are 1 to 720."),
        ]
        for number, ring, pilot, hours, said in refused:
            with pytest.raises(Problem) as problem:
                await rollout.begin(scope, number, ring, pilot, hours, ANNA)
            assert problem.value.detail == said
        for act in (rollout.advance(scope, ANNA), rollout.stop(scope, "", ANNA), rollout.resume(scope, ANNA)):
            with pytest.raises(Problem, match="No version of the policy was rolled out yet"):
                await act
        await rollout.begin(scope, version, Ring.ALL, None, None, ANNA)
        with pytest.raises(Problem, match="is not older than what holds now"):
            await rollout.roll_back(scope, version, ANNA)
        with pytest.raises(Problem, match="No rollout is under way"):
            await rollout.stop(scope, "", ANNA)
        with pytest.raises(Problem, match="No rollout is stopped"):
            await rollout.resume(scope, ANNA)


@pytest.mark.parametrize(
    ("signs", "expected", "anomaly"),
    [
        (Signs(0, 0, 0, 0, 0), 0, None),
        (Signs(1, 900, 90, 90, 1), 0, Anomaly.HELD),
        (Signs(0, 6, 0, 0, 0), 0, Anomaly.LOST),
        (Signs(0, 5, 0, 0, 0), 0, None),
        (Signs(0, 210, 0, 0, 0), 200, None),
        (Signs(0, 211, 0, 0, 0), 200, Anomaly.LOST),
        (Signs(0, 211, 0, 0, 0), None, None),
        (Signs(0, 0, 4, 4, 0), 0, None),
        (Signs(0, 0, 5, 100, 0), 0, None),
        (Signs(0, 0, 6, 100, 0), 0, Anomaly.TROUBLED),
        (Signs(0, 0, 0, 0, 1), 0, Anomaly.SILENT),
    ],
)
def test_what_counts_as_an_anomaly(signs: Signs, expected: int | None, anomaly: Anomaly | None) -> None:
    """The table of docs/policy.md: a hold, more people than shown, writes that come to nothing, silence."""
    assert signs.anomaly(expected) is anomaly


async def test_a_rollout_stops_and_widens_by_itself(database: Database, tenant: UUID, made: Population) -> None:
    """A hold because of it stops it; resumed, it widens when its hours are over, and its preview is told."""
    async with database.tenant(tenant) as scope:
        version = await save(scope)
        await rollout.begin(scope, version, Ring.ONE, None, 1, ANNA, 0)
        hold = (
            b"INSERT INTO holds (organization_id, verb, cause, ref, gathers_until, expires_at) "
            b"VALUES (%s, 'take', 'policy', %s, now(), now()) RETURNING hold_id"
        )
        await run(scope, hold, made.organization_id, str(version))
    assert (await watched(database, tenant)).why == Anomaly.HELD
    async with database.tenant(tenant) as scope:
        await run(scope, b"UPDATE holds SET state = 'refused', decided_at = now()")
        assert (await rollout.resume(scope, BOB)).why == ""
    assert (await watched(database, tenant)).ring is Ring.ONE
    async with database.tenant(tenant) as scope:
        await run(scope, b"UPDATE rollouts SET ring_since = now() - interval '61 minutes'")
    widened = await watched(database, tenant)
    assert (widened.ring, widened.state, widened.began_by) == (Ring.TEN, "rolling", "anna")
    assert widened.expected is not None
    assert (datetime.now(UTC) - widened.ring_since).total_seconds() < 60
    async with database.tenant(tenant) as scope:
        await run(scope, b"UPDATE rollouts SET ring_since = now() - interval '5 hours'")
        uses = (
            b"INSERT INTO budget_uses (organization_id, verb, mailbox_guid, at) "
            b"VALUES (%s, 'take', %s, now() - interval '4 hours')"
        )
        for _ in range(widened.expected + 6):
            await run(scope, uses, made.organization_id, uuid4())
    await holds.expire_holds(database, tenant)
    assert (await watched(database, tenant)).why == Anomaly.LOST
    async with database.tenant(tenant) as scope:
        names = [
            row["name"] for row in await run(scope, b"SELECT name FROM events WHERE name LIKE 'service:rollout%%'")
        ]
    assert sorted(names) == ["service:rollout:advanced", "service:rollout:stopped", "service:rollout:stopped"]


async def watched(database: Database, tenant: UUID) -> Rollout:
    """The rollout, after it was looked after."""
    await watch.watch(database, tenant)
    async with database.tenant(tenant) as scope:
        known = await rings.current(scope)
    assert known is not None
    return known
