"""The guard on a real database: who is counted, what is held, and what an approval lets through."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from gatepost.domain.contract import iso
from gatepost.domain.desired import Level
from gatepost.domain.guards import Verb
from gatepost.errors import Problem
from gatepost.service.access import budget, due, holds
from gatepost.service.access.due import SYNC, Cause
from gatepost.service.access.guarding import Wanted
from gatepost.service.access.holds import Hold, HoldState
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.ledger import Key
from tests.fixtures.service import Service
from tests.service.access_guard import Guarded, Look, allow, block, people
from tests.service.speaker import Speaker

SOURCE = Cause("source", "intune")


@pytest.fixture
def guarded(service: Service, speaker: Speaker, look: Look) -> Guarded:
    """A tenant with a connector and no device: five people may lose access in an hour, fifty gain it."""
    return Guarded(service, UUID(speaker.identity["organization"]), look)


@pytest.fixture
def anna(guarded: Guarded) -> Person:
    """An administrator of old standing, who makes policies."""
    return guarded.person("anna")


@pytest.fixture
def bert(guarded: Guarded, anna: Person) -> Person:
    """Another one, who approves."""
    return guarded.person("bert")


def policy(person: Person, version: int = 3) -> Cause:
    """A policy that this person activated."""
    return Cause("policy", str(version), person.administrator_id)


def only_hold(guarded: Guarded) -> Hold:
    """The one hold that is open."""
    [hold] = guarded.act(lambda scope: holds.listing(scope, [HoldState.OPEN]))
    return hold


def digest_of(guarded: Guarded, hold: Hold) -> str:
    """What an approval of it names."""
    return guarded.act(lambda scope: holds.digest(scope, hold.hold_id))


def approve(guarded: Guarded, hold: Hold, person: Person, digest: str | None = None) -> Hold:
    """Approve what is in a hold now, or what had a digest."""
    return marking(guarded, hold, person, digest)[0]


def marking(
    guarded: Guarded,
    hold: Hold,
    person: Person,
    digest: str | None = None,
    before: tuple[Sequence[Key], Cause] | None = None,
) -> tuple[Hold, Mapping[Key, Cause]]:
    """Approve; also what is to be decided then, with what was marked just ``before``.

    It is taken in the same transaction: these tests say what is decided, and when, not the service's loop.
    """
    seen = digest_of(guarded, hold) if digest is None else digest

    async def approved(scope: Scope) -> tuple[Hold, Mapping[Key, Cause]]:
        if before is not None:
            await due.mark(scope, guarded.organization, *before)
        known = await holds.approve(scope, hold.hold_id, seen, person)
        marked = await due.take(scope, guarded.organization, 1_000)
        await due.done(scope, guarded.organization, list(marked))
        return known, marked

    return guarded.act(approved)


def refuse(guarded: Guarded, hold: Hold, person: Person, why: str = "") -> Hold:
    """Refuse a hold."""
    return guarded.act(lambda scope: holds.refuse(scope, hold.hold_id, why, person))


def expire(guarded: Guarded) -> None:
    """The job that ends what nobody decided."""

    async def work(_: Scope) -> None:
        async with await Database.open(guarded.service.urls.app, size=1) as database:
            await holds.expire_holds(database, guarded.service.tenant_id)

    guarded.act(work)


def held(guarded: Guarded, person: Person, wanted: Sequence[Wanted] | None = None) -> Hold:
    """A policy of somebody's that would block eight people, of whom five are; three are held."""
    wanted = [block(number) for number in range(8)] if wanted is None else wanted
    guarded.decided(wanted)
    guarded.sieve(policy(person), wanted)
    return only_hold(guarded)


def test_a_policy_that_would_block_ten_thousand_people_is_held_after_the_budget(guarded: Guarded, anna: Person) -> None:
    """In parts as they are decided: half a percent lose access, all others are in one hold, and it stays fast."""
    guarded.look(
        "INSERT INTO counters (organization_id, name, value) VALUES (%s, 'devices', 10000) "
        "ON CONFLICT (tenant_id, organization_id, name) DO UPDATE SET value = 10000",
        guarded.organization,
    )
    wanted = [block(number) for number in range(10_000)]
    began = time.monotonic()
    through = [guarded.sieve(policy(anna), wanted[start : start + 2_500]) for start in range(0, 10_000, 2_500)]
    seconds = time.monotonic() - began
    assert people(through[0].publish) == list(range(50))
    assert [len(each.publish) for each in through[1:]] == [0, 0, 0]
    hold = only_hold(guarded)
    assert (hold.people, hold.devices, hold.verb, hold.by, hold.cause) == (
        9_950,
        9_950,
        Verb.TAKE,
        "anna",
        policy(anna),
    )
    assert len(digest_of(guarded, hold)) == 64
    assert guarded.used() == {"take": 50}
    assert seconds < 10, f"10,000 people took the guard {seconds:.1f} s"


def test_five_in_a_small_organization_and_the_rest_is_held(guarded: Guarded, anna: Person) -> None:
    """Whoever is asked about first passes; the rest is in the hold, with why, and from what to what."""
    sieved = guarded.sieve(policy(anna), [block(number) for number in range(7)])
    assert (people(sieved.publish), people(sieved.held)) == ([0, 1, 2, 3, 4], [5, 6])
    hold = only_hold(guarded)
    told = guarded.act(lambda scope: holds.items(scope, hold.hold_id, 10))
    assert [(row["device_id"], row["published"], row["level"], row["reason"]) for row in told] == [
        ("PHONE5-0", "leave", "block", "unmanaged"),
        ("PHONE6-0", "leave", "block", "unmanaged"),
    ]
    assert {(row["before_state"], row["after_state"]) for row in told} == {("allowed", "blocked")}
    counted = guarded.act(lambda scope: holds.reasons(scope, hold.hold_id))
    assert [(row["reason"], row["people"]) for row in counted] == [("unmanaged", 2)]
    [event] = guarded.look("SELECT actor, body FROM events WHERE name = 'service:hold:opened'")
    assert (event["actor"], event["body"]["by"], event["body"]["about"]) == ("service", "anna", "3")


def test_all_that_is_asked_for_one_person_goes_one_way_and_counts_once(guarded: Guarded, anna: Person) -> None:
    """Two phones of the sixth person are held both; a second phone of the first one passes, also a while later."""
    sieved = guarded.sieve(policy(anna), [*(block(number) for number in range(6)), block(5, 1), block(0, 1)])
    assert (people(sieved.publish), people(sieved.held)) == ([0, 1, 2, 3, 4], [5])
    assert len(sieved.held) == 2
    assert len(guarded.sieve(SYNC, [block(0, 2)]).publish) == 1
    assert guarded.used() == {"take": 5}


def test_the_window_slides_and_what_was_held_does_not_trickle_through(guarded: Guarded, anna: Person) -> None:
    """An hour later five others may lose access; who is held stays so, however often a sync looks at him."""
    guarded.sieve(policy(anna), [block(number) for number in range(7)])
    assert people(guarded.sieve(SYNC, [block(20)]).held) == [20]
    guarded.later(59)
    assert people(guarded.sieve(SYNC, [block(21)]).held) == [21]
    guarded.later(2)
    sieved = guarded.sieve(SYNC, [block(5), block(6), block(20), block(30)])
    assert (people(sieved.publish), people(sieved.held)) == ([30], [5, 6, 20])


def test_giving_has_a_budget_of_its_own(guarded: Guarded, anna: Person) -> None:
    """A source that calls everybody compliant lets fifty in; those who lose access are counted apart."""
    sieved = guarded.sieve(SOURCE, [allow(number) for number in range(60)])
    assert (people(sieved.publish), people(sieved.held)) == (list(range(50)), list(range(50, 60)))
    assert people(guarded.sieve(policy(anna), [block(70)]).publish) == [70]
    assert guarded.used() == {"take": 1, "give": 50}
    hold = only_hold(guarded)
    assert (hold.verb, hold.cause, hold.by, hold.people) == (Verb.GIVE, SOURCE, "", 10)


def test_one_cause_may_give_and_take_at_once(guarded: Guarded, anna: Person) -> None:
    """Each goes by its own budget, into its own hold."""
    both = [each for number in range(60) for each in (block(number), allow(number, 1))]
    sieved = guarded.sieve(policy(anna), both)
    assert (len(people(sieved.publish, Verb.TAKE)), len(people(sieved.publish, Verb.GIVE))) == (5, 50)
    told = guarded.act(lambda scope: holds.listing(scope, [HoldState.OPEN]))
    assert {(hold.verb, hold.people) for hold in told} == {(Verb.TAKE, 55), (Verb.GIVE, 10)}


def test_pins_are_counted_and_never_held(guarded: Guarded, anna: Person) -> None:
    """Whoever pins has looked at that one device; the policy that follows has so much less."""
    pin = Cause("pin")
    assert len(guarded.sieve(pin, [block(number) for number in range(9)]).publish) == 9
    assert people(guarded.sieve(policy(anna), [block(20)]).held) == [20]
    assert guarded.used() == {"take": 9}


def test_what_changes_nobodys_access_is_let_through(guarded: Guarded, anna: Person) -> None:
    """A block of what is blocked anyway takes nothing away, whatever the budget."""
    guarded.act(lambda scope: budget.ask(scope, 0, 0, anna))
    same = Wanted(block(1).key, Level.BLOCK, "unmanaged", block(1).after, block(1).after, Level.LEAVE)
    assert len(guarded.sieve(policy(anna), [same]).publish) == 1
    assert people(guarded.sieve(policy(anna), [block(2)]).held) == [2]


def test_an_approval_is_another_administrators_and_of_what_was_seen(
    guarded: Guarded, anna: Person, bert: Person
) -> None:
    """Not the requester's, not of another digest; then the held are due again, and pass whatever the budget."""
    hold = held(guarded, anna)
    digest = digest_of(guarded, hold)
    with pytest.raises(Problem, match="Another administrator has to approve it"):
        approve(guarded, hold, anna)
    newcomer = [block(8)]
    guarded.decided(newcomer)
    guarded.sieve(policy(anna), newcomer)
    assert only_hold(guarded).people == 4
    with pytest.raises(Problem, match="More was held since you looked") as refused:
        approve(guarded, hold, bert, digest)
    assert (refused.value.type, refused.value.fields["people"]) == ("hold-changed", 4)
    assert refused.value.fields["digest"] == digest_of(guarded, hold)
    done = approve(guarded, hold, bert)
    assert (done.state, done.decided_by) == (HoldState.APPROVED, "bert")
    [event] = guarded.look("SELECT actor, body FROM events WHERE name = 'console:hold:approved'")
    assert (event["actor"], event["body"]["asked_by"], event["body"]["people"]) == ("bert", "anna", 4)
    with pytest.raises(Problem, match="Nothing of this hold waits"):
        approve(guarded, hold, bert)
    sieved = guarded.sieve(Cause("hold", str(hold.hold_id)), [block(number) for number in (5, 6, 7, 8)])
    assert people(sieved.publish) == [5, 6, 7, 8]
    assert guarded.used() == {"take": 5}
    again = guarded.act(lambda scope: holds.find(scope, hold.hold_id))
    assert (again.people, again.released, again.state) == (0, 4, HoldState.APPROVED)


def test_two_who_approve_at_once_do_it_once(guarded: Guarded, anna: Person, bert: Person) -> None:
    """The second waits for the first, and finds it decided."""
    hold = held(guarded, anna)
    digest = digest_of(guarded, hold)

    def decide(person: Person) -> str:
        try:
            return approve(guarded, hold, person, digest).state
        except Problem as problem:
            return problem.type

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(decide, [bert, guarded.person("cleo")])) == ["approved", "hold-decided"]
    assert len(guarded.look("SELECT name FROM events WHERE name = 'console:hold:approved'")) == 1


def test_an_approval_marks_what_it_lets_through_as_due(guarded: Guarded, anna: Person, bert: Person) -> None:
    """Who is decided otherwise by then is dropped; whom somebody's own change is about to decide is left to that."""
    guarded.look(
        "INSERT INTO policies (version, document, made_by, made_id) VALUES (3, '{}', 'anna', gen_random_uuid())"
    )
    guarded.look("INSERT INTO rollouts (version, began_by, began_id) VALUES (3, 'anna', gen_random_uuid())")
    hold = held(guarded, anna)
    guarded.decided([block(6)], Level.ALLOW)
    done, marked = marking(guarded, hold, bert, before=([block(7).key], Cause("policy", "4", uuid4())))
    assert (done.people, done.dropped) == (2, 1)
    assert {key[1]: (cause.kind, cause.ref) for key, cause in marked.items()} == {
        "PHONE5-0": ("hold", str(hold.hold_id)),
        "PHONE7-0": ("policy", "4"),
    }
    sieved = guarded.sieve(Cause("policy", "4", bert.administrator_id), [block(7)])
    assert people(sieved.held) == [7]
    assert only_hold(guarded).by == "bert"


def test_newcomers_after_an_approval_come_into_a_new_hold(guarded: Guarded, anna: Person, bert: Person) -> None:
    """Also those that the approved hold lets through under its own name, where they are wanted otherwise by then."""
    hold = held(guarded, anna)
    approve(guarded, hold, bert)
    guarded.sieve(policy(anna), [block(9)])
    guarded.sieve(Cause("hold", str(hold.hold_id)), [block(5, level=Level.QUARANTINE), block(6)])
    new = only_hold(guarded)
    assert (new.hold_id != hold.hold_id, new.people, new.by) == (True, 2, "anna")
    old = guarded.act(lambda scope: holds.find(scope, hold.hold_id))
    assert (old.people, old.released, old.dropped) == (1, 1, 1)


def test_a_hold_gathers_for_an_hour(guarded: Guarded, anna: Person) -> None:
    """So that what somebody looks at stands still in the end, however long more of the same trickles in."""
    hold = held(guarded, anna)
    guarded.later(30)
    guarded.sieve(policy(anna), [block(10)])
    guarded.look("UPDATE budget_uses SET at = now()")
    guarded.later(31)
    guarded.look("UPDATE budget_uses SET at = now()")
    guarded.sieve(policy(anna), [block(11)])
    told = guarded.act(lambda scope: holds.listing(scope, [HoldState.OPEN]))
    assert [each.people for each in told] == [1, 4]
    assert told[1].hold_id == hold.hold_id


def test_a_persons_new_change_is_asked_about_in_that_persons_name(guarded: Guarded, anna: Person, bert: Person) -> None:
    """Else bert would approve as anna's what he himself asks for; nothing else takes a device out of its hold."""
    hold = held(guarded, anna)
    guarded.sieve(SYNC, [block(number) for number in (5, 6, 7)])
    assert only_hold(guarded).hold_id == hold.hold_id
    guarded.sieve(policy(bert, 4), [block(number) for number in (5, 6, 7)])
    new = only_hold(guarded)
    assert (new.by, new.people) == ("bert", 3)
    with pytest.raises(Problem, match="You asked for this yourself"):
        approve(guarded, new, bert)
    assert guarded.act(lambda scope: holds.find(scope, hold.hold_id)).state is HoldState.OVER
    [event] = guarded.look("SELECT body FROM events WHERE name = 'service:hold:over'")
    assert event["body"]["hold"] == str(hold.hold_id)


def test_what_no_person_asked_for_any_approver_approves(guarded: Guarded, anna: Person) -> None:
    """A source has nobody behind it who could not; a reader may not, nor who became an approver just now."""
    guarded.sieve(SOURCE, [block(number) for number in range(6)])
    hold = only_hold(guarded)
    with pytest.raises(Problem, match="Your roles do not let you approve this"):
        approve(guarded, hold, guarded.person("rene", role="reader"))
    new = guarded.person("cleo", role="approver")
    guarded.look("UPDATE administrators SET promoted_at = now() WHERE name = 'cleo'")
    with pytest.raises(Problem, match="less than 24 hours ago"):
        approve(guarded, hold, new)
    assert approve(guarded, hold, anna).state is HoldState.APPROVED


def test_the_database_too_wants_a_second_person(guarded: Guarded, anna: Person) -> None:
    """A row in which somebody approves what they just asked for cannot be written, whoever writes it."""
    held(guarded, anna)
    alone = (
        "UPDATE holds SET state = 'approved', digest = 'x', decided_id = by_id, decided_by = 'x', decided_at = now()"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="holds_second_person"):
        guarded.look(alone)
    guarded.later(25 * 60)
    guarded.look(alone)


def test_what_is_refused_stays_held_until_somebody_looks_again(guarded: Guarded, anna: Person, bert: Person) -> None:
    """No sync lets it through by and by; opened again it can be approved."""
    hold = held(guarded, anna)
    with pytest.raises(Problem, match="A reason has at most 500 characters"):
        refuse(guarded, hold, bert, "x" * 501)
    done = refuse(guarded, hold, bert, " They are on holiday. ")
    assert (done.state, done.why, done.decided_by, done.people) == (
        HoldState.REFUSED,
        "They are on holiday.",
        "bert",
        3,
    )
    guarded.later(61)
    assert people(guarded.sieve(SYNC, [block(5), block(9)]).held) == [5]
    again = guarded.act(lambda scope: holds.reopen(scope, hold.hold_id, bert))
    assert (again.state, again.people, again.why) == (HoldState.OPEN, 3, "")
    assert approve(guarded, again, bert).state is HoldState.APPROVED
    with pytest.raises(Problem, match="Nothing of this hold waits"):
        guarded.act(lambda scope: holds.reopen(scope, hold.hold_id, bert))


def test_what_nobody_decides_within_a_week_is_refused(guarded: Guarded, anna: Person) -> None:
    """By the service, with an event; who lost access is forgotten by the same job, after a month."""
    hold = held(guarded, anna)
    expire(guarded)
    assert only_hold(guarded).hold_id == hold.hold_id
    guarded.later(7 * 24 * 60 + 1)
    expire(guarded)
    done = guarded.act(lambda scope: holds.find(scope, hold.hold_id))
    assert (done.state, done.decided_by, done.people) == (HoldState.REFUSED, "service", 3)
    [event] = guarded.look("SELECT body FROM events WHERE name = 'service:hold:expired'")
    assert (event["body"]["before"], event["body"]["after"]) == ("open", "refused")
    assert guarded.used() == {"take": 5}
    guarded.later(24 * 24 * 60)
    expire(guarded)
    assert guarded.used() == {}


def test_what_is_decided_to_stay_as_published_leaves_its_hold(guarded: Guarded, anna: Person) -> None:
    """The last one ends the hold; wanted anew later, it goes by the budget as anything else."""
    hold = held(guarded, anna)
    guarded.settled(block(5), block(99))
    assert only_hold(guarded).people == 2
    guarded.settled(block(6), block(7))
    assert guarded.act(lambda scope: holds.find(scope, hold.hold_id)).state is HoldState.OVER
    guarded.later(61)
    assert people(guarded.sieve(SYNC, [block(5)]).publish) == [5]


def test_a_pin_takes_a_device_out_of_its_hold(guarded: Guarded, anna: Person) -> None:
    """It is decided by a person who looked at it; the hold goes on with the others."""
    held(guarded, anna)
    guarded.sieve(Cause("pin"), [block(5)])
    hold = only_hold(guarded)
    assert (hold.people, hold.dropped) == (2, 1)


def test_smaller_budgets_count_at_once_and_larger_ones_wait_for_a_second_person(
    guarded: Guarded, anna: Person, bert: Person
) -> None:
    """Else whoever is to be guarded against would lift the guard first."""
    small = guarded.act(lambda scope: budget.ask(scope, 2, 0, anna))
    assert (small.take, small.give, small.set_by, small.wish) == (2, 0, "anna", None)
    assert people(guarded.sieve(policy(anna), [block(number) for number in range(3)]).held) == [2]
    large = guarded.act(lambda scope: budget.ask(scope, None, 1_000, anna))
    assert large.wish is not None
    assert (large.take, large.give, large.wish.take, large.wish.give, large.wish.asked_by) == (
        2,
        0,
        None,
        1_000,
        "anna",
    )
    moment = iso(large.wish.asked_at) or ""
    with pytest.raises(Problem, match="Another administrator has to approve it"):
        guarded.act(lambda scope: budget.approve(scope, moment, anna))
    with pytest.raises(Problem, match="Other budgets are asked for by now"):
        guarded.act(lambda scope: budget.approve(scope, iso(datetime.now(UTC)) or "", bert))
    done = guarded.act(lambda scope: budget.approve(scope, moment, bert))
    assert (done.take, done.give, done.set_by, done.wish) == (None, 1_000, "bert", None)
    with pytest.raises(Problem, match="No budgets wait"):
        guarded.act(lambda scope: budget.approve(scope, moment, bert))
    both = guarded.act(lambda scope: budget.budgets(scope, guarded.organization))
    assert (both[Verb.TAKE].limit, both[Verb.TAKE].left, both[Verb.GIVE].limit, both[Verb.GIVE].standard) == (
        5,
        3,
        1_000,
        50,
    )
    told = guarded.look("SELECT name, actor FROM events WHERE name LIKE 'console:budgets:%%' ORDER BY at")
    assert [(row["name"].rpartition(":")[2], row["actor"]) for row in told] == [
        ("set", "anna"),
        ("asked", "anna"),
        ("set", "bert"),
    ]


def test_larger_budgets_that_are_refused_change_nothing(guarded: Guarded, anna: Person, bert: Person) -> None:
    """Nor do numbers that are none."""
    guarded.act(lambda scope: budget.ask(scope, 100, None, anna))
    left = guarded.act(lambda scope: budget.refuse(scope, bert))
    assert (left.take, left.wish) == (None, None)
    with pytest.raises(Problem, match="No budgets wait"):
        guarded.act(lambda scope: budget.refuse(scope, bert))
    with pytest.raises(Problem, match="A budget is a number from 0 to 1000000, or empty"):
        guarded.act(lambda scope: budget.ask(scope, -1, None, anna))


def test_what_ended_in_holds_long_ago_is_forgotten(guarded: Guarded, anna: Person, bert: Person) -> None:
    """After ninety days; the hold itself and its events stay."""
    hold = held(guarded, anna)
    approve(guarded, hold, bert)
    guarded.sieve(Cause("hold", str(hold.hold_id)), [block(5)])
    guarded.look("UPDATE hold_items SET ended_at = %s WHERE state <> 'held'", datetime.now(UTC) - timedelta(days=91))
    expire(guarded)
    done = guarded.act(lambda scope: holds.find(scope, hold.hold_id))
    assert (done.released, done.people) == (0, 2)
    with pytest.raises(Problem, match="There is no such hold"):
        guarded.act(lambda scope: holds.find(scope, UUID(int=1)))
