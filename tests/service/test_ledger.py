"""The ledger in the database: whose entries are, told by connectors that lose their stores, repeat and overtake."""

import random
from datetime import timedelta
from typing import Any

import pytest

from gatepost.domain.contract import Kind
from gatepost.domain.desired import ListName, Outcome, Presence, Result
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker
from tests.service.writing import DEVICE, NEITHER, START, Writer, outcome, saw, withdrew, wrote

ALLOW, BLOCK = ListName.ALLOW, ListName.BLOCK


def owners(look: Look) -> dict[str, str]:
    """What the ledger calls each list's entry."""
    return {row["list"]: row["ownership"] for row in look("SELECT list, ownership FROM list_entries")}


def test_an_entry_that_we_wrote_is_ours_until_it_is_withdrawn(writer: Writer, look: Look) -> None:
    """Published, intended; written, ours; pin removed, withdrawn: and the connector is told whose it is."""
    writer.pin()
    assert owners(look) == {"allow": "intended"}
    writer.say()
    assert writer.row is not None
    assert (writer.row["entry"], writer.row["owned"], writer.row["tried"]) == ("allow", [], [])
    writer.say()
    writer.say(wrote(ALLOW, writer.held))
    assert owners(look) == {"allow": "ours"}
    writer.unpin()
    writer.say()
    assert (writer.row["level"], writer.row["entry"], writer.row["owned"]) == ("leave", "none", ["allow"])
    writer.say(withdrew(ALLOW, writer.held, at=START + timedelta(1)))
    assert owners(look) == {"allow": "withdrawn"}


def test_an_entry_that_was_there_before_is_foreign(writer: Writer, look: Look) -> None:
    """Nobody had tried: somebody else's, remembered as such, and never told as ours."""
    writer.pin()
    writer.say()
    writer.say()
    writer.say(saw(ALLOW, writer.held))
    assert look("SELECT ownership, present_before FROM list_entries") == [
        {"ownership": "foreign", "present_before": True}
    ]
    writer.unpin()
    writer.say()
    assert writer.row is not None
    assert (writer.row["owned"], writer.row["tried"]) == ([], [])


def test_after_a_lost_store_what_was_acknowledged_is_tried_and_then_presumed(writer: Writer, look: Look) -> None:
    """A write may have been made that nobody reported: an entry found now counts as ours."""
    writer.pin()
    writer.say()
    writer.say()  # acknowledges: a write may begin, and its report is lost
    writer.lose_store()
    writer.say()
    assert writer.row is not None
    assert (writer.row["owned"], writer.row["tried"]) == ([], ["allow"])
    writer.say(saw(ALLOW, writer.held))
    assert owners(look) == {"allow": "presumed"}
    writer.unpin()
    writer.say()
    assert writer.row["owned"] == ["allow"]


def test_what_was_never_acknowledged_is_not_tried(writer: Writer, look: Look) -> None:
    """The row was told, and the store lost before any document said that it was held: no write can have begun."""
    writer.pin()
    writer.say()
    writer.lose_store()
    writer.say()
    assert writer.row is not None
    assert writer.row["tried"] == []
    writer.say(saw(ALLOW, writer.held))
    assert owners(look) == {"allow": "foreign"}


def test_a_connector_that_observes_acknowledges_nothing(writer: Writer, look: Look) -> None:
    """What it holds was never written, so an entry that is found later is somebody else's."""
    writer.pin()
    for _ in range(3):
        writer.say(mode="observe")
    assert look("SELECT acknowledged FROM desired_heads") == [{"acknowledged": 0}]
    writer.lose_store()
    writer.say(mode="enforce")
    assert writer.row is not None
    assert writer.row["tried"] == []
    writer.say(saw(ALLOW, writer.held))
    assert owners(look) == {"allow": "foreign"}


def test_a_refused_write_leaves_a_later_entry_to_its_maker(writer: Writer, look: Look) -> None:
    """The store that was refused still stands and has reported no write: who made the entry was not us."""
    writer.pin()
    writer.say()
    writer.say()
    writer.say(outcome(Result.REFUSED, writer.held, before=NEITHER))
    assert owners(look) == {"allow": "intended"}
    writer.say(saw(ALLOW, writer.held, at=START + timedelta(hours=1)))
    assert owners(look) == {"allow": "foreign"}


def test_an_uncertain_write_is_presumed_ours_once_its_entry_is_seen(writer: Writer, look: Look) -> None:
    """And told as tried meanwhile; where it is not seen, it was not made."""
    writer.pin()
    writer.say()
    writer.say()
    writer.say(outcome(Result.UNCERTAIN, writer.held, before=NEITHER))
    writer.pin("block")
    writer.say()
    assert writer.row is not None
    assert writer.row["tried"] == ["allow"]
    writer.say(saw(ALLOW, writer.held, at=START + timedelta(hours=1)))
    assert owners(look) == {"allow": "presumed", "block": "intended"}


def test_another_enrolment_begins_another_memory(service: Service, writer: Writer, look: Look) -> None:
    """What the connector before may have written is tried for its successor; its farewell sets it right."""
    writer.pin()
    writer.say()
    writer.say()
    late = wrote(ALLOW, writer.held)
    successor = Writer(service, Speaker(service.url))
    successor.speaker.enrol(service.ticket())
    successor.say()
    assert successor.row is not None
    assert successor.row["tried"] == ["allow"]
    successor.say(saw(ALLOW, successor.held, at=START + timedelta(hours=1)))
    assert owners(look) == {"allow": "presumed"}
    assert writer.speaker.farewell([late.document()]).status_code == 200
    assert owners(look) == {"allow": "ours"}


def test_a_late_report_of_an_entry_that_is_wanted_no_more_publishes_the_row_again(writer: Writer, look: Look) -> None:
    """Told of the removal before it reported its write, the connector would take its own entry for a foreign one."""
    writer.pin()
    writer.say()
    writer.say()
    worked_on = writer.held
    writer.unpin()
    writer.say()
    assert writer.row is not None
    assert (writer.row["level"], writer.row["owned"]) == ("leave", [])
    writer.say(wrote(ALLOW, worked_on))
    assert (writer.row["revision"], writer.row["owned"]) == (worked_on + 2, ["allow"])
    revision = writer.held
    writer.say(saw(ALLOW, worked_on, at=START + timedelta(1)))
    assert writer.held == revision, "nothing is published where nothing new was learned"


def test_a_pin_turned_round_moves_our_entry(writer: Writer, look: Look) -> None:
    """From allow to block: the one withdrawn, the other ours."""
    writer.pin()
    writer.say()
    writer.say(wrote(ALLOW, writer.held))
    writer.pin("block")
    writer.say()
    assert writer.row is not None
    assert (writer.row["entry"], writer.row["owned"]) == ("block", ["allow"])
    moved = outcome(
        Result.APPLIED,
        writer.held,
        before=Presence(True, False),
        after=Presence(False, True),
        added=(BLOCK,),
        removed=(ALLOW,),
    )
    writer.say(moved)
    assert owners(look) == {"allow": "withdrawn", "block": "ours"}


def tale(revision: int) -> list[Outcome]:
    """What a connector may say of one row under three revisions, in the order in which it happened."""
    return [
        outcome(Result.OBSERVED, revision, before=NEITHER),
        wrote(ALLOW, revision, at=START + timedelta(minutes=1)),
        saw(ALLOW, revision, at=START + timedelta(minutes=2)),
        withdrew(ALLOW, revision + 1, at=START + timedelta(minutes=3)),
        saw(ALLOW, revision + 1, Result.UNCHANGED, at=START + timedelta(minutes=4)),
        outcome(Result.UNCERTAIN, revision + 2, before=NEITHER, at=START + timedelta(minutes=5)),
        saw(ALLOW, revision + 2, at=START + timedelta(minutes=6)),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_repetition_of_outcomes_gives_the_same_ledger(writer: Writer, look: Look, seed: int) -> None:
    """And the newest of them is what is shown, whenever it came."""
    chance = random.Random(seed)
    writer.pin()
    writer.say()
    first = writer.held
    writer.unpin()
    writer.pin()
    writer.say()
    told = tale(first)
    mixed = chance.sample(told, len(told))
    for start in range(0, len(mixed), 3):
        writer.say(*mixed[start : start + 3], *chance.choices(mixed[: start + 3], k=2))
    writer.say(*mixed)
    assert look("SELECT list, ownership, present_before FROM list_entries") == [
        {"list": "allow", "ownership": "presumed", "present_before": False}
    ]
    assert look("SELECT result, result_revision FROM desired") == [
        {"result": "unchanged", "result_revision": first + 2}
    ]
    assert look("SELECT count(*) AS n FROM outcomes") == [{"n": len(told)}]


def test_an_older_outcome_does_not_replace_a_newer_one(writer: Writer, look: Look) -> None:
    """What is shown stays; what it added counts."""
    writer.pin()
    writer.say()
    writer.pin("block")
    writer.say()
    writer.say(saw(ALLOW, writer.held, Result.CONFLICT, at=START + timedelta(1)))
    assert owners(look) == {"allow": "foreign", "block": "intended"}
    writer.say(wrote(ALLOW, writer.held - 1))
    assert owners(look)["allow"] == "ours"
    assert look("SELECT result FROM desired") == [{"result": "conflict"}]


def test_an_outcome_of_a_device_that_nothing_is_published_of_is_kept(writer: Writer, look: Look) -> None:
    """After a restored database: an entry of ours stays known as ours."""
    writer.say(wrote(ALLOW, 7))
    assert owners(look) == {"allow": "ours"}
    assert look("SELECT count(*) AS n FROM desired") == [{"n": 0}]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"result": "done"}, "outcomes[0].result"),
        ({"mailbox": "m"}, "outcomes[0].mailbox"),
        ({"device_id": "a\0b"}, "outcomes[0]"),
        ({"added": ["allow"], "result": "unchanged"}, "outcomes[0].result"),
        ({"at": "yesterday"}, "outcomes[0]"),
    ],
)
def test_a_malformed_outcome_stops_only_itself(writer: Writer, look: Look, change: dict[str, Any], place: str) -> None:
    """A finding and an event name its place; the others of its document are taken, and the document is answered."""
    writer.pin()
    writer.pin(number=1)
    writer.say()
    bad = wrote(ALLOW, writer.held).document() | {"added": []} | change
    good = wrote(ALLOW, writer.held, device_id="DEV00001").document()
    writer.speaker.say(outcomes=(bad, good))
    told = look("SELECT device_id, ownership FROM list_entries ORDER BY 1")
    assert [row["ownership"] for row in told] == ["intended", "ours"]
    [finding] = look(
        "SELECT origin, subject, cause FROM findings WHERE code = 'outcome-malformed' AND ended_at IS NULL"
    )
    assert finding["origin"] == "service"
    assert f"The document is malformed at {place}: " in finding["cause"]
    assert look("SELECT count(*) AS n FROM events WHERE name = 'service:outcome:refused'") == [{"n": 1}]


def test_a_device_id_that_no_index_holds_is_malformed(writer: Writer, look: Look) -> None:
    """It would break the transaction of all the others."""
    writer.speaker.say(outcomes=(wrote(ALLOW, 1, device_id="\u4e00" * 400).document(),))
    assert owners(look) == {}
    [finding] = look("SELECT cause FROM findings WHERE code = 'outcome-malformed'")
    assert "has a device id that is too long" in finding["cause"]


def test_an_outcome_of_a_revision_that_was_never_given_out_does_not_outlast_newer_ones(
    writer: Writer, look: Look
) -> None:
    """After a restored database revisions are given out again: what is read later counts, whatever its number."""
    writer.pin()
    writer.say()
    writer.say()
    writer.say(saw(BLOCK, 1_000, Result.CONFLICT))
    writer.say(wrote(ALLOW, writer.held, at=START + timedelta(1)))
    assert owners(look) == {"allow": "ours", "block": "withdrawn"}
    assert look("SELECT result FROM desired") == [{"result": "applied"}]


def test_what_takes_access_away_is_counted_for_an_hour(writer: Writer, look: Look) -> None:
    """Blocks added and allow entries removed, not what gives access; told in every answer."""
    writer.pin("block")
    writer.say()
    assert writer.answer["taken_away"] == 0
    writer.say(
        wrote(BLOCK, writer.held),
        withdrew(ALLOW, writer.held, device_id="DEV00001"),
        wrote(ALLOW, writer.held, device_id="DEV00002"),
    )
    assert writer.answer["taken_away"] == 2
    look("UPDATE outcomes SET received_at = now() - interval '61 minutes' WHERE body ->> 'device_id' = %s", DEVICE)
    assert writer.say()["taken_away"] == 1


def test_a_document_sent_again_tells_the_same_of_whose_entries_are(writer: Writer) -> None:
    """The answer is made anew from the memory that spoke."""
    writer.pin()
    writer.say()
    writer.say()
    writer.lose_store()
    speaker = writer.speaker
    speaker.revision = 0
    document = speaker.document(Kind.CYCLE, speaker.sequence + 1)
    first, again = speaker.send(document).json(), speaker.send(document).json()
    assert first["desired"] == again["desired"]
    assert first["desired"][0]["tried"] == ["allow"]
