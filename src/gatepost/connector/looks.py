"""One look at one mailbox and what follows from it: read, plan, permission, one write, read back, outcome.

A difference soon after our own write may be replication, so it counts as undone only after a grace, which doubles each
time; after three times what is undone is not written for a day. So two parties that each want it otherwise do not write
in a loop.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from gatepost.connector import host, log
from gatepost.connector.outcomes import Look, shows, steps, undoings
from gatepost.connector.permission import Permission
from gatepost.connector.places import Place, Places
from gatepost.connector.writes import Said, Started, Task, Writes
from gatepost.domain.desired import Result
from gatepost.domain.devices import AccessChange, AccessLists
from gatepost.domain.plan import Plan, Ruling, Verdict, plan
from gatepost.errors import CmdletFailed, CmdletNotGranted, ExchangeError, WireError, WriteRefused, WriteUncertain
from gatepost.exchange.transport import NotSent, Permit

DAY = 86_400.0
WEEK = 7 * DAY
FAILED_PAUSE, LONGEST_FAILED = 30.0, 3_600.0
REFUSED_PAUSE = 3_600.0
CEILING_PAUSE = 300.0
MANY_UNDOINGS = 3
JUST_NOW = 1.0
"""Seconds between asking for a reading and the bytes of the write that was planned from it, at most: an answer may have
been long on its way. A later write reads once more."""
TICK = timedelta(microseconds=1)
OF_ONE_MAILBOX = (CmdletFailed, CmdletNotGranted, WireError)


class Exchange(Protocol):
    """What a look needs of an open organization."""

    def read_access(self, mailbox_guid: str, dn: str) -> AccessLists:
        """A mailbox's two lists, from a controller of its own domain."""

    def set_access(
        self,
        mailbox_guid: str,
        dn: str,
        change: AccessChange,
        permit: Permit,
        seen: AccessLists | None = None,
        *,
        again: bool = True,
    ) -> AccessLists:
        """Change them in one write, and read them back; no write where they are not as they were ``seen``.

        Not ``again``: they are not read once more before the write.
        """


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds: ``grace`` for replication, ``write_timeout`` for the end of a write."""

    grace: float
    write_timeout: float


class _Late(NotSent):
    """The lists were not read just now any more; nothing was sent."""


class Looks:
    """Looks at mailboxes, one at a time or several in parallel. ``find`` tells a finding; ``now`` is the service's."""

    def __init__(
        self,
        writes: Writes,
        places: Places,
        permission: Permission,
        pace: Pace,
        find: Callable[[str, str, str, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._writes = writes
        self._places = places
        self._permission = permission
        self._pace = pace
        self._find = find
        self._now = now
        self._last = writes.told_at()
        self._lock = threading.Lock()

    def look(self, exchange: Exchange, mailbox: str) -> str:
        """Look at one mailbox and do what is to be done; a word for what came of it.

        What concerns this mailbox alone is told and put off. Raises WriteRefused and the ExchangeError family where it
        concerns all.
        """
        task, place = self._writes.task(mailbox), self._places.find(mailbox)
        if not task.rows and task.started is None:
            return self._end(task, (), "nothing")
        if place is None or place.dn is None:
            return self._missing(task)
        in_scope = self._permission.in_scope(place.address)
        if task.started is None and not in_scope:
            why = "the mailbox is not in this connector's scope"
            return self._end(task, self._at(task).unread(Result.OUT_OF_SCOPE, why, nothing_to_do=True), "out of scope")
        asked_at = host.monotonic()
        try:
            lists = exchange.read_access(mailbox, place.dn)
        except OF_ONE_MAILBOX as error:
            return self._failed(task, self._at(task).unread(_result(error), error.cause), _result(error), task.started)
        except ExchangeError:
            self._failed(task, (), Result.FAILED, task.started)  # the others go first when it is back
            raise
        if task.started is not None:
            return self._resolve(task, task.started, lists)
        if (until := self._may_lag(task, lists)) > self._writes.now():
            return self._end(task, (), "lagging", until)
        return self._plan(exchange, task, place, lists, asked_at)

    def patient_until(self, task: Task) -> float:
        """Until when a difference in this mailbox may be replication, or is somebody's who undoes what is written."""
        if task.written_at is None:
            return 0.0
        pause = self._pace.grace * 2.0 ** min(self._undone(task), 30)
        return self._written_at(task) + max(self._pace.grace, DAY if self._is_stopped(task) else min(pause, DAY))

    def different_until(self, task: Task) -> float:
        """When to look at a mailbox whose lists are not as told: after patience, and to say so once after a grace."""
        said = Result.UNDONE.value in task.told.values()
        if task.written_at is None or said or not self._is_stopped(task):
            return self.patient_until(task)
        return self._written_at(task) + self._pace.grace

    def _written_at(self, task: Task) -> float:
        return min(task.written_at or 0.0, self._writes.now())  # a clock that was wrong

    def _is_stopped(self, task: Task) -> bool:
        """Whether somebody undid what was written here so often that it is not written for a day."""
        return self._undone(task) >= MANY_UNDOINGS

    def _may_lag(self, task: Task, lists: AccessLists) -> float:
        """Until when the controller that was read may not have heard of our last write, made on another one.

        Such lists prove nothing of what is ours: an entry that is on its way there would be taken for somebody else's.
        """
        if task.written_at is None or None in (task.written_on, lists.controller):
            return 0.0
        return (
            0.0 if task.written_on == lists.controller else min(task.written_at, self._writes.now()) + self._pace.grace
        )

    # -- planning --------------------------------------------------------------------------------------------------

    def _plan(self, exchange: Exchange, task: Task, place: Place, lists: AccessLists, asked_at: float) -> str:
        """What the lists need, and if it is permitted, that."""
        made, due, undone = self._planned(task, lists)
        if any(ruling.verdict is Verdict.UNDONE for ruling in made.rulings):
            self._tell_undone(task, place)
        if not made.change or not self._permission.enforcing:
            return self._end(task, self._at(task).read(made.rulings, lists), "seen", due)
        self._permission.check(place.address)
        changes = [ruling for ruling in made.rulings if ruling.verdict is Verdict.CHANGE]
        others = [ruling for ruling in made.rulings if ruling.verdict is not Verdict.CHANGE]
        now = self._writes.now()
        started = Started(now, lists.controller, steps(changes), made.takes_away)
        if not self._writes.begin(task.mailbox, started, lambda: self._permission.may_take):
            self._writes.look_at(task.mailbox)  # others have used up the ceiling meanwhile
            return "overtaken"
        log.info("write begins", mailbox=task.mailbox, devices=len(changes), takes_away=made.takes_away)
        begun = replace(task, started=started, undone=undone)
        said = tuple(self._at(begun).read(others, lists))
        write = partial(exchange.set_access, task.mailbox, place.dn or "", made.change, seen=lists)
        try:
            return self._write(write, begun, started, place, changes, said, due, asked_at)
        except ExchangeError:
            self._failed(task, (), Result.FAILED)  # nothing was sent; the others go first when it is back
            raise

    def _planned(self, task: Task, lists: AccessLists) -> tuple[Plan, float | None, int]:
        """The plan, when what must wait is due, and how often somebody undid what the plan makes anew."""
        enforcing, now = self._permission.enforcing, self._writes.now()
        may_take = self._permission.may_take if enforcing else None
        made = plan(task.rows, lists, may_take=may_take)
        undone = undoings(task, made)
        if undone and enforcing and (patient_until := self.patient_until(task)) > now:
            graced = self._written_at(task) + self._pace.grace
            if self._is_stopped(task) and graced <= now:
                return plan(task.rows, lists, may_take=may_take, undone=undone), patient_until, self._undone(task)
            until = min(patient_until, max(graced, now)) if self._is_stopped(task) else patient_until
            return plan(task.rows, lists, may_take=may_take, wait=undone), until, self._undone(task)
        waits = any(ruling.verdict is Verdict.CEILING for ruling in made.rulings)
        return made, now + CEILING_PAUSE if waits else None, self._undone(task) + bool(undone)

    def _undone(self, task: Task) -> int:
        """How often somebody undid what was written here lately."""
        return task.undone if task.written_at and self._writes.now() - task.written_at < WEEK else 0

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(
        self,
        write: Callable[..., AccessLists],
        task: Task,
        started: Started,
        place: Place,
        changes: Sequence[Ruling],
        said: tuple[Said, ...],
        due: float | None,
        asked_at: float,
    ) -> str:
        """The one write, under permission to the last moment; what came of it is kept, whatever that is."""
        look, sent, permit = self._at(task), list[Started](), self._permission.permit(place.address)

        def permitted(*, again: bool = True) -> None:
            leaving = self._writes.leave(task.mailbox, started)
            permit()
            if not again and _is_late(asked_at):
                raise _Late
            sent.append(leaving)

        try:
            try:
                again = _is_late(asked_at)
                after = write(permit=partial(permitted, again=again), again=again)
            except _Late:
                sent.clear()  # what had left came before a sign-in or before a whole command: nothing was done
                after = write(permit=permitted)
        except WriteUncertain as error:
            told = (*said, *look.unwritten(changes, Result.UNCERTAIN, error.cause))
            return self._uncertain(task, told, error, sent[-1] if sent else started)
        except OF_ONE_MAILBOX as error:
            log.warning("write failed", mailbox=task.mailbox, why=str(error))
            told = (*said, *look.unwritten(changes, _result(error), str(error)))
            over = replace(sent[-1], over=True) if sent else None  # answered: the next read shows that it did nothing
            return self._failed(task, told, _result(error), over)
        except (WriteRefused, ExchangeError) as error:
            log.info("write not sent", mailbox=task.mailbox, why=str(error))
            self._writes.abandon(task.mailbox, started)
            raise
        if not sent:
            self._writes.abandon(task.mailbox, started)
            self._writes.look_at(task.mailbox)
            return "overtaken"
        return self._written(task, (*said, *look.written(changes, after)), after, due)

    def _written(self, task: Task, said: Sequence[Said], after: AccessLists, due: float | None) -> str:
        log.info("write ended", mailbox=task.mailbox, controller=after.controller)
        written_at = self._writes.now()
        if any(each.told == Result.FAILED for each in said):
            return self._failed(replace(task, written_at=written_at, written_on=after.controller), said, Result.FAILED)
        self._writes.settle(task, said, due=due, written=(written_at, after.controller), undone=task.undone)
        return "written"

    def _tell_undone(self, task: Task, place: Place) -> None:
        self._find(
            "entries-undone",
            place.address or task.mailbox,
            f"Entries of ours were taken off its lists, or put back there, {self._undone(task) + 1} times. They are "
            "not written there any more until a day after our last write.",
            "Look at who else writes the lists of this mailbox. Then pin the device, or remove its pin: what is "
            "published anew is written at once.",
        )

    def _uncertain(self, task: Task, said: Sequence[Said], error: WriteUncertain, started: Started) -> str:
        """Nobody can tell: no second write before a read has shown what became of this one."""
        log.warning("write uncertain", mailbox=task.mailbox, why=error.cause)
        now = self._writes.now()
        due = now + min(FAILED_PAUSE, self._pace.write_timeout / 2)
        written = (now, started.controller)
        self._writes.settle(task, said, due=due, written=written, undone=task.undone, started=started)
        return "uncertain"

    # -- a write that was begun --------------------------------------------------------------------------------------

    def _resolve(self, task: Task, started: Started, lists: AccessLists) -> str:
        """What became of a write that was begun, as the lists show: told, over, and the mailbox due again at once.

        What is not there may yet come: until the write's time is over, and for a grace where another controller is
        read than was written.
        """
        now, look = self._writes.now(), self._at(task)
        elsewhere = None not in (started.controller, lists.controller) and started.controller != lists.controller
        patience = self._pace.grace if elsewhere else 0.0 if started.over else self._pace.write_timeout
        left = min(patience, started.started_at + patience - now)
        if lists.allowed is None or lists.blocked is None:
            left = REFUSED_PAUSE
        elif left <= 0 or shows(started, lists):
            log.info("write resolved", mailbox=task.mailbox, done=shows(started, lists))
            said = look.resolved(started, lists)
            written = (started.started_at, started.controller)
            self._writes.settle(task, said, due=0.0, written=written, failures=task.failures)
            return "resolved"
        said_now = look.unresolved(started)
        self._writes.settle(task, said_now, due=now + max(left, 0.1), started=started, failures=task.failures)
        return "uncertain"

    # -- endings ---------------------------------------------------------------------------------------------------

    def _at(self, task: Task) -> Look:
        """A look now, later than every one before it: the ledger orders what it is told of a mailbox by time.

        The machine's clock may be put back between two looks.
        """
        with self._lock:
            self._last = max(self._now(), self._last + TICK)
            return Look(task, self._last)

    def _missing(self, task: Task) -> str:
        """The listing has no such mailbox. A write that was begun there stays open, and is read when it is back."""
        said = self._at(task).unread(Result.FAILED, "it is not in the last listing", nothing_to_do=True)
        due = self._writes.now() + REFUSED_PAUSE if task.started else None
        self._writes.settle(task, said, due=due, started=task.started)
        return "missing"

    def _end(self, task: Task, said: Iterable[Said], word: str, due: float | None = None) -> str:
        self._writes.settle(task, said, due=due)
        return word

    def _failed(self, task: Task, said: Iterable[Said], result: Result, started: Started | None = None) -> str:
        """Told, and put off for longer each time."""
        doubled = 2.0 ** min(task.failures, 12)
        pause = (
            min(REFUSED_PAUSE * doubled, DAY)
            if result is Result.REFUSED
            else min(FAILED_PAUSE * doubled, LONGEST_FAILED)
        )
        due = self._writes.now() + pause
        self._writes.settle(task, said, due=due, undone=task.undone, failures=task.failures + 1, started=started)
        return result.value


def _is_late(asked_at: float) -> bool:
    """Whether a reading that was asked for then is not one of just now any more."""
    return host.monotonic() - asked_at > JUST_NOW


def _result(error: Exception) -> Result:
    """Refused where the account may not; anything else failed, and may be gone the next time."""
    denied = isinstance(error, CmdletNotGranted) or (isinstance(error, CmdletFailed) and error.access_denied)
    return Result.REFUSED if denied else Result.FAILED
