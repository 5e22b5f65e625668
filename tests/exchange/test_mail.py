"""Notices through the lab's mailbox: found by Autodiscover or fixed, sent once, found again, each refusal in words."""

from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.errors import (
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    MailRefused,
    SettingsError,
    SignInRefused,
    UntrustedCertificate,
    UsageError,
    WriteUncertain,
)
from gatepost.exchange.mail import Mailer
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import NoticeSettings
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab


@pytest.fixture(scope="module")
def quiet() -> Iterator[Lab]:
    """One lab for what does not change its faults."""
    with Lab() as running:
        yield running


def mailer(lab: Lab, password: str | None = None, exchange: dict[str, Any] | None = None, **notices: Any) -> Mailer:
    """The lab's own mailbox; at its fixed address unless told otherwise."""
    given = {"account": lab.mail.account, "url": lab.ews_url} | notices
    return Mailer.open(
        NoticeSettings(**given), settings_of(lab, **(exchange or {})), lab.password if password is None else password
    )


def discovered(lab: Lab, password: str | None = None, **changes: Any) -> Mailer:
    """The lab's own mailbox, found by Autodiscover at the lab."""
    named = changes.pop("autodiscover", (lab.autodiscover_url,))
    return mailer(lab, password, changes.pop("exchange", None), url=None, autodiscover=named, **changes)


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_a_notice_arrives_and_is_found_again(quiet: Lab, auth: str) -> None:
    """As HTML, with what keeps machines from answering; Sent Items have it under its marker, and under no other."""
    with mailer(quiet, exchange={"auth": auth}) as box:
        box.check()
        marker = box.send(
            quiet.mail.account, f"Your phone <{auth}>", "<p>Hello &amp; \x07日本</p>", "Hello", {"X-Way": auth}
        )
        assert box.find(marker)
        assert not box.find(marker + '"&')
        assert (box.url, box.how) == (quiet.ews_url, "fixed")
    got = next(one for one in quiet.mail.folder(quiet.mail.account, "inbox") if auth in one.subject)
    assert (got.body_type, got.body, got.subject) == ("HTML", "<p>Hello &amp;  日本</p>", f"Your phone <{auth}>")
    expected = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "X-Way": auth}
    assert got.headers == expected | {"X-Gatepost-Notice": marker}


def test_a_plain_notice_is_plain(quiet: Lab) -> None:
    """Without HTML the text goes, to an address outside as well, under the marker that was given."""
    with mailer(quiet) as box:
        assert box.send("a@outside.example", "Plain", "", "1 < 2\n", marker="m-1") == "m-1"
    assert [(one.to, one.body_type, one.body) for one in quiet.mail.left] == [
        (("a@outside.example",), "Text", "1 < 2\n")
    ]


def test_autodiscover_finds_the_services(quiet: Lab) -> None:
    """At the address that is named, also where only its host is; and by itself at the Exchange server."""
    for named in ((quiet.autodiscover_url,), (quiet.https_url.removesuffix("/PowerShell"),), ()):
        with discovered(quiet, autodiscover=named) as box:
            box.check()
            assert (box.url, box.how) == (quiet.ews_url, "autodiscover")


@pytest.mark.parametrize(
    ("fault", "words", "remedy"),
    [
        (Fault.AUTODISCOVER_MISSING, "404 and text/html, which is not Autodiscover", "autodiscover"),
        (Fault.AUTODISCOVER_ELSEWHERE, "redirects to https://elsewhere.example/autodiscover", "[notices] url"),
        (Fault.AUTODISCOVER_MOVED, "leads to https://elsewhere.example/autodiscover", "[notices] url"),
        (Fault.AUTODISCOVER_RENAMED, "is another address of notices@lab.example", "[notices] url"),
        (Fault.AUTODISCOVER_HANG, "did not answer in time", "[notices] url"),
    ],
)
def test_autodiscover_leads_nowhere_else(make_lab: MakeLab, fault: Fault, words: str, remedy: str) -> None:
    """Each failure is told with the host that failed; a host that nobody named is never asked."""
    lab = make_lab(faults={fault})
    with pytest.raises(ExchangeUnreachable) as caught:
        discovered(lab, exchange={"timeout": 1.0})
    assert words in caught.value.cause
    assert remedy in caught.value.remedy


def test_a_host_that_is_allowed_is_followed(make_lab: MakeLab) -> None:
    """The redirect is tried then: the host of this test does not exist, which is what is said."""
    lab = make_lab(faults={Fault.AUTODISCOVER_MOVED})
    with pytest.raises(ExchangeUnreachable, match=r"elsewhere\.example cannot be reached"):
        discovered(lab, exchange={"allowed_redirects": ("elsewhere.example",)})


def test_an_unknown_account_is_told(quiet: Lab) -> None:
    """Autodiscover's words, and which setting to check."""
    with pytest.raises(
        ExchangeUnreachable, match=r"does not know nobody@lab\.example: The email address can't be found"
    ):
        discovered(quiet, account="nobody@lab.example", user=quiet.user)


def test_a_wrong_password_is_tried_once(make_lab: MakeLab) -> None:
    """Autodiscover stops at the first refusal; the password is nowhere in the message."""
    lab = make_lab()
    with pytest.raises(SignInRefused, match=r"does not accept the sign-in of gatepost@lab\.example by basic") as caught:
        discovered(lab, password="wr0ng", autodiscover=(lab.autodiscover_url, lab.autodiscover_url))
    assert "wr0ng" not in str(caught.value)
    with mailer(lab, password="wr0ng") as box, pytest.raises(SignInRefused):
        box.check()


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault.MAIL_BUSY, ExchangeBusy, "asks to wait with mail"),
        (Fault.NO_MAILBOX, MailRefused, r"\[ErrorMissingEmailAddress\]\. Give the account a mailbox"),
        (Fault.HTML_200, ExchangeError, "which is not Exchange Web Services"),
        (Fault.HTML_500, ExchangeUnreachable, "the EWS application pool may be down"),
        (Fault.BUSY_503, ExchangeBusy, "is not ready"),
        (Fault.UNKNOWN_CA, UntrustedCertificate, "is not trusted"),
    ],
)
def test_what_goes_wrong_is_told(make_lab: MakeLab, fault: Fault, kind: type[ExchangeError], words: str) -> None:
    """Cause and remedy; a server that is too busy says how long to wait."""
    with mailer(make_lab(faults={fault})) as box, pytest.raises(kind, match=words) as caught:
        box.check()
    if fault is Fault.MAIL_BUSY:
        assert isinstance(caught.value, ExchangeBusy)
        assert caught.value.retry_after == 29.0


def test_a_notice_whose_end_is_unknown_is_not_sent_again(make_lab: MakeLab) -> None:
    """It arrived, the answer did not: uncertain, and its marker tells what became of it."""
    lab = make_lab()
    lab.faults.plan(Fault.MAIL_LOST, times=1)
    with mailer(lab) as box:
        with pytest.raises(WriteUncertain, match="Nobody can tell whether the sending of a notice"):
            box.send(lab.mail.account, "Once", "", "x", marker="m-2")
        assert box.find("m-2")
    assert len(lab.mail.folder(lab.mail.account, "inbox")) == 1


def test_what_never_left_is_no_uncertainty(make_lab: MakeLab) -> None:
    """Busy, refused, or no connection at all: it was not sent, and may be tried again."""
    lab = make_lab(faults={Fault.MAIL_BUSY})
    with mailer(lab) as box, pytest.raises(ExchangeBusy):
        box.send(lab.mail.account, "Later", "", "x")
    with mailer(lab, url="https://localhost:9/EWS/Exchange.asmx") as box, pytest.raises(ExchangeUnreachable):
        box.send(lab.mail.account, "Never", "", "x")
    with mailer(lab) as box:
        lab.faults.clear()
        with pytest.raises(MailRefused, match=r"ErrorNonExistentMailbox\]\. Check \[notices\] account"):
            Mailer(box._transport, "nobody@lab.example", "fixed").send("a@b.example", "No", "", "x")
    assert lab.mail.folder(lab.mail.account, "inbox") == []


@pytest.mark.parametrize(
    ("to", "subject", "headers", "words"),
    [
        ("a@b.example\r\nBcc: c@d.example", "x", {}, "is not one mail address"),
        ("a@b.example, c@d.example", "x", {}, "is not one mail address"),
        ("a@b.example", "x\r\nBcc: c@d.example", {}, "The header Subject has a line end"),
        ("a@b.example", "x", {"X-A": "1\n2"}, "The header X-A has a line end"),
        ("a@b.example", "x", {"X A": "1"}, "is not the name of a header"),
    ],
)
def test_headers_cannot_be_smuggled_in(quiet: Lab, to: str, subject: str, headers: dict[str, str], words: str) -> None:
    """Line ends and lists of addresses are refused before anything is sent."""
    with mailer(quiet) as box, pytest.raises(UsageError, match=words):
        box.send(to, subject, "", "x", headers)


def test_the_proxy_of_notices_is_its_own(quiet: Lab) -> None:
    """What is set in [notices] goes before what is set in [exchange]."""
    with (
        mailer(quiet, proxy="http://localhost:9") as box,
        pytest.raises(ExchangeUnreachable, match="the proxy does not"),
    ):
        box.check()
    with mailer(quiet, exchange={"proxy": "http://localhost:9", "no_proxy": ("localhost",)}) as box:
        box.check()


@pytest.mark.parametrize(
    "address",
    ["http://mail.lab.example/x", "https://[", "https://user@elsewhere.example/", "https://lab.example.evil.example/x"],
)
def test_services_at_a_strange_address_are_not_used(quiet: Lab, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Whatever Autodiscover answers: only https, at a host that is known or of the account's own domain."""
    monkeypatch.setattr(
        "gatepost.lab.autodiscover._settings",
        lambda *_: f"<Protocol><Type>EXCH</Type><EwsUrl>{address}</EwsUrl></Protocol>",
    )
    with pytest.raises(ExchangeUnreachable, match="which the settings do not allow"):
        discovered(quiet)


def test_services_of_the_accounts_own_domain_are_used(quiet: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Autodiscover has vouched for them."""
    found = "<Protocol><Type>EXCH</Type><EwsUrl>https://mail.lab.example/EWS/Exchange.asmx</EwsUrl></Protocol>"
    monkeypatch.setattr("gatepost.lab.autodiscover._settings", lambda *_: found)
    assert discovered(quiet).url == "https://mail.lab.example/EWS/Exchange.asmx"


def test_the_cloud_is_refused(quiet: Lab) -> None:
    """A fixed address of Exchange Online is none."""
    with pytest.raises(SettingsError, match="Exchange Online"):
        mailer(quiet, url="https://outlook.office365.com/EWS/Exchange.asmx")
