"""What to write into one mailbox's lists: the desired rows against the lists as just read.

Pure: replayed with the same values it says the same, and once its change is made it finds nothing left to do. Its laws:

1. Ids are compared without regard to case, as Active Directory compares the values of the two lists; an entry is taken
   off in the spelling in which it stands there. Where several spellings of one id stand in one list, nobody can tell
   which is whose, and nothing of it is touched.
2. Only *ours* is taken off: entries that the service's ledger calls ours, or that a write of ours may have made.
3. Nothing is added to one list while the other holds an entry for that id that is not ours: a conflict.
4. A list that the endpoint does not show is not empty: then nothing is written.
5. Entries of ids without a row are not touched, and quarantine, which is no list, is never turned into one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gatepost.domain.desired import Desired, Entry, Level, ListName, Presence
from gatepost.domain.devices import AccessChange, AccessLists


class Verdict(StrEnum):
    """What the plan says of one row."""

    UNCHANGED = "unchanged"
    CHANGE = "change"
    CONFLICT = "conflict"
    HIDDEN = "hidden"
    WAIT = "wait"
    CEILING = "ceiling"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on one row. ``present`` maps each list to the spellings of the id that stand in it, as read."""

    row: Desired
    verdict: Verdict
    present: Mapping[ListName, tuple[str, ...]] = field(default_factory=dict)
    add: frozenset[ListName] = frozenset()
    remove: frozenset[ListName] = frozenset()
    why: str = ""

    @property
    def before(self) -> Presence:
        """Whether the id stands in each list, as read."""
        return presence(self.present)

    @property
    def takes_away(self) -> bool:
        """Whether the change of this row takes access away: a block is added, or an allow entry withdrawn."""
        return ListName.BLOCK in self.add or ListName.ALLOW in self.remove


@dataclass(frozen=True, slots=True)
class Plan:
    """One change for the mailbox (false where there is none), and what is said of each row."""

    change: AccessChange
    rulings: tuple[Ruling, ...]

    @property
    def takes_away(self) -> int:
        """How many devices the change takes access from."""
        return sum(ruling.verdict is Verdict.CHANGE and ruling.takes_away for ruling in self.rulings)


def plan(
    rows: Iterable[Desired],
    lists: AccessLists,
    *,
    may_take: int | None = None,
    wait: Collection[str] = (),
    undone: Collection[str] = (),
) -> Plan:
    """The change that makes one mailbox's lists what the rows say, as far as the laws allow.

    ``may_take`` is from how many devices access may still be taken (None: no limit), older revisions first. Rows whose
    folded id is in ``wait`` or in ``undone`` are looked at and not changed, for now or because somebody else would undo
    it again.
    """
    groups: dict[str, list[Desired]] = defaultdict(list)
    for row in rows:
        groups[fold(row.device_id)].append(row)
    rulings: list[Ruling] = []
    left = may_take
    for folded, group in sorted(groups.items(), key=lambda item: (min(row.revision for row in item[1]), item[0])):
        ruling = _rule(group, lists)
        if ruling.verdict is Verdict.CHANGE and folded in wait:
            ruling = _instead(ruling, Verdict.WAIT, "our last write is too recent to call this more than replication")
        elif ruling.verdict is Verdict.CHANGE and folded in undone:
            ruling = _instead(ruling, Verdict.UNDONE, "somebody else undid it again and again")
        elif ruling.verdict is Verdict.CHANGE and ruling.takes_away and left is not None:
            if left < 1:
                ruling = _instead(ruling, Verdict.CEILING, "the ceiling of writes that take access away is reached")
            left = max(0, left - 1)
        rulings.append(ruling)
        rulings.extend(_beside(ruling, row) for row in group if row is not ruling.row)
    return Plan(_change(rulings), tuple(rulings))


def present(device_id: str, lists: AccessLists) -> dict[ListName, tuple[str, ...]]:
    """The spellings of an id that stand in each list; a list that is not shown is left out."""
    folded = fold(device_id)
    shown = {ListName.ALLOW: lists.allowed, ListName.BLOCK: lists.blocked}
    return {name: tuple(each for each in ids if fold(each) == folded) for name, ids in shown.items() if ids is not None}


def presence(standing: Mapping[ListName, Collection[str]]) -> Presence:
    """The same as an outcome tells it."""
    return Presence(*(bool(standing[name]) if name in standing else None for name in ListName))


def fold(device_id: str) -> str:
    """An id as it is compared."""
    return device_id.lower()


def ours(row: Desired) -> frozenset[ListName]:
    """The lists in which an entry of this id is ours: by the ledger, or by a write that nobody reported."""
    return frozenset((*row.owned, *row.tried))


# -- one id ------------------------------------------------------------------------------------------------------------


def _rule(group: Sequence[Desired], lists: AccessLists) -> Ruling:
    """The verdict on one id, for the newest of its rows that wants an entry."""
    row = max(group, key=lambda each: (each.entry is not Entry.NONE, each.revision, each.device_id))
    wanted = None if row.entry is Entry.NONE else ListName(row.entry)
    standing = present(row.device_id, lists)
    if len(standing) < len(ListName):
        return Ruling(row, Verdict.HIDDEN, standing, why="the endpoint does not show both lists")
    mine = frozenset[ListName]().union(*map(ours, group))
    foreign = {name for name in ListName if standing[name] and name not in mine}
    if why := _conflict(group, row, wanted, standing, foreign):
        return Ruling(row, Verdict.CONFLICT, standing, why=why)
    add = frozenset({wanted} if wanted is not None and not standing[wanted] else ())
    remove = frozenset(name for name in ListName if standing[name] and name in mine and name is not wanted)
    return Ruling(row, Verdict.CHANGE if add or remove else Verdict.UNCHANGED, standing, add, remove)


def _conflict(
    group: Sequence[Desired],
    row: Desired,
    wanted: ListName | None,
    standing: Mapping[ListName, tuple[str, ...]],
    foreign: Collection[ListName],
) -> str:
    """Why nothing may be written for an id, '' where it may."""
    if wanted is not None and wanted.value != row.level.value:
        return f"an entry in the {wanted} list does not make the level {row.level}"
    if len({each.entry for each in group} - {Entry.NONE}) > 1:
        return "two rows that differ only in the case of the id want opposite entries"
    if any(len(spellings) > 1 for spellings in standing.values()):
        return "the id stands in one list in several spellings"
    if wanted is not None and wanted.opposite in foreign:
        return f"the {wanted.opposite} list has an entry that is not ours"
    if row.level is Level.QUARANTINE and foreign:
        return f"an entry that is not ours decides, in the {' and the '.join(sorted(foreign))} list"
    return ""


def _instead(ruling: Ruling, verdict: Verdict, why: str) -> Ruling:
    """The ruling on a change that is not to be made."""
    return Ruling(ruling.row, verdict, ruling.present, ruling.add, ruling.remove, why)


def _beside(ruling: Ruling, row: Desired) -> Ruling:
    """The ruling on an older row of the same id: it adds nothing of its own to the change."""
    verdict = Verdict.UNCHANGED if ruling.verdict is Verdict.CHANGE else ruling.verdict
    return Ruling(row, verdict, ruling.present, why=ruling.why)


def _change(rulings: Iterable[Ruling]) -> AccessChange:
    made = [ruling for ruling in rulings if ruling.verdict is Verdict.CHANGE]

    def added(name: ListName) -> tuple[str, ...]:
        return tuple(ruling.row.device_id for ruling in made if name in ruling.add)

    def removed(name: ListName) -> tuple[str, ...]:
        return tuple(spelling for ruling in made if name in ruling.remove for spelling in ruling.present[name])

    return AccessChange(
        allow=added(ListName.ALLOW),
        disallow=removed(ListName.ALLOW),
        block=added(ListName.BLOCK),
        unblock=removed(ListName.BLOCK),
    )
