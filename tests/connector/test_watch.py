"""The watch for new devices: seen, told and followed within seconds, without a synchronisation."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost.connector.agent import Agent, Scope
from gatepost.domain.devices import Device
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import DIALECTS
from gatepost.lab.server import Lab
from gatepost.settings import SyncSettings
from tests.connector.test_agent import running, until
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab
from tests.fixtures.site import MakeSite, Site


def appear(lab: Lab, **details: object) -> dict[str, Any]:
    """Somebody sets up a phone."""
    told: dict[str, Any] = json.loads(lab.act(json.dumps({"do": "appear", **details})))
    assert "error" not in told, told
    return told


def told(site: Site, guid: str) -> dict[str, Any] | None:
    """What the service has of a device."""
    rows = site.query("SELECT * FROM devices WHERE tenant_id = %s AND guid = %s", guid)
    return rows[0] if rows else None


def state(site: Site, guid: str) -> str | None:
    """What Exchange does with a device, as the service has it."""
    device = told(site, guid)
    return device["access_state"] if device else None


def a_mailbox(site: Site) -> str:
    """A mailbox that was there from the start."""
    found = next(each for each in site.lab.organization.mailboxes if each.kind == "UserMailbox" and each.devices)
    return found.guid


def test_a_new_device_is_told_within_a_look_and_followed_until_exchange_knows_what_it_is(make_site: MakeSite) -> None:
    """One filtered cmdlet a look; what is known is not told again; a new person's phone comes with their mailbox."""
    sync = SyncSettings(watch_every=0.3, statistics_every=0)
    site = make_site(devices=40, sync=sync).enrol()
    with running(site):
        until(lambda: site.syncs() and site.syncs()[0]["state"] == "sealed", "the first synchronisation", site)
        first = appear(site.lab, mailbox=a_mailbox(site), discovery=1.0)["guid"]
        until(lambda: told(site, first), "the device", site)
        until(lambda: state(site, first) == "Allowed", "the end of its discovery", site)
        assert [each["kind"] for each in site.syncs()] == ["full"]
        stranger = appear(site.lab)
        until(lambda: state(site, stranger["guid"]) == "Allowed", "a new person's device", site)
    assert [each["kind"] for each in site.syncs()] == ["full", "quick"]
    assert site.differences(with_gone=False) == []
    looks = [call for call in site.lab.calls if "FirstSyncTime" in str(call.parameters.get("Filter"))]
    assert len(looks) > 3
    assert {call.cmdlet for call in looks} == {"Get-MobileDevice"}
    history = site.query("SELECT count(*) AS n FROM device_history WHERE tenant_id = %s AND device_guid = %s", first)
    assert history[0]["n"] <= 3, "a row that has not changed was told again"


def test_a_look_tells_what_is_new_once_and_costs_a_pause_of_ten_times_its_length(make_site: MakeSite) -> None:
    """Nothing before the first synchronisation; then a new device, once; none for a setting of 0."""
    site = make_site(devices=40, sync=SyncSettings(watch_every=0.001)).enrol()
    with Agent(site.settings, patience=10) as agent:
        assert agent.watch() == 0.001
        assert site.lab.calls == []
        agent.sync(Scope.FULL)
        agent.watch()
        guid = appear(site.lab, mailbox=a_mailbox(site), discovery=600.0)["guid"]
        pause = agent.watch()
        assert state(site, guid) == "DeviceDiscovery"
        before = site.query("SELECT sequence FROM checkins WHERE tenant_id = %s")
        agent.watch()
        assert site.query("SELECT sequence FROM checkins WHERE tenant_id = %s") == before
    assert pause > 0.01
    site.sync = SyncSettings(watch_every=0)
    with Agent(site.configure().settings, patience=10) as agent:
        calls = len(site.lab.calls)
        assert agent.watch() == 0
        assert len(site.lab.calls) == calls


@pytest.mark.parametrize("answer", ["refused", "ignored", "local"])
def test_a_filter_that_does_not_work_is_not_watched_by(make_lab: MakeLab, answer: str) -> None:
    """It is asked once by an object whose time is known: a listing that is left at its first, then a filtered one."""
    lab = make_lab(dialect=DIALECTS[f"time-filters-{answer}"])
    with Organization.connect(settings_of(lab), lab.password) as organization:
        before = len(lab.calls)
        assert not organization.can_watch
        assert not organization.can_watch
        assert [call.cmdlet for call in lab.calls[before:]].count("Get-MobileDevice") == 2


def test_a_filter_that_works_finds_who_came_since(make_lab: MakeLab) -> None:
    """And nobody who came before."""
    lab = make_lab()
    with Organization.connect(settings_of(lab), lab.password) as organization:
        assert organization.can_watch
        since = datetime.now(UTC)
        guid = appear(lab)["guid"]
        found = [each for each in organization.new_devices(since) if isinstance(each, Device)]
        assert [each.guid for each in found if each.first_sync_at and each.first_sync_at.year < 2100] == [guid]
