"""Mobile device mailbox policies under both naming schemes."""

from typing import Any

import pytest

from gatepost.lab.errors import CmdletError
from gatepost.lab.mobile_policies import SETTINGS
from tests.lab.bench import Bench

NEW, OLD = "MobileDeviceMailboxPolicy", "ActiveSyncMailboxPolicy"
CHANGED: dict[str, tuple[Any, Any]] = {
    "Boolean": (None, None),
    "Unlimited[EnhancedTimeSpan]": ("00:15:00", "00:15:00"),
    "Unlimited[ByteQuantifiedSize]": ("512KB", "512 KB (524,288 bytes)"),
    "Unlimited[Int32]": ("8", "8"),
    "Int32": (4, "4"),
    "Nullable[Int32]": (6, "6"),
    "BluetoothType": ("handsfreeonly", "HandsfreeOnly"),
    "SMIMEEncryptionAlgorithmNegotiationType": ("BlockNegotiation", "BlockNegotiation"),
    "CalendarAgeFilterType": ("TwoWeeks", "TwoWeeks"),
    "EmailAgeFilterType": ("OneDay", "OneDay"),
    "RequireEncryptionSMIMEAlgorithmType": ("RC240bit", "RC240bit"),
    "RequireSignedSMIMEAlgorithmType": ("MD5", "MD5"),
    "MultiValuedProperty": (["a", "b"], ["a", "b"]),
}
"""For each type what is sent and what is read back; a Boolean becomes the other one."""


@pytest.mark.parametrize(("noun", "old"), [(NEW, False), (OLD, True)])
def test_every_setting_is_created_read_and_changed(noun: str, old: bool) -> None:
    """All settings, under the names of their scheme, and both schemes show the same policy."""
    bench = Bench()
    given, read = {}, {}
    for setting in SETTINGS:
        sent, shown = CHANGED[setting.type]
        name = setting.old_name if old else setting.name
        given[name] = not setting.default if setting.type == "Boolean" else sent
        read[name] = not setting.default if setting.type == "Boolean" else shown
    (made,) = bench.run(f"New-{noun}", Name="Field staff", **given).rows
    assert {name: made[name] for name in read} == read
    bench.run(f"Set-{noun}", Identity="Field staff", AllowCamera=True)
    assert bench.run(f"Get-{noun}", Identity=made["Guid"]).rows[0] == {
        **made,
        "AllowCamera": True,
        **_stamps(bench, noun),
    }
    other = bench.run(f"Get-{OLD if noun == NEW else NEW}", Identity="Field staff").rows[0]
    assert (other["Guid"], other["AllowCamera"], other["AllowBrowser"]) == (made["Guid"], True, False)


def _stamps(bench: Bench, noun: str) -> dict[str, Any]:
    row = bench.run(f"Get-{noun}", Identity="Field staff").rows[0]
    return {name: row[name] for name in ("WhenChanged", "WhenChangedUTC")}


def test_a_new_policy_has_the_documented_defaults() -> None:
    """And is not the default one."""
    (row,) = Bench().run(f"New-{NEW}", Name="Plain").rows
    assert row["AllowCamera"] is True
    assert row["PasswordEnabled"] is False
    assert (row["MaxInactivityTimeLock"], row["MinPasswordLength"], row["PasswordHistory"]) == ("Unlimited", None, "0")
    assert (row["AllowBluetooth"], row["ApprovedApplicationList"], row["IsDefault"]) == ("Allow", [], False)


def test_there_is_one_default_policy() -> None:
    """Who becomes it takes the place of the other, under either name of the flag."""
    bench = Bench()
    bench.run(f"Set-{NEW}", Identity="Strict", IsDefault=True)
    assert [row["Name"] for row in bench.run(f"Get-{NEW}").rows if row["IsDefault"]] == ["Strict"]
    bench.run(f"New-{OLD}", Name="Newest", IsDefaultPolicy=True)
    rows = bench.run(f"Get-{OLD}").rows
    assert [row["Name"] for row in rows if row["IsDefaultPolicy"] and row["IsDefault"]] == ["Newest"]


def test_what_is_so_already_is_not_written() -> None:
    """The policy's stamp stays."""
    bench = Bench()
    before = bench.run(f"Get-{NEW}", Identity="Strict").rows
    assert len(bench.run(f"Set-{NEW}", Identity="Strict", PasswordEnabled=True).warnings) == 1
    assert bench.run(f"Get-{NEW}", Identity="Strict").rows == before


def test_a_name_is_taken_once() -> None:
    """Whatever its case."""
    assert Bench().run(f"New-{NEW}", Name="STRICT").kinds == ["ADObjectAlreadyExistsException"]


def test_the_default_policy_stays() -> None:
    """And so does one that does not exist."""
    bench = Bench()
    assert bench.run(f"Remove-{NEW}", Identity="Default", Confirm=False).kinds == ["InvalidOperationException"]
    assert bench.run(f"Remove-{NEW}", Identity="Nowhere", Confirm=False).kinds == ["ManagementObjectNotFoundException"]


def test_a_policy_in_use_is_removed_by_force_only() -> None:
    """``-Confirm:$false`` does not answer the question about its users; they fall back to the default policy."""
    bench = Bench()
    with pytest.raises(CmdletError, match='"Strict" is assigned to mailboxes'):
        bench.run(f"Remove-{NEW}", Identity="Strict", Confirm=False)
    bench.run(f"Remove-{NEW}", Identity="Strict", Confirm=False, Force=True)
    assert bench.mailbox("strict").policy == "Default"
    assert "Strict" not in {row["Name"] for row in bench.run(f"Get-{NEW}").rows}


@pytest.mark.parametrize(
    ("noun", "given", "error_id"),
    [
        (NEW, {"DevicePasswordEnabled": True}, "NamedParameterNotFound"),
        (OLD, {"PasswordEnabled": True}, "NamedParameterNotFound"),
        (NEW, {"MaxInactivityTimeLock": "soon"}, "ParameterArgumentTransformationError"),
        (NEW, {"MaxAttachmentSize": "much"}, "ParameterArgumentTransformationError"),
        (NEW, {"MaxPasswordFailedAttempts": "-1"}, "ParameterArgumentTransformationError"),
        (NEW, {"PasswordHistory": None}, "ParameterArgumentTransformationError"),
        (NEW, {"AllowBluetooth": "Sometimes"}, "ParameterArgumentTransformationError"),
        (NEW, {"AllowCamera": "yes"}, "ParameterArgumentTransformationError"),
    ],
)
def test_a_setting_of_the_wrong_name_or_kind_is_refused(noun: str, given: dict[str, Any], error_id: str) -> None:
    """Each scheme knows its own names only."""
    with pytest.raises(CmdletError) as refused:
        Bench().run(f"Set-{noun}", Identity="Strict", **given)
    assert refused.value.error_id == f"{error_id},Set-{noun}"
