"""Cmdlets as a client finds them: what Get-Command says, and how parameters are bound."""

from typing import Any

import pytest

from gatepost.lab.binding import bind
from gatepost.lab.cmdlets import CMDLETS
from gatepost.lab.errors import CmdletError
from gatepost.lab.profiles import PROFILES
from gatepost.lab.server import Lab
from tests.fixtures.lab import MakeLab
from tests.lab.peer import COMPLETED, FAILED, run, session

BY_NAME = {cmdlet.name: cmdlet for cmdlet in CMDLETS}
DEVICES = BY_NAME["Get-MobileDevice"]


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([("Identity", "x")], {"Identity": "x"}),
        ([("-identity:", "x")], {"Identity": "x"}),
        ([("ident", "x")], {"Identity": "x"}),
        ([(None, "x")], {"Identity": "x"}),
        ([("ResultSize", "Unlimited")], {"ResultSize": None}),
        ([("ResultSize", "12")], {"ResultSize": 12}),
        ([("ActiveSync", None)], {"ActiveSync": True}),
        ([("Monitoring", False)], {"Monitoring": False}),
        ([("ErrorAction", "Stop"), ("Verbose", True)], {}),
    ],
)
def test_parameters_are_bound_by_name_beginning_or_place(given: list[tuple[str | None, Any]], values: object) -> None:
    """As PowerShell does it, and converted to the declared type."""
    assert bind(DEVICES, given).values == values


@pytest.mark.parametrize(
    ("given", "error_id"),
    [
        ([("Colour", "x")], "NamedParameterNotFound,Get-MobileDevice"),
        ([("M", "x")], "NamedParameterNotFound,Get-MobileDevice"),
        ([(None, "x"), (None, "y")], "PositionalParameterNotFound,Get-MobileDevice"),
        ([("ResultSize", "many")], "ParameterArgumentTransformationError,Get-MobileDevice"),
        ([("Identity", ["x", "y"])], "ParameterArgumentTransformationError,Get-MobileDevice"),
        ([("ActiveSync", "$true")], "ParameterArgumentTransformationError,Get-MobileDevice"),
        ([("Identity", "x"), ("Mailbox", "y")], "AmbiguousParameterSet,Get-MobileDevice"),
    ],
)
def test_what_cannot_be_bound_ends_the_pipeline(given: list[tuple[str | None, Any]], error_id: str) -> None:
    """With the error that PowerShell gives."""
    with pytest.raises(CmdletError) as refused:
        bind(DEVICES, given)
    assert (refused.value.error_id, refused.value.fatal) == (error_id, True)


def test_get_command_lists_what_is_granted_with_its_parameters(lab: Lab) -> None:
    """Each cmdlet once, with the names and types that it takes; names that are not granted are errors beside."""
    with session(lab) as pool:
        everything = run(pool, "Get-Command")
        some = run(pool, "Get-Command", Name=["Get-MobileDevice", "Set-Mailbox", "*Recipient"])
    assert {row["Name"] for row in everything.rows} == {*BY_NAME, "Select-Object"}
    assert [row["Name"] for row in some.rows] == ["Get-MobileDevice", "Get-Recipient"]
    assert some.state == COMPLETED
    assert some.error_ids == ["CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand"]
    assert some.rows[0]["Parameters"]["ResultSize"] == "Unlimited"


def test_the_old_names_leave_out_what_does_not_speak_activesync(lab: Lab) -> None:
    """Get-ActiveSyncDevice has no Outlook; everything else is there."""
    with session(lab) as pool:
        old = run(pool, "Get-ActiveSyncDevice").rows
    native = [device.guid for device in lab.organization.devices if device.handset.client_type == "EAS"]
    assert [str(row["Guid"]) for row in old] == native
    assert 0 < len(native) < 300


def test_devices_of_one_mailbox(lab: Lab) -> None:
    """By any name of the mailbox; an unknown one is an error record."""
    with session(lab) as pool:
        dozen = run(pool, "Get-MobileDevice", Mailbox="dozen@example.com")
        nobody = run(pool, "Get-MobileDevice", Mailbox="nobody")
        statistics = run(pool, "Get-MobileDeviceStatistics", Mailbox="Dozen Devices")
    assert len(dozen.rows) == 12
    assert nobody.rows == []
    assert "ManagementObjectNotFoundException" in nobody.error_ids[0]
    assert [row["DeviceID"] for row in statistics.rows] == [row["DeviceId"] for row in dozen.rows]


def test_one_device_by_each_of_its_names(lab: Lab) -> None:
    """Guid, distinguished name, canonical name and the short form."""
    device = lab.organization.devices[7]
    with session(lab) as pool:
        for name in (device.guid, device.dn, device.identity, device.short_identity):
            assert [str(row["Guid"]) for row in run(pool, "Get-MobileDevice", Identity=name).rows] == [device.guid]


def test_recipients_have_kinds_and_remote_mailboxes_are_among_them(lab: Lab) -> None:
    """Get-Recipient knows what Get-CASMailbox does not, and lists by kind."""
    with session(lab) as pool:
        everybody = run(pool, "Get-Recipient").rows
        rooms = run(pool, "Get-Recipient", RecipientTypeDetails=["RoomMailbox", "SharedMailbox"]).rows
        users = run(pool, "Get-User", RecipientTypeDetails="DisabledUser").rows
        remote = run(pool, "Get-CASMailbox", Identity="moved")
    assert "RemoteUserMailbox" in {row["RecipientTypeDetails"] for row in everybody}
    assert {row["RecipientTypeDetails"] for row in rooms} == {"RoomMailbox", "SharedMailbox"}
    assert [row["Name"] for row in users] == ["Left Company"]
    assert "ManagementObjectNotFoundException" in remote.error_ids[0]


def test_servers_name_their_controllers_when_asked_for_their_status(lab: Lab) -> None:
    """Without -Status the list is empty."""
    with session(lab) as pool:
        plain = run(pool, "Get-ExchangeServer").rows
        asked = run(pool, "Get-ExchangeServer", Status=True).rows
        one = run(pool, "Get-ExchangeServer", Identity="ex3").rows
        nothing = run(pool, "Get-ExchangeServer", Identity="ex9")
    assert [row["CurrentDomainControllers"] for row in plain] == [[], [], []]
    assert asked[0]["CurrentDomainControllers"] == ["dc1.lab.example", "dc2.lab.example"]
    assert all(row["CurrentGlobalCatalogs"][2:] == asked[-1]["CurrentDomainControllers"] for row in asked)
    assert [row["Name"] for row in one] == ["EX3"]
    assert "ManagementObjectNotFoundException" in nothing.error_ids[0]


def test_a_domain_controller_can_be_pinned(lab: Lab) -> None:
    """The one that was chosen is named in errors; one that does not exist is refused."""
    with session(lab) as pool:
        unknown = run(pool, "Set-ADServerSettings", PreferredServer="dc9.lab.example")
        run(pool, "Set-ADServerSettings", PreferredServer="DC2.lab.example")
        missing = run(pool, "Get-MobileDevice", Identity="nobody")
        named = run(pool, "Get-MobileDevice", Identity="nobody", DomainController="dc1.emea.lab.example")
    assert "ManagementObjectNotFoundException" in unknown.error_ids[0]
    assert "'dc2.lab.example'" in missing.errors[0][1]
    assert "'dc1.emea.lab.example'" in named.errors[0][1]


def test_error_action_stop_makes_an_error_final(lab: Lab) -> None:
    """The pipeline fails where it would have gone on."""
    with session(lab) as pool:
        assert run(pool, "Get-MobileDevice", Identity="nobody", ErrorAction="Stop").state == FAILED


def test_the_organization_settings_are_one_object(lab: Lab) -> None:
    """With the default level and Exchange's own texts, null and empty kept apart."""
    with session(lab) as pool:
        (row,) = run(pool, "Get-ActiveSyncOrganizationSettings").rows
    assert (row["DefaultAccessLevel"], row["UserMailInsert"], row["OtaNotificationMailInsert"]) == ("Allow", None, "")
    assert row["AdminMailRecipients"] == ["helpdesk@lab.example"]


def test_results_can_be_sorted(lab: Lab) -> None:
    """Nulls first, as the directory has them."""
    with session(lab) as pool:
        rows = run(pool, "Get-MobileDevice", SortBy="DeviceModel", select=["DeviceModel"]).rows
    models = [row["DeviceModel"] for row in rows]
    assert models == sorted(models, key=lambda model: (model is not None, model))


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_shows_its_version_and_its_cmdlets(make_lab: MakeLab, profile: str) -> None:
    """2010 SP1 has no Get-MobileDevice; all have the old name."""
    with session(make_lab(profile=profile)) as pool:
        version = run(pool, "Get-ExchangeServer").rows[0]["AdminDisplayVersion"]
        new = run(pool, "Get-MobileDevice", ResultSize=1)
        old = run(pool, "Get-ActiveSyncDevice", ResultSize=1)
    assert version == PROFILES[profile].version
    assert new.state == (FAILED if profile == "2010sp1" else COMPLETED)
    assert len(old.rows) == 1
