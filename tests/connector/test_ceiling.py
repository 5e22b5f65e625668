"""The service says go to everything: the connector's own ceiling holds all the same."""

import asyncio
from collections import Counter
from uuid import uuid4

from gatepost.service import following
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database
from gatepost.service.policies import Ring, rollout, versions
from tests.fixtures.site import MakeSite, Site

ANNA = Person(uuid4(), "anna")
CEILING = 3


def shut_out(site: Site) -> None:
    """A policy that blocks every phone, in a service whose guard lets a million people lose access."""
    site.execute("INSERT INTO guard_settings (take, give, tenant_id) VALUES (1000000, 1000000, %s)")
    site.execute("INSERT INTO sources (name, fresh_at, tenant_id) VALUES ('mdm', now(), %s)")

    async def work() -> None:
        async with await Database.open(site.urls.operator) as database:
            async with database.tenant(site.tenant_id) as scope:
                version = await versions.save(scope, {"enabled": True, "unmanaged": "block"}, "", ANNA)
                await rollout.begin(scope, version, Ring.ALL, None, None, ANNA)
            await following.follow(database, site.tenant_id)

    asyncio.run(work())


def test_a_service_that_lets_everything_through_meets_the_ceiling(make_site: MakeSite) -> None:
    """All phones are published to be blocked; three are, in this hour, and the others are told to wait."""
    site = make_site(devices=40).enrol().limited(mode="enforce", scope=["*"], ceiling=CEILING)
    site.synchronise()
    shut_out(site)
    wanted = site.query("SELECT count(*) AS phones FROM desired WHERE tenant_id = %s AND level = 'block'")
    assert wanted[0]["phones"] > 4 * CEILING
    assert site.query("SELECT hold_id FROM holds WHERE tenant_id = %s") == []
    before = listed(site)
    for _ in range(3):
        site.work(patience=0)
    assert listed(site) - before == CEILING
    took = site.query("SELECT count(*) AS phones FROM outcomes WHERE tenant_id = %s AND took_away")
    assert took[0]["phones"] == CEILING
    results = Counter(
        row["result"] for row in site.query("SELECT result FROM desired WHERE tenant_id = %s AND level = 'block'")
    )
    assert results["applied"] == CEILING
    assert results["ceiling"] > 2 * CEILING
    assert set(site.writes()) == {"Set-CASMailbox"}


def listed(site: Site) -> int:
    """How many entries Exchange's lists of blocked devices have."""
    return sum(len(mailbox.blocked) for mailbox in site.lab.organization.mailboxes)
