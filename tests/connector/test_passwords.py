"""Where a connector's passwords come from, and signing in at a real proxy on the way to the service."""

import ssl
from pathlib import Path

import msgspec
import pytest

from gatepost.connector.connection import connect
from gatepost.connector.line import Line
from gatepost.connector.passwords import Passwords
from gatepost.connector.secrets import EXCHANGE, EXCHANGE_PROXY, NAMES, SERVICE_PROXY, Secrets
from gatepost.errors import ServiceUnreachable, SettingsError
from gatepost.lab.server import Lab
from gatepost.settings import ConnectorSettings, ExchangeSettings, NoticeSettings, UplinkSettings
from tests.fixtures.connector import Reply, Stage
from tests.fixtures.squid import FORBIDDEN, HIDDEN, PASSWORD, USER, Squid


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def settings(folder: Path, **exchange: object) -> ConnectorSettings:
    """A connector's settings without a password file."""
    values = {"url": "https://mail.example.com/PowerShell", "user": "EXAMPLE\\reader"} | exchange
    return ConnectorSettings(
        folder=folder,
        exchange=msgspec.convert(values, ExchangeSettings, dec_hook=lambda _, value: value),
        service=UplinkSettings(url="https://gatepost.example.com"),
        notices=NoticeSettings(account="gatepost@example.com"),
    )


def test_passwords_come_from_the_secrets_as_they_are_then(tmp_path: Path) -> None:
    """Each of the four from its own place, and the new one once it was changed."""
    passwords = Passwords(settings(tmp_path))
    asked = (passwords.exchange, passwords.exchange_proxy, passwords.service_proxy, passwords.notices)
    assert [ask() for ask in asked] == [None] * 4
    for name in NAMES:
        Secrets(tmp_path).keep(name, f"of {name}")
    assert [ask() for ask in asked] == [f"of {name}" for name in NAMES]
    Secrets(tmp_path).keep(EXCHANGE, "new")
    assert passwords.exchange() == "new"


def test_a_file_that_the_settings_name_goes_first(tmp_path: Path) -> None:
    """As it always did."""
    Secrets(tmp_path).keep(EXCHANGE, "kept")
    (tmp_path / "password").write_text("in the file\n")
    assert Passwords(settings(tmp_path, password_file=tmp_path / "password")).exchange() == "in the file"


def test_exchange_is_opened_with_the_password_that_is_kept_now(lab: Lab, tmp_path: Path) -> None:
    """Without one, a person reads what to do; nothing was sent."""
    chosen = settings(tmp_path, url=lab.https_url, auth="basic", user=lab.user, ca_file=lab.ca_file)
    with pytest.raises(SettingsError, match=r"No password is kept for .*reader\. Give it: gatepost connector setup"):
        connect(chosen if lab.user.endswith("reader") else settings(tmp_path))
    Secrets(tmp_path).keep(EXCHANGE, lab.password)
    connect(chosen).close()


@pytest.mark.needs("squid")
def test_exchange_is_reached_through_a_proxy_whose_password_is_kept(
    lab: Lab, tmp_path: Path, basic_proxy: Squid
) -> None:
    """The proxy's password is kept as the account's is."""
    chosen = settings(
        tmp_path, url=lab.https_url, auth="basic", user=lab.user, ca_file=lab.ca_file,
        proxy=basic_proxy.url, proxy_user=USER,
    )  # fmt: skip
    Secrets(tmp_path).keep(EXCHANGE, lab.password)
    with pytest.raises(SettingsError, match="Signing in at the proxy by basic needs a password"):
        connect(chosen)
    Secrets(tmp_path).keep(EXCHANGE_PROXY, PASSWORD)
    connect(chosen).close()


# -- the service through a proxy ---------------------------------------------------------------------------------------


def ask(link: UplinkSettings, password: str | None) -> bytes:
    """One request to a service, as the connector makes it."""
    url = f"{link.url}/livez"
    return Line(link, lambda: password).request("GET", url, {}, b"", 20).body


@pytest.mark.needs("squid")
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_the_service_is_reached_through_a_proxy_that_asks_for_a_sign_in(
    basic_proxy: Squid, stage: Stage, lab: Lab, secure: bool
) -> None:
    """By CONNECT for https, by the whole address for http; the far end is never told the password."""
    stage.answers = [lambda _: Reply(body=b"alive")]
    url = lab.https_url.partition("/PowerShell")[0].replace("127.0.0.1", "localhost") if secure else stage.url
    link = UplinkSettings(url=url, proxy=basic_proxy.url, proxy_user=USER, ca_file=lab.ca_file if secure else None)
    ask(link, PASSWORD)
    name = url.partition("//")[2]
    assert basic_proxy.was_asked(*(("CONNECT", name) if secure else ("GET", f"{url}/livez")))
    assert all("Proxy-Authorization" not in request.headers for request in stage.requests)


@pytest.mark.needs("squid")
@pytest.mark.parametrize("url", ["http://localhost:9", f"https://{HIDDEN}:9"])
@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        (None, None, "wants a sign-in. Give user and password: gatepost connector setup --change proxy"),
        (USER, None, f"wants a sign-in, and no password is kept for {USER}. Give user and password"),
        (USER, "wrong pa55", f"does not accept the sign-in of {USER}. Give user and password"),
    ],
)
def test_a_proxy_that_refuses_the_sign_in_is_told_as_such(
    basic_proxy: Squid, url: str, user: str | None, password: str | None, said: str
) -> None:
    """With and without a password, tunnelled or not: the proxy by name, the remedy, and no secret."""
    with pytest.raises(ServiceUnreachable) as caught:
        ask(UplinkSettings(url=url, proxy=basic_proxy.url, proxy_user=user), password)
    assert f"The proxy localhost:{basic_proxy.port} on the way to the service {said}" in str(caught.value)
    assert "pa55" not in str(caught.value)


@pytest.mark.needs("squid")
def test_a_proxy_that_forbids_the_address_is_told(basic_proxy: Squid) -> None:
    """That is its administrator's affair, not the password's."""
    link = UplinkSettings(url=f"https://{FORBIDDEN}", proxy=basic_proxy.url, proxy_user=USER)
    with pytest.raises(ServiceUnreachable, match=rf"makes no connection to https://{FORBIDDEN} \(403\)\. Allow it"):
        ask(link, PASSWORD)


def test_a_proxy_password_that_cannot_be_read_is_waited_for(tmp_path: Path) -> None:
    """Somebody may put the key back: a connector goes on trying, and says what is wrong."""
    Secrets(tmp_path).keep(SERVICE_PROXY, PASSWORD)
    (tmp_path / "secrets.key").unlink()
    link = UplinkSettings(url="http://localhost:9", proxy="http://localhost:9", proxy_user=USER)
    with pytest.raises(ServiceUnreachable, match=r"The key file .*secrets\.key is missing"):
        Line(link, Passwords(settings(tmp_path)).service_proxy).request("GET", link.url, {}, b"", 5)


def test_what_is_no_proxy_is_refused() -> None:
    """At once, in words."""
    with pytest.raises(SettingsError, match=r"^\[service\] proxy is not the address of an HTTP proxy: socks5://x:1\."):
        UplinkSettings(url="https://gatepost.example.com", proxy="socks5://x:1")


def test_the_trust_is_the_connectors_own(tmp_path: Path) -> None:
    """A file that holds no certificate is told."""
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(SettingsError, match="cannot be used") as caught:
        Line(UplinkSettings(url="https://localhost", ca_file=tmp_path / "ca.pem"))
    assert isinstance(caught.value.__cause__, ssl.SSLError)
