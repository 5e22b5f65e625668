"""What changed since a moment, kinds of mailboxes, statistics of many, and what an account may: against the lab."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatepost.domain.devices import AccessChange, Device, Mailbox, Statistics
from gatepost.errors import CmdletFailed, CmdletNotGranted
from gatepost.exchange import cmdlets, listing
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import DIALECTS
from gatepost.lab.roles import ROLES
from gatepost.lab.rows import ON_PREMISES, TICKS
from gatepost.lab.server import Lab
from tests.exchange.conftest import settings_of
from tests.exchange.site import KINDS, Site
from tests.fixtures.lab import MakeLab

Connect = Callable[..., Organization]


def guids(found: Iterator[Any]) -> set[str]:
    """The guids of what was listed; everything must be readable."""
    rows = list(found)
    assert all(isinstance(row, Device | Mailbox) for row in rows), rows
    return {row.guid for row in rows}


def change_some(lab: Lab) -> tuple[datetime, set[str], set[str]]:
    """Change three devices and two mailboxes; since when, and the guids of both by the pinned controller's stamps."""
    since = datetime.now(UTC) - timedelta(seconds=2)
    organization = lab.organization
    for device in organization.devices[:3]:
        organization.change_device(device, friendly_name="Anew")
    for box in [box for box in organization.mailboxes if box.kind in ON_PREMISES][5:7]:
        organization.change_mailbox(box, blocked=("NEW",))
    limit = int(since.timestamp()) * TICKS
    devices = {device.guid for device in organization.devices if device.changed >= limit}
    boxes = {box.guid for box in organization.mailboxes if box.changed >= limit and box.kind in ON_PREMISES}
    assert len(devices) >= 3
    assert len(boxes) >= 2
    return since, devices, boxes


@pytest.mark.parametrize("profile", ["2010sp1", "2019"])
def test_what_changed_is_filtered_by_exchange(make_lab: MakeLab, connect: Connect, profile: str) -> None:
    """Where a filter on times is shown to work, a listing of changes is one call for devices and one for lists."""
    lab = make_lab(profile=profile)
    with connect(lab) as organization:
        here = Site(lab, organization)
        native = {device.guid for device in lab.organization.devices if not device.handset.is_outlook}
        since, devices, boxes = change_some(lab)
        expected = devices & native if here.is_old else devices
        for _ in range(2):
            with here.calls() as calls:
                assert guids(organization.list_devices(since)) == expected
                assert guids(organization.list_mailboxes(since)) == boxes
    assert [call.cmdlet for call in calls] == [here.named("Get-MobileDevice"), "Get-Recipient", "Get-CASMailbox"]
    text = f"WhenChangedUTC -ge '{since:%Y-%m-%dT%H:%M:%SZ}'"
    assert [call.parameters.get("Filter") for call in calls] == [text, None, text]


@pytest.mark.parametrize("answer", ["refused", "ignored", "local"])
def test_what_changed_is_found_where_filters_do_not_work(make_lab: MakeLab, connect: Connect, answer: str) -> None:
    """A filter that is refused, ignored or read in another zone is not believed: times are listed and compared."""
    lab = make_lab(dialect=DIALECTS[f"time-filters-{answer}"])
    with connect(lab) as organization:
        since, devices, boxes = change_some(lab)
        guids(organization.list_devices(since))
        with Site(lab, organization).calls() as calls:
            assert guids(organization.list_devices(since)) == devices
            assert guids(organization.list_mailboxes(since)) == boxes
    assert not any("Filter" in call.parameters for call in calls if call.cmdlet == "Get-MobileDevice")
    asked = {call.parameters["Identity"] for call in calls if "Identity" in call.parameters}
    assert asked == devices | boxes


def test_without_projection_the_whole_listing_is_compared(make_lab: MakeLab, connect: Connect) -> None:
    """Where an endpoint neither filters nor projects, everything is read and only what changed is given out."""
    lab = make_lab(dialect=DIALECTS["time-filters-refused"], projection=False)
    with connect(lab) as organization:
        since, devices, boxes = change_some(lab)
        with Site(lab, organization).calls() as calls:
            assert guids(organization.list_devices(since)) == devices
            assert guids(organization.list_mailboxes(since)) == boxes
    assert not any("Identity" in call.parameters for call in calls)


def test_much_that_changed_is_one_listing(make_lab: MakeLab, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a limit on, one whole listing takes the place of a call for each."""
    monkeypatch.setattr(listing, "ONE_BY_ONE", 2)
    lab = make_lab(dialect=DIALECTS["time-filters-refused"])
    with connect(lab) as organization:
        since, devices, _ = change_some(lab)
        with Site(lab, organization).calls() as calls:
            assert guids(organization.list_devices(since)) == devices
    assert not any("Identity" in call.parameters for call in calls)


def test_nothing_is_older_than_the_first_day(make_lab: MakeLab, connect: Connect) -> None:
    """Since a moment before everything, everything has changed, filtered or not."""
    for dialect in ("plain", "time-filters-ignored"):
        lab = make_lab(devices=30, dialect=DIALECTS[dialect])
        with connect(lab) as organization:
            everything = guids(organization.list_devices())
            assert guids(organization.list_devices(datetime(1990, 1, 1, tzinfo=UTC))) == everything


def test_a_time_without_a_zone_is_a_mistake(connect: Connect, lab: Lab) -> None:
    """No filter is made of a time whose zone nobody knows."""
    with connect(lab) as organization, pytest.raises(ValueError, match="without a zone"):
        list(organization.list_devices(datetime(2026, 1, 1)))  # noqa: DTZ001 - the mistake


def test_kinds_cover_what_is_left_of_mailboxes(site: Site) -> None:
    """Linked, shared and room mailboxes, remote ones and disabled accounts are told by Guid; users are not."""
    boxes = site.lab.organization.mailboxes
    expected = {box.guid: KINDS[box.kind] for box in boxes if KINDS.get(box.kind) is not None}
    with site.calls() as calls:
        assert site.organization.kinds() == expected
    assert [call.cmdlet for call in calls] == ["Get-Recipient"]
    assert {entry.guid: entry.dn for entry in site.organization.recipients()} == {
        box.guid: box.dn for box in boxes if box.guid in expected
    }


def test_statistics_of_many_come_each_by_itself(site: Site) -> None:
    """Each device once, by its guid; one whose mailbox is elsewhere comes with its error and stops no other."""
    devices = [device for device in site.lab.organization.devices if not device.handset.is_outlook][:25]
    left = [device for device in site.lab.organization.devices if device.mailbox.kind not in ON_PREMISES]
    wanted = [device.guid for device in (*devices, *left)]
    with site.calls() as calls:
        found = dict(site.organization.statistics_of(wanted))
    assert set(found) == set(wanted)
    for device in devices:
        one = found[device.guid]
        assert isinstance(one, Statistics) is (device.mailbox.kind in ON_PREMISES)
        if isinstance(one, Statistics):
            assert one.guid == device.guid
    assert all(isinstance(found[device.guid], CmdletFailed) for device in left)
    assert {call.parameters["Identity"] for call in calls} == set(wanted)


def test_a_reading_of_nothing_is_never_sent(site: Site) -> None:
    """An identity that Exchange does not have never gives another object's answer."""
    box = site.mailbox()
    for guid in ("00000000-0000-0000-0000-000000000000", "*", "$null"):
        with pytest.raises(CmdletFailed) as caught:
            site.organization.statistics(guid)
        assert caught.value.not_found
        with pytest.raises(CmdletFailed) as caught:
            site.organization.read_access(guid, box.dn)
        assert caught.value.not_found


def test_the_domain_controllers_of_all_domains_are_known(site: Site) -> None:
    """Every server names those of its own domain, and one is pinned."""
    domains = site.lab.organization.domains
    known = {name for domain in domains for name in domain.controllers}
    assert set(site.organization.capabilities.controllers) == known
    assert site.organization.capabilities.domain_controller in known
    assert len({name.partition(".")[2] for name in known}) == len(domains) == 2


def test_a_domain_without_an_exchange_server_has_controllers_too(make_lab: MakeLab, connect: Connect) -> None:
    """The servers name them as global catalogs, and a mailbox there is written and read at one of them."""
    lab = make_lab()
    root, child = lab.organization.domains
    lab.organization.servers = tuple(server for server in lab.organization.servers if server.domain is root)
    with connect(lab) as organization:
        assert organization.capabilities.controllers == (*root.controllers, *child.controllers)
        box = Site(lab, organization).mailbox(1)
        lists = organization.set_access(box.guid, box.dn, AccessChange(allow=("X",)), lambda: None)
    assert (lists.allowed, lists.controller) == (("X",), child.controllers[0])


def test_a_preferred_controller_comes_first(make_lab: MakeLab, connect: Connect) -> None:
    """The settings' controller is pinned and used for its domain; one that Exchange does not know is passed over."""
    lab = make_lab()
    box = next(box for box in lab.organization.mailboxes if box.kind == "UserMailbox")
    second = box.domain.controllers[1]
    with connect(lab, controllers=("dc9.nowhere.example", second)) as organization:
        assert organization.capabilities.domain_controller == second
        assert organization.read_access(box.guid, box.dn).controller == second
    views = [call.parameters for call in lab.calls if call.cmdlet == "Set-ADServerSettings"]
    assert [view.get("PreferredServer") for view in views] == [None, "dc9.nowhere.example", second]


def test_an_account_that_may_everything_lacks_nothing(site: Site) -> None:
    """Every cmdlet of ours is granted under the name of this version, with all its parameters."""
    for grant in site.organization.grants():
        assert grant.granted == site.named(grant.cmdlet)
        lacks = ("AccountOnly",) if site.profile in {"2010sp1", "2013"} and grant.cmdlet == "Clear-MobileDevice" else ()
        assert tuple(name for name in grant.missing if name not in NEWER) == lacks


NEWER = frozenset({"AllowApplePushNotifications", "AllowMicrosoftPushNotifications", "AllowGooglePushNotifications",
                   "RequireManualSyncWhenRoaming"})  # fmt: skip
"""Settings that policies have had since 2013."""


def test_the_role_that_is_named_for_a_cmdlet_grants_it() -> None:
    """What the guide and the command line tell an administrator is what the lab's roles say."""
    for cmdlet in cmdlets.EXCHANGE:
        assert cmdlet.name in ROLES[cmdlet.role], cmdlet.name


def test_an_account_that_reads_is_told_what_it_lacks(make_lab: MakeLab, connect: Connect) -> None:
    """Each write is not granted, each read is; a role without the view of the forest ends in words."""
    with connect(make_lab(roles=("View-Only Recipients", "View-Only Configuration"))) as organization:
        found = organization.grants()
    assert {grant.writes for grant in found if grant.granted} == {False}
    assert {grant.writes for grant in found if not grant.granted} == {True}
    with (
        pytest.raises(CmdletNotGranted, match="Get-CASMailbox"),
        connect(make_lab(roles=("Exchange Servers",))),
    ):
        pass


@pytest.mark.parametrize(
    ("dialect", "profile"),
    [("plain", "2019"), ("own-budget", "2019"), ("organization-budget", "2019"), ("own-budget", "2010sp1")],
)
def test_the_accounts_budget_is_read(make_lab: MakeLab, dialect: str, profile: str) -> None:
    """Its own policy bounds the sessions that are opened, else the organization's, whatever the settings want."""
    lab = make_lab(max_shells=5, dialect=DIALECTS[dialect], profile=profile)
    with Organization.connect(settings_of(lab, runspaces=6), lab.password) as organization:
        wanted = [device.guid for device in lab.organization.devices]
        assert len(dict(organization.statistics_of(wanted))) == len(wanted)
    assert len({call.shell for call in lab.calls}) <= 2
