"""Which server is used: the first while it works, another while it does not, and never one that is not ours."""

import logging
import re
from typing import Any

import pytest

from gatepost.errors import (
    CmdletFailed,
    ExchangeAvoided,
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    NotExchange,
    SessionLost,
    SignInRefused,
    UntrustedCertificate,
)
from gatepost.exchange.servers import Servers, is_server_fault, may_sign_in
from gatepost.settings import ExchangeSettings

DOWN = ExchangeUnreachable("it is down.")


def settings(host: str = "mail.lab.example", **changes: Any) -> ExchangeSettings:
    """Settings with this host."""
    given: dict[str, Any] = {"url": f"https://{host}:8443/PowerShell?a=b", "auth": "basic", **changes}
    return ExchangeSettings(**given)


@pytest.mark.parametrize(
    ("own", "other", "allowed"),
    [
        ("mail.lab.example", "mail.lab.example", True),
        ("mail.lab.example", "ex1.lab.example", True),
        ("mail.lab.example", "ex1.ad.lab.example", True),
        ("mail.lab.example", "lab.example", False),
        ("mail.lab.example", "ex1.evil.example", False),
        ("mail.lab.example", "ex1.evillab.example", False),
        ("mail.lab.example", "ex1", False),
        ("mail.lab.example", "", False),
        ("mail.lab.example", "evil.example/x.lab.example", False),
        ("mail.lab.example", "u@evil.lab.example", False),
        ("mail.example", "ex1.example", False),
        ("mail", "ex1", False),
        ("10.0.0.1", "9.0.0.1", False),
        ("mail.lab.example", "named.elsewhere.example", True),
    ],
)
def test_credentials_go_to_our_own_hosts_only(own: str, other: str, allowed: bool) -> None:
    """Those that the settings name, and those in the configured host's domain; a bare top level is no domain."""
    chosen = settings(own, allowed_redirects=("Named.elsewhere.example:443",))
    assert may_sign_in(chosen, other) is allowed


def test_another_server_has_the_same_scheme_port_and_path() -> None:
    """Only the host differs."""
    servers = Servers(settings())
    servers.know(["EX1.lab.example.", "ex1.lab.example", "ex9.evil.example"])
    assert servers.hosts == ("mail.lab.example", "ex1.lab.example")
    assert servers.settings("ex1.lab.example").url == "https://ex1.lab.example:8443/PowerShell?a=b"
    assert servers.settings("mail.lab.example").url == settings().url


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("mail.once.example", "the domain once.example of the address in the settings"),
        ("10.0.0.7", r"our domain \(10\.0\.0\.7 names none\)"),
    ],
)
def test_a_server_that_is_left_out_is_told_once(own: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each in one line for the whole process, with the setting that would let it in and with what our domain is."""
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            Servers(settings(own)).know(["ex1.other.example", "ex2.other.example"])
    said = [record.getMessage() for record in caplog.records if record.name == "gatepost.exchange.servers"]
    assert len(said) == 2
    assert re.fullmatch(
        f"the server ex1.other.example is not used: it is neither named in allowed_redirects nor in {words}", said[0]
    )
    assert said[1].startswith("the server ex2.other.example")


def test_one_failure_is_enough_where_there_is_another(caplog: pytest.LogCaptureFixture) -> None:
    """Work goes on at the next server; the first is asked again after a while and taken back."""
    servers = Servers(settings())
    servers.know(["ex1.lab.example"])
    assert servers.failed("mail.lab.example", DOWN, 0.0)
    assert servers.choose(0.0) == "ex1.lab.example"
    servers.opened("ex1.lab.example")
    assert servers.now_used == "ex1.lab.example"
    assert servers.is_used("ex1.lab.example", 0.0)
    assert not servers.is_used("ex1.lab.example", 10.0)
    assert servers.choose(10.0) == "mail.lab.example"
    assert servers.choose(10.0) == "ex1.lab.example"
    with caplog.at_level(logging.WARNING):
        servers.opened("mail.lab.example")
    assert servers.now_used == "mail.lab.example"
    assert "reached through mail.lab.example from now on, before through ex1.lab.example" in caplog.text


def test_where_all_are_away_the_first_one_s_error_is_told() -> None:
    """It is the one that a person knows."""
    servers = Servers(settings())
    servers.know(["ex1.lab.example"])
    for host in servers.hosts:
        servers.failed(host, DOWN, 0.0)
    with pytest.raises(ExchangeAvoided, match=r"^mail\.lab\.example is not asked before .* it is down\."):
        servers.choose(0.0)


def test_a_probe_that_is_given_up_keeps_nobody_out() -> None:
    """The thread that asked was called away: the next one asks, and no pause is served for it."""
    servers = Servers(settings())
    for _ in range(3):
        servers.failed("mail.lab.example", DOWN, 0.0)
    assert servers.choose(10.0) == "mail.lab.example"
    with pytest.raises(ExchangeAvoided):
        servers.choose(10.0)
    servers.spared("mail.lab.example")
    assert servers.choose(10.0) == "mail.lab.example"


def test_a_refused_sign_in_is_tried_nowhere_else() -> None:
    """The same wrong password at each server would lock the account."""
    servers = Servers(settings())
    servers.know(["ex1.lab.example"])
    assert not servers.failed("mail.lab.example", SignInRefused("no"), 0.0)


@pytest.mark.parametrize(
    ("error", "blames"),
    [
        (DOWN, True),
        (NotExchange("a page"), True),
        (UntrustedCertificate("who?"), True),
        (ExchangeBusy("503", about="server"), True),
        (ExchangeBusy("slower"), False),
        (ExchangeBusy("shells", about="shells"), False),
        (SessionLost("gone"), False),
        (CmdletFailed("Get-Mailbox", "no"), False),
        (ExchangeError("a fault"), False),
    ],
)
def test_only_what_a_server_did_is_held_against_it(error: ExchangeError, blames: bool) -> None:
    """One command that fails, or an account under load, says nothing of the server."""
    assert is_server_fault(error) is blames
