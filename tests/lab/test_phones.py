"""Phones: what Exchange records of them, and when."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatepost.errors import SettingsError
from gatepost.lab.organization import Organization
from gatepost.lab.rows import TICKS, AccessRule, Device, Mailbox, Wipe
from gatepost.lab.seeding import START, Seeder, fill
from gatepost.lab.server import Lab
from gatepost.settings import LabSettings
from tests.lab.bench import Bench

EFFECT, DELAY = 15, 60


@pytest.mark.parametrize(("seconds", "synchronised"), [(0, False), (30, False), (3_600, True)])
def test_statistics_tell_nothing_of_the_future(seconds: int, synchronised: bool) -> None:
    """A phone's last synchronisation follows its last change, and is in the statistics once it has been."""
    bench = Bench()
    device = bench.phone("ahead")
    changed = device.changed
    bench.organization.clock = lambda: changed + seconds * TICKS
    [found] = bench.run("Get-MobileDevice", Identity=device.guid).rows
    [row] = bench.run("Get-MobileDeviceStatistics", Identity=device.guid).rows
    for name in ("LastSyncAttemptTime", "LastSuccessSync"):
        last = datetime.fromisoformat(row[name])
        since = last - datetime.fromisoformat(found["WhenChangedUTC"])
        assert timedelta(0) <= since <= timedelta(seconds=seconds)
        assert (since > timedelta(0)) is synchronised


class World:
    """An organization whose time the test moves; phones talk 15 s after a change that concerns them."""

    def __init__(self, replication: float = 0.0) -> None:
        self.seeder = fill(Seeder(1, "2019"), 300)
        self.organization: Organization = self.seeder.organization
        self.now = START
        self.organization.clock = lambda: self.now
        self.organization.phones.effect = EFFECT
        self.organization.forest.replication = replication
        self.device = next(
            device
            for device in self.organization.devices
            if device.state == "Allowed" and device.reason == "Global" and device.mailbox.domain.name == "lab.example"
            if device.handset.device_type == "iPhone" and device.handset.os == "iOS 17.6.1 21G93"
            if device.mailbox.kind == "UserMailbox" and len(device.mailbox.devices) == 1
        )
        self.box: Mailbox = self.device.mailbox

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * TICKS)

    def state(self, device: Device | None = None, controller: str | None = None) -> tuple[str, str]:
        """What a controller has recorded of a device."""
        found = self.organization.view(controller).find_device((device or self.device).guid)
        assert found is not None
        return found.state, found.reason

    def rule(self, level: str, characteristic: str, query: str) -> None:
        """Make a rule."""
        self.organization.view().add_rule(AccessRule(f"{query} ({characteristic})", query, characteristic, level))


@pytest.fixture
def world() -> World:
    """Without a delay between controllers."""
    return World()


ALLOWED, LISTED_ALLOWED, LISTED = ("Allowed", "Global"), ("Allowed", "Individual"), ("Blocked", "Individual")


def test_a_list_entry_takes_effect_when_the_phone_talks(world: World) -> None:
    """The mailbox shows it at once, the device fifteen seconds later, stamped with that time."""
    world.organization.view().change_mailbox(world.box, blocked=(world.device.device_id,))
    world.pass_by(EFFECT - 0.1)
    assert world.state() == ALLOWED
    assert world.device.changed < START
    world.pass_by(100)
    assert world.state() == LISTED
    assert world.device.changed == START + EFFECT * TICKS
    world.organization.view().change_mailbox(world.box, blocked=(), allowed=(world.device.device_id.lower(),))
    world.pass_by(EFFECT)
    assert world.state() == LISTED_ALLOWED
    world.organization.view().change_mailbox(world.box, allowed=())
    world.pass_by(EFFECT)
    assert world.state() == ALLOWED


def test_the_phone_asks_the_controller_of_its_server() -> None:
    """An entry written at another controller has to arrive there first, and the state has to come back."""
    world = World(replication=DELAY)
    world.organization.view("dc2.lab.example").change_mailbox(world.box, blocked=(world.device.device_id,))
    world.pass_by(DELAY + EFFECT - 0.1)
    assert world.state() == ALLOWED
    world.pass_by(0.1)
    assert world.state() == LISTED
    assert world.state(controller="dc2.lab.example") == ALLOWED
    world.pass_by(DELAY)
    assert world.state(controller="dc2.lab.example") == LISTED


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"replication": 901.0}, "replication is 901 s. Use a time from 0 to 900 s."),
        ({"replication": -1.0}, "replication is -1 s. Use a time from 0 to 900 s."),
        ({"effect": -0.5}, "effect is -0.5 s. Use a time from 0 to 86400 s."),
        ({"effect": float("inf")}, "effect is inf s. Use a time from 0 to 86400 s."),
    ],
)
def test_delays_that_no_forest_has_are_refused(wrong: dict[str, Any], message: str) -> None:
    """With the value, and what is possible."""
    with pytest.raises(SettingsError) as caught:
        LabSettings(**wrong)
    assert str(caught.value) == message


def test_a_lab_has_the_delays_of_its_settings() -> None:
    """Fifteen seconds of effect and no replication unless told otherwise; in 2010 a blocked phone fetches no wipe."""
    plain = Lab(LabSettings(devices=1)).organization
    assert (plain.forest.replication, plain.phones.effect, plain.phones.blocked_fetch) == (0, 15, True)
    slow = Lab(LabSettings(devices=1, replication=900, effect=0, profile="2010sp1")).organization
    assert (slow.forest.replication, slow.phones.effect, slow.phones.blocked_fetch) == (900, 0, False)


def test_a_phone_talks_once_for_a_change() -> None:
    """When its own server has it, and not again when the others have."""
    world = World(replication=DELAY)
    world.organization.view().change_mailbox(world.box, blocked=(world.device.device_id,))
    world.pass_by(EFFECT)
    assert world.state() == LISTED
    world.organization.view().change_device(world.device, state="Quarantined")
    world.pass_by(10 * DELAY)
    assert world.state() == ("Quarantined", "Individual")


def test_a_stale_partnership_keeps_its_state(world: World) -> None:
    """Its mailbox is not here any more: nobody talks for it."""
    moved = next(box for box in world.organization.mailboxes if box.kind == "RemoteUserMailbox")
    ids = tuple(device.device_id for device in moved.devices)
    world.organization.view().change_mailbox(moved, blocked=ids)
    world.pass_by(1_000)
    assert [world.state(device) for device in moved.devices] == [("Unknown", "Unknown")]


def test_without_an_effect_delay_the_state_follows_at_once(world: World) -> None:
    """The change itself returns when it has."""
    world.organization.phones.effect = 0
    world.organization.view().change_mailbox(world.box, blocked=(world.device.device_id,))
    assert (world.device.state, world.device.reason) == LISTED


def test_other_changes_wake_nobody(world: World) -> None:
    """A state that a test has set stays until something that the engine looks at changes."""
    world.organization.change_device(world.device, state="Quarantined", reason="Global")
    world.organization.view().change_mailbox(world.box, display_name="Somebody Else")
    world.organization.view().change_settings(user_insert="Hello")
    world.pass_by(1_000)
    assert world.state() == ("Quarantined", "Global")
    world.organization.view().change_mailbox(world.box, policy="Strict")
    world.pass_by(EFFECT)
    assert world.state() == ALLOWED


def test_rules_and_default_reach_every_phone(world: World) -> None:
    """All that talk and that nothing stronger covers; stale partnerships and silent phones keep what they had."""
    before = {device.guid: (device.state, device.reason) for device in world.organization.devices}
    world.rule("Quarantine", "DeviceType", "iPhone")
    world.pass_by(EFFECT)
    assert world.state() == ("Quarantined", "DeviceRule")
    world.organization.view("dc2.emea.lab.example").change_settings(default_level="Block")
    world.pass_by(EFFECT)
    kept = set()
    for device in world.organization.devices:
        after = (device.state, device.reason)
        if device.mailbox.kind in {"RemoteUserMailbox", "DisabledUser", "User"} or not device.mailbox.enabled:
            assert after == before[device.guid]
        elif after == before[device.guid]:
            kept.add(after)
        else:
            assert after in {("Blocked", "Global"), ("Quarantined", "DeviceRule")}
    assert kept >= {LISTED, LISTED_ALLOWED, ("Blocked", "DeviceRule"), ("DeviceDiscovery", "Global")}
    for rule in world.organization.view().rules:
        world.organization.view().remove_rule(rule)
    world.organization.view().change_settings(default_level="Allow")
    world.pass_by(EFFECT)
    assert world.state() == ALLOWED


@pytest.mark.parametrize(
    ("level", "state", "updated"), [("Block", "Blocked", "Blocked"), ("Quarantine", "Quarantined", "Allowed")]
)
def test_an_update_frees_a_quarantined_phone_and_not_a_blocked_one(
    world: World, level: str, state: str, updated: str
) -> None:
    """Who is blocked is refused before it can tell what it is now; when it is let in again, it tells."""
    old = world.device.handset
    newer = replace(old, os="iOS 18.2 22C152")
    world.rule(level, "DeviceOS", old.os or "")
    world.pass_by(EFFECT)
    assert world.state() == (state, "DeviceRule")
    world.organization.update(world.device, newer)
    assert world.state()[0] == updated
    assert (world.device.handset == newer) is (updated == "Allowed")
    world.organization.view().change_mailbox(world.box, allowed=(world.device.device_id,))
    world.pass_by(EFFECT)
    assert world.state() == LISTED_ALLOWED
    assert world.device.handset == newer


def test_a_new_phone_is_in_discovery_until_it_is_known(world: World) -> None:
    """Its model and system are missing, then rules on them apply, whatever the default is."""
    world.organization.view().change_settings(default_level="Block")
    world.rule("Allow", "DeviceModel", world.device.handset.model or "")
    world.pass_by(EFFECT)
    new = world.seeder.new_device(world.box)
    new.handset = world.device.handset
    world.organization.appear(new, 40)
    assert world.state(new) == ("DeviceDiscovery", "Global")
    world.pass_by(39)
    found = world.organization.find_device(new.identity)
    assert found is not None
    assert (found.handset.model, found.handset.os, found.handset.device_type) == (None, None, "iPhone")
    assert [device.guid for device in world.box.devices] == [world.device.guid, new.guid]
    world.pass_by(1)
    assert world.state(new) == ("Allowed", "DeviceRule")
    assert new.handset == world.device.handset


def test_a_new_phone_is_known_elsewhere_later() -> None:
    """The other controllers hear of the partnership after the delay, and stamp it then."""
    world = World(replication=DELAY)
    new = world.seeder.new_device(world.box)
    world.organization.appear(new, 10 * DELAY)
    seen = [world.organization.view(name).find_device(new.guid) for name in world.organization.controllers]
    assert [found and found.changed for found in seen] == [START, None, None, None]
    world.pass_by(DELAY)
    seen = [world.organization.view(name).find_device(new.guid) for name in world.organization.controllers]
    assert [found and found.changed for found in seen] == [START, *(START + DELAY * TICKS,) * 3]


@pytest.mark.parametrize(("field", "state"), [("allowed", "Allowed"), ("blocked", "Blocked")])
def test_a_phone_that_is_listed_ahead_needs_no_discovery(world: World, field: str, state: str) -> None:
    """Its id is enough."""
    new = world.seeder.new_device(world.box)
    world.organization.view().change_mailbox(world.box, **{field: (new.device_id,)})
    world.organization.appear(new, 840)
    assert world.state(new) == (state, "Individual")


def test_after_a_move_a_phone_is_let_in_until_it_is_known_again(world: World) -> None:
    """For a while the reason is the upgrade, except for who is listed."""
    world.rule("Block", "DeviceType", "iPhone")
    world.pass_by(EFFECT)
    world.organization.move(world.box, "EX2", 100)
    assert world.state() == ("Allowed", "Upgrade")
    assert world.box.server == "EX2"
    world.organization.view().change_mailbox(world.box, blocked=(world.device.device_id,))
    world.pass_by(EFFECT)
    assert world.state() == LISTED
    world.organization.view().change_mailbox(world.box, blocked=())
    world.pass_by(EFFECT)
    assert world.state() == ("Allowed", "Upgrade")
    world.pass_by(100)
    assert world.state() == ("Blocked", "DeviceRule")


def test_a_phone_may_be_blocked_for_its_behaviour_though_it_is_allowed(world: World) -> None:
    """For a while; then its entry counts again."""
    world.organization.view().change_mailbox(world.box, allowed=(world.device.device_id,))
    world.pass_by(EFFECT)
    world.organization.misbehave(world.device, "RecentCommands", 600)
    assert world.state() == ("Blocked", "RecentCommands")
    world.pass_by(599)
    assert world.state() == ("Blocked", "RecentCommands")
    world.pass_by(1)
    assert world.state() == LISTED_ALLOWED


def test_a_mailbox_without_activesync_freezes_what_is_recorded(world: World) -> None:
    """Its phones are refused before anything is written; switched on again, they are judged."""
    world.organization.view().change_mailbox(world.box, enabled=False, blocked=(world.device.device_id,))
    world.pass_by(1_000)
    assert world.state() == ALLOWED
    world.organization.view().change_mailbox(world.box, enabled=True)
    world.pass_by(EFFECT)
    assert world.state() == LISTED


def test_a_silent_phone_keeps_its_state(world: World) -> None:
    """It never talks again, whatever the lists say."""
    world.organization.silence(world.device)
    world.organization.view().change_mailbox(world.box, blocked=(world.device.device_id,))
    world.pass_by(1_000_000)
    assert world.state() == ALLOWED


def test_a_state_may_be_unknown_until_the_phone_talks(world: World) -> None:
    """A behaviour that Exchange may have, switched on for this test."""
    world.organization.phones.unknown_meanwhile = True
    world.organization.view().change_mailbox(world.box, blocked=(world.device.device_id,))
    assert world.state() == ("Unknown", "Unknown")
    world.pass_by(EFFECT)
    assert world.state() == LISTED


def test_a_phone_fetches_its_wipe_and_then_confirms_it() -> None:
    """One talk for each; the times stand in the mailbox, so every controller has them and no stamp moves."""
    world = World(replication=DELAY)
    view, changed = world.organization.view("dc2.lab.example"), world.device.changed
    view.change_device(world.device, wipe=Wipe(world.now, "LAB\\admin"))
    wipes = []
    for _ in range(4):
        found = world.organization.view("dc1.emea.lab.example").find_device(world.device.guid)
        assert found is not None
        assert found.changed == changed
        wipes.append(found.wipe)
        world.pass_by(EFFECT)
    ordered = Wipe(START, "LAB\\admin")
    sent = replace(ordered, sent=START + EFFECT * TICKS)
    done = replace(sent, acknowledged=START + 2 * EFFECT * TICKS)
    assert wipes == [ordered, sent, done, done]


def test_a_wipe_that_was_taken_back_in_time_never_happens(world: World) -> None:
    """And an account-only wipe goes the same way as a whole one."""
    view = world.organization.view()
    view.change_device(world.device, wipe=Wipe(world.now, "a"), account_wipe=Wipe(world.now, "b"))
    world.pass_by(EFFECT - 1)
    view.change_device(world.device, wipe=None)
    world.pass_by(EFFECT * 3)
    assert world.state() == ALLOWED
    assert world.device.wipe is None
    assert world.device.account_wipe is not None
    assert world.device.account_wipe.acknowledged is not None


@pytest.mark.parametrize(("fetches", "sent"), [(True, True), (False, False)])
def test_a_blocked_phone_may_never_fetch_its_wipe(world: World, fetches: bool, sent: bool) -> None:
    """In Exchange 2010 it does not come far enough; once the block is lifted it does."""
    world.organization.phones.blocked_fetch = fetches
    view = world.organization.view()
    view.change_mailbox(world.box, blocked=(world.device.device_id,))
    world.pass_by(EFFECT)
    view.change_device(world.device, wipe=Wipe(world.now, "a"))
    world.pass_by(EFFECT)
    found = world.organization.devices[world.organization.devices.index(world.device)]
    assert (found.wipe is not None and found.wipe.sent is not None) is sent
    view.change_mailbox(world.box, blocked=())
    world.pass_by(EFFECT * 2)
    assert world.state() == ALLOWED
    assert world.device.wipe is not None
    assert world.device.wipe.sent is not None
