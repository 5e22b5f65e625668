"""Tickets, enrolment, and who is let in: what each refusal says, and what none of them tells."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests

from gatepost.domain.contract import Kind
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker


def refused(answer: requests.Response, status: int, kind: str) -> str:
    """The sentence of a refusal of this status and type."""
    assert (answer.status_code, answer.json()["type"]) == (status, kind), answer.text
    detail: str = answer.json()["detail"]
    return detail


def test_a_ticket_enrols_one_connector(service: Service, look: Look) -> None:
    """The answer names the identity; epoch, host and key are kept, the secret never is."""
    speaker = Speaker(service.url)
    answer = speaker.enrol(service.ticket("Head office")).json()
    assert answer["tenant"] == str(service.tenant_id)
    assert answer["epoch"] == 1
    assert look("SELECT name, state, epoch FROM organizations") == [
        {"name": "Head office", "state": "connected", "epoch": 1}
    ]
    row = look("SELECT host, version, public_key FROM connectors")[0]
    assert row == {"host": "mail1", "version": "0.1.0", "public_key": speaker.public_key}


def test_a_lost_answer_is_given_again(service: Service) -> None:
    """The same ticket with the same key enrols nobody anew."""
    speaker, ticket = Speaker(service.url), service.ticket()
    assert speaker.enrol(ticket).json() == speaker.enrol(ticket).json()
    assert speaker.say()["sequence"] == 1


def test_a_used_ticket_with_another_key_is_a_conflict(service: Service) -> None:
    """Whoever comes second learns that somebody was faster."""
    ticket = service.ticket()
    Speaker(service.url).enrol(ticket)
    assert "used by another connector" in refused(Speaker(service.url).enrol(ticket), 409, "ticket-used")


def test_an_unknown_and_an_expired_ticket_get_the_same_answer(service: Service, look: Look) -> None:
    """Nothing tells whether a tenant or a ticket exists."""
    expired = service.ticket()
    look("UPDATE tickets SET expires_at = now()")
    unknown = [f"{service.tenant_id}.x", f"{uuid4()}.x", "x", "", ".", f"{service.tenant_id}.\ud800"]
    told = {refused(Speaker(service.url).enrol(ticket), 403, "ticket") for ticket in [expired, *unknown]}
    assert told == {"The ticket is unknown or has expired. Ask an administrator for a new one."}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"public_key": "x"}, "public_key"),
        ({"public_key": "sha256:" + "G" * 64}, "public_key"),
        ({"host": "a\0b"}, "host and version"),
        ({"version": "v" * 201}, "host and version"),
        ({"host": 7}, "are texts"),
    ],
)
def test_an_enrolment_that_is_malformed_says_what(service: Service, changes: dict[str, Any], expected: str) -> None:
    """The ticket is not spent by it."""
    ticket = service.ticket()
    assert expected in refused(Speaker(service.url).enrol(ticket, **changes), 400, "malformed")
    assert Speaker(service.url).enrol(ticket).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_an_enrolment_that_is_no_document_is_malformed(service: Service, body: bytes) -> None:
    """Bytes that are no JSON object are answered in words."""
    answer = requests.post(f"{service.url}/connector/v1/enrolments", data=body, timeout=30)
    assert "malformed at document" in refused(answer, 400, "malformed")


def test_an_organization_has_one_name_per_tenant(service: Service, look: Look) -> None:
    """A second ticket for the same name is for the same organization."""
    service.ticket("Depot")
    service.ticket("Depot")
    service.ticket("Head office")
    assert [row["name"] for row in look("SELECT name FROM organizations ORDER BY name")] == ["Depot", "Head office"]


@pytest.mark.parametrize(
    "changes",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": ""},
        {"Gatepost-Key": "x"},
        {"Gatepost-Key": f"{uuid4()}/{uuid4()}"},
        {"Gatepost-Epoch": "one"},
        {"Gatepost-Instance": ""},
        {"Gatepost-Time": "now"},
    ],
)
def test_a_request_that_is_not_signed_is_refused(speaker: Speaker, changes: dict[str, str]) -> None:
    """A wrong secret, an unknown tenant and missing headers are one type of problem."""
    document = speaker.document(Kind.CYCLE, 1)
    refused(speaker.send(document, **changes), 401, "signature")
    assert speaker.send(document).status_code == 200


def test_a_connector_of_another_tenant_does_not_exist_here(service: Service, speaker: Speaker) -> None:
    """Naming the connector under another tenant finds nothing, and says what an unknown one is told."""
    key = f"{uuid4()}/{speaker.identity['connector']}"
    told = refused(speaker.send(speaker.document(Kind.CYCLE, 1), **{"Gatepost-Key": key}), 401, "signature")
    assert told == "The connector is unknown, or its secret is not right."


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
def test_a_clock_that_is_off_is_told_the_right_time(speaker: Speaker, minutes: int) -> None:
    """The connector keeps an offset: a host a day off works after one answer."""
    speaker.clock = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = speaker.send(speaker.document(Kind.CYCLE, 1))
    refused(answer, 401, "clock")
    speaker.clock = datetime.fromisoformat(answer.json()["server_time"])
    assert speaker.send(speaker.document(Kind.CYCLE, 1)).status_code == 200


def test_a_revoked_connector_may_say_farewell_only(speaker: Speaker, look: Look) -> None:
    """It is told that an administrator did it."""
    look("UPDATE connectors SET revoked_at = now()")
    assert "revoked by an administrator" in refused(speaker.send(speaker.document(Kind.CYCLE, 1)), 403, "revoked")
    assert speaker.farewell().status_code == 200
    look("UPDATE connectors SET revoked_at = now() - interval '25 hours'")
    refused(speaker.farewell(), 403, "revoked")


def test_an_organization_that_is_removed_takes_no_connector(service: Service, speaker: Speaker, look: Look) -> None:
    """Neither documents nor enrolments; a farewell is still heard."""
    ticket = service.ticket()
    look("UPDATE organizations SET state = 'removing'")
    refused(speaker.send(speaker.document(Kind.CYCLE, 1)), 403, "removed")
    refused(Speaker(service.url).enrol(ticket), 403, "removed")
    assert speaker.farewell().status_code == 200


def test_an_epoch_that_the_connector_never_had_is_malformed(speaker: Speaker) -> None:
    """The header must name the epoch of the enrolment."""
    refused(speaker.send(speaker.document(Kind.CYCLE, 1), **{"Gatepost-Epoch": "7"}), 400, "malformed")
