"""Wipes: ordered, sent, acknowledged, taken back; of the phone or the account; and partnerships removed."""

from typing import Any

import pytest

from gatepost.lab.errors import CmdletError
from gatepost.lab.rows import Device
from tests.lab.bench import Bench

TIMES = ("DeviceWipeRequestTime", "DeviceWipeSentTime", "DeviceWipeAckTime")


def statistics(bench: Bench, device: Device) -> dict[str, Any]:
    """What the mailbox knows of a device."""
    (row,) = bench.run("Get-MobileDeviceStatistics", Identity=device.guid).rows
    return row


def talk(bench: Bench, device: Device) -> None:
    """Let the phones of a device's mailbox talk to the server once."""
    with bench.organization.now():
        bench.organization.phones.talk(device.mailbox, bench.organization.clock())


def test_a_wipe_is_asked_for_sent_and_acknowledged() -> None:
    """The status follows from the three times, and the requestor is named."""
    bench = Bench()
    bench.organization.phones.effect = 3_600.0
    device = bench.phone("ahead")
    assert statistics(bench, device)["Status"] == "DeviceOk"
    seen = []
    bench.run("Clear-MobileDevice", Identity=device.guid, Confirm=False)
    for _ in range(3):
        row = statistics(bench, device)
        seen.append((row["Status"], [row[name] is not None for name in TIMES]))
        talk(bench, device)
    assert seen == [
        ("DeviceWipePending", [True, False, False]),
        ("DeviceWipePending", [True, True, False]),
        ("DeviceWipeSucceeded", [True, True, True]),
    ]
    assert statistics(bench, device)["LastDeviceWipeRequestor"] == "LAB\\admin"
    assert statistics(bench, device)["AccountOnlyDeviceWipeRequestTime"] is None


def test_a_wipe_is_taken_back() -> None:
    """All its times are gone; there is nothing to take back twice."""
    bench = Bench()
    bench.organization.phones.effect = 3_600.0
    device = bench.phone("ahead")
    bench.run("Clear-MobileDevice", Identity=device.guid, Confirm=False)
    assert bench.run("Clear-MobileDevice", Identity=device.guid, Cancel=True, Confirm=False).warnings == []
    row = statistics(bench, device)
    assert (row["Status"], row["DeviceWipeRequestTime"]) == ("DeviceOk", None)
    assert len(bench.run("Clear-MobileDevice", Identity=device.guid, Cancel=True, Confirm=False).warnings) == 1


def test_a_second_order_changes_nothing() -> None:
    """The time of the first request stays, whoever asks again."""
    bench = Bench()
    device = bench.phone("ahead")
    bench.run("Clear-MobileDevice", Identity=device.guid, Confirm=False)
    first = statistics(bench, device)["DeviceWipeRequestTime"]
    bench.session.user = "LAB\\other"
    assert len(bench.run("Clear-MobileDevice", Identity=device.guid, Confirm=False).warnings) == 1
    row = statistics(bench, device)
    assert (row["DeviceWipeRequestTime"], row["LastDeviceWipeRequestor"]) == (first, "LAB\\admin")


@pytest.mark.parametrize(("profile", "exists"), [("2013", False), ("2016", True), ("se", True)])
def test_the_account_alone_can_be_wiped_since_2016(profile: str, exists: bool) -> None:
    """Before, the parameter does not exist, nor do its times."""
    bench = Bench(profile=profile)
    device = bench.phone("ahead")
    if not exists:
        with pytest.raises(CmdletError, match="accountonly"):
            bench.run("Clear-MobileDevice", Identity=device.guid, AccountOnly=True, Confirm=False)
        assert "AccountOnlyDeviceWipeRequestTime" not in statistics(bench, device)
        return
    bench.organization.phones.effect = 3_600.0
    bench.run("Clear-MobileDevice", Identity=device.guid, AccountOnly=True, Confirm=False)
    row = statistics(bench, device)
    assert (row["Status"], row["DeviceWipeRequestTime"]) == ("AccountOnlyDeviceWipePending", None)
    talk(bench, device)
    talk(bench, device)
    assert statistics(bench, device)["Status"] == "AccountOnlyDeviceWipeSucceeded"


def test_who_is_to_be_told_is_kept_with_the_wipe() -> None:
    """The addresses of the call."""
    bench = Bench()
    device = bench.phone("ahead")
    told = ["desk@lab.example", "owner@lab.example"]
    bench.run("Clear-MobileDevice", Identity=device.guid, NotificationEmailAddresses=told, Confirm=False)
    wipe = bench.phone("ahead").wipe
    assert wipe is not None
    assert wipe.notify == tuple(told)


def test_a_client_that_knows_no_wipe_is_blocked_instead() -> None:
    """As Exchange derives it: asked for, not acknowledged, not supported."""
    bench = Bench()
    bench.organization.phones.effect = 3_600.0
    device = bench.phone("strict")
    bench.run("Clear-MobileDevice", Identity=device.guid, Confirm=False)
    row = statistics(bench, device)
    assert (row["Status"], row["IsRemoteWipeSupported"]) == ("DeviceBlocked", False)


@pytest.mark.parametrize(
    ("owner", "kind"), [("moved", "RecipientTaskException"), ("protected", "ADOperationException")]
)
def test_a_wipe_that_cannot_be_written_is_an_error(owner: str, kind: str) -> None:
    """The mailbox is elsewhere, or the account is protected."""
    bench = Bench()
    device = bench.phone(owner)
    assert bench.run("Clear-MobileDevice", Identity=device.guid, Confirm=False).kinds == [kind]
    assert bench.phone(owner).wipe is None


def test_a_partnership_is_removed() -> None:
    """Also one whose mailbox is gone, but not one of a protected account."""
    bench = Bench()
    for owner, kinds in (("ahead", []), ("left", []), ("protected", ["ADOperationException"])):
        device = bench.phone(owner)
        assert bench.run("Remove-MobileDevice", Identity=device.guid, Confirm=False).kinds == kinds
        assert bool(bench.mailbox(owner).devices) is bool(kinds)
    assert bench.run("Remove-MobileDevice", Identity="nothing", Confirm=False).kinds == [
        "ManagementObjectNotFoundException"
    ]


def test_the_old_names_do_not_reach_outlook() -> None:
    """Clear-ActiveSyncDevice and Remove-ActiveSyncDevice find what speaks ActiveSync."""
    bench = Bench()
    outlook = next(device for device in bench.organization.devices if device.handset.is_outlook)
    for cmdlet in ("Clear-ActiveSyncDevice", "Remove-ActiveSyncDevice", "Get-ActiveSyncDeviceStatistics"):
        rest = {} if cmdlet.startswith("Get") else {"Confirm": False}
        said = bench.run(cmdlet, Identity=outlook.guid, **rest)
        assert said.kinds == ["ManagementObjectNotFoundException"]
    native = bench.phone("ahead")
    bench.run("Remove-ActiveSyncDevice", Identity=native.guid, Confirm=False)
    assert bench.mailbox("ahead").devices == []
