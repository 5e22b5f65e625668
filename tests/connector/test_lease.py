"""A write may start only while the lease outlives it."""

from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_a_lease_that_was_given_back_ends_the_wait() -> None:
    """What the service says last of the old lease counts: it may have been given back; a wait says nothing of it."""
    clock = Clock()
    lease = Lease(clock)
    early = lease.now()
    clock.time += 1
    lease.renew(lease.now(), 120, write_in=90)
    assert lease.waits()
    clock.time += 5
    lease.renew(lease.now(), 120)
    assert not lease.may_start(10)
    lease.renew(lease.now(), 120, write_in=0)
    assert (lease.waits(), lease.may_start(10)) == (False, True)
    lease.renew(early, 120, write_in=90)
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


Asked = tuple[int, int, int]
"""When a request is sent, how long it travels, and its answer, in seconds."""
REQUESTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6)


@settings(max_examples=200)
@given(old=REQUESTS, new=REQUESTS, enrolled_at=st.integers(0, 40))
def test_leases_of_two_connectors_never_overlap(old: list[Asked], new: list[Asked], enrolled_at: int) -> None:
    """Whenever the second one is enrolled, and however late requests and answers arrive, one may write at a time.

    The service's side is what docs/protocol.md says: it answers the old one until the enrolment, and tells the new one
    for how many seconds the last lease that it granted the old one runs.
    """
    clock = Clock()
    first, second = Lease(clock), Lease(clock)
    granted_until = 0.0
    for moment in range(250):
        clock.time = float(moment)
        for asked_at, out, _ in old:
            if asked_at + out == moment < enrolled_at:
                granted_until = moment + LEASE_SECONDS
        for asked_at, out, back in old:
            if asked_at + out + back == moment and asked_at + out < enrolled_at:
                first.renew(asked_at, LEASE_SECONDS)
        for asked_at, out, back in new:
            answered_at = asked_at + out
            if answered_at + back == moment and asked_at >= enrolled_at:
                second.renew(asked_at, LEASE_SECONDS, max(0.0, granted_until - answered_at))
        assert not (first.may_start(0) and second.may_start(0)), f"both may write at {moment}"
