"""The plan for one mailbox: each verdict, its laws over generated lists, and a story in which everybody interferes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.domain.desired import Desired, Entry, Level, ListName
from gatepost.domain.devices import AccessChange, AccessLists
from gatepost.domain.plan import Plan, Verdict, fold, ours, plan

A, B = ListName.ALLOW, ListName.BLOCK
MAILBOX = "11111111-1111-4111-8111-111111111111"
IDS = ("Appl1", "APPL1", "droid2", "Droid3", "win4")


def row(device_id: str, level: str, *, ours: Iterable[ListName] = (), revision: int = 1) -> Desired:
    """A desired row as the service makes it of a level; what is ours is known for the first list and tried for both."""
    entry = Entry(level) if level in tuple(Entry) else Entry.NONE
    mine = sorted(ours)
    return Desired(MAILBOX, device_id, Level(level), "", revision, entry, owned=tuple(mine[:1]), tried=tuple(mine[1:]))


def after(lists: AccessLists, change: AccessChange, *, coupled: bool) -> AccessLists:
    """The lists once Exchange has made the change; ``coupled``: adding to one list takes the id off the other."""
    assert lists.allowed is not None
    assert lists.blocked is not None
    allowed, blocked = list(lists.allowed), list(lists.blocked)

    def without(ids: list[str], gone: Iterable[str]) -> list[str]:
        folded = {fold(each) for each in gone}
        return [each for each in ids if fold(each) not in folded]

    if coupled:
        allowed, blocked = without(allowed, change.block), without(blocked, change.allow)
    allowed = without(allowed, change.disallow)
    blocked = without(blocked, change.unblock)
    allowed += [each for each in change.allow if fold(each) not in map(fold, allowed)]
    blocked += [each for each in change.block if fold(each) not in map(fold, blocked)]
    return AccessLists(tuple(allowed), tuple(blocked))


desired = st.builds(
    row,
    st.sampled_from(IDS),
    st.sampled_from([level.value for level in Level]),
    ours=st.sets(st.sampled_from(ListName)),
    revision=st.integers(0, 9),
)
rows = st.lists(desired, max_size=5, unique_by=lambda each: each.device_id)
ids = st.lists(st.sampled_from((*IDS, "other5", "OTHER6")), max_size=4, unique=True).map(tuple)
lists = st.builds(AccessLists, ids, ids)


def verdict(wanted: Desired, allowed: tuple[str, ...] = (), blocked: tuple[str, ...] = ()) -> Verdict:
    """What is said of one row."""
    [ruling] = plan([wanted], AccessLists(allowed, blocked)).rulings
    return ruling.verdict


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_an_entry_that_is_missing_is_added() -> None:
    """And nothing else is said of the mailbox."""
    made = plan([row("droid2", "block")], AccessLists(("other5",), ()))
    assert made.change == AccessChange(block=("droid2",))
    assert (set(made.rulings[0].add), made.rulings[0].takes_away, made.takes_away) == ({B}, True, 1)


def test_an_entry_that_stands_is_left_whosever_it_is() -> None:
    """Another spelling of the case is the same id."""
    assert verdict(row("appl1", "allow"), allowed=("APPL1",)) is Verdict.UNCHANGED


def test_our_opposite_entry_is_moved_in_one_change() -> None:
    """From blocked to allowed: added to one list and taken off the other, in the spelling that stands there."""
    made = plan([row("appl1", "allow", ours=[B])], AccessLists((), ("APPL1",)))
    assert made.change == AccessChange(allow=("appl1",), unblock=("APPL1",))
    assert made.takes_away == 0


def test_a_foreign_opposite_entry_is_a_conflict() -> None:
    """An administrator's own entry is not ours to overrule."""
    made = plan([row("droid2", "allow")], AccessLists((), ("droid2",)))
    assert (made.change, made.rulings[0].verdict) == (AccessChange(), Verdict.CONFLICT)
    assert made.rulings[0].why == "the block list has an entry that is not ours"


def test_leaving_withdraws_what_is_ours_and_only_that() -> None:
    """A foreign entry for the same id stays."""
    both = AccessLists(("droid2",), ("droid2",))
    assert plan([row("droid2", "leave", ours=[B])], both).change == AccessChange(unblock=("droid2",))
    assert plan([row("droid2", "leave")], both).change == AccessChange()


def test_withdrawing_an_allow_entry_takes_access_away() -> None:
    """Where the default is closed it does, so it counts wherever."""
    assert plan([row("droid2", "leave", ours=[A])], AccessLists(("droid2",), ())).takes_away == 1
    assert plan([row("droid2", "leave", ours=[B])], AccessLists((), ("droid2",))).takes_away == 0


def test_quarantine_is_never_made_a_block() -> None:
    """Our entries go; an entry that is not ours decides, and that is told."""
    assert plan([row("droid2", "quarantine", ours=[A])], AccessLists(("droid2",), ())).change == AccessChange(
        disallow=("droid2",)
    )
    assert verdict(row("droid2", "quarantine")) is Verdict.UNCHANGED
    assert verdict(row("droid2", "quarantine"), allowed=("droid2",)) is Verdict.CONFLICT


@pytest.mark.parametrize("hidden", [AccessLists(None, ()), AccessLists((), None), AccessLists(None, None)])
def test_a_hidden_list_is_not_an_empty_one(hidden: AccessLists) -> None:
    """Nothing is written where one of the lists cannot be seen."""
    made = plan([row("droid2", "allow"), row("win4", "leave", ours=[A, B])], hidden)
    assert not made.change
    assert {ruling.verdict for ruling in made.rulings} == {Verdict.HIDDEN}


def test_several_spellings_in_one_list_are_not_touched() -> None:
    """Nobody can tell which of them is ours."""
    assert verdict(row("appl1", "leave", ours=[A]), allowed=("appl1", "APPL1")) is Verdict.CONFLICT


def test_two_rows_of_one_id_that_disagree_are_a_conflict() -> None:
    """Exchange compares ids without regard to case, so one of them would undo the other."""
    made = plan([row("appl1", "allow"), row("APPL1", "block")], AccessLists((), ()))
    assert not made.change
    assert [ruling.verdict for ruling in made.rulings] == [Verdict.CONFLICT] * 2


def test_a_row_that_leaves_does_not_disagree() -> None:
    """A phone that came back with its id in another case: the old row is withdrawn, the new one is made so."""
    made = plan([row("appl1", "leave", ours=[A], revision=1), row("APPL1", "block", revision=2)], AccessLists((), ()))
    assert made.change == AccessChange(block=("APPL1",))


def test_a_row_that_contradicts_itself_is_a_conflict() -> None:
    """Whatever arrives, quarantine is not written as a block."""
    wrong = replace(row("droid2", "quarantine"), entry=Entry.BLOCK)
    assert verdict(wrong) is Verdict.CONFLICT


def test_the_ceiling_stops_what_takes_away_and_nothing_else() -> None:
    """Older revisions first; giving access is not counted."""
    wanted = [row("droid2", "block", revision=2), row("Droid3", "block", revision=1), row("win4", "allow", revision=3)]
    made = plan(wanted, AccessLists((), ()), may_take=1)
    assert made.change == AccessChange(allow=("win4",), block=("Droid3",))
    assert {ruling.row.device_id: ruling.verdict for ruling in made.rulings}["droid2"] is Verdict.CEILING


def test_what_must_wait_is_looked_at_and_not_changed() -> None:
    """A difference soon after our own write may be replication."""
    made = plan([row("Droid3", "block"), row("win4", "allow")], AccessLists((), ()), wait={"droid3"})
    assert made.change == AccessChange(allow=("win4",))
    assert {ruling.row.device_id: ruling.verdict for ruling in made.rulings}["Droid3"] is Verdict.WAIT


# -- laws --------------------------------------------------------------------------------------------------------------


@given(rows, lists, st.booleans(), st.none() | st.integers(0, 3))
@settings(max_examples=300)
def test_a_plan_once_made_leaves_nothing_to_do(
    wanted: list[Desired], read: AccessLists, coupled: bool, may_take: int | None
) -> None:
    """Idempotent whether or not Exchange takes an id off the other list by itself."""
    made = plan(wanted, read, may_take=may_take)
    then = after(read, made.change, coupled=coupled)
    left = 0 if may_take is not None else None
    assert not plan(wanted, then, may_take=left).change


@given(rows, lists, st.booleans())
@settings(max_examples=300)
def test_foreign_entries_are_never_touched(wanted: list[Desired], read: AccessLists, coupled: bool) -> None:
    """What is not ours by any row of its id stands afterwards exactly as before."""
    made = plan(wanted, read)
    then = after(read, made.change, coupled=coupled)
    for name, before, now in ((A, read.allowed, then.allowed), (B, read.blocked, then.blocked)):
        foreign = [
            each
            for each in before or ()
            if not any(fold(one.device_id) == fold(each) and name in ours(one) for one in wanted)
        ]
        assert [each for each in now or () if each in foreign] == foreign


@given(rows, lists)
@settings(max_examples=300)
def test_a_change_is_what_the_rows_ask_for(wanted: list[Desired], read: AccessLists) -> None:
    """Only ids of rows, only entries that rows want or that are ours, and no entry beside a foreign opposite one."""
    change = plan(wanted, read).change
    for name, added, opposite in ((A, change.allow, read.blocked), (B, change.block, read.allowed)):
        for each in added:
            assert name.value in {one.entry for one in wanted if fold(one.device_id) == fold(each)}
            mine = frozenset().union(*(ours(one) for one in wanted if fold(one.device_id) == fold(each)))
            assert name.opposite in mine or fold(each) not in map(fold, opposite or ())
    assert set(change.disallow) <= set(read.allowed or ())
    assert set(change.unblock) <= set(read.blocked or ())


@given(rows, lists)
@settings(max_examples=100)
def test_every_row_gets_a_verdict_and_order_does_not_matter(wanted: list[Desired], read: AccessLists) -> None:
    """One ruling a row, the same whatever the order of rows and entries."""
    made = plan(wanted, read)
    assert sorted(each.row.device_id for each in made.rulings) == sorted(each.device_id for each in wanted)
    turned = plan(wanted[::-1], AccessLists((read.allowed or ())[::-1], (read.blocked or ())[::-1]))
    assert _sets(turned) == _sets(made)


def _sets(made: Plan) -> Any:
    change = made.change
    verdicts = {(each.row, each.verdict) for each in made.rulings}
    return verdicts, *(sorted(part) for part in (change.allow, change.disallow, change.block, change.unblock))
