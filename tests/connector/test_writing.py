"""The first write, whole: a pin on the real service, the real connector, Exchange's own lists and audit log."""

import json

from gatepost.connector.agent import Agent, Scope, status
from gatepost.lab.rows import Device, Mailbox
from gatepost.settings import SyncSettings
from tests.connector.test_agent import events, finish, running, until
from tests.fixtures.site import MakeSite, Site


def pinnable(site: Site) -> tuple[Mailbox, Device]:
    """A plain user's mailbox without list entries, and a phone of it."""
    for mailbox in site.lab.organization.mailboxes:
        phones = [each for each in mailbox.devices if each.device_id and each.handset.client_type == "EAS"]
        if phones and mailbox.kind == "UserMailbox" and not mailbox.allowed + mailbox.blocked and not mailbox.protected:
            return mailbox, phones[0]
    raise AssertionError("the lab has no such mailbox")


def lists(site: Site, mailbox: Mailbox) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What Exchange has."""
    found = site.lab.organization.home(mailbox).find_mailbox(mailbox.guid)
    assert found is not None
    return found.allowed, found.blocked


def test_a_pin_becomes_an_entry_and_its_end_takes_it_away(make_site: MakeSite) -> None:
    """Blocked, allowed, let go: each one write, read back, and the ledger knows whose the entries are."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.pin(phone.guid, "block")
    assert site.work() == {"written": 1}
    assert lists(site, mailbox) == ((), (phone.device_id,))
    site.pin(phone.guid, "allow")
    assert site.work() == {"written": 1}
    assert lists(site, mailbox) == ((phone.device_id,), ())
    site.pin(phone.guid, None)
    assert site.work() == {"written": 1}
    assert lists(site, mailbox) == ((), ())
    assert site.work() == {}
    assert site.writes() == ["Set-CASMailbox"] * 3
    results = site.query("SELECT result FROM outcomes WHERE tenant_id = %s ORDER BY at")
    assert [row["result"] for row in results] == ["applied"] * 3


def test_observing_nothing_is_written_and_what_would_be_is_told(make_site: MakeSite) -> None:
    """Exchange's own audit log is empty; mode and scope are shown by the service."""
    site = make_site(devices=40).enrol()
    site.synchronise()
    _, phone = pinnable(site)
    site.pin(phone.guid, "block")
    code, output = finish(site.connector("sync", "--quick", "--json"))
    assert (code, json.loads(output)["looked"]) == (0, {"seen": 1})
    assert site.writes() == []
    [told] = site.query("SELECT result FROM outcomes WHERE tenant_id = %s")
    assert told["result"] == "observed"
    [checkin] = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    assert (checkin["status"]["mode"], checkin["status"]["scope"]) == ("observe", ["*"])
    assert status(site.settings).pending == 1


def test_an_administrators_opposite_entry_survives(make_site: MakeSite) -> None:
    """A conflict, and a finding on the service; nothing is written."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.lab.organization.change_mailbox(mailbox, allowed=(phone.device_id.upper(),))
    site.pin(phone.guid, "block")
    assert site.work() == {"seen": 1}
    assert lists(site, mailbox) == ((phone.device_id.upper(),), ())
    assert site.writes() == []
    [told] = site.query("SELECT result FROM outcomes WHERE tenant_id = %s")
    assert told["result"] == "conflict"


def test_a_running_connector_is_woken_writes_and_mends_what_is_undone(make_site: MakeSite) -> None:
    """A pin arrives within seconds; an entry that somebody takes off comes back after the grace, once."""
    sync = SyncSettings(quick_every=0.5, grace=1.0)
    site = make_site(devices=40, sync=sync).enrol().limited(mode="enforce")
    with running(site):
        until(lambda: site.syncs() and site.syncs()[0]["state"] == "sealed", "the first synchronisation", site)
        mailbox, phone = pinnable(site)
        site.pin(phone.guid, "block")
        until(lambda: lists(site, mailbox) == ((), (phone.device_id,)), "the entry", site)
        until(lambda: status(site.settings).pending == 0, "the end of the write", site)
        site.lab.organization.change_mailbox(mailbox, blocked=())
        until(lambda: lists(site, mailbox) == ((), (phone.device_id,)), "the entry again", site)
        until(lambda: status(site.settings).last_write, "the time of the write", site)
    assert site.writes() == ["Set-CASMailbox"] * 2
    assert [event for event in events(site) if event.startswith("write")] == ["write begins", "write ended"] * 2
    assert status(site.settings).uncertain == 0
    assert len(site.lab.shells) == 0


def test_a_delta_that_contradicts_our_write_is_looked_at_after_the_grace(make_site: MakeSite) -> None:
    """Soon after our write the lists as listed may be older than that, or replication: nothing is read, nor written."""
    site = make_site(devices=40, sync=SyncSettings(grace=600.0)).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.pin(phone.guid, "block")
    site.work()
    site.lab.organization.change_mailbox(mailbox, blocked=())
    with Agent(site.settings, patience=10) as agent:
        assert agent.sync(Scope.QUICK).sent_mailboxes == 1
        assert agent.work() == {}
        seconds = agent.reconcile.seconds()
    assert seconds is not None
    assert 300 < seconds <= 600
    assert lists(site, mailbox) == ((), ())


def test_a_connector_killed_in_a_write_knows_it_again(make_site: MakeSite) -> None:
    """SIGKILL while Exchange is at it: the next process reads, tells it as ours, and does not write it twice."""
    site = make_site(devices=40, latency=0.25).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.pin(phone.guid, "block")
    process = site.connector("run")
    until(lambda: "write begins" in events(site), "the write's beginning", site)
    until(lambda: lists(site, mailbox) == ((), (phone.device_id,)), "the entry", site)
    process.kill()
    finish(process)
    assert status(site.settings).uncertain == 1
    site.work()
    [told] = site.query("SELECT result, body FROM outcomes WHERE tenant_id = %s")
    assert (told["result"], told["body"]["added"]) == ("applied", ["block"])
    assert site.writes() == ["Set-CASMailbox"]


def test_what_was_withdrawn_stays_away_in_a_quick_sync(make_site: MakeSite) -> None:
    """The listing after the write agrees with what was told, so that nothing is looked at for nothing."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    _, phone = pinnable(site)
    site.pin(phone.guid, "allow")
    site.work()
    site.synchronise(Scope.QUICK)
    assert site.work() == {}


def test_replication_and_people_do_not_make_it_write_in_a_loop(make_site: MakeSite) -> None:
    """Two controllers that hear of each other late, people at both: each write has a reason, what is theirs stays."""
    site = make_site(devices=40, sync=SyncSettings(quick_every=0.4, grace=1.5), replication=0.5)
    site = site.enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    near, far = (site.lab.organization.view(name) for name in mailbox.domain.controllers)
    near.change_mailbox(mailbox, allowed=("ONE-OF-THEIRS",))
    site.lab.organization.finish()
    with running(site):
        site.pin(phone.guid, "block")
        until(lambda: lists(site, mailbox)[1] == (phone.device_id,), "the entry", site)
        site.lab.organization.finish()
        far.change_mailbox(mailbox, blocked=("ANOTHER",))  # ours is overwritten there, and soon everywhere
        until(lambda: set(lists(site, mailbox)[1]) == {"ANOTHER", phone.device_id}, "both entries", site)
        site.lab.organization.finish()
        site.pin(phone.guid, None)
        until(lambda: lists(site, mailbox) == (("ONE-OF-THEIRS",), ("ANOTHER",)), "what is theirs", site)
        syncs = len(site.syncs())
        until(lambda: len(site.syncs()) > syncs + 4, "some more synchronisations", site)
    site.lab.organization.finish()
    assert lists(site, mailbox) == (("ONE-OF-THEIRS",), ("ANOTHER",))
    there = far.find_mailbox(mailbox.guid)
    assert there is not None
    assert there.blocked == ("ANOTHER",)
    assert site.writes() == ["Set-CASMailbox"] * 3
