"""Signing in by Kerberos, against a real Active Directory: Samba's controllers, and a lab that has its keys."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ExchangeError, ExchangeUnreachable, SettingsError, SignInRefused
from gatepost.exchange.organization import Organization
from gatepost.exchange.sessions import Session
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings
from gatepost.wire.creating import Command
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab
from tests.fixtures.samba import PASSWORD, READER, SERVER, Forest, get_tickets
from tests.lab import peer

pytestmark = [pytest.mark.needs("samba"), pytest.mark.xdist_group("samba")]
SERVERS = Command("Get-ExchangeServer", {})


@pytest.fixture
def endpoint(domain: Forest, make_lab: MakeLab) -> Lab:
    """A lab whose endpoint has its service principal's key."""
    return make_lab(keytab=domain.keytab)


def attempt(lab: Lab, password: str | None = PASSWORD, **changes: Any) -> int:
    """Sign in, run one cmdlet; how many objects it gave. Plain HTTP at the server's own name unless told otherwise."""
    given: dict[str, Any] = {
        "url": lab.http_url.replace("localhost", SERVER),
        "auth": "kerberos",
        "user": READER,
        "timeout": 20.0,
        "ca_file": lab.ca_file,
    }
    with Session.open(ExchangeSettings(**(given | changes)), password) as session:
        return len(session.objects(SERVERS))


def refusal(lab: Lab, kind: type[ExchangeError] = SignInRefused, **changes: Any) -> str:
    """What a person reads of an attempt that fails."""
    with pytest.raises(kind) as caught:
        attempt(lab, **changes)
    assert caught.value.remedy
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_a_password_over_plain_http_is_sealed(endpoint: Lab) -> None:
    """Exchange's default: Kerberos by a password, every message encrypted; the server knows who it is."""
    assert attempt(endpoint) > 0
    assert {call.user for call in endpoint.calls} == {READER}


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_each_way_by_its_own_name(endpoint: Lab, auth: str, scheme: str) -> None:
    """Kerberos works alone and as Negotiate's first choice, over plain HTTP and over TLS."""
    url = endpoint.https_url if scheme == "https" else endpoint.http_url
    assert attempt(endpoint, url=url, auth=auth) > 0
    assert {call.user for call in endpoint.calls} == {READER}


def test_a_key_table_needs_no_password(endpoint: Lab, domain: Forest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the account's key table Gatepost gets its own tickets; no password is anywhere."""
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"FILE:{domain.reader_keytab}")
    assert attempt(endpoint, password=None, user=None) > 0
    assert attempt(endpoint, password=None) > 0
    assert {call.user for call in endpoint.calls} == {READER}


def test_a_key_table_of_the_settings_needs_nothing_around_it(endpoint: Lab, domain: Forest, tmp_path: Path) -> None:
    """No variable and no ticket of the system; the account's name is read from it where none is given."""
    assert attempt(endpoint, password=None, keytab=domain.reader_keytab) > 0
    assert attempt(endpoint, password=None, user=None, keytab=domain.reader_keytab) > 0
    assert {call.user for call in endpoint.calls} == {READER}
    assert "no password and no valid" in refusal(
        endpoint, password=None, user="disabled@EXAMPLE.TEST", keytab=domain.reader_keytab
    )
    with pytest.raises(SettingsError, match=r"The key table .*nowhere does not exist"):
        attempt(endpoint, password=None, keytab=tmp_path / "nowhere")


def test_a_key_table_needs_kerberos() -> None:
    """Where another method is named nobody could know what was meant."""
    with pytest.raises(SettingsError, match=r"^keytab needs Kerberos, and auth is negotiate\."):
        ExchangeSettings(url="https://mail.example.com/PowerShell", keytab=Path("reader.keytab"))


def test_tickets_of_the_system_need_no_password(endpoint: Lab, domain: Forest) -> None:
    """Tickets that kinit or k5start got are used."""
    get_tickets(READER, domain.reader_keytab)
    assert attempt(endpoint, password=None, user=None) > 0
    assert {call.user for call in endpoint.calls} == {READER}


def test_an_account_of_a_trusted_domain(endpoint: Lab) -> None:
    """An account of another realm signs in over the trust between the two."""
    assert attempt(endpoint, user="guest1@OTHER.TEST") > 0
    assert attempt(endpoint, user="guest1@OTHER.TEST", url=endpoint.https_url) > 0
    assert {call.user for call in endpoint.calls} == {"guest1@OTHER.TEST"}


@pytest.mark.parametrize(
    ("user", "password", "words", "remedy"),
    [
        (READER, "wrong", "the password of reader@EXAMPLE.TEST is wrong", "password file"),
        ("nobody@EXAMPLE.TEST", PASSWORD, "there is no account nobody@EXAMPLE.TEST", "user@DOMAIN"),
        ("disabled@EXAMPLE.TEST", PASSWORD, "disabled@EXAMPLE.TEST is disabled, locked or expired", "Active Directory"),
        ("expired@EXAMPLE.TEST", PASSWORD, "expired@EXAMPLE.TEST is disabled, locked or expired", "Active Directory"),
        ("stale@EXAMPLE.TEST", PASSWORD, "the password of stale@EXAMPLE.TEST has expired", "Change it"),
        ("reader@NOWHERE.TEST", PASSWORD, "no domain controller of its domain answers", "Check the domain after the @"),
        (None, None, "no password and no valid Kerberos ticket or key", "kinit"),
    ],
)
def test_what_the_domain_refuses_is_named(
    endpoint: Lab, user: str | None, password: str | None, words: str, remedy: str
) -> None:
    """Wrong password, unknown, disabled or expired account, unknown domain, no tickets: each by its own words."""
    with pytest.raises(ExchangeError) as caught:
        attempt(endpoint, password, user=user)
    assert isinstance(caught.value, ExchangeUnreachable if "controller" in words else SignInRefused)
    assert words in caught.value.cause
    assert remedy in caught.value.remedy
    assert PASSWORD not in str(caught.value)
    assert not endpoint.calls


def test_a_load_balanced_name_is_named(endpoint: Lab) -> None:
    """A name without a service principal of its own is the cause, and both remedies are told."""
    said = refusal(endpoint, url=endpoint.http_url.replace("localhost", "mail.example.test"))
    assert "Kerberos knows no service HTTP/mail.example.test" in said
    assert "setspn -S HTTP/mail.example.test" in said


def test_a_principal_on_the_wrong_account_is_named(endpoint: Lab) -> None:
    """A ticket that the server cannot read: the name is registered on another account than the server's."""
    said = refusal(endpoint, url=endpoint.http_url.replace("localhost", "wrong.example.test"))
    assert "The domain has given reader@EXAMPLE.TEST a ticket" in said
    assert "HTTP/wrong.example.test is registered on the account that Exchange runs as" in said


def test_a_server_without_a_key_lets_nobody_in(domain: Forest, make_lab: MakeLab) -> None:
    """A server that cannot read tickets refuses; Negotiate falls back to NTLM, which knows the lab's own account."""
    keyless = make_lab()
    assert "has given reader@EXAMPLE.TEST a ticket, but ex1.example.test refuses it" in refusal(keyless)
    assert attempt(keyless, keyless.password, auth="negotiate", user=keyless.user) > 0


def test_an_address_in_numbers_is_refused_at_once() -> None:
    """Kerberos gives tickets for names only; nothing is sent."""
    with pytest.raises(SettingsError, match=r"the address is a number \(127\.0\.0\.1\)") as caught:
        ExchangeSettings(url="http://127.0.0.1/PowerShell", auth="kerberos")
    assert "by its own full name" in caught.value.remedy


def test_a_controller_that_does_not_answer(endpoint: Lab, domain: Forest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its domain controller the account cannot be vouched for, which is not called a wrong password."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        text = (domain.folder / "krb5.conf").read_text()
        elsewhere = domain.folder / "elsewhere.conf"
        elsewhere.write_text(text.replace(f"{domain.example.address}:88", f"127.0.0.1:{closed.getsockname()[1]}"))
        monkeypatch.setenv("KRB5_CONFIG", str(elsewhere))
        said = refusal(endpoint, kind=ExchangeUnreachable)
    assert "no domain controller of its domain answers" in said
    assert "port 88" in said


def test_a_machine_that_knows_no_domain(endpoint: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without its domain, on a machine without one, is told how to write it."""
    (tmp_path / "empty.conf").write_text("[libdefaults]\ndns_lookup_realm = false\n")
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "empty.conf"))
    said = refusal(endpoint, user="reader")
    assert "this machine knows no domain" in said
    assert "user@DOMAIN" in said


def test_a_clock_a_day_off_is_named(endpoint: Lab, domain: Forest, tmp_path: Path) -> None:
    """A machine whose clock is wrong is told so, by the command a person would run."""
    strict = tmp_path / "krb5.conf"
    strict.write_text((domain.folder / "krb5.conf").read_text().replace("[realms]", "kdc_timesync = 0\n[realms]"))
    (tmp_path / "password").write_text(PASSWORD)
    command = [
        "faketime", "-f", "+1d", sys.executable, "-m", "gatepost", "exchange", "capabilities", "--url",
        endpoint.http_url, "--auth", "kerberos", "--user", READER, "--password-file", str(tmp_path / "password"),
    ]  # fmt: skip
    environment = {**os.environ, "KRB5_CONFIG": str(strict)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 6, done.stderr
    assert "the clocks are too far apart" in done.stderr
    assert "NTP" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout


def test_the_inventory_by_kerberos_is_the_inventory(endpoint: Lab) -> None:
    """Large answers come through the encryption as they are: every device and mailbox, as over TLS."""
    found = []
    for changes in ({"url": endpoint.http_url, "user": READER}, {"auth": "basic", "user": endpoint.user}):
        password = PASSWORD if "url" in changes else endpoint.password
        with Organization.connect(settings_of(endpoint, **({"auth": "kerberos"} | changes)), password) as organization:
            found.append((list(organization.list_devices()), list(organization.list_mailboxes())))
    assert found[0] == found[1]
    assert len(found[0][0]) == len(endpoint.organization.devices)


def test_a_sign_in_that_is_lost_is_renewed(endpoint: Lab) -> None:
    """Where the server forgets who has signed in, the next message is sealed anew, and nothing is done twice."""
    settings = settings_of(endpoint, url=endpoint.http_url, auth="kerberos", user=READER)
    with Session.open(settings, PASSWORD) as session:
        endpoint.faults.plan(Fault.SIGNED_OUT, times=1)
        assert session.objects(SERVERS)
    assert [call.cmdlet for call in endpoint.calls] == ["Get-ExchangeServer"]


def test_pypsrp_signs_in_too(endpoint: Lab, domain: Forest) -> None:
    """An independent client of the same protocol opens a session by Kerberos with encryption."""
    with peer.session(endpoint, auth="kerberos", user=READER, password=PASSWORD, negotiate_service="HTTP") as pool:
        assert peer.run(pool, "Get-ExchangeServer").state == peer.COMPLETED
    assert {call.user for call in endpoint.calls} == {READER}


def test_another_client_signs_in_too(endpoint: Lab, domain: Forest) -> None:
    """curl, which shares no code with us, is let in by the same endpoint with the same kind of tickets."""
    get_tickets(READER, domain.reader_keytab)
    command = [
        "curl", "--silent", "--negotiate", "--user", ":", "--data", "", "--output", os.devnull,
        "--write-out", "%{http_code}", endpoint.http_url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout == "200", done.stderr
