"""The service seen from the connector: every answer is the contract's, or a clear error of ours."""

import base64
import hashlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.stopping import Stop, Stopped
from gatepost.connector.uplink import Backoff, Head, Patience, Uplink, pack
from gatepost.domain.contract import CheckIn, Kind, seal
from gatepost.errors import ServiceRefused, ServiceUnreachable, SettingsError
from gatepost.lab.certificates import make_certificates
from gatepost.settings import UplinkSettings
from tests.fixtures.connector import Reply, Stage, good, problem

DOCUMENT = pack(seal(CheckIn("org", 1, "history-1", 1, Kind.CYCLE)))


def uplink(stage: Stage, identity: Identity) -> Uplink:
    """An uplink to the stage."""
    return Uplink(UplinkSettings(url=stage.url), Credentials(identity, "instance-1"))


def test_a_request_carries_who_asks_and_a_digest_of_the_bytes(stage: Stage, identity: Identity) -> None:
    """The headers are those that a signature will cover, and the body is gzipped JSON."""
    stage.answers = [good]
    answer = uplink(stage, identity).check_in(DOCUMENT)
    [request] = stage.requests
    assert (request.method, request.path) == ("POST", "/connector/v1/check-ins")
    assert request.headers["Gatepost-Key"] == f"{identity.tenant}/connector-1"
    assert (request.headers["Gatepost-Epoch"], request.headers["Gatepost-Instance"]) == ("1", "instance-1")
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    assert request.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert request.headers["Authorization"] == f"Bearer {identity.secret}"
    assert (request.headers["Content-Encoding"], request.headers["Content-Type"]) == ("gzip", "application/json")
    moment = datetime.fromisoformat(request.headers["Gatepost-Time"])
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=30)
    assert answer.sequence == 1


def test_a_wait_tells_the_head(stage: Stage, identity: Identity) -> None:
    """A held-open request names the revision held and brings back what may be new."""
    stage.answers = [lambda _: Reply(body=b'{"revision": 4, "orders": 0, "sync": "quick", "lease_seconds": 120}')]
    assert uplink(stage, identity).wait(3) == Head(4, 0, "quick", 120)
    assert stage.requests[0].path == "/connector/v1/wait?revision=3&orders=0"


def test_the_clock_of_the_service_is_used_where_ours_is_off(stage: Stage, identity: Identity) -> None:
    """A host that is a day off works: the second attempt, and all later ones, carry the service's time."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    stage.answers = [lambda _: problem(401, "clock", server_time=tomorrow.isoformat()), good]
    uplink(stage, identity).check_in(DOCUMENT)
    times = [datetime.fromisoformat(request.headers["Gatepost-Time"]) for request in stage.requests]
    assert abs(times[1] - tomorrow) < timedelta(seconds=30)
    assert stage.requests[0].body == stage.requests[1].body


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


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(403, b"<h1>Blocked by proxy</h1>", HTML), "status 403 came without a problem document"),
        (Reply(200, b"<h1>Welcome</h1>", HTML), "not JSON"),
        (Reply(302, b"", {"Location": "http://elsewhere.invalid/"}), "status 302 came without a problem document"),
        (Reply(200, b"[]"), "expected an object"),
        (Reply(200, b'{"sequence": 1}'), "server_time"),
        (Reply(200, b" " * (16 * 1024 * 1024 + 1)), "larger than any of ours"),
        (Reply(404, b"{}"), "status 404 came without a problem document"),
    ],
)
def test_what_is_not_the_services_word_is_never_taken_for_it(
    stage: Stage, identity: Identity, reply: Reply, said: str
) -> None:
    """A proxy's page, another web server or a redirect is the service being away, with what to check."""
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
    assert identity.secret not in str(caught.value)


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


# -- patience ----------------------------------------------------------------------------------------------------------


def test_the_same_bytes_are_tried_until_they_are_answered(stage: Stage, identity: Identity) -> None:
    """Repeating a sealed document is what makes a lost answer harmless."""
    lost = Reply(503, b"", {"Retry-After": "0"})
    stage.answers = [lambda _: lost, lambda _: Reply(503, b"", {"Retry-After": "0"}), good]
    link = uplink(stage, identity)
    assert Patience(Stop()).keep_trying(lambda: link.check_in(DOCUMENT)).sequence == 1
    assert [request.body for request in stage.requests] == [DOCUMENT] * 3


def test_another_instances_lease_is_waited_for(stage: Stage, identity: Identity) -> None:
    """While another instance holds the lease, the same bytes are sent again after the seconds named."""
    stage.answers = [lambda _: problem(409, "lease-held", seconds=0), good]
    link = uplink(stage, identity)
    assert Patience(Stop()).keep_trying(lambda: link.check_in(DOCUMENT)).sequence == 1


def test_a_refusal_ends_patience_at_once(stage: Stage, identity: Identity) -> None:
    """What trying again cannot mend is not tried again."""
    stage.answers = [lambda _: problem(409, "sequence-gap", expected=3)]
    link = uplink(stage, identity)
    with pytest.raises(ServiceRefused):
        Patience(Stop()).keep_trying(lambda: link.check_in(DOCUMENT))
    assert len(stage.requests) == 1


def test_a_command_does_not_wait_for_ever(stage: Stage, identity: Identity) -> None:
    """A limit ends it with the last error."""
    stage.answers = [lambda _: Reply(503, b"", {"Retry-After": "60"})]
    link = uplink(stage, identity)
    with pytest.raises(ServiceUnreachable, match="status 503"):
        Patience(Stop(), limit=5).keep_trying(lambda: link.check_in(DOCUMENT))


def test_being_asked_to_stop_ends_a_pause(stage: Stage, identity: Identity) -> None:
    """A pause of minutes does not hold up a clean stop."""
    stop = Stop()
    arrived = threading.Event()

    def busy(_: object) -> Reply:
        arrived.set()
        return Reply(503, b"", {"Retry-After": "300"})

    stage.answers = [busy]

    def ask() -> None:
        arrived.wait()
        stop.ask()

    threading.Thread(target=ask).start()
    link = uplink(stage, identity)
    with pytest.raises(Stopped):
        Patience(stop).keep_trying(lambda: link.check_in(DOCUMENT))


def test_pauses_grow_to_five_minutes_with_jitter() -> None:
    """Many connectors do not come back at the same moment, and none hammers."""
    backoff = Backoff(random.Random(1))
    pauses = [backoff.next() for _ in range(12)]
    ceilings = [min(2.0**n, 300.0) for n in range(12)]
    assert all(ceiling / 4 <= pause <= ceiling for pause, ceiling in zip(pauses, ceilings, strict=True))
    backoff.reset()
    assert backoff.next() <= 1
    assert 120 <= backoff.next(retry_after=120) <= 160
    assert 300 <= backoff.next(retry_after=86_400) <= 375


def test_an_outage_is_told_once_when_it_starts_and_once_when_it_ends(
    stage: Stage, identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    """Three failed attempts make two lines of log."""
    busy = Reply(503, b"", {"Retry-After": "0"})
    stage.answers = [lambda _: busy, lambda _: busy, lambda _: busy, good]
    link = uplink(stage, identity)
    with caplog.at_level("INFO", logger="gatepost"):
        Patience(Stop()).keep_trying(lambda: link.check_in(DOCUMENT))
    assert [record.getMessage() for record in caplog.records] == ["the service is away", "the service is back"]


def test_an_enrolment_sends_what_it_must_and_no_secret(stage: Stage) -> None:
    """The ticket and the hash of a key go out; an answer without an epoch is not the service's."""
    stage.answers = [
        lambda _: Reply(body=b'{"tenant": "t", "organization": "o", "connector": "c", "incarnation": "h"}')
    ]
    link = Uplink(UplinkSettings(url=stage.url))
    with pytest.raises(ServiceUnreachable, match="has no epoch"):
        link.enrol("t.ticket", "sha256:00", "instance")
    sent = json.loads(stage.requests[0].body)
    assert (sent["ticket"], sent["public_key"], sent["instance"]) == ("t.ticket", "sha256:00", "instance")
    assert "Authorization" not in stage.requests[0].headers
