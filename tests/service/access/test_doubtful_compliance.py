"""What is stale, empty, ambiguous, of somebody else or too good takes no access away, and gives none.

Tried on what is published, with a policy that would block at once.
"""

from datetime import UTC, datetime, timedelta

import pytest

from tests.service.access.deciding import CLOSED, Tenant
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.test_compliance import Reporter, many, person, record, reporter_of
from tests.service.writing import Writer

ALLOWED = ("allow", "compliant", "allow")
BLOCKED = ("block", "noncompliant", "block")


@pytest.fixture
def tenant(writer: Writer, look: Look) -> Tenant:
    """A tenant whose Exchange quarantines what it does not know, and whose policy blocks what does not comply."""
    tenant = Tenant(writer, look)
    tenant.settings(CLOSED)
    tenant.policy({"unmanaged": "quarantine", "noncompliant": "block"})
    return tenant


@pytest.fixture
def reporter(tenant: Tenant) -> Reporter:
    """A source that has told everything it knows: the first device complies."""
    reporter = reporter_of(tenant.writer.service)
    reporter.put("people", people=[person(number) for number in range(4)])
    reporter.report(record(0), record(2), complete=True)
    return reporter


def test_what_is_reported_is_published_before_the_answer(tenant: Tenant, reporter: Reporter) -> None:
    """Compliant, not compliant, forgotten, compliant again; a person whose devices change changes none of others."""
    assert tenant.published(0) == ALLOWED
    reporter.report(record(0, "noncompliant"))
    assert tenant.published(0) == BLOCKED
    assert tenant.decided(0)["inputs"] == {"compliance": "noncompliant"}
    reporter.report(record(0, "noncompliant", device_ids=["DEV00001"]))
    assert (tenant.published(0), tenant.published(1)) == (("quarantine", "unmanaged", "none"), BLOCKED)
    reporter.report(record(0))
    assert (tenant.published(0), tenant.published(1)) == (ALLOWED, ("quarantine", "unmanaged", "none"))
    assert tenant.published(2) == ALLOWED


def test_a_stale_source_blocks_nobody_and_its_word_counts_once_it_is_fresh(
    tenant: Tenant, reporter: Reporter, look: Look
) -> None:
    """Also where a grace period ends meanwhile, and for phones that appear; each second the service looks in vain."""
    look("UPDATE sources SET fresh_at = now() - interval '25 hours'")
    reporter.report(record(0, "noncompliant"))
    look("UPDATE decisions SET review_at = now()")
    tenant.follow()
    assert tenant.published(0) == tenant.published(2) == ALLOWED
    assert tenant.decided(0)["inputs"] == {"compliance": "compliant", "kept": "stale"}
    tenant.tell(device(8), mailboxes=(mailbox(4),))
    assert (tenant.level(8), tenant.published(8)) == (("leave", "stale"), None)
    reporter.report(record(0, "noncompliant"), record(2), complete=True)
    assert (tenant.published(0), tenant.published(2)) == (BLOCKED, ALLOWED)
    assert tenant.published(8) == ("quarantine", "unmanaged", "none")


def test_an_empty_or_short_list_takes_no_access_away(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """Everything stays as it is while it is held, whatever else is told; then what is true counts."""
    assert reporter.report(complete=True, status=409)["why"] == "empty"
    reporter.report(record(0, "noncompliant"), record(2, device_ids=[]))
    look("UPDATE decisions SET review_at = now()")
    tenant.follow()
    assert tenant.published(0) == tenant.published(2) == ALLOWED
    reporter.report(*many(60, "compliant"), complete=True)
    assert reporter.report(record(0, "noncompliant"), complete=True, status=409)["why"] == "shrunk"
    assert tenant.published(0) == tenant.published(2) == ALLOWED
    reporter.report(record(0, "noncompliant"), *many(60, "compliant")[1:], complete=True)
    assert (tenant.published(0), tenant.published(2)) == (BLOCKED, ALLOWED)


def test_a_source_that_is_too_good_lets_nobody_in(tenant: Tenant, reporter: Reporter) -> None:
    """What was blocked stays blocked, also by small reports that follow, until somebody accepts it."""
    reporter.report(*many(60, "noncompliant"), complete=True)
    assert tenant.published(0) == BLOCKED
    assert reporter.report(*many(60, "compliant"), complete=True, status=409)["why"] == "too-good"
    reporter.report(record(0))
    assert tenant.published(0) == BLOCKED
    assert tenant.decided(0)["inputs"] == {"compliance": "noncompliant", "kept": "stale"}
    assert reporter.call("POST", f"sources/{reporter.source}/accept").status_code == 204
    assert (tenant.published(0), tenant.published(2)) == (ALLOWED, BLOCKED)
    reporter.report(*many(60, "compliant"), complete=True)
    assert tenant.published(2) == ALLOWED


def test_what_is_ambiguous_keeps_what_was_decided(tenant: Tenant, reporter: Reporter) -> None:
    """Two sources that disagree, and records of another user: who was let in stays in, who was kept out stays out."""
    reporter.report(record(2, "noncompliant"))
    reporter.add_source("Jamf")
    reporter.report(record(0, "noncompliant"), record(2))
    assert (tenant.published(0), tenant.published(2)) == (ALLOWED, BLOCKED)
    assert tenant.decided(0)["inputs"] == {"compliance": "compliant", "kept": "ambiguous"}
    reporter.report(record(0), record(2, "noncompliant"), record(6, "noncompliant", user="user0@example.test"))
    assert (tenant.published(0), tenant.published(2)) == (ALLOWED, BLOCKED)
    assert tenant.published(6) == ("quarantine", "unmanaged", "none")
    assert tenant.decided(6)["inputs"]["kept"] == "ambiguous"


def test_a_grace_period_begins_when_the_service_learns_of_it(tenant: Tenant, reporter: Reporter) -> None:
    """However long ago the source looked: nobody is blocked by a report about last month without a warning."""
    tenant.policy({"noncompliant": "block", "grace": {"noncompliant": 3_600, "warn": 600}})
    reporter.add_source("Jamf")
    long_ago = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    reporter.report(record(4, "noncompliant", checked_at=long_ago))
    assert tenant.published(4) == ("allow", "noncompliant-grace", "allow")
    assert tenant.decided(4)["until"] > datetime.now(UTC) + timedelta(seconds=3_500)


def test_a_mailbox_that_comes_back_finds_what_it_left(tenant: Tenant, reporter: Reporter, look: Look) -> None:
    """It moved away and is back while the source is stale: who had access has it, who had none has none."""
    reporter.report(record(1, "noncompliant"))
    look("UPDATE sources SET fresh_at = now() - interval '25 hours'")
    tenant.tell(mailboxes=(mailbox(0, kind="remote"),))
    assert tenant.level(0) == tenant.level(1) == ("leave", "elsewhere")
    tenant.tell(mailboxes=(mailbox(0),))
    assert (tenant.published(0), tenant.published(1)) == (ALLOWED, BLOCKED)
    assert tenant.decided(0)["inputs"] == {"kept": "stale"}
