"""Deciding: what is due is decided of what is there, guarded, published, and written down with what it was made of."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from gatepost.domain.contract import iso
from gatepost.domain.desired import Level, ListName
from gatepost.service import removal
from gatepost.service.access import deciding, due, facts
from gatepost.service.access.due import Cause
from gatepost.service.database import Scope
from tests.service.access.deciding import CLOSED, OPEN, Tenant, wait_for
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.test_access import events, findings
from tests.service.writing import MAILBOX, Writer, wrote

PERSON = UUID(int=7)
SOURCE = Cause("source")
STRICT: dict[str, Any] = {"unmanaged": "quarantine", "noncompliant": "block"}


@pytest.fixture
def tenant(writer: Writer, look: Look) -> Tenant:
    """A tenant whose Exchange quarantines what it does not know, with a compliance source."""
    tenant = Tenant(writer, look)
    tenant.settings(CLOSED)
    tenant.source()
    return tenant


def test_nothing_is_decided_without_a_policy(tenant: Tenant, look: Look) -> None:
    """New devices leave no mark; there is no decision, and nothing is published."""
    tenant.tell(device(8), device(0, model="iPhone99C1"), mailboxes=(mailbox(4),))
    tenant.follow()
    for table in ("decisions_due", "decisions", "desired"):
        assert look(f"SELECT count(*) AS n FROM {table}") == [{"n": 0}]


def test_a_policy_decides_every_device_and_compliance_follows(tenant: Tenant, look: Look) -> None:
    """Unmanaged: quarantined, which is no list; compliant: allowed at once; no more so: blocked. The trail says why."""
    version = tenant.policy(STRICT)
    assert look("SELECT count(*) AS n FROM decisions WHERE level = 'quarantine' AND reason = 'unmanaged'") == [{"n": 8}]
    assert tenant.published(0) == ("quarantine", "unmanaged", "none")
    tenant.managed(0, "compliant")
    assert tenant.published(0) == ("allow", "compliant", "allow")
    tenant.managed(0, "noncompliant", datetime.now(UTC) - timedelta(days=1))
    assert tenant.published(0) == ("block", "noncompliant", "block")
    assert look("SELECT count(*) AS n FROM decisions_due") == [{"n": 0}]
    last = events(look, "service:level:published")[-1]
    assert (last["level"], last["was"], last["policy"], last["cause"]) == ("block", "allow", version, "source")
    assert last["inputs"] == {"compliance": "noncompliant"}
    assert look("SELECT list, ownership FROM list_entries WHERE released_revision IS NULL") == [
        {"list": "block", "ownership": "intended"}
    ]


def test_a_new_device_is_decided_by_the_check_in_that_tells_of_it(tenant: Tenant) -> None:
    """Before the connector has its answer; one that changes what it is, too."""
    old = {
        "id": "old",
        "name": "Old",
        "level": "block",
        "when": {"os": {"name": ["iOS*"], "operator": "<", "version": "17"}},
    }
    tenant.policy({**STRICT, "rules": [old]})
    tenant.tell(device(8), mailboxes=(mailbox(4),))
    assert tenant.level(8) == ("quarantine", "unmanaged")
    tenant.tell(device(8, os="iOS 16.1 20A1"))
    assert tenant.level(8) == ("block", "rule")
    assert (tenant.decided(8)["rule"], tenant.published(8)) == ("old", ("block", "rule", "block"))


def test_what_did_not_change_is_not_decided_again(tenant: Tenant, look: Look) -> None:
    """A new time of the last synchronisation marks nothing, but for a device that a rule decided."""
    idle = {"id": "idle", "name": "Idle", "level": "block", "when": {"synced_days_ago": 30}}
    tenant.policy({**STRICT, "rules": [idle]})
    long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    tenant.tell(device(0, last_success_sync_at=long_ago))
    assert tenant.level(0) == ("quarantine", "unmanaged")
    tenant.mark("DEV00000")
    tenant.follow()
    assert tenant.level(0) == ("block", "rule")
    before = look("SELECT decided_at FROM decisions WHERE device_id = 'DEV00002'")
    now = datetime.now(UTC).isoformat()
    tenant.tell(device(0, last_success_sync_at=now), device(2, last_success_sync_at=now))
    assert tenant.level(0) == ("quarantine", "unmanaged")
    assert look("SELECT decided_at FROM decisions WHERE device_id = 'DEV00002'") == before


def test_time_alone_ends_a_grace_period(tenant: Tenant, look: Look) -> None:
    """With a warning before its end; whoever looks each second finds what is to be looked at again."""
    tenant.policy({**STRICT, "grace": {"noncompliant": 3_600, "warn": 600}})
    look("UPDATE decisions SET announce = NULL")
    tenant.managed(0, "noncompliant", datetime.now(UTC))
    row = tenant.decided(0)
    assert (row["level"], row["reason"], row["warns"], row["announce"]) == (
        "allow",
        "noncompliant-grace",
        False,
        "allowed",
    )
    assert row["review_at"] == row["until"] - timedelta(seconds=600)
    look("UPDATE devices SET managed_since = now() - interval '55 minutes' WHERE device_id = 'DEV00000'")
    look("UPDATE decisions SET announce = NULL, review_at = now() WHERE device_id = 'DEV00000'")
    tenant.follow()
    row = tenant.decided(0)
    assert (row["level"], row["warns"], row["announce"], row["review_at"]) == ("allow", True, "warning", row["until"])
    look("UPDATE devices SET managed_since = now() - interval '2 hours' WHERE device_id = 'DEV00000'")
    look("UPDATE decisions SET announce = NULL, review_at = now() WHERE device_id = 'DEV00000'")
    tenant.follow()
    row = tenant.decided(0)
    assert (row["level"], row["reason"], row["announce"], row["review_at"]) == (
        "block",
        "noncompliant",
        "blocked",
        None,
    )


def test_a_person_is_told_of_what_was_not_turned_back(tenant: Tenant) -> None:
    """Quarantined, then allowed; but nothing of a block that was over before anybody was told.

    Of a phone that Exchange kept out all along nothing is told when a policy keeps it out too: nothing was lost.
    """
    tenant.policy(STRICT)
    assert (tenant.level(0), tenant.decided(0)["announce"]) == (("quarantine", "unmanaged"), None)
    appeared = iso(datetime.now(UTC) - timedelta(hours=1))
    tenant.tell(device(8, first_sync_at=appeared), mailboxes=(mailbox(4),))
    assert tenant.decided(8)["announce"] == "quarantined"
    tenant.look("UPDATE decisions SET announce = NULL")
    tenant.managed(0, "compliant")
    assert tenant.decided(0)["announce"] == "allowed"
    tenant.look("UPDATE decisions SET announce = NULL")
    tenant.managed(0, "noncompliant")
    assert tenant.decided(0)["announce"] == "blocked"
    tenant.managed(0, "compliant")
    assert tenant.decided(0)["announce"] is None


def test_a_pin_goes_before_the_policy_and_then_the_policy_holds_again(tenant: Tenant, look: Look) -> None:
    """Set and removed: decided in the same transaction, with the reason of whoever decided.

    A pin is not held whatever the budget; what the policy makes of its end goes by the budget.
    """
    tenant.policy(STRICT)
    look("INSERT INTO guard_settings (take, give) VALUES (0, 0)")
    tenant.writer.pin()
    assert tenant.published(0) == ("allow", "pinned", "allow")
    tenant.writer.unpin()
    assert (tenant.level(0), tenant.published(0)) == (("quarantine", "unmanaged"), ("allow", "pinned", "allow"))
    look("UPDATE guard_settings SET take = NULL, give = NULL")
    tenant.writer.pin()
    tenant.writer.unpin()
    assert tenant.published(0) == ("quarantine", "unmanaged", "none")
    tenant.writer.pin("block", until=datetime.now(UTC) + timedelta(hours=1))
    assert tenant.level(0) == ("block", "pinned")
    look("UPDATE pins SET until = now() - interval '1 second'")
    look("UPDATE decisions SET review_at = now() WHERE device_id = 'DEV00000'")
    tenant.follow()
    assert tenant.published(0) == ("quarantine", "unmanaged", "none")


def test_a_held_device_keeps_what_is_published(tenant: Tenant, look: Look) -> None:
    """Its decision is written down all the same."""
    tenant.policy(STRICT)
    look("INSERT INTO guard_settings (take, give) VALUES (0, 0)")
    tenant.managed(0, "compliant")
    assert tenant.level(0) == ("allow", "compliant")
    assert tenant.published(0) == ("quarantine", "unmanaged", "none")
    tenant.managed(0, "unmanaged")
    assert tenant.level(0) == ("quarantine", "unmanaged")


def test_a_silent_source_changes_nothing(tenant: Tenant, look: Look) -> None:
    """What was decided stays; a device that nobody knew before is left alone."""
    tenant.policy(STRICT)
    tenant.managed(0, "compliant")
    look("UPDATE sources SET fresh_at = now() - interval '2 days'")
    tenant.managed(0, "noncompliant")
    tenant.tell(device(8), mailboxes=(mailbox(4),))
    assert (tenant.level(0), tenant.level(8)) == (("allow", "compliant"), ("leave", "stale"))
    look("UPDATE sources SET fresh_at = now()")
    tenant.run(lambda scope: due.mark_decided(scope, ["stale"], Cause("source")))
    tenant.follow()
    assert (tenant.level(0), tenant.level(8)) == (("block", "noncompliant"), ("quarantine", "unmanaged"))


@pytest.mark.parametrize("change", ["UPDATE mailboxes SET kind = 'remote'", "UPDATE devices SET gone_at = now()"])
def test_what_seems_to_be_gone_keeps_what_is_published(tenant: Tenant, look: Look, change: str) -> None:
    """A bad inventory must not take entries off: it may be back with the next one."""
    tenant.policy({**STRICT, "grace": {"noncompliant": 3_600}})
    tenant.managed(0, "noncompliant", datetime.now(UTC))
    look(change)
    look("UPDATE decisions SET review_at = now() WHERE device_id = 'DEV00000'")
    tenant.mark("DEV00000")
    tenant.follow()
    assert tenant.published(0) == ("allow", "noncompliant-grace", "allow")
    assert tenant.decided(0)["review_at"] is None


@pytest.mark.parametrize("state", ["removing", "removed"])
def test_nothing_is_decided_while_a_connection_is_removed(tenant: Tenant, look: Look, state: str) -> None:
    """What is marked stays marked."""
    tenant.policy(STRICT)
    look("UPDATE organizations SET state = %s", state)
    tenant.run(lambda scope: due.mark(scope, tenant.writer.organization, [(MAILBOX, "DEV00000")], Cause("source")))
    look("UPDATE devices SET managed = 'compliant'")
    tenant.follow()
    assert tenant.published(0) == ("quarantine", "unmanaged", "none")


def test_what_exchange_cannot_express_is_one_finding_with_a_number(tenant: Tenant, look: Look) -> None:
    """Quarantine under a default that allows; it ends when the default is changed."""
    tenant.policy(STRICT)
    assert findings(look) == []
    tenant.settings(OPEN)
    tenant.follow()
    [row] = look("SELECT code, cause, remedy FROM findings WHERE origin = 'service' AND ended_at IS NULL")
    assert row["code"] == "beyond-default-allows"
    assert row["cause"].startswith("Devices that are to be quarantined have access: 8.")
    assert tenant.published(0) == ("quarantine", "unmanaged", "none")
    tenant.settings(CLOSED)
    tenant.follow()
    assert findings(look) == []


def test_a_device_that_somebody_else_allowed_is_not_blocked(tenant: Tenant, look: Look) -> None:
    """The entry stays, the finding says it, and nobody is told that the device is blocked."""
    tenant.tell(mailboxes=(mailbox(0, allowed_ids=["dev00000"]),))
    tenant.policy({"unmanaged": "block"})
    assert tenant.published(0) == ("block", "unmanaged", "block")
    row = tenant.decided(0)
    assert (row["beyond"], row["announce"]) == ("foreign-allow", None)
    assert ("list-conflict", f"{MAILBOX}/DEV00000") in findings(look)


def test_a_mark_that_is_set_while_it_is_decided_stays(tenant: Tenant, look: Look) -> None:
    """Nothing that is committed after the facts were read is lost."""
    tenant.policy(STRICT)
    look("UPDATE decisions_due SET due_at = now()")

    async def mark_and_take(scope: Scope) -> None:
        await due.mark_device_ids(scope, ["dev00000"], Cause("source"))
        assert len(await due.take(scope, tenant.writer.organization, 10)) == 1
        await due.done(scope, tenant.writer.organization, [(MAILBOX, "DEV00000")])
        await due.mark_device_ids(scope, ["dev00000"], Cause("source"))

    tenant.run(mark_and_take)
    look("UPDATE devices SET managed = 'compliant' WHERE device_id = 'DEV00000'")
    tenant.follow()
    assert tenant.level(0) == ("allow", "compliant")


def test_whose_change_it_is_stays_known(tenant: Tenant, look: Look) -> None:
    """Of the last who asked for something, for that is what is decided; an approved hold's; then who told what is."""
    tenant.policy(STRICT)
    anna, bert = Cause("policy", "7", tenant.anna.administrator_id), Cause("policy", "8", uuid4())
    told, hold = Cause("source", "x", uuid4()), Cause("hold", "h")

    async def causes(scope: Scope) -> list[Cause]:
        seen = []
        for cause in (told, Cause("sync"), hold, told, anna, hold, told, bert, anna):
            await due.mark_device_ids(scope, ["dev00000"], cause)
            [kept] = (await due.take(scope, tenant.writer.organization, 10)).values()
            seen.append(kept)
        return seen

    assert tenant.run(causes) == [told, Cause("sync"), hold, hold, anna, anna, anna, bert, anna]


def test_a_batch_after_the_other(tenant: Tenant, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """More devices than a batch holds are decided all the same, some in a thread."""
    monkeypatch.setattr(deciding, "BATCH", 3)
    monkeypatch.setattr(facts, "INLINE", 1)
    tenant.policy(STRICT)
    assert look("SELECT count(*) AS n FROM decisions") == [{"n": 8}]
    assert look("SELECT count(*) AS n FROM decisions_due") == [{"n": 0}]


def test_each_second_is_enough(tenant: Tenant, look: Look) -> None:
    """Nobody follows, as where a process died after its commit: a replica that looks finds it within seconds."""
    tenant.policy(STRICT)
    look("UPDATE devices SET managed = 'compliant' WHERE device_id IN ('DEV00000', 'DEV00002')")
    tenant.mark("DEV00000")
    look("UPDATE decisions SET review_at = now() WHERE device_id = 'DEV00002'")
    wait_for(lambda: tenant.published(0) == tenant.published(2) == ("allow", "compliant", "allow"))


@pytest.mark.parametrize(
    ("mark", "marked"),
    [
        (lambda tenant, scope: due.mark_mailboxes(scope, tenant.writer.organization, [MAILBOX], SOURCE), 2),
        (lambda _, scope: due.mark_people(scope, [PERSON], SOURCE), 2),
        (lambda _, scope: due.mark_device_ids(scope, ["dev00003"], SOURCE), 1),
        (lambda _, scope: due.mark_all(scope, SOURCE), 8),
        (lambda _, scope: due.mark_decided(scope, ["unmanaged"], SOURCE), 7),
        (lambda tenant, scope: due.mark_levels(scope, tenant.writer.organization, [Level.ALLOW], SOURCE), 1),
    ],
)
def test_what_is_concerned_is_marked(
    tenant: Tenant, look: Look, mark: Callable[[Tenant, Scope], Awaitable[None]], marked: int
) -> None:
    """By mailbox, person, id, reason or level; and nothing of that where no policy was ever rolled out."""
    look("INSERT INTO people (person_id, upn) VALUES (%s, 'anna')", PERSON)
    look("UPDATE mailboxes SET person_id = %s WHERE guid = %s", PERSON, MAILBOX)

    async def count(scope: Scope) -> int:
        await mark(tenant, scope)
        return len(await due.take(scope, tenant.writer.organization, 100))

    assert tenant.run(count) == 0
    tenant.policy(STRICT)
    tenant.managed(0, "compliant")
    assert tenant.run(count) == marked


def test_a_connection_that_lives_on_is_decided_anew(tenant: Tenant, look: Look) -> None:
    """Its removal is cancelled, or it is set up again: what was published then is not what is decided."""
    tenant.policy(STRICT)
    tenant.managed(0, "compliant")
    tenant.writer.say(wrote(ListName.ALLOW, look("SELECT max(revision) AS n FROM desired")[0]["n"]))

    async def undo(scope: Scope) -> None:
        seen = await removal.preview(scope, tenant.writer.organization)
        await removal.ask(scope, tenant.writer.organization, "undo", seen.digest, tenant.anna)

    tenant.run(undo)
    assert tenant.published(0) == ("leave", "The connection was removed.", "none")
    tenant.run(lambda scope: removal.cancel(scope, tenant.writer.organization, tenant.anna))
    tenant.follow()
    assert tenant.published(0) == ("allow", "compliant", "allow")
    look("UPDATE organizations SET state = 'removed', removed_at = now()")
    look("UPDATE desired SET level = 'leave', entry = 'none'")
    tenant.writer.speaker.enrol(tenant.writer.service.ticket())
    tenant.follow()
    assert tenant.published(0) == ("allow", "compliant", "allow")
