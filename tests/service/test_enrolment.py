"""Tickets, enrolment, and who is let in: what each refusal says, and what none of them tells."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gatepost.domain.contract import Kind
from tests.fixtures.database import Urls
from tests.fixtures.service import Replica, Service, new_tenant
from tests.service.conftest import Look
from tests.service.speaker import Speaker, check_answer, digest_of, request_of


def other_kind() -> str:
    """A request with a key of Ed25519."""
    key = ed25519.Ed25519PrivateKey.generate()
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, None)
    return made.public_bytes(serialization.Encoding.PEM).decode()


def not_own() -> str:
    """A request whose last bytes, which are of its signature, are others."""
    made = x509.load_pem_x509_csr(request_of(ec.generate_private_key(ec.SECP256R1())).encode())
    der = bytearray(made.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.b64encode(der).decode()}\n-----END CERTIFICATE REQUEST-----\n"


OTHER_CURVE, OTHER_KIND, NOT_OWN = request_of(ec.generate_private_key(ec.SECP384R1())), other_kind(), not_own()


def refused(answer: requests.Response, status: int, kind: str) -> str:
    """The sentence of a refusal of this status and type."""
    assert (answer.status_code, answer.json()["type"]) == (status, kind), answer.text
    detail: str = answer.json()["detail"]
    return detail


def test_a_ticket_enrols_one_connector(service: Service, look: Look) -> None:
    """The answer names the identity; epoch, host and certificate are kept, the key never left the connector."""
    speaker = Speaker(service.url)
    answer = speaker.enrol(service.ticket("Head office")).json()
    assert answer["tenant"] == str(service.tenant_id)
    assert answer["epoch"] == 1
    assert look("SELECT name, state, epoch FROM organizations") == [
        {"name": "Head office", "state": "connected", "epoch": 1}
    ]
    assert look("SELECT host, version FROM connectors") == [{"host": "mail1", "version": "0.1.0"}]
    [row] = look("SELECT serial, certificate FROM connector_certificates")
    assert (row["serial"], row["certificate"]) == (speaker.serial, answer["certificate"])


def test_a_certificate_names_tenant_and_connector_and_lives_for_seven_days(service: Service) -> None:
    """Whatever the request said of its subject; the tenant's authority has signed it."""
    speaker = Speaker(service.url)
    answer = speaker.enrol(service.ticket()).json()
    made = x509.load_pem_x509_certificate(answer["certificate"].encode())
    authority = x509.load_pem_x509_certificate(answer["authority"].encode())
    made.verify_directly_issued_by(authority)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"gatepost:tenant/{answer['tenant']}/connector/{answer['connector']}"
    ]
    assert "somebody else" not in made.subject.rfc4514_string()
    left = made.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert made.public_key() == speaker.key.public_key()


def test_a_lost_answer_is_given_again(service: Service) -> None:
    """The same ticket with the same key enrols nobody anew."""
    speaker, ticket = Speaker(service.url), service.ticket()
    first, second = speaker.enrol(ticket).json(), speaker.enrol(ticket).json()
    assert first | {"server_time": 0} == second | {"server_time": 0}
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
        ({"csr": "x"}, "csr is not a certificate request"),
        ({"csr": "\u4e00"}, "csr is not a certificate request"),
        ({"csr": "x" * 20_000}, "csr is not a certificate request"),
        ({"csr": OTHER_CURVE}, "another kind of key than P-256"),
        ({"csr": OTHER_KIND}, "another kind of key than P-256"),
        ({"csr": NOT_OWN}, "not signed with its own key"),
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


def at_once(*enrolments: Callable[[], requests.Response]) -> list[requests.Response]:
    """Enrolments that begin in the same moment."""
    gate = Barrier(len(enrolments))

    def go(enrol: Callable[[], requests.Response]) -> requests.Response:
        gate.wait(10)
        return enrol()

    with ThreadPoolExecutor(len(enrolments)) as pool:
        return list(pool.map(go, enrolments))


def test_one_ticket_used_by_several_at_once_pays_for_one(service: Service, look: Look) -> None:
    """Whoever is second by a moment is told so like one who comes a day later; nobody is replaced twice."""
    for number in range(1, 4):
        ticket = service.ticket()
        answers = at_once(*[partial(Speaker(service.url).enrol, ticket) for _ in range(4)])
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        for answer in answers:
            if answer.status_code != 200:
                refused(answer, 409, "ticket-used")
        assert [row["epoch"] for row in look("SELECT epoch FROM connectors ORDER BY epoch")] == list(
            range(1, number + 1)
        )


def test_a_lost_answer_asked_for_several_times_at_once_is_one_enrolment(service: Service, look: Look) -> None:
    """The same ticket with the same key, while the first request is still under way."""
    ticket, key = service.ticket(), Speaker(service.url).key
    speakers = [Speaker(service.url) for _ in range(3)]
    for each in speakers:
        each.key = key
    answers = at_once(*[partial(each.enrol, ticket) for each in speakers])
    assert {answer.status_code for answer in answers} == {200}
    assert len({(answer.json()["connector"], answer.json()["certificate"]) for answer in answers}) == 1
    assert len(look("SELECT 1 FROM connectors")) == 1


def test_two_tickets_of_one_organization_at_once(service: Service, look: Look) -> None:
    """Where nobody is at work the second is told so; in the place of another both are enrolled, and the last speaks."""
    tickets, speakers = [service.ticket(), service.ticket()], [Speaker(service.url), Speaker(service.url)]
    first = [partial(each.enrol, ticket, replace=False) for each, ticket in zip(speakers, tickets, strict=True)]
    answers = {answer.status_code: answer for answer in at_once(*first)}
    refused(answers[409], 409, "occupied")
    tickets = [service.ticket(), service.ticket()]
    both = at_once(*[partial(each.enrol, ticket) for each, ticket in zip(speakers, tickets, strict=True)])
    assert {answer.json()["epoch"] for answer in both} == {2, 3}
    for each in speakers:
        answer = each.send(each.document(Kind.CYCLE, 1))
        assert answer.status_code == 200 if each.identity["epoch"] == 3 else refused(answer, 403, "superseded")


def test_a_ticket_is_for_its_tenant_and_its_organization(
    service: Service, replica: Replica, shared_urls: Urls, look: Look
) -> None:
    """With another tenant's id in front it is unknown; and whoever enrols cannot say for which organization."""
    secret = service.ticket("Branch").partition(".")[2]
    other = new_tenant(replica, shared_urls, "ticket-of-another")
    refused(Speaker(service.url).enrol(f"{other.tenant_id}.{secret}"), 403, "ticket")
    head = look("INSERT INTO organizations (name) VALUES ('Head') RETURNING organization_id")[0]["organization_id"]
    answer = Speaker(service.url).enrol(f"{service.tenant_id}.{secret}", organization=str(head), tenant=str(other.slug))
    assert answer.json()["organization_name"] == "Branch"


def test_an_organization_has_one_name_per_tenant(service: Service, look: Look) -> None:
    """A second ticket for the same name is for the same organization."""
    service.ticket("Depot")
    service.ticket("Depot")
    service.ticket("Head office")
    assert [row["name"] for row in look("SELECT name FROM organizations ORDER BY name")] == ["Depot", "Head office"]


def test_another_connector_at_work_is_named_and_stays(service: Service, speaker: Speaker, look: Look) -> None:
    """Who did not say that it is to be replaced is told what it is; the ticket is not spent."""
    speaker.say()
    other, ticket = Speaker(service.url), service.ticket()
    answer = other.enrol(ticket, replace=False, host="mail2")
    assert "Another connector works for this organization" in refused(answer, 409, "occupied")
    told = answer.json()
    assert (told["host"], told["version"]) == ("mail1", "0.1.0")
    [row] = look("SELECT last_at FROM checkins")
    assert datetime.fromisoformat(told["last_contact"]) == row["last_at"]
    assert speaker.say()["lease_seconds"] == 120
    assert other.enrol(ticket, host="mail2").json()["epoch"] == 2


def test_what_a_ticket_is_refused_with_is_signed(service: Service) -> None:
    """Whoever has the fingerprint can tell that the service says so, and nobody between."""
    ticket = service.ticket()
    Speaker(service.url).enrol(ticket)
    late = json.dumps({"ticket": ticket, "csr": request_of(Speaker(service.url).key)}).encode()
    answer = requests.post(f"{service.url}/connector/v1/enrolments", data=late, timeout=30)
    refused(answer, 409, "ticket-used")
    check_answer(answer, digest_of(late), answer.json()["service_key"])


@pytest.mark.parametrize(
    "changes",
    [
        {"Gatepost-Signature": ""},
        {"Gatepost-Signature": "x"},
        {"Gatepost-Signature": "AAAA"},
        {"Gatepost-Key": "x"},
        {"Gatepost-Key": f"{uuid4()}/{uuid4()}"},
        {"Gatepost-Key": f"{uuid4()}/{uuid4()}/"},
        {"Gatepost-Key": f"{uuid4()}/{uuid4()}/../x"},
        {"Gatepost-Key": f"{uuid4()}/{uuid4()}/1/1"},
        {"Gatepost-Epoch": "one"},
        {"Gatepost-Instance": ""},
        {"Gatepost-Time": "now"},
    ],
)
def test_a_request_that_is_not_signed_is_refused(speaker: Speaker, changes: dict[str, str]) -> None:
    """A wrong signature, an unknown tenant and missing headers are one type of problem, which nobody signs."""
    document = speaker.document(Kind.CYCLE, 1)
    refused(speaker.send(document, **changes), 401, "signature")
    assert speaker.send(document).status_code == 200


def test_a_connector_of_another_tenant_does_not_exist_here(service: Service, speaker: Speaker) -> None:
    """Naming the connector under another tenant finds nothing, and says what an unknown one is told."""
    key = f"{uuid4()}/{speaker.identity['connector']}/{speaker.serial}"
    told = refused(speaker.send(speaker.document(Kind.CYCLE, 1), **{"Gatepost-Key": key}), 401, "signature")
    assert told == "The connector is unknown, or its signature is not right."


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
def test_a_clock_that_is_off_is_told_the_right_time(speaker: Speaker, minutes: int) -> None:
    """The connector keeps an offset: a host a day off works after one answer."""
    speaker.clock = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = speaker.send(speaker.document(Kind.CYCLE, 1))
    refused(answer, 401, "clock")
    speaker.clock = datetime.fromisoformat(answer.json()["server_time"])
    assert speaker.send(speaker.document(Kind.CYCLE, 1)).status_code == 200


def test_a_revoked_connector_may_not_even_say_farewell(speaker: Speaker, look: Look) -> None:
    """It is told that an administrator did it; whose key may be stolen has no last words."""
    look("UPDATE connectors SET revoked_at = now()")
    assert "revoked by an administrator" in refused(speaker.send(speaker.document(Kind.CYCLE, 1)), 403, "revoked")
    refused(speaker.farewell(), 403, "revoked")


def test_an_organization_that_is_removed_takes_no_connector(speaker: Speaker, look: Look) -> None:
    """While its entries are taken back it goes on; then its farewell is heard for a day, and nothing else."""
    look("UPDATE organizations SET state = 'removing'")
    assert speaker.say()["lease_seconds"] == 120
    look("UPDATE organizations SET state = 'removed', removed_at = now()")
    refused(speaker.send(speaker.document(Kind.CYCLE, 2)), 403, "removed")
    assert speaker.farewell().status_code == 200
    look("UPDATE organizations SET removed_at = now() - interval '25 hours'")
    refused(speaker.farewell(), 403, "removed")


def test_an_epoch_that_the_connector_never_had_is_malformed(speaker: Speaker) -> None:
    """The header must name the epoch of the enrolment."""
    refused(speaker.send(speaker.document(Kind.CYCLE, 1), **{"Gatepost-Epoch": "7"}), 400, "malformed")
