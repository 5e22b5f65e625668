"""Health of a running service."""

import time

import psycopg
import requests

from gatepost.domain.contract import Kind
from tests.fixtures.database import Cluster
from tests.fixtures.service import Service, new_tenant, replica_of
from tests.service.speaker import Speaker


def test_a_service_with_its_database_is_ready(service: Service) -> None:
    """The process lives and can do its work."""
    assert requests.get(f"{service.url}/livez", timeout=10).json()["status"] == "ok"
    assert requests.get(f"{service.url}/readyz", timeout=10).json() == {"status": "ok"}


def test_an_unknown_address_is_a_problem_document(service: Service) -> None:
    """Errors have one form everywhere."""
    answer = requests.get(f"{service.url}/connector/v1/nothing", timeout=10)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "not-found"


def test_while_the_database_is_away_the_service_says_try_again(postgres: Cluster) -> None:
    """503 with Retry-After and nothing of the database in it; alive all the time; well again by itself."""
    name = postgres.make()
    admin = psycopg.connect(postgres.postgres.url("postgres", "postgres"), autocommit=True)
    with admin, replica_of(postgres.urls(name), wait=0.5) as replica:
        service = new_tenant(replica, postgres.urls(name), "demo")
        speaker = Speaker(service.url)
        speaker.enrol(service.ticket())
        document = speaker.document(Kind.CYCLE, 1)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        answer = speaker.send(document)
        assert (answer.status_code, answer.json()["type"]) == (503, "busy")
        assert answer.headers["Retry-After"] == "5"
        assert name not in answer.text
        assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 503
        assert requests.get(f"{service.url}/livez", timeout=10).status_code == 200
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        deadline = time.monotonic() + 30
        while (answer := speaker.send(document)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert answer.json()["sequence"] == 1
        assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200
    postgres.drop(name)


def test_a_schema_of_another_version_is_not_ready(postgres: Cluster) -> None:
    """A service that meets an older or newer schema says so to the load balancer, and names no revision."""
    name = postgres.make()
    with replica_of(postgres.urls(name)) as replica:
        with psycopg.connect(postgres.urls(name).superuser) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        answer = requests.get(f"{replica.url}/readyz", timeout=10)
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    postgres.drop(name)
