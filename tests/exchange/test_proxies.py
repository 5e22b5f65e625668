"""Through a real HTTP proxy, squid: without a sign-in, with Basic, with Negotiate; and past it."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ExchangeError, ExchangeUnreachable, SettingsError, SignInRefused
from gatepost.exchange.sessions import Session
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings
from gatepost.wire.creating import Command
from tests.fixtures import samba
from tests.fixtures.lab import MakeLab
from tests.fixtures.samba import PROXY, READER, SERVER, Forest
from tests.fixtures.squid import FORBIDDEN, HIDDEN, PASSWORD, USER, Squid

pytestmark = [pytest.mark.needs("squid"), pytest.mark.xdist_group("samba")]
Secret = Callable[[str], Path]


def settings(lab: Lab, **changes: Any) -> ExchangeSettings:
    """Settings that reach a lab by Negotiate over TLS, with changes."""
    given: dict[str, Any] = {"url": lab.https_url, "auth": "negotiate", "user": lab.user, "ca_file": lab.ca_file}
    return ExchangeSettings(**(given | {"timeout": 20.0} | changes))


def attempt(lab: Lab, password: str | None = None, **changes: Any) -> int:
    """Sign in and run one cmdlet; how many objects it gave."""
    with Session.open(settings(lab, **changes), password or lab.password) as session:
        return len(session.objects(Command("Get-ExchangeServer", {})))


def refusal(lab: Lab, kind: type[ExchangeError], **changes: Any) -> str:
    """What a person reads of an attempt that fails; never a password."""
    with pytest.raises(kind) as caught:
        attempt(lab, **changes)
    assert caught.value.remedy
    assert PASSWORD not in str(caught.value)
    assert lab.password not in str(caught.value)
    return str(caught.value)


def by_basic(proxy: Squid, secret: Secret, password: str = PASSWORD) -> dict[str, Any]:
    """Settings for a proxy with Basic."""
    return {"proxy": proxy.url, "proxy_user": USER, "proxy_password_file": secret(password)}


def by_negotiate(proxy: Squid, secret: Secret, password: str = samba.PASSWORD) -> dict[str, Any]:
    """Settings for a proxy with Negotiate, by its own name."""
    return {
        "proxy": proxy.url.replace("localhost", PROXY),
        "proxy_auth": "negotiate",
        "proxy_user": READER,
        "proxy_password_file": secret(password),
    }


def test_https_goes_by_connect(lab: Lab, open_proxy: Squid) -> None:
    """An https address is reached by a tunnel: the proxy sees its host and port, and nothing else."""
    assert attempt(lab, proxy=open_proxy.url) > 0
    host = lab.https_url.removeprefix("https://").partition("/")[0]
    assert open_proxy.was_asked("CONNECT", host)


def test_http_goes_by_the_whole_address(lab: Lab, open_proxy: Squid) -> None:
    """An http address is asked for in full; the sealed messages and their sign-in pass through the proxy."""
    assert attempt(lab, proxy=open_proxy.url, url=lab.http_url) > 0
    assert open_proxy.was_asked("POST", lab.http_url)


def test_a_name_that_only_the_proxy_knows(lab: Lab, open_proxy: Squid) -> None:
    """Names behind the proxy are the proxy's to resolve."""
    assert attempt(lab, proxy=open_proxy.url, url=lab.http_url.replace("localhost", HIDDEN)) > 0


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a proxy where nobody listens: what arrives did not go through it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


def test_past_the_proxy(lab: Lab, nobody: str) -> None:
    """Exchange on the local network is reached past the proxy, by its name in any letters; other names are not."""
    assert attempt(lab, proxy=nobody, no_proxy=("other.example.org", "LocalHost")) > 0
    assert "the proxy does not answer" in refusal(lab, ExchangeUnreachable, proxy=nobody, no_proxy=("host",))


@pytest.mark.usefixtures("domain")
@pytest.mark.needs("samba")
def test_a_whole_domain_is_past_the_proxy(lab: Lab, nobody: str) -> None:
    """An entry that begins with a dot stands for all names below it, and not for those that only end alike."""
    url = lab.http_url.replace("localhost", SERVER)
    assert attempt(lab, proxy=nobody, url=url, no_proxy=(".example.test",)) > 0
    alike = ("example.test", ".1.example.test")
    assert "the proxy does not answer" in refusal(lab, ExchangeUnreachable, proxy=nobody, url=url, no_proxy=alike)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_basic_at_the_proxy(lab: Lab, basic_proxy: Squid, secret: Secret, scheme: str) -> None:
    """With user and password file the proxy lets us through, on both ways; no address in its log has a password."""
    url = lab.https_url if scheme == "https" else lab.http_url
    assert attempt(lab, url=url, **by_basic(basic_proxy, secret)) > 0
    assert basic_proxy.wrote(USER)
    assert PASSWORD not in basic_proxy.written()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_wrong_password_at_the_proxy_is_not_exchanges(
    lab: Lab, basic_proxy: Squid, secret: Secret, scheme: str
) -> None:
    """The proxy's refusal names the proxy, its user and its options; so does a sign-in that is missing."""
    url = lab.https_url if scheme == "https" else lab.http_url
    said = refusal(lab, SignInRefused, url=url, **by_basic(basic_proxy, secret, "wrong"))
    assert f"The proxy localhost does not accept the sign-in of {USER} by basic" in said
    assert "--proxy-password-file" in said
    said = refusal(lab, SignInRefused, url=url, proxy=basic_proxy.url)
    assert "The proxy localhost wants a sign-in" in said
    assert "--proxy-user" in said


def test_a_method_that_the_proxy_does_not_offer(lab: Lab, basic_proxy: Squid, secret: Secret) -> None:
    """Negotiate at a proxy that has Basic alone is named, with what is offered."""
    changes = by_basic(basic_proxy, secret) | {"proxy_auth": "negotiate"}
    said = refusal(lab, SignInRefused, **changes)
    assert f"The proxy localhost does not accept the sign-in of {USER} by negotiate: it offers Basic" in said


def test_what_the_proxy_forbids_or_cannot_reach(lab: Lab, open_proxy: Squid, nobody: str) -> None:
    """A host that the proxy forbids, and one that it cannot reach, are told apart from Exchange's own answers."""
    url = lab.https_url.replace("localhost", FORBIDDEN)
    said = refusal(lab, SignInRefused, proxy=open_proxy.url, url=url)
    assert f"The proxy localhost does not allow a connection to {FORBIDDEN} (403)" in said
    url = f"{nobody.replace('http', 'https')}/PowerShell"
    said = refusal(lab, ExchangeUnreachable, proxy=open_proxy.url, url=url)
    assert "the proxy localhost cannot reach it (503)" in said
    assert "--no-proxy" in said


def test_the_environment_names_no_proxy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not asked: the connector's own settings decide."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert attempt(lab) > 0
    assert attempt(lab, url=lab.http_url) > 0


def test_the_command_goes_through_a_proxy(lab: Lab, basic_proxy: Squid, secret: Secret) -> None:
    """The options do what the settings do; passwords are named by file, and nothing prints them."""
    command = [
        sys.executable, "-m", "gatepost", "exchange", "servers", "--json", "--url", lab.https_url, "--user", lab.user,
        "--password-file", str(lab.password_file), "--ca-file", str(lab.ca_file), "--proxy", basic_proxy.url,
        "--proxy-auth", "basic", "--proxy-user", USER, "--no-proxy", ".example.org", "--proxy-password-file",
    ]  # fmt: skip
    done, refused = (
        subprocess.run([*command, str(secret(word))], capture_output=True, text=True, timeout=60)
        for word in (PASSWORD, "wrong")
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(lab.organization.servers)
    assert refused.returncode == 6
    assert f"The proxy localhost does not accept the sign-in of {USER} by basic" in refused.stderr
    for shown in (done.stdout, done.stderr, refused.stdout, refused.stderr):
        assert PASSWORD not in shown
        assert lab.password not in shown


@pytest.mark.needs("samba")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("auth", ["negotiate", "kerberos"])
def test_negotiate_at_the_proxy_and_at_exchange(
    domain: Forest, make_lab: MakeLab, negotiate_proxy: Squid, secret: Secret, scheme: str, auth: str
) -> None:
    """The proxy takes a ticket of the domain, and Exchange behind it another, on both ways and both methods."""
    lab = make_lab(keytab=domain.keytab)
    url = lab.https_url if scheme == "https" else lab.http_url.replace("localhost", SERVER)
    changes = by_negotiate(negotiate_proxy, secret) | {"url": url, "auth": auth, "user": READER}
    assert attempt(lab, samba.PASSWORD, **changes) > 0
    assert {call.user for call in lab.calls} == {READER}
    assert negotiate_proxy.wrote(READER)


@pytest.mark.needs("samba")
@pytest.mark.usefixtures("domain")
def test_negotiate_at_the_proxy_by_tickets(domain: Forest, lab: Lab, negotiate_proxy: Squid, secret: Secret) -> None:
    """Without a user the tickets of the system sign in at the proxy; Exchange may be another method's affair."""
    samba.get_tickets(READER, domain.reader_keytab)
    proxy = {"proxy": negotiate_proxy.url.replace("localhost", PROXY), "proxy_auth": "negotiate"}
    assert attempt(lab, auth="basic", **proxy) > 0


@pytest.mark.needs("samba")
@pytest.mark.usefixtures("domain")
def test_negotiate_refused_at_the_proxy(lab: Lab, negotiate_proxy: Squid, secret: Secret) -> None:
    """A proxy that accepts no ticket is named, and Exchange is never asked."""
    calls = len(lab.calls)
    said = refusal(lab, SignInRefused, **by_negotiate(negotiate_proxy, secret, "wrong"))
    assert f"The proxy {PROXY}" in said
    said = refusal(lab, SignInRefused, proxy=negotiate_proxy.url.replace("localhost", PROXY))
    assert f"The proxy {PROXY} wants a sign-in" in said
    assert len(lab.calls) == calls


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"proxy": "proxy.example.com:3128"}, "proxy is not the address of an HTTP proxy"),
        ({"proxy": "https://proxy.example.com"}, "proxy is not the address of an HTTP proxy"),
        ({"proxy": "http://user:secret@proxy.example.com"}, "has a user or password in it"),
        ({"proxy": "http://proxy.example.com", "proxy_auth": "digest"}, "Choose one of basic, negotiate"),
        ({"proxy": "http://proxy.example.com", "proxy_user": "clerk"}, "needs a password"),
    ],
)
def test_settings_of_a_proxy_that_cannot_work(lab: Lab, changes: dict[str, Any], words: str) -> None:
    """Wrong settings are named before anything is sent, and a secret in them is not repeated."""
    with pytest.raises(SettingsError, match=words) as caught:
        attempt(lab, **changes)
    assert "secret" not in str(caught.value)
