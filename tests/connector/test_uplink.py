"""The service seen from the connector: every answer is the contract's, or a clear error of ours."""

import base64
import hashlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gatepost.connector.answers import Head
from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.keys import new_key
from gatepost.connector.uplink import Uplink, pack
from gatepost.domain import signing
from gatepost.domain.contract import Answer, CheckIn, Kind, seal, write_answer
from gatepost.errors import AnswerUnsigned, ServiceRefused, ServiceUnreachable, SettingsError
from gatepost.lab.certificates import make_certificates
from gatepost.settings import UplinkSettings
from tests.fixtures.connector import (
    SERVICE_KEY,
    Reply,
    Request,
    Stage,
    certified,
    good,
    problem,
    signature_of,
    wanted,
)

DOCUMENT = pack(seal(CheckIn("org", 1, "history-1", 1, Kind.CYCLE)))


def uplink(stage: Stage, identity: Identity) -> Uplink:
    """An uplink to the stage."""
    return Uplink(UplinkSettings(url=stage.url), Credentials(identity, "instance-1"))


def test_a_request_carries_who_asks_and_a_digest_of_the_bytes(stage: Stage, identity: Identity) -> None:
    """The headers are signed with the connector's key, and the body is gzipped JSON."""
    stage.answers = [good]
    answer = uplink(stage, identity).check_in(DOCUMENT)
    [request] = stage.requests
    assert (request.method, request.path) == ("POST", "/connector/v1/check-ins")
    serial = x509.load_pem_x509_certificate(identity.certificate.encode()).serial_number
    assert request.headers["Gatepost-Key"] == f"{identity.tenant}/connector-1/{serial:x}"
    assert (request.headers["Gatepost-Epoch"], request.headers["Gatepost-Instance"]) == ("1", "instance-1")
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    assert request.headers["Content-Digest"] == f"sha-256=:{digest}:"
    names = ("Gatepost-Key", "Gatepost-Epoch", "Gatepost-Instance", "Gatepost-Time", "Content-Digest")
    lines = ("gatepost request 1", "POST", "/connector/v1/check-ins", *(request.headers[name] for name in names))
    key = x509.load_pem_x509_certificate(identity.certificate.encode()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(request.headers["Gatepost-Signature"])
    key.verify(signature, "\n".join(lines).encode(), ec.ECDSA(hashes.SHA256()))
    assert (request.headers["Content-Encoding"], request.headers["Content-Type"]) == ("gzip", "application/json")
    moment = datetime.fromisoformat(request.headers["Gatepost-Time"])
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=30)
    assert answer.sequence == 1


def test_a_service_may_stand_below_a_path_of_a_proxy(stage: Stage, identity: Identity) -> None:
    """The path that the proxy takes off is not signed; what the service sees is, with its query."""
    head = {"incarnation": "h", "revision": 7, "orders": 0, "sync": "none", "lease_seconds": 1}
    stage.answers = [lambda _: Reply(body=json.dumps(head).encode())]
    keys = Credentials(identity, "instance-1")
    Uplink(UplinkSettings(url=f"{stage.url}/tools/gatepost/"), keys).wait(7)
    [request] = stage.requests
    assert request.path == "/tools/gatepost/connector/v1/wait?revision=7&orders=0&stopped=0"
    values = tuple(request.headers[name] for name in signing.SIGNED_HEADERS)
    signed = signing.request_bytes("GET", "/connector/v1/wait?revision=7&orders=0&stopped=0", values)
    key = keys.certificate.public_key
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(request.headers["Gatepost-Signature"]), signed, ec.ECDSA(hashes.SHA256()))


def test_a_wait_tells_the_head(stage: Stage, identity: Identity) -> None:
    """A held-open request names the revision held and brings back what may be new."""
    stage.answers = [lambda _: Reply(body=json.dumps(HEAD | {"revision": 4, "sync": "quick"}).encode())]
    assert uplink(stage, identity).wait(3) == Head("history", 4, 0, "quick", 1)
    assert uplink(stage, identity).wait(3, stopped=True).revision == 4
    paths = [request.path for request in stage.requests]
    assert paths == [f"/connector/v1/wait?revision=3&orders=0&stopped={stopped}" for stopped in (0, 1)]


def test_the_clock_of_the_service_is_used_where_ours_is_off(stage: Stage, identity: Identity) -> None:
    """A host that is a day off works: the second attempt, and all later ones, carry the service's time."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    stage.answers = [lambda _: problem(401, "clock", server_time=tomorrow.isoformat()), good]
    uplink(stage, identity).check_in(DOCUMENT)
    times = [datetime.fromisoformat(request.headers["Gatepost-Time"]) for request in stage.requests]
    assert abs(times[1] - tomorrow) < timedelta(seconds=30)
    assert stage.requests[0].body == stage.requests[1].body


def test_words_of_a_refusal_cannot_steer_a_terminal(stage: Stage, identity: Identity) -> None:
    """Escape sequences of whoever speaks for the service are spaces where people read them."""
    stage.answers = [lambda _: problem(403, "revoked\x1b[2J", detail="gone\x1b]0;owned\x07\r\n")]
    with pytest.raises(ServiceRefused) as caught:
        uplink(stage, identity).wait(0)
    assert str(caught.value).isprintable()
    assert caught.value.type == "revoked [2J"


def test_a_service_that_keeps_calling_the_clock_wrong_is_told(stage: Stage, identity: Identity) -> None:
    """The correction is tried once, not for ever."""
    now = datetime.now(UTC).isoformat()
    stage.answers = [lambda _: problem(401, "clock", server_time=now)]
    with pytest.raises(ServiceRefused, match="401 clock"):
        uplink(stage, identity).check_in(DOCUMENT)
    assert len(stage.requests) == 2


def test_a_problem_document_is_a_refusal_with_its_fields(stage: Stage, identity: Identity) -> None:
    """The type decides; it may stand as a word or at the end of an address."""
    stage.answers = [lambda _: problem(409, "https://example.com/problems/sequence-gap", expected=7)]
    with pytest.raises(ServiceRefused) as caught:
        uplink(stage, identity).check_in(DOCUMENT)
    assert (caught.value.status, caught.value.type, caught.value.fields["expected"]) == (409, "sequence-gap", 7)


HTML = {"Content-Type": "text/html"}
PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(403, b"<h1>Blocked by proxy</h1>", HTML), "status 403 came without a problem document"),
        (Reply(200, b"<h1>Welcome</h1>", HTML), "not JSON"),
        (Reply(302, b"", {"Location": "http://elsewhere.invalid/"}), "status 302 came without a problem document"),
        (Reply(200, b"[]"), "not an object"),
        (Reply(200, b'{"sequence": 1}'), "server_time"),
        (Reply(200, b"[" * 200_000), "not JSON"),
        (Reply(200, b'{"sequence": ' + b"[" * 900 + b"]" * 900 + b"}"), "nested deeper than 20 levels"),
        (Reply(200, b'{"sequence": ' + b"9" * 5_000 + b"}"), "not JSON"),
        (Reply(200, b'{"sequence": NaN}'), "expected a whole number"),
        (Reply(403, b"[" * 200_000, PROBLEM), "not JSON"),
        (Reply(503, b"[" * 200_000, PROBLEM), "not JSON"),
        (Reply(200, b" " * (16 * 1024 * 1024 + 1)), "larger than any of ours"),
        (Reply(404, b"{}"), "status 404 came without a problem document"),
    ],
)
def test_what_is_not_the_services_word_is_never_taken_for_it(
    stage: Stage, identity: Identity, reply: Reply, said: str
) -> None:
    """Even what is signed must be what the contract says; what is not is the service being away, with what to check."""
    stage.answers = [lambda _: reply]
    with pytest.raises(ServiceUnreachable, match=said) as caught:
        uplink(stage, identity).check_in(DOCUMENT)
    assert "Check the url, and whether a proxy answers in its place." in str(caught.value)
    assert len(stage.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [
        (503, {"Retry-After": "17"}, 17.0),
        (429, {"Retry-After": "5"}, 5.0),
        (500, {}, None),
        (502, {"Retry-After": "soon"}, None),
    ],
)
def test_a_busy_service_says_how_long(
    stage: Stage, identity: Identity, status: int, headers: dict[str, str], pause: float | None
) -> None:
    """Server errors are the service being away, and Retry-After is read."""
    stage.answers = [lambda _: Reply(status, b"", headers)]
    with pytest.raises(ServiceUnreachable, match=f"status {status}") as caught:
        uplink(stage, identity).check_in(DOCUMENT)
    assert caught.value.retry_after == pause


def test_a_server_error_with_a_problem_document_says_why(stage: Stage, identity: Identity) -> None:
    """What the service says of itself is passed on."""
    stage.answers = [lambda _: problem(503, "busy")]
    with pytest.raises(ServiceUnreachable, match=r"status 503: it is busy It is tried again\."):
        uplink(stage, identity).check_in(DOCUMENT)


def test_a_retry_after_may_be_a_date(stage: Stage, identity: Identity) -> None:
    """Both forms of the header are read."""
    later = (datetime.now(UTC) + timedelta(seconds=60)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    stage.answers = [lambda _: Reply(503, b"", {"Retry-After": later})]
    with pytest.raises(ServiceUnreachable) as caught:
        uplink(stage, identity).check_in(DOCUMENT)
    assert caught.value.retry_after == pytest.approx(60, abs=10)


def test_no_connection_says_where_and_what_to_check(identity: Identity) -> None:
    """A closed port is told with its address, and without the secret."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    away = Uplink(UplinkSettings(url=f"http://127.0.0.1:{port}"), Credentials(identity, "i"))
    with pytest.raises(ServiceUnreachable, match=rf"127\.0\.0\.1:{port} cannot be reached.*Check the url") as caught:
        away.check_in(DOCUMENT)
    assert identity.key not in str(caught.value)


def test_a_connection_that_breaks_off_is_the_service_being_away(stage: Stage, identity: Identity) -> None:
    """No answer at all is an error of ours too."""
    stage.answers = [lambda _: Reply(drop=True)]
    with pytest.raises(ServiceUnreachable, match="cannot be reached"):
        uplink(stage, identity).check_in(DOCUMENT)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gatepost.example.com", "is not an address"),
        ("ftp://gatepost.example.com", "is not an address"),
        ("http://gatepost.example.com", "sends secrets in clear. Use https"),
    ],
)
def test_an_address_that_cannot_work_is_refused_beforehand(url: str, said: str) -> None:
    """Plain HTTP is for this machine only."""
    with pytest.raises(SettingsError, match=said):
        Uplink(UplinkSettings(url=url))


def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    """The path that is wrong stands in the error."""
    with pytest.raises(SettingsError, match=r"nowhere\.pem does not exist"):
        Uplink(UplinkSettings(url="https://gatepost.example.com", ca_file=tmp_path / "nowhere.pem"))


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Stage, Path]]:
    """A stage that speaks TLS, and the file of the authority that signed its certificate."""
    files = make_certificates(tmp_path, ("localhost", "127.0.0.1"))
    made = Stage(files.server_file)
    yield made, files.ca_file
    made.close()


def test_a_certificate_of_the_named_authority_is_trusted(secure: tuple[Stage, Path], identity: Identity) -> None:
    """An organization's own authority is named in the settings."""
    stage, ca_file = secure
    stage.answers = [good]
    link = Uplink(UplinkSettings(url=stage.url, ca_file=ca_file), Credentials(identity, "i"))
    assert link.check_in(DOCUMENT).sequence == 1


def test_a_certificate_of_nobody_we_trust_is_refused_before_anything_is_said(
    secure: tuple[Stage, Path], identity: Identity
) -> None:
    """The error names the cause and the setting; no request, and so no secret, went out."""
    stage, _ = secure
    with pytest.raises(ServiceUnreachable, match=r"is not trusted: .*certificate.* Name the authority .* in ca_file"):
        Uplink(UplinkSettings(url=stage.url), Credentials(identity, "i")).check_in(DOCUMENT)
    assert stage.requests == []


def test_a_proxy_is_used_where_the_settings_name_one(
    stage: Stage, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the settings decide on the way; what the environment says is not heard."""
    stage.answers = [good]
    settings = UplinkSettings(url="http://localhost:9", proxy=stage.url)
    Uplink(settings, Credentials(identity, "i")).check_in(DOCUMENT)
    assert stage.requests[0].path == "http://localhost:9/connector/v1/check-ins"
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    uplink(stage, identity).check_in(DOCUMENT)
    assert stage.requests[1].path == "/connector/v1/check-ins"


def test_a_proxy_that_is_away_is_named_as_such(identity: Identity) -> None:
    """The proxy is what to look at, not the service."""
    settings = UplinkSettings(url="http://localhost:9", proxy="http://127.0.0.1:9")
    with pytest.raises(ServiceUnreachable, match=r"The proxy on the way to the service failed\. Check the proxy"):
        Uplink(settings, Credentials(identity, "i")).check_in(DOCUMENT)


ENROLLED = {
    "tenant": "t",
    "organization": "o",
    "organization_name": "Head office",
    "connector": "c",
    "epoch": 1,
    "incarnation": "h",
    "service_key": base64.b64encode(SERVICE_KEY.public_key().public_bytes_raw()).decode(),
    "certificate": certified(new_key()),
}
FINGERPRINT = signing.fingerprint(SERVICE_KEY.public_key().public_bytes_raw())


def test_an_enrolment_is_believed_with_the_key_that_was_told_apart(stage: Stage) -> None:
    """What is sent is what was given, unsigned; an answer without an epoch is not the service's."""
    stage.answers = [
        lambda _: Reply(body=json.dumps(ENROLLED).encode()),
        lambda _: Reply(body=json.dumps(ENROLLED | {"epoch": None}).encode()),
    ]
    link = Uplink(UplinkSettings(url=stage.url))
    assert link.enrol({"ticket": "t.ticket"}, FINGERPRINT).organization_name == "Head office"
    with pytest.raises(ServiceUnreachable, match="malformed at epoch"):
        link.enrol({"ticket": "t.ticket"}, FINGERPRINT)
    assert json.loads(stage.requests[0].body) == {"ticket": "t.ticket"}
    assert "Gatepost-Signature" not in stage.requests[0].headers


HEAD = {"incarnation": "history", "revision": 1, "orders": 0, "sync": "none", "lease_seconds": 1}


@pytest.mark.parametrize("name", ["revision", "orders", "lease_seconds"])
@pytest.mark.parametrize("value", ["Infinity", "NaN", "-1", "1e400", "1" + "0" * 400, "true", '"1"', "null", "[]"])
def test_a_wait_that_is_answered_with_no_number_is_not_the_services(
    stage: Stage, identity: Identity, name: str, value: str
) -> None:
    """What Python's JSON reads as a number need not be one."""
    text = json.dumps(HEAD | {name: "?"}).replace('"?"', value)
    stage.answers = [lambda _: Reply(body=text.encode())]
    with pytest.raises(ServiceUnreachable, match=f"malformed at {name}: expected a whole number"):
        uplink(stage, identity).wait(0)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"mailbox": {"a": 1}}, "mailbox"),
        ({"mailbox": "m"}, "mailbox"),
        ({"device_id": None}, "device_id"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "\ud800"}, "device_id"),
        ({"level": "kill"}, "level"),
        ({"entry": None}, "entry"),
        ({"revision": -1}, "revision"),
        ({"owned": ["gate"]}, r"owned\[0\]"),
        ({"tried": "allow"}, "tried"),
    ],
)
def test_a_desired_row_that_is_none_stops_only_itself(
    stage: Stage, identity: Identity, change: dict[str, object], place: str
) -> None:
    """A row that cannot be understood is not worked on, and is told with its place; the others of the page are kept."""
    rows = [wanted("d").document(), wanted("e").document() | change, wanted("f").document()]
    body = json.loads(write_answer(Answer(1, "2026-11-22T12:00:00Z", "history-1"))) | {"desired": rows}
    stage.answers = [lambda _: Reply(body=json.dumps(body).encode())]
    answer = uplink(stage, identity).check_in(DOCUMENT)
    assert answer.desired == (wanted("d"), wanted("f"))
    [why] = answer.unreadable
    assert re.search(rf"malformed at desired\[1\]\.{place}: expected", why)


@pytest.mark.parametrize(
    ("server_time", "said"),
    [
        ("0001-01-01T00:00:00+10:00", "names no time"),
        ("0002-01-01T00:00:00Z", "its clock says 2"),
        ("9999-12-31T23:59:59Z", "its clock says 9999"),
        ("soon", "names no time"),
        (7, "names no time"),
        (None, "names no time"),
    ],
)
def test_a_clock_of_no_day_of_ours_is_not_used(
    stage: Stage, identity: Identity, server_time: object, said: str
) -> None:
    """It is told, and the next request goes on with the clock from before."""
    stage.answers = [lambda _: problem(401, "clock", server_time=server_time), good]
    link = uplink(stage, identity)
    with pytest.raises(ServiceUnreachable, match=said):
        link.check_in(DOCUMENT)
    assert link.check_in(DOCUMENT).sequence == 1
    moment = datetime.fromisoformat(stage.requests[1].headers["Gatepost-Time"])
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("header", "pause"), [("inf", 300.0), ("1e9", 300.0), ("nan", None), ("-7", 0.0), ("9" * 5_000, 300.0)]
)
def test_a_retry_after_past_all_reason_is_bounded(
    stage: Stage, identity: Identity, header: str, pause: float | None
) -> None:
    """Nothing that a header says makes a connector wait for ever."""
    stage.answers = [lambda _: Reply(503, b"", {"Retry-After": header})]
    with pytest.raises(ServiceUnreachable) as caught:
        uplink(stage, identity).check_in(DOCUMENT)
    assert caught.value.retry_after == pause


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epoch", 10**400),
        ("tenant", "t\r\nX: y"),
        ("connector", "\u4e00"),
        ("certificate", "x"),
        ("certificate", None),
        ("organization_name", "\n"),
        ("service_key", "x"),
        ("service_key", None),
    ],
)
def test_an_enrolment_that_could_not_be_used_is_not_the_services(stage: Stage, name: str, value: object) -> None:
    """What an enrolment gives is sent with every request later."""
    stage.answers = [lambda _: Reply(body=json.dumps(ENROLLED | {name: value}).encode())]
    with pytest.raises(ServiceUnreachable, match="does not speak like the service"):
        Uplink(UplinkSettings(url=stage.url)).enrol({"ticket": "t.ticket"}, FINGERPRINT)


# -- what the service has not signed ---------------------------------------------------------------------------------

UNSIGNED = [
    Reply(403, b"<h1>Blocked by proxy</h1>", HTML, signed=False),
    Reply(200, b"<h1>Welcome</h1>", HTML, signed=False),
    Reply(302, b"", {"Location": "http://elsewhere.invalid/"}, signed=False),
    replace(problem(403, "superseded", by="mail2"), signed=False),
    replace(problem(409, "sequence-gap", expected=7), signed=False),
    replace(problem(401, "clock", server_time="2030-01-01T00:00:00Z"), signed=False),
    replace(problem(401, "signature"), signed=False),
    replace(problem(403, "revoked"), headers={**PROBLEM, "Gatepost-Signature": "AAAA"}),
    replace(problem(403, "removed"), headers={**PROBLEM, "Gatepost-Signature": "?"}),
]


@pytest.mark.parametrize("reply", UNSIGNED, ids=[str(number) for number in range(len(UNSIGNED))])
def test_an_answer_that_the_service_has_not_signed_is_not_used(stage: Stage, identity: Identity, reply: Reply) -> None:
    """Neither a page nor a refusal, nor a clock: it is as if the service were away, and is told once."""
    stage.answers = [lambda _: reply]
    link = uplink(stage, identity)
    told: list[AnswerUnsigned] = []
    link.tell_unsigned = told.append
    for _ in range(2):
        with pytest.raises(AnswerUnsigned, match=r"is not signed by the service, so nothing in it is used") as caught:
            link.check_in(DOCUMENT)
    assert "somebody between changes answers. Check the url, and what stands between" in str(caught.value)
    assert len(stage.requests) == 2
    assert len(told) == 1
    moment = datetime.fromisoformat(stage.requests[1].headers["Gatepost-Time"])
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=30)
    stage.answers = [good]
    link.check_in(DOCUMENT)
    stage.answers = [lambda _: reply]
    with pytest.raises(AnswerUnsigned):
        link.check_in(DOCUMENT)
    assert len(told) == 2


def test_an_answer_to_another_request_is_not_used(stage: Stage, identity: Identity) -> None:
    """Its signature is right, and not over this request's: nobody can keep an answer for later."""
    stage.answers = [good]
    link = uplink(stage, identity)
    link.check_in(DOCUMENT)
    kept = good(stage.requests[0])
    kept = replace(kept, headers=kept.headers | signature_of(stage.requests[0], kept))
    stage.answers = [lambda _: kept]
    with pytest.raises(AnswerUnsigned):
        link.check_in(DOCUMENT)


def test_a_status_is_signed_too(stage: Stage, identity: Identity) -> None:
    """A refusal cannot be made a success, nor the other way round."""

    def turned(request: Request) -> Reply:
        refusal = problem(409, "sequence-gap", expected=7)
        return replace(refusal, status=403, headers=refusal.headers | signature_of(request, refusal))

    stage.answers = [turned]
    with pytest.raises(AnswerUnsigned):
        uplink(stage, identity).check_in(DOCUMENT)


def test_a_proxy_that_is_busy_is_only_waited_for(stage: Stage, identity: Identity) -> None:
    """A server error needs no signature: it makes us try again, at most five minutes later, and says nothing else."""
    stage.answers = [lambda _: Reply(503, b"", {"Retry-After": "1e9"}, signed=False)]
    told: list[AnswerUnsigned] = []
    link = uplink(stage, identity)
    link.tell_unsigned = told.append
    with pytest.raises(ServiceUnreachable, match="fails with status 503") as caught:
        link.check_in(DOCUMENT)
    assert (type(caught.value), caught.value.retry_after, told) == (ServiceUnreachable, 300.0, [])


class Drip:
    """A server that sends one byte after another, and never the last; TLS or not."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        try:
            client.recv(65_536)
            client.sendall(self._first)
            while True:
                client.sendall(b"\x16")
                time.sleep(0.02)  # how slowly it drips, not a wait for something
        except OSError:
            self.ended.set()

    def close(self) -> None:
        """Stop listening."""
        self._server.close()


@pytest.mark.parametrize(
    ("scheme", "first"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nX: "),
        ("https", b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb"),
    ],
    ids=["body", "body-without-length", "headers", "handshake"],
)
def test_an_answer_that_drips_is_cut_off(identity: Identity, scheme: str, first: bytes) -> None:
    """The time limit is one for the whole request: nobody holds the way to the service by sending slowly."""
    drip = Drip(first)
    settings = UplinkSettings(url=f"{scheme}://127.0.0.1:{drip.port}")
    link = Uplink(settings, Credentials(identity, "i"), seconds=0.4)
    with pytest.raises(ServiceUnreachable, match=r"did not answer within 0\.4 s\. Check the network and the proxy\."):
        link.check_in(DOCUMENT)
    assert drip.ended.wait(5)
    drip.close()


def test_the_systems_authorities_are_trusted(
    secure: tuple[Stage, Path], identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority that the administrators of this host added to its store needs no setting."""
    stage, ca_file = secure
    stage.answers = [good]
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(ca_file))
    assert Uplink(UplinkSettings(url=stage.url), Credentials(identity, "i")).check_in(DOCUMENT).sequence == 1


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    """A file without certificates is told before anything is sent."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match=r"ca\.pem cannot be used\. Give a file of PEM certificates\."):
        Uplink(UplinkSettings(url="https://gatepost.example.com", ca_file=tmp_path / "ca.pem"))
