"""A preview by classes is what single decisions come to, and what applying the policy then publishes."""

from collections import Counter
from datetime import UTC, datetime
from random import Random
from uuid import UUID, uuid4

import pytest

from gatepost.domain import guards
from gatepost.domain.desired import Level
from gatepost.domain.guards import Verb
from gatepost.service.access import deciding, facts
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.policies import preview, rollout, versions, who
from gatepost.service.policies.preview import Wanted, Worked
from gatepost.service.policies.rings import Ring
from tests.fixtures.database import Urls
from tests.service.policies.population import Population, populate, random_policy

pytestmark = pytest.mark.anyio
ANNA = Person(uuid4(), "anna")


async def everybody(scope: Scope, worked: Worked) -> dict[tuple[UUID, str], dict[str, object]]:
    """Every device of a preview, by its key, gathered page by page."""
    found: dict[tuple[UUID, str], dict[str, object]] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = await who.page(scope, worked, who.Filter("all"), cursor, 37)
        found |= {(UUID(row["mailbox_guid"]), row["device_id"]): row for row in page.rows}
        cursor = page.next
    return found


async def roll_out(scope: Scope, document: object, ring: Ring, pilot: UUID | None) -> None:
    """Save a version and roll it out."""
    version = await versions.save(scope, document, "", ANNA)
    await rollout.begin(scope, version, ring, pilot, None, ANNA)


@pytest.mark.parametrize("seed", range(7))
async def test_a_class_is_decided_as_each_of_its_devices(
    database: Database, database_urls: Urls, tenant: UUID, seed: int
) -> None:
    """Level, reason, rule, and who gains or loses: the same for random people, policies, rings and earlier states."""
    random = Random(seed)
    made = populate(database_urls.superuser, tenant, seed)
    ring = random.choice(list(Ring))
    pilot = made.groups[0] if ring is Ring.PILOT or random.random() < 0.5 else None
    async with database.tenant(tenant) as scope:
        if random.random() < 0.6:
            await roll_out(scope, random_policy(random, made.groups), Ring.ALL, None)
        document = random_policy(random, made.groups)
        now = datetime.now(UTC)
        worked = await preview.work_out(scope, Wanted(document, ring=ring, pilot=pilot, now=now))
        seen = await everybody(scope, worked)
        total = await preview.total(scope, worked)
        await roll_out(scope, document, ring, pilot)
        known = await facts.load(scope, made.organization_id, made.keys, now)
        organization = await facts.exchange(scope, made.organization_id)
    judged = deciding.judge(known, organization, now)
    assert set(seen) == {each.known.key for each in judged}
    for each in judged:
        row, decision = seen[each.known.key], each.decision
        said = (row["after"], row["reason"], row["rule"], row["gains"], row["loses"])
        published = each.known.published or Level.LEAVE
        after = published if each.known.facts.barred else decision.level
        verb = guards.verb(each.before, each.after) if after is not published else None
        assert said == (after, decision.reason, decision.rule, verb is Verb.GIVE, verb is Verb.TAKE), each
        assert row["before"] == published
    for counted, people, name in (
        (total.total.losing, total.losing, "loses"),
        (total.total.gaining, total.gaining, "gains"),
    ):
        concerned = [key for key, row in seen.items() if row[name]]
        assert (counted, people) == (len(concerned), len({mailbox for mailbox, _ in concerned}))
    assert total.total.changes == sum(row["before"] != row["after"] for row in seen.values())
    assert {name: tally.devices for name, tally in total.reasons.items()} == Counter(
        each.decision.reason for each in judged
    )


@pytest.mark.parametrize("seed", range(20, 23))
async def test_what_a_preview_shows_is_what_applying_publishes(
    database: Database, database_urls: Urls, tenant: UUID, seed: int
) -> None:
    """The policy is rolled out and followed, and every published level is the one that was shown before."""
    random = Random(seed)
    made = populate(database_urls.superuser, tenant, seed)
    document = random_policy(random, made.groups)
    async with database.tenant(tenant) as scope:
        await allow_everything(scope)
        worked = await preview.work_out(scope, Wanted(document))
        seen = await everybody(scope, worked)
        before = await published(scope, made)
        await roll_out(scope, document, Ring.ALL, None)
    await deciding.advance(database, tenant)
    async with database.tenant(tenant) as scope:
        after = await published(scope, made)
    assert {key: row["after"] for key, row in seen.items()} == {key: after.get(key, "leave") for key in seen}
    assert {key: row["before"] for key, row in seen.items()} == {key: before.get(key, "leave") for key in seen}
    assert {key for key, row in seen.items() if row["before"] != row["after"]} == {
        key for key in seen if before.get(key, "leave") != after.get(key, "leave")
    }


async def published(scope: Scope, made: Population) -> dict[tuple[UUID, str], str]:
    """The level that stands published of each key."""
    known = await facts.load(scope, made.organization_id, made.keys, datetime.now(UTC))
    return {each.key: each.published.value for each in known if each.published}


async def allow_everything(scope: Scope) -> None:
    """A budget that nothing exceeds: what a guard holds is not published."""
    await scope.connection.execute("INSERT INTO guard_settings (take, give) VALUES (1000000, 1000000)")
