"""Settings, rules, policies and classes in every version of Exchange, looked at in the lab itself."""

from collections.abc import Callable
from typing import Any

import pytest

from gatepost.errors import CmdletFailed, CmdletNotGranted, UsageError, WriteRefused
from gatepost.exchange.mailbox_settings import OLD_NAMES
from gatepost.exchange.organization import Organization
from gatepost.lab.mobile_policies import PolicyRow
from gatepost.lab.organization import View
from gatepost.lab.rows import AccessRule
from gatepost.lab.values import Multi
from tests.exchange.conftest import settings_of
from tests.exchange.site import Permits, Site
from tests.fixtures.lab import MakeLab


def pinned(site: Site) -> View:
    """The organization as the controller has it that our session is pinned to."""
    return site.lab.organization.view(site.organization.capabilities.domain_controller)


def policy_row(site: Site, name: str) -> PolicyRow:
    """A policy of the lab's, by its name."""
    found = pinned(site).find_policy(name)
    assert found is not None
    return PolicyRow(found)


def test_the_settings_are_changed_where_they_differ(site: Site) -> None:
    """Only what differs is written, recipients as added and removed; the same again writes nothing; empty clears."""
    admins = pinned(site).settings.admins
    with site.calls() as calls:
        found = site.organization.change_settings(
            Permits(),
            default_level="Quarantine",
            admin_recipients=("HELPDESK@lab.example", "second@lab.example"),
            user_mail_insert="<b>Ask</b> the helpdesk & wait",
        )
    settings = pinned(site).settings
    assert (settings.default_level, settings.user_insert) == ("Quarantine", "<b>Ask</b> the helpdesk & wait")
    assert settings.admins == (*admins, "second@lab.example")
    assert (found.default_level, found.admin_recipients) == (settings.default_level, settings.admins)
    assert [call.cmdlet.partition("-")[0] for call in calls] == ["Get", "Set", "Get"]
    assert len({call.controller for call in calls}) == 1
    assert calls[1].parameters["AdminMailRecipients"] == Multi(add=("second@lab.example",))
    assert "OtaNotificationMailInsert" not in calls[1].parameters
    with site.calls() as calls:
        site.organization.change_settings(Permits(refuse=True), default_level="quarantine")
    assert [call.cmdlet for call in calls] == ["Get-ActiveSyncOrganizationSettings"]
    site.organization.change_settings(Permits(), "Allow", admins, user_mail_insert="")
    settings = pinned(site).settings
    assert (settings.default_level, settings.admins, settings.user_insert or "") == ("Allow", admins, "")


def test_a_level_that_does_not_exist_is_refused_in_exchanges_words(site: Site) -> None:
    """Nothing has changed, and the words tell which levels there are."""
    with pytest.raises(CmdletFailed, match="Allow,Block,Quarantine"):
        site.organization.change_settings(Permits(), default_level="Sometimes")
    assert pinned(site).settings.default_level == "Allow"


def test_a_rule_lives_and_goes(site: Site) -> None:
    """A rule is made, made again without a write, given another level and removed; the lab has it each time."""
    query = f"iOS 99.1 ({site.profile})"
    rule = site.organization.create_rule("DeviceOS", query, "Quarantine", Permits())
    theirs = pinned(site).find_rule(rule.guid)
    assert theirs is not None
    assert (theirs.query, theirs.characteristic, theirs.level, theirs.name) == (
        query, "DeviceOS", "Quarantine", rule.name
    )  # fmt: skip
    assert rule in site.organization.rules()
    with site.calls() as calls:
        assert site.organization.create_rule("DeviceOS", query, "Quarantine", Permits(refuse=True)) == rule
        assert site.organization.change_rule(rule.guid, "Quarantine", Permits(refuse=True)) == rule
    assert {call.cmdlet for call in calls} == {"Get-ActiveSyncDeviceAccessRule"}
    assert site.organization.change_rule(rule.guid, "Block", Permits()).level == "Block"
    theirs = pinned(site).find_rule(rule.guid)
    assert theirs is not None
    assert theirs.level == "Block"
    site.organization.remove_rule(rule.guid, Permits())
    assert pinned(site).find_rule(rule.guid) is None
    with site.calls() as calls:
        site.organization.remove_rule(rule.guid, Permits(refuse=True))
    assert [call.cmdlet for call in calls] == ["Get-ActiveSyncDeviceAccessRule"]


def test_words_that_nobody_knows_yet_are_read(site: Site) -> None:
    """An enumeration may grow: a level and a characteristic of tomorrow come out as Exchange says them."""
    rule = AccessRule(f"Tomorrow {site.profile}", "x", "DeviceMood", "Ponder")
    pinned(site).add_rule(rule)
    found = {entry.guid: entry for entry in site.organization.rules()}
    assert (found[rule.guid].level, found[rule.guid].characteristic) == ("Ponder", "DeviceMood")
    pinned(site).remove_rule(rule)


def test_a_rule_of_another_level_is_not_overwritten(site: Site) -> None:
    """Making a rule whose text has one already fails in words, and that one stays."""
    query = f"Model ({site.profile})"
    rule = site.organization.create_rule("DeviceModel", query, "Allow", Permits())
    with pytest.raises(CmdletFailed):
        site.organization.create_rule("DeviceModel", query, "Block", Permits())
    theirs = pinned(site).find_rule(rule.guid)
    assert theirs is not None
    assert theirs.level == "Allow"
    with pytest.raises(WriteRefused):
        site.organization.change_rule(rule.guid, "Block", Permits(refuse=True))
    assert pinned(site).find_rule(rule.guid) == theirs


SETTINGS: dict[str, Any] = {
    "PasswordEnabled": True,
    "AllowSimplePassword": False,
    "MinPasswordLength": "6",
    "MaxInactivityTimeLock": "00:15:00",
    "MaxPasswordFailedAttempts": "8",
    "AllowCamera": False,
    "AllowBluetooth": "HandsfreeOnly",
    "ApprovedApplicationList": ("hash1:app1", "hash2:app2"),
}


def test_a_policy_lives_and_goes(site: Site) -> None:
    """A policy is made, changed where it differs and removed, by the names of 2013 on every version."""
    name = f"Field {site.profile}"
    with site.calls() as calls:
        policy = site.organization.create_policy(name, SETTINGS, Permits())
    row = policy_row(site, name)
    assert {key: getattr(row, key) for key in SETTINGS if key != "MinPasswordLength"} == {
        key: value for key, value in SETTINGS.items() if key != "MinPasswordLength"
    }
    assert str(getattr(row, "MinPasswordLength")) == "6"  # noqa: B009 - a setting's name
    assert {key: policy.settings[key] for key in SETTINGS} == SETTINGS
    sent = next(call for call in calls if call.cmdlet == site.named("New-MobileDeviceMailboxPolicy"))
    names = {OLD_NAMES.get(key, key) if site.is_old else key for key in SETTINGS}
    assert set(sent.parameters) == {*names, "Name", "Confirm", "DomainController"}

    wanted = SETTINGS | {"AllowCamera": True, "MinPasswordLength": None, "ApprovedApplicationList": ("hash2:app2",)}
    with site.calls() as calls:
        changed = site.organization.change_policy(policy.guid, wanted, Permits())
    (sent,) = [call for call in calls if call.cmdlet == site.named("Set-MobileDeviceMailboxPolicy")]
    length = "MinDevicePasswordLength" if site.is_old else "MinPasswordLength"
    assert sent.parameters == {
        "Identity": policy.guid,
        "AllowCamera": True,
        length: None,
        "ApprovedApplicationList": Multi(remove=("hash1:app1",)),
        "Confirm": False,
        "DomainController": site.organization.capabilities.domain_controller,
    }
    row = policy_row(site, name)
    assert (getattr(row, "AllowCamera"), getattr(row, "MinPasswordLength")) == (True, None)  # noqa: B009
    assert changed.settings["ApprovedApplicationList"] == ("hash2:app2",)
    with site.calls() as calls:
        site.organization.change_policy(policy.guid, wanted, Permits(refuse=True))
        site.organization.create_policy(name.upper(), {"AllowCamera": True}, Permits(refuse=True))
    assert {call.cmdlet for call in calls} == {site.named("Get-MobileDeviceMailboxPolicy")}

    site.organization.remove_policy(policy.guid, Permits())
    assert pinned(site).find_policy(name) is None
    site.organization.remove_policy(policy.guid, Permits(refuse=True))


def test_all_policies_are_read_with_their_settings(site: Site) -> None:
    """Each policy of the lab is there, with its flag; the default one cannot be removed, in Exchange's words."""
    found = {policy.name: policy for policy in site.organization.policies()}
    theirs = {policy.name: policy for policy in pinned(site).policies}
    assert found.keys() == theirs.keys()
    assert {name for name, policy in found.items() if policy.is_default} == {"Default"}
    default = found["Default"]
    assert default.settings["AllowCamera"] is True
    assert default.settings["PasswordExpiration"] == "Unlimited"
    with pytest.raises(CmdletFailed, match="Remove-"):
        site.organization.remove_policy(default.guid, Permits())
    assert pinned(site).find_policy("Default") is not None


def test_a_policy_in_use_stays(site: Site) -> None:
    """Exchange asks before it takes a policy from mailboxes; nobody answers, and nobody loses it."""
    policy = site.organization.create_policy(f"Used {site.profile}", {}, Permits())
    box = site.mailbox()
    site.organization.set_mailbox(box.guid, box.dn, Permits(), mailbox_policy=policy.name)
    with pytest.raises(CmdletFailed):
        site.organization.remove_policy(policy.guid, Permits())
    assert pinned(site).find_policy(policy.guid) is not None
    assert site.now(box).policy == policy.name


def test_a_setting_that_is_none_is_refused_before_sending(site: Site) -> None:
    """An unknown name or a wrong type is told in words, and Exchange hears of nothing."""
    with site.calls() as calls:
        with pytest.raises(UsageError, match="AllowTeleport is no setting of a mobile device mailbox policy"):
            site.organization.create_policy("X", {"AllowTeleport": True}, Permits())
        with pytest.raises(UsageError, match="-AllowCamera of New-MobileDeviceMailboxPolicy takes bool, not str"):
            site.organization.create_policy("X", {"AllowCamera": "yes"}, Permits())
    assert all(call.cmdlet.startswith("Get-") for call in calls)


def test_the_classes_of_devices_are_those_of_the_lab(site: Site) -> None:
    """Every type and model that some phone has shown, with when."""
    found = {(entry.device_type, entry.model) for entry in site.organization.device_classes()}
    assert found == {(row.device_type, row.model) for row in pinned(site).classes}
    assert all(entry.updated_at for entry in site.organization.device_classes())


def test_roles_that_only_read_change_nothing(make_lab: MakeLab) -> None:
    """Each write is refused in words that name its cmdlet, while the reads work."""
    lab = make_lab(roles=("View-Only Recipients", "View-Only Configuration"))
    with Organization.connect(settings_of(lab), lab.password) as organization:
        (rule, *_), (policy, *_) = organization.rules(), organization.policies()
        permits = Permits()
        writes: dict[str, Callable[[], object]] = {
            "Set-ActiveSyncOrganizationSettings": lambda: organization.change_settings(permits, default_level="Block"),
            "New-ActiveSyncDeviceAccessRule": lambda: organization.create_rule("DeviceOS", "x", "Block", permits),
            "Set-ActiveSyncDeviceAccessRule": lambda: [
                organization.change_rule(rule.guid, level, permits) for level in ("Allow", "Block")
            ],
            "Remove-ActiveSyncDeviceAccessRule": lambda: organization.remove_rule(rule.guid, permits),
            "New-MobileDeviceMailboxPolicy": lambda: organization.create_policy("x", {}, permits),
            "Set-MobileDeviceMailboxPolicy": lambda: organization.change_policy(
                policy.guid, {"AllowCamera": not policy.settings["AllowCamera"]}, permits
            ),
            "Remove-MobileDeviceMailboxPolicy": lambda: organization.remove_policy(policy.guid, permits),
        }
        for cmdlet, write in writes.items():
            with pytest.raises(CmdletNotGranted, match=f"has no right to use {cmdlet} on"):
                write()
    assert {call.cmdlet.partition("-")[0] for call in lab.calls} <= {"Get", "Set", "Select"}
    assert {call.cmdlet for call in lab.calls if call.cmdlet.startswith("Set-")} == {"Set-ADServerSettings"}
