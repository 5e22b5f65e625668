"""One mailbox in simulated time: what is written, what is waited for, what is told, and what is never done."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.connector.looks import JUST_NOW
from gatepost.domain.desired import Level, ListName, Result
from gatepost.domain.devices import AccessChange
from tests.connector.hall import FAR, GRACE, MAILBOX, NEAR, WRITE_TIMEOUT, Hall, quick_folder

ALLOW, BLOCK = ListName.ALLOW, ListName.BLOCK
DAY = 86_400.0


@pytest.fixture
def make_hall() -> Iterator[Any]:
    """A maker of halls with a listing."""
    made: list[Hall] = []
    with quick_folder() as folder:

        def make(**limits: Any) -> Hall:
            hall = Hall(folder, **limits)
            hall.sync()
            made.append(hall)
            return hall

        yield make
        for hall in made:
            hall.close()


@pytest.fixture
def hall(make_hall: Any) -> Hall:
    """A hall that enforces."""
    made: Hall = make_hall()
    return made


def test_a_pin_is_written_once_and_told(hall: Hall) -> None:
    """One write, read back; nothing more however often it is looked at."""
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"written": 1}
    assert hall.directory.lists[NEAR] == {(BLOCK, "d1")}
    assert (hall.ledger.owned, hall.ledger.results) == ({(BLOCK, "d1")}, [Result.APPLIED])
    for _ in range(5):
        hall.pass_time(DAY)
        hall.sync()
        assert hall.work() == {}
    assert hall.directory.writes == [AccessChange(block=("d1",))]


def test_nothing_begins_before_the_row_is_acknowledged(hall: Hall) -> None:
    """The service must know that a write may have been made before one is."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.check_in(complete=False)
    assert hall.run() == {}
    hall.check_in(complete=False)
    assert hall.run() == {"written": 1}


def test_nothing_is_written_without_a_lease(hall: Hall) -> None:
    """With less of it left than a write takes, what is due stays due; the next answer lets it begin."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.check_in()
    hall.pass_time(61)
    assert hall.run() == {"WriteRefused": 1}
    assert hall.directory.writes == []
    hall.check_in()
    assert hall.run() == {"written": 1}


def test_a_lease_that_ends_between_plan_and_bytes_stops_the_write(hall: Hall) -> None:
    """The process was stopped in between: nothing is sent, nothing is recorded, and it is done later."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.check_in()
    hall.directory.on_read = lambda: hall.pass_time(119)
    assert hall.run() == {"WriteRefused": 1}
    assert (hall.directory.writes, hall.writes.taken(), hall.writes.in_flight(DAY)) == ([], 0, False)
    hall.directory.on_read = lambda: None
    assert hall.work() == {"written": 1}


def test_observing_reads_and_says_what_it_would_do(make_hall: Any) -> None:
    """In a day of looks nothing is written; each thing is told once."""
    hall: Hall = make_hall(mode="observe")
    hall.ledger.publish("d1", Level.BLOCK)
    hall.ledger.publish("d2", Level.LEAVE)
    for _ in range(24):
        hall.work()
        hall.pass_time(3_600)
        hall.sync()
    assert hall.directory.writes == []
    assert hall.told() == {"d1": "observed", "d2": "unchanged"}
    assert sorted(hall.ledger.results) == [Result.OBSERVED, Result.UNCHANGED]


def test_what_was_observed_is_written_once_enforcing(make_hall: Any) -> None:
    """Another mode makes everything due that was told under the one before."""
    hall: Hall = make_hall(mode="observe")
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.mode = "enforce"
    hall.restart()
    assert hall.work() == {"written": 1}


def test_outside_the_scope_nothing_is_even_read(make_hall: Any) -> None:
    """Told once as out of scope."""
    hall: Hall = make_hall(scope=("@elsewhere.example.com",))
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"out of scope": 1}
    hall.sync()
    assert hall.work() == {}
    assert (hall.directory.writes, hall.ledger.results) == ([], [Result.OUT_OF_SCOPE])


def test_the_ceiling_stops_what_takes_away_for_an_hour(make_hall: Any) -> None:
    """One block an hour: the second waits, an allow does not."""
    hall: Hall = make_hall(ceiling=1)
    for device, level in (("d1", Level.BLOCK), ("d2", Level.BLOCK), ("d3", Level.ALLOW)):
        hall.ledger.publish(device, level)
    assert hall.work() == {"written": 1}
    assert hall.directory.writes == [AccessChange(allow=("d3",), block=("d1",))]
    assert hall.told()["d2"] == "ceiling"
    for _ in range(11):
        hall.pass_time(301)
        assert "written" not in hall.work()
    hall.pass_time(301)
    assert hall.work() == {"written": 1}
    assert hall.directory.writes[1:] == [AccessChange(block=("d2",))]


def test_what_the_service_counts_holds_the_ceiling_too(make_hall: Any) -> None:
    """A lost store forgets its own writes; the service remembers what was reported."""
    hall: Hall = make_hall(ceiling=3)
    hall.lease.taken_away = 3
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"seen": 1}
    assert hall.ledger.results == [Result.CEILING]


def test_a_foreign_opposite_entry_stops_the_write(hall: Hall) -> None:
    """A conflict, told once; once its owner takes it away the pin is carried out."""
    hall.directory.edit(NEAR, (ALLOW, "d1"), there=True, doubtful=False)
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    assert (hall.directory.writes, hall.ledger.results) == ([], [Result.CONFLICT])
    hall.directory.edit(NEAR, (ALLOW, "d1"), there=False, doubtful=False)
    hall.pass_time(900)
    hall.sync()
    assert hall.work() == {"written": 1}


def test_a_withdrawn_entry_that_somebody_makes_anew_is_theirs(hall: Hall) -> None:
    """What we took off is no longer ours, whoever puts it there again."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.ledger.publish("d1", Level.LEAVE)
    assert hall.work() == {"written": 1}
    hall.pass_time(DAY)
    hall.directory.edit(NEAR, (BLOCK, "d1"), there=True, doubtful=False)
    hall.sync()
    hall.work()
    assert hall.directory.lists[NEAR] == {(BLOCK, "d1")}
    assert len(hall.directory.writes) == 2


def test_an_entry_that_was_taken_off_comes_back_after_the_grace(hall: Hall) -> None:
    """Until then it may be replication."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.pass_time(60)
    hall.directory.edit(NEAR, (BLOCK, "d1"), there=False, doubtful=False)
    hall.sync()
    assert hall.work() == {}
    hall.pass_time(GRACE)
    assert hall.work() == {"written": 1}


def undo(hall: Hall) -> None:
    """Somebody takes the entry off, as a tool does that keeps lists of its own; the next listing shows it."""
    hall.directory.edit(NEAR, (BLOCK, "d1"), there=False, doubtful=False)
    hall.sync()
    hall.work()


def test_somebody_who_undoes_everything_is_not_fought(hall: Hall) -> None:
    """Each time it takes twice as long; after three times nothing is written for a day, and a finding says so."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    for times in range(3):
        undo(hall)
        assert "entries-undone" not in hall.findings
        hall.pass_time(GRACE * 2**times)
        assert hall.work() == {"written": 1}
    undo(hall)
    assert hall.ledger.results[-1] is Result.APPLIED, "it may be replication"
    hall.pass_time(GRACE)
    hall.sync()
    hall.work()
    assert (hall.ledger.results[-1], len(hall.directory.writes)) == (Result.UNDONE, 4)
    assert "entries-undone" in hall.findings
    for _ in range(22):
        hall.pass_time(3_600)
        hall.sync()
        hall.work()
    assert len(hall.directory.writes) == 4
    hall.pass_time(2 * 3_600)
    assert hall.work() == {"written": 1}
    assert hall.ledger.results[-1] is Result.APPLIED
    undo(hall)
    hall.pass_time(GRACE)
    hall.work()
    assert (hall.ledger.results[-1], len(hall.directory.writes)) == (Result.UNDONE, 5)


def test_what_is_published_anew_is_written_though_it_was_undone_before(hall: Hall) -> None:
    """An administrator who has found the other tool need not wait for the day to end."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    for _ in range(3):
        undo(hall)
        hall.pass_time(GRACE * 4)
        hall.work()
    undo(hall)
    hall.pass_time(GRACE)
    hall.work()
    before = hall.ledger.results[-1]
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"written": 1}
    assert [before, hall.ledger.results[-1]] == [Result.UNDONE, Result.APPLIED]


@pytest.mark.parametrize("trouble", ["killed after", "lost after"])
def test_a_write_that_was_made_and_not_reported_is_recognised(hall: Hall, trouble: str) -> None:
    """Read, told as ours, and not written again."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.directory.trouble = trouble
    hall.work()
    hall.pass_time(31)
    hall.work()
    assert len(hall.directory.writes) == 1
    assert hall.ledger.owned == {(BLOCK, "d1")}
    assert hall.ledger.results[-1] is Result.APPLIED


@pytest.mark.parametrize("trouble", ["killed before", "lost before"])
def test_a_write_that_was_not_made_is_made_once_its_time_is_over(hall: Hall, trouble: str) -> None:
    """It might still have come while its time ran."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.directory.trouble = trouble
    hall.work()
    hall.pass_time(31)
    hall.work()
    assert hall.directory.writes == []
    hall.pass_time(WRITE_TIMEOUT)
    hall.work()
    assert len(hall.directory.writes) == 1


def test_another_controller_does_not_disprove_a_write(hall: Hall) -> None:
    """What was written at one may not have arrived at the other: the grace is waited for."""
    hall.directory.delay = GRACE / 2
    hall.ledger.publish("d1", Level.BLOCK)
    hall.directory.trouble = "killed after"
    hall.work()
    hall.directory.controller = FAR
    hall.pass_time(WRITE_TIMEOUT + 1)
    hall.work()
    assert len(hall.directory.writes) == 1
    hall.pass_time(GRACE)
    hall.work()
    assert (len(hall.directory.writes), hall.ledger.owned) == (1, {(BLOCK, "d1")})


def test_access_denied_is_told_and_put_off(hall: Hall) -> None:
    """One mailbox that refuses is tried after an hour, then two; not at each synchronisation."""
    hall.ledger.publish("d1", Level.BLOCK)
    for _ in range(4 * 3):
        hall.directory.trouble = "denied"
        hall.work()
        hall.pass_time(900)
        hall.sync()
    assert hall.told() == {"d1": "refused"}
    assert hall.ledger.results == [Result.REFUSED]
    hall.directory.trouble = ""
    hall.pass_time(2 * 3_600)
    hall.work()
    hall.work()
    assert hall.told() == {"d1": "applied"}


def test_a_hidden_list_is_not_written(hall: Hall) -> None:
    """What cannot be seen is refused, told once, and written when it shows."""
    hall.directory.hidden = True
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    assert (hall.directory.writes, hall.ledger.results) == ([], [Result.REFUSED])
    hall.directory.hidden = False
    hall.sync()
    assert hall.work() == {"written": 1}


def test_exchange_away_changes_nothing(hall: Hall) -> None:
    """What is due stays due, after a pause."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.directory.trouble = "away"
    assert hall.work() == {"ExchangeUnreachable": 1}
    hall.pass_time(60)
    assert hall.work() == {"written": 1}


def test_a_lost_store_costs_no_second_write(hall: Hall) -> None:
    """What stands as desired is left; the entry is still known as ours, and withdrawn in the end."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.directory.trouble = "killed after"
    hall.work()
    hall.lose_store()
    hall.work()
    assert len(hall.directory.writes) == 1
    hall.ledger.publish("d1", Level.LEAVE)
    hall.work()
    assert hall.directory.lists[NEAR] == set()


def test_a_mailbox_that_is_not_listed_is_told(hall: Hall) -> None:
    """And looked at once a listing has it."""
    hall.unlist()
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"missing": 1}
    assert hall.ledger.results == [Result.FAILED]
    hall.sync()
    assert hall.work() == {"written": 1}


def test_a_write_into_a_mailbox_that_leaves_the_listing_stays_open(hall: Hall) -> None:
    """Killed after its bytes, and not listed for a while: what it wrote is known as ours once the mailbox is back."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.directory.trouble = "killed after"
    hall.work()
    hall.unlist()
    assert hall.work() == {"missing": 1}
    hall.sync()
    hall.pass_time(3_600)
    hall.work()
    assert (hall.ledger.owned, hall.ledger.foreign) == ({(BLOCK, "d1")}, set())
    hall.ledger.publish("d1", Level.LEAVE)
    hall.work()
    assert hall.directory.lists[NEAR] == set()


def test_a_pin_that_is_removed_from_a_mailbox_out_of_reach_troubles_nobody(make_hall: Any) -> None:
    """Nothing of ours can be there: hands are off already, in a mailbox out of scope and in one that is gone."""
    hall: Hall = make_hall(scope=("other@contoso.example",))
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.ledger.publish("d1", Level.LEAVE)
    hall.work()
    assert hall.ledger.results == [Result.OUT_OF_SCOPE, Result.UNCHANGED]
    hall.unlist()
    hall.ledger.publish("d2", Level.LEAVE)
    assert hall.work() == {"missing": 1}
    assert hall.ledger.results[2:] == [Result.UNCHANGED]


def test_outcomes_of_a_mailbox_are_told_in_their_order_though_the_clock_is_put_back(hall: Hall) -> None:
    """The ledger orders by time; an older write that came later would be forgotten, and its entry stay for ever."""
    hall.unlist()
    hall.ledger.publish("d1", Level.BLOCK)
    hall.check_in()
    hall.run()
    hall.now -= 200
    hall.check_in()
    hall.restart()
    hall.sync()
    hall.check_in()
    first = hall.store.outcomes()
    hall.run()
    assert (first, [each["result"] for each in hall.store.outcomes()]) == ([], ["applied"])
    assert hall.store.outcomes()[0]["at"] > "2027-01-15T08:00:00.000000Z"


def test_what_agreed_is_compared_again_only_when_its_listed_row_or_what_was_told_changes(hall: Hall) -> None:
    """A quick synchronisation of a large organization compares what changed, and not everything each minute."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    assert list(hall.writes.uncompared()) == [MAILBOX]
    hall.sync()
    assert hall.writes.uncompared() == {}
    hall.sync()
    assert hall.writes.uncompared() == {}
    hall.directory.edit(NEAR, (BLOCK, "d1"), there=False, doubtful=False)
    hall.pass_time(DAY)
    hall.sync()
    assert hall.work() == {"written": 1}
    assert list(hall.writes.uncompared()) == [MAILBOX]


def test_a_mailbox_that_cannot_be_written_lets_the_others_go_first(hall: Hall) -> None:
    """Exchange was away as the write began: nothing was sent, and the mailbox is put off as after a failed reading."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.check_in()
    hall.directory.trouble = "away"
    assert hall.run() == {"ExchangeUnreachable": 1}
    assert (hall.writes.seconds(), hall.writes.in_flight(DAY)) == (30.0, False)
    hall.pass_time(30)
    hall.check_in()
    assert hall.run() == {"written": 1}


def test_a_new_row_does_not_hurry_what_may_be_replication(hall: Hall) -> None:
    """Within the grace only the new one is written; the other waits for its own time."""
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.directory.edit(NEAR, (BLOCK, "d1"), there=False, doubtful=False)
    hall.ledger.publish("d2", Level.ALLOW)
    hall.pass_time(60)
    assert hall.work() == {"written": 1}
    assert hall.directory.writes[1:] == [AccessChange(allow=("d2",))]
    hall.pass_time(GRACE + 60)
    assert hall.work() == {"written": 1}
    assert hall.directory.writes[2:] == [AccessChange(block=("d1",))]


def test_a_controller_that_lags_is_not_believed(hall: Hall) -> None:
    """An entry of ours that is on its way to the controller we turned to is still ours when it arrives."""
    hall.directory.delay = GRACE / 2
    hall.ledger.publish("d1", Level.BLOCK)
    hall.work()
    hall.directory.controller = FAR
    hall.ledger.publish("d1", Level.LEAVE)
    assert hall.work() == {"lagging": 1}
    hall.pass_time(GRACE)
    assert hall.work() == {"written": 1}
    hall.pass_time(GRACE)
    assert hall.directory.lists == {NEAR: set(), FAR: set()}


def test_an_entry_made_between_reading_and_writing_is_not_called_ours(hall: Hall) -> None:
    """Where Exchange had nothing to write any more, nothing is claimed."""
    hall.directory.overtaken = True
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"overtaken": 1, "seen": 1}
    assert (hall.ledger.owned, hall.ledger.results, hall.writes.taken()) == (set(), [Result.UNCHANGED], 0)


def test_an_entry_made_while_a_write_signed_in_is_not_called_ours(hall: Hall) -> None:
    """What left before the server asked for a sign-in was not carried out; when that was over, the reading was late."""

    def somebody_is_quicker() -> None:
        hall.directory.edit(NEAR, (BLOCK, "d1"), there=True, doubtful=False)
        time.sleep(JUST_NOW)

    hall.directory.on_sign_in = somebody_is_quicker
    hall.ledger.publish("d1", Level.BLOCK)
    assert hall.work() == {"overtaken": 1, "seen": 1}
    assert (hall.ledger.owned, hall.ledger.results, hall.writes.taken()) == (set(), [Result.UNCHANGED], 0)
    assert hall.directory.by_people == {(BLOCK, "d1")}
