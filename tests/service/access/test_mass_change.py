"""A mass change is stopped: ten thousand phones that a policy would block wait for a second administrator."""

import time
from uuid import UUID

import pytest

from gatepost.errors import Problem
from gatepost.service.access import due, holds
from gatepost.service.access.due import Cause
from gatepost.service.access.holds import Hold, HoldState
from gatepost.service.administrators.person import Person
from tests.service.access.deciding import OPEN, Tenant
from tests.service.access_guard import Guarded
from tests.service.conftest import Look
from tests.service.writing import Writer

MANY = 10_000


@pytest.fixture
def crowded(writer: Writer, look: Look) -> Tenant:
    """Ten thousand people with a phone each, which an open Exchange lets in; anna and bert administer."""
    organization = UUID(writer.speaker.identity["organization"])
    guarded = Guarded(writer.service, organization, look)
    tenant = Tenant(writer, look, guarded.person("anna"))
    guarded.person("bert")
    tenant.settings(OPEN)
    tenant.source()
    look("UPDATE devices SET gone_at = now()")
    look(
        "INSERT INTO mailboxes (organization_id, guid, primary_smtp, kind, row_hash, allowed_ids, blocked_ids, "
        "lists_read_at, first_seen, last_seen, changed_seen_at) "
        "SELECT organization_id, gen_random_uuid(), 'crowd' || n || '@example.test', kind, row_hash, '{}', '{}', "
        "now(), now(), now(), now() FROM mailboxes, generate_series(1, %s) AS n "
        "WHERE primary_smtp = 'user0@example.test'",
        MANY,
    )
    look(
        "INSERT INTO devices (organization_id, guid, device_id, mailbox_guid, facts_id, family, device_type, os, "
        "access_state, access_state_reason, row_hash, first_seen, last_seen, changed_seen_at) "
        "SELECT m.organization_id, gen_random_uuid(), 'C' || m.primary_smtp, m.guid, d.facts_id, d.family, "
        "d.device_type, d.os, 'Allowed', 'Global', 0, now(), now(), now() FROM mailboxes m, devices d "
        "WHERE m.primary_smtp LIKE 'crowd%%' AND d.device_id = 'DEV00000'"
    )
    look("UPDATE counters SET value = %s WHERE name = 'devices'", MANY)
    look("ANALYZE devices, mailboxes")
    return tenant


def settle(tenant: Tenant) -> None:
    """Follow until nothing is due."""
    until = time.monotonic() + 60
    tenant.follow()
    while tenant.look("SELECT cause FROM decisions_due LIMIT 1"):
        assert time.monotonic() < until, "it is still being decided"
        tenant.follow()


def blocked(tenant: Tenant) -> int:
    """How many phones are published to be blocked."""
    [row] = tenant.look("SELECT count(*) AS published FROM desired WHERE level = 'block'")
    return int(row["published"])


def only_hold(tenant: Tenant) -> Hold:
    """The one hold that is open."""
    [hold] = tenant.run(lambda scope: holds.listing(scope, [HoldState.OPEN]))
    return hold


def test_a_policy_that_would_block_ten_thousand_phones_waits_for_a_second_administrator(crowded: Tenant) -> None:
    """Fifty are blocked, the others keep mail though it is decided otherwise; another administrator lets it through."""
    crowded.policy({"unmanaged": "block", "grace": {"unmanaged": 0}})
    settle(crowded)
    assert blocked(crowded) == 50
    [decided] = crowded.look("SELECT count(*) AS told FROM decisions WHERE level = 'block'")
    assert decided["told"] == MANY
    hold = only_hold(crowded)
    assert (hold.people, hold.by, hold.cause.kind) == (MANY - 50, "anna", "policy")
    some = [f"ccrowd77{number}@example.test" for number in range(100)]
    crowded.run(lambda scope: due.mark_device_ids(scope, some, Cause("sync")))
    settle(crowded)
    assert (blocked(crowded), only_hold(crowded).people) == (50, MANY - 50)
    digest = crowded.run(lambda scope: holds.digest(scope, hold.hold_id))
    with pytest.raises(Problem, match="Another administrator has to approve it"):
        crowded.run(lambda scope: holds.approve(scope, hold.hold_id, digest, crowded.anna))
    crowded.look("UPDATE devices SET managed = 'compliant' WHERE lower(device_id) = ANY(%s)", some)
    crowded.run(lambda scope: due.mark_device_ids(scope, some, Cause("source")))
    settle(crowded)
    [bert] = crowded.look("SELECT administrator_id FROM administrators WHERE name = 'bert'")
    person = Person(bert["administrator_id"], "bert")
    crowded.run(lambda scope: holds.approve(scope, hold.hold_id, digest, person))
    settle(crowded)
    assert blocked(crowded) == MANY - 100
    done = crowded.run(lambda scope: holds.find(scope, hold.hold_id))
    assert (done.state, done.people, done.released + done.dropped) == (HoldState.APPROVED, 0, MANY - 50)
    [used] = crowded.look("SELECT count(*) AS people FROM budget_uses WHERE verb = 'take'")
    assert used["people"] == 50
