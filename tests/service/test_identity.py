"""Who speaks, proven: every signed part of a request, replays, clones, strangers, and the life of a certificate."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from gatepost.domain import signing
from gatepost.domain.contract import Kind
from gatepost.service import enrolment
from gatepost.service.database import Database, Scope
from tests.fixtures.service import Replica, Service, in_thread, new_tenant
from tests.service.conftest import Look
from tests.service.speaker import Speaker, check_answer, digest_of, request_of
from tests.service.test_replicas import listening

PATH = "/connector/v1/check-ins"


def told(answer: requests.Response) -> tuple[int, str]:
    """Status and type of a refusal."""
    return answer.status_code, answer.json()["type"]


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key of P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def in_scope(service: Service, work: Callable[[Scope], Any]) -> Any:
    """Something done by the service in the tenant of the test."""

    async def run() -> Any:
        async with await Database.open(service.urls.app, size=1) as database:
            return await database.work(service.tenant_id, work)

    return in_thread(asyncio.run, run())


def organization_of(speaker: Speaker) -> Any:
    """The id of its organization."""
    return UUID(speaker.identity["organization"])


# -- what is signed ----------------------------------------------------------------------------------------------------


def test_the_canonical_texts_are_those_of_the_protocol() -> None:
    """Written out by hand from docs/protocol.md, byte for byte."""
    digest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"  # of no bytes at all
    assert signing.content_digest(b"") == digest
    values = ("t/c/1f", "7", "i", "2026-11-23T05:00:00Z", digest)
    assert signing.request_bytes("get", "/connector/v1/wait?revision=3&orders=0&stopped=0", values) == (
        b"gatepost request 1\n"
        b"GET\n"
        b"/connector/v1/wait?revision=3&orders=0&stopped=0\n"
        b"t/c/1f\n"
        b"7\n"
        b"i\n"
        b"2026-11-23T05:00:00Z\n"
        b"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    )
    assert signing.answer_bytes(409, b"", "c2ln") == (
        b"gatepost answer 1\n409\nsha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\nc2ln"
    )
    with pytest.raises(ValueError, match="holds a line end"):
        signing.answer_bytes(200, b"", "a\nb")


def changed(headers: dict[str, str], name: str, speaker: Speaker) -> str:
    """Another value of a header, as well formed as the one that was signed."""
    tenant, connector, serial = headers["Gatepost-Key"].split("/")
    return {
        "Gatepost-Key": f"{tenant}/{connector}/{int(serial, 16) ^ 1:x}",
        "Gatepost-Epoch": "2",
        "Gatepost-Instance": str(uuid4()),
        "Gatepost-Time": (datetime.now(UTC) + timedelta(seconds=1)).isoformat(),
        "Content-Digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
        "Gatepost-Signature": speaker.headers(b"another")["Gatepost-Signature"],
    }[name]


@pytest.mark.parametrize("name", [*signing.SIGNED_HEADERS, "Gatepost-Signature"])
@pytest.mark.parametrize("change", ["other", "none"])
def test_a_request_with_a_header_that_was_changed_is_refused(
    speaker: Speaker, name: str, change: str, look: Look
) -> None:
    """Each of them is signed: another value, or none, is told as a wrong signature, and nothing is applied."""
    body = gzip.compress(speaker.document(Kind.CYCLE, 1))
    headers = speaker.headers(body)
    headers[name] = changed(headers, name, speaker) if change == "other" else ""
    answer = requests.post(speaker.url + PATH, data=body, headers=headers, timeout=30)
    assert told(answer) == (401, "signature")
    assert look("SELECT sequence FROM checkins") == [{"sequence": 0}]


def test_a_body_that_was_changed_is_refused_and_may_be_sent_again(speaker: Speaker, look: Look) -> None:
    """The refusal is the service's own, and no reason to give the document up."""
    body = gzip.compress(speaker.document(Kind.CYCLE, 1))
    headers = speaker.headers(body)
    answer = requests.post(speaker.url + PATH, data=body[:-1] + b"?", headers=headers, timeout=30)
    assert told(answer) == (401, "signature")
    check_answer(answer, headers["Gatepost-Signature"], speaker.identity["service_key"])
    assert look("SELECT sequence FROM checkins") == [{"sequence": 0}]
    assert speaker.say()["sequence"] == 1


@pytest.mark.parametrize("change", ["method", "path", "query"])
def test_a_signature_is_for_one_address(speaker: Speaker, change: str) -> None:
    """Neither a document sent elsewhere nor another question under the same name."""
    there = {"method": ("POST", "/wait?revision=0"), "path": ("GET", "/wai"), "query": ("GET", "/wait?revision=1")}
    method, signed = there[change]
    headers = speaker.headers(b"", f"/connector/v1{signed}", method)
    answer = requests.get(f"{speaker.url}/connector/v1/wait?revision=0", headers=headers, timeout=30)
    assert told(answer) == (401, "signature")


def test_another_key_signs_for_nobody(service: Service, speaker: Speaker) -> None:
    """The key of another connector of the same tenant, and one that nobody certified."""
    other = Speaker(service.url)
    other.enrol(service.ticket("Elsewhere"))
    for key in (other.key, new_key()):
        thief = speaker.clone()
        thief.key = key
        assert told(thief.send(thief.document(Kind.CYCLE, 1))) == (401, "signature")
    assert speaker.say()["sequence"] == 1


def test_another_tenants_connector_is_a_stranger(service: Service, speaker: Speaker, replica: Replica) -> None:
    """Its own key and certificate open nothing in another tenant, whatever it calls itself."""
    abroad = new_tenant(replica, service.urls, f"abroad-{uuid4().hex[:8]}")
    other = Speaker(service.url)
    other.enrol(abroad.ticket())
    for named in (
        f"{speaker.identity['tenant']}/{other.identity['connector']}/{other.serial}",
        f"{speaker.identity['tenant']}/{speaker.identity['connector']}/{other.serial}",
        f"{other.identity['tenant']}/{speaker.identity['connector']}/{speaker.serial}",
    ):
        answer = other.send(other.document(Kind.CYCLE, 1), **{"Gatepost-Key": named})
        assert told(answer) == (401, "signature")
        assert "Gatepost-Signature" not in answer.headers
    foreign = other.document(Kind.CYCLE, 1, organization=speaker.identity["organization"])
    assert told(other.send(foreign)) == (400, "malformed")
    assert other.say()["sequence"] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [("check-ins", 400), ("farewell", 400), ("certificates", 400), ("notices/claim", 400), ("orders/x/claim", 400)],
)
def test_every_answer_to_a_known_connector_is_signed(speaker: Speaker, path: str, status: int) -> None:
    """What a handler refuses as well; only what is refused before anybody is known is not."""
    body = b"[]"
    headers = speaker.headers(body, f"/connector/v1/{path}")
    answer = requests.post(f"{speaker.url}/connector/v1/{path}", data=body, headers=headers, timeout=30)
    assert answer.status_code == status
    if path == "orders/x/claim":  # FastAPI refuses the address before anybody is asked who it is
        assert "Gatepost-Signature" not in answer.headers
    else:
        check_answer(answer, headers["Gatepost-Signature"], speaker.identity["service_key"])


@pytest.mark.parametrize("name", ["Gatepost-Epoch", "Gatepost-Instance", "Gatepost-Key", "Content-Digest"])
def test_a_header_that_somebody_puts_beside_the_signed_one_changes_nothing(speaker: Speaker, name: str) -> None:
    """In front of it the signature does not fit, and neither in one line with it; behind it, nobody looks."""
    body = gzip.compress(speaker.document(Kind.CYCLE, 1))
    headers = speaker.headers(body)
    other = {"Gatepost-Epoch": "2", "Content-Digest": digest_of(b"other")}.get(name, str(uuid4()))

    def send(*more: tuple[str, str]) -> int:
        connection = HTTPConnection(speaker.url.removeprefix("http://"), timeout=30)
        with closing(connection):
            connection.putrequest("POST", "/connector/v1/check-ins")
            for each, text in (*more, ("Content-Length", str(len(body)))):
                connection.putheader(each, text)
            connection.endheaders(body)
            return connection.getresponse().status

    rest = [(each, text) for each, text in headers.items() if each != name]
    assert send((name, other), (name, headers[name]), *rest) == 401
    assert send((name, f"{headers[name]}, {other}"), *rest) == 401
    assert send((name, headers[name]), (name, other), *rest) == 200


# -- replays -----------------------------------------------------------------------------------------------------------


def captured(speaker: Speaker, path: str, body: bytes) -> Callable[[], requests.Response]:
    """A request as somebody on the way may send it again, byte for byte."""
    headers = speaker.headers(body, f"/connector/v1/{path}")
    return lambda: requests.post(f"{speaker.url}/connector/v1/{path}", data=body, headers=headers, timeout=30)


def test_a_check_in_that_is_sent_again_changes_nothing(speaker: Speaker, look: Look) -> None:
    """The last one is answered again; an older one is out of turn."""
    outcome = {"outcome_id": str(uuid4()), "about": "x", "result": "y"}
    replay = captured(speaker, "check-ins", gzip.compress(speaker.document(Kind.CYCLE, 1, outcomes=(outcome,))))
    assert [replay().status_code for _ in range(2)] == [200, 200]
    speaker.sequence = 1
    speaker.say()
    assert told(replay()) == (409, "sequence-gap")
    assert look("SELECT count(*) AS n FROM outcomes") == [{"n": 1}]
    assert look("SELECT sequence FROM checkins") == [{"sequence": 2}]


def test_a_farewell_that_is_sent_again_ends_no_newer_lease(speaker: Speaker, look: Look) -> None:
    """Else a successor would write while the connector, started again, writes too."""
    speaker.say()
    replay = captured(speaker, "farewell", gzip.compress(json.dumps({"outcomes": []}).encode()))
    assert replay().status_code == 200
    leased = "SELECT lease_until > clock_timestamp() AS leased FROM checkins"
    assert look(leased) == [{"leased": False}]
    speaker.say()
    assert replay().status_code == 200
    assert look(leased) == [{"leased": True}]
    assert speaker.farewell().status_code == 200
    assert look(leased) == [{"leased": False}]


def test_a_request_of_ten_minutes_ago_is_too_old(speaker: Speaker) -> None:
    """However right its signature is; the clock that it is told is signed."""
    speaker.clock = datetime.now(UTC) - timedelta(minutes=10)
    assert told(speaker.send(speaker.document(Kind.CYCLE, 1))) == (401, "clock")


def test_a_request_of_an_old_epoch_is_refused(service: Service, speaker: Speaker) -> None:
    """Whether it names the old epoch, which was replaced, or the new one, which it never had."""
    Speaker(service.url).enrol(service.ticket())
    assert told(speaker.send(speaker.document(Kind.CYCLE, 1))) == (403, "superseded")
    document = speaker.document(Kind.CYCLE, 1, epoch=2)
    assert told(speaker.send(document, **{"Gatepost-Epoch": "2"})) == (403, "superseded")


def test_a_clone_does_not_speak_beside_the_original(speaker: Speaker, look: Look) -> None:
    """Another instance waits for the lease; a copy that is the same instance uses numbers that are taken."""
    speaker.say()
    other = speaker.clone()
    assert told(other.send(other.document(Kind.CYCLE, 2))) == (409, "lease-held")
    same = speaker.clone(instance=speaker.instance)
    speaker.say()
    answer = same.send(same.document(Kind.CYCLE, 2, revision=9))
    assert told(answer) == (409, "sequence-reused")
    assert look("SELECT sequence FROM checkins") == [{"sequence": 2}]


# -- certificates ------------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_retires_the_one_before_once_it_is_used(speaker: Speaker, look: Look) -> None:
    """Until then both keys speak, so that no lost answer shuts a connector out; the same key gets the same again."""
    old = speaker.clone(instance=speaker.instance)
    key = new_key()
    first, second = speaker.renew(key).json(), speaker.renew(key).json()
    assert first["certificate"] == second["certificate"]
    assert speaker.say()["sequence"] == 1
    speaker.use(key, first["certificate"])
    assert speaker.serial != old.serial
    assert speaker.say()["sequence"] == 2
    assert told(old.send(old.document(Kind.CYCLE, 3))) == (403, "retired")
    assert told(old.renew(new_key())) == (403, "retired")
    assert told(old.farewell()) == (403, "retired")
    rows = look("SELECT serial, retired_at IS NULL AS good FROM connector_certificates ORDER BY issued_at")
    assert rows == [{"serial": old.serial, "good": False}, {"serial": speaker.serial, "good": True}]


def test_a_renewal_that_is_sent_again_gives_nothing_new(speaker: Speaker, look: Look) -> None:
    """Whoever read it on the way has no key for what comes of it."""
    key = new_key()
    replay = captured(speaker, "certificates", json.dumps({"csr": request_of(key)}).encode())
    certificates = {replay().json()["certificate"] for _ in range(3)}
    assert len(certificates) == 1
    speaker.use(key, certificates.pop())
    speaker.say()
    assert told(replay()) == (403, "retired")
    assert look("SELECT count(*) AS n FROM connector_certificates") == [{"n": 2}]


def test_a_renewal_wants_a_new_key(speaker: Speaker) -> None:
    """Neither the one in use nor one from before."""
    before, after = speaker.key, new_key()
    answer = speaker.renew(before)
    assert told(answer) == (400, "malformed")
    assert "Make a new one" in answer.json()["detail"]
    speaker.use(after, speaker.renew(after).json()["certificate"])
    speaker.say()
    assert told(speaker.renew(before)) == (400, "malformed")


@pytest.mark.parametrize("csr", ["x", "", None, 7])
def test_a_renewal_without_a_request_says_so(speaker: Speaker, csr: object) -> None:
    """The certificate in use stays."""
    answer = speaker.ask("POST", "certificates", json.dumps({"csr": csr}).encode())
    assert told(answer) == (400, "malformed")
    assert "csr" in answer.json()["detail"]
    assert speaker.say()["sequence"] == 1


def test_a_certificate_that_is_asked_for_late_is_a_young_one(speaker: Speaker, look: Look) -> None:
    """A key that waited for days gets a new certificate, not the rest of one."""
    key = new_key()
    first = speaker.renew(key).json()["certificate"]
    look("UPDATE connector_certificates SET not_after = not_after - interval '3 days' WHERE first_used_at IS NULL")
    assert speaker.renew(key).json()["certificate"] != first


def expire(look: Look, days: float) -> None:
    """The certificates ended so many days ago."""
    look("UPDATE connector_certificates SET not_after = now() - %s * interval '1 day'", days)


def test_an_expired_certificate_is_told_what_helps(speaker: Speaker, look: Look) -> None:
    """Five minutes are forgiven; then an administrator has to allow a renewal."""
    look("UPDATE connector_certificates SET not_after = now() - interval '4 minutes'")
    assert speaker.say()["sequence"] == 1
    expire(look, 1)
    answer = speaker.send(speaker.document(Kind.CYCLE, 2))
    assert told(answer) == (403, "expired")
    assert "An administrator can allow its renewal on the console for 30 days" in answer.json()["detail"]
    assert told(speaker.renew(new_key())) == (403, "expired")


def test_a_late_renewal_is_possible_while_it_is_allowed(service: Service, speaker: Speaker, look: Look) -> None:
    """With the same key, for 24 hours, and up to 30 days after the end; nothing else is let in with it."""
    expire(look, 29)
    organization = organization_of(speaker)
    until = in_scope(service, lambda scope: enrolment.allow_late_renewal(scope, organization, "anna"))
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    assert told(speaker.send(speaker.document(Kind.CYCLE, 1))) == (403, "expired")
    key = new_key()
    speaker.use(key, speaker.renew(key).json()["certificate"])
    assert speaker.say()["sequence"] == 1
    [event] = look("SELECT actor, body FROM events WHERE name = 'console:certificate:late-renewal-allowed'")
    assert (event["actor"], event["body"]["connector"]) == ("anna", speaker.identity["connector"])
    expire(look, 31)
    assert told(speaker.renew(new_key())) == (403, "expired")
    expire(look, 29)
    look("UPDATE connectors SET late_renewal_until = now() - interval '1 second'")
    assert told(speaker.renew(new_key())) == (403, "expired")


def test_a_revoked_connector_is_shut_out_at_once(service: Service, speaker: Speaker, look: Look) -> None:
    """All its certificates are denied, also one that it has not used yet, and no late renewal helps."""
    key = new_key()
    certificate = speaker.renew(key).json()["certificate"]
    organization = organization_of(speaker)
    assert in_scope(service, lambda scope: enrolment.revoke(scope, organization, "anna")) is True
    assert told(speaker.send(speaker.document(Kind.CYCLE, 1))) == (403, "revoked")
    assert told(speaker.renew(new_key())) == (403, "revoked")
    assert in_scope(service, lambda scope: enrolment.allow_late_renewal(scope, organization, "anna")) is None
    assert in_scope(service, lambda scope: enrolment.revoke(scope, organization, "anna")) is False
    speaker.use(key, certificate)
    assert told(speaker.send(speaker.document(Kind.CYCLE, 1))) == (403, "revoked")
    [event] = look("SELECT actor, body FROM events WHERE name = 'console:connector:revoked'")
    assert (event["actor"], event["body"]["after"]) == ("anna", "revoked")
    assert Speaker(service.url).enrol(service.ticket(), replace=False).json()["epoch"] == 2


def test_one_certificate_may_be_denied_alone(speaker: Speaker, look: Look) -> None:
    """The deny list is by serial, and counts from the next request on."""
    speaker.say()
    look("UPDATE connector_certificates SET revoked_at = now() WHERE serial = %s", speaker.serial)
    assert told(speaker.send(speaker.document(Kind.CYCLE, 2))) == (403, "revoked")


# -- the end, and all writing stopped ----------------------------------------------------------------------------------


STOP = "UPDATE organizations SET writing_stopped_at = now(), writing_stopped_by = 'anna', writing_stopped_why = 'x'"
RELEASE = "UPDATE organizations SET writing_stopped_at = NULL, writing_stopped_by = NULL, writing_stopped_why = NULL"


def test_stopped_writing_gives_no_lease_and_its_release_a_full_one(speaker: Speaker, look: Look) -> None:
    """Document and wait say so; who knows of it waits on, who does not is told at once."""
    assert speaker.say()["lease_seconds"] == 120
    look(STOP)
    assert speaker.wait().json()["lease_seconds"] == 0
    assert speaker.say()["lease_seconds"] == 0
    look(RELEASE)
    assert speaker.wait(stopped=True).json()["lease_seconds"] == 120
    assert speaker.say()["lease_seconds"] == 120


def is_waiting(replica: Replica) -> bool:
    """Whether a request is held open there."""
    try:
        return replica.waker.count > 0
    except RuntimeError:  # others come and go meanwhile
        return False


@pytest.mark.parametrize("what", ["stopped", "replaced", "revoked"])
def test_who_waits_hears_the_end_of_its_lease_at_once(
    service: Service, speaker: Speaker, look: Look, replica: Replica, what: str
) -> None:
    """Within a second, not at the end of fifty."""
    listening(replica)
    speaker.say()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(speaker.wait)
        while not is_waiting(replica):
            assert not waiting.done()
            time.sleep(0.01)
        begun = datetime.now(UTC)
        if what == "stopped":
            look(STOP)
        elif what == "replaced":
            Speaker(service.url).enrol(service.ticket(), host="mail2")
        else:
            look("UPDATE connectors SET revoked_at = now()")
        answer = waiting.result(20)
    assert datetime.now(UTC) - begun < timedelta(seconds=5)
    if what == "stopped":
        assert answer.json()["lease_seconds"] == 0
    else:
        assert told(answer) == (403, {"replaced": "superseded"}.get(what, what))


def test_no_key_or_signature_reaches_the_database_or_an_answer(speaker: Speaker, look: Look) -> None:
    """What the service keeps of a connector is public; its own private keys are sealed."""
    speaker.say()
    kept = json.dumps(look("SELECT * FROM connector_certificates") + look("SELECT * FROM connectors"), default=str)
    assert "PRIVATE" not in kept
    private = speaker.key.private_numbers().private_value
    assert f"{private:x}" not in kept
    assert base64.b64encode(private.to_bytes(32, "big")).decode() not in kept
