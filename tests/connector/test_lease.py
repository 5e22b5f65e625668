"""A write may start only while the lease outlives it."""

from gatepost.connector.lease import Lease


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
