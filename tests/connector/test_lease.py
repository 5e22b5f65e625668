"""A write may start only while the lease outlives it."""

from gatepost.connector.lease import Lease
from gatepost.domain.contract import LEASE_SECONDS


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


def test_without_a_lease_nothing_may_start() -> None:
    """A process that has heard nothing may not write."""
    assert not Lease(Clock()).may_start(1)


def test_a_write_starts_only_with_more_lease_than_it_may_take() -> None:
    """The lease ends on this side before it ends on the service's, for it counts from the request's start."""
    clock = Clock()
    lease = Lease(clock)
    asked_at = lease.now()
    clock.time += 20
    lease.renew(asked_at, 120)
    assert lease.remaining() == 100
    assert lease.may_start(99)
    assert not lease.may_start(100)
    clock.time += 200
    assert (lease.remaining(), lease.may_start(0)) == (0, False)


def test_a_successor_reads_at_once_and_writes_after_the_old_lease() -> None:
    """``write_in`` keeps writes back although the lease is held."""
    clock = Clock()
    lease = Lease(clock)
    lease.renew(lease.now(), 120, write_in=90)
    assert not lease.may_start(10)
    clock.time += 90
    assert lease.may_start(10)


def test_answers_out_of_order_do_not_shorten_a_lease() -> None:
    """A wait that was answered late says less than a check-in that was answered since."""
    clock = Clock()
    lease = Lease(clock)
    early = lease.now()
    clock.time += 50
    lease.renew(lease.now(), 120)
    lease.renew(early, 120)
    assert lease.remaining() == 120


def test_a_dropped_lease_is_gone_at_once() -> None:
    """A replaced connector writes nothing more."""
    lease = Lease(Clock())
    lease.renew(lease.now(), 120)
    lease.drop()
    assert lease.remaining() == 0


def test_a_successor_counts_its_wait_from_when_the_answer_came() -> None:
    """The old lease runs on while the answer travels: its length was measured by the service, later than we asked."""
    clock = Clock()
    lease = Lease(clock)
    asked_at = lease.now()
    clock.time += 40
    lease.renew(asked_at, 120, write_in=70)
    clock.time += 69
    assert not lease.may_start(1)
    clock.time += 1
    assert lease.may_start(9)
    assert not lease.may_start(10)


def test_an_answer_to_what_was_asked_before_the_drop_grants_nothing() -> None:
    """A held-open request that ends after another took over does not bring the lease back; a later request may."""
    clock = Clock()
    lease = Lease(clock)
    asked_at = lease.now()
    clock.time += 5
    lease.drop()
    lease.renew(asked_at, 120)
    assert lease.remaining() == 0
    clock.time += 1
    lease.renew(lease.now(), 120)
    assert lease.remaining() == 120


def test_no_answer_grants_more_than_the_contract() -> None:
    """Whatever number comes, the service and this side count with the same longest lease."""
    lease = Lease(Clock())
    lease.renew(lease.now(), 10**400)
    assert lease.remaining() == LEASE_SECONDS
