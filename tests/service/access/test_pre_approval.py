"""Approval ahead: a compliant device of a known person is let in before it comes; few, a while, and by the guard."""

from typing import Any

import pytest

from tests.service.access.deciding import CLOSED, Tenant
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.test_compliance import Reporter, person, record, reporter_of
from tests.service.writing import Writer

POLICY: dict[str, Any] = {"pre_approval": {"enabled": True, "per_mailbox": 2, "days": 7}}


@pytest.fixture
def tenant(writer: Writer, look: Look) -> Tenant:
    """A tenant whose Exchange quarantines what it does not know, and whose policy approves ahead."""
    tenant = Tenant(writer, look)
    tenant.settings(CLOSED)
    tenant.policy(POLICY)
    return tenant


@pytest.fixture
def reporter(tenant: Tenant) -> Reporter:
    """A source of which nothing is known yet, and two known people."""
    reporter = reporter_of(tenant.writer.service)
    reporter.put("people", people=[person(0), person(1)])
    return reporter


def new(number: int, user: int = 0, state: str = "compliant", **fields: Any) -> dict[str, Any]:
    """A record of a device that Exchange has not seen."""
    return record(number, state, device_ids=[f"NEW{number}"], user=f"user{user}@example.test", **fields)


def ahead(look: Look) -> dict[str, tuple[str, str]]:
    """Level and reason of what is published of ids that were new."""
    rows = look("SELECT device_id, level, reason FROM desired WHERE device_id ILIKE 'new%%' ORDER BY device_id")
    return {row["device_id"]: (row["level"], row["reason"]) for row in rows}


ALLOWED = ("allow", "pre-approved")


def test_a_compliant_device_is_approved_before_it_comes(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """Of a known person only, two for a mailbox; one that complies no more is taken off, and makes room."""
    reporter.report(new(1), new(2), new(3), new(4, user=1, state="noncompliant"), new(5, user=3), new(6, user=9))
    assert ahead(look) == {"new1": ALLOWED, "new2": ALLOWED}
    assert look("SELECT list, device_id FROM list_entries ORDER BY 2") == [
        {"list": "allow", "device_id": "new1"},
        {"list": "allow", "device_id": "new2"},
    ]
    reporter.report(new(1, state="noncompliant"))
    assert ahead(look) == {"new1": ("leave", "noncompliant"), "new2": ALLOWED}
    reporter.report(new(3, name="again"), new(7))
    assert ahead(look)["new7"] == ALLOWED
    reporter.put("people", people=[person(3)])
    assert ahead(look)["new5"] == ALLOWED


def test_when_it_comes_it_is_decided_as_every_device(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """Under the spelling that it has; what stood ahead is let go, and whatever is decided of it stands."""
    reporter.report(new(1), new(2))
    tenant.tell(device(8, device_id="NEW1", mailbox_guid=mailbox(0)[0]))
    assert ahead(look) == {"NEW1": ("allow", "compliant"), "new1": ("leave", "gone"), "new2": ALLOWED}
    reporter.report(new(1, state="noncompliant"))
    assert ahead(look)["NEW1"] == ("block", "noncompliant")
    tenant.tell(device(9, device_id="new2", mailbox_guid=mailbox(0)[0]))
    assert ahead(look)["new2"] == ("allow", "compliant")
    assert look("SELECT count(*) AS n FROM pre_approvals WHERE ended_at IS NULL") == [{"n": 0}]


def test_one_that_is_not_used_is_taken_back(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """After its days, for good: the same report again does not bring it back, a device that complies anew does."""
    reporter.report(new(1))
    look("UPDATE pre_approvals SET made_at = now() - interval '8 days'")
    look("UPDATE decisions SET review_at = now() WHERE device_id = 'new1'")
    tenant.follow()
    assert ahead(look) == {"new1": ("leave", "gone")}
    reporter.report(new(1, name="again"), complete=True)
    assert ahead(look) == {"new1": ("leave", "gone")}
    reporter.report(new(1, state="noncompliant"))
    reporter.report(new(1))
    assert ahead(look) == {"new1": ALLOWED}


def test_what_is_doubtful_approves_nothing_and_takes_nothing_back(
    tenant: Tenant, reporter: Reporter, look: Look
) -> None:
    """A stale source, sources that disagree, a record that names nobody; a policy that is switched off ends it."""
    reporter.report(new(1), complete=True)
    look("UPDATE sources SET fresh_at = now() - interval '2 days'")
    reporter.report(new(1, name="again", state="unknown"), new(2))
    look("UPDATE decisions SET review_at = now()")
    tenant.follow()
    assert ahead(look) == {"new1": ALLOWED}
    reporter.report(new(1), new(2), record(3, device_ids=["NEW3"], user=""), complete=True)
    assert ahead(look) == {"new1": ALLOWED, "new2": ALLOWED}
    reporter.add_source("Jamf")
    reporter.report(new(1, state="noncompliant"))
    assert ahead(look)["new1"] == ALLOWED
    tenant.policy({"pre_approval": {"enabled": False}})
    assert {level for level, _ in ahead(look).values()} == {"leave"}


def test_rules_that_could_speak_of_it_and_pins_go_before(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """A rule that cannot be told before the device says what it is; a policy that leaves compliant devices alone."""
    android = {"id": "a", "name": "Android", "level": "block", "when": {"family": ["android"]}}
    tenant.policy({**POLICY, "rules": [android]})
    reporter.report(new(1))
    assert ahead(look) == {}
    tenant.policy({**POLICY, "override_default": False})
    assert ahead(look) == {}
    tenant.policy(POLICY)
    assert ahead(look) == {"new1": ALLOWED}


def test_a_flood_of_approvals_is_held(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """Giving access has a budget of its own: what a source gone wrong asks beyond it waits for somebody."""
    look("INSERT INTO guard_settings (give) VALUES (1)")
    reporter.report(new(1), new(2, user=1))
    assert len(ahead(look)) == 1
    assert look("SELECT verb, state FROM holds") == [{"verb": "give", "state": "open"}]


def test_it_loses_nothing_by_coming(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """Not where the source is stale just then, and not unguarded where it is to be left alone, in whatever spelling."""
    reporter.report(new(1), new(2), new(3, user=1), complete=True)
    look("UPDATE sources SET fresh_at = now() - interval '2 days'")
    tenant.tell(
        device(8, device_id="NEW1", mailbox_guid=mailbox(0)[0]), device(9, device_id="new2", mailbox_guid=mailbox(0)[0])
    )
    assert ahead(look) == {
        "NEW1": ("allow", "compliant"),
        "new1": ("leave", "gone"),
        "new2": ("allow", "compliant"),
        "new3": ALLOWED,
    }
    look("INSERT INTO guard_settings (take) VALUES (0)")
    [hands_off] = [{"id": "x", "name": "Windows", "level": "leave", "when": {"model": ["Surface"]}}]
    tenant.policy({**POLICY, "rules": [hands_off]})
    tenant.tell(device(10, device_id="NEW3", mailbox_guid=mailbox(1)[0], model="Surface"))
    assert ahead(look)["new3"] == ALLOWED
    assert "NEW3" not in ahead(look)
    [item] = look("SELECT device_id, level, state FROM hold_items")
    assert tuple(item.values()) == ("NEW3", "leave", "held")
    look("UPDATE guard_settings SET take = NULL")
    look("DELETE FROM hold_items")
    tenant.mark("NEW3")
    tenant.follow()
    assert (ahead(look)["NEW3"], ahead(look)["new3"]) == (("leave", "rule"), ("leave", "gone"))
