"""What is said of each row after a look at its mailbox: what is ours now, and the outcome where that is news.

Pure. An outcome is made once for each change of result under a revision; a write of ours that was read back is always
told, since the service's ledger is made of those.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gatepost.connector.writes import Said, Started, Step, Task, known
from gatepost.domain.desired import Desired, Entry, ListName, Outcome, Presence, Result
from gatepost.domain.devices import AccessLists
from gatepost.domain.plan import Plan, Ruling, Verdict, fold, ours, presence, present

IN_PLACE = (Result.APPLIED.value, Result.UNCHANGED.value)
STOOD = (*IN_PLACE, Result.UNDONE.value)
"""What was told of entries that stood as desired, and may have been undone since."""
RESULTS = {
    Verdict.UNCHANGED: Result.UNCHANGED,
    Verdict.CONFLICT: Result.CONFLICT,
    Verdict.HIDDEN: Result.REFUSED,
    Verdict.CEILING: Result.CEILING,
    Verdict.UNDONE: Result.UNDONE,
    Verdict.CHANGE: Result.OBSERVED,
}


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a mailbox: what was known before it, and when it was made, on the service's clock."""

    task: Task
    at: datetime

    # -- without a write -------------------------------------------------------------------------------------------

    def unread(self, result: Result, why: str, *, nothing_to_do: bool = False) -> list[Said]:
        """All rows, where the lists were not read.

        With ``nothing_to_do`` rows that want no entry, and of which none can be ours, are as desired whatever stands
        there.
        """
        idle = [row for row in self.task.rows if nothing_to_do and row.entry is Entry.NONE and not ours(row)]
        return [
            self._say(row, Result.UNCHANGED) if row in idle else self._say(row, result, why=why)
            for row in self.task.rows
        ]

    def unresolved(self, started: Started) -> list[Said]:
        """The rows of a write that was begun, while nobody can tell what it did."""
        begun = {(step.device_id, step.revision) for step in started.steps}
        rows = [row for row in self.task.rows if (row.device_id, row.revision) in begun]
        return [self._say(row, Result.UNCERTAIN, why="a write was begun, and its end is not known") for row in rows]

    def read(self, rulings: Iterable[Ruling], lists: AccessLists) -> Iterator[Said]:
        """Rows whose lists were read and not written: as planned, as observed, or why not."""
        for ruling in rulings:
            row = ruling.row
            if ruling.verdict is Verdict.WAIT:
                yield Said(row, self.task.told.get(row.device_id))
                continue
            standing = ruling.before
            if None not in (standing.allow, standing.block):
                row = known(row, (name for name in ours(row) if standing.of(name)))
            result = RESULTS[ruling.verdict]
            yield self._say(row, result, standing, standing, controller=lists.controller, why=ruling.why)

    # -- with one --------------------------------------------------------------------------------------------------

    def written(self, rulings: Iterable[Ruling], after: AccessLists) -> Iterator[Said]:
        """Rows that a write was for, as read back."""
        for ruling in rulings:
            added, removed = effect(ruling.before, ruling.add, ruling.remove, after, ruling.row.device_id)
            now = presence(present(ruling.row.device_id, after))
            row = known(ruling.row, (name for name in {*ours(ruling.row), *added} if now.of(name)))
            result = Result.APPLIED if added or removed else Result.FAILED
            why = "" if added or removed else "Exchange took the write, and its lists do not show it"
            yield self._say(
                row,
                result,
                ruling.before,
                now,
                added=added,
                removed=removed,
                controller=after.controller,
                why=why,
            )

    def unwritten(self, rulings: Iterable[Ruling], result: Result, why: str) -> Iterator[Said]:
        """Rows that a write was for that failed, or whose end nobody can tell."""
        return (self._say(ruling.row, result, ruling.before, why=why) for ruling in rulings)

    def resolved(self, started: Started, lists: AccessLists) -> Iterator[Said]:
        """What an interrupted write did, as its ids stand in the lists now; nothing is told where it did nothing."""
        rows = {row.device_id: row for row in self.task.rows}
        for step in started.steps:
            added, removed = effect(step.before, step.add, step.remove, lists, step.device_id)
            row, now = rows.get(step.device_id), presence(present(step.device_id, lists))
            if row is not None:
                row = known(row, (name for name in {*ours(row), *added} if now.of(name)))
            if not added and not removed:
                yield Said(row, self.task.told.get(step.device_id))
                continue
            same = row is not None and row.revision == step.revision
            told = Result.APPLIED.value if same else self.task.told.get(step.device_id)
            why = "a write was interrupted; reading showed what it did"
            yield Said(
                row, told, self._outcome(step, Result.APPLIED, step.before, now, added, removed, lists.controller, why)
            )

    # -- saying ----------------------------------------------------------------------------------------------------

    def _say(
        self,
        row: Desired,
        result: Result,
        before: Presence | None = None,
        after: Presence | None = None,
        *,
        added: tuple[ListName, ...] = (),
        removed: tuple[ListName, ...] = (),
        controller: str | None = None,
        why: str = "",
    ) -> Said:
        """What is said of a row; nothing new where the same was told before."""
        told = self.task.told.get(row.device_id)
        if result is not Result.APPLIED and (told == result or (told in IN_PLACE and result.value in IN_PLACE)):
            return Said(row, told)
        return Said(row, result.value, self._outcome(row, result, before, after, added, removed, controller, why))

    def _outcome(
        self,
        of: Desired | Step,
        result: Result,
        before: Presence | None,
        after: Presence | None,
        added: tuple[ListName, ...],
        removed: tuple[ListName, ...],
        controller: str | None,
        why: str,
    ) -> Outcome:
        return Outcome(
            outcome_id=str(uuid.uuid4()),
            mailbox=self.task.mailbox,
            device_id=of.device_id,
            revision=of.revision,
            result=result,
            at=self.at,
            before=before,
            after=after,
            added=added,
            removed=removed,
            controller=controller,
            why=why,
        )


def effect(
    before: Presence, add: Iterable[ListName], remove: Iterable[ListName], lists: AccessLists, device_id: str
) -> tuple[tuple[ListName, ...], tuple[ListName, ...]]:
    """What of a write the lists show: entries that are there now and were not before, and the other way round."""
    now = presence(present(device_id, lists))
    added = tuple(sorted(name for name in add if now.of(name) and before.of(name) is False))
    removed = tuple(sorted(name for name in remove if now.of(name) is False and before.of(name)))
    return added, removed


def shows(started: Started, lists: AccessLists) -> bool:
    """Whether the lists show all that a write was to do."""
    for step in started.steps:
        now = presence(present(step.device_id, lists))
        if not all(now.of(name) for name in step.add) or any(now.of(name) is not False for name in step.remove):
            return False
    return True


def steps(rulings: Iterable[Ruling]) -> tuple[Step, ...]:
    """The steps of a write, to be recorded before it begins."""
    return tuple(
        Step(each.row.device_id, each.row.revision, each.before, tuple(sorted(each.add)), tuple(sorted(each.remove)))
        for each in rulings
    )


def undoings(task: Task, made: Plan) -> frozenset[str]:
    """The folded ids whose entries stood as desired under this revision, and do not any more."""
    return frozenset(
        fold(ruling.row.device_id)
        for ruling in made.rulings
        if ruling.verdict is Verdict.CHANGE and task.told.get(ruling.row.device_id) in STOOD
    )


def is_news(task: Task, made: Plan, results: Mapping[Verdict, Result] = RESULTS) -> bool:
    """Whether lists that give this plan are other than what was told: somebody should look."""
    for ruling in made.rulings:
        told, result = task.told.get(ruling.row.device_id), results[ruling.verdict].value
        if told != result and not (told in IN_PLACE and result in IN_PLACE):
            return True
    return False
