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
from typing import Any, TypeVar

from gatepost.domain.contract import ContractError
from gatepost.domain.devices import AccessChange, AccessLists

E = TypeVar("E", bound=StrEnum)

LONGEST_ID = 4_000
LARGEST = 2**63 - 1


class Level(StrEnum):
    """The levels of a decision; leave means hands off."""

    LEAVE = "leave"
    ALLOW = "allow"
    QUARANTINE = "quarantine"
    BLOCK = "block"


class List(StrEnum):
    """A mailbox's two lists."""

    ALLOW = "allow"
    BLOCK = "block"

    @property
    def other(self) -> "List":
        """The opposite list."""
        return List.BLOCK if self is List.ALLOW else List.ALLOW


@dataclass(frozen=True, slots=True)
class Desired:
    """One desired row: in which list this id shall have an entry of ours, None for neither.

    ``ours`` are the lists in which an entry of this id is ours: by the ledger, or because a write of ours may have made
    it and nobody reported that.
    """

    device_id: str
    entry: List | None
    revision: int = 0
    level: Level = Level.LEAVE
    ours: frozenset[List] = frozenset()


class Verdict(StrEnum):
    """What the plan says of one row."""

    UNCHANGED = "unchanged"
    CHANGE = "change"
    CONFLICT = "conflict"
    HIDDEN = "hidden"
    WAIT = "wait"
    CEILING = "ceiling"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on one row. ``present`` maps each list to the spellings of the id that stand in it, as read."""

    row: Desired
    verdict: Verdict
    present: Mapping[List, tuple[str, ...]] = field(default_factory=dict)
    add: frozenset[List] = frozenset()
    remove: frozenset[List] = frozenset()
    why: str = ""

    @property
    def takes_away(self) -> bool:
        """Whether the change of this row takes access away: a block is added, or an allow entry withdrawn."""
        return List.BLOCK in self.add or List.ALLOW in self.remove


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
) -> Plan:
    """The change that makes one mailbox's lists what the rows say, as far as the laws allow.

    ``may_take`` is from how many devices access may still be taken (None: no limit), older revisions first. Rows whose
    folded id is in ``wait`` are looked at and not changed.
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
        elif ruling.verdict is Verdict.CHANGE and ruling.takes_away and left is not None:
            if left < 1:
                ruling = _instead(ruling, Verdict.CEILING, "the ceiling of writes that take access away is reached")
            left = max(0, left - 1)
        rulings.append(ruling)
        rulings.extend(_beside(ruling, row) for row in group if row is not ruling.row)
    return Plan(_change(rulings), tuple(rulings))


def present(device_id: str, lists: AccessLists) -> dict[List, tuple[str, ...]]:
    """The spellings of an id that stand in each list; a list that is not shown is left out."""
    folded = fold(device_id)
    shown = {List.ALLOW: lists.allowed, List.BLOCK: lists.blocked}
    return {name: tuple(each for each in ids if fold(each) == folded) for name, ids in shown.items() if ids is not None}


def fold(device_id: str) -> str:
    """An id as it is compared."""
    return device_id.lower()


def read_desired(raw: Mapping[str, Any]) -> Desired:
    """A row of an answer. Raises ContractError that names the field."""
    device_id = raw.get("device_id")
    if not isinstance(device_id, str) or not 0 < len(device_id) <= LONGEST_ID or not device_id.isprintable():
        raise ContractError("desired.device_id", "expected an id")
    revision = raw.get("revision")
    if not isinstance(revision, int) or isinstance(revision, bool) or not 0 <= revision <= LARGEST:
        raise ContractError("desired.revision", "expected a whole number from 0")
    level = _one_of(Level, raw.get("level"), "desired.level")
    entry = None if raw.get("entry") == "none" else _one_of(List, raw.get("entry"), "desired.entry")
    if entry is not None and entry.value != level.value:
        raise ContractError("desired.entry", f"an entry in the {entry} list does not make the level {level}")
    return Desired(device_id, entry, revision, level, _lists(raw, "owned") | _lists(raw, "tried"))


# -- one id ------------------------------------------------------------------------------------------------------------


def _rule(group: Sequence[Desired], lists: AccessLists) -> Ruling:
    """The verdict on one id, for the newest of its rows."""
    row = max(group, key=lambda each: (each.revision, each.device_id))
    standing = present(row.device_id, lists)
    ours = frozenset[List]().union(*(each.ours for each in group))
    if len(standing) < len(List):
        return Ruling(row, Verdict.HIDDEN, standing, why="the endpoint does not show both lists")
    if len({each.entry for each in group}) > 1:
        return Ruling(row, Verdict.CONFLICT, standing, why="two rows differ only in the case of the id")
    if any(len(spellings) > 1 for spellings in standing.values()):
        return Ruling(row, Verdict.CONFLICT, standing, why="the id stands in one list in several spellings")
    foreign = {name for name in List if standing[name] and name not in ours}
    if row.entry is not None and row.entry.other in foreign:
        return Ruling(row, Verdict.CONFLICT, standing, why=f"the {row.entry.other} list has an entry that is not ours")
    if row.level is Level.QUARANTINE and foreign:
        return Ruling(row, Verdict.CONFLICT, standing, why=f"an entry that is not ours decides: {_names(foreign)}")
    add = frozenset({row.entry} if row.entry is not None and not standing[row.entry] else ())
    remove = frozenset(name for name in List if standing[name] and name in ours and name is not row.entry)
    return Ruling(row, Verdict.CHANGE if add or remove else Verdict.UNCHANGED, standing, add, remove)


def _instead(ruling: Ruling, verdict: Verdict, why: str) -> Ruling:
    """The ruling on a change that is not to be made."""
    return Ruling(ruling.row, verdict, ruling.present, ruling.add, ruling.remove, why)


def _beside(ruling: Ruling, row: Desired) -> Ruling:
    """The ruling on an older row of the same id: it adds nothing of its own to the change."""
    verdict = Verdict.UNCHANGED if ruling.verdict is Verdict.CHANGE else ruling.verdict
    return Ruling(row, verdict, ruling.present, why=ruling.why)


def _change(rulings: Iterable[Ruling]) -> AccessChange:
    made = [ruling for ruling in rulings if ruling.verdict is Verdict.CHANGE]

    def added(name: List) -> tuple[str, ...]:
        return tuple(ruling.row.device_id for ruling in made if name in ruling.add)

    def removed(name: List) -> tuple[str, ...]:
        return tuple(spelling for ruling in made if name in ruling.remove for spelling in ruling.present[name])

    return AccessChange(
        allow=added(List.ALLOW), disallow=removed(List.ALLOW), block=added(List.BLOCK), unblock=removed(List.BLOCK)
    )


def _names(lists: Iterable[List]) -> str:
    return " and ".join(sorted(lists))


def _lists(raw: Mapping[str, Any], name: str) -> frozenset[List]:
    values = raw.get(name, [])
    if not isinstance(values, list):
        raise ContractError(f"desired.{name}", "expected a list")
    return frozenset(_one_of(List, value, f"desired.{name}") for value in values)


def _one_of(kind: type[E], value: Any, place: str) -> E:  # noqa: ANN401 - foreign JSON
    try:
        return kind(value)
    except ValueError as error:
        raise ContractError(place, f"expected one of {', '.join(kind)}") from error
