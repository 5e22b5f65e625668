"""Roles and profiles: what is not granted, or came later, does not exist for a session."""

from pathlib import Path

import pytest

from gatepost.errors import SettingsError
from gatepost.lab.cmdlets import CMDLETS
from gatepost.lab.dialects import DIALECTS
from gatepost.lab.errors import CmdletError
from gatepost.lab.profiles import PROFILES
from gatepost.lab.roles import ROLES
from tests.lab.bench import Bench

READING = ("View-Only Recipients", "View-Only Configuration")
NARROW = "Mail Recipients\\Set-CASMailbox Identity DomainController ActiveSyncAllowedDeviceIDs"


def test_without_roles_everything_is_granted() -> None:
    """Every cmdlet that the profile has."""
    assert Bench(5, profile="se").cmdlets == {cmdlet.name for cmdlet in CMDLETS} | {"Select-Object"}


def test_view_only_roles_grant_no_write() -> None:
    """Beside readings there is only what a session tells about itself."""
    bench = Bench(5, roles=READING)
    assert {name for name in bench.cmdlets if not name.startswith("Get-")} == {"Set-ADServerSettings", "Select-Object"}
    for cmdlet in ("Set-CASMailbox", "Clear-MobileDevice", "New-ActiveSyncDeviceAccessRule"):
        with pytest.raises(CmdletError) as refused:
            bench.run(cmdlet, Identity="ahead")
        assert refused.value.net_type.endswith("CommandNotFoundException")


def test_get_command_leaves_out_what_is_not_granted() -> None:
    """Asked by name, it is an error; asked for all, it is not among them."""
    bench = Bench(5, roles=("View-Only Recipients",))
    assert {row["Name"] for row in bench.run("Get-Command").rows} == bench.cmdlets
    assert bench.run("Get-Command", Name=["Set-CASMailbox"]).kinds == ["CommandNotFoundException"]


def test_an_entry_of_a_role_grants_some_parameters_only() -> None:
    """As in a role that an administrator cut from a built-in one: the others do not exist."""
    bench = Bench(roles=("View-Only Recipients", NARROW))
    assert bench.parameters("Set-CASMailbox") == {"Identity", "DomainController", "ActiveSyncAllowedDeviceIDs"}
    bench.run("Set-CASMailbox", Identity="ahead", ActiveSyncAllowedDeviceIDs=None)
    assert bench.mailbox("ahead").allowed == ()
    for name in ("ActiveSyncBlockedDeviceIDs", "Confirm"):
        with pytest.raises(CmdletError) as refused:
            bench.run("Set-CASMailbox", Identity="ahead", **{name: None})
        assert refused.value.error_id == "NamedParameterNotFound,Set-CASMailbox"


def test_roles_add_up() -> None:
    """What one role narrows another may grant whole; two entries of one cmdlet are one with both."""
    both = Bench(5, roles=(NARROW, "user options"))
    assert "ActiveSyncBlockedDeviceIDs" in both.parameters("Set-CASMailbox")
    more = Bench(5, roles=(NARROW, "Mail Recipients\\set-casmailbox identity ActiveSyncBlockedDeviceIDs"))
    assert more.parameters("Set-CASMailbox") == {
        "Identity", "DomainController", "ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("Organization Wizard", "There is no management role 'Organization Wizard' in the lab."),
        ("Mail Recipients\\Set-Weather", "The management role 'Mail Recipients' has no entry 'Set-Weather'."),
        ("Mail Recipients\\ ", "The management role 'Mail Recipients' has no entry ' '."),
    ],
)
def test_a_role_that_does_not_exist_is_refused_in_words(role: str, says: str) -> None:
    """When the lab is made."""
    with pytest.raises(SettingsError) as refused:
        Bench(1, roles=(role,))
    assert says in str(refused.value)


def test_every_role_grants_cmdlets_that_exist_and_each_is_in_a_role() -> None:
    """So that no name is misspelt in the table."""
    known = {cmdlet.name for cmdlet in CMDLETS}
    grants = {name for names in ROLES.values() for name in names}
    assert grants <= known
    assert known - grants == {"Get-Command"}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_has_its_names(profile: str) -> None:
    """The old names everywhere, the new ones since 2013, wiping the account since 2016."""
    bench = Bench(5, profile=profile)
    new = {name for name in bench.cmdlets if "Mobile" in name}
    assert bool(new) is (profile != "2010sp1")
    for cmdlet in CMDLETS:
        if "Mobile" not in cmdlet.name and "Autoblock" not in cmdlet.name:
            assert cmdlet.name in bench.cmdlets
    assert ("AccountOnly" in bench.parameters("Clear-MobileDevice")) is (profile not in {"2010sp1", "2013"})
    assert "AccountOnly" not in bench.parameters("Clear-ActiveSyncDevice")
    pushes = {name for name in bench.parameters("Set-ActiveSyncMailboxPolicy") if "Push" in name}
    assert bool(pushes) is (profile != "2010sp1")


def test_objects_of_2010_lack_what_came_later() -> None:
    """The property is not there, and cannot be filtered on."""
    bench = Bench(profile="2010sp1")
    (row,) = bench.run("Get-ActiveSyncDevice", ResultSize=1).rows
    assert "ClientType" not in row
    assert "DeviceActiveSyncVersion" in row
    with pytest.raises(CmdletError, match='"ClientType" is not a recognized filterable property'):
        bench.run("Get-ActiveSyncDevice", Filter="ClientType -eq 'EAS'")


def test_kinds_of_clients_can_be_chosen() -> None:
    """By the switches of the newer cmdlet; some of them came with 2016."""
    bench = Bench()
    for switch, kind in (("ActiveSync", "EAS"), ("RestApi", "REST"), ("UniversalOutlook", "Outlook")):
        rows = bench.run("Get-MobileDevice", **{switch: True}).rows
        assert {row["ClientType"] for row in rows} == {kind}
    assert bench.run("Get-MobileDevice", OWAforDevices=True).rows == []
    assert "RestApi" not in Bench(5, profile="2013").parameters("Get-MobileDevice")


def test_lost_mailboxes_are_recipients_where_they_are_asked_for() -> None:
    """Not among all recipients, but by their kind."""
    bench = Bench()
    everybody = {row["RecipientTypeDetails"] for row in bench.run("Get-Recipient").rows}
    lost = bench.run("Get-Recipient", RecipientTypeDetails=["RemoteUserMailbox", "DisabledUser"]).rows
    assert "RemoteUserMailbox" in everybody
    assert "DisabledUser" not in everybody
    assert {row["Name"] for row in lost} == {"Moved To Cloud", "Left Company"}


def test_the_budget_of_sessions_can_be_read() -> None:
    """It is what the endpoint gives."""
    (row,) = Bench(5).run("Get-ThrottlingPolicy").rows
    assert (row["Name"], row["PowerShellMaxConcurrency"]) == ("GlobalThrottlingPolicy", "18")
    assert Bench(5).run("Get-ThrottlingPolicy", Identity="Mine").kinds == ["ManagementObjectNotFoundException"]


@pytest.mark.parametrize(
    ("dialect", "limits"),
    [
        ("plain", {"GlobalThrottlingPolicy": "18"}),
        ("own-budget", {"Connectors": "18", "GlobalThrottlingPolicy": "18", "EverybodyHere": "17"}),
        ("organization-budget", {"Connectors": None, "GlobalThrottlingPolicy": "18", "EverybodyHere": "18"}),
    ],
)
def test_an_account_may_have_a_policy_of_its_own(dialect: str, limits: dict[str, str | None]) -> None:
    """Which one says an association; a policy that says nothing leaves it to a wider one."""
    bench = Bench(5, dialect=DIALECTS[dialect])
    rows = bench.run("Get-ThrottlingPolicy").rows
    assert {row["Name"]: row["PowerShellMaxConcurrency"] for row in rows} == limits
    (row,) = bench.run("Get-ThrottlingPolicyAssociation", Identity=bench.session.user).rows
    assert row["ThrottlingPolicyId"] == ("Connectors" if len(limits) > 1 else None)
    stranger = bench.run("Get-ThrottlingPolicyAssociation", Identity="somebody")
    assert stranger.kinds == ["ManagementObjectNotFoundException"]


def test_every_cmdlet_and_role_is_documented() -> None:
    """By its name, in docs/lab.md."""
    text = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
    for name in (*(cmdlet.name for cmdlet in CMDLETS), *ROLES):
        assert f"`{name}`" in text, f"docs/lab.md does not mention {name}"
