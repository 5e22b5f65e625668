"""``gatepost exchange`` as a person runs it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from tests.fixtures.lab import MakeLab

DEVICE_FIELDS = [
    *("device_id", "mailbox", "identity", "guid", "friendly_name", "device_type", "model", "os", "os_language"),
    *("user_agent", "imei", "phone_number", "mobile_operator", "client_type", "client_version", "access_state"),
    *("access_state_reason", "access_control_rule", "first_sync_at", "changed_at"),
]
STATISTICS_FIELDS = [
    *("last_sync_attempt_at", "last_success_sync_at", "last_policy_update_at", "policy_applied", "policy_status"),
    *("status", "wipe_requested_at", "wipe_sent_at", "wipe_acknowledged_at", "last_wipe_requestor", "folders_synced"),
]
MAILBOX_FIELDS = [
    *("guid", "identity", "primary_smtp", "display_name", "kind", "eas_enabled", "allowed_ids", "blocked_ids"),
    *("mailbox_policy", "changed_at"),
]


def run(lab: Lab, *arguments: str, password: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``gatepost exchange …`` against a lab."""
    secret = lab.folder / "secret"
    secret.write_text(password or lab.password)
    where = ["--url", lab.https_url, "--auth", "basic", "--user", lab.user, "--ca-file", str(lab.ca_file)]
    command = [sys.executable, "-m", "gatepost", "exchange", *arguments, *where, "--password-file", str(secret)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """The JSON objects that were printed, one a line."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_devices_has_exactly_the_fields_of_the_contract(lab: Lab) -> None:
    """A line a device, with these fields in this order; null where Exchange gave none; times in UTC with Z."""
    found = lines(run(lab, "devices", "--json"))
    assert len(found) == 300
    assert all(list(device) == DEVICE_FIELDS for device in found)
    assert any(device["mailbox"] is None for device in found)
    assert any("@" in str(device["mailbox"]) for device in found)
    assert all(str(device["changed_at"]).endswith("Z") for device in found)


def test_statistics_are_added_behind(make_lab: MakeLab) -> None:
    """With --statistics each line has the synchronisation's fields too; nulls for a device whose mailbox is gone."""
    done = run(make_lab(devices=30), "devices", "--json", "--statistics")
    found = lines(done)
    assert all(list(device) == DEVICE_FIELDS + STATISTICS_FIELDS for device in found)
    assert any(device["last_success_sync_at"] for device in found)


def test_mailboxes_has_exactly_the_fields_of_the_contract(lab: Lab) -> None:
    """A line a mailbox, with its lists as lists."""
    found = lines(run(lab, "mailboxes", "--json"))
    assert all(list(mailbox) == MAILBOX_FIELDS for mailbox in found)
    assert any(mailbox["allowed_ids"] for mailbox in found)


def test_the_small_answers_are_one_object(lab: Lab) -> None:
    """Settings and capabilities are one object each, servers a line each."""
    (settings,) = lines(run(lab, "settings", "--json"))
    assert settings["default_level"] == "Allow"
    (capabilities,) = lines(run(lab, "capabilities", "--json"))
    assert capabilities["projection"] is True
    assert "Get-MobileDevice" in str(capabilities["cmdlets"])
    assert {server["name"] for server in lines(run(lab, "servers", "--json"))} >= {"EX1", "EX2"}


def test_rules_policies_and_classes_are_a_line_each(lab: Lab) -> None:
    """With these fields in this order; a policy's settings are one object, by their names since Exchange 2013."""
    rules = lines(run(lab, "rules", "--json"))
    assert all(list(rule) == ["guid", "name", "characteristic", "query", "level"] for rule in rules)
    assert {rule["name"] for rule in rules} == {rule.name for rule in lab.organization.view().rules}
    policies = lines(run(lab, "policies", "--json"))
    assert all(list(policy) == ["guid", "name", "is_default", "settings"] for policy in policies)
    assert {policy["name"] for policy in policies} == {policy.name for policy in lab.organization.view().policies}
    assert all(isinstance(policy["settings"], dict) and "AllowCamera" in policy["settings"] for policy in policies)
    classes = lines(run(lab, "classes", "--json"))
    assert all(list(entry) == ["device_type", "model", "updated_at"] for entry in classes)
    assert len(classes) == len(lab.organization.view().classes)


def test_rights_are_checked_and_roles_named(lab: Lab, make_lab: MakeLab) -> None:
    """All is granted to an account with every role; one that only reads is told which roles would let it write."""
    done = run(lab, "rbac")
    assert "Reading: all of it is granted." in done.stderr
    assert "Writing: all of it is granted." in done.stderr
    assert any(line.split()[:2] == ["Set-CASMailbox", "access"] for line in done.stdout.splitlines())
    done = run(make_lab(devices=5, roles=("View-Only Recipients", "View-Only Configuration")), "rbac", "--json")
    found = {grant["cmdlet"]: grant for grant in lines(done)}
    assert found["Set-CASMailbox"]["granted"] is None
    assert found["Get-MobileDevice"]["granted"] == "Get-MobileDevice"
    assert "Reading: all of it is granted." in done.stderr
    assert "'Mail Recipients', 'Organization Client Access', 'Recipient Policies'" in done.stderr


@pytest.mark.parametrize(
    ("roles", "missing", "role"),
    [
        (("View-Only Configuration",), {"Get-MobileDevice", "Get-CASMailbox"}, "View-Only Recipients"),
        ((r"View-Only Recipients\Get-CASMailbox",), {"Set-ADServerSettings"}, "View-Only Configuration"),
    ],
)
def test_what_is_granted_is_shown_where_a_required_right_is_missing(
    make_lab: MakeLab, roles: tuple[str, ...], missing: set[str], role: str
) -> None:
    """The table and the capabilities come in full, then the missing right and its role; exit code 6."""
    lab = make_lab(devices=5, roles=roles)
    done = run(lab, "rbac", "--json")
    grants = {str(grant["cmdlet"]): grant["granted"] for grant in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 6
    assert {name for name in missing if grants[name] is None} == missing
    assert any(grants.values())
    assert f"Reading: some of it is not granted; these roles contain it: '{role}'" in done.stderr
    assert "The account has no right to use" in done.stderr
    assert f"Give it a role that contains it, such as '{role}'." in done.stderr
    done = run(lab, "capabilities", "--json")
    assert done.returncode == 6
    assert not missing & set(json.loads(done.stdout)["cmdlets"])
    assert "The account has no right to use" in done.stderr
    assert len(lab.shells) == 0


def test_without_json_there_is_a_table(lab: Lab) -> None:
    """People get columns on stdout and the count on stderr."""
    done = run(lab, "devices")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split()[:2] == ["device_id", "mailbox"]
    assert "300 in all" in done.stderr
    assert len(done.stdout.splitlines()) == 301
    assert "…" not in done.stdout


def test_a_connection_file_has_the_same_names(lab: Lab, tmp_path: Path) -> None:
    """--connection reads what the options would say, with paths from the file's folder."""
    (tmp_path / "pw").write_text(lab.password)
    given = {"url": lab.https_url, "auth": "basic", "user": lab.user, "password_file": "pw", "ca_file": lab.ca_file}
    text = "".join(f"{name} = '{value}'\n" for name, value in given.items())
    (tmp_path / "connection.toml").write_text(text)
    command = [sys.executable, "-m", "gatepost", "exchange", "settings", "--json"]
    done = subprocess.run(
        [*command, "--connection", str(tmp_path / "connection.toml")], capture_output=True, text=True, timeout=60
    )
    assert lines(done)[0]["default_level"] == "Allow"


def test_one_bad_object_is_reported_and_the_rest_printed(make_lab: MakeLab) -> None:
    """The other devices are on stdout, the bad one is named on stderr, and the exit code says that it failed."""
    done = run(make_lab(devices=50, faults=frozenset({Fault.HUGE_PROPERTY})), "devices", "--json")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 49
    assert "cannot be read" in done.stderr
    assert "The others are kept" in done.stderr


def test_a_wrong_password_exits_with_6(lab: Lab) -> None:
    """Not permitted: the cause and the remedy on stderr, nothing on stdout, no password anywhere."""
    done = run(lab, "devices", "--json", password="wr0ng-pa55")
    assert (done.returncode, done.stdout) == (6, "")
    assert "does not accept the sign-in" in done.stderr
    assert "Check user, password and method" in done.stderr
    assert "wr0ng" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["devices"], 2, "Give --url, or --connection"),
        (["devices", "--auth", "kerberos", "--url", "https://localhost:1/PowerShell"], 5, "Connection refused"),
        (["devices", "--auth", "kerberos", "--url", "https://127.0.0.1:1/PowerShell"], 2, "gives no ticket"),
        (["rules", "--url", "https://x/", "--user", "u", "--proxy-auth", "magic"], 2, "Choose one of basic, negotiate"),
        (["devices", "--url", "https://x/"], 2, "needs a user and a password. Give --user and --password-file"),
        (["devices", "--url", "ftp://x"], 2, "url is not an address"),
        (["devices", "--connection", "/nowhere.toml"], 2, "cannot be read"),
        (["devices", "--url", "https://x/", "--auth", "magic"], 2, "Choose one of kerberos, negotiate, basic"),
        (["devices", "--url", "https://x/", "--password-file", "/nowhere"], 2, "secret file /nowhere cannot be read"),
        (["devices", "--frobnicate"], 2, "No such option"),
    ],
)
def test_wrong_usage_is_told_in_words(arguments: list[str], code: int, words: str) -> None:
    """The exit code and the words say what to mend; there is never a traceback."""
    command = [sys.executable, "-m", "gatepost", "exchange", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_ended_by_a_signal_it_leaves_no_shell(make_lab: MakeLab) -> None:
    """Even while Exchange says nothing, which may be for minutes."""
    lab = make_lab(devices=30)
    lab.faults.plan(Fault.SILENT, after=6)
    secret = lab.folder / "secret"
    secret.write_text(lab.password)
    where = ["--url", lab.https_url, "--auth", "basic", "--user", lab.user, "--ca-file", str(lab.ca_file)]
    command = [sys.executable, "-m", "gatepost", "exchange", "devices", *where, "--password-file", str(secret)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 30
        while not lab.faults.struck[Fault.SILENT]:
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.01)
        assert len(lab.shells) == 1
        process.terminate()
        assert process.wait(timeout=10) == 130
    assert len(lab.shells) == 0
