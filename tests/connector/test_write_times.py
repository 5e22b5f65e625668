"""How long a write may be under way: from when its bytes left, however long ago it was begun."""

from gatepost.domain.desired import Level, ListName
from tests.connector.hall import MAILBOX, NEAR, WRITE_TIMEOUT, Hall, quick_folder

SLOW = 50.0


def slow_write(hall: Hall, trouble: str) -> None:
    """A write whose session is slow to come, so that its bytes leave long after it was begun."""
    hall.directory.on_write = lambda: hall.pass_time(SLOW)
    hall.directory.trouble = trouble
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.directory.on_write = lambda: None


def test_a_lost_write_is_not_repeated_before_its_own_time_is_over() -> None:
    """Counted from the beginning it would be, while the first one may still be carried out."""
    with quick_folder() as folder:
        hall = Hall(folder)
        hall.sync()
        slow_write(hall, "lost before")
        hall.pass_time(WRITE_TIMEOUT - 1)
        hall.work()
        assert hall.directory.writes == []
        hall.pass_time(2)
        hall.work()
        assert hall.directory.lists[NEAR] == {(ListName.BLOCK, "d1")}
        assert len(hall.directory.writes) == 1
        hall.close()


def test_a_write_is_in_flight_for_its_whole_time_also_after_a_kill() -> None:
    """A farewell gives the lease back only when nothing can be under way, and asks this."""
    with quick_folder() as folder:
        hall = Hall(folder)
        hall.sync()
        slow_write(hall, "killed after")
        assert hall.writes.task(MAILBOX).started is not None
        hall.pass_time(WRITE_TIMEOUT - 1)
        assert hall.writes.in_flight(WRITE_TIMEOUT)
        hall.pass_time(2)
        assert not hall.writes.in_flight(WRITE_TIMEOUT)
        hall.close()


def test_a_write_that_the_permit_refuses_at_the_last_moment_leaves_no_trace() -> None:
    """The lease ran out while the session came: nothing is open, nothing counts against the ceiling."""
    with quick_folder() as folder:
        hall = Hall(folder)
        hall.sync()
        hall.directory.on_write = lambda: hall.pass_time(200)
        hall.ledger.publish("d1", Level.BLOCK)
        hall.check_in()
        assert hall.run() == {"WriteRefused": 1}
        assert hall.writes.task(MAILBOX).started is None
        assert (hall.writes.taken(), hall.directory.writes) == (0, [])
        hall.close()
