"""What is said when the thing at the address is not Exchange, or not ready, or not trusted."""

import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import (
    ExchangeBusy,
    ExchangeUnreachable,
    GatepostError,
    NotExchange,
    SettingsError,
    SignInRefused,
    UntrustedCertificate,
    WireError,
)
from gatepost.exchange.sessions import Session
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings
from tests.exchange.pages import (
    Answer,
    broken_off,
    chunk_broken_off,
    endless,
    gibberish,
    long_line,
    page,
    serving,
    silent,
)

PASSWORD = "s3cret-w0rd"
SOAP = "application/soap+xml"


def attempt(address: str, **changes: Any) -> None:
    """Try once to open a session there, by Basic."""
    given: dict[str, Any] = {"url": address, "auth": "basic", "user": "LAB\\reader", "timeout": 10.0}
    Session.open(ExchangeSettings(**(given | changes)), PASSWORD).close()


@pytest.mark.parametrize(
    ("answer", "kind", "code", "words"),
    [
        (page(200), NotExchange, 5, "answers with 200 and text/html, which is not remote PowerShell"),
        (page(404), NotExchange, 5, "Name the PowerShell address of an Exchange server"),
        (page(401), SignInRefused, 6, r"does not accept the sign-in of LAB\\reader by basic"),
        (page(403), SignInRefused, 6, "refuses access"),
        (page(500), ExchangeUnreachable, 5, "error page"),
        (page(503), ExchangeBusy, 5, "is not ready"),
        (
            page(302, Location="https://elsewhere.test/PowerShell"),
            NotExchange,
            5,
            "redirects to https://elsewhere.test",
        ),
        (
            page(302, Location="http://127.0.0.1/PowerShell"),
            NotExchange,
            5,
            "redirects to http://127.0.0.1/PowerShell, which the",
        ),
        (page(302, Location="https://127.0.0.1:1/PowerShell"), NotExchange, 5, "redirects to https://127.0.0.1:1/"),
        (page(302, Location="http://[::1"), NotExchange, 5, "not understood: Invalid IPv6 URL"),
        (page(302, Location="/PowerShell/again"), NotExchange, 5, "redirects in a circle"),
        (page(200, b"<a/>", SOAP), WireError, 1, "XML, but not a SOAP 1.2 envelope"),
        (page(200, b"<a", SOAP), WireError, 1, "malformed XML"),
        (page(200, b"<!DOCTYPE a><a/>", SOAP), WireError, 1, "DOCTYPE, which no Exchange server sends"),
        (broken_off, ExchangeUnreachable, 5, r"reached: its answer broke off \(11 bytes came, 4989 are missing\)\."),
        (chunk_broken_off, ExchangeUnreachable, 5, r"reached: its answer broke off \(\d+ bytes came.*\)\."),
        (silent, ExchangeUnreachable, 5, r"reached: it hung up without an answer\. Check the name, .* network\.$"),
        (gibberish, ExchangeUnreachable, 5, r"reached: it does not answer in HTTP\. Check"),
        (long_line, ExchangeUnreachable, 5, r"reached: its answer has a line that is too long\. Check"),
        (endless, NotExchange, 5, "answer of more than"),
    ],
)
def test_what_is_not_exchange_is_named(
    tmp_path: Path, answer: Answer, kind: type[GatepostError], code: int, words: str
) -> None:
    """A page, a refusal, a foreign redirect, damage or a flood is named with its remedy, never with the password."""
    with serving(tmp_path, answer) as (address, ca_file), pytest.raises(kind, match=words) as caught:
        attempt(address, ca_file=ca_file)
    assert caught.value.exit_code == code
    assert caught.value.remedy or kind is WireError
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (page(401, WWW_Authenticate="Negotiate !!!"), SignInRefused, "LAB.reader by negotiate|agree on a sign-in"),
        (page(401, WWW_Authenticate="NTLM AAAA"), SignInRefused, "LAB.reader by negotiate|agree on a sign-in"),
        (page(401, WWW_Authenticate="Digest x"), SignInRefused, "does not accept the sign-in"),
        (page(302, Location="/PowerShell/again"), NotExchange, "redirects in a circle"),
        (page(302, Location="http://127.0.0.1:1/"), NotExchange, "which the settings do not allow"),
        (page(200), NotExchange, "did not ask for a sign-in|is not remote PowerShell"),
        (endless, NotExchange, "answer of more than"),
        (lambda handler: endless(handler, 401), NotExchange, "answer of more than"),
    ],
)
@pytest.mark.parametrize("tls", [True, False])
def test_a_strange_sign_in_is_named(
    tmp_path: Path, answer: Answer, kind: type[GatepostError], words: str, tls: bool
) -> None:
    """Tokens that make no sense, circles and floods during the sign-in are clear errors too, with TLS and without."""
    with serving(tmp_path, answer, tls=tls) as (address, ca_file), pytest.raises(kind, match=words) as caught:
        attempt(address, ca_file=ca_file, auth="negotiate")
    assert PASSWORD not in str(caught.value)


def test_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    """Without the authority's file, nothing is sent to a server that the system does not trust."""
    asked: list[str] = []
    with serving(tmp_path, lambda handler: asked.append(handler.path)) as (address, _):
        with pytest.raises(
            UntrustedCertificate, match=r"certificate of 127.0.0.1 is not trusted: self.signed"
        ) as caught:
            attempt(address)
        assert "--ca-file" in caught.value.remedy
    assert not asked


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    """The name in the address must be in the certificate."""
    with serving(tmp_path, page(200)) as (address, ca_file), pytest.raises(UntrustedCertificate, match="not valid for"):
        attempt(address.replace("127.0.0.1", "localhost"), ca_file=ca_file)


def test_plain_http_behind_an_https_address_is_named(tmp_path: Path) -> None:
    """The wrong port is not mistaken for a wrong certificate."""
    with serving(tmp_path, page(200), tls=False) as (address, _), pytest.raises(ExchangeUnreachable, match="TLS fails"):
        attempt(address.replace("http:", "https:"))


HINT = r"If that port speaks TLS, as 443 does, the address begins with https\.$"


def test_an_http_address_of_a_tls_server_is_named(tmp_path: Path) -> None:
    """However it ends the connection, https is what a person is told to try."""
    with serving(tmp_path, page(200)) as (address, _), pytest.raises(ExchangeUnreachable, match=HINT):
        attempt(address.replace("https:", "http:"), auth="negotiate")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "it answers in TLS"),
        (b"", "Connection reset by peer"),
    ],
)
def test_a_tls_port_that_gives_an_alert_or_hangs_up_is_named(answer: bytes, words: str) -> None:
    """The two ways in which TLS servers meet plain HTTP."""

    def meet(listener: socket.socket) -> None:
        met, _ = listener.accept()
        with met:
            met.recv(65_536)
            met.sendall(answer)
            if not answer:
                met.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        meeting = threading.Thread(target=meet, args=(listener,))
        meeting.start()
        with pytest.raises(ExchangeUnreachable, match=f"{words}.*{HINT}"):
            attempt(f"http://127.0.0.1:{listener.getsockname()[1]}/PowerShell", auth="negotiate")
        meeting.join()


def test_nobody_at_the_address() -> None:
    """A closed port and a name that does not exist are unreachable, in words."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ExchangeUnreachable, match=r"cannot be reached: Connection refused") as caught:
            attempt(f"https://127.0.0.1:{closed.getsockname()[1]}/PowerShell")
    assert caught.value.exit_code == 5
    with pytest.raises(ExchangeUnreachable, match=r"nowhere\.invalid cannot be reached"):
        attempt("https://nowhere.invalid/PowerShell")


def test_kerberos_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    """Kerberos needs compiled libraries, which are an extra; without them the remedy is named."""
    without = (
        "import sys; sys.modules.update(gssapi=None, krb5=None); from gatepost.cli.main import main; sys.exit(main())"
    )
    asks = page(401, WWW_Authenticate="Negotiate")
    with serving(tmp_path, asks, tls=False) as (address, _):
        command = ["exchange", "servers", "--url", address.replace("127.0.0.1", "localhost"), "--auth", "kerberos"]
        done = subprocess.run([sys.executable, "-c", without, *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "needs Kerberos" in done.stderr
    assert "requirements/kerberos.txt" in done.stderr


@pytest.mark.parametrize(
    "host",
    ["outlook.office365.com", "OUTLOOK.office365.com.", "ps.outlook.com", "partner.outlook.cn", "outlook.office365.us"],
)
def test_exchange_online_is_refused_at_once(tmp_path: Path, host: str) -> None:
    """Named in the settings or reached by a redirect, even an allowed one: nothing is sent there, and why is said."""
    with pytest.raises(SettingsError, match="which is Exchange Online") as caught:
        attempt(f"https://{host}/PowerShell-LiveID")
    assert "name one of its servers" in caught.value.remedy
    moved = page(302, Location=f"https://{host}/PowerShell-LiveID")
    with serving(tmp_path, moved) as (address, ca_file), pytest.raises(SettingsError, match=r"redirects to .* Online"):
        attempt(address, ca_file=ca_file, allowed_redirects=(host,))


def test_a_host_that_only_looks_like_exchange_online_is_fine() -> None:
    """What counts is the domain, not how a name begins or ends."""
    for host in ("outlook.example.com", "myoutlook.com", "outlook.com.example.org"):
        assert ExchangeSettings(url=f"https://{host}/PowerShell").url


def test_redirects_to_hosts_that_are_allowed_are_followed(lab: Lab, tmp_path: Path) -> None:
    """A load balancer may send to a server that the local settings name."""
    with serving(tmp_path, page(302, Location=lab.https_url)) as (address, pem):
        both = tmp_path / "both.pem"
        both.write_bytes(pem.read_bytes() + lab.ca_file.read_bytes())
        host = lab.https_url.removeprefix("https://").partition("/")[0]
        for named in ("localhost", host):
            settings = ExchangeSettings(
                url=address, auth="basic", user=lab.user, ca_file=both, allowed_redirects=(named,)
            )
            Session.open(settings, lab.password).close()


def test_a_proxy_that_does_not_answer_is_named() -> None:
    """A wrong proxy is not mistaken for a wrong server."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ExchangeUnreachable, match="the proxy does not answer"):
            attempt("https://mail.test/PowerShell", proxy=f"http://127.0.0.1:{closed.getsockname()[1]}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "mail.example.com"}, "url is not an address: mail.example.com"),
        ({"auth": "magic"}, "Choose one of kerberos, negotiate, basic"),
        ({"url": "http://mail/PowerShell"}, "sends the password in clear"),
        ({"timeout": 0.0}, "timeout, runspaces or envelope is too small"),
        ({"user": None}, "by basic needs a user and a password"),
        ({"user": None, "auth": "negotiate"}, "by negotiate needs a user and a password"),
        ({"url": "https:///PowerShell"}, "it names no host"),
        ({"url": "https://m\u00fcnchen.test/PowerShell"}, "it has letters that none may have"),
        ({"url": "https://mail.test/Power\x00Shell"}, "it has letters that none may have"),
        ({"url": "https://[::1/PowerShell"}, "is not an address: Invalid IPv6 URL"),
        ({"url": "https://mail.test:99999/PowerShell"}, "is not an address: Port out of range"),
        ({"url": "https://10.1.2.3/PowerShell", "auth": "kerberos"}, r"the address is a number \(10\.1\.2\.3\)"),
        ({"url": "http://[fe80::1]/PowerShell", "auth": "kerberos"}, r"the address is a number \(fe80::1\)"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "The CA file /nowhere/ca.pem cannot be used"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], words: str) -> None:
    """Wrong settings are named before anything is sent; the exit code says wrong usage."""
    with pytest.raises(SettingsError, match=words) as caught:
        attempt(changes.pop("url", "https://mail.test/PowerShell"), **changes)
    assert caught.value.exit_code == 2
