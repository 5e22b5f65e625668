"""The lab's mail, read and written by exchangelib, which nobody here wrote."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from exchangelib import BASIC, DELEGATE, NTLM, Account, Configuration, Credentials, Mailbox, Message
from exchangelib.errors import ErrorAccessDenied, ErrorMissingEmailAddress, ErrorServerBusy, UnauthorizedError
from exchangelib.extended_properties import ExtendedProperty
from exchangelib.protocol import BaseProtocol, FailFast
from exchangelib.version import EXCHANGE_2019, Version
from requests import Response
from requests.adapters import HTTPAdapter

from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from tests.fixtures.lab import MakeLab
from tests.lab.peer import basic, post

ASKED = (
    '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
    "<EMailAddress>{}</EMailAddress></Request></Autodiscover>"
)


HEADER = {
    "distinguished_property_set_id": "InternetHeaders",
    "property_name": "X-Test-Notice",
    "property_type": "String",
}
Notice = type("Notice", (ExtendedProperty,), HEADER)
"""A header of ours, as exchangelib names it."""


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    Message.register("test_notice", Notice)
    yield
    Message.deregister("test_notice")


@contextmanager
def account(lab: Lab, address: str | None = None, auth: str = BASIC, password: str | None = None) -> Iterator[Account]:
    """A mailbox of the lab, opened by exchangelib."""

    class Trusting(HTTPAdapter):
        def send(self, *sent: Any, **options: Any) -> Response:
            return super().send(*sent, **options | {"verify": str(lab.ca_file)})

    before = BaseProtocol.HTTP_ADAPTER_CLS
    BaseProtocol.HTTP_ADAPTER_CLS = Trusting
    try:
        config = Configuration(
            service_endpoint=lab.ews_url,
            credentials=Credentials(lab.user, lab.password if password is None else password),
            auth_type=auth,
            version=Version(build=EXCHANGE_2019),
            retry_policy=FailFast(),
        )
        box = Account(address or lab.mail.account, config=config, autodiscover=False, access_type=DELEGATE)
        yield box
        box.protocol.close()
    finally:
        BaseProtocol.HTTP_ADAPTER_CLS = before


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One lab for what does not change its faults."""
    with Lab() as running:
        yield running


@pytest.mark.parametrize("auth", [BASIC, NTLM])
def test_a_message_is_sent_and_read_again(lab: Lab, auth: str) -> None:
    """Signed in by either way: in the Inbox of who gets it, in Sent Items, with its header, found by it."""
    with account(lab, auth=auth) as box:
        sent = Message(
            account=box,
            subject=f"By {auth}: <&> 日本",
            body="Hello",
            to_recipients=[Mailbox(email_address=lab.mail.account)],
        )
        sent.test_notice = f"n-{auth}"
        sent.send_and_save()
        got = box.inbox.filter(subject=f"By {auth}: <&> 日本").get()
        assert (got.body, got.sender.email_address, got.test_notice) == ("Hello", lab.mail.account, f"n-{auth}")
        assert [header.value for header in got.headers if header.name == "X-Test-Notice"] == [f"n-{auth}"]
        assert box.sent.filter(test_notice=f"n-{auth}").count() == 1
        assert box.sent.filter(test_notice="n-of nobody").count() == 0


def test_a_message_to_a_user_is_in_that_users_inbox(lab: Lab) -> None:
    """By any of its addresses; one to the world outside has left; one that is only sent leaves no copy."""
    user = next(box for box in lab.organization.mailboxes if box.kind == "UserMailbox")
    with account(lab) as box:
        to = [
            Mailbox(email_address=user.addresses[1].removeprefix("smtp:")),
            Mailbox(email_address="a@outside.example"),
        ]
        Message(account=box, subject="Your phone", body="…", to_recipients=to).send(save_copy=False)
    assert [one.subject for one in lab.mail.folder(user.smtp or "", "inbox")] == ["Your phone"]
    assert [one.subject for one in lab.mail.left] == ["Your phone"]
    assert "Your phone" not in [one.subject for one in lab.mail.folder(lab.mail.account, "sentitems")]


def test_names_are_resolved(lab: Lab) -> None:
    """A name of the organization is found with its address."""
    user = next(box for box in lab.organization.mailboxes if box.kind == "UserMailbox")
    with account(lab) as box:
        assert user.smtp in [one.email_address for one in box.protocol.resolve_names([user.alias])]


def test_nobody_elses_mailbox_is_opened(lab: Lab) -> None:
    """The account may not read what others got."""
    user = next(box for box in lab.organization.mailboxes if box.kind == "UserMailbox")
    with account(lab, user.smtp) as box, pytest.raises(ErrorAccessDenied):
        _ = box.inbox.total_count


def test_a_wrong_password_is_refused(lab: Lab) -> None:
    """By 401, as for remote PowerShell."""
    with account(lab, password="wrong") as box, pytest.raises(UnauthorizedError):
        _ = box.inbox


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.MAIL_BUSY, ErrorServerBusy), (Fault.NO_MAILBOX, ErrorMissingEmailAddress)]
)
def test_what_goes_wrong_has_its_name(make_lab: MakeLab, fault: Fault, error: type[Exception]) -> None:
    """The client knows the error by its code, and how long to wait where it is asked to."""
    with account(make_lab(faults={fault})) as box, pytest.raises(error) as caught:
        _ = box.inbox
    if isinstance(caught.value, ErrorServerBusy):
        assert caught.value.back_off == 29


def ask(lab: Lab, address: str) -> tuple[int, ET.Element | None, str]:
    """Ask Autodiscover about an address: the status, the document, where it redirects to."""
    answer = post(
        lab.autodiscover_url,
        lab.ca_file,
        body=ASKED.format(address).encode(),
        Authorization=basic(lab),
        **{"Content-Type": "text/xml"},
    )
    text = answer.headers.get_content_type() == "text/xml"
    return answer.status, ET.fromstring(answer.body) if text else None, answer.headers.get("Location", "")


def said(document: ET.Element | None, name: str) -> list[str]:
    """The texts of the elements of a name."""
    assert document is not None
    return [one.text or "" for one in document.iter() if one.tag.rpartition("}")[2] == name]


def test_autodiscover_tells_where_the_services_are(lab: Lab) -> None:
    """For the account's address; for one that nobody has, it says so."""
    status, document, _ = ask(lab, lab.mail.account)
    assert (status, set(said(document, "EwsUrl"))) == (200, {lab.ews_url})
    assert said(ask(lab, "nobody@lab.example")[1], "ErrorCode") == ["500"]


def test_autodiscover_may_send_elsewhere(make_lab: MakeLab) -> None:
    """By a redirect, by a server to ask, by an address to ask for; or there is none."""
    lab = make_lab()
    for fault, expected in (
        (Fault.AUTODISCOVER_MISSING, (404, None, "")),
        (Fault.AUTODISCOVER_ELSEWHERE, (302, None, "https://elsewhere.example/autodiscover/autodiscover.xml")),
    ):
        lab.faults.plan(fault, times=1)
        assert ask(lab, lab.mail.account) == expected
    lab.faults.plan(Fault.AUTODISCOVER_MOVED, times=1)
    assert said(ask(lab, lab.mail.account)[1], "RedirectUrl") == [
        "https://elsewhere.example/autodiscover/autodiscover.xml"
    ]
    lab.faults.plan(Fault.AUTODISCOVER_RENAMED, times=1)
    assert said(ask(lab, lab.mail.account)[1], "RedirectAddr") == ["notices@lab.example"]


def test_mail_is_over_tls_only(lab: Lab) -> None:
    """On the port without TLS there is no such page."""
    assert post(lab.http_url.replace("/PowerShell", "/EWS/Exchange.asmx"), lab.ca_file).status == 404
