"""Which version holds for whom."""

from uuid import UUID, uuid4

import pytest

from gatepost.domain.policies import Policy
from gatepost.service.policies.rings import OFF, InForce, Ring, bucket

NEW, OLD = Policy(enabled=True, by_person=False), Policy(enabled=True)


def test_a_ring_holds_its_share_and_every_narrower_ring() -> None:
    """Of 20,000 mailboxes about 1 % and 10 % are in the rings, and whoever is in one is in all that follow."""
    guids = [uuid4() for _ in range(20_000)]
    inside = {ring: {guid for guid in guids if bucket(guid) < ring.buckets} for ring in Ring}
    assert not inside[Ring.PILOT]
    assert 120 < len(inside[Ring.ONE]) < 290
    assert 1_750 < len(inside[Ring.TEN]) < 2_260
    assert inside[Ring.ONE] < inside[Ring.TEN] < inside[Ring.ALL] == set(guids)


def test_a_mailbox_keeps_its_place() -> None:
    """The place is computed from the guid in the way that is written down, so that it never moves."""
    assert bucket(UUID("00000000-0000-0000-0000-000000000001")) == 4_862
    assert bucket(UUID("6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11")) == 4_313


@pytest.mark.parametrize("ring", [Ring.PILOT, Ring.ONE, Ring.TEN])
def test_the_pilot_group_is_in_every_ring(ring: Ring) -> None:
    """Its people get the new version, everybody else outside of the ring the base; people unknown are no pilots."""
    outside = next(guid for guid in iter(uuid4, None) if bucket(guid) >= 1_000)
    force = InForce(2, 1, ring, "pilots", {1: OLD, 2: NEW})
    assert force.policy_for(outside, frozenset({"pilots", "others"})) == (NEW, 2)
    assert force.policy_for(outside, frozenset({"others"})) == (OLD, 1)
    assert force.policy_for(outside, None) == (OLD, 1)


def test_where_no_version_holds_nothing_is_decided() -> None:
    """Before any rollout, and outside of the first one's ring, there is a policy that is off."""
    outside = next(guid for guid in iter(uuid4, None) if bucket(guid) >= 100)
    assert InForce().policy_for(outside, frozenset()) == (OFF, None)
    assert InForce(1, None, Ring.ONE, None, {1: NEW}).policy_for(outside, None) == (OFF, None)
    assert not OFF.enabled


def test_rings_follow_each_other() -> None:
    """From the pilot group to everybody, and no further."""
    assert [ring.wider for ring in Ring] == [Ring.ONE, Ring.TEN, Ring.ALL, None]
