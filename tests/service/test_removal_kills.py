"""kill -9 of the service in the middle of a removal: what was asked is whole or was never asked.

A lock of somebody else's holds the transaction at one of its statements, so that the kill is there and nowhere else.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
import requests
from psycopg import sql
from psycopg.rows import dict_row

from gatepost.service import administration
from tests.fixtures.database import Cluster
from tests.fixtures.service import in_thread
from tests.fixtures.site import Service

MAKE: tuple[LiteralString, ...] = (
    "INSERT INTO organizations (tenant_id, name, state) VALUES (%(tenant)s, 'Lab', 'connected')",
    "INSERT INTO desired_heads (tenant_id, organization_id, revision) "
    "SELECT tenant_id, organization_id, 1 FROM organizations",
    "INSERT INTO mailboxes (tenant_id, organization_id, guid, kind, row_hash, lists_read_at, first_seen, last_seen, "
    "changed_seen_at) SELECT tenant_id, organization_id, %(tenant)s, 'user', 1, now(), now(), now(), now() "
    "FROM organizations",
    "INSERT INTO pins (tenant_id, organization_id, mailbox_guid, device_id, level, reason, by) "
    "SELECT tenant_id, organization_id, guid, 'X', 'allow', 'why', 'anna' FROM mailboxes",
    "INSERT INTO desired (tenant_id, organization_id, mailbox_guid, device_id, level, entry, revision) "
    "SELECT tenant_id, organization_id, guid, 'X', 'allow', 'allow', 1 FROM mailboxes",
    "INSERT INTO list_entries "
    "(tenant_id, organization_id, mailbox_guid, device_id, list, ownership, intended_revision) "
    "SELECT tenant_id, organization_id, guid, 'X', 'allow', 'ours', 1 FROM mailboxes",
)
WAITING: LiteralString = (
    "SELECT FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock' AND usename = 'gatepost_app'"
)


class Stand:
    """A service as a process of its own, with one organization of one entry."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        urls = cluster.urls(cluster.make())
        self.service = Service(urls, folder)
        self.tenant: UUID = in_thread(administration.create_tenant, urls.operator, "t", "T")
        in_thread(
            administration.create_administrator, urls.operator, "t", "anna", "correct horse battery", ["administrator"]
        )
        self.database = psycopg.connect(urls.superuser, autocommit=True, row_factory=dict_row)
        for statement in MAKE:
            self.database.execute(statement, {"tenant": self.tenant})

    def one(self, query: LiteralString) -> dict[str, Any]:
        """One row, past row-level security."""
        row = self.database.execute(query).fetchone()
        assert row is not None
        return row

    def standing(self) -> tuple[Any, ...]:
        """All that a removal changes: the organization, the open removal, pins, what is desired, and the events."""
        row = self.one(
            "SELECT o.state, (SELECT max(state) FROM removals) AS removal, (SELECT count(*) FROM pins) AS pins, "
            "(SELECT min(level) FROM desired) AS desired, (SELECT revision FROM desired_heads) AS revision, "
            "(SELECT count(*) FROM events WHERE name LIKE 'console:removal:%' OR name LIKE 'console:conn%') AS events "
            "FROM organizations o"
        )
        return tuple(row.values())

    def ask(self, ending: str) -> requests.Response:
        """Remove the connection, as a script that has just signed in."""
        url = f"{self.service.url}/api/v1"
        person = {"tenant": "t", "name": "anna", "password": "correct horse battery"}
        token = requests.post(f"{url}/sessions", json=person, timeout=30).json()["token"]
        where = f"{url}/connections/{self.one('SELECT organization_id FROM organizations')['organization_id']}/removal"
        bearer = {"Authorization": f"Bearer {token}"}
        digest = requests.get(where, headers=bearer, timeout=30).json()["preview"]["digest"]
        return requests.post(where, json={"ending": ending, "digest": digest}, headers=bearer, timeout=30)

    def kill_at(self, table: LiteralString, ending: str) -> None:
        """Hold the removal where it writes to a table, and kill the service there."""
        self.service.start()
        asked = threading.Thread(target=self._ask_in_vain, args=(ending,))
        with psycopg.connect(self.service.urls.superuser) as other:
            other.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(table)))
            asked.start()
            while not self.database.execute(WAITING).fetchall():
                assert asked.is_alive()
            self.service.kill()
            asked.join()
            other.rollback()

    def _ask_in_vain(self, ending: str) -> None:
        with pytest.raises(requests.ConnectionError):
            self.ask(ending)


@pytest.fixture
def stand(postgres: Cluster, tmp_path: Path) -> Iterator[Stand]:
    """An organization on a service of its own."""
    stand = Stand(postgres, tmp_path)
    yield stand
    stand.service.stop()
    stand.database.close()


def test_a_service_killed_anywhere_in_a_removal_has_done_all_of_it_or_nothing(stand: Stand) -> None:
    """Killed as it publishes, or forgets what was desired: nothing. Asked again by the next one: all of it."""
    before = stand.standing()
    assert before == ("connected", None, 1, "allow", 1, 0)
    stand.kill_at("list_entries", "undo")
    assert stand.standing() == before
    stand.kill_at("desired", "leave")
    assert stand.standing() == before
    stand.service.start()
    assert stand.ask("undo").status_code == 202
    assert stand.standing() == ("removing", "undoing", 0, "leave", 2, 2)
    assert stand.ask("force").status_code == 202
    assert stand.standing()[:3] == ("removed", "done", 0)
