"""Seeded organizations and the stories told of them."""

import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from gatepost.lab.access import RuleBook, Verdict, decide
from gatepost.lab.names import canonical_part, dn_part
from gatepost.lab.organization import Organization, ticks_now
from gatepost.lab.rows import ON_PREMISES, TICKS
from gatepost.lab.scenario import Story
from gatepost.lab.seeding import Seeder, fill, make_organization


def facts(organization: Organization) -> list[tuple[object, ...]]:
    """All that tells two organizations apart."""
    return [
        (device.guid, device.identity, device.handset, device.state, device.changed, device.mailbox.allowed)
        for device in organization.devices
    ]


def test_the_same_seed_gives_the_same_organization() -> None:
    """Down to the last guid; another seed gives another."""
    assert facts(make_organization(200, 7)) == facts(make_organization(200, 7))
    assert facts(make_organization(200, 7)) != facts(make_organization(200, 8))


@pytest.mark.parametrize("devices", [0, 1, 35, 300])
def test_an_organization_has_exactly_so_many_devices(devices: int) -> None:
    """Also fewer than there are oddities."""
    assert len(make_organization(devices).devices) == devices


def test_an_organization_holds_what_real_ones_do() -> None:
    """Every kind of mailbox, phones of every line, and the oddities that break careless clients."""
    organization = make_organization(300)
    devices = organization.devices
    kinds = {box.kind for box in organization.mailboxes}
    assert kinds >= ON_PREMISES | {"RemoteUserMailbox", "DisabledUser", "User"}
    types = {device.handset.device_type for device in devices}
    assert types >= {"iPhone", "iPad", "SamsungDevice", "Android", "Outlook", "WindowsMail"}
    assert {device.handset.client_type for device in devices} == {"EAS", "REST", "Outlook"}
    ids = Counter(device.device_id for device in devices)
    assert max(ids.values()) == 2
    assert any(len(device_id) == 64 for device_id in ids)
    assert max(len(box.devices) for box in organization.mailboxes) >= 12
    assert any("\\/" in device.identity for device in devices)
    assert any("😀" in (device.friendly_name or "") for device in devices)
    assert any("\x07" in (device.handset.os or "") for device in devices)
    assert {"", None} <= {device.friendly_name for device in devices}
    assert any(box.allowed and box.blocked for box in organization.mailboxes)


def test_names_are_unique_within_the_organization() -> None:
    """No two mailboxes share a distinguished name, and no two devices."""
    organization = make_organization(3_000)
    assert len({box.dn for box in organization.mailboxes}) == len(organization.mailboxes)
    assert len({device.dn for device in organization.devices}) == 3_000


def test_rows_are_small() -> None:
    """Half a million devices fit: less than 1.5 kB for each with its mailbox."""
    tracemalloc.start()
    organization = make_organization(5_000)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(organization.devices) == 5_000
    assert size / 5_000 < 1_500


@pytest.mark.parametrize(
    ("name", "dn", "canonical"),
    [
        ("Anna", "Anna", "Anna"),
        ("R/D", "R/D", "R\\/D"),
        ("Jansen, Piet", "Jansen\\, Piet", "Jansen, Piet"),
        ("a\\b", "a\\\\b", "a\\\\b"),
        ("#1", "\\#1", "#1"),
        (" x ", "\\ x\\ ", " x "),
        ("a\nb", "a\\0Ab", "a\nb"),
        ('<"x">;=+', '\\<\\"x\\"\\>\\;\\=\\+', '<"x">;=+'),
    ],
)
def test_names_are_quoted_as_the_directory_quotes_them(name: str, dn: str, canonical: str) -> None:
    """RFC 4514 in distinguished names, a backslash before slashes in canonical ones."""
    assert (dn_part(name), canonical_part(name)) == (dn, canonical)


def test_things_are_found_by_every_name_they_have() -> None:
    """Mailboxes and devices, without regard to case."""
    organization = make_organization(100)
    for device in organization.devices:
        box = device.mailbox
        for name in (device.guid, device.dn, device.identity, device.short_identity):
            assert organization.find_device(name.upper()) is device
        for name in (box.guid, box.dn, box.identity, box.upn, f"{box.domain.netbios}\\{box.alias}", box.alias):
            assert organization.find_mailbox(name.upper()) is box
    assert organization.find_device("nothing") is None
    assert organization.find_mailbox("nothing") is None


def test_a_story_is_seeded_and_stamps_what_it_changes() -> None:
    """The same seed tells the same; each change carries the time at which it was made."""
    told = []
    for _ in range(2):
        seeder = fill(Seeder(3, "2019"), 60)
        story = Story(seeder.organization, seeder, 3, 0.0)
        before = {device.guid: device.changed for device in seeder.organization.devices}
        start = ticks_now()
        told.append([story.step() for _ in range(200)])
        touched = [d for d in seeder.organization.devices if before.get(d.guid) != d.changed]
        assert touched
        assert all(start <= device.changed <= ticks_now() for device in touched)
    assert told[0] == told[1]
    assert {line.split()[-1] for line in told[0]} >= {
        "appears", "anew", "moves", "allowed", "blocked", "unlisted", "gone",
    }  # fmt: skip


def test_stories_go_through_the_engine() -> None:
    """When all phones have talked, each that does has the state that the engine gives it."""
    seeder = fill(Seeder(5, "2019"), 100)
    organization = seeder.organization
    organization.forest.replication = 600
    organization.phones.effect = 30
    story = Story(organization, seeder, 5, 0.0)
    for _ in range(300):
        story.step()
    organization.finish()
    assert organization.forest.quiet
    assert_judged(organization)
    reasons = {device.reason for device in organization.devices}
    assert reasons >= {"Individual", "DeviceRule", "Global"}


def assert_judged(organization: Organization) -> None:
    """Every state is the engine's, but of partnerships that are stale, of silent phones and those still unknown."""
    book = RuleBook.of(organization.forest.configuration)
    silent = organization.phones.silent
    judged = 0
    for device in organization.devices:
        if device.mailbox.kind in ON_PREMISES and device.mailbox.enabled and device.guid not in silent:
            verdict = decide(device.mailbox, device.device_id, device.handset, book)
            assert verdict == Verdict(device.state, device.reason, device.rule), device.identity
            judged += 1
    assert judged > len(organization.devices) / 2


def test_seeded_states_are_those_of_the_engine() -> None:
    """Lists, rules, a policy and the default gave them; some phones are silent, some in discovery for ever."""
    organization = make_organization(2_000)
    assert_judged(organization)
    found = Counter((device.state, device.reason) for device in organization.devices)
    assert found.keys() >= {
        ("Allowed", "Global"), ("Allowed", "Individual"), ("Allowed", "DeviceRule"), ("Blocked", "Individual"),
        ("Blocked", "DeviceRule"), ("Blocked", "Policy"), ("Quarantined", "DeviceRule"), ("DeviceDiscovery", "Global"),
        ("Unknown", "Unknown"),
    }  # fmt: skip
    assert found["Allowed", "Global"] > 1_400
    rules = {rule.name: rule for rule in organization.view().rules}
    assert {device.rule for device in organization.devices} - {None} <= rules.keys()
    assert {policy.name: policy.is_default for policy in organization.view().policies} == {
        "Default": True, "Strict": False,
    }  # fmt: skip


def test_a_story_goes_on_where_it_was(tmp_path: Path) -> None:
    """A lab that starts again on its folder has the devices, states and times that it had."""
    journal = tmp_path / "story"
    seeder = fill(Seeder(3, "2019"), 60)
    story = Story(seeder.organization, seeder, 3, 0.001, journal)
    story.start()
    end = time.monotonic() + 20
    while not journal.exists() or len(journal.read_text().split()) < 100:
        assert time.monotonic() < end
        time.sleep(0.005)
    story.stop()
    later = ticks_now() + 10 * TICKS
    seeder.organization.clock = lambda: later
    again = fill(Seeder(3, "2019"), 60)
    again.organization.clock = lambda: later
    Story(again.organization, again, 3, 0.001, journal).replay()
    assert facts(again.organization) == facts(seeder.organization)
    assert facts(again.organization) != facts(fill(Seeder(3, "2019"), 60).organization)


def test_a_story_runs_beside_readers() -> None:
    """Listings go on while rows come and go, and it ends when it is told to."""
    seeder = fill(Seeder(3, "2019"), 200)
    organization = seeder.organization
    story = Story(organization, seeder, 3, 0.0001)
    changed = threading.Event()
    story.start()
    try:
        first = {device.guid for device in organization.devices}
        while {device.guid for device in organization.devices} == first:
            assert not changed.wait(0.001)
    finally:
        story.stop()
    after = facts(organization)
    assert facts(organization) == after


def test_an_empty_organization_fills_by_its_story() -> None:
    """A story has phones appear where there is nobody yet."""
    seeder = fill(Seeder(1, "2019"), 0)
    story = Story(seeder.organization, seeder, 1, 0.0)
    assert story.step().endswith("appears")
    assert len(seeder.organization.devices) == 1
