"""How people could be cut off, or let in, by mistake: each tried on a real database, with a connector that writes."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from gatepost.domain.desired import ListName
from gatepost.errors import Problem
from gatepost.service import removal
from gatepost.service.access import due, holds
from gatepost.service.access.due import Cause
from gatepost.service.access.holds import Hold, HoldState
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.onboarding import preapproving
from gatepost.service.policies import Ring, rollout, versions
from tests.service.access.deciding import CLOSED, OPEN, Tenant
from tests.service.access_guard import Guarded
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.writing import Writer, withdrew, wrote

OLD: Mapping[str, Any] = {"id": "old", "name": "Old", "level": "block", "when": {"synced_days_ago": 30}}


@pytest.fixture
def guarded(writer: Writer, look: Look) -> Guarded:
    """The organization, and who administers it."""
    return Guarded(writer.service, writer.organization, look)


@pytest.fixture
def tenant(writer: Writer, look: Look, guarded: Guarded) -> Tenant:
    """Four people with two phones each, a source that spoke just now, and anna, who changes policies."""
    tenant = Tenant(writer, look, guarded.person("anna"))
    tenant.source()
    return tenant


def held(tenant: Tenant) -> list[Hold]:
    """The holds that are open."""
    return tenant.run(lambda scope: holds.listing(scope, [HoldState.OPEN]))


def approve(tenant: Tenant, hold: Hold, person: Person) -> None:
    """Somebody looks at a hold and approves it; what follows is over."""
    digest = tenant.run(lambda scope: holds.digest(scope, hold.hold_id))
    tenant.run(lambda scope: holds.approve(scope, hold.hold_id, digest, person))
    tenant.follow()


def test_a_device_that_cannot_be_decided_stops_only_itself(tenant: Tenant, look: Look) -> None:
    """It keeps what it has, and a finding names it until it can be; others are decided, and the clock is no trouble."""
    tenant.settings(OPEN)
    tenant.policy({"unmanaged": "block"})
    assert tenant.level(0) == tenant.level(1) == ("block", "unmanaged")
    look("UPDATE decisions SET inputs = '[]', review_at = now() WHERE device_id = 'DEV00000'")
    look("UPDATE sources SET fresh_at = now() - interval '2 days'")
    tenant.mark("DEV00000", "DEV00001")
    tenant.follow()
    assert tenant.decided(1)["inputs"] == {"compliance": "unmanaged", "kept": "stale"}
    assert tenant.published(0) == ("block", "unmanaged", "block")
    assert look("SELECT device_id FROM decisions_due") == []
    assert look("SELECT device_id FROM decisions WHERE review_at <= now()") == []
    [finding] = look("SELECT cause, ended_at FROM findings WHERE code = 'decision-failed'")
    assert finding["cause"].startswith("The device DEV00000 could not be decided")
    assert finding["ended_at"] is None
    look("UPDATE decisions SET inputs = '{}' WHERE device_id = 'DEV00000'")
    tenant.mark("DEV00000")
    tenant.follow()
    assert tenant.decided(0)["inputs"] == {"kept": "stale"}
    assert look("SELECT code FROM findings WHERE code = 'decision-failed' AND ended_at IS NULL") == []


def test_the_end_of_time_is_a_moment_like_any_other(tenant: Tenant) -> None:
    """Exchange may say it where it knows of no time: the device is decided, and the connector has its answer."""
    tenant.settings(CLOSED)
    tenant.policy({"unmanaged": "block", "grace": {"unmanaged": 3_600}, "rules": [OLD]})
    end = "9999-12-31T23:59:59.999Z"
    tenant.tell(device(0, first_sync_at=end, last_success_sync_at=end), device(1, model="another"))
    assert (tenant.level(0), tenant.level(1)) == (("allow", "unmanaged-grace"), ("block", "unmanaged"))


def test_a_policy_that_cannot_be_read_takes_nobody_the_answer(tenant: Tenant, look: Look) -> None:
    """What was committed stands: the connector goes on to check in, and nothing is changed meanwhile."""
    tenant.settings(OPEN)
    tenant.policy({"unmanaged": "block"})
    look("UPDATE policies SET document = '{\"surprise\": 1}'")
    tenant.tell(device(0, model="another"))
    tenant.follow()
    assert tenant.published(0) == ("block", "unmanaged", "block")
    look('UPDATE policies SET document = \'{"enabled": true, "unmanaged": "allow"}\'')
    tenant.follow()
    assert tenant.published(0) == ("allow", "unmanaged", "allow")


def test_who_asked_last_is_behind_what_is_decided(tenant: Tenant, guarded: Guarded, look: Look) -> None:
    """Though another change waited to be decided, and a source told something meanwhile: nobody approves their own."""
    tenant.settings(OPEN)
    look("INSERT INTO guard_settings (take) VALUES (0)")
    bert = guarded.person("bert")

    async def both(scope: Scope) -> None:
        for person, level in ((tenant.anna, "allow"), (bert, "block")):
            version = await versions.save(scope, {"enabled": True, "unmanaged": level}, "", person)
            await rollout.begin(scope, version, Ring.ALL, None, None, person)
        await due.mark_device_ids(scope, [f"dev{number:05d}" for number in range(8)], Cause("source", "x", uuid4()))

    tenant.run(both)
    tenant.follow()
    [hold] = held(tenant)
    assert (hold.by, hold.cause.kind, hold.people) == ("bert", "policy", 4)


def test_an_approval_holds_for_once(tenant: Tenant, guarded: Guarded, look: Look) -> None:
    """What could not be let through then, for its mailbox was elsewhere, is asked about anew when it is back."""
    tenant.settings(OPEN)
    look("INSERT INTO guard_settings (take) VALUES (0)")
    tenant.policy({"unmanaged": "block"})
    [hold] = held(tenant)
    tenant.tell(mailboxes=(mailbox(0, kind="remote"),))
    approve(tenant, hold, guarded.person("bert"))
    assert [tenant.published(number) for number in (0, 2)] == [None, ("block", "unmanaged", "block")]
    tenant.tell(mailboxes=(mailbox(0),))
    assert (tenant.level(0), tenant.published(0)) == (("block", "unmanaged"), None)
    assert [(each.people, each.cause.kind) for each in held(tenant)] == [(1, "sync")]


def test_what_was_held_without_a_policy_is_let_through_too(tenant: Tenant, guarded: Guarded, look: Look) -> None:
    """A file of pins that waited for a second person, in a tenant that never rolled out a policy."""
    tenant.settings(CLOSED)
    look("INSERT INTO guard_settings (give) VALUES (0)")
    asked = preapproving.Asked("allow", "moving in", None)
    text = "mailbox,device id\nuser0@example.test,DEV00000\n"
    tenant.run(lambda scope: preapproving.pin(scope, tenant.writer.organization, text, asked, tenant.anna))
    assert tenant.published(0) is None
    [hold] = held(tenant)
    approve(tenant, hold, guarded.person("bert"))
    assert tenant.published(0) == ("allow", "pinned", "allow")


def test_a_version_that_names_a_group_that_went_holds_for_nobody(tenant: Tenant, look: Look) -> None:
    """Neither rolled out nor rolled back to: whom it excludes would be judged by it."""
    [group] = look("INSERT INTO groups (external_id, name) VALUES ('vip', 'VIP') RETURNING group_id::text AS name")
    version = tenant.policy({"excluded": [group["name"]]})
    tenant.policy({"unmanaged": "allow"})
    look("DELETE FROM groups")
    with pytest.raises(Problem, match=f"The directory has no group {group['name']}"):
        tenant.run(lambda scope: rollout.begin(scope, version, Ring.ALL, None, None, tenant.anna))
    with pytest.raises(Problem, match="The directory has no group"):
        tenant.run(lambda scope: rollout.roll_back(scope, version, tenant.anna))


def test_whoever_was_told_of_a_pinned_block_is_told_of_its_end(tenant: Tenant, look: Look) -> None:
    """Without any policy too, where Exchange surely lets the phone in then."""
    writer = tenant.writer
    writer.pin("block")
    writer.say()
    writer.say(wrote(ListName.BLOCK, writer.held))
    look("UPDATE notices SET state = 'sent'")
    assert look("SELECT kind FROM notice_items") == [{"kind": "blocked"}]
    tenant.settings(OPEN)
    writer.unpin()
    assert (tenant.level(0), tenant.decided(0)["announce"]) == (("leave", "policy-off"), "allowed")
    writer.say()
    writer.say(withdrew(ListName.BLOCK, writer.held))
    assert look("SELECT i.kind FROM notice_items i JOIN notices n USING (notice_id) WHERE n.state = 'waiting'") == [
        {"kind": "allowed"}
    ]


def test_nothing_waits_for_a_connection_that_is_removed(tenant: Tenant, look: Look) -> None:
    """Its holds are over, so that they neither stop a rollout elsewhere nor let something through when it is back."""
    tenant.settings(OPEN)
    look("INSERT INTO guard_settings (take) VALUES (0)")
    tenant.policy({"unmanaged": "block"})
    [hold] = held(tenant)
    tenant.run(lambda scope: removal.ask(scope, tenant.writer.organization, "force", "", tenant.anna))
    assert held(tenant) == []
    over = tenant.run(lambda scope: holds.find(scope, hold.hold_id))
    assert (over.state, over.people, over.dropped) == (HoldState.OVER, 0, 8)
