"""Notices at the service: who is told what, once, when; what a claim gives; what outcomes make of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from gatepost.domain.desired import ListName
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.writing import Writer, withdrew, wrote

LONG_AGO = timedelta(minutes=6)


def claimed(writer: Writer, ids: list[str]) -> list[dict[str, Any]]:
    """What a claim of these gives; nothing where they are gone."""
    answer = writer.speaker.ask("POST", "notices/claim", json.dumps({"ids": ids}).encode())
    assert answer.status_code in (200, 409), answer.text
    letters: list[dict[str, Any]] = answer.json().get("letters", [])
    return letters


def due(writer: Writer) -> list[dict[str, Any]]:
    """What an answer names."""
    found: list[dict[str, Any]] = writer.say()["notices"]
    return found


def say(writer: Writer, letter: dict[str, Any], result: str, permit: str = "", why: str = "") -> None:
    """What became of it."""
    told = {"outcome_id": str(uuid4()), "about": "notice", "notice_id": letter["notice_id"], "result": result}
    told |= {"permit": permit or letter["permit"], "at": datetime.now(UTC).isoformat(), "why": why}
    writer.speaker.revision = writer.held
    writer.answer = writer.speaker.say(outcomes=(told,))


def block(writer: Writer, number: int = 0) -> None:
    """An administrator blocks a phone, and the connector does so."""
    writer.pin("block", number=number)
    writer.say()
    writer.say(wrote(ListName.BLOCK, writer.held, device_id=f"DEV{number:05d}", mailbox=mailbox(number // 2)[0]))


def unblock(writer: Writer) -> None:
    """And not any more."""
    writer.unpin()
    writer.say()
    writer.say(withdrew(ListName.BLOCK, writer.held))


def states(look: Look) -> list[str]:
    """The states of all notices, oldest first."""
    return [row["state"] for row in look("SELECT state FROM notices ORDER BY made_at, notice_id")]


def test_a_mail_is_made_when_the_decision_stands_and_given_once(writer: Writer, look: Look) -> None:
    """Nothing before the connector said so; then one mail, whose words come with the claim, and nobody else's."""
    writer.pin("block")
    writer.say()
    assert states(look) == []
    writer.say(wrote(ListName.BLOCK, writer.held))
    [named] = due(writer)
    assert set(named) == {"notice_id", "permit"}
    [letter] = claimed(writer, [named["notice_id"]])
    assert letter["to"] == "user0@example.test"
    assert letter["subject"] == "Phone 0 (iPhone10C1) can no longer read your work mail"
    assert "An administrator of your organization decided this for your phone." in letter["text"]
    assert "Hello User 0," in letter["html"]
    assert claimed(writer, [named["notice_id"]]) == []
    assert due(writer) == []
    say(writer, letter, "sent")
    assert states(look) == ["sent"]
    writer.say(wrote(ListName.BLOCK, writer.held))
    assert states(look) == ["sent"]
    [event] = look("SELECT body FROM events WHERE name = 'connector:notice:sent'")
    assert event["body"]["kind"] == "blocked"


def test_what_was_claimed_and_not_told_is_looked_for_and_sent_again_only_then(writer: Writer, look: Look) -> None:
    """Not before nothing of it can be under way; a late word of the first claim changes nothing; sent is sent."""
    block(writer)
    [named] = due(writer)
    [first] = claimed(writer, [named["notice_id"]])
    assert due(writer) == []
    look("UPDATE notices SET claimed_at = claimed_at - %s", LONG_AGO)
    assert due(writer) == [{"notice_id": first["notice_id"], "permit": first["permit"]}]
    say(writer, first, "unsent")
    assert due(writer) == []
    look("UPDATE notices SET due_at = now()")
    [again] = claimed(writer, [due(writer)[0]["notice_id"]])
    assert again["notice_id"] == first["notice_id"]
    say(writer, again, "unsent", permit=first["permit"])
    assert states(look) == ["claimed"]
    say(writer, again, "uncertain", why="the connection broke")
    assert states(look) == ["uncertain"]
    say(writer, again, "found", permit=first["permit"])
    assert states(look) == ["sent"]
    say(writer, again, "failed")
    assert states(look) == ["sent"]


def test_a_mailbox_that_is_away_for_long_loses_no_mail_but_old_ones(writer: Writer, look: Look) -> None:
    """However often it was tried it waits again; what would come two days late is given up, and said so."""
    block(writer)
    for _ in range(7):
        look("UPDATE notices SET due_at = now()")
        [letter] = claimed(writer, [due(writer)[0]["notice_id"]])
        say(writer, letter, "unsent", why="It is away.")
        assert states(look) == ["waiting"]
    look("UPDATE notices SET due_at = now()")
    [letter] = claimed(writer, [due(writer)[0]["notice_id"]])
    look("UPDATE notices SET made_at = now() - interval '49 hours'")
    say(writer, letter, "unsent", why="It is away.")
    assert look("SELECT state, why FROM notices") == [{"state": "failed", "why": "It is away."}]


@pytest.mark.parametrize(
    "fields",
    [{"kind": "shared"}, {"kind": "room"}, {"kind": "disabled"}, {"kind": "remote"}, {"primary_smtp": None}],
)
def test_a_mailbox_that_no_person_reads_is_never_mailed(writer: Writer, look: Look, fields: dict[str, Any]) -> None:
    """Neither a mail that is made, nor one that waits when the mailbox becomes so."""
    column, value = next(iter(fields.items()))
    block(writer)
    [named] = due(writer)
    statement = {"kind": "UPDATE mailboxes SET kind = %s", "primary_smtp": "UPDATE mailboxes SET primary_smtp = %s"}
    look(statement[column], value)
    assert claimed(writer, [named["notice_id"]]) == []
    [row] = look("SELECT state, why, recipient, text FROM notices")
    assert row == {"state": "dropped", "why": "nobody", "recipient": None, "text": None}
    look("UPDATE decisions SET announce = 'blocked'")
    look("UPDATE decisions SET since = now()")
    writer.say(wrote(ListName.BLOCK, writer.held))
    assert states(look) == ["dropped"]


def test_a_person_who_is_not_active_is_not_mailed(writer: Writer, look: Look) -> None:
    """Whoever left reads no mail."""
    look("INSERT INTO people (tenant_id, person_id, enabled) SELECT tenant_id, %s, false FROM organizations", uuid4())
    look("UPDATE mailboxes SET person_id = (SELECT person_id FROM people)")
    block(writer)
    assert states(look) == []


def test_what_was_turned_back_before_it_was_told_is_not_told(writer: Writer, look: Look) -> None:
    """Blocked and allowed again while the mail still waits: no mail at all, and none about the allowing."""
    block(writer)
    assert states(look) == ["waiting"]
    unblock(writer)
    look("UPDATE decisions SET announce = 'allowed'")
    writer.say(withdrew(ListName.BLOCK, writer.held))
    assert (states(look), due(writer)) == (["dropped"], [])
    block(writer)
    [named] = due(writer)
    look("UPDATE decisions SET level = 'leave'")
    assert claimed(writer, [named["notice_id"]]) == []
    assert [row["why"] for row in look("SELECT why FROM notices")] == ["overtaken", "overtaken"]


def test_one_mail_tells_of_all_phones_of_a_person(writer: Writer, look: Look) -> None:
    """A digest, where a second phone is blocked while the first mail waits; the other person has their own mail."""
    for number in (0, 1, 2):
        block(writer, number)
    letters = claimed(writer, [each["notice_id"] for each in due(writer)])
    by_reader = {letter["to"]: letter for letter in letters}
    assert set(by_reader) == {"user0@example.test", "user1@example.test"}
    digest = by_reader["user0@example.test"]
    assert digest["subject"] == "What has changed for your phones"
    assert "- Phone 0 (iPhone10C1) can no longer read your work mail." in digest["text"]
    assert "<li>Phone 1 (iPhone11C1) can no longer read your work mail." in digest["html"]
    assert [row["kind"] for row in look("SELECT DISTINCT kind FROM notices ORDER BY 1")] == ["blocked", "digest"]


def test_a_mailbox_that_has_had_its_mails_of_the_day_gets_the_rest_later(writer: Writer, look: Look) -> None:
    """The fourth of a day waits until a day after the first, and gathers what else happens until then."""
    look("INSERT INTO notice_settings (tenant_id, a_person) SELECT tenant_id, 1 FROM organizations")
    block(writer, 0)
    [letter] = claimed(writer, [due(writer)[0]["notice_id"]])
    say(writer, letter, "sent")
    block(writer, 1)
    assert due(writer) == []
    [row] = look("SELECT due_at - now() AS left FROM notices WHERE state = 'waiting'")
    assert timedelta(hours=23) < row["left"] <= timedelta(hours=24)
    block(writer, 2)
    assert len(due(writer)) == 1


def test_a_tenant_that_has_had_its_mails_of_the_day_sends_no_more(writer: Writer, look: Look) -> None:
    """What is over the limit waits; a claim of it is not granted either."""
    look("INSERT INTO notice_settings (tenant_id, a_tenant) SELECT tenant_id, 1 FROM organizations")
    block(writer, 0)
    block(writer, 2)
    [named] = due(writer)
    ids = [str(row["notice_id"]) for row in look("SELECT notice_id FROM notices")]
    assert len(claimed(writer, ids)) == 1
    assert due(writer) == []
    assert named["notice_id"] in ids
    assert sorted(states(look)) == ["claimed", "waiting"]


def test_nothing_is_told_in_observe_or_where_exchange_speaks(writer: Writer, look: Look) -> None:
    """In observe an announcement stays open; where Exchange speaks it is over, and no mail is made."""
    writer.pin("block")
    writer.say(mode="observe")
    writer.say(wrote(ListName.BLOCK, writer.held), mode="observe")
    assert (states(look), writer.answer["notices"]) == ([], [])
    look("INSERT INTO notice_settings (tenant_id, speaks) SELECT tenant_id, 'exchange' FROM organizations")
    writer.say(wrote(ListName.BLOCK, writer.held))
    writer.say(wrote(ListName.BLOCK, writer.held))
    assert states(look) == []
    assert look("SELECT announce FROM decisions WHERE announce IS NOT NULL") == []


def test_names_from_phones_and_directories_are_only_words(writer: Writer, look: Look) -> None:
    """No header, no markup, no link comes of a device's name or a person's."""
    evil = 'Jan"s\r\nBcc: x@evil.example <script>http://evil.example/a</script> {{link}}'
    look("UPDATE devices SET friendly_name = %s, model = NULL", evil)
    look("UPDATE mailboxes SET display_name = %s", "<b>Ann</b>\u202e www.evil.example")
    block(writer)
    [letter] = claimed(writer, [due(writer)[0]["notice_id"]])
    assert letter["subject"].isprintable()
    assert "<script" not in letter["html"]
    assert "<b>" not in letter["html"]
    for part in (letter["html"], letter["text"]):
        assert "evil.example" not in part
        assert "http://e" not in part
        assert "\u202e" not in part


def test_a_claim_is_checked(writer: Writer) -> None:
    """What is no list of ids is malformed, and what is nobody's is gone."""
    for body, status in (
        (b"{}", 400),
        (b'{"ids": []}', 400),
        (b'{"ids": ["x"]}', 400),
        (b'{"ids": [1]}', 400),
        (json.dumps({"ids": [str(uuid4())]}).encode(), 409),
    ):
        answer = writer.speaker.ask("POST", "notices/claim", body)
        assert answer.status_code == status, answer.text
    assert answer.json()["detail"] == "These notices are not there to be claimed."


def test_a_connector_that_waits_is_woken_by_a_new_mail_and_not_again(writer: Writer, look: Look) -> None:
    """The held-open request answers at once while nothing was told of it, and no more after an answer has named it."""
    block(writer)
    assert writer.speaker.wait(writer.held).json()["orders"] == 1
    assert len(due(writer)) == 1
    [row] = look("SELECT count(*) AS untold FROM notices WHERE told_at IS NULL")
    assert row["untold"] == 0


def test_a_phone_keeps_its_name_where_it_has_none(writer: Writer, look: Look) -> None:
    """A phone that Exchange has no name for is called a phone."""
    look("UPDATE devices SET friendly_name = NULL, model = NULL, family = ''")
    assert UUID(device(0)[0])
    block(writer)
    [letter] = claimed(writer, [due(writer)[0]["notice_id"]])
    assert letter["subject"] == "Your phone can no longer read your work mail"
