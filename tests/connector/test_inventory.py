"""The inventory end to end: a real Exchange of the lab's, the real connector, the real service and its database."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost.connector.agent import Agent, Scope
from gatepost.connector.inventory import Report
from gatepost.connector.store import FILE
from gatepost.domain.devices import Capabilities, Device, Mailbox, OrganizationSettings, Recipient
from gatepost.domain.engine import read_rules
from gatepost.domain.settings import AccessRule
from gatepost.errors import CmdletFailed, ExchangeError, UnreadableObject
from gatepost.lab.dialects import Fault
from tests.fixtures.site import MakeSite, Site


def test_a_full_synchronisation_puts_everything_into_the_database_exactly(make_site: MakeSite) -> None:
    """Every device and mailbox of Exchange, every field, and nothing else."""
    site = make_site(devices=250).enrol()
    report = site.synchronise()
    assert (report.state, report.devices, report.sent_devices) == ("sealed", 250, 250)
    assert report.mailboxes == len(site.mailboxes())
    assert site.differences() == []
    [sync] = site.syncs()
    assert (sync["state"], sync["received_devices"], sync["rejected"]) == ("sealed", 250, 0)
    [settings] = site.query("SELECT * FROM org_settings WHERE tenant_id = %s")
    assert settings["default_level"] == "Allow"
    kept = read_rules(settings["settings"]["rules"])
    assert kept is not None
    assert {(rule.name, rule.query, rule.level) for rule in kept} == {
        (rule.name, rule.query, rule.level) for rule in site.lab.organization.view().rules
    }


def test_the_same_again_changes_nothing(site: Site) -> None:
    """A second full synchronisation of the same organization writes no history and calls nothing gone."""
    site.synchronise()
    site.synchronise()
    assert site.differences() == []
    assert site.query("SELECT * FROM device_history WHERE tenant_id = %s") == []


def test_a_quick_synchronisation_sends_only_what_changed(site: Site) -> None:
    """A new device and a changed one are told; the others are not sent."""
    site.synchronise()
    quiet = site.synchronise(Scope.QUICK)
    assert (quiet.scope, quiet.state, quiet.sent_devices, quiet.sent_mailboxes) == (Scope.QUICK, "sealed", 0, 0)
    organization = site.lab.organization
    first, second = organization.devices[:2]
    organization.change_device(first, state="Blocked", reason="Global")
    organization.change_device(second, state="Quarantined", reason="Global")
    organization.change_mailbox(organization.mailboxes[0], display_name="Somebody Else")
    report = site.synchronise(Scope.QUICK)
    assert report.sent_devices == len({device.guid for device in (first, second) if device.state})
    assert site.differences() == []
    history = site.query("SELECT DISTINCT device_guid FROM device_history WHERE tenant_id = %s")
    assert {str(row["device_guid"]) for row in history} == {first.guid, second.guid}


def test_a_device_that_went_is_gone_with_the_next_full_synchronisation(site: Site) -> None:
    """A quick one never calls anything gone."""
    site.synchronise()
    leaving = site.lab.organization.devices[3]
    site.lab.organization.remove_device(leaving)
    site.synchronise(Scope.QUICK)
    assert leaving.guid in site.devices()
    site.synchronise()
    assert leaving.guid not in site.devices()
    assert site.differences() == []


def test_a_quick_one_without_anything_to_compare_with_is_a_full_one(site: Site) -> None:
    """The first synchronisation of a store tells everything, whatever was asked for."""
    assert site.synchronise(Scope.QUICK).scope is Scope.FULL
    assert site.differences() == []


def test_parts_are_as_many_as_they_must_be(make_site: MakeSite) -> None:
    """More rows than one document takes come in several, and all arrive."""
    site = make_site(devices=2_300).enrol()
    report = site.synchronise()
    [sync] = site.syncs()
    assert report.sent_devices == 2_300
    assert sync["received_parts"] >= 3
    assert len(site.devices()) == 2_300


def test_a_store_that_was_deleted_costs_time_and_nothing_else(site: Site) -> None:
    """The connector asks the service where it was, and tells everything again."""
    site.synchronise()
    for path in (site.folder / "connector").glob(f"{FILE}*"):
        path.unlink()
    site.lab.organization.change_device(site.lab.organization.devices[0], state="Blocked", reason="Global")
    assert site.synchronise(Scope.QUICK).scope is Scope.FULL
    assert site.differences() == []


def test_a_synchronisation_that_shrinks_sharply_is_held(make_site: MakeSite) -> None:
    """The guard's reason is reported, nothing is called gone, and an accepted one goes."""
    site = make_site(devices=120).enrol()
    site.synchronise()
    for device in site.lab.organization.devices[:80]:
        site.lab.organization.remove_device(device)
    report = site.synchronise()
    assert (report.state, report.devices, report.sent_devices) == ("held", 40, 0)
    assert "of 120 devices are missing" in report.why
    assert len(site.devices()) == 120
    site.execute("UPDATE syncs SET state = 'accepted', accepted_at = now() WHERE state = 'held' AND tenant_id = %s")
    assert site.synchronise().state == "sealed"
    assert site.differences() == []


def test_one_object_that_cannot_be_read_stops_only_itself(make_site: MakeSite) -> None:
    """The rest arrives, the object is a finding, and nothing is called gone."""
    site = make_site(devices=80).enrol()
    site.synchronise()
    spoilt = make_site(devices=80, faults=frozenset({Fault.MALFORMED_OBJECT}))
    site.lab = spoilt.lab
    site.configure()
    report = site.synchronise()
    assert (report.state, report.unreadable > 0) == ("sealed", True)
    assert "unreadable-object" in site.findings()
    assert len(site.devices()) == 80


def test_a_listing_that_fails_half_way_sends_nothing(make_site: MakeSite) -> None:
    """What was listed before the connection broke is not told."""
    site = make_site(devices=80, faults=frozenset({Fault.BREAK_OFF})).enrol()
    with pytest.raises(ExchangeError):
        site.synchronise()
    assert (site.devices(), site.syncs()) == ({}, [])


class Poisoned:
    """An organization whose listings a test writes: what no lab would keep in memory for long."""

    capabilities = Capabilities("server", None, None, False, "Get-MobileDevice", None)

    def __init__(self, *objects: Device | Mailbox | UnreadableObject | ExchangeError) -> None:
        self._objects = objects

    def list_mailboxes(self, changed_since: datetime | None = None) -> Iterator[Mailbox | UnreadableObject]:
        """The mailboxes among them, and what could not be read before the first device."""
        assert changed_since is None, "no controller is known, so there is no watermark"
        for each in self._objects:
            if isinstance(each, Device):
                return
            if not isinstance(each, ExchangeError):
                yield each

    def list_devices(self, changed_since: datetime | None = None) -> Iterable[Device | UnreadableObject]:
        """The rest, from the first device on, until an error stands in the way."""
        assert changed_since is None, "no controller is known, so there is no watermark"
        devices = False
        for each in self._objects:
            devices = devices or isinstance(each, Device)
            if isinstance(each, ExchangeError):
                raise each
            if devices and not isinstance(each, Mailbox):
                yield each

    def recipients(self) -> Sequence[Recipient]:
        """Nobody who moved away."""
        return ()

    def settings(self) -> OrganizationSettings:
        """Settings with poison in them."""
        return OrganizationSettings("Allow", user_mail_insert="b\x00d \ud800")

    def rules(self) -> Sequence[AccessRule]:
        """A rule with poison in it."""
        return (AccessRule(guid(9), "n\x00", "DeviceType", "\ud800", "Block"),)


def guid(number: int) -> str:
    """An id of an object."""
    return f"00000000-0000-4000-8000-{number:012d}"


def device(number: int, **fields: Any) -> Device:
    """A device of the mailbox with number 1."""
    given: dict[str, Any] = dict.fromkeys(Device._fields) | {
        "guid": guid(number),
        "device_id": f"D{number}",
        "mailbox_dn": "cn=ONE",
    }
    return Device(**(given | fields))


def mailbox(number: int, **fields: Any) -> Mailbox:
    """A mailbox named One."""
    given: dict[str, Any] = dict.fromkeys(Mailbox._fields) | {"guid": guid(number), "dn": "CN=One", "kind": "user"}
    return Mailbox(**(given | {"allowed_ids": (), "blocked_ids": ()} | fields))


def test_poison_rows_stop_only_themselves(site: Site) -> None:
    """NUL, half characters, an overlong text, a foreign id and a list past all reason: the good rows arrive."""
    source = Poisoned(
        mailbox(1),
        mailbox(2, dn="CN=Two", blocked_ids=("x" * 1_000,) * 600),
        mailbox(3, dn="CN=Three\ud800", display_name="half \ud83d"),
        device(11),
        device(12, friendly_name="nul \x00 and half \udc00"),
        device(13, model="x" * 2_000_000),
        device(14, guid="not-a-guid"),
        device(15, first_sync_at=datetime(1, 1, 1, tzinfo=UTC)),
        UnreadableObject(7, "nested 1,000 deep", "iPhone\x00"),
    )
    with Agent(site.settings, patience=5) as agent:
        report = agent._inventory.run(source, Scope.FULL)
    assert (report.state, report.unreadable, report.rejected) == ("sealed", 2, 1)
    assert report.mended == 3
    found = site.devices()
    assert set(found) == {guid(number) for number in (11, 12, 13, 15)}
    assert found[guid(12)]["friendly_name"] == "nul \ufffd and half \ufffd"
    assert len(found[guid(13)]["model"]) == 4_000
    assert str(found[guid(11)]["mailbox_guid"]) == guid(1)
    assert set(site.mailboxes()) == {guid(1), guid(3)}
    assert {"unreadable-object", "list-too-long", "mended-text"} <= set(site.findings())


def test_an_error_at_the_last_object_sends_nothing(site: Site) -> None:
    """A truncated listing is a failed one, even when most of it was there."""
    source = Poisoned(mailbox(1), *(device(n) for n in range(10, 60)), CmdletFailed("Get-MobileDevice", "cut off"))
    with Agent(site.settings, patience=5) as agent, pytest.raises(CmdletFailed):
        agent._inventory.run(source, Scope.FULL)
    assert (site.devices(), site.syncs()) == ({}, [])


def test_an_empty_organization_is_told_once_and_never_empties_another(site: Site) -> None:
    """Nothing at all is a fine first inventory; after a full one it is held."""
    with Agent(site.settings, patience=5) as agent:
        assert agent._inventory.run(Poisoned(), Scope.FULL).state == "sealed"
    site.synchronise()
    with Agent(site.settings, patience=5) as agent:
        report = agent._inventory.run(Poisoned(), Scope.FULL)
    assert report.state == "held"
    assert site.differences() == []


def take(site: Site, scope: Scope, *objects: Device | Mailbox | UnreadableObject) -> Report:
    """One synchronisation of what a test wrote."""
    with Agent(site.settings, patience=5) as agent:
        return agent._inventory.run(Poisoned(*objects), scope)


def orphans(site: Site) -> int:
    """How many devices the service believes to be nobody's."""
    return sum(row["mailbox_guid"] is None for row in site.devices().values())


MAILBOXES = [mailbox(n, dn=f"CN=B{n}") for n in range(1, 101)]
DEVICES = [device(1_000 + n, mailbox_dn=f"cn=b{n}") for n in range(1, 101)]


def test_mailboxes_that_come_short_without_an_error_are_asked_about(site: Site) -> None:
    """A quick sync in which most devices would lose their owner becomes a full one, which the service's guard holds."""
    take(site, Scope.FULL, *MAILBOXES, *DEVICES)
    report = take(site, Scope.QUICK, *DEVICES)
    assert (report.scope, report.state, report.sent_devices, orphans(site)) == (Scope.FULL, "held", 0, 0)
    assert "no mailboxes; 100 are known" in report.why
    assert [sync["kind"] for sync in site.syncs()] == ["full", "full"]


def test_owners_that_get_lost_are_asked_about_though_the_counts_are_right(site: Site) -> None:
    """As many mailboxes as before, under names that no device knows: a full sync, though no count is less."""
    take(site, Scope.FULL, *MAILBOXES, *DEVICES)
    renamed = [each._replace(dn=f"{each.dn},OU=Elsewhere") for each in MAILBOXES]
    assert take(site, Scope.QUICK, *renamed, *DEVICES).scope is Scope.FULL


def test_a_small_loss_stays_a_quick_one(site: Site) -> None:
    """What the guard lets pass is told as it is: a mailbox that went leaves its device without one."""
    take(site, Scope.FULL, *MAILBOXES, *DEVICES)
    report = take(site, Scope.QUICK, *MAILBOXES[50:], *DEVICES)
    assert (report.scope, report.state, report.sent_devices, orphans(site)) == (Scope.QUICK, "sealed", 50, 50)


def test_a_mailbox_that_is_too_long_to_tell_keeps_its_devices(site: Site) -> None:
    """Its row is not told, its devices stay its own, and once it can be told again nothing was lost."""
    long = mailbox(1, blocked_ids=("x" * 1_000,) * 600)
    other = mailbox(2, dn="CN=Two")
    assert take(site, Scope.FULL, long, other, device(11)).unreadable == 1
    assert (orphans(site), set(site.mailboxes())) == (0, {guid(2)})
    take(site, Scope.QUICK, mailbox(1), other, device(11))
    assert set(site.mailboxes()) == {guid(1), guid(2)}
    for scope in (Scope.QUICK, Scope.FULL, Scope.QUICK):
        report = take(site, scope, long, other, device(11, model="another"))
        assert (report.scope, report.state, report.mailboxes, orphans(site)) == (scope, "sealed", 1, 0)
    assert set(site.mailboxes()) == {guid(1), guid(2)}


@pytest.mark.parametrize("scope", [Scope.QUICK, Scope.FULL])
def test_a_mailbox_that_cannot_be_read_keeps_its_devices(site: Site, scope: Scope) -> None:
    """While any is unreadable, the owner that the sealed listing had stays, however often that is taken."""
    take(site, Scope.FULL, mailbox(1), mailbox(2, dn="CN=Two"), device(11), device(12, mailbox_dn="CN=Two"))
    broken = UnreadableObject(0, "nested 1,000 deep")
    for model in ("one", "two"):
        moved = device(12, mailbox_dn="CN=New", model=model)
        take(site, scope, broken, mailbox(3, dn="CN=New"), device(11, model=model), moved)
        owners = {key: str(row["mailbox_guid"]) for key, row in site.devices().items()}
        assert owners == {guid(11): guid(1), guid(12): guid(3)}
    take(site, Scope.QUICK, mailbox(3, dn="CN=New"), device(11), device(12, mailbox_dn="CN=New"))
    assert site.devices()[guid(11)]["mailbox_guid"] is None
