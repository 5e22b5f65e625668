"""What the doctor says of the way of notices; and that nothing is sent that nobody asked for."""

from pathlib import Path
from typing import Any

from gatepost.connector.doctor import examine
from gatepost.domain.checks import Check, Level
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import NoticeSettings, changed
from tests.connector.doctor.conftest import settings_for
from tests.fixtures.lab import MakeLab


def found(lab: Lab, folder: Path, send_test: str | None = None, **notices: Any) -> dict[str, Check]:
    """The checks by name, of a connector that sends from the lab's own mailbox."""
    given: dict[str, Any] = {
        "account": lab.mail.account,
        "password_file": lab.password_file,
        "autodiscover": (lab.autodiscover_url,),
    }
    settings = changed(settings_for(lab, folder), {"notices": NoticeSettings(**(given | notices))})
    return {check.name: check for check in examine(settings, send_test=send_test)}


def test_autodiscover_and_the_account_are_tried_and_nothing_is_sent(make_lab: MakeLab, tmp_path: Path) -> None:
    """Where the services are, their certificate, and that the account sees its Inbox."""
    lab = make_lab(devices=10)
    checks = found(lab, tmp_path)
    assert checks["notices-address"].what == f"Autodiscover leads to {lab.ews_url} for {lab.mail.account}."
    assert checks["notices-certificate"].level is Level.GOOD
    assert checks["notices-account"].what == f"{lab.mail.account} is signed in and sees its own Inbox."
    assert "notices-test" not in checks
    assert lab.mail.left == []
    assert lab.mail.folder(lab.mail.account, "sentitems") == []


def test_a_test_is_sent_to_the_address_that_was_asked_for(make_lab: MakeLab, tmp_path: Path) -> None:
    """Once, from a fixed address too, with a text that says where it comes from."""
    lab = make_lab(devices=10)
    checks = found(lab, tmp_path, "anna@outside.example", url=lab.ews_url)
    assert checks["notices-address"].what == f"The settings name {lab.ews_url} for {lab.mail.account}."
    assert checks["notices-test"].level is Level.GOOD
    [message] = lab.mail.left
    assert (message.to, message.subject) == (("anna@outside.example",), "Test of Gatepost's notices")
    assert "because an administrator asked for it" in message.body


def test_trouble_on_the_way_is_told_and_no_test_is_sent(make_lab: MakeLab, tmp_path: Path) -> None:
    """Autodiscover that is missing, a wrong password, an account without a mailbox: each with its remedy."""
    missing = found(make_lab(devices=10, faults={Fault.AUTODISCOVER_MISSING}), tmp_path, "a@outside.example")
    assert missing["notices-address"].level is Level.BAD
    assert "Autodiscover does not find the mailbox" in missing["notices-address"].what
    assert missing["notices-test"].what == "No test was sent: the services are not found."
    lab = make_lab(devices=10)
    (tmp_path / "wrong").write_text("wr0ng-passw0rd")
    wrong = found(lab, tmp_path, url=lab.ews_url, password_file=tmp_path / "wrong")
    assert wrong["notices-account"].level is Level.BAD
    assert "does not accept the sign-in" in wrong["notices-account"].what
    assert wrong["notices-account"].remedy.endswith("gatepost connector setup --change notices")
    assert "wr0ng-passw0rd" not in str(wrong)
    lab.faults.add(Fault.NO_MAILBOX)
    without = found(lab, tmp_path, "a@outside.example", url=lab.ews_url)
    assert "ErrorMissingEmailAddress" in without["notices-account"].what
    assert without["notices-test"].what == "No test was sent: the account does not get in."
    assert lab.mail.left == []
