"""No interleaving of events makes the connector write in a loop or touch what is not ours: hypothesis looks for one.

Pins, people, replication, restarts, lost stores, changes of controller and failures, in simulated time.
"""

from contextlib import ExitStack
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gatepost.domain.desired import Level, ListName
from tests.connector.hall import FAR, NEAR, Hall, quick_folder

DEVICES = st.sampled_from(["d1", "d2"])
LEVELS = st.sampled_from(Level)
CONTROLLERS = st.sampled_from([NEAR, FAR])
LISTS = st.sampled_from(ListName)
TROUBLES = st.sampled_from(["killed before", "killed after", "lost before", "lost after", "away", "denied"])
DAY = 86_400.0


class Story(RuleBasedStateMachine):
    """One mailbox and everybody who has to do with it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.causes = 0
        self.lost = False

    @initialize(coupled=st.booleans(), delay=st.sampled_from([0.0, 60.0, 900.0]))
    def begin(self, coupled: bool, delay: float) -> None:
        """Exchange may couple its two lists or not; replication takes no time, a minute or a quarter of an hour."""
        self.hall = Hall(self.stack.enter_context(quick_folder()), coupled=coupled)
        self.hall.directory.delay = delay
        self.hall.sync()

    @rule(device=DEVICES, level=LEVELS)
    def publish(self, device: str, level: Level) -> None:
        """An administrator of the service pins, or takes a pin away."""
        self.causes += 1
        self.hall.ledger.publish(device, level)

    @rule(controller=CONTROLLERS, which=LISTS, device=DEVICES, there=st.booleans())
    def edit(self, controller: str, which: ListName, device: str, there: bool) -> None:
        """An administrator of Exchange edits a list, at any controller."""
        self.causes += 1
        entry = (which, device)
        self.hall.directory.edit(controller, entry, there=there, doubtful=self.hall.in_doubt(entry))

    @rule()
    def check_in(self) -> None:
        """The connector speaks to the service."""
        self.hall.check_in()

    @rule(trouble=st.none() | TROUBLES)
    def run(self, trouble: str | None) -> None:
        """The connector works, and something may befall its write."""
        self.hall.directory.trouble = trouble or ""
        self.hall.run()
        self.hall.directory.trouble = ""

    @rule(device=DEVICES, level=LEVELS, trouble=st.none() | TROUBLES)
    def carry_out(self, device: str, level: Level, trouble: str | None) -> None:
        """A pin is carried out at once."""
        self.publish(device, level)
        self.hall.check_in()
        self.run(trouble)
        self.hall.check_in()

    @rule()
    def sync(self) -> None:
        """The connector lists the mailbox."""
        self.hall.sync()

    @rule(seconds=st.sampled_from([1.0, 61.0, 901.0, 1_201.0, DAY]))
    def pass_time(self, seconds: float) -> None:
        """Time passes, and changes arrive at the other controller."""
        self.hall.pass_time(seconds)

    @rule()
    def restart(self) -> None:
        """The process ends and begins."""
        self.hall.restart()

    @rule()
    def lose_store(self) -> None:
        """Somebody deletes the store."""
        self.causes += 1
        self.lost = True
        self.hall.lose_store()

    @rule(controller=CONTROLLERS)
    def turn_to(self, controller: str) -> None:
        """The connector's controller is away, and it turns to the other."""
        self.hall.directory.controller = controller

    @rule(leased=st.booleans())
    def lease(self, leased: bool) -> None:
        """The service can be reached or not: without it no lease is renewed."""
        self.hall.leased = leased

    @invariant()
    def foreign_entries_stay(self) -> None:
        """Nothing that people made was taken off by a write of ours."""
        if hasattr(self, "hall"):
            assert self.hall.directory.overruled == []

    @invariant()
    def each_write_has_a_cause(self) -> None:
        """There are never more writes than there were reasons to write."""
        if hasattr(self, "hall"):
            assert len(self.hall.directory.writes) <= self.causes

    def teardown(self) -> None:
        """Left alone, everything comes to rest: what the pins say, or a conflict that was told; then no more writes."""
        if not hasattr(self, "hall"):
            return
        hall = self.hall
        hall.leased = True
        for _ in range(5):
            self._a_day(hall)
        written = len(hall.directory.writes)
        for _ in range(2):
            self._a_day(hall)
        assert len(hall.directory.writes) == written, "it goes on writing"
        assert hall.directory.lists[NEAR] == hall.directory.lists[FAR]
        self._check_rest(hall)
        hall.close()
        self.stack.close()

    @staticmethod
    def _a_day(hall: Hall) -> None:
        hall.pass_time(DAY)
        hall.sync()
        hall.work()
        hall.pass_time(121)
        hall.work()

    def _check_rest(self, hall: Hall) -> None:
        told: dict[str, Any] = hall.told()
        standing = hall.directory.lists[NEAR]
        for device, (level, _) in hall.ledger.rows.items():
            assert told[device] in ("applied", "unchanged", "conflict"), (device, told)
            if told[device] != "conflict" and level in (Level.ALLOW, Level.BLOCK):
                assert (ListName(level.value), device) in standing
                assert (ListName(level.value).opposite, device) not in standing
            elif told[device] != "conflict" and not self.lost:
                assert not {each for each in hall.directory.by_us & standing if each[1] == device}


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=100, stateful_step_count=25)
TestStory.__doc__ = "A hundred stories of twenty-five events."
