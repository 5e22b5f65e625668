"""Wipes and removals in every version of Exchange, looked at in the lab itself."""

import pytest

from gatepost.errors import CmdletFailed, CmdletNotGranted, WriteRefused
from gatepost.exchange.organization import Organization
from gatepost.lab.rows import ON_PREMISES, Device
from tests.exchange.conftest import settings_of
from tests.exchange.site import Permits, Site, phone
from tests.fixtures.lab import MakeLab

ACCOUNT_ONLY = frozenset({"2016", "2019", "se"})
OUTBOX = ("helpdesk@example.com", "owner@example.com")


def device_now(site: Site, device: Device) -> Device | None:
    """A device as its own domain has it now."""
    return site.view(device.mailbox).find_device(device.guid)


@pytest.mark.parametrize("domain", [0, 1])
def test_a_wipe_is_asked_for_once(site: Site, domain: int) -> None:
    """One write at the device's own domain, with whom to tell; asked again it is under way and nothing is sent."""
    device = phone(site.mailbox(domain))
    with site.calls() as calls:
        found = site.organization.wipe(device.guid, device.dn, Permits(), OUTBOX)
    statistics, clear = site.named("Get-MobileDeviceStatistics"), site.named("Clear-MobileDevice")
    assert [call.cmdlet for call in calls] == [statistics, clear, statistics]
    assert {call.parameters["DomainController"] for call in calls} <= set(device.mailbox.domain.controllers)
    assert {"AccountOnly", "Cancel"}.isdisjoint(calls[1].parameters)
    assert calls[1].parameters["Confirm"] is False
    now = device_now(site, device)
    assert now is not None
    assert now.wipe is not None
    assert now.account_wipe is None
    assert now.wipe.notify == OUTBOX
    assert found.pending
    assert found.requestor == site.lab.user
    permits = Permits()
    with site.calls() as calls:
        assert site.organization.wipe(device.guid, device.dn, permits).pending
    assert ([call.cmdlet for call in calls], permits.asked) == ([statistics], 0)


def test_a_wipe_is_taken_back(site: Site) -> None:
    """Cancelling ends a wipe that is under way; where there is none, nothing is sent."""
    device = phone(site.mailbox(1))
    site.organization.wipe(device.guid, device.dn, Permits())
    found = site.organization.cancel_wipe(device.guid, device.dn, Permits())
    now = device_now(site, device)
    assert now is not None
    assert now.wipe is None
    assert not found.pending
    with site.calls() as calls:
        site.organization.cancel_wipe(device.guid, device.dn, Permits(refuse=True))
    assert [call.cmdlet for call in calls] == [site.named("Get-MobileDeviceStatistics")]


def test_a_wipe_of_the_account_never_becomes_one_of_the_phone(site: Site) -> None:
    """Where Exchange has it, it is asked for and taken back by itself; where not, that is said and nothing is sent."""
    device = phone(site.mailbox())
    if site.profile not in ACCOUNT_ONLY:
        with site.calls() as calls, pytest.raises(CmdletNotGranted, match="the parameter -AccountOnly of Clear-"):
            site.organization.wipe_account(device.guid, device.dn, Permits())
        assert calls == []
        return
    with site.calls() as calls:
        found = site.organization.wipe_account(device.guid, device.dn, Permits())
    assert calls[1].parameters["AccountOnly"] is True
    now = device_now(site, device)
    assert now is not None
    assert now.account_wipe is not None
    assert now.wipe is None
    assert found.pending
    assert found.status == "AccountOnlyDeviceWipePending"
    assert not site.organization.wipe_state(device.guid, device.dn).pending
    assert not site.organization.cancel_wipe(device.guid, device.dn, Permits(), account_only=True).pending
    now = device_now(site, device)
    assert now is not None
    assert now.account_wipe is None


def test_what_is_not_permitted_is_not_ordered(site: Site) -> None:
    """A refused permit leaves the device as it was, for a wipe and for a removal."""
    device = phone(site.mailbox())
    with site.calls() as calls:
        with pytest.raises(WriteRefused):
            site.organization.wipe(device.guid, device.dn, Permits(refuse=True))
        with pytest.raises(WriteRefused):
            site.organization.remove_device(device.guid, device.dn, Permits(refuse=True))
    assert {call.cmdlet for call in calls} == {
        site.named("Get-MobileDevice"), site.named("Get-MobileDeviceStatistics")
    }  # fmt: skip
    now = device_now(site, device)
    assert now is not None
    assert now.wipe is None


@pytest.mark.parametrize("domain", [0, 1])
def test_a_partnership_is_removed_once(site: Site, domain: int) -> None:
    """It is gone in its own domain, with one write; removing it again writes nothing."""
    device = phone(site.mailbox(domain))
    site.organization.remove_device(device.guid, device.dn, Permits())
    assert device_now(site, device) is None
    assert [entry.cmdlet for entry in site.audited(device)] == [site.named("Remove-MobileDevice")]
    with site.calls() as calls:
        site.organization.remove_device(device.guid, device.dn, Permits(refuse=True))
    assert [call.cmdlet for call in calls] == [site.named("Get-MobileDevice")]


def test_a_device_whose_mailbox_is_elsewhere_cannot_be_wiped(site: Site) -> None:
    """Nothing keeps its statistics, so the order fails in words and no write is sent; its removal works."""
    left = next(device for device in site.lab.organization.devices if device.mailbox.kind not in ON_PREMISES)
    with site.calls() as calls, pytest.raises(CmdletFailed):
        site.organization.wipe(left.guid, left.dn, Permits())
    assert [call.cmdlet for call in calls] == [site.named("Get-MobileDeviceStatistics")]
    site.organization.remove_device(left.guid, left.dn, Permits())
    assert device_now(site, left) is None


def test_a_protected_account_is_told_apart(site: Site) -> None:
    """The directory refuses a removal there: known by the type of the error."""
    device = phone(site.mailbox())
    site.lab.organization.change_mailbox(device.mailbox, protected=True)
    with pytest.raises(CmdletFailed) as caught:
        site.organization.remove_device(device.guid, device.dn, Permits())
    assert caught.value.access_denied
    assert device_now(site, device) is not None


def test_roles_that_only_read_order_nothing(make_lab: MakeLab) -> None:
    """Without the role the words name the cmdlet, and the device stays as it is."""
    lab = make_lab(roles=("View-Only Recipients", "View-Only Configuration"))
    with Organization.connect(settings_of(lab), lab.password) as organization:
        device = phone(Site(lab, organization).mailbox())
        with pytest.raises(CmdletNotGranted, match="has no right to use Clear-MobileDevice on localhost"):
            organization.wipe(device.guid, device.dn, Permits())
        with pytest.raises(CmdletNotGranted, match="has no right to use Remove-MobileDevice on localhost"):
            organization.remove_device(device.guid, device.dn, Permits())
    assert lab.organization.find_device(device.guid) is not None
