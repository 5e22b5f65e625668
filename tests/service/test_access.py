"""Publishing: revisions in the order of commits, intents before anything is told, findings that come and go."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from gatepost.domain.contract import Scope as Extent
from gatepost.domain.desired import Level, ListName, Result
from gatepost.errors import Problem
from gatepost.service import access
from gatepost.service.database import Database
from tests.fixtures.service import Service, in_thread
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.writing import DEVICE, MAILBOX, NEITHER, START, Writer, outcome, saw, wrote

BLOCK = ListName.BLOCK


def findings(look: Look) -> list[tuple[str, str]]:
    """Code and subject of the service's findings that stand."""
    rows = look("SELECT code, subject FROM findings WHERE origin = 'service' AND ended_at IS NULL ORDER BY code")
    return [(row["code"], row["subject"]) for row in rows]


def events(look: Look, pattern: str) -> list[dict[str, Any]]:
    """Bodies of the events of this name, oldest first."""
    return [row["body"] for row in look("SELECT body FROM events WHERE name LIKE %s ORDER BY at", pattern)]


def test_a_published_row_reaches_the_connector_with_its_revision(writer: Writer, look: Look) -> None:
    """Level, reason and entry; recorded in the ledger and the audit trail by the same transaction."""
    writer.pin("block")
    writer.say()
    assert writer.answer["desired"] == [
        {
            "mailbox": str(MAILBOX),
            "device_id": DEVICE,
            "level": "block",
            "reason": "pinned",
            "revision": 1,
            "entry": "block",
            "owned": [],
            "tried": [],
        }
    ]
    assert look("SELECT list, ownership, intended_revision FROM list_entries") == [
        {"list": "block", "ownership": "intended", "intended_revision": 1}
    ]
    [published] = events(look, "service:level:published")
    assert (published["level"], published["was"], published["revision"]) == ("block", None, 1)


def test_the_same_level_is_not_published_again(writer: Writer, look: Look) -> None:
    """A pin that changes nothing of level and reason wakes nobody."""
    writer.pin()
    writer.pin()
    assert look("SELECT revision FROM desired_heads") == [{"revision": 1}]


def test_a_published_row_wakes_the_connector_that_waits(writer: Writer) -> None:
    """The held-open request is answered at once with the new revision."""
    writer.say()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(writer.speaker.wait, 0, 30)
        writer.pin()
        assert waiting.result(20).json()["revision"] == 1


def test_the_order_of_commits_is_the_order_of_revisions(writer: Writer, service: Service) -> None:
    """Many publish at once, and whoever asks by revision misses nothing: no lower number commits after a higher one."""
    keys = [(MAILBOX, f"id-{number}") for number in range(40)]
    seen: list[int] = []
    done = threading.Event()

    def ask() -> None:
        """A reader that remembers how far it got, as a connector does."""
        with psycopg.connect(service.urls.superuser, autocommit=True) as connection:
            last = False
            while not last:
                last = done.is_set()
                rows = connection.execute(
                    "SELECT revision FROM desired WHERE tenant_id = %s AND revision > %s ORDER BY revision",
                    [service.tenant_id, seen[-1] if seen else 0],
                ).fetchall()
                seen.extend(row[0] for row in rows)

    async def publish(database: Database, key: tuple[UUID, str]) -> None:
        async with database.tenant(service.tenant_id) as scope:
            await access.lock_head(scope, writer.organization)
            await access.publish(scope, writer.organization, key, Level.BLOCK, "why")

    async def all_at_once() -> None:
        async with await Database.open(service.urls.app, size=8) as database:
            await asyncio.gather(*(publish(database, key) for key in keys))

    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(ask)
        in_thread(lambda: asyncio.run(all_at_once()))
        done.set()
        reader.result(20)
    assert seen == list(range(1, 41))


def test_nothing_can_be_published_where_no_connector_ever_enrolled(service: Service) -> None:
    """In words."""
    service.ticket("Elsewhere")

    async def lock() -> None:
        async with (
            await Database.open(service.urls.app, size=1) as database,
            database.tenant(service.tenant_id) as scope,
        ):
            row = await scope.one("connections.organizations")
            assert row is not None
            await access.lock_head(scope, row["organization_id"])

    with pytest.raises(Problem, match="No connector is enrolled that could carry this out"):
        in_thread(lambda: asyncio.run(lock()))


def test_an_opposite_entry_that_is_known_is_a_finding_at_once(writer: Writer, look: Look) -> None:
    """As the last inventory saw it, in whatever spelling; it is published all the same, and ends with the pin."""
    writer.speaker.synchronise([device(0)], [mailbox(0, blocked_ids=["dev00000"])], scope=Extent.QUICK)
    writer.pin()
    assert findings(look) == [("beyond-foreign-block", ""), ("list-conflict", f"{MAILBOX}/{DEVICE}")]
    cause = look("SELECT cause, remedy FROM findings WHERE code = 'list-conflict'")[0]
    assert "DEV00000 in the mailbox user0@example.test is to have the level allow" in cause["cause"]
    assert cause["remedy"].startswith("Take it off that list in Exchange, or change the pin or the policy.")
    assert len(writer.say()["desired"]) == 1
    writer.unpin()
    assert findings(look) == []


def test_an_opposite_entry_that_is_ours_is_none(writer: Writer, look: Look) -> None:
    """It is going to be withdrawn with the same write."""
    writer.pin("block")
    writer.say()
    writer.say(wrote(BLOCK, writer.held))
    writer.speaker.synchronise([device(0)], [mailbox(0, blocked_ids=[DEVICE])], scope=Extent.QUICK)
    writer.pin()
    assert findings(look) == []


@pytest.mark.parametrize(
    ("result", "code", "words"),
    [
        (Result.CONFLICT, "list-conflict", "somebody else put it on the mailbox's list of blocked devices"),
        (Result.REFUSED, "write-refused", "Exchange denies the connector's account the write: Access is denied."),
        (Result.FAILED, "write-failed", "could not be given the level allow: Access is denied."),
        (Result.UNCERTAIN, "write-uncertain", "nobody knows its end yet: Access is denied."),
        (Result.OUT_OF_SCOPE, "write-out-of-scope", "is outside of the connector's scope"),
        (Result.CEILING, "write-ceiling", "the connector's ceiling of writes that take access away is reached"),
    ],
)
def test_what_is_in_the_way_is_a_finding_until_it_is_done(
    writer: Writer, look: Look, result: Result, code: str, words: str
) -> None:
    """With cause and remedy; ended by the outcome that says that it was written."""
    writer.pin()
    writer.say()
    writer.say(outcome(result, writer.held, before=NEITHER, why="Access is denied."))
    assert [found for found, _ in findings(look)] == [code]
    told = look("SELECT cause, remedy FROM findings WHERE code = %s", code)[0]
    assert words in told["cause"]
    assert told["remedy"]
    writer.say(wrote(ListName.ALLOW, writer.held, at=START + timedelta(hours=1)))
    assert findings(look) == []


@pytest.mark.parametrize("result", [Result.OBSERVED, Result.UNCHANGED])
def test_what_is_as_it_should_be_is_no_finding(writer: Writer, look: Look, result: Result) -> None:
    """To observe is what a local administrator chose, and the page says so."""
    writer.pin()
    writer.say()
    writer.say(outcome(result, writer.held, before=NEITHER))
    assert findings(look) == []


def test_a_presumed_entry_is_a_finding(writer: Writer, look: Look) -> None:
    """Somebody should know that we take it for ours."""
    writer.pin()
    writer.say()
    writer.say(outcome(Result.UNCERTAIN, writer.held))
    writer.say(saw(ListName.ALLOW, writer.held, at=START + timedelta(1)))
    assert [code for code, _ in findings(look)] == ["entry-presumed"]


def test_an_outcome_of_an_older_revision_is_no_finding_of_the_newer(writer: Writer, look: Look) -> None:
    """What was in the way of the one says nothing of the other."""
    writer.pin()
    writer.say()
    older = writer.held
    writer.pin("block")
    writer.say(outcome(Result.REFUSED, older, before=NEITHER))
    assert findings(look) == []


def test_every_change_of_a_list_is_an_event(writer: Writer, look: Look) -> None:
    """Written, withdrawn, conflict, refused: with mailbox, device and list."""
    writer.pin()
    writer.say()
    writer.say(
        wrote(ListName.ALLOW, writer.held, controller="dc1"),
        outcome(Result.REFUSED, writer.held, device_id="DEV00001"),
        saw(BLOCK, writer.held, Result.CONFLICT, device_id="DEV00002"),
    )
    [written] = events(look, "connector:entry:written")
    assert (written["mailbox"], written["device_id"], written["list"]) == (str(MAILBOX), DEVICE, "allow")
    assert written["controller"] == "dc1"
    assert [body["device_id"] for body in events(look, "connector:entry:refused")] == ["DEV00001"]
    assert [body["device_id"] for body in events(look, "connector:entry:conflict")] == ["DEV00002"]
    assert events(look, "connector:entry:withdrawn") == []


def test_rows_of_several_mailboxes_come_by_revision(writer: Writer) -> None:
    """And once each."""
    for number in range(4):
        writer.pin(number=number)
    rows = writer.say()["desired"]
    assert [row["revision"] for row in rows] == [1, 2, 3, 4]
    assert {row["device_id"] for row in rows} == {f"DEV0000{number}" for number in range(4)}
    assert writer.say()["desired"] == []
