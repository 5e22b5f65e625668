"""Quick synchronisations: what changed at one controller since its watermark, from two controllers that disagree."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost.connector.agent import Agent, Scope
from gatepost.connector.inventory import Report
from gatepost.connector.stopping import Stopped
from gatepost.domain.devices import Capabilities, Device, Mailbox, MailboxKind, OrganizationSettings, Recipient
from gatepost.domain.settings import AccessRule
from gatepost.errors import CmdletNotGranted, ExchangeUnreachable
from gatepost.lab.dialects import DIALECTS
from gatepost.lab.rows import ON_PREMISES, TICKS
from gatepost.lab.seeding import START
from tests.connector.test_inventory import device, mailbox, orphans
from tests.fixtures.site import MakeSite, Site

BULK = {"Get-MobileDevice", "Get-CASMailbox"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def since(site: Site, call: int) -> list[str]:
    """What kinds of change were asked for, from so many cmdlets on."""
    calls = site.lab.calls[call:]
    return [each.cmdlet for each in calls if str(each.parameters.get("Filter", "")).startswith("WhenChangedUTC")]


def cmdlets(site: Site, call: int) -> list[str]:
    """The cmdlets that were run, from so many on; projecting is a part of them."""
    return [each.cmdlet for each in site.lab.calls[call:] if each.cmdlet != "Select-Object"]


def change(site: Site) -> tuple[str, str]:
    """A device is blocked and a mailbox gets an entry, at their own controllers; their guids."""
    organization = site.lab.organization
    changed = next(each for each in organization.devices if each.state == "Allowed")
    owner = changed.mailbox
    organization.change_device(changed, state="Blocked", reason="Individual")
    organization.change_mailbox(owner, blocked=(changed.device_id,))
    return changed.guid, owner.guid


def test_a_quick_sync_asks_for_what_changed_since_the_watermark(site: Site) -> None:
    """One filtered listing of each kind, a handful of cmdlets in all, and the database is as Exchange."""
    site.synchronise()
    before = len(site.lab.calls)
    changed = change(site)
    report = site.synchronise(Scope.QUICK)
    assert (report.scope, report.state, report.devices) == (Scope.QUICK, "sealed", 80)
    assert (report.sent_devices, report.sent_mailboxes) == (1, 1)
    assert set(since(site, before)) == BULK
    assert len(cmdlets(site, before)) < 20
    assert site.devices()[changed[0]]["access_state"] == "Blocked"
    assert site.differences() == []
    with Agent(site.settings, patience=10) as agent:
        agent.sync(Scope.QUICK)
        opened = len(site.lab.calls)
        agent.sync(Scope.QUICK)
    assert len(cmdlets(site, opened)) == 5, "settings, rules, kinds, mailboxes and devices"


def test_another_controller_is_compared_as_a_whole(make_site: MakeSite) -> None:
    """Its stamps are its own, so the watermark of the first says nothing; from then on it has one."""
    site = make_site(devices=60).enrol()
    first, second = site.lab.organization.domains[0].controllers
    site.at(first).synchronise()
    change(site)
    before = len(site.lab.calls)
    assert site.at(second).synchronise(Scope.QUICK).sent_devices == 1
    assert since(site, before) == []
    assert site.differences() == []
    change(site)
    before = len(site.lab.calls)
    assert site.at(second).synchronise(Scope.QUICK).sent_devices == 1
    assert set(since(site, before)) == BULK
    assert site.differences() == []


@pytest.mark.parametrize("dialect", ["time-filters-refused", "time-filters-ignored", "time-filters-local"])
def test_where_changes_cannot_be_filtered_they_are_found_all_the_same(make_site: MakeSite, dialect: str) -> None:
    """A filter that is refused, ignored or misread is not used, and nothing is lost by it."""
    site = make_site(devices=60, dialect=DIALECTS[dialect]).enrol()
    site.synchronise()
    change(site)
    report = site.synchronise(Scope.QUICK)
    assert (report.scope, report.sent_devices, report.sent_mailboxes) == (Scope.QUICK, 1, 1)
    assert site.differences() == []


@pytest.mark.parametrize("days", [-1, 1])
def test_no_clock_of_this_host_is_asked(make_site: MakeSite, days: int) -> None:
    """Exchange's clock may be a day off: watermarks are its own stamps."""
    site = make_site(devices=60).enrol()
    organization = site.lab.organization
    clock = organization.clock
    organization.clock = lambda: clock() + days * 86_400 * TICKS
    change(site)
    site.synchronise()
    for _ in range(2):
        change(site)
        assert site.synchronise(Scope.QUICK).sent_devices == 1
        assert site.differences() == []


# -- an organization whose listings a test writes --------------------------------------------------------------------


class Scripted:
    """Listings by kind; ``asked`` has what was asked for. ``trouble`` befalls the next listing of devices, once."""

    def __init__(self, controller: str = "dc1.example.com") -> None:
        self.capabilities = Capabilities("server", None, controller, False, "Get-MobileDevice", None)
        self.mailboxes: Sequence[Mailbox] = ()
        self.devices: Sequence[Device] = ()
        self.elsewhere: Sequence[Recipient] = ()
        self.trouble: Exception | None = None
        self.asked: list[tuple[str, datetime | None]] = []

    def list_mailboxes(self, changed_since: datetime | None = None) -> Iterator[Mailbox]:
        """Those that changed since."""
        self.asked.append(("mailboxes", changed_since))
        return (each for each in self.mailboxes if _is_new(each.changed_at, changed_since))

    def list_devices(self, changed_since: datetime | None = None) -> Iterator[Device]:
        """Those that changed since, until there is trouble behind the first."""
        self.asked.append(("devices", changed_since))
        for each in self.devices:
            if _is_new(each.changed_at, changed_since):
                yield each
            if self.trouble is not None:
                trouble, self.trouble = self.trouble, None
                raise trouble

    def recipients(self) -> Sequence[Recipient]:
        """Mailboxes elsewhere."""
        self.asked.append(("recipients", None))
        return self.elsewhere

    def settings(self) -> OrganizationSettings:
        """Settings."""
        return OrganizationSettings("Allow")

    def rules(self) -> Sequence[AccessRule]:
        """Rules that this account may not read."""
        raise CmdletNotGranted("Get-ActiveSyncDeviceAccessRule")


def _is_new(changed: datetime | None, changed_since: datetime | None) -> bool:
    return changed_since is None or changed is None or changed >= changed_since


def take(site: Site, source: Scripted, scope: Scope = Scope.QUICK) -> Report:
    """One synchronisation of what a test wrote."""
    source.asked.clear()
    with Agent(site.settings, patience=5) as agent:
        return agent._inventory.run(source, scope)


def scripted(count: int = 3) -> Scripted:
    """So many mailboxes with a device each, changed at noon."""
    source = Scripted()
    source.mailboxes = [mailbox(n, dn=f"CN=M{n}", changed_at=NOON) for n in range(1, count + 1)]
    source.devices = [device(1_000 + n, mailbox_dn=f"CN=M{n}", changed_at=NOON) for n in range(1, count + 1)]
    return source


def test_the_watermark_is_the_latest_time_seen_less_the_overlap(site: Site) -> None:
    """It is kept for each kind, rises with what is seen, and never falls."""
    source = scripted()
    take(site, source, Scope.FULL)
    source.devices = [*source.devices, device(1_009, mailbox_dn="CN=M1", changed_at=NOON + timedelta(hours=1))]
    take(site, source)
    overlap = timedelta(seconds=900)
    assert source.asked == [("mailboxes", NOON - overlap), ("devices", NOON - overlap)]
    source.devices = []
    for _ in range(2):
        take(site, source)
        assert source.asked == [("mailboxes", NOON - overlap), ("devices", NOON + timedelta(hours=1) - overlap)]
    assert len(site.devices()) == 4


def test_a_stamp_from_the_far_future_does_not_blind_it(site: Site) -> None:
    """An object that says it changed in 2099 is told, and the watermark is taken from the others."""
    source = scripted()
    source.devices = [*source.devices, device(1_009, changed_at=datetime(2099, 1, 1, tzinfo=UTC))]
    take(site, source, Scope.FULL)
    take(site, source)
    assert source.asked[1] == ("devices", NOON - timedelta(seconds=900))
    assert len(site.devices()) == 4


def test_a_delta_in_which_many_lose_their_owner_is_listed_anew_as_a_whole(site: Site) -> None:
    """The service's guard sees a full one before a row is told, and holds it."""
    source = scripted(100)
    take(site, source, Scope.FULL)
    later = NOON + timedelta(hours=1)
    source.devices = [each._replace(mailbox_dn="CN=Nobody", changed_at=later) for each in source.devices]
    report = take(site, source)
    assert [kind for kind, _ in source.asked if kind != "recipients"] == ["mailboxes", "devices"] * 2
    assert (report.scope, report.state, orphans(site)) == (Scope.FULL, "held", 0)
    assert "would lose their mailbox" in report.why


def test_a_listing_that_ended_well_is_not_listed_again(site: Site) -> None:
    """Exchange went away while devices were listed: mailboxes are whole, and devices begin again.

    What changed since the mailboxes were listed is asked for behind that.
    """
    source = scripted()
    source.trouble = ExchangeUnreachable("It is away.", server="ex1")
    with pytest.raises(ExchangeUnreachable):
        take(site, source, Scope.FULL)
    source.devices = source.devices[1:]
    assert take(site, source, Scope.FULL).state == "sealed"
    assert source.asked[0] == ("devices", None)
    assert [kind for kind, since in source.asked[1:] if since] == ["mailboxes", "devices"]
    assert (len(site.mailboxes()), len(site.devices())) == (3, 2), "the first device went meanwhile"
    source.trouble = ExchangeUnreachable("It is away.", server="ex1")
    with suppress(ExchangeUnreachable):
        take(site, source, Scope.FULL)
    source.capabilities = Scripted("dc2.example.com").capabilities
    take(site, source, Scope.FULL)
    assert source.asked == [("mailboxes", None), ("devices", None)], "another controller has lists of its own"


class StopsSending:
    """Asks an agent to stop when so many parts were sent."""

    def __init__(self, parts: int) -> None:
        self.agent: Agent | None = None
        self._left = parts
        self._sending = False

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins."""
        self._sending = name == "sending" and total != 0

    def advance(self, count: int) -> None:
        """A part was sent."""
        self._left -= self._sending and count > 0
        if self._sending and self._left == 0 and self.agent:
            self.agent.stop.ask()


def interrupted(site: Site, source: Scripted, parts: int) -> None:
    """A full synchronisation in parts of ten rows that ends after so many."""
    watcher = StopsSending(parts)
    with Agent(site.settings, patience=5, progress=watcher) as agent:
        watcher.agent = agent
        agent._inventory._rows_a_part = 10
        with pytest.raises(Stopped):
            agent._inventory.run(source, Scope.FULL)


def test_telling_goes_on_behind_the_last_part_that_was_answered(site: Site) -> None:
    """The same synchronisation at the service, no part twice, and nothing is listed again but what changed since."""
    source = scripted(35)
    interrupted(site, source, 5)
    assert [(sync["state"], sync["received_parts"]) for sync in site.syncs()] == [("open", 5)]
    report = take(site, source, Scope.FULL)
    assert [kind for kind, since in source.asked if since] == ["mailboxes", "devices"] == [k for k, _ in source.asked]
    assert (report.state, report.sent_devices) == ("sealed", 35)
    whole, since = [(sync["state"], sync["received_parts"]) for sync in site.syncs()]
    assert (whole, since) == (("sealed", 8), ("sealed", 0))
    assert len(site.devices()) == 35


def test_telling_begins_anew_where_the_service_has_closed_it(site: Site) -> None:
    """Whatever became of it there, the same rows are told in another synchronisation."""
    source = scripted(35)
    interrupted(site, source, 5)
    site.execute("UPDATE syncs SET state = 'abandoned' WHERE tenant_id = %s")
    assert take(site, source, Scope.FULL).state == "sealed"
    assert [sync["state"] for sync in site.syncs()] == ["abandoned", "sealed", "sealed"]
    assert len(site.devices()) == 35


def test_a_held_listing_is_not_gone_on_with(site: Site) -> None:
    """Who looks again after the guard held it wants to see what is there now."""
    source = scripted(100)
    take(site, source, Scope.FULL)
    everything, source.devices = source.devices, source.devices[:5]
    assert take(site, source, Scope.FULL).state == "held"
    source.devices = everything
    assert take(site, source, Scope.FULL).state == "sealed"
    assert source.asked == [("mailboxes", None), ("devices", None)]


# -- mailboxes elsewhere ---------------------------------------------------------------------------------------------


def test_devices_of_mailboxes_elsewhere_are_told_with_their_kind(site: Site) -> None:
    """Remote mailboxes and disabled accounts own what stayed behind, without lists; who vanished altogether is gone."""
    site.synchronise()
    kinds = {row["kind"]: row for row in site.mailboxes().values()}
    assert {"remote", "disabled"} <= kinds.keys()
    for kind in ("remote", "disabled"):
        assert (kinds[kind]["allowed_ids"], kinds[kind]["blocked_ids"], kinds[kind]["eas_enabled"]) == (None,) * 3
    assert orphans(site) == 1, "the lab has one device whose mailbox was removed"
    assert site.differences() == []


def test_a_mailbox_that_moves_away_keeps_its_devices_and_is_missed_by_nobody(site: Site) -> None:
    """A migration is seen by its kinds; when what stayed behind is cleaned up, no guard asks."""
    source = scripted(40)
    take(site, source, Scope.FULL)
    moved = source.mailboxes[:30]
    source.mailboxes = source.mailboxes[30:]
    source.elsewhere = [Recipient(each.guid, each.dn, MailboxKind.REMOTE, "moved@example.com") for each in moved]
    assert take(site, source, Scope.FULL).state == "sealed"
    assert [row["kind"] for row in site.mailboxes().values()].count("remote") == 30
    assert orphans(site) == 0
    assert counted(site) == {"devices": 40, "mailboxes": 10}
    source.devices = source.devices[30:]
    assert take(site, source, Scope.FULL).state == "sealed"
    assert (len(site.mailboxes()), len(site.devices())) == (10, 10)
    assert counted(site) == {"devices": 10, "mailboxes": 10}


def counted(site: Site) -> dict[str, int]:
    """The service's counters of devices and mailboxes."""
    rows = site.query("SELECT name, value FROM counters WHERE tenant_id = %s AND name IN ('devices', 'mailboxes')")
    return {row["name"]: row["value"] for row in rows}


# -- two controllers that disagree -----------------------------------------------------------------------------------

CHANGES = st.tuples(st.just("change"), st.integers(0, 1), st.integers(0, 19))
STEPS = st.one_of(
    CHANGES,
    st.tuples(st.just("pass"), st.sampled_from([1, 60, 400, 1_000]), st.just(0)),
    st.tuples(st.just("quick"), st.integers(0, 1), st.just(0)),
)


class World:
    """A site whose time a test moves, with 15 minutes of replication between two controllers."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.controllers = site.lab.organization.domains[0].controllers
        self.now = START
        self.changes = 0
        site.lab.organization.clock = lambda: self.now

    def step(self, what: str, number: int, device: int) -> None:
        """One thing that happens."""
        if what == "pass":
            self.now += number * TICKS
        elif what == "quick":
            self.quick(self.controllers[number])
        else:
            self.change(self.controllers[number], device)

    def change(self, controller: str, number: int) -> None:
        """A device's state and its mailbox's lists change at a controller."""
        view = self.site.lab.organization.view(controller)
        here = [each for each in view.devices if view.may_write(each.mailbox)]
        changed, self.changes = here[number % len(here)], self.changes + 1
        view.change_device(changed, rule=f"rule {self.changes}")
        view.change_mailbox(changed.mailbox, display_name=f"name {self.changes}")

    def quick(self, controller: str) -> None:
        """A quick synchronisation, after which the database has what that controller has."""
        assert self.site.at(controller).synchronise(Scope.QUICK).state == "sealed"
        view = self.site.lab.organization.view(controller)
        devices, mailboxes = self.site.devices(), self.site.mailboxes()
        rules = {each.guid: each.rule for each in view.devices}
        assert {key: devices[key]["access_control_rule"] for key in rules} == rules
        names = {each.guid: each.display_name for each in view.mailboxes if each.kind in ON_PREMISES}
        assert {key: mailboxes[key]["display_name"] for key in names} == names


def test_whatever_changes_where_the_database_follows_the_controller_that_is_asked(make_site: MakeSite) -> None:
    """Any interleaving of changes at two controllers, time and quick syncs; a full one at the end makes all equal."""
    site = make_site(devices=40, replication=900.0).enrol()
    world = World(site)
    site.at(world.controllers[0]).synchronise()

    @settings(max_examples=4, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(STEPS, min_size=4, max_size=10))
    def interleave(steps: list[tuple[Any, Any, Any]]) -> None:
        for step in steps:
            world.step(*step)
        world.now += 3_600 * TICKS
        world.site.synchronise()
        assert site.differences() == []

    interleave()
