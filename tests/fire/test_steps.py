"""Killed around every commit between a report and the mail about it, the service does all of it once.

The steps are those of one decision's life: marking what is due, deciding, holding, approving, publishing, taking in
what the connector tells, announcing, giving the mail. Whoever asked and got no answer asks again, as scripts do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import pytest

from gatepost.domain.desired import ListName
from gatepost.errors import Problem
from gatepost.service.database import Scope
from tests.fire.model import DAY
from tests.fire.office import House
from tests.fire.story import Fire

PHONE = "d1"
COUNTED = (
    "service:level:published",
    "service:hold:opened",
    "console:hold:approved",
    "connector:entry:written",
    "connector:entry:withdrawn",
    "connector:notice:sent",
)
DOWN = {**dict.fromkeys(COUNTED, 1), "connector:notice:sent": 1}
UP = {**DOWN, "service:hold:opened": 0, "console:hold:approved": 0}


class Steps:
    """One phone that stops to comply and complies again; the service is killed at the n-th moment of each step."""

    def __init__(self, house: House) -> None:
        self.fire = Fire.within(house)()
        self.fire.begin(False, 0.0)
        self.site, self.office = self.fire.site, self.fire.office
        self.at = 0
        self.struck: set[str] = set()

    def close(self) -> None:
        """End it."""
        self.site.close()
        self.fire.stack.close()

    def down(self) -> None:
        """It stops to comply: that is held, approved, published, applied, and its person told."""
        self.fire.budget(0, 100)
        self._report("noncompliant")
        self._step("deciding and holding", self.office.follow)
        assert self.office.decided()[PHONE] == ("block", "noncompliant")
        assert (self.office.published()[PHONE], self.office.held()) == ("allow", {PHONE})
        [hold_id] = self.fire.holds("open")
        self._step("approving", lambda: self._approve(hold_id))
        self._step("publishing", self.office.follow)
        assert (self.office.published()[PHONE], self.office.held()) == ("block", set())
        self._apply(ListName.BLOCK)

    def up(self) -> None:
        """It complies again: that is published, applied, and its person told."""
        self._report("compliant")
        self._step("deciding and publishing", self.office.follow)
        assert (self.office.decided()[PHONE], self.office.published()[PHONE]) == (("allow", "compliant"), "allow")
        self._apply(ListName.ALLOW)

    def _step(self, name: str, act: Callable[[], None]) -> None:
        """Do it, killed on the way; then whoever asked asks again."""
        with self.office.killed(self.at) as fate:
            act()
        if fate.struck:
            self.struck.add(f"{name} {self.at}")
            act()

    def _report(self, state: str) -> None:
        rows = [self.fire.record(PHONE, state, self.site.now)]
        self._step("marking", lambda: self.fire.tell("one", rows))

    def _approve(self, hold_id: UUID) -> None:
        async def approved(scope: Scope) -> None:
            await self.fire.say(scope, hold_id, approved=True)

        with suppress(Problem):  # who got no answer the first time is told that it is approved
            self.office.act(approved)

    def _apply(self, name: ListName) -> None:
        """The connector hears, writes, tells and sends; the service is killed as it takes that in and answers."""
        self._speak("telling")
        self.site.run()
        assert (name, PHONE) in self.site.directory.by_us
        self._speak("ingesting and announcing")
        self.site.check_in(complete=False)
        self._mail()
        self._speak("ending")

    def _speak(self, name: str) -> None:
        self.site.check_in(complete=False, killed=self.at)
        if self.site.struck:
            self.struck.add(f"{name} {self.at}")
            self.site.check_in(complete=False)
        self.site.check_in(complete=False)

    def _mail(self) -> None:
        with self.office.killed(self.at) as fate:
            self.site.mail()
        if fate.struck:
            self.struck.add(f"claiming {self.at}")
            self.site.mailing.hear(())
            for _ in range(2):  # it is named as one to be looked for, is not found, and a minute later claimed again
                self.site.pass_time(301)
                self.site.check_in(complete=False)
                self.site.mail()
                self.site.check_in(complete=False)

    def counted(self) -> dict[str, int]:
        """How often each of these happened so far."""
        rows = self.office.look("SELECT name, count(*) AS n FROM events WHERE name = ANY(%s) GROUP BY name", [*COUNTED])
        return {name: next((row["n"] for row in rows if row["name"] == name), 0) for name in COUNTED}

    def once(self, act: Callable[[], None], expected: dict[str, int]) -> None:
        """It happens, and each of its events once."""
        before, sent = self.counted(), sum(self.site.post.sent.values())
        act()
        after = self.counted()
        assert {name: after[name] - before[name] for name in COUNTED} == expected, (self.at, self.struck)
        assert sum(self.site.post.sent.values()) == sent + 1
        assert set(self.site.post.sent.values()) == {1}
        assert self.office.due() == 0


@contextmanager
def steps(house: House) -> Iterator[Steps]:
    """A story told from its beginning to its end."""
    made = Steps(house)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timeout(120)
def test_killed_around_every_commit_everything_is_done_once(built: House) -> None:
    """From marking to announcing: one publication, one hold, one write, one mail, whenever it is killed."""
    with steps(built) as told:
        while told.at == 0 or any(name.endswith(f" {told.at - 1}") for name in told.struck):
            told.site.pass_time(DAY)
            told.fire.whole_list()
            told.fire.tell("two", told.fire.fillers("noncompliant"))
            told.once(told.down, DOWN)
            told.once(told.up, UP)
            told.at += 1
        names = {name.rpartition(" ")[0] for name in told.struck}
        assert names >= {"marking", "deciding and holding", "approving", "publishing", "deciding and publishing"}
        assert names >= {"telling", "ingesting and announcing", "claiming", "ending"}
        assert all(f"{name} 1" in told.struck for name in names), "before a commit, and after one"
