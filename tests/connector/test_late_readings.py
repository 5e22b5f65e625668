"""A write is planned from what was read just now: an answer that was long on its way is asked for once more."""

import time

from gatepost.connector.looks import JUST_NOW
from gatepost.domain.desired import Level, ListName, Result
from gatepost.domain.devices import AccessLists
from tests.connector.hall import NEAR, Directory, Hall, quick_folder


class Slow(Directory):
    """Exchange, whose first answer is on its way while an administrator puts the phone on the other list."""

    def read_access(self, mailbox_guid: str, dn: str) -> AccessLists:
        """The lists as they were when they were read."""
        lists = super().read_access(mailbox_guid, dn)
        if not self.by_people:
            self.edit(NEAR, (ListName.ALLOW, "d1"), there=True, doubtful=False)
            time.sleep(JUST_NOW)
        return lists


def test_what_somebody_wrote_while_the_lists_were_on_their_way_is_seen() -> None:
    """Nothing is written beside it: a conflict, as if it had been there before."""
    with quick_folder() as folder:
        hall = Hall(folder)
        hall.directory = Slow(lambda: hall.now)
        hall.sync()
        hall.ledger.publish("d1", Level.BLOCK)
        assert hall.work() == {"overtaken": 1, "seen": 1}
        assert (hall.directory.writes, hall.ledger.results) == ([], [Result.CONFLICT])
        assert hall.directory.lists[NEAR] == hall.directory.by_people == {(ListName.ALLOW, "d1")}
        hall.close()
