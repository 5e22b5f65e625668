"""No tenant sees or changes another's rows, whatever the statement; no scope is an error."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, JsonbDumper

from gatepost.domain.contract import Facts
from gatepost.errors import DatabaseError, NoTenantScope
from gatepost.service import sealing
from gatepost.service.database import ENTER_TENANT, Database, Scope
from gatepost.service.keys import Keys
from gatepost.service.statements import STATEMENTS
from gatepost.service.vault import Vault
from tests.fixtures.database import Cluster, Urls
from tests.fixtures.service import SETTINGS, in_thread, new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox

pytestmark = pytest.mark.anyio
TENANT_STATEMENTS = sorted(name for name, statement in STATEMENTS.items() if statement.tenant)
SECRET = "Only-Acme-Knows"
START = datetime(2026, 1, 1, tzinfo=UTC)

# Statements that act on no row of a tenant, so that there is nothing to isolate.
ACTS_ON_NO_ROW = {
    "devices_queries.plan_anew": "sets how the transaction plans",
    "merge.analyze_grown": "looks at the size of tables, and tells how many it looked at",
    "merge.stage_devices": "makes a table of the session",
    "merge.stage_mailboxes": "makes a table of the session",
}
# Statements that make what acme has already, so that they do nothing in its scope; where they are proven.
MADE_ONCE = {"keys.make": "tests/service/test_keys.py"}
BEFORE = {
    "connections.stop_writing": ["connections.release_writing"],
    "holds.end_empty": ["holds.end_items"],
    "holds.forget_items": ["holds.end_items"],
    "holds.reopen": ["holds.decide"],
    "merge.recount": ["merge.forget_counters"],
    "due.mark_people": ["directory.match_mailboxes"],
    "onboarding.add_switch": ["onboarding.end_switch"],
    "removals.add": ["removals.end"],
    "removals.undoing": ["removals.approve"],
}  # what a statement relies on, in its own transaction


class Filled:
    """A database in which the tenant ``acme`` has a row in every table, and ``empty`` has nothing."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self._connection = psycopg.connect(urls.superuser, autocommit=True, row_factory=dict_row)
        with replica_of(urls) as replica:
            acme = new_tenant(replica, urls, "acme").add_administrator(SECRET, "administrator")
            self.acme = acme.tenant_id
            self.empty = new_tenant(replica, urls, "empty").tenant_id
            speaker = Speaker(acme.url)
            speaker.enrol(acme.ticket(SECRET))
            rows = [device(number, friendly_name=SECRET) for number in range(4)]
            speaker.synchronise(rows, [mailbox(0, display_name=SECRET)])
            speaker.synchronise([device(0, model=SECRET), *rows[1:]], [mailbox(0, display_name=SECRET)])
            outcome = {"outcome_id": str(uuid4()), "about": SECRET, "result": SECRET}
            speaker.say(outcomes=(outcome,), facts=Facts(findings=({"code": SECRET},)))
            announced, _ = speaker.begin(rows, [mailbox(0)])
            speaker.part(announced, 1, devices=rows[:2])
            acme.ticket(SECRET)
        self._seal()
        self._add_the_rest()
        self._add_what_some_statements_need()
        self.values = self._values()
        self.particular = self._particular()
        self.particular["preview.who"] = self._a_class()

    def _seal(self) -> None:
        """What happened is sealed and signed, but for one event."""

        async def seal() -> None:
            async with await Database.open(self.urls.app) as database:
                await sealing.seal(database, Keys(Vault.open_file(SETTINGS.vault_file)), self.acme)

        in_thread(asyncio.run, seal())
        unsealed: LiteralString = (
            "INSERT INTO events (tenant_id, name, actor, body, body_hash) VALUES (%s, 'a:b:c', 'unsealed', '{}', '')"
        )
        self.run(sql.SQL(unsealed), [self.acme])

    def _add_the_rest(self) -> None:
        """Rows that no part of the service writes yet."""
        organization = self.one("SELECT organization_id FROM organizations")["organization_id"]
        key = {"organization_id": organization, "mailbox_guid": UUID(mailbox(0)[0]), "device_id": SECRET}
        t: LiteralString = "INSERT INTO {} (tenant_id, {}) VALUES (%s, {})"
        group, person, source, hold, adoption = uuid4(), uuid4(), uuid4(), uuid4(), uuid4()
        notice = uuid4()
        record = {"source_id": source, "managed_id": SECRET}
        rows: dict[str, dict[str, Any]] = {
            "audiences": {"audience_id": uuid4(), "group_ids": [group]},
            "people": {"person_id": person, "upn": SECRET, "external_id": SECRET, "managed": "unknown"},
            "groups": {"group_id": group, "external_id": SECRET, "name": SECRET},
            "memberships": {"group_id": group, "person_id": person},
            "person_addresses": {"address": "user0@example.test", "person_id": person, "mail": True},
            "pre_approvals": {**key, "device_id": "dev00000", "until_at": datetime.now(UTC)},
            "sources": {"source_id": source, "name": SECRET},
            "compliance_records": {
                **record,
                "state": "compliant",
                "since": datetime.now(UTC),
                "checked_at": datetime.now(UTC),
                "user_name": SECRET.lower(),
                "person_id": person,
                "device_ids": ["dev00000"],
            },
            "links": {**record, "device_id": "dev00000"},
            "policies": {"version": 1, "document": Jsonb({}), "made_by": SECRET, "made_id": uuid4()},
            "rollouts": {"version": 1, "began_by": SECRET, "began_id": uuid4()},
            "decisions": {
                **key,
                "beyond": SECRET,
                "level": "leave",
                "reason": "policy-off",
                "review_at": datetime.now(UTC),
            },
            "decisions_due": {**key, "cause": "policy"},
            "holds": {
                "organization_id": organization,
                "hold_id": hold,
                "verb": "take",
                "cause": "policy",
                "why": SECRET,
                "gathers_until": datetime.now(UTC) + timedelta(hours=1),
                "expires_at": datetime.now(UTC) + timedelta(days=7),
            },
            "hold_items": {
                **key,
                "hold_id": hold,
                "level": "block",
                "reason": SECRET,
                "before_state": "allowed",
                "after_state": "blocked",
                "after_step": "blocked-list",
            },
            "budget_uses": {"organization_id": organization, "verb": "take", "mailbox_guid": key["mailbox_guid"]},
            "guard_settings": {
                "take": 1,
                "asked_take": 2,
                "asked_id": uuid4(),
                "asked_by": SECRET,
                "asked_at": datetime.now(UTC),
            },
            "org_settings": {
                "organization_id": organization,
                "default_level": "Allow",
                "settings": Jsonb({"name": SECRET}),
            },
            "notice_settings": {"contact": SECRET},
            "notice_templates": {
                "kind": "blocked",
                "language": "en",
                "subject": SECRET,
                "body": SECRET,
                "changed_by": SECRET,
            },
            "notices": {
                "organization_id": organization,
                "notice_id": notice,
                "mailbox_guid": key["mailbox_guid"],
                "about": "devices",
                "recipient": SECRET,
            },
            "notice_items": {**key, "since": START, "kind": "allowed", "notice_id": notice},
            "alert_targets": {"kind": "mail", "address": SECRET, "language": "en", "made_by": SECRET},
            "tenant_settings": {"authority": "exchange", "chosen_by": SECRET},
            "findings": {"organization_id": organization, "origin": "sync", "code": SECRET},
            "desired": {**key, "level": "leave", "revision": 1},
            "pins": {**key, "level": "allow", "reason": SECRET, "by": SECRET, "until": datetime.now(UTC)},
            "adoptions": {
                "organization_id": organization,
                "adoption_id": adoption,
                "how": "all",
                "entries": 1,
                "digest": SECRET,
                "adopted_by": SECRET,
            },
            "list_entries": {
                **key,
                "list": "allow",
                "ownership": "intended",
                "intended_revision": 1,
                "adoption_id": adoption,
                "kept": True,
            },
            "wishes": {
                "organization_id": organization,
                "name": "default-level",
                "value": "block",
                "known_as": ["allow"],
                "made_by": SECRET,
            },
            "default_switches": {
                "organization_id": organization,
                "level": "block",
                "was": "allow",
                "state": "asked",
                "digest": SECRET,
                "gaining": 0,
                "losing": 1,
                "asked_id": uuid4(),
                "asked_by": SECRET,
            },
            "removals": {
                "organization_id": organization,
                "ending": "undo",
                "state": "asked",
                "digest": SECRET,
                "gaining": 1,
                "losing": 1,
                "entries": 1,
                "asked_id": uuid4(),
                "asked_by": SECRET,
            },
        }
        for table, columns in rows.items():
            statement = sql.SQL(t).format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            )
            self.run(statement, [self.acme, *columns.values()])
        administrator = self.one("SELECT administrator_id FROM administrators")["administrator_id"]
        self.run(
            sql.SQL("INSERT INTO sessions (tenant_id, administrator_id, secret_hash) VALUES (%s, %s, 'x')"),
            [self.acme, administrator],
        )
        self.run(
            sql.SQL(
                "INSERT INTO passkeys (tenant_id, administrator_id, credential_id, public_key, sign_count, name) "
                "VALUES (%s, %s, 'x', 'x', 1, %s)"
            ),
            [self.acme, administrator, SECRET],
        )
        self.run(
            sql.SQL(
                "INSERT INTO passkey_challenges (tenant_id, administrator_id, challenge, purpose) "
                "VALUES (%s, %s, 'x', 'second')"
            ),
            [self.acme, administrator],
        )
        self.run(
            sql.SQL(
                "INSERT INTO invitations (tenant_id, administrator_id, code_hash, made_by, expires_at) "
                "VALUES (%s, %s, 'x', %s, '2099-01-01')"
            ),
            [self.acme, administrator, SECRET],
        )
        self.run(sql.SQL("INSERT INTO sign_in_rules (tenant_id, passkeys_required) VALUES (%s, true)"), [self.acme])
        self.run(
            sql.SQL(
                "INSERT INTO alerts (tenant_id, condition, subject, detail, seen_at, begun_at, ended_at) "
                "VALUES (%s, 'a', %s, 'x', now(), now(), NULL), (%s, 'b', %s, 'x', now(), now(), now())"
            ),
            [self.acme, SECRET, self.acme, SECRET],
        )
        self.run(
            sql.SQL(
                "INSERT INTO alert_deliveries (tenant_id, target_id, alert_id, what, state, made_at, next_at, "
                "claimed_at, ended_at, error) SELECT tenant_id, target_id, alert_id, 'begin', state, now(), now(), "
                "now(), CASE WHEN state = 'sent' THEN now() END, %s "
                "FROM alert_targets JOIN alerts USING (tenant_id), unnest(ARRAY['waiting', 'sending', 'sent']) AS s "
                "(state) WHERE condition = 'a'"
            ),
            [SECRET],
        )

    def _add_what_some_statements_need(self) -> None:
        """A device that is gone, a head, a request, and synchronisations that were accepted and that are held."""
        self.run(sql.SQL("UPDATE devices SET gone_at = now() WHERE guid = %s"), [UUID(device(3)[0])])
        self.run(sql.SQL("UPDATE desired_heads SET revision = 1"))
        self.run(sql.SQL("UPDATE devices SET device_id = 'DEV00000' WHERE guid = %s"), [UUID(device(1)[0])])
        self.disabled = self.run(
            sql.SQL(
                "INSERT INTO administrators (tenant_id, name, disabled_at) VALUES (%s, 'disabled', now()) "
                "RETURNING administrator_id"
            ),
            [self.acme],
        )[0]["administrator_id"]
        self.run(
            sql.SQL(
                "UPDATE organizations SET writing_stopped_at = now(), writing_stopped_by = %s, writing_stopped_why = %s"
            ),
            [SECRET, SECRET],
        )
        self.run(
            sql.SQL(
                "INSERT INTO list_entries (tenant_id, organization_id, mailbox_guid, device_id, list, ownership) "
                "SELECT tenant_id, organization_id, mailbox_guid, device_id, 'allow', 'ours' FROM devices "
                "WHERE guid = %s"
            ),
            [UUID(device(0)[0])],
        )
        self.run(
            sql.SQL(
                "INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, reason, revision) "
                "SELECT tenant_id, organization_id, mailbox_guid, device_id, 'allow', 'pre-approved', 1 "
                "FROM pre_approvals"
            )
        )
        self.run(
            sql.SQL(
                "INSERT INTO decisions (tenant_id, organization_id, mailbox_guid, device_id, level, reason) "
                "SELECT tenant_id, organization_id, mailbox_guid, 'DEV00000', 'leave', 'excluded' FROM pre_approvals"
            )
        )
        self.run(sql.SQL("UPDATE outcomes SET took_away = true"))
        self.run(sql.SQL("UPDATE decisions SET announce = 'allowed', since = %s"), [START])
        told: LiteralString = "result = 'applied', result_revision = revision, result_memory = 0, result_at = %s"
        self.run(sql.SQL("UPDATE desired SET " + told), [START])
        self.run(sql.SQL('UPDATE checkins SET status = status || \'{"mode": "enforce"}\''))
        self.run(
            sql.SQL(
                "INSERT INTO notices (tenant_id, notice_id, organization_id, mailbox_guid, about, state, permit, "
                "made_at, claimed_at) SELECT tenant_id, gen_random_uuid(), organization_id, mailbox_guid, about, "
                "state, gen_random_uuid(), '2099-01-01', CASE state WHEN 'claimed' THEN timestamptz '2099-01-01' END "
                "FROM (SELECT tenant_id, organization_id, mailbox_guid, about FROM notices) AS n, "
                "unnest(ARRAY['claimed', 'waiting']) AS s (state)"
            )
        )
        self.run(
            sql.SQL(
                "INSERT INTO findings (tenant_id, organization_id, origin, code, subject) "
                "SELECT tenant_id, organization_id, 'service', code, code FROM findings WHERE origin = 'sync'"
            )
        )
        self.run(sql.SQL("UPDATE organizations SET sync_requested = 'quick', sync_requested_at = '2026-01-01'"))
        for sync_id, state, seconds in (("accepted", "accepted", 1), ("held", "held", 2)):
            self.run(
                sql.SQL(
                    "INSERT INTO syncs (tenant_id, organization_id, sync_id, connector_id, epoch, kind, state, digest, "
                    "announced_devices, announced_mailboxes, why, ended_at, accepted_at) "
                    "SELECT tenant_id, organization_id, %s, connector_id, epoch, 'full', %s, '', 1, 1, %s, "
                    "now() + make_interval(secs => %s), now() FROM connectors"
                ),
                [sync_id, state, SECRET, seconds],
            )

    def _particular(self) -> dict[str, dict[str, Any]]:
        """What some statements need instead, so that they find or change something of acme's in acme's own scope."""
        found = {"first": "only", "first_end": "only\U0010ffff"}
        return {
            "alerts.add_target": {"target_id": uuid4()},
            **self._of_notices(),
            "alerts.done": self.one("SELECT array_agg(delivery_id) AS delivery_ids FROM alert_deliveries"),
            "administrators.enable": {"administrator_id": self.disabled},
            "administrators.create": {"name": "another", "administrator_id": uuid4()},
            "sessions.end": {"but": None},
            "sessions.open": {"session_id": uuid4()},
            "compliance.add_source": {"source_id": uuid4(), "name": "another"},
            "compliance.devices_of_ids": {"ids": ["dev00000"]},
            "compliance.named": {"source_id": None},
            "compliance.of_device": {"device_id": "DEV00000"},
            "compliance.people_of_ids": {"ids": ["dev00000"]},
            "compliance.remove": {"managed_id": SECRET},
            "compliance.restand_people": self.one("SELECT array_agg(person_id) AS person_ids FROM people"),
            "directory.intern_audiences": self.one("SELECT array_agg(person_id) AS person_ids FROM people"),
            "directory.match_mailboxes": {"addresses": ["user0@example.test"]},
            "directory.match_records": {"addresses": [SECRET.lower()]},
            "pre_approval.load": {"device_ids": ["unseen"]},
            "pre_approval.mark_ids": {"ids": ["dev00000"]},
            "pre_approval.superseded": {"device_ids": ["dev00000"]},
            "connections.accept": {"sync_id": "held"},
            "decisions.audiences": self.one("SELECT array_agg(audience_id) AS audience_ids FROM audiences"),
            "decisions.load": {"device_ids": ["DEV00000"]},
            "due.mark_device_ids": {"folded_ids": ["dev00000"]},
            "due.mark_people": self.one("SELECT array_agg(person_id) AS person_ids FROM people"),
            "connections.request_sync": {"kind": "full"},
            "devices_queries.changed_with_words": found,
            "devices_queries.newest_with_words": found,
            "devices_queries.by_keys": {"device_ids": ["DEV00000"]},
            "devices_queries.mailbox": {"guid": UUID(mailbox(0)[0])},
            "enrolment.add_connector": {"epoch": 2},
            "enrolment.add_ticket": {"ticket_hash": b"new"},
            "certificates.of_key": self.one("SELECT connector_id, public_key FROM connector_certificates"),
            "enrolment.connector": self.one("SELECT connector_id, serial FROM connector_certificates"),
            "enrolment.supersede": {"epoch": 2},
            "enrolment.use_ticket": self.one("SELECT ticket_hash FROM tickets WHERE used_at IS NULL"),
            "ingest.end_lease": {"spoken_at": datetime(2100, 1, 1, tzinfo=UTC)},
            "ingest.older_lease": {"connector_id": uuid4()},
            "merge.forget_words": self.one("SELECT array_agg(word) AS words FROM device_words"),
            "policies.known_groups": self.one("SELECT array_agg(group_id::text) AS names FROM groups"),
            "preview.facts": self.one("SELECT array_agg(facts_id) AS facts_ids FROM device_facts"),
            "preview.group_names": self.one("SELECT array_agg(group_id::text) AS names FROM groups"),
            "onboarding.end_switch": {"state": "wished"},
            "onboarding.entries": {"group_id": None},
            "onboarding.mailboxes": {"addresses": ["user0@example.test"]},
            "sealing.advance": {"seq": 1_000_000},
            "sealing.sign": {"seq": 1_000_000},
            "trail.page": {"name": "", "actor": ""},
            **{f"wishes.{each}": {"name": "default-level"} for each in ("make", "withdraw")},
            "syncs.begin": {"sync_id": "new", "state": "held"},
            "syncs.seen": {"part": 99},
            **{name: {"rows": {"rows": [row]}} for name, row in self._together().items()},
        }

    def _of_notices(self) -> dict[str, dict[str, Any]]:
        """What the statements about notices need: one waits with something to tell, one without, one was claimed."""
        waiting = self.one("SELECT n.notice_id FROM notices n JOIN notice_items USING (notice_id)")["notice_id"]
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

    def _a_class(self) -> dict[str, Any]:
        """One class of acme's devices, as the columns that a statement joins with."""
        _, classes = self.in_scope(self.acme, "preview.classes", commit=False)
        names = ("organizations", "facts", "audiences", "states", "reasons", "ids", "users", "bits")
        values = list(classes[0].values())[: len(names)]
        return {f"of_{name}": [value] for name, value in zip(names, values, strict=True)} | {"fates": [0]}

    def _together(self) -> dict[str, dict[str, Any]]:
        """The row of each statement that takes many at once, with acme's own key in it."""
        key = {"mailbox_guid": mailbox(0)[0], "device_id": SECRET}
        examples: dict[str, dict[str, Any]] = {
            name: STATEMENTS[name].example["rows"]["rows"][0]
            for name in ("access.note", "ingest.outcomes", "ledger.save")
        }
        reported = {"managed_id": SECRET, "state": "unknown", "checked_at": "2100-01-01T00:00:00Z", "device_ids": []}
        reported |= {"user_name": "", "name": ""}
        unsealed = self.one("SELECT event_id FROM events WHERE actor = 'unsealed'")["event_id"]
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
            **self._notices_together(),
        }

    def _notices_together(self) -> dict[str, dict[str, Any]]:
        """The same of the statements about notices."""
        notice = self.one("SELECT notice_id, permit FROM notices WHERE state = 'claimed'")
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

    def parameters(self, name: str) -> dict[str, Any]:
        """The example of a statement with acme's own ids."""
        example = dict(STATEMENTS[name].example)
        known = {key: value for key, value in self.values.items() if key in example}
        return example | known | self.particular.get(name, {})

    def _values(self) -> dict[str, Any]:
        """Acme's own ids, for every parameter name that statements use."""
        found: dict[str, Any] = {}
        for table in self.tables():
            row = self.run(sql.SQL("SELECT * FROM {} WHERE tenant_id = %s").format(sql.Identifier(table)), [self.acme])
            assert row, f"acme has no row in {table}, so nothing would be proven about it"
            for name, value in row[0].items():
                if isinstance(value, UUID) or name in ("sync_id", "ticket_hash", "name", "device_id"):
                    found.setdefault(name, value)
        organization = self.one("SELECT organization_id FROM organizations")["organization_id"]
        device_guid = UUID(device(0)[0])
        return found | {
            "organization_id": organization,
            "organizations": [organization],
            "guid": device_guid,
            "guids": [device_guid, UUID(mailbox(0)[0])],
            "name": SECRET,
            "mailbox_guid": UUID(mailbox(0)[0]),
            "device_id": SECRET,
            "mailbox_guids": [UUID(mailbox(0)[0])],
            "device_ids": [SECRET],
            "outcome_ids": [self.one("SELECT outcome_id FROM outcomes")["outcome_id"]],
            "before": datetime(2100, 1, 1, tzinfo=UTC),
            "made_before": datetime(2100, 1, 1, tzinfo=UTC),
            "seen_before": datetime(2100, 1, 1, tzinfo=UTC),
        }

    def tables(self) -> list[str]:
        """Every table of tenants, without partitions."""
        rows = self.run(
            sql.SQL(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                "WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
                "AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped ORDER BY 1"
            )
        )
        return [row["relname"] for row in rows]

    def dump(self) -> dict[str, list[str]]:
        """Everything acme has."""
        told = {}
        for table in self.tables():
            query = sql.SQL("SELECT to_jsonb(t)::text AS row FROM {} t WHERE tenant_id = %s").format(
                sql.Identifier(table)
            )
            told[table] = sorted(row["row"] for row in self.run(query, [self.acme]))
        return told

    def one(self, query: LiteralString) -> dict[str, Any]:
        """The first row of a query."""
        return self.run(sql.SQL(query))[0]

    def run(self, query: sql.SQL | sql.Composed, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """Run something past row-level security."""
        cursor = self._connection.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def another(self) -> UUID:
        """A new tenant that has nothing."""
        made = self.run(sql.SQL("INSERT INTO tenants (slug, name) VALUES (%s, 'Other') RETURNING *"), [uuid4().hex])
        identity: UUID = made[0]["tenant_id"]
        return identity

    def in_scope(self, tenant_id: UUID, name: str, *, commit: bool) -> tuple[int, list[dict[str, Any]]]:
        """Run a statement with acme's ids as the service does, in a tenant's scope: rows touched, and rows returned."""
        with psycopg.connect(self.urls.app, row_factory=dict_row) as connection:
            connection.adapters.register_dumper(dict, JsonbDumper)
            connection.execute(ENTER_TENANT, [str(tenant_id)])
            self._stage(connection)
            for earlier in BEFORE.get(name, ()):
                connection.execute(STATEMENTS[earlier].sql, self.parameters(earlier))
            cursor = connection.execute(STATEMENTS[name].sql, self.parameters(name))
            told = cursor.rowcount, cursor.fetchall() if cursor.description else []
            if not commit:
                connection.rollback()
            return told

    @staticmethod
    def _stage(connection: psycopg.Connection[dict[str, Any]]) -> None:
        """One device and one mailbox that wait to be merged, both acme's under new names."""
        for stage in ("merge.stage_devices", "merge.stage_mailboxes"):
            connection.execute(STATEMENTS[stage].sql)
        connection.execute(
            "INSERT INTO staged_devices (guid, device_id, mailbox_guid, friendly_name, family, facts_id, words, "
            "row_hash, os_version) VALUES (%s, 'staged', %s, 'staged', 'ios', %s, '{staged}', 1, '{1}')",
            [device(0)[0], mailbox(0)[0], uuid4()],
        )
        connection.execute(
            "INSERT INTO staged_mailboxes (guid, display_name, kind, allowed_ids, blocked_ids, row_hash) "
            "VALUES (%s, 'staged', 'user', '{}', '{}', 1)",
            [mailbox(0)[0]],
        )

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@pytest.fixture(scope="module")
def filled(postgres: Cluster) -> Iterator[Filled]:
    """A filled database, for the tests of this module."""
    filled = Filled(postgres.urls(postgres.make()))
    yield filled
    filled.close()


@pytest.fixture(scope="module")
def untouched(filled: Filled) -> dict[str, list[str]]:
    """What acme had before any of the tests."""
    return filled.dump()


@pytest.mark.parametrize("name", TENANT_STATEMENTS)
def test_a_statement_in_another_tenants_scope_sees_and_changes_nothing(
    filled: Filled, untouched: dict[str, list[str]], name: str
) -> None:
    """Run with acme's own ids in the scope of another: no row of acme comes back, and acme's rows stay the same."""
    try:
        _, seen = filled.in_scope(filled.another(), name, commit=True)
    except psycopg.IntegrityError:
        seen = []  # a key of acme's does not exist here
    told = json.dumps(seen, default=str)
    assert str(filled.acme) not in told
    assert SECRET not in told
    assert filled.dump() == untouched


@pytest.mark.parametrize("name", sorted(set(TENANT_STATEMENTS) - set(ACTS_ON_NO_ROW) - set(MADE_ONCE)))
def test_the_same_statement_acts_in_its_own_tenants_scope(filled: Filled, name: str) -> None:
    """The other side of the proof: with the same parameters it returns or changes something where it should."""
    touched, seen = filled.in_scope(filled.acme, name, commit=False)
    assert any(value for row in seen for value in row.values()) if seen else touched > 0


def test_statements_that_act_on_no_row_are_named(filled: Filled) -> None:
    """The list of exceptions is short, true, and of statements that exist."""
    assert set(ACTS_ON_NO_ROW) <= set(TENANT_STATEMENTS)
    for name in ACTS_ON_NO_ROW:
        touched, seen = filled.in_scope(filled.acme, name, commit=False)
        assert touched == -1 or seen == [{"gatepost_analyze_grown": 0}], name


def test_every_table_of_tenants_is_under_forced_row_level_security(filled: Filled) -> None:
    """No table with a tenant_id is forgotten; only ``tenants`` itself is readable without a scope."""
    rows = filled.run(
        sql.SQL(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced, c.relispartition, "
            "(SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
        )
    )
    assert len(rows) > 25
    for row in rows:
        assert row["forced"] is (row["relname"] != "tenants"), row
        assert row["policies"] == (0 if row["relispartition"] or row["relname"] == "tenants" else 1), row


def test_every_key_of_a_tenants_table_begins_with_the_tenant(filled: Filled) -> None:
    """Primary keys, unique keys and indexes lead with tenant_id, so that tenants can be spread over databases."""
    rows = filled.run(
        sql.SQL(
            "SELECT i.indexrelid::regclass::text AS index, a.attname FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indrelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
            "WHERE c.relnamespace = 'public'::regnamespace "
            "AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')"
        )
    )
    assert {row["index"] for row in rows if row["attname"] != "tenant_id"} <= {"tenants_slug_key"}


async def test_a_tenant_statement_without_a_scope_is_an_error(database: Database) -> None:
    """The mistake is named before anything is sent."""
    async with database.control() as scope:
        with pytest.raises(NoTenantScope, match=r"devices_queries\.newest needs the scope of a tenant"):
            await scope.all("devices_queries.newest")


async def test_a_tenants_table_without_a_scope_is_an_error_in_the_database_too(database: Database) -> None:
    """Even past our own check, no scope is an error and never an empty result."""
    with pytest.raises(NoTenantScope):
        async with database.control() as scope:
            await scope.connection.execute("SELECT * FROM organizations")


async def test_a_scope_ends_with_its_transaction(filled: Filled) -> None:
    """A connection that goes back to the pool remembers no tenant."""
    async with await Database.open(filled.urls.app, size=1) as database:
        async with database.tenant(filled.acme) as scope:
            assert await scope.all("jobs.organizations")
        with pytest.raises(NoTenantScope):
            async with database.control() as scope:
                await scope.connection.execute("SELECT * FROM organizations")


async def test_the_operator_in_a_tenants_scope_sees_that_tenant_only(filled: Filled) -> None:
    """The role that may see all is put down when a tenant's scope is opened."""
    async with await Database.open(filled.urls.operator, size=1) as database:
        async with database.tenant(filled.empty) as scope:
            assert await scope.all("jobs.organizations") == []
        async with database.control() as scope:
            cursor = await scope.connection.execute("SELECT count(*) AS n FROM organizations WHERE name = %s", [SECRET])
            assert (await cursor.fetchone() or {})["n"] >= 1


FORBIDDEN: dict[str, LiteralString] = {
    "put row-level security down": "SET row_security = off; SELECT * FROM devices",
    "become the owner": "SET ROLE gatepost_owner",
    "become the operator": "SET ROLE gatepost_operator",
    "make a table": "CREATE TABLE mine (x int)",
    "change a policy": "ALTER TABLE devices NO FORCE ROW LEVEL SECURITY",
    "read a partition": "SELECT * FROM device_history_rest",
    "delete a device": "DELETE FROM devices",
    "delete an event": "DELETE FROM events",
    "change an event": "UPDATE events SET actor = 'nobody'",
    "number an event by itself": "INSERT INTO events (name, actor, body, body_hash, seq) VALUES ('a', '', '{}', '', 1)",
    "change a sealed event": "UPDATE events SET seq = seq + 1 WHERE seq IS NOT NULL",
    "turn the head back": "UPDATE audit_heads SET seq = seq - 1",
    "change a checkpoint": "UPDATE audit_checkpoints SET seq = seq + 1",
    "change a tenant": "UPDATE tenants SET slug = 'x'",
    "make a tenant": "INSERT INTO tenants (slug, name) VALUES ('x', 'x')",
    "change whom a challenge was made for": "UPDATE passkey_challenges SET administrator_id = gen_random_uuid()",
    "forget that passkeys are required": "DELETE FROM sign_in_rules",
    "change a tenant's key": "UPDATE tenant_keys SET public = ''",
    "delete an administrator": "DELETE FROM administrators",
    "delete a removal": "DELETE FROM removals",
    "change the incarnation": "UPDATE incarnation SET incarnation = gen_random_uuid()",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_app_role_cannot(filled: Filled, what: str) -> None:
    """The role that the service signs in with owns nothing and may not get round its limits."""
    with psycopg.connect(filled.urls.app, autocommit=True) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, false)", [str(filled.acme)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(FORBIDDEN[what])


async def test_a_row_of_another_tenant_cannot_be_written(filled: Filled) -> None:
    """WITH CHECK refuses a row that names another tenant than the scope's."""
    async with await Database.open(filled.urls.app, size=1) as database:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.tenant(filled.empty) as scope:
                await scope.connection.execute(
                    "INSERT INTO organizations (tenant_id, name) VALUES (%s, 'theirs')", [filled.acme]
                )


async def test_work_is_done_again_where_postgresql_asks_for_it(filled: Filled) -> None:
    """A transaction that meets a deadlock is run again whole; other errors are not."""
    tries = []

    async def unlucky(scope: Scope) -> int:
        tries.append(scope)
        if len(tries) < 3:
            await scope.connection.execute("DO $$ BEGIN RAISE EXCEPTION 'unlucky' USING ERRCODE = '40P01'; END $$")
        return len(tries)

    async def broken(scope: Scope) -> None:
        tries.append(scope)
        await scope.connection.execute("DO $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = '57014'; END $$")

    async with await Database.open(filled.urls.app, size=1) as database:
        assert await database.work(filled.acme, unlucky) == 3
        tries.clear()
        with pytest.raises(DatabaseError):
            await database.work(filled.acme, broken)
    assert len(tries) == 1
