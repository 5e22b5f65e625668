"""A mailbox's lists and switches, written in every version of Exchange and looked at in the lab itself."""

import pytest

from gatepost.domain.devices import AccessChange, AccessLists
from gatepost.errors import CmdletFailed, CmdletNotGranted, WriteRefused
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import DIALECTS
from gatepost.lab.values import Multi
from tests.exchange.conftest import settings_of
from tests.exchange.site import Permits, Site
from tests.fixtures.lab import MakeLab

NOBODY = "00000000-0000-0000-0000-00000000dead"


@pytest.mark.parametrize("domain", [0, 1])
def test_lists_are_read_at_the_mailboxs_own_domain(site: Site, domain: int) -> None:
    """One reading of one mailbox, from a domain controller of its domain, with that controller's name."""
    box = site.mailbox(domain, allowed=("A1", "a2"), blocked=("B1",))
    with site.calls() as calls:
        lists = site.organization.read_access(box.guid, box.dn)
    assert (lists.allowed, lists.blocked) == (("A1", "a2"), ("B1",))
    assert lists.controller in box.domain.controllers
    assert [(call.cmdlet, call.parameters) for call in calls] == [
        ("Get-CASMailbox", {"Identity": box.guid, "DomainController": lists.controller})
    ]


@pytest.mark.parametrize("domain", [0, 1])
def test_lists_are_changed_in_one_write_and_read_back(site: Site, domain: int) -> None:
    """Allowing and unblocking is one write at the controller that is read before and after; other entries stay."""
    box = site.mailbox(domain, allowed=("KEEP",), blocked=("GONE", "STAYS"))
    permits = Permits()
    change = AccessChange(allow=("NEW",), unblock=("GONE",))
    with site.calls() as calls:
        lists = site.organization.set_access(box.guid, box.dn, change, permits)
    after = site.now(box)
    assert (after.allowed, after.blocked) == (("KEEP", "NEW"), ("STAYS",))
    assert lists == AccessLists(("KEEP", "NEW"), ("STAYS",), lists.controller)
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox", "Set-CASMailbox", "Get-CASMailbox"]
    assert {call.parameters["DomainController"] for call in calls} == {lists.controller}
    assert calls[1].parameters == {
        "Identity": box.guid,
        "ActiveSyncAllowedDeviceIDs": Multi(add=("NEW",)),
        "ActiveSyncBlockedDeviceIDs": Multi(remove=("GONE",)),
        "Confirm": False,
        "DomainController": lists.controller,
    }
    assert permits.asked == 1


def test_a_block_takes_the_allow_entry_back_in_the_same_write(site: Site) -> None:
    """Every kind of change at once reaches the lists as asked."""
    box = site.mailbox(allowed=("one", "two"), blocked=("three",))
    change = AccessChange(allow=("three",), disallow=("one",), block=("one",), unblock=("three",))
    site.organization.set_access(box.guid, box.dn, change, Permits())
    assert (site.now(box).allowed, site.now(box).blocked) == (("two", "three"), ("one",))


def test_nothing_is_written_where_it_is_so_already(site: Site) -> None:
    """Ids that are there in any case and ids that are not there need no write, no permit and no audit entry."""
    box = site.mailbox(allowed=("AbC",))
    permits = Permits(refuse=True)
    with site.calls() as calls:
        lists = site.organization.set_access(
            box.guid, box.dn, AccessChange(allow=("aBc",), unblock=("never",)), permits
        )
    assert lists.allowed == ("AbC",)
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox"]
    assert permits.asked == 0
    assert site.audited(box) == []


def test_nothing_is_written_where_the_lists_are_others_than_the_change_was_made_for(site: Site) -> None:
    """Somebody wrote them meanwhile: they come back as they are now, and what to do is thought about again."""
    box = site.mailbox(allowed=("A", "B"))
    seen = site.organization.read_access(box.guid, box.dn)
    site.lab.organization.change_mailbox(box, allowed=("B", "a", "X"))
    change, permits = AccessChange(block=("X",)), Permits()
    found = site.organization.set_access(box.guid, box.dn, change, permits, seen)
    assert (found.allowed, permits.asked) == (("B", "a", "X"), 0)
    site.lab.organization.change_mailbox(box, allowed=("B", "a"))
    assert site.organization.set_access(box.guid, box.dn, change, permits, seen).blocked == ("X",)
    assert permits.asked == 1


def test_an_entry_is_removed_as_it_is_spelt(site: Site) -> None:
    """The list's own spelling is what is taken away, whatever case it was asked in."""
    box = site.mailbox(blocked=("AbC", "other"))
    with site.calls() as calls:
        site.organization.set_access(box.guid, box.dn, AccessChange(unblock=("aBc",)), Permits())
    assert calls[1].parameters["ActiveSyncBlockedDeviceIDs"] == Multi(remove=("AbC",))
    assert site.now(box).blocked == ("other",)


def test_what_is_not_permitted_never_leaves(site: Site) -> None:
    """A refusal in the last moment comes out as it is, and Exchange has heard of no write."""
    box = site.mailbox()
    with site.calls() as calls, pytest.raises(WriteRefused, match="The lease is over"):
        site.organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Permits(refuse=True))
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox"]
    assert site.now(box).blocked == ()


def test_access_denied_is_told_apart(site: Site) -> None:
    """A protected account is refused by the directory: known by the type of the error, and nothing has changed."""
    box = site.mailbox()
    site.lab.organization.change_mailbox(box, protected=True)
    with pytest.raises(CmdletFailed) as caught:
        site.organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Permits())
    assert (caught.value.access_denied, caught.value.not_found) == (True, False)
    assert caught.value.cmdlet == "Set-CASMailbox"
    assert site.now(box).blocked == ()


def test_a_mailbox_that_is_not_there_is_not_found(site: Site) -> None:
    """It is known by the type of the error, and no write was tried."""
    box = site.mailbox()
    with site.calls() as calls, pytest.raises(CmdletFailed) as caught:
        site.organization.set_access(NOBODY, box.dn, AccessChange(block=("X",)), Permits())
    assert (caught.value.access_denied, caught.value.not_found) == (False, True)
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox"]


@pytest.mark.parametrize("poison", ["", "  ", "a\x07b", "line\nbreak"])
def test_an_id_that_no_phone_has_stops_only_its_mailbox(site: Site, poison: str) -> None:
    """It fails as a write of that mailbox does, in words, and nothing of the change is sent."""
    box = site.mailbox()
    with site.calls() as calls, pytest.raises(CmdletFailed, match="is no text, empty or holds control characters"):
        site.organization.set_access(box.guid, box.dn, AccessChange(block=("X", poison)), Permits(refuse=True))
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox"]


def test_each_write_is_one_audit_entry(site: Site) -> None:
    """Exchange's own log has what was done, to whom and where."""
    box = site.mailbox(1)
    site.organization.set_access(box.guid, box.dn, AccessChange(block=("X", "Y")), Permits())
    (entry,) = site.audited(box)
    assert (entry.cmdlet, entry.succeeded) == ("Set-CASMailbox", True)
    assert entry.controller in box.domain.controllers


def test_activesync_is_switched_for_a_mailbox(site: Site) -> None:
    """Off and on again are a write each; what is so already is none."""
    box = site.mailbox(1)
    for enabled in (False, False, True):
        with site.calls() as calls:
            found = site.organization.set_mailbox(box.guid, box.dn, Permits(), eas_enabled=enabled)
        assert found.eas_enabled is enabled is site.now(box).enabled
        assert found.controller in box.domain.controllers
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox", "Set-CASMailbox", "Get-CASMailbox"]
    assert len(site.audited(box)) == 2


def test_a_mailbox_gets_a_policy_by_name(site: Site) -> None:
    """The policy stands in the lab; giving it again writes nothing; one that does not exist is not found."""
    policy = site.organization.create_policy(f"Strict {site.profile}", {"AllowCamera": False}, Permits())
    box = site.mailbox()
    found = site.organization.set_mailbox(box.guid, box.dn, Permits(), mailbox_policy=policy.name)
    assert found.mailbox_policy == policy.name == site.now(box).policy
    with site.calls() as calls:
        site.organization.set_mailbox(box.guid, box.dn, Permits(), mailbox_policy=f"STRICT {site.profile}")
    assert [call.cmdlet for call in calls] == ["Get-CASMailbox"]
    with pytest.raises(CmdletFailed) as caught:
        site.organization.set_mailbox(box.guid, box.dn, Permits(), mailbox_policy="None such")
    assert caught.value.not_found
    assert site.now(box).policy == policy.name


@pytest.mark.parametrize("domain", [0, 1])
def test_what_is_read_back_is_what_was_written_while_others_wait(make_lab: MakeLab, domain: int) -> None:
    """The controller that was written is read, though its neighbour hears of the change much later."""
    lab = make_lab(replication=600.0)
    neighbour = lab.organization.domains[domain].controllers[1]
    with Organization.connect(settings_of(lab), lab.password) as organization:
        here = Site(lab, organization)
        box = here.mailbox(domain)
        lists = organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Permits())
        assert lists.blocked == ("X",) == here.now(box).blocked
        behind = lab.organization.view(neighbour).find_mailbox(box.guid)
        assert behind is not None
        assert behind.blocked == ()
    with Organization.connect(settings_of(lab, controllers=(neighbour,)), lab.password) as organization:
        assert organization.read_access(box.guid, box.dn) == AccessLists((), (), neighbour)


@pytest.mark.parametrize("profile", ["2010sp1", "2019"])
def test_errors_that_another_server_passed_on_are_told_apart(make_lab: MakeLab, profile: str) -> None:
    """The type of what was thrown is wrapped then, and Exchange 2010 has no failure category in its ids."""
    lab = make_lab(dialect=DIALECTS["passed-on"], profile=profile)
    box = next(box for box in lab.organization.mailboxes if box.kind == "UserMailbox")
    lab.organization.change_mailbox(box, protected=True)
    with Organization.connect(settings_of(lab), lab.password) as organization:
        with pytest.raises(CmdletFailed) as denied:
            organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Permits())
        with pytest.raises(CmdletFailed) as gone:
            organization.read_access("00000000-0000-0000-0000-00000000dead", box.dn)
        elsewhere = next(box for box in lab.organization.mailboxes if box.kind == "DisabledUser" and box.devices)
        with pytest.raises(CmdletFailed) as orphan:
            organization.statistics(elsewhere.devices[0].guid)
    assert (denied.value.access_denied, gone.value.not_found) == (True, True)
    assert (orphan.value.access_denied, orphan.value.not_found) == (False, False)


@pytest.mark.parametrize("dialect", ["exclusive-lists", "dutch", "german", "all-at-once", "narrow-select"])
def test_every_dialect_is_written_alike(make_lab: MakeLab, dialect: str) -> None:
    """What Exchange may do otherwise changes no outcome: what comes back is what the lab has."""
    lab = make_lab(dialect=DIALECTS[dialect])
    with Organization.connect(settings_of(lab), lab.password) as organization:
        box = Site(lab, organization).mailbox(blocked=("X",))
        lists = organization.set_access(box.guid, box.dn, AccessChange(allow=("X",), unblock=("X",)), Permits())
        assert (lists.allowed, lists.blocked) == (("X",), ())
        lists = organization.set_access(box.guid, box.dn, AccessChange(block=("x",)), Permits())
        after = Site(lab, organization).now(box)
    assert (lists.allowed, lists.blocked) == (after.allowed, after.blocked)
    assert after.blocked == ("x",)
    assert after.allowed == (() if dialect == "exclusive-lists" else ("X",))


def test_a_list_that_is_hidden_is_not_written(make_lab: MakeLab) -> None:
    """Hidden lists read as unknown, not as empty, and a change of one ends in words before anything is sent."""
    lab = make_lab(dialect=DIALECTS["hidden-lists"])
    with Organization.connect(settings_of(lab), lab.password) as organization:
        here = Site(lab, organization)
        box = here.mailbox()
        lists = organization.read_access(box.guid, box.dn)
        assert (lists.allowed, lists.blocked) == (None, None)
        with pytest.raises(CmdletFailed, match="does not show the list that is to change"):
            organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Permits())
    assert "Set-CASMailbox" not in {call.cmdlet for call in lab.calls}
    assert here.now(box).blocked == ()


def test_roles_that_only_read_cannot_write(make_lab: MakeLab) -> None:
    """Without the role the cmdlet does not exist, and the words name it and a role that has it."""
    lab = make_lab(roles=("View-Only Recipients", "View-Only Configuration"))
    with Organization.connect(settings_of(lab), lab.password) as organization:
        box = Site(lab, organization).mailbox()
        with pytest.raises(CmdletNotGranted) as caught:
            organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Permits())
    assert str(caught.value).startswith("The account has no right to use Set-CASMailbox on localhost.")
    assert "Mail Recipients" in str(caught.value)
    assert Site(lab, organization).now(box).blocked == ()


def test_a_parameter_that_no_role_grants_is_named(make_lab: MakeLab) -> None:
    """A role cut down to the allowed list cannot block, and the words say which parameter is missing."""
    kept = "Identity DomainController Confirm ActiveSyncAllowedDeviceIDs"
    lab = make_lab(roles=("View-Only Recipients", "Exchange Servers", rf"Mail Recipients\Set-CASMailbox {kept}"))
    with Organization.connect(settings_of(lab), lab.password) as organization:
        here = Site(lab, organization)
        box = here.mailbox()
        organization.set_access(box.guid, box.dn, AccessChange(allow=("X",)), Permits())
        with pytest.raises(CmdletNotGranted, match="the parameter -ActiveSyncBlockedDeviceIDs of Set-CASMailbox"):
            organization.set_access(box.guid, box.dn, AccessChange(block=("Y",)), Permits())
    assert (here.now(box).allowed, here.now(box).blocked) == (("X",), ())
