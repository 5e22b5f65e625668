"""A tenant that has a row in every table, for the proof that nobody else sees or changes it.

:mod:`rows` and :mod:`changes` are what it has beside what its connector told; :mod:`particular` what statements need
instead of their examples. A new table or statement without its line there makes ``tests/service/test_isolation.py``
fail, and say which.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import JsonbDumper

from gatepost.domain.contract import Facts
from gatepost.service import sealing
from gatepost.service.database import ENTER_TENANT, Database
from gatepost.service.keys import Keys
from gatepost.service.statements import STATEMENTS
from gatepost.service.vault import Vault
from tests.fixtures.database import Urls
from tests.fixtures.service import SETTINGS, in_thread, new_tenant, replica_of
from tests.service.filled.changes import changes
from tests.service.filled.particular import particular
from tests.service.filled.rows import SECRET, rows
from tests.service.speaker import Speaker, device, mailbox

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
        self._service = psycopg.connect(urls.app, autocommit=True, row_factory=dict_row)
        self._service.adapters.register_dumper(dict, JsonbDumper)
        with replica_of(urls) as replica:
            acme = new_tenant(replica, urls, "acme").add_administrator(SECRET, "administrator")
            self.acme = acme.tenant_id
            self.empty = new_tenant(replica, urls, "empty").tenant_id
            speaker = Speaker(acme.url)
            speaker.enrol(acme.ticket(SECRET))
            devices = [device(number, friendly_name=SECRET) for number in range(4)]
            speaker.synchronise(devices, [mailbox(0, display_name=SECRET)])
            speaker.synchronise([device(0, model=SECRET), *devices[1:]], [mailbox(0, display_name=SECRET)])
            outcome = {"outcome_id": str(uuid4()), "about": SECRET, "result": SECRET}
            speaker.say(outcomes=(outcome,), facts=Facts(findings=({"code": SECRET},)))
            announced, _ = speaker.begin(devices, [mailbox(0)])
            speaker.part(announced, 1, devices=devices[:2])
            acme.ticket(SECRET)
        self._seal()
        self._fill()
        self.names = self._tables()
        self.values = self._values()
        disabled = self.one("SELECT administrator_id FROM administrators WHERE name = 'disabled'")["administrator_id"]
        self.particular = particular(self.one, disabled)
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

    def _fill(self) -> None:
        """What no conversation with a connector makes."""
        organization = self.one("SELECT organization_id FROM organizations")["organization_id"]
        administrator = self.one("SELECT administrator_id FROM administrators")["administrator_id"]
        add: LiteralString = "INSERT INTO {} (tenant_id, {}) VALUES (%s, {})"
        for table, columns in rows(organization, administrator).items():
            statement = sql.SQL(add).format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            )
            self.run(statement, [self.acme, *columns.values()])
        for change, values in changes(self.acme):
            self.run(sql.SQL(change), values)

    def _a_class(self) -> dict[str, Any]:
        """One class of acme's devices, as the columns that a statement joins with."""
        _, classes = self.in_scope(self.acme, "preview.classes", commit=False)
        names = ("organizations", "facts", "audiences", "states", "reasons", "ids", "users", "bits")
        values = list(classes[0].values())[: len(names)]
        return {f"of_{name}": [value] for name, value in zip(names, values, strict=True)} | {"fates": [0]}

    def parameters(self, name: str) -> dict[str, Any]:
        """The example of a statement with acme's own ids."""
        example = dict(STATEMENTS[name].example)
        known = {key: value for key, value in self.values.items() if key in example}
        return example | known | self.particular.get(name, {})

    def _values(self) -> dict[str, Any]:
        """Acme's own ids, for every parameter name that statements use."""
        found: dict[str, Any] = {}
        for table in self.names:
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

    def _tables(self) -> list[str]:
        """Every table of tenants, without partitions."""
        found = self.run(
            sql.SQL(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                "WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
                "AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped ORDER BY 1"
            )
        )
        return [row["relname"] for row in found]

    def dump(self) -> list[str]:
        """Everything acme has, in every table: one question, for it is asked after every statement."""
        each: LiteralString = "SELECT {} || ' ' || to_jsonb(t)::text AS row FROM {} t WHERE tenant_id = {}"
        parts = [
            sql.SQL(each).format(sql.Literal(table), sql.Identifier(table), sql.Literal(self.acme))
            for table in self.names
        ]
        return sorted(row["row"] for row in self.run(sql.SQL(" UNION ALL ").join(parts)))

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
        connection = self._service
        with connection.transaction(force_rollback=not commit):
            connection.execute(ENTER_TENANT, [str(tenant_id)])
            self._stage(connection)
            for earlier in BEFORE.get(name, ()):
                connection.execute(STATEMENTS[earlier].sql, self.parameters(earlier))
            cursor = connection.execute(STATEMENTS[name].sql, self.parameters(name))
            return cursor.rowcount, cursor.fetchall() if cursor.description else []

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
        """End the connections."""
        self._connection.close()
        self._service.close()
