"""The ends of a connection with a real connector and the lab's Exchange: whose entries stay, who gains, who loses."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from gatepost.connector.agent import Scope as Extent
from gatepost.errors import ServiceRefused
from gatepost.lab.rows import Device, Mailbox
from gatepost.service import connections, removal
from gatepost.service.database import Database, Scope
from gatepost.service.removal import Person, Preview, Removal
from tests.connector.test_agent import finish, running, until
from tests.domain.test_script import calls, listed
from tests.fixtures.relays import Passed, ServiceRelay
from tests.fixtures.site import MakeSite, Site

T = TypeVar("T")
ANNA = Person(uuid4(), "anna")
NOT_PERMITTED = 6
OWN_ALLOWED, OWN_BLOCKED = "OWNALLOWED1", "OWNBLOCKED1"


def act(site: Site, action: Callable[[Scope, UUID], Awaitable[T]]) -> T:
    """Do something to the site's organization at the service."""
    [row] = site.query("SELECT organization_id FROM organizations WHERE tenant_id = %s")

    async def work() -> T:
        async with await Database.open(site.urls.app, size=1) as database, database.tenant(site.tenant_id) as scope:
            return await action(scope, row["organization_id"])

    return asyncio.run(work())


def remove(site: Site, ending: str) -> tuple[Preview, Removal]:
    """Ask for an end, having seen its preview."""

    async def ask(scope: Scope, organization_id: UUID) -> tuple[Preview, Removal]:
        seen = await removal.preview(scope, organization_id)
        return seen, await removal.ask(scope, organization_id, ending, seen.digest, ANNA)

    return act(site, ask)


def advance(site: Site) -> None:
    """The job that ends what is undone."""

    async def work() -> None:
        async with await Database.open(site.urls.app, size=1) as database:
            await removal.advance(database, site.tenant_id)

    asyncio.run(work())


def state(site: Site) -> str:
    """The organization's state."""
    [row] = site.query("SELECT state FROM organizations WHERE tenant_id = %s")
    return str(row["state"])


def phones(site: Site, count: int) -> list[tuple[Mailbox, Device]]:
    """Plain users' phones, one of a mailbox, with an entry of an administrator's own in both of its lists."""
    found = []
    for mailbox in site.lab.organization.view().mailboxes:
        known = [each for each in mailbox.devices if each.device_id and each.handset.client_type == "EAS"]
        plain = mailbox.kind == "UserMailbox" and not mailbox.allowed + mailbox.blocked and not mailbox.protected
        if known and plain and mailbox.enabled:
            own = {"allowed": (OWN_ALLOWED,), "blocked": (OWN_BLOCKED,)}
            site.lab.organization.home(mailbox).change_mailbox(mailbox, **own)
            found.append((mailbox, known[0]))
    assert len(found) >= count
    return found[:count]


def lists(site: Site, mailbox: Mailbox) -> tuple[set[str], set[str]]:
    """What Exchange has."""
    found = site.lab.organization.home(mailbox).find_mailbox(mailbox.guid)
    assert found is not None
    return set(found.allowed), set(found.blocked)


def states(site: Site) -> dict[str, str]:
    """What Exchange made of each phone, once everything has happened that is on its way."""
    site.lab.organization.finish()
    return {device.guid: device.state for device in site.lab.organization.view().devices}


def written(make_site: MakeSite, default: str) -> tuple[Site, list[tuple[Mailbox, Device]]]:
    """A site where two phones are allowed and one is blocked by entries of ours, beside administrators' own."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    view = site.lab.organization.view()
    view.change_settings(default_level=default)
    chosen = phones(site, 3)
    site.synchronise()
    for (_, device), level in zip(chosen, ("allow", "allow", "block"), strict=True):
        site.pin(device.guid, level)
    assert site.work() == {"written": 3}
    site.synchronise(Extent.QUICK)
    return site, chosen


@pytest.mark.parametrize("ending", ["leave", "force"])
def test_an_end_without_undoing_writes_nothing_and_the_connector_is_refused(make_site: MakeSite, ending: str) -> None:
    """Exchange's own log has no write more; every entry is where it was, ours and the administrators'."""
    site, chosen = written(make_site, "Block")
    before = [lists(site, mailbox) for mailbox, _ in chosen]
    writes = len(site.writes())
    _, done = remove(site, ending)
    assert (done.state, state(site)) == ("done", "removed")
    with pytest.raises(ServiceRefused) as refused:
        site.work()
    assert refused.value.type == "removed"
    assert [lists(site, mailbox) for mailbox, _ in chosen] == before
    assert len(site.writes()) == writes


def test_the_file_takes_off_exactly_what_the_connector_put_on(make_site: MakeSite) -> None:
    """Its calls, carried out on the lab, leave just the administrators' own entries."""
    site, chosen = written(make_site, "Block")
    remove(site, "file")
    _, text = act(site, lambda scope, organization_id: removal.script(scope, organization_id, "anna"))
    boxes = {mailbox.guid: mailbox for mailbox, _ in chosen}
    for line in calls(text):
        guid = line.split("'")[1]
        allowed, blocked = lists(site, boxes[guid])
        taken = {"allowed": set(listed(line, "-Allowed")), "blocked": set(listed(line, "-Blocked"))}
        assert taken["allowed"] <= allowed
        assert taken["blocked"] <= blocked
        left = {"allowed": tuple(allowed - taken["allowed"]), "blocked": tuple(blocked - taken["blocked"])}
        site.lab.organization.home(boxes[guid]).change_mailbox(boxes[guid], **left)
    assert len(calls(text)) == 3
    assert [lists(site, mailbox) for mailbox, _ in chosen] == [({OWN_ALLOWED}, {OWN_BLOCKED})] * 3


@pytest.mark.parametrize("default", ["Allow", "Block", "Quarantine"])
def test_a_preview_is_what_the_undoing_does(make_site: MakeSite, default: str) -> None:
    """Who gains and who loses at Exchange is just who the preview named; only ours is taken off."""
    site, chosen = written(make_site, default)
    before = states(site)
    seen, begun = remove(site, "undo")
    assert (begun.state, state(site)) == ("undoing", "removing")
    assert site.work() == {"written": 3}
    advance(site)
    assert state(site) == "removed"
    after = states(site)
    changed = {guid: (before[guid], after[guid]) for guid in before if before[guid] != after[guid]}
    lost = {guid for guid, (was, now) in changed.items() if was == "Allowed" != now}
    gained = {guid for guid, (was, now) in changed.items() if now == "Allowed" != was}
    assert {change.device for change in seen.effect.changes if change.loses} == lost
    assert {change.device for change in seen.effect.changes if change.gains} == gained
    assert lost or gained
    assert [lists(site, mailbox) for mailbox, _ in chosen] == [({OWN_ALLOWED}, {OWN_BLOCKED})] * 3


def test_a_connector_that_is_killed_on_the_way_goes_on_after_another_start(make_site: MakeSite) -> None:
    """Woken by the removal it takes our entries off; killed as soon as it heard, the next start does it."""
    site, chosen = written(make_site, "Block")
    process = site.connector("run")
    until(lambda: leased(site), "the lease", site)
    remove(site, "undo")
    process.kill()
    process.communicate()
    assert state(site) == "removing"
    process = site.connector("run")
    until(lambda: advanced(site), "the end", site)
    code, _ = finish(process)
    assert code == NOT_PERMITTED, site.log()
    assert [lists(site, mailbox) for mailbox, _ in chosen] == [({OWN_ALLOWED}, {OWN_BLOCKED})] * 3


def test_nothing_is_written_while_all_writing_is_stopped(make_site: MakeSite) -> None:
    """The connector that waits is woken and may write no more; what is pinned meanwhile waits for the release."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    [(mailbox, device)] = phones(site, 1)
    site.synchronise()
    with running(site):
        until(lambda: leased(site), "the lease", site)
        act(site, lambda scope, organization: connections.stop_writing(scope, organization, "a test", "anna"))
        site.pin(device.guid, "allow")
        until(lambda: held(site), "what is desired", site)
        assert site.writes() == []
        shown = act(site, connections.connection)
        assert shown.status == "connected"
        act(site, lambda scope, organization: connections.release_writing(scope, organization, "anna"))
        until(lambda: lists(site, mailbox) == ({OWN_ALLOWED, device.device_id}, {OWN_BLOCKED}), "the entry", site)


def test_all_writing_stops_within_a_second(make_site: MakeSite) -> None:
    """From the press to the answer that takes the lease away: the best of three, so that a busy machine is no fault."""
    site = make_site(devices=20).enrol().limited(mode="enforce")
    with ServiceRelay(int(site.service_url.rpartition(":")[2])) as relay:
        near = site.of(relay.url)
        with running(near):
            until(lambda: leased(near), "the lease", near)
            took = [_stopped_after(near, relay) for _ in range(3)]
    assert min(took) < 1


def _stopped_after(site: Site, relay: ServiceRelay) -> float:
    """How long it takes until a running connector was told that it may write no more, in seconds; released again."""
    before = len(relay.passed)
    began = time.monotonic()
    act(site, lambda scope, organization: connections.stop_writing(scope, organization, "a test", "anna"))
    until(lambda: _first_without_lease(relay, before), "the end of the lease", site)
    told = _first_without_lease(relay, before)
    act(site, lambda scope, organization: connections.release_writing(scope, organization, "anna"))
    released = len(relay.passed)
    until(lambda: any(_lease(each) for each in relay.passed[released:]), "the lease", site)
    return told - began


def _first_without_lease(relay: ServiceRelay, begin: int) -> float:
    """When the first answer after so many others left that gives no lease; 0 if none has."""
    return next((each.answered_at for each in relay.passed[begin:] if _lease(each) == 0), 0.0)


def _lease(passed: Passed) -> int | None:
    """The lease in an answer, in seconds; None in one that speaks of none."""
    try:
        found = json.loads(passed.answer).get("lease_seconds")
    except ValueError:
        return None
    return int(found) if found is not None else None


def leased(site: Site) -> bool:
    """Whether the connector may write now."""
    return bool(site.query("SELECT FROM checkins WHERE tenant_id = %s AND lease_until > now()"))


def held(site: Site) -> bool:
    """Whether the connector said that it holds all that is desired."""
    [row] = site.query(
        "SELECT c.held = h.revision AND h.revision > 0 AS held FROM checkins c JOIN desired_heads h "
        "ON h.tenant_id = c.tenant_id AND h.organization_id = c.organization_id WHERE c.tenant_id = %s"
    )
    return bool(row["held"])


def advanced(site: Site) -> bool:
    """Whether the undoing is over, now that the job has looked."""
    advance(site)
    return state(site) == "removed"
