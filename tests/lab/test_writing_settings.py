"""The organization's settings, device access rules, device classes and block thresholds, read and written."""

from typing import Any

import pytest

from gatepost.lab.errors import CmdletError
from tests.lab.bench import ROOT, Bench

SETTINGS = "ActiveSyncOrganizationSettings"
RULE = "ActiveSyncDeviceAccessRule"
THRESHOLD = "ActiveSyncDeviceAutoblockThreshold"


def test_settings_are_changed() -> None:
    """The level by name without regard to case, recipients by change, texts as they are; null clears."""
    bench = Bench()
    bench.run(
        f"Set-{SETTINGS}",
        DefaultAccessLevel="quarantine",
        AdminMailRecipients={"Add": "desk@lab.example"},
        UserMailInsert="Wait, please.",
        OtaNotificationMailInsert=None,
    )
    (row,) = bench.run(f"Get-{SETTINGS}").rows
    assert row["DefaultAccessLevel"] == "Quarantine"
    assert row["AdminMailRecipients"] == ["helpdesk@lab.example", "desk@lab.example"]
    assert (row["UserMailInsert"], row["OtaNotificationMailInsert"]) == ("Wait, please.", None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"DefaultAccessLevel": "Maybe"}, 'The possible enumeration values are "Allow,Block,Quarantine".'),
        ({"DefaultAccessLevel": None}, 'Cannot convert value "None" to type "DeviceAccessLevel"'),
        ({"AdminMailRecipients": ["nobody"]}, 'The email address "nobody" isn\'t correct.'),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(given: dict[str, Any], says: str) -> None:
    """The pipeline fails, and nothing is changed."""
    bench = Bench()
    with pytest.raises(CmdletError) as refused:
        bench.run(f"Set-{SETTINGS}", **given)
    assert says in str(refused.value)
    assert refused.value.error_id == f"ParameterArgumentTransformationError,Set-{SETTINGS}"
    assert bench.organization.settings.default_level == "Allow"


def test_a_text_may_have_256_characters() -> None:
    """One more is an error, and nothing else of the call is written."""
    bench = Bench()
    assert bench.run(f"Set-{SETTINGS}", UserMailInsert="x" * 256).errors == []
    said = bench.run(f"Set-{SETTINGS}", UserMailInsert="y" * 257, DefaultAccessLevel="Block")
    assert said.kinds == ["DataValidationException"]
    assert "The maximum length is 256" in str(said.errors[0])
    assert (bench.organization.settings.user_insert, bench.organization.settings.default_level) == ("x" * 256, "Allow")


def test_settings_have_one_identity() -> None:
    """The object's name; another is an error, none means the one there is."""
    bench = Bench()
    for verb in ("Get", "Set"):
        assert bench.run(f"{verb}-{SETTINGS}", Identity="Mobile Mailbox Settings").errors == []
        assert bench.run(f"{verb}-{SETTINGS}", Identity="Elsewhere").kinds == ["ManagementObjectNotFoundException"]


def test_a_rule_lives_and_dies() -> None:
    """Its name follows from what it looks for; only its level can change."""
    bench = Bench()
    (made,) = bench.run(f"New-{RULE}", QueryString="Fridge 1", Characteristic="devicemodel", AccessLevel="Block").rows
    assert (made["Name"], made["AccessLevel"], made["Characteristic"]) == (
        "Fridge 1 (DeviceModel)",
        "Block",
        "DeviceModel",
    )
    for identity in (made["Name"].upper(), made["Guid"], made["DistinguishedName"]):
        assert [row["Guid"] for row in bench.run(f"Get-{RULE}", Identity=identity).rows] == [made["Guid"]]
    bench.run(f"Set-{RULE}", Identity=made["Guid"], AccessLevel="Allow")
    assert bench.run(f"Get-{RULE}", Identity=made["Name"]).rows[0]["AccessLevel"] == "Allow"
    assert bench.run(f"Set-{RULE}", Identity=made["Guid"], AccessLevel="Allow").warnings != []
    bench.run(f"Remove-{RULE}", Identity=made["Guid"], Confirm=False)
    assert bench.run(f"Get-{RULE}", Identity=made["Guid"]).kinds == ["ManagementObjectNotFoundException"]
    assert "Fridge 1 (DeviceModel)" not in {row["Name"] for row in bench.run(f"Get-{RULE}").rows}


def test_two_rules_never_look_for_the_same() -> None:
    """Whatever their levels and the case of their texts."""
    bench = Bench()
    rules = len(bench.run(f"Get-{RULE}").rows)
    said = bench.run(f"New-{RULE}", QueryString="wp8", Characteristic="DeviceType", AccessLevel="Allow")
    assert said.kinds == ["ADObjectAlreadyExistsException"]
    assert len(bench.run(f"Get-{RULE}").rows) == rules


@pytest.mark.parametrize(
    ("cmdlet", "given", "error_id"),
    [
        (f"New-{RULE}", {"QueryString": "x", "AccessLevel": "Block"}, "MissingMandatoryParameter"),
        (
            f"New-{RULE}",
            {"QueryString": "x", "Characteristic": "Colour", "AccessLevel": "Block"},
            "ParameterArgumentTransformationError",
        ),
        (f"Set-{RULE}", {"Identity": "WP8 (DeviceType)", "QueryString": "WP9"}, "NamedParameterNotFound"),
        (f"Remove-{RULE}", {"Identity": ""}, "ParameterArgumentTransformationError"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(cmdlet: str, given: dict[str, Any], error_id: str) -> None:
    """With the error that PowerShell gives; in particular the text of a rule cannot change."""
    with pytest.raises(CmdletError) as refused:
        Bench().run(cmdlet, **given)
    assert refused.value.error_id == f"{error_id},{cmdlet}"


def test_rules_are_replicated_like_everything_else() -> None:
    """A new one is not at the other controller yet."""
    bench = Bench()
    bench.organization.forest.replication = 600.0
    new = {"QueryString": "Fridge", "Characteristic": "DeviceType", "AccessLevel": "Block"}
    bench.run(f"New-{RULE}", DomainController=ROOT[1], **new)
    here, there = (
        {row["Name"] for row in bench.run(f"Get-{RULE}", DomainController=controller).rows} for controller in ROOT
    )
    assert there - here == {"Fridge (DeviceType)"}


def test_a_device_class_is_forgotten_until_it_is_shown_again() -> None:
    """The types and models of all phones; one that is removed is gone."""
    bench = Bench()
    rows = bench.run("Get-ActiveSyncDeviceClass").rows
    handsets = {(device.handset.device_type, device.handset.model) for device in bench.organization.devices}
    assert len(rows) == len(handsets)
    shown = {(row["DeviceType"], row["DeviceModel"]) for row in rows if (row["DeviceModel"] or "").isascii()}
    assert {(kind, model) for kind, model in shown if "_x" not in (model or "")} < handsets
    bench.run("Remove-ActiveSyncDeviceClass", Identity=rows[0]["Guid"], Confirm=False)
    left = {row["Guid"] for row in bench.run("Get-ActiveSyncDeviceClass").rows}
    assert left == {row["Guid"] for row in rows[1:]}
    kinds = bench.run("Remove-ActiveSyncDeviceClass", Identity="nothing", Confirm=False).kinds
    assert kinds == ["ManagementObjectNotFoundException"]


def test_thresholds_of_behaviour_are_read_and_set() -> None:
    """One per behaviour; a time is printed as Exchange prints it."""
    bench = Bench()
    assert len(bench.run(f"Get-{THRESHOLD}").rows) == 6
    bench.run(
        f"Set-{THRESHOLD}",
        Identity="usERagentsChanges",
        BehaviorTypeIncidenceLimit=3,
        BehaviorTypeIncidenceDuration="01:00:00",
        DeviceBlockDuration="1.00:00:00",
    )
    (row,) = bench.run(f"Get-{THRESHOLD}", Identity="UserAgentsChanges").rows
    assert (row["BehaviorTypeIncidenceLimit"], row["DeviceBlockDuration"]) == ("3", "1.00:00:00")
    assert bench.run(f"Get-{THRESHOLD}", Identity="Mood").kinds == ["ManagementObjectNotFoundException"]
    with pytest.raises(CmdletError, match="Cannot convert value"):
        bench.run(f"Set-{THRESHOLD}", Identity="SyncCommands", DeviceBlockDuration="a while")
