"""Compliance over the API: what sources report stands with devices and people; what is doubtful takes nothing away."""

from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox

Said = dict[str, Any]


def record(number: int, state: str = "compliant", **fields: Any) -> Said:
    """A record of a managed device that speaks of the device with this number."""
    known = {"id": f"m{number}", "state": state, "device_ids": [f"dev{number:05d}"]}
    return {**known, "user": f"user{number // 2}@example.test", **fields}


def person(number: int, **fields: Any) -> Said:
    """The person of a mailbox."""
    return {"id": f"p{number}", "smtp": [f"User{number}@example.test"], "upn": f"u{number}@corp.test", **fields}


@dataclass
class Reporter:
    """A script that tells of people and of compliance."""

    url: str
    headers: dict[str, str]
    source: str = ""

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        """One request."""
        return requests.request(method, f"{self.url}/api/v1/{path}", json=body, headers=self.headers, timeout=30)

    def put(self, path: str, status: int = 200, **body: Any) -> Said:
        """Tell of something."""
        answer = self.call("PUT", path, body)
        assert answer.status_code == status, answer.text
        told: Said = answer.json()
        return told

    def add_source(self, name: str = "Intune", **fields: Any) -> str:
        """Add a source, which is reported to from now on."""
        answer = self.call("POST", "sources", {"name": name, **fields})
        assert answer.status_code == 201, answer.text
        self.source = answer.json()["id"]
        return self.source

    def report(self, *records: Said, complete: bool = False, status: int = 200, source: str = "") -> Said:
        """Report."""
        path = f"sources/{source or self.source}/records"
        return self.put(path, status, records=list(records), complete=complete)

    def state(self) -> str:
        """How the source stands."""
        [found] = [each for each in self.call("GET", "sources").json()["sources"] if each["id"] == self.source]
        return str(found["state"])


@pytest.fixture
def reporter(service: Service, speaker: Speaker) -> Reporter:
    """A script of a tenant with eight devices of four mailboxes, and one source."""
    speaker.synchronise([device(number) for number in range(8)], [mailbox(number) for number in range(4)])
    service.with_administrator()
    body = {"tenant": service.slug, "name": service.administrator, "password": service.password}
    token = requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=30).json()["token"]
    reporter = Reporter(service.url, {"Authorization": f"Bearer {token}"})
    reporter.add_source()
    return reporter


def managed(look: Look) -> dict[str, str]:
    """How each device stands, but those that nobody manages."""
    rows = look("SELECT device_id, managed FROM devices WHERE managed <> 'unmanaged' ORDER BY device_id")
    return {row["device_id"]: row["managed"] for row in rows}


def test_a_report_stands_with_devices_and_people(reporter: Reporter, look: Look) -> None:
    """By id in any case; the person has what the devices come to together."""
    reporter.put("people", people=[person(0), person(1)])
    reporter.report(record(0), record(1, "noncompliant"), record(2, "noncompliant"))
    assert managed(look) == {"DEV00000": "compliant", "DEV00001": "noncompliant", "DEV00002": "noncompliant"}
    assert look("SELECT external_id, managed FROM people ORDER BY 1") == [
        {"external_id": "p0", "managed": "compliant"},
        {"external_id": "p1", "managed": "noncompliant"},
    ]
    [since] = look("SELECT managed_since FROM devices WHERE device_id = 'DEV00002'")
    reporter.report(record(2, "unknown"))
    assert managed(look)["DEV00002"] == "unknown"
    reporter.report(record(2, "noncompliant"))
    assert look("SELECT managed_since FROM devices WHERE device_id = 'DEV00002'") == [since]
    reporter.report(record(2))
    assert managed(look)["DEV00002"] == "compliant"
    assert reporter.call("DELETE", f"sources/{reporter.source}/records/m2").status_code == 204
    assert "DEV00002" not in managed(look)
    assert look("SELECT managed, managed_since FROM people WHERE external_id = 'p1'") == [
        {"managed": "unmanaged", "managed_since": None}
    ]
