"""What some statements need instead of their examples, to find or change something of acme's in acme's own scope."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID, uuid4

from gatepost.service.statements import STATEMENTS
from tests.service.filled.rows import SECRET, START
from tests.service.speaker import mailbox

One = Callable[[LiteralString], dict[str, Any]]  # the first row of a query, past row-level security
Parameters = dict[str, dict[str, Any]]  # by statement


def particular(one: One, disabled: UUID) -> Parameters:
    """What some statements need instead, so that they find or change something of acme's in acme's own scope."""
    found = {"first": "only", "first_end": "only\U0010ffff"}
    return {
        "alerts.add_target": {"target_id": uuid4()},
        **_of_notices(one),
        "alerts.done": one("SELECT array_agg(delivery_id) AS delivery_ids FROM alert_deliveries"),
        "administrators.enable": {"administrator_id": disabled},
        "administrators.create": {"name": "another", "administrator_id": uuid4()},
        "sessions.end": {"but": None},
        "sessions.open": {"session_id": uuid4()},
        "compliance.add_source": {"source_id": uuid4(), "name": "another"},
        "compliance.devices_of_ids": {"ids": ["dev00000"]},
        "compliance.named": {"source_id": None},
        "compliance.of_device": {"device_id": "DEV00000"},
        "compliance.people_of_ids": {"ids": ["dev00000"]},
        "compliance.remove": {"managed_id": SECRET},
        "compliance.restand_people": one("SELECT array_agg(person_id) AS person_ids FROM people"),
        "directory.intern_audiences": one("SELECT array_agg(person_id) AS person_ids FROM people"),
        "directory.match_mailboxes": {"addresses": ["user0@example.test"]},
        "directory.match_records": {"addresses": [SECRET.lower()]},
        "pre_approval.load": {"device_ids": ["unseen"]},
        "pre_approval.mark_ids": {"ids": ["dev00000"]},
        "pre_approval.superseded": {"device_ids": ["dev00000"]},
        "connections.accept": {"sync_id": "held"},
        "decisions.audiences": one("SELECT array_agg(audience_id) AS audience_ids FROM audiences"),
        "decisions.load": {"device_ids": ["DEV00000"]},
        "due.mark_device_ids": {"folded_ids": ["dev00000"]},
        "due.mark_people": one("SELECT array_agg(person_id) AS person_ids FROM people"),
        "connections.request_sync": {"kind": "full"},
        "devices_queries.changed_with_words": found,
        "devices_queries.newest_with_words": found,
        "devices_queries.by_keys": {"device_ids": ["DEV00000"]},
        "devices_queries.mailbox": {"guid": UUID(mailbox(0)[0])},
        "enrolment.add_connector": {"epoch": 2},
        "enrolment.add_ticket": {"ticket_hash": b"new"},
        "certificates.of_key": one("SELECT connector_id, public_key FROM connector_certificates"),
        "enrolment.connector": one("SELECT connector_id, serial FROM connector_certificates"),
        "enrolment.supersede": {"epoch": 2},
        "enrolment.use_ticket": one("SELECT ticket_hash FROM tickets WHERE used_at IS NULL"),
        "ingest.end_lease": {"spoken_at": datetime(2100, 1, 1, tzinfo=UTC)},
        "ingest.older_lease": {"connector_id": uuid4()},
        "merge.forget_words": one("SELECT array_agg(word) AS words FROM device_words"),
        "policies.known_groups": one("SELECT array_agg(group_id::text) AS names FROM groups"),
        "preview.facts": one("SELECT array_agg(facts_id) AS facts_ids FROM device_facts"),
        "preview.group_names": one("SELECT array_agg(group_id::text) AS names FROM groups"),
        "onboarding.end_switch": {"state": "wished"},
        "onboarding.entries": {"group_id": None},
        "onboarding.mailboxes": {"addresses": ["user0@example.test"]},
        "sealing.advance": {"seq": 1_000_000},
        "sealing.sign": {"seq": 1_000_000},
        "trail.page": {"name": "", "actor": ""},
        **{f"wishes.{each}": {"name": "default-level"} for each in ("make", "withdraw")},
        "syncs.begin": {"sync_id": "new", "state": "held"},
        "syncs.seen": {"part": 99},
        **{name: {"rows": {"rows": [row]}} for name, row in _together(one).items()},
    }


def _of_notices(one: One) -> Parameters:
    """What the statements about notices need: one waits with something to tell, one without, one was claimed."""
    waiting = one("SELECT n.notice_id FROM notices n JOIN notice_items USING (notice_id)")["notice_id"]
    late, ids = datetime(2100, 1, 1, tzinfo=UTC), {"notice_ids": [waiting]}
    return {
        "notices.claim": {**ids, "now": late},
        "notices.contents": ids,
        "notices.drop": ids,
        "notices.due": {"now": late},
        "notices.expire": {"made_before": late},
        "notices.full": {"since": START},
        "notices.given": {"since": START},
        "notices.noted": {"now": late},
    }


def _together(one: One) -> Parameters:
    """The row of each statement that takes many at once, with acme's own key in it."""
    key = {"mailbox_guid": mailbox(0)[0], "device_id": SECRET}
    examples: dict[str, dict[str, Any]] = {
        name: STATEMENTS[name].example["rows"]["rows"][0] for name in ("access.note", "ingest.outcomes", "ledger.save")
    }
    reported = {"managed_id": SECRET, "state": "unknown", "checked_at": "2100-01-01T00:00:00Z", "device_ids": []}
    reported |= {"user_name": "", "name": ""}
    unsealed = one("SELECT event_id FROM events WHERE actor = 'unsealed'")["event_id"]
    return {
        "access.note": {**examples["access.note"], **key},
        "compliance.told": reported,
        "pre_approval.keep": {**key, "until_at": None},
        "compliance.put_records": reported,
        "directory.put_memberships": {"external_id": SECRET, "groups": []},
        "directory.put_addresses": {"external_id": SECRET},
        "sealing.seal": {"event_id": str(unsealed), "seq": 1_000_000, "chain_hash": "00"},
        "findings.end": {"codes": [SECRET], "subject": SECRET},
        "ingest.outcomes": {**examples["ingest.outcomes"], "outcome_id": str(uuid4())},
        "ledger.save": {**examples["ledger.save"], **key},
        **_notices_together(one),
    }


def _notices_together(one: One) -> Parameters:
    """The same of the statements about notices."""
    notice = one("SELECT notice_id, permit FROM notices WHERE state = 'claimed'")
    named = {name: str(value) for name, value in notice.items()}
    told = {"mailbox_guid": mailbox(0)[0], "device_id": SECRET, "since": START.isoformat(), "kind": "allowed"}
    examples = {name: STATEMENTS[f"notices.{name}"].example["rows"]["rows"][0] for name in ("make", "fill", "told")}
    return {
        "notices.announced": told,
        "notices.make": {**examples["make"], "notice_id": str(uuid4())},
        "notices.tell": {**told, "kind": "blocked", "notice_id": named["notice_id"]},
        "notices.fill": {**examples["fill"], "notice_id": named["notice_id"]},
        "notices.told": {**examples["told"], **named},
    }
