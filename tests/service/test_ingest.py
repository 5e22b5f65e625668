"""The laws of check-ins: exactly once, in order, from one connector and one instance."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from gatepost.domain.contract import DEVICE_COLUMNS, Facts, Kind, Sync, Table, digest
from gatepost.errors import Problem
from gatepost.service import ingest
from gatepost.service.connectors import Connector
from gatepost.service.database import Database
from tests.fixtures.service import Service, in_thread
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device


def problem(answer: requests.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem document of an answer, which must be of this status and type."""
    assert (answer.status_code, answer.json()["type"]) == (status, kind), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    fields: dict[str, Any] = answer.json()
    return fields


def test_the_answer_carries_what_the_contract_says(speaker: Speaker) -> None:
    """Sequence, server time, incarnation, lease, revision, and nothing desired yet."""
    answer = speaker.say()
    assert answer["sequence"] == 1
    assert answer["incarnation"] == speaker.identity["incarnation"]
    assert answer["lease_seconds"] == 120
    assert answer["write_in_seconds"] == 0
    assert (answer["revision_from"], answer["revision"], answer["more"], answer["desired"]) == (0, 0, False, [])
    assert answer["sync"] == "none"
    assert abs(datetime.fromisoformat(answer["server_time"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_status_is_kept_for_the_console(speaker: Speaker, look: Look) -> None:
    """What the connector says of itself can be shown."""
    speaker.say()
    row = look("SELECT status, sequence, digest, instance::text FROM checkins")[0]
    assert row["status"]["version"] == "0.1.0"
    assert (row["sequence"], row["instance"]) == (1, speaker.instance)


def test_a_document_sent_again_is_applied_once(speaker: Speaker, look: Look) -> None:
    """The same bytes get the same result and change nothing."""
    announced, _ = speaker.begin([device(1), device(1, friendly_name="bad\0")], [])
    facts = Facts(devices=Table(DEVICE_COLUMNS, (device(1), device(2, friendly_name="bad\0"))))
    document = speaker.document(Kind.SYNC_PART, 2, sync=Sync(announced.sync_id, part=1), facts=facts)
    first, again = speaker.send(document).json(), speaker.send(document).json()
    assert first["result"] == again["result"]
    assert first["result"]["state"] == "merged"
    assert len(again["result"]["rejected"]) == 1
    assert look("SELECT received_parts, received_devices FROM syncs") == [{"received_parts": 1, "received_devices": 2}]
    assert look("SELECT digest FROM checkins")[0]["digest"] == digest(document)


def test_a_number_used_for_other_bytes_is_refused(speaker: Speaker, look: Look) -> None:
    """A store that was rolled back, or a clone, is told."""
    speaker.say()
    answer = speaker.send(speaker.document(Kind.CYCLE, 1, revision=7))
    assert problem(answer, 409, "sequence-reused")["expected"] == 2
    assert look("SELECT sequence FROM checkins")[0]["sequence"] == 1


@pytest.mark.parametrize("number", [0, 1, 2, 4, 9_000_000_000])
def test_a_number_out_of_turn_is_a_gap_that_says_what_is_expected(speaker: Speaker, number: int, look: Look) -> None:
    """A fresh store sends 0, which is never applied, and adopts what it is told."""
    speaker.say()
    speaker.say()
    kind = "sequence-reused" if number == 2 else "sequence-gap"
    assert problem(speaker.send(speaker.document(Kind.CYCLE, number, revision=1)), 409, kind)["expected"] == 3
    assert look("SELECT sequence FROM checkins")[0]["sequence"] == 2


def test_sequence_0_is_a_gap_on_a_new_connector_too(speaker: Speaker) -> None:
    """Nothing was applied yet, and 0 is still not applied."""
    assert problem(speaker.send(speaker.document(Kind.CYCLE, 0)), 409, "sequence-gap")["expected"] == 1


def test_a_new_enrolment_fences_the_connector_before(service: Service, speaker: Speaker, look: Look) -> None:
    """The older one is told by whom it was replaced, and may only say farewell."""
    speaker.say()
    successor = Speaker(service.url)
    assert successor.enrol(service.ticket(), host="mail2").json()["epoch"] == 2
    fields = problem(speaker.send(speaker.document(Kind.CYCLE, 2)), 403, "superseded")
    assert fields["by"] == "mail2"
    assert problem(speaker.wait(), 403, "superseded")
    outcome = {"outcome_id": str(uuid4()), "about": "wipe", "result": "done", "at": "2026-01-01T00:00:00Z"}
    assert speaker.farewell([outcome]).status_code == 200
    assert look("SELECT result FROM outcomes") == [{"result": "done"}]


def test_a_successor_writes_only_after_the_older_lease(service: Service, speaker: Speaker) -> None:
    """Leases of one organization never overlap: the new connector is told to wait, until the old one says farewell."""
    speaker.say()
    successor = Speaker(service.url)
    successor.enrol(service.ticket())
    assert 110 <= successor.say()["write_in_seconds"] <= 121
    speaker.farewell()
    assert successor.say()["write_in_seconds"] <= 1


def test_a_farewell_of_a_day_ago_is_too_late(service: Service, speaker: Speaker, look: Look) -> None:
    """A replaced connector is heard for 24 hours."""
    Speaker(service.url).enrol(service.ticket())
    look("UPDATE connectors SET superseded_at = now() - interval '25 hours' WHERE epoch = 1")
    problem(speaker.farewell(), 403, "superseded")


def test_another_instance_waits_for_the_lease(service: Service, speaker: Speaker, look: Look) -> None:
    """A clone with the same key may not speak while the first holds the lease; after it, it may."""
    speaker.say()
    clone = speaker.clone()
    seconds = problem(clone.send(clone.document(Kind.CYCLE, 2)), 409, "lease-held")["seconds"]
    assert 110 <= seconds <= 121
    problem(clone.wait(), 409, "lease-held")
    look("UPDATE checkins SET lease_until = now() - interval '1 second'")
    assert clone.send(clone.document(Kind.CYCLE, 2)).status_code == 200
    problem(speaker.send(speaker.document(Kind.CYCLE, 3)), 409, "lease-held")


def test_a_clones_farewell_does_not_end_the_lease_of_another(service: Service, speaker: Speaker) -> None:
    """Only the instance that holds the lease ends it."""
    speaker.say()
    clone = speaker.clone()
    assert clone.farewell().status_code == 200
    problem(clone.send(clone.document(Kind.CYCLE, 2)), 409, "lease-held")


def test_another_history_of_the_database_is_refused(speaker: Speaker, look: Look) -> None:
    """After a restore the connector begins afresh."""
    speaker.say()
    new = str(uuid4())
    look("UPDATE incarnation SET incarnation = %s", new)
    assert problem(speaker.send(speaker.document(Kind.CYCLE, 2)), 409, "incarnation")["incarnation"] == new
    speaker.identity["incarnation"] = new
    assert speaker.say()["incarnation"] == new


def test_outcomes_are_kept_once(speaker: Speaker, look: Look) -> None:
    """The same outcome in a later document is ignored."""
    outcome = {"outcome_id": str(uuid4()), "about": "x", "result": "done", "at": None, "read_back": {"a": "\0"}}
    speaker.say(outcomes=(outcome,))
    speaker.say(outcomes=(outcome,))
    assert look("SELECT about, result FROM outcomes") == [{"about": "x", "result": "done"}]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"kind": Kind.SYNC_BEGIN}, "sync"),
        ({"kind": Kind.SYNC_BEGIN, "sync": Sync("x" * 101)}, "sync.sync_id"),
        ({"kind": Kind.SYNC_BEGIN, "sync": Sync("a\0b")}, "sync.sync_id"),
        ({"kind": Kind.SYNC_BEGIN, "sync": Sync("a", devices=2**40)}, "sync"),
        ({"kind": Kind.SYNC_BEGIN, "sync": Sync("a", digest="zz")}, "sync.digest"),
        ({"facts": Facts(devices=Table(("model",), (("x",),)))}, "facts.devices.columns"),
        ({"facts": Facts(settings={"a": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]})}, "document"),
    ],
)
def test_what_the_contract_forbids_is_named(speaker: Speaker, fields: dict[str, Any], place: str, look: Look) -> None:
    """A malformed document names the place, changes nothing and uses up no number."""
    answer = speaker.send(speaker.document(fields.pop("kind", Kind.CYCLE), 1, **fields))
    assert problem(answer, 400, "malformed")["place"] == place
    assert place in answer.json()["detail"]
    assert look("SELECT sequence FROM checkins")[0]["sequence"] == 0
    speaker.say()


def test_a_newer_contract_is_told_which_one_is_spoken(speaker: Speaker) -> None:
    """The connector falls to what the answer names."""
    answer = speaker.send(speaker.document(Kind.CYCLE, 1, contract=2))
    assert problem(answer, 422, "contract")["supported"] == [1]


@pytest.mark.parametrize("field", ["organization", "epoch"])
def test_a_document_about_something_else_is_malformed(speaker: Speaker, field: str) -> None:
    """Organization and epoch of the document are those of the connector."""
    other: Any = str(uuid4()) if field == "organization" else 7
    problem(speaker.send(speaker.document(Kind.CYCLE, 1, **{field: other})), 400, "malformed")


def test_texts_that_no_database_holds_do_not_break_a_status(speaker: Speaker, look: Look) -> None:
    """NUL, half a surrogate pair and NaN in settings and findings are mended, and the rest is kept."""
    settings = {"default_level": "Quarantine\0", "name": "a\ud800b", "odd": float("nan")}
    finding = {"code": "x", "subject": "\0\udfff", "cause": 7, "remedy": "r" * 9_000}
    speaker.say(facts=Facts(settings=settings, findings=(finding,)))
    assert look("SELECT default_level, settings FROM org_settings") == [
        {"default_level": "Quarantine", "settings": {"default_level": "Quarantine�", "name": "a?b", "odd": None}}
    ]
    assert look("SELECT code, subject, length(remedy) AS long FROM findings") == [
        {"code": "x", "subject": "\\0\\udfff", "long": 1_000}
    ]


def test_findings_of_a_full_listing_replace_those_of_the_one_before(speaker: Speaker, look: Look) -> None:
    """What a full synchronisation does not tell any more is over."""
    one, two = ({"code": code, "subject": "s", "cause": "c", "remedy": "r"} for code in ("one", "two"))
    speaker.say(Kind.SYNC_BEGIN, sync=Sync("1"), facts=Facts(findings=(one, two)))
    speaker.say(Kind.SYNC_BEGIN, sync=Sync("2"), facts=Facts(findings=(two,)))
    rows = look("SELECT code, ended_at IS NULL AS there FROM findings ORDER BY code")
    assert rows == [{"code": "one", "there": False}, {"code": "two", "there": True}]


def test_an_order_is_gone_and_a_claim_of_notices_says_which(speaker: Speaker) -> None:
    """There are no orders yet, as the protocol answers it; a claim that names no notices is malformed."""
    problem(speaker.ask("POST", f"orders/{uuid4()}/claim"), 409, "gone")
    problem(speaker.ask("POST", "notices/claim"), 400, "malformed")


def test_a_superseded_connector_that_waits_gets_no_lease(service: Service, speaker: Speaker, look: Look) -> None:
    """It was let in before the other enrolled, and is woken after: two leases must not overlap."""
    speaker.say()
    connector = Connector(
        service.tenant_id,
        UUID(speaker.identity["connector"]),
        UUID(speaker.identity["organization"]),
        speaker.identity["epoch"],
        UUID(speaker.instance),
        datetime.now(UTC),
    )
    before = look("SELECT lease_until FROM checkins")
    Speaker(service.url).enrol(service.ticket())

    async def renew() -> None:
        async with await Database.open(service.urls.app, size=1) as db, db.tenant(service.tenant_id) as scope:
            await ingest.renew(scope, connector)

    with pytest.raises(Problem, match="Another connector has just taken over") as caught:
        in_thread(asyncio.run, renew())
    assert (caught.value.status, caught.value.type) == (403, "superseded")
    assert look("SELECT lease_until FROM checkins WHERE lease_until IS NOT NULL") == before


def test_a_finding_of_many_long_characters_is_kept_in_part(speaker: Speaker, look: Look) -> None:
    """Code and subject are a key, so they are cut by bytes, and no character in two."""
    subject = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(1_000))
    speaker.say(facts=Facts(findings=({"code": "é" * 500, "subject": subject},)))
    row = look("SELECT code, subject FROM findings")[0]
    assert row == {"code": "é" * 100, "subject": subject[:600]}


def test_numbers_past_any_listing_are_malformed(speaker: Speaker) -> None:
    """What is announced leaves room for what is counted."""
    sync = Sync("1", devices=1, digest="0", unreadable=2**31 - 1)
    told = problem(speaker.send(speaker.document(Kind.SYNC_BEGIN, 1, sync=sync)), 400, "malformed")
    assert told["detail"] == "The document is malformed at sync: a number is more than 100,000,000."


UNTAKEN = {
    "facts.gone": Facts(gone=(device(1)[0],)),
    "facts.people": Facts(people=Table(("person_id",), (("x",),))),
    "facts.groups": Facts(groups=Table(("group_id",), (("x",),))),
}


@pytest.mark.parametrize("place", UNTAKEN)
def test_facts_that_are_not_taken_are_refused_by_name(speaker: Speaker, place: str) -> None:
    """Nothing that a connector tells is dropped in silence."""
    told = problem(speaker.send(speaker.document(Kind.CYCLE, 1, facts=UNTAKEN[place])), 400, "malformed")
    assert told["place"] == place
