"""Fixtures of the service's tests: one service a test process, a tenant of its own for each test."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.fixtures.database import Cluster, Urls
from tests.fixtures.service import Replica, Service, new_tenant, replica_of
from tests.service.speaker import Speaker, device, mailbox
from tests.service.writing import Writer

Look = Callable[..., list[dict[str, Any]]]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared_urls(postgres: Cluster) -> Urls:
    """The database that the tests share, each with a tenant of its own."""
    return postgres.urls(postgres.make())


@pytest.fixture(scope="session")
def replica(shared_urls: Urls) -> Iterator[Replica]:
    """A running service."""
    with replica_of(shared_urls) as replica:
        yield replica


@pytest.fixture(scope="session")
def other_replica(shared_urls: Urls) -> Iterator[Replica]:
    """A second service process on the same database."""
    with replica_of(shared_urls) as replica:
        yield replica


@pytest.fixture
def service(replica: Replica, shared_urls: Urls) -> Service:
    """A running service with a tenant of this test."""
    return new_tenant(replica, shared_urls, f"tenant-{next(_numbers)}")


@pytest.fixture
def speaker(service: Service) -> Speaker:
    """A connector of the test's tenant, enrolled."""
    speaker = Speaker(service.url)
    answer = speaker.enrol(service.ticket())
    assert answer.status_code == 200, answer.text
    return speaker


@pytest.fixture
def look(service: Service) -> Iterator[Look]:
    """Run any statement as the owner of the tables, in the scope of the test's tenant."""
    with psycopg.connect(service.urls.owner, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, false)", [str(service.tenant_id)])

        def run(query: str, *parameters: Any) -> list[dict[str, Any]]:
            cursor = connection.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def writer(service: Service, speaker: Speaker) -> Writer:
    """A connector with mode enforce that has synchronised eight devices of four mailboxes."""
    speaker.synchronise([device(number) for number in range(8)], [mailbox(number) for number in range(4)])
    return Writer(service, speaker)
