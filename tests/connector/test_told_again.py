"""A row that the service tells once more, or tells late, is what was worked on already."""

import pytest

from gatepost.domain.contract import Answer
from gatepost.domain.desired import Level, ListName
from tests.connector.hall import HISTORY, MAILBOX, NEAR, Hall, quick_folder


@pytest.mark.parametrize("late", [True, False])
def test_a_row_that_is_not_newer_changes_nothing(late: bool) -> None:
    """The newer one stays as it was told of, and the entry that was written as it stands."""
    with quick_folder() as folder:
        hall = Hall(folder)
        hall.sync()
        hall.ledger.publish("d1", Level.ALLOW)
        first = hall.ledger.desired(0)
        hall.work()
        hall.ledger.publish("d1", Level.BLOCK)
        hall.work()
        again = first if late else hall.ledger.desired(0)
        held = hall.writes.task(MAILBOX).rows, hall.told()
        answer = Answer(99, "", HISTORY, revision_from=1, revision=hall.ledger.revision, desired=again)
        hall.store.settle(99, answer)
        assert (hall.writes.task(MAILBOX).rows, hall.told()) == held
        hall.run()
        assert hall.directory.lists[NEAR] == {(ListName.BLOCK, "d1")}
        assert len(hall.directory.writes) == 2
        hall.close()
