"""The roads of alerts against real receivers: what arrives, and what is said where nothing does."""

import hashlib
import hmac
import socket
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import NotDelivered, SettingsError
from gatepost.service.alerts import addresses, roads
from gatepost.service.alerts.outbox import Ways
from gatepost.settings import ServiceSettings, changed
from tests.service.alerts.receivers import Certificate, Hook, Relay, hooking, logging_tcp, relaying

HERE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The receivers' certificate, for localhost."""
    return Certificate.make(tmp_path_factory.mktemp("tls"))


def mail() -> EmailMessage:
    """A short message."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "gatepost@example.com", "a@example.com", "Zoë"
    message.set_content("One.\n.two\n")
    return message


def way_to(relay: Relay, security: str = "starttls", **changes: Any) -> roads.Relay:
    """How to reach a relay of the test."""
    usual = roads.Relay(
        "localhost",
        relay.port,
        "gatepost@example.com",
        security,
        user="g",
        password="s3cret",
        ca_file=relay.certificate.ca_file,
    )
    return replace(usual, **changes)


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_mail_arrives_by_each_security(certificate: Certificate, security: str) -> None:
    """Encrypted but for none, signed in, whole."""
    with relaying(Relay(certificate, implicit=security == "tls")) as relay:
        roads.send_mail(way_to(relay, security), mail())
        assert (relay.secured, len(relay.signed_in)) == ([security != "none"], 1)
        assert relay.messages[0]["Subject"] == "Zoë"
        assert relay.messages[0].get_content().splitlines() == ["One.", ".two"]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"RCPT": "550 no such user"}, "refuses the message: 550 no such user"),
        ({"AUTH": "535 wrong"}, "refuses the message: 535 wrong"),
        ({"MAIL": "421 busy"}, "refuses the message: 421 busy"),
    ],
)
def test_a_relay_that_refuses_is_quoted(certificate: Certificate, says: dict[str, str], words: str) -> None:
    """It did not take the message, which is certain; the password is nowhere."""
    with relaying(Relay(certificate, says=says)) as relay, pytest.raises(NotDelivered, match=words) as caught:
        roads.send_mail(way_to(relay), mail())
    assert not caught.value.uncertain
    assert "s3cret" not in str(caught.value)


def test_a_relay_that_falls_silent_is_uncertain(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the message and never says so."""
    monkeypatch.setattr(roads, "TIMEOUT", 0.5)
    with relaying(Relay(certificate, hang=True)) as relay, pytest.raises(NotDelivered, match="in time") as caught:
        roads.send_mail(way_to(relay), mail())
    assert caught.value.uncertain


def test_a_relay_without_trust_or_at_all_is_told(certificate: Certificate) -> None:
    """A certificate of nobody, a port where nothing listens."""
    with relaying(Relay(certificate)) as relay:
        with pytest.raises(
            NotDelivered, match=r"certificate of the mail relay localhost is not trusted.*alert-ca-file"
        ):
            roads.send_mail(way_to(relay, ca_file=None), mail())
        gone = way_to(relay)
    with pytest.raises(NotDelivered, match="cannot be used: Connection refused") as caught:
        roads.send_mail(gone, mail())
    assert not caught.value.uncertain


def test_a_webhook_is_signed(certificate: Certificate) -> None:
    """By HMAC over the time and the body, at the path that was given."""
    with hooking(Hook(), certificate) as hook:
        roads.post(hook.url, b'{"a":1}', roads.sign(b"key", b'{"a":1}', AT), HERE, certificate.ca_file)
    headers, body = hook.got[0]
    expected = hmac.new(b"key", b"1767323045." + body, hashlib.sha256).hexdigest()
    assert headers["Gatepost-Signature"] == f"t=1767323045,v1={expected}"
    assert headers["Host"] == f"localhost:{hook.port}"


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (Hook(status=500), r"answers with 500\. Its own log says why"),
        (Hook(status=302, location="http://169.254.169.254/"), r"redirects \(302\)\. Give the final address"),
        (Hook(status=307, location="https://10.0.0.1/"), r"redirects \(307\)"),
    ],
)
def test_a_webhook_that_refuses_or_redirects_is_told(certificate: Certificate, hook: Hook, words: str) -> None:
    """A redirect is not followed, wherever it leads."""
    with hooking(hook, certificate), pytest.raises(NotDelivered, match=words):
        roads.post(hook.url, b"{}", "x", HERE, certificate.ca_file)
    assert len(hook.got) == 1


def test_a_webhooks_certificate_must_be_trusted_and_its_names(certificate: Certificate) -> None:
    """Neither an unknown authority nor another name will do."""
    with hooking(Hook(), certificate) as hook:
        with pytest.raises(NotDelivered, match="certificate of localhost is not trusted"):
            roads.post(hook.url, b"{}", "x", HERE, None)
        with pytest.raises(NotDelivered, match=r"certificate of 127\.0\.0\.1 is not trusted"):
            roads.post(hook.url.replace("localhost", "127.0.0.1"), b"{}", "x", HERE, certificate.ca_file)
    assert hook.got == []


def test_an_answer_that_trickles_is_cut(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many seconds in all, however often a byte comes."""
    monkeypatch.setattr(roads, "LONGEST", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://localhost:{server.getsockname()[1]}/"
        with pytest.raises(NotDelivered, match="webhook at localhost cannot be reached"):
            roads.post(url, b"{}", "x", HERE, certificate.ca_file)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_syslog_arrives_on_a_stream(certificate: Certificate, scheme: str) -> None:
    """Each message with its length before it (RFC 6587), in the form of RFC 5424."""
    with logging_tcp(certificate if scheme == "tls" else None) as (port, got, ended):
        lines = [roads.log_line("begin", "Zoë:\nsilent", AT, "gate1"), roads.log_line("end", "Fine", AT, "gate1")]
        roads.write_log(f"{scheme}://localhost:{port}", lines, HERE, certificate.ca_file)
        assert ended.wait(10)
    first = "<132>1 2026-01-02T03:04:05Z gate1 gatepost - alert-begin - \ufeffZoë: silent".encode()
    second = "<133>1 2026-01-02T03:04:05Z gate1 gatepost - alert-end - \ufeffFine".encode()
    assert got == [b"%d %b%d %b" % (len(first), first, len(second), second)]


def test_syslog_arrives_by_udp() -> None:
    """A datagram each."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        line = roads.log_line("test", "Hello", AT, "gate1")
        roads.write_log(f"udp://127.0.0.1:{listener.getsockname()[1]}", [line], HERE, None)
        assert listener.recv(2_000) == line


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("localhost", "127.0.0.1|::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("10.1.2.3", "10.1.2.3"),
        ("0.0.0.0", "0.0.0.0"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe"),
        ("2002:0a00:0001::1", "2002:a00:1::1"),
        ("fe80::1", "fe80::1"),
        ("fd00:ec2::254", "fd00:ec2::254"),
        ("224.0.0.1", "224.0.0.1"),
    ],
)
def test_nothing_inside_is_reached(host: str, shown: str) -> None:
    """Loopback, metadata and private addresses, in every disguise, are refused before a connection is made."""
    with pytest.raises(NotDelivered, match=rf"leads to ({shown}), which is inside this network or this machine"):
        addresses.resolve(host, 443, ())
    url = f"https://[{host}]/" if ":" in host else f"https://{host}/"
    with pytest.raises(
        NotDelivered, match=r"ask the operator of the service to allow that network \(--alert-network\)"
    ):
        roads.post(url, b"{}", "x", (), None)
    with pytest.raises(NotDelivered, match="inside this network"):
        roads.write_log(url.replace("https", "udp").rstrip("/"), [b"x"], (), None)


def test_what_the_operator_allows_is_reached() -> None:
    """That network and no other; public addresses always."""
    assert addresses.resolve("10.1.2.3", 443, addresses.networks(["10.1.2.0/24"])) == "10.1.2.3"
    assert addresses.resolve("::ffff:10.1.2.3", 443, addresses.networks(["10.1.2.0/24"])) == "::ffff:10.1.2.3"
    assert addresses.resolve("9.9.9.9", 443, ()) == "9.9.9.9"
    with pytest.raises(NotDelivered):
        addresses.resolve("10.1.3.3", 443, addresses.networks(["10.1.2.0/24"]))
    with pytest.raises(NotDelivered, match="cannot be resolved"):
        addresses.resolve("no.such.invalid", 443, ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alert_networks": ("10.1.2.3/24",)}, "--alert-network is not a network: '10.1.2.3/24'"),
        ({"alert_ca_file": Path("/nonexistent")}, "The CA file /nonexistent cannot be used"),
        ({"mail_relay": "mx.example.com", "mail_security": "ssl"}, "--mail-security is 'ssl'"),
        ({"mail_relay": "mx.example.com", "mail_security": "none", "mail_from": "a@b"}, "in clear"),
        ({"mail_relay": "mx.example.com"}, "needs --mail-from"),
        ({"mail_relay": "mx.example.com:x", "mail_from": "a@b"}, "is not a host and port"),
        ({"mail_relay": "mx.example.com", "mail_from": "a@b", "mail_user": "u"}, "--mail-user needs a password"),
    ],
)
def test_options_that_cannot_work_are_told_at_the_start(changes: dict[str, object], words: str) -> None:
    """With the option's name."""
    with pytest.raises(SettingsError, match=words):
        Ways.of(changed(ServiceSettings(data=Path()), changes))


def test_the_relays_password_comes_from_a_file_or_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port follows from the security; the password is in no text of it."""
    (tmp_path / "gatepost.mail-password").write_text("s3cret\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    given = ServiceSettings(data=Path(), mail_relay="mx.example.com", mail_from="g@example.com", mail_user="g")
    relay = Ways.of(changed(given, {"mail_security": "tls"})).relay
    assert relay is not None
    assert (relay.port, relay.password, "s3cret" in repr(relay)) == (465, "s3cret", False)
