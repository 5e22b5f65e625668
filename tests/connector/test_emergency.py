"""One phone allowed by hand while the service is away: a local administrator's own entry, journalled and told."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from gatepost.cli.main import app
from gatepost.connector import emergency
from gatepost.connector.emergency import Journal
from gatepost.errors import GatepostError, StoreError, UsageError, WriteRefused
from gatepost.lab.rows import Device, Mailbox
from tests.connector.test_writing import lists, pinnable
from tests.fixtures.site import MakeSite, Service, Site, free_port


def away(site: Site) -> Site:
    """The same connector, whose service does not answer."""
    return site.of(f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def blocked(make_site: MakeSite) -> tuple[Site, Mailbox, Device]:
    """A phone that the service pinned as blocked and the connector blocked, and then the service went away."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.pin(phone.guid, "block")
    site.work()
    assert lists(site, mailbox) == ((), (phone.device_id,))
    return away(site), mailbox, phone


def test_a_phone_that_we_blocked_is_allowed_by_hand(blocked: tuple[Site, Mailbox, Device]) -> None:
    """One write: the id is on the allowed list, our own block entry is off, and the command prints what it read."""
    site, mailbox, phone = blocked
    found = CliRunner().invoke(
        app, ["connector", "allow", phone.device_id.lower(), "--config", str(site.config), "--yes", "--json"]
    )
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["allowed_ids"] == [phone.device_id]
    assert lists(site, mailbox) == ((phone.device_id,), ())
    assert site.writes() == ["Set-CASMailbox"] * 2


def test_what_was_done_is_told_once_and_the_entry_is_nobodys_of_ours(blocked: tuple[Site, Mailbox, Device]) -> None:
    """Told even after a kill before the answer; the journal names who, which phone, for whom, where and when."""
    site, _, phone = blocked
    target = emergency.find(site.settings, phone.device_id)
    emergency.allow(site.settings, target, "otto")
    journal = Journal(site.settings.folder)
    [finding] = journal.findings()
    assert Journal(site.settings.folder).findings() == [finding]  # killed before the service had answered
    assert finding["code"] == "allowed-by-hand"
    assert finding["subject"] == f"{target.mailbox}/{phone.device_id}"
    assert f"was allowed for {target.address} by hand, by otto on" in finding["cause"]
    journal.told()
    assert Journal(site.settings.folder).findings() == []


def test_the_service_hears_of_it_when_it_is_back(
    blocked: tuple[Site, Mailbox, Device], service_process: Service
) -> None:
    """A finding on the device and an event in the audit trail; the entry stays, and our block does not come back."""
    site, mailbox, phone = blocked
    emergency.allow(site.settings, emergency.find(site.settings, phone.device_id), "otto")
    back = site.of(service_process.url)
    back.work()
    assert "allowed-by-hand" in back.findings()
    [event] = back.query("SELECT body FROM events WHERE tenant_id = %s AND name = 'connector:entry:allowed-by-hand'")
    assert "by otto on" in event["body"]["cause"]
    assert lists(back, mailbox) == ((phone.device_id,), ())
    assert Journal(back.settings.folder).findings() == []


def test_somebody_elses_block_entry_is_left_alone(make_site: MakeSite) -> None:
    """An administrator's own block stays, nothing is written, and the message says what to do."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    mailbox, phone = pinnable(site)
    site.lab.organization.view(None).change_mailbox(mailbox, blocked=(phone.device_id,))
    site.synchronise()
    target = emergency.find(site.settings, phone.device_id)
    with pytest.raises(WriteRefused, match=r"that entry is not ours\. Take it off in Exchange first"):
        emergency.allow(site.settings, target, "otto")
    assert site.writes() == []
    assert Journal(site.settings.folder).findings() == []


def test_outside_mode_and_scope_nothing_is_written_by_hand_neither(blocked: tuple[Site, Mailbox, Device]) -> None:
    """The local limits hold in an emergency too; exit code 4, and the remedy is named."""
    site, _, phone = blocked
    for limits, words in (
        ({"mode": "observe"}, "The mode is observe: nothing is written, by hand neither."),
        ({"mode": "enforce", "scope": ["@elsewhere.example"]}, "is not in scope. Add it to `scope`."),
    ):
        limited = site.limited(**limits)
        with pytest.raises(WriteRefused, match=words.replace(".", r"\.")) as refused:
            emergency.allow(limited.settings, emergency.find(limited.settings, phone.device_id), "otto")
        assert refused.value.exit_code == 4
    assert site.writes() == ["Set-CASMailbox"]


def test_while_the_service_answers_it_is_no_emergency(make_site: MakeSite) -> None:
    """The command names the console in its place, and does not write."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    _, phone = pinnable(site)
    found = CliRunner().invoke(app, ["connector", "allow", phone.device_id, "--config", str(site.config), "--yes"])
    assert isinstance(found.exception, UsageError)
    assert "answers, so this is no emergency. Pin the device on its console" in str(found.exception)
    assert site.writes() == []


def test_who_is_meant_must_be_clear(blocked: tuple[Site, Mailbox, Device]) -> None:
    """An id that nobody has, and a listing that is not there, are told; a new phone needs its mailbox named."""
    site, _, phone = blocked
    with pytest.raises(UsageError, match=r"has a device with the id NOBODY.*--mailbox"):
        emergency.find(site.settings, "NOBODY")
    with pytest.raises(UsageError, match="NEWPHONE1 or the address who@nowhere"):
        emergency.find(site.settings, "NEWPHONE1", "who@nowhere.example")
    known = emergency.find(site.settings, phone.device_id)
    new = emergency.find(site.settings, "NEWPHONE1", known.address)
    assert (new.device_id, new.mailbox) == ("NEWPHONE1", known.mailbox)
    with pytest.raises(StoreError, match="no listing of mailboxes yet"):
        emergency.find(site.beside("other").settings, "X")


def test_a_write_that_fails_is_told_as_failed(blocked: tuple[Site, Mailbox, Device]) -> None:
    """Exchange away: the error goes to the person, nothing was begun, and nothing is told."""
    site, _, phone = blocked
    target = emergency.find(site.settings, phone.device_id)
    gone = replace(site, exchange_url=f"https://127.0.0.1:{free_port()}/PowerShell").configure()
    with pytest.raises(GatepostError, match="cannot be reached"):
        emergency.allow(gone.settings, target, "otto")
    assert Journal(site.settings.folder).findings() == []
