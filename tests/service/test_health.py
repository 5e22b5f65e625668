"""Health of a running service."""

import requests

from tests.fixtures.service import Service


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
