"""Removing a connection: its preview, its ends, the approval, and what the ledger knows afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest

from gatepost.domain.contract import Facts
from gatepost.domain.desired import ListName
from gatepost.errors import Problem
from gatepost.service import connections, pins, removal
from gatepost.service.database import Database, Scope
from gatepost.service.removal import Person, Preview, Removal
from tests.fixtures.service import in_thread
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.writing import ANNA, DEVICE, GUID, MAILBOX, Writer, saw, withdrew, wrote

T = TypeVar("T")
CLOSED = {"default_level": "Block", "rules": []}
OPEN = {"default_level": "Allow", "rules": []}


def act(writer: Writer, action: Callable[[Scope], Awaitable[T]]) -> T:
    """Do something in the tenant's scope, in a transaction of its own."""

    async def work() -> T:
        url, tenant_id = writer.service.urls.app, writer.service.tenant_id
        async with await Database.open(url, size=1) as database, database.tenant(tenant_id) as scope:
            return await action(scope)

    return in_thread(lambda: asyncio.run(work()))


def advance(writer: Writer) -> None:
    """The job that ends what is undone."""

    async def work() -> None:
        async with await Database.open(writer.service.urls.app, size=1) as database:
            await removal.advance(database, writer.service.tenant_id)

    in_thread(lambda: asyncio.run(work()))


def look_at(writer: Writer) -> Preview:
    """The preview."""
    return act(writer, lambda scope: removal.preview(scope, writer.organization))


def ask(writer: Writer, ending: str, person: Person, digest: str | None = None) -> Removal:
    """Remove the connection."""
    seen = look_at(writer).digest if digest is None else digest
    return act(writer, lambda scope: removal.ask(scope, writer.organization, ending, seen, person))


def state(writer: Writer) -> str:
    """The organization's state."""
    known = act(writer, lambda scope: connections.organization(scope, writer.organization))
    return str(known["state"])


def written(writer: Writer, name: ListName = ListName.ALLOW, level: str = "allow", **settings: Any) -> None:
    """The first device is pinned, and our entry stands in Exchange."""
    writer.say(facts=Facts(settings=settings or CLOSED))
    writer.pin(level)
    writer.say()
    assert writer.row is not None
    writer.say(wrote(name, writer.row["revision"]))


@pytest.fixture
def anna(writer: Writer, look: Look) -> Person:
    """An administrator of old standing."""
    return known_person(writer, look, "anna")


def known_person(writer: Writer, look: Look, name: str, *, passkey: bool = False) -> Person:
    """Another one."""
    writer.service.add_administrator(name, "administrator")
    look("UPDATE administrators SET made_at = now() - interval '30 days', promoted_at = NULL")
    [row] = look("SELECT administrator_id FROM administrators WHERE name = %s", name)
    return Person(row["administrator_id"], name, passkey)


def crowd(writer: Writer, look: Look, count: int = 6) -> None:
    """So many people with a phone each that only an entry of ours lets in."""
    boxes = [mailbox(number) for number in range(count)]
    phones = [device(number, mailbox_guid=boxes[number][0]) for number in range(count)]
    writer.speaker.synchronise(phones, boxes)
    writer.say(facts=Facts(settings=CLOSED))
    look(
        "INSERT INTO list_entries (organization_id, mailbox_guid, device_id, list, ownership, intended_revision) "
        "SELECT organization_id, mailbox_guid, device_id, 'allow', 'ours', 1 FROM devices WHERE gone_at IS NULL "
        "ON CONFLICT DO NOTHING"
    )


def test_a_preview_says_who_loses_and_by_which_rule_of_exchange(writer: Writer, anna: Person) -> None:
    """Where the default is closed, our allow entry is all that lets the phone in."""
    written(writer)
    seen = look_at(writer)
    assert (len(seen.entries), seen.effect.losing, seen.effect.gaining, seen.unread) == (1, 1, 0, False)
    [change] = seen.effect.changes
    assert (change.device_id, change.before.reason, change.after.state, change.after.reason) == (
        DEVICE,
        "allowed-list",
        "blocked",
        "default",
    )


def test_a_preview_says_who_gains(writer: Writer) -> None:
    """Where the default is open, our block entry is all that keeps the phone out."""
    written(writer, ListName.BLOCK, "block", **OPEN)
    seen = look_at(writer)
    assert (seen.effect.losing, seen.effect.gaining, seen.held) == (0, 1, False)


def test_nobody_loses_what_an_administrators_own_entry_gives(writer: Writer) -> None:
    """An entry of somebody else's in the same list, as the inventory read it, lets the phone in without ours."""
    written(writer, ListName.BLOCK, "block", **OPEN)
    rows = [device(number) for number in range(8)]
    boxes = [mailbox(number) for number in range(4)]
    boxes[0] = mailbox(0, allowed_ids=[DEVICE.lower()], blocked_ids=[DEVICE])
    writer.speaker.synchronise(rows, boxes)
    writer.say(facts=Facts(settings=CLOSED))
    [change] = look_at(writer).effect.changes
    assert (change.gains, change.after.reason) == (True, "allowed-list")


def test_rules_that_nobody_read_count_as_access_that_is_lost(writer: Writer) -> None:
    """A guard that took unknown for access would let anything through."""
    written(writer, default_level="Allow")
    seen = look_at(writer)
    assert (seen.unread, seen.effect.losing) == (True, 1)


@pytest.mark.parametrize("ending", ["leave", "file", "force"])
def test_ends_that_change_nothing_are_done_at_once(writer: Writer, anna: Person, look: Look, ending: str) -> None:
    """Pins end, nobody is told anything more, and the ledger goes on to know whose the entry is."""
    written(writer)
    done = ask(writer, ending, anna, "")
    assert (done.state, done.losing, done.entries, state(writer)) == ("done", 1, 1, "removed")
    assert look("SELECT * FROM pins") == []
    assert look("SELECT * FROM desired") == []
    assert [row["ownership"] for row in look("SELECT ownership FROM list_entries")] == ["ours"]
    [removed] = look("SELECT * FROM events WHERE name = 'console:connection:removed'")
    assert (removed["actor"], removed["body"]) == (
        "anna",
        {"ending": ending, "before": "connected", "after": "removed"},
    )
    [ended] = look("SELECT body FROM events WHERE name = 'service:pin:expired'")
    assert (ended["body"]["device_id"], ended["body"]["why"]) == (DEVICE, "The connection was removed.")


def test_the_file_names_exactly_what_is_ours(writer: Writer, anna: Person) -> None:
    """Also after the connection is removed, for whoever runs it later."""
    written(writer)
    ask(writer, "file", anna)
    name, text = act(writer, lambda scope: removal.script(scope, writer.organization, "anna"))
    calls = [line for line in text.splitlines() if line.startswith("Undo-")]
    assert calls == [f"Undo-GatepostEntry -Mailbox '{MAILBOX}' -Name 'user0@example.test' -Allowed @('{DEVICE}')"]
    assert name.startswith("gatepost-undo-")
    assert name in text


def test_an_undoing_is_done_when_the_connector_read_back_that_nothing_is_left(
    writer: Writer, anna: Person, look: Look
) -> None:
    """Hands off is published, the connection works until the outcome is there, and then it is removed."""
    written(writer)
    assert ask(writer, "undo", anna).state == "undoing"
    assert state(writer) == "removing"
    advance(writer)
    assert state(writer) == "removing"
    writer.say()
    assert writer.row is not None
    assert (writer.row["level"], writer.row["entry"], writer.row["owned"]) == ("leave", "none", ["allow"])
    known = act(writer, lambda scope: removal.latest(scope, writer.organization))
    assert known is not None
    far = act(writer, lambda scope: removal.progress(scope, writer.organization, known))
    assert (far.entries, far.left, far.results) == (1, 1, {"waiting": 1})
    writer.say(withdrew(ListName.ALLOW, writer.row["revision"]))
    advance(writer)
    assert state(writer) == "removed"
    assert [row["ownership"] for row in look("SELECT ownership FROM list_entries")] == ["withdrawn"]
    names = {row["name"] for row in look("SELECT name FROM events WHERE name LIKE '%%remov%%'")}
    assert names == {"console:removal:asked", "console:removal:begun", "console:connection:removed"}


def test_a_write_that_nobody_reported_yet_is_waited_for(writer: Writer, anna: Person) -> None:
    """What was published for a write is not over before the connector has looked: it may have written."""
    writer.say(facts=Facts(settings=CLOSED))
    writer.pin()
    writer.say()
    other = look_at(writer)
    assert other.entries == []
    written(writer)
    ask(writer, "undo", anna)
    advance(writer)
    assert state(writer) == "removing"


def test_so_many_that_a_second_person_has_to_look(writer: Writer, anna: Person, look: Look) -> None:
    """Six people of six are more than the budget: it waits, and only somebody else approves just that preview."""
    crowd(writer, look)
    bert = known_person(writer, look, "bert")
    seen = look_at(writer)
    assert (seen.effect.losing, seen.budget, seen.held) == (6, 5, True)
    assert ask(writer, "undo", anna).state == "asked"
    assert state(writer) == "connected"

    def approve(person: Person, digest: str) -> Removal:
        return act(writer, lambda scope: removal.approve(scope, writer.organization, digest, person))

    with pytest.raises(Problem, match="Another administrator has to approve it"):
        approve(anna, seen.digest)
    with pytest.raises(Problem, match="has changed since you looked"):
        approve(bert, "another")
    assert approve(bert, seen.digest).state == "undoing"
    assert state(writer) == "removing"
    [event] = look("SELECT actor, body FROM events WHERE name = 'console:removal:approved'")
    assert (event["actor"], event["body"]["asked_by"], event["body"]["losing"]) == ("bert", "anna", 6)


def test_a_removal_counts_with_all_other_changes(writer: Writer, anna: Person, look: Look) -> None:
    """Who lost access by a policy within the hour leaves less of the budget, and so does who loses it by an undoing."""
    crowd(writer, look, 2)
    look(
        "INSERT INTO budget_uses (organization_id, verb, mailbox_guid) "
        "SELECT organization_id, 'take', gen_random_uuid() FROM organizations, generate_series(1, 4)"
    )
    seen = look_at(writer)
    assert (seen.effect.losing, seen.used, seen.budget, seen.held) == (2, 4, 5, True)
    look("UPDATE budget_uses SET at = at - interval '61 minutes'")
    assert ask(writer, "undo", anna).state == "undoing"
    assert look("SELECT count(*) AS people FROM budget_uses WHERE at > now() - interval '1 minute'") == [{"people": 2}]


def test_the_database_too_wants_a_second_person(writer: Writer, anna: Person, look: Look) -> None:
    """A row in which somebody approves what they just asked for cannot be written, whoever writes it."""
    crowd(writer, look)
    ask(writer, "undo", anna)
    alone = "UPDATE removals SET state = 'undoing', approved_id = asked_id, approved_by = asked_by, approved_at = now()"
    with pytest.raises(psycopg.errors.CheckViolation, match="removals_second_person"):
        look(alone)
    look("UPDATE removals SET asked_at = now() - interval '25 hours'")
    look(alone)


def test_two_who_approve_at_once_begin_it_once(writer: Writer, anna: Person, look: Look) -> None:
    """The second waits for the first and finds nothing that waits."""
    crowd(writer, look)
    digest = ask(writer, "undo", anna).digest
    people = [known_person(writer, look, name) for name in ("bert", "cleo")]

    def approve(person: Person) -> str:
        try:
            act(writer, lambda scope: removal.approve(scope, writer.organization, digest, person))
        except Problem as problem:
            return problem.type
        return "approved"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(approve, people)) == ["approved", "not-asked"]
    names = [row["name"] for row in look("SELECT name FROM events WHERE name LIKE 'console:removal:%%' ORDER BY at")]
    assert names == ["console:removal:asked", "console:removal:approved", "console:removal:begun"]


def test_what_has_changed_since_is_asked_anew(writer: Writer, anna: Person, look: Look) -> None:
    """One phone more would lose access: the old digest approves nothing, and who asks anew does not approve."""
    crowd(writer, look)
    bert = known_person(writer, look, "bert")
    asked = ask(writer, "undo", anna)
    crowd_after = [device(number, mailbox_guid=mailbox(number)[0]) for number in range(7)]
    writer.speaker.synchronise(crowd_after, [mailbox(number) for number in range(7)])
    look(
        "INSERT INTO list_entries (organization_id, mailbox_guid, device_id, list, ownership, intended_revision) "
        "SELECT organization_id, mailbox_guid, device_id, 'allow', 'ours', 1 FROM devices WHERE gone_at IS NULL "
        "ON CONFLICT DO NOTHING"
    )
    with pytest.raises(Problem) as refused:
        act(writer, lambda scope: removal.approve(scope, writer.organization, asked.digest, bert))
    assert (refused.value.type, refused.value.fields["losing"]) == ("preview-changed", 7)
    again = act(writer, lambda scope: removal.refresh(scope, writer.organization, bert))
    assert again is not None
    assert (again.state, again.losing, again.asked_by) == ("asked", 7, "bert")
    with pytest.raises(Problem, match="You asked for this yourself"):
        act(writer, lambda scope: removal.approve(scope, writer.organization, again.digest, bert))
    assert act(writer, lambda scope: removal.approve(scope, writer.organization, again.digest, anna)).approved_by


def test_who_is_alone_approves_after_a_day_with_a_passkey(writer: Writer, anna: Person, look: Look) -> None:
    """There is nobody else to ask; a day to sleep over it, and a proof that it is the same person."""
    crowd(writer, look)
    digest = ask(writer, "undo", anna).digest

    def approve(*, passkey: bool) -> Removal:
        person = Person(anna.administrator_id, anna.name, passkey)
        return act(writer, lambda scope: removal.approve(scope, writer.organization, digest, person))

    with pytest.raises(Problem, match="24 hours after you asked"):
        approve(passkey=True)
    look("UPDATE removals SET asked_at = now() - interval '25 hours'")
    with pytest.raises(Problem, match="Prove with a passkey"):
        approve(passkey=False)
    assert approve(passkey=True).state == "undoing"


def test_a_removal_that_is_cancelled_lets_the_connection_live_on(writer: Writer, anna: Person, look: Look) -> None:
    """What waits is over without a trace; what was begun stays let go, and devices can be pinned again."""
    written(writer)
    ask(writer, "undo", anna)
    with pytest.raises(Problem, match="is being removed, or is removed"):
        act(writer, lambda scope: pins.set_pin(scope, writer.organization, GUID, "allow", "why", None, ANNA))
    assert act(writer, lambda scope: removal.cancel(scope, writer.organization, anna)).state == "cancelled"
    assert state(writer) == "connected"
    writer.pin("allow")
    with pytest.raises(Problem, match="Nothing is being removed"):
        act(writer, lambda scope: removal.cancel(scope, writer.organization, anna))
    assert look("SELECT state FROM removals") == [{"state": "cancelled"}]


def test_a_dead_connectors_undoing_ends_by_force(writer: Writer, anna: Person, look: Look) -> None:
    """The removal that was begun is cancelled with why, and another is done at once."""
    written(writer)
    ask(writer, "undo", anna)
    with pytest.raises(Problem, match="being taken back already"):
        ask(writer, "undo", anna)
    assert ask(writer, "force", anna).state == "done"
    assert state(writer) == "removed"
    ended = look("SELECT ending, state, why FROM removals ORDER BY ended_at, asked_at")
    assert [(row["ending"], row["state"]) for row in ended] == [("undo", "cancelled"), ("force", "done")]
    with pytest.raises(Problem, match="removed already"):
        ask(writer, "leave", anna)


def test_what_was_left_in_place_is_known_as_ours_by_the_next_connector(writer: Writer, anna: Person) -> None:
    """Set up again, nothing is taken off or put back by itself; a pin finds the entry that is ours already."""
    written(writer)
    ask(writer, "leave", anna)
    again = type(writer.speaker)(writer.service.url)
    answer = again.enrol(writer.service.ticket())
    assert answer.status_code == 200, answer.text
    assert again.identity["organization"] == str(writer.organization)
    assert again.identity["epoch"] == writer.speaker.identity["epoch"] + 1
    assert state(writer) == "connected"
    next_writer = Writer(writer.service, again)
    assert next_writer.say()["desired"] == []
    next_writer.pin("allow")
    next_writer.say()
    assert next_writer.row is not None
    assert next_writer.row["owned"] == ["allow"]
    next_writer.say(saw(ListName.ALLOW, next_writer.row["revision"]))
    assert [entry["list"] for entry in look_at(next_writer).entries] == ["allow"]


def test_an_organization_that_nobody_ever_connected_can_be_removed(writer: Writer, anna: Person, look: Look) -> None:
    """A ticket was made and never used: nothing to take back, and no connector to wait for."""
    writer.service.ticket("Branch")
    [row] = look("SELECT organization_id FROM organizations WHERE name = 'Branch'")
    pending: UUID = row["organization_id"]
    seen = act(writer, lambda scope: removal.preview(scope, pending))
    done = act(writer, lambda scope: removal.ask(scope, pending, "undo", seen.digest, anna))
    assert done.state == "done"


def test_a_removal_of_another_kind_is_refused(writer: Writer, anna: Person) -> None:
    """The message names what there is."""
    with pytest.raises(Problem, match="leave, file, undo or force"):
        ask(writer, "vanish", anna)
    with pytest.raises(Problem, match="no such organization"):
        act(writer, lambda scope: removal.preview(scope, GUID))


def test_many_rows_are_let_go_in_revisions_that_a_page_can_hold(writer: Writer, anna: Person, look: Look) -> None:
    """A revision is told whole, so thousands of rows under one would not fit an answer."""
    look(
        "INSERT INTO list_entries (organization_id, mailbox_guid, device_id, list, ownership, intended_revision) "
        "SELECT %s, %s, 'MANY' || n, 'allow', 'ours', 1 FROM generate_series(1, 2500) n",
        writer.organization,
        MAILBOX,
    )
    ask(writer, "undo", anna)
    told = look("SELECT revision, count(*) AS n FROM desired WHERE level = 'leave' GROUP BY 1 ORDER BY 1")
    assert [row["n"] for row in told] == [1000, 1000, 500]
    assert look("SELECT revision FROM desired_heads")[0]["revision"] == told[-1]["revision"]


def test_stopped_writing_says_who_and_why_until_it_is_released(writer: Writer, look: Look) -> None:
    """Twice is refused; each step is an event with what was before and is after."""

    def stop(reason: str) -> None:
        act(writer, lambda scope: connections.stop_writing(scope, writer.organization, reason, "anna"))

    with pytest.raises(Problem, match="Say why"):
        stop("  ")
    stop("The help desk is flooded")
    with pytest.raises(Problem, match="stopped already"):
        stop("again")
    shown = act(writer, lambda scope: connections.connection(scope, writer.organization))
    assert shown.stopped is not None
    assert (shown.stopped.by, shown.stopped.why) == ("anna", "The help desk is flooded")
    act(writer, lambda scope: connections.release_writing(scope, writer.organization, "bert"))
    with pytest.raises(Problem, match="not stopped"):
        act(writer, lambda scope: connections.release_writing(scope, writer.organization, "bert"))
    [stopped, released] = look("SELECT actor, body FROM events WHERE name LIKE 'console:writing:%%' ORDER BY at")
    assert (stopped["actor"], stopped["body"]["before"], stopped["body"]["after"]["by"]) == ("anna", None, "anna")
    assert (released["actor"], released["body"]["after"]) == ("bert", None)
    assert released["body"]["before"]["why"] == "The help desk is flooded"
