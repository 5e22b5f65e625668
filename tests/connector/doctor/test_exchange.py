"""What the doctor says of Exchange: the sign-in, the version, the budget, and rights that are missing or too wide."""

import re
import time

import pytest

from gatepost.domain.checks import Level
from gatepost.exchange.commands import Duty
from gatepost.lab.dialects import DIALECTS, Dialect, Fault
from tests.connector.doctor.conftest import Doctor
from tests.exchange.test_roles import lab_roles
from tests.fixtures.lab import MakeLab

READ, GATE = (Duty.READ,), (Duty.READ, Duty.GATE)


def test_an_account_with_the_printed_roles_is_healthy_and_nothing_is_written(make_lab: MakeLab, doctor: Doctor) -> None:
    """Nothing is missing, nothing is too much; the log of Exchange has no write, and no session stays open."""
    lab = make_lab(profile="se", roles=lab_roles("se", READ))
    found = doctor(lab)
    for name in ("exchange-version", "exchange-budget", "rights-read", "rights-extra", "exchange-certificate"):
        assert found[name].level is Level.GOOD, found[name]
    assert "Exchange Server Subscription Edition" in found["exchange-version"].what
    assert "18 sessions at a time; 6 are wanted and 3 kept in reserve" in found["exchange-budget"].what
    assert found["rights-gate"].what == "The mode is observe: no right to write is needed."
    assert {entry.cmdlet for entry in lab.audit} <= {"Set-ADServerSettings"}
    assert len(lab.shells) == 0


def test_in_enforce_the_right_to_write_lists_is_needed(make_lab: MakeLab, doctor: Doctor) -> None:
    """With it all is well; without it every write would be refused, and the script to run is named."""
    assert doctor(make_lab(roles=lab_roles("2019", GATE)), "enforce")["rights-gate"].level is Level.GOOD
    lacking = doctor(make_lab(roles=lab_roles("2019", READ)), "enforce")["rights-gate"]
    assert lacking.level is Level.BAD
    assert lacking.what == "To write the lists, the account lacks Set-CASMailbox."
    assert "gatepost exchange rbac --print --mode enforce" in lacking.remedy


def test_a_missing_parameter_is_named(make_lab: MakeLab, doctor: Doctor) -> None:
    """A role that an administrator cut too far."""
    cut = "Mail Recipients\\Set-CASMailbox Identity Confirm DomainController ActiveSyncAllowedDeviceIDs"
    found = doctor(make_lab(roles=(*lab_roles("2019", READ), cut)), "enforce")
    assert found["rights-gate"].what == (
        "To write the lists, the account lacks -ActiveSyncBlockedDeviceIDs of Set-CASMailbox."
    )


def test_a_missing_cmdlet_for_reading_is_bad_only_where_there_is_no_inventory(
    make_lab: MakeLab, doctor: Doctor
) -> None:
    """Without the mailboxes nothing works; without the budget only that is left out."""
    entries = lab_roles("2019", READ)
    without = [entry for entry in entries if "Get-CASMailbox" not in entry]
    grave = doctor(make_lab(roles=tuple(without)))["rights-read"]
    assert (grave.level, grave.what) == (Level.BAD, "For reading, the account lacks Get-CASMailbox.")
    assert grave.why == "Without them there is no inventory."
    light = doctor(make_lab(roles=tuple(entry for entry in entries if "Throttling" not in entry)))
    assert light["rights-read"].level is Level.WARNING
    assert "Get-ThrottlingPolicy, Get-ThrottlingPolicyAssociation" in light["rights-read"].what
    assert light["exchange-budget"].level is Level.SKIPPED


def test_what_is_granted_and_not_needed_is_named(make_lab: MakeLab, doctor: Doctor) -> None:
    """In observe any cmdlet that writes; in enforce what neither reads nor writes lists, and wider parameters."""
    lab = make_lab(roles=("View-Only Recipients", "View-Only Configuration", "Mail Recipients"))
    observe = doctor(lab)["rights-extra"]
    assert observe.level is Level.WARNING
    assert observe.what.startswith("The account may write: Clear-ActiveSyncDevice, Clear-MobileDevice")
    assert "Set-CASMailbox" in observe.what
    assert "gatepost exchange rbac --print --mode observe" in observe.remedy
    enforce = doctor(lab, "enforce")["rights-extra"]
    assert "The account may use more than is needed" in enforce.what
    assert "Clear-MobileDevice" in enforce.what
    assert re.search(r"Set-CASMailbox with \d+ more parameters", enforce.what)


def test_a_wrong_password_is_told_with_what_to_do(make_lab: MakeLab, doctor: Doctor) -> None:
    """Once, and what comes after it is skipped with the reason; the password is in no text."""
    lab = make_lab()
    wrong = lab.folder / "wrong"
    wrong.write_text("not-the-passw0rd")
    found = doctor(lab, password_file=wrong)
    refused = found["exchange-sign-in"]
    assert refused.level is Level.BAD
    assert refused.what == f"localhost does not accept the sign-in of {lab.user} by basic."
    assert "gatepost connector setup --change account" in refused.remedy
    assert found["rights-read"].what == "Not looked at: there is no session."
    assert "not-the-passw0rd" not in str(found)


@pytest.mark.parametrize(
    ("profile", "product", "ended"),
    [
        ("2010sp1", "Exchange Server 2010 SP1", "2020-10-13"),
        ("2013", "Exchange Server 2013", "2023-04-11"),
        ("2016", "Exchange Server 2016", "2025-10-14"),
    ],
)
def test_a_version_without_support_is_a_warning(
    make_lab: MakeLab, doctor: Doctor, profile: str, product: str, ended: str
) -> None:
    """By its build, with the day on which Microsoft's support ended."""
    found = doctor(make_lab(devices=10, profile=profile))["exchange-version"]
    assert found.level is Level.WARNING
    assert f"runs {product} (Version 1" in found.what
    assert f"Microsoft's support of it ended on {ended}." in found.what


@pytest.mark.parametrize(("seconds", "word"), [(3_600, "ahead of"), (-3_600, "behind")])
def test_a_clock_that_is_an_hour_off_is_bad(make_lab: MakeLab, doctor: Doctor, seconds: float, word: str) -> None:
    """The seconds are told, and that Kerberos refuses it."""
    found = doctor(make_lab(devices=10, dialect=Dialect(clock=seconds)))["exchange-clock"]
    assert found.level is Level.BAD
    assert re.search(rf"clock of localhost is (3599|3600|3601) seconds {word} this machine's", found.what)
    assert "Kerberos refuses" in found.why


def test_the_kind_of_sign_in_is_told(make_lab: MakeLab, doctor: Doctor) -> None:
    """NTLM and Basic are warnings; what is bound to the channel works where Extended Protection is required."""
    lab = make_lab(devices=10, dialect=DIALECTS["extended-protection"])
    ntlm = doctor(lab, auth="negotiate")
    assert ntlm["exchange-sign-in"].level is Level.WARNING
    assert "by NTLM" in ntlm["exchange-sign-in"].what
    assert "The sign-in is bound to the TLS channel" in ntlm["exchange-binding"].what
    basic = doctor(make_lab(devices=10))
    assert "Basic sends the password itself" in basic["exchange-sign-in"].why
    assert basic["exchange-binding"].level is Level.SKIPPED


def test_a_small_budget_is_a_warning(make_lab: MakeLab, doctor: Doctor) -> None:
    """How many sessions are given, and how many are left for work."""
    found = doctor(make_lab(devices=10, max_shells=5))["exchange-budget"]
    assert found.level is Level.WARNING
    assert "Exchange gives the account 5 sessions at a time; 6 are wanted" in found.what
    assert "At most 2 are opened" in found.why


def test_a_server_that_hangs_costs_no_more_than_the_time_given(make_lab: MakeLab, doctor: Doctor) -> None:
    """The part is told as not through, the others are whole, and nothing is raised."""
    lab = make_lab(devices=10, faults={Fault.HANG})
    began = time.monotonic()
    found = doctor(lab, seconds=1.5)
    assert time.monotonic() - began < 4
    assert found["exchange-unfinished"].level is Level.BAD
    assert "takes connections and does not answer" in found["exchange-unfinished"].why
    assert found["python"].level is Level.GOOD
