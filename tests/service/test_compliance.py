"""Compliance over the API: what sources report stands with devices and people; what is doubtful takes nothing away."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from gatepost.domain.contract import Scope as Extent
from gatepost.service.alerts import conditions, texts
from gatepost.service.database import Database
from tests.fixtures.service import Service, in_thread
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
    return reporter_of(service)


def reporter_of(service: Service) -> Reporter:
    """A script of the tenant's administrator, with one source."""
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


def test_records_that_disagree_about_an_id_make_it_unknown(reporter: Reporter, look: Look) -> None:
    """Of one source or of two; nobody fails for it. A source that is switched off disagrees no more."""
    reporter.put("people", people=[person(0)])
    first = reporter.source
    reporter.report(record(0), record(1, "noncompliant"), record(9, "noncompliant", device_ids=["DEV00000"], user=""))
    assert managed(look) == {"DEV00000": "unknown", "DEV00001": "noncompliant"}
    assert look("SELECT managed FROM people") == [{"managed": "unknown"}]
    reporter.report(record(9, device_ids=["DEV00000"], user=""))
    reporter.add_source("Jamf")
    reporter.report(record(1))
    assert managed(look) == {"DEV00000": "compliant", "DEV00001": "unknown"}
    body = {"name": "Jamf", "fresh_for": 3600, "enabled": False}
    assert reporter.call("PUT", f"sources/{reporter.source}", body).status_code == 204
    assert managed(look) == {"DEV00000": "compliant", "DEV00001": "noncompliant"}
    assert reporter.report(record(1), status=409)["type"] == "source-off"
    assert {each["state"] for each in reporter.call("GET", "sources").json()["sources"]} == {"fresh", "off"}
    assert first != reporter.source


def test_a_record_of_another_user_is_never_held_against_a_device(reporter: Reporter, look: Look) -> None:
    """An id is what a phone says of itself: somebody else's record neither lets it in nor keeps it out."""
    for known, stands in (
        ([], {"user0@example.test": "noncompliant", "": "noncompliant", "user3@example.test": "unknown"}),
        ([], {"u0@corp.test": "unknown"}),
        ([0], {"USER0@example.test": "noncompliant", "U0@corp.test": "noncompliant", "": "noncompliant"}),
        ([0], {"user3@example.test": "unknown"}),
        ([0, 3], {"user3@example.test": "unknown", "user0@example.test": "noncompliant"}),
    ):
        reporter.put("people", people=[person(number) for number in known])
        for user, standing in stands.items():
            reporter.report(record(0, "noncompliant", user=user))
            assert managed(look) == {"DEV00000": standing}, (known, user)


def test_what_comes_late_is_linked_all_the_same(reporter: Reporter, speaker: Speaker, look: Look) -> None:
    """Records before devices, people after mailboxes, mailboxes that are renamed, addresses that two claim."""
    reporter.report(record(8, user="u4@corp.test"), record(0, user="u0@corp.test"))
    assert managed(look) == {"DEV00000": "unknown"}
    reporter.put("people", people=[person(0), person(4)])
    assert managed(look) == {"DEV00000": "compliant"}
    speaker.synchronise([device(8)], [mailbox(4)], scope=Extent.QUICK)
    assert managed(look) == {"DEV00000": "compliant", "DEV00008": "compliant"}
    speaker.synchronise([], [mailbox(4, primary_smtp="new4@example.test")], scope=Extent.QUICK)
    assert managed(look)["DEV00008"] == "unknown"
    reporter.put("people", people=[person(4, smtp=["user4@example.test", "NEW4@example.test"])])
    assert managed(look)["DEV00008"] == "compliant"
    reporter.put("people", people=[person(5, smtp=["new4@example.test"])])
    assert managed(look)["DEV00008"] == "unknown"
    assert look("SELECT person_id FROM mailboxes WHERE primary_smtp = 'new4@example.test'") == [{"person_id": None}]


def test_a_report_that_comes_again_or_late_changes_nothing(reporter: Reporter, look: Look) -> None:
    """The newest look of the source stands, in whichever order it is told; a clock ahead does not stop later news."""
    now = datetime.now(UTC)
    older = record(0, checked_at=(now - timedelta(hours=2)).isoformat())
    newer = record(0, "noncompliant", checked_at=(now - timedelta(hours=1)).isoformat())
    assert reporter.report(newer)["changed"] == 1
    [before] = look("SELECT managed, managed_since FROM devices WHERE device_id = 'DEV00000'")
    assert (before["managed"], before["managed_since"] >= now - timedelta(seconds=1)) == ("noncompliant", True)
    assert reporter.report(older)["changed"] == reporter.report(newer)["changed"] == 0
    assert look("SELECT managed, managed_since FROM devices WHERE device_id = 'DEV00000'") == [before]
    reporter.report(record(0, checked_at=(now + timedelta(days=9)).isoformat()))
    assert managed(look) == {"DEV00000": "compliant"}
    reporter.report(record(0, "noncompliant"))
    assert managed(look) == {"DEV00000": "noncompliant"}


def test_a_source_is_stale_until_it_speaks_and_when_it_falls_silent(reporter: Reporter, look: Look) -> None:
    """A source that sends complete lists is kept fresh by them alone; a few changes do not speak for the rest."""
    assert reporter.state() == "stale"
    reporter.report()
    assert reporter.state() == "stale"
    reporter.report(record(0))
    assert reporter.state() == "fresh"
    reporter.report(record(0), record(1), complete=True)
    look("UPDATE sources SET fresh_at = now() - interval '25 hours'")
    assert reporter.state() == "stale"
    reporter.report(record(0))
    assert reporter.state() == "stale"
    reporter.report(record(0), record(1), complete=True)
    assert reporter.state() == "fresh"


def many(count: int, state: str) -> list[Said]:
    """Records of so many devices."""
    return [record(number, state, user="") for number in range(count)]


def test_an_empty_list_is_never_believed(reporter: Reporter, look: Look) -> None:
    """Nothing is forgotten, the source is doubted, nobody can accept it; a list that is whole ends it."""
    reporter.report(record(0), complete=True)
    for _ in range(2):
        refused = reporter.report(complete=True, status=409)
        assert (refused["type"], refused["why"], refused["known"]) == ("held", "empty", 1)
        assert refused["detail"] == (
            "An empty list is never believed. Nothing was changed, and the source counts as stale."
        )
    assert (reporter.state(), managed(look)) == ("held", {"DEV00000": "compliant"})
    answer = reporter.call("POST", f"sources/{reporter.source}/accept")
    assert (answer.status_code, answer.json()["type"]) == (409, "empty-list")
    reporter.report(record(0))
    assert reporter.state() == "held"
    reporter.report(record(0), complete=True)
    assert reporter.state() == "fresh"
    assert look("SELECT actor, body ->> 'why' AS why FROM events WHERE name = 'service:source:held'") == [
        {"actor": "anna", "why": "empty"}
    ]


def test_a_list_that_leaves_out_too_many_is_held_until_it_is_accepted(reporter: Reporter, look: Look) -> None:
    """51 of 60 are too many; what is accepted is for one list, and for no more than was held."""
    reporter.report(*many(60, "compliant"), complete=True)
    reporter.report(*many(10, "compliant"), complete=True)
    assert look("SELECT count(*) FROM compliance_records") == [{"count": 10}]
    reporter.report(*many(60, "compliant"), complete=True)
    held = reporter.report(*many(9, "noncompliant"), complete=True, status=409)
    assert (held["why"], held["missing"], held["known"], held["told"]) == ("shrunk", 51, 60, 9)
    assert (reporter.state(), set(managed(look).values())) == ("held", {"compliant"})
    assert reporter.call("POST", f"sources/{reporter.source}/accept").status_code == 204
    assert reporter.state() == "fresh"
    assert reporter.report(*many(8, "noncompliant"), complete=True, status=409)["missing"] == 52
    assert reporter.call("POST", f"sources/{reporter.source}/accept").status_code == 204
    assert reporter.report(*many(8, "noncompliant"), complete=True)["removed"] == 52
    assert look("SELECT accepted, held FROM sources") == [{"accepted": None, "held": None}]
    assert reporter.call("POST", f"sources/{reporter.source}/accept").json()["detail"] == (
        "Nothing of this source is held."
    )


def test_a_source_that_calls_too_much_good_is_held(reporter: Reporter, look: Look) -> None:
    """At once, in pieces within the hour, and by way of unknown; what was accepted goes, and then no more."""
    reporter.report(*many(120, "noncompliant"))
    assert reporter.report(*many(51, "compliant"), status=409)["why"] == "too-good"
    assert look("SELECT DISTINCT state FROM compliance_records") == [{"state": "noncompliant"}]
    assert reporter.state() == "held"
    assert reporter.call("POST", f"sources/{reporter.source}/accept").status_code == 204
    assert reporter.report(*many(51, "compliant"))["changed"] == 51
    assert reporter.report(*many(60, "unknown"))["changed"] == 60
    held = reporter.report(record(59, user=""), status=409)
    assert (held["why"], held["recovering"]) == ("too-good", 52)
    look("UPDATE compliance_records SET recovered_at = now() - interval '61 minutes' WHERE recovered_at IS NOT NULL")
    assert reporter.report(*many(50, "compliant"))["changed"] == 50
    assert reporter.report(*many(61, "compliant")[50:])["changed"] == 11
    assert reporter.state() == "held"
    reporter.report(*many(61, "compliant"), *many(120, "noncompliant")[61:], complete=True)
    assert reporter.state() == "fresh"


def test_mistakes_are_told_in_words(reporter: Reporter) -> None:
    """Each bad field is named, and what was sent is not repeated."""
    for body, said in (
        ({"records": [{"id": "a", "state": "fine"}]}, "body.records.0.state"),
        ({"records": [{"id": "", "state": "compliant"}]}, "body.records.0.id"),
        ({"records": [{"id": "a\x00b", "state": "compliant"}]}, "body.records.0.id"),
        ({"records": [{"id": "a", "state": "compliant", "checked_at": "2026-01-01T00:00:00"}]}, "checked_at"),
        ({"records": [{"id": "a", "state": "compliant"}] * 2}, "a is told twice"),
        ({"complete": True}, "body.records"),
    ):
        answer = reporter.call("PUT", f"sources/{reporter.source}/records", body)
        assert answer.status_code == 400, answer.text
        assert said in answer.text, answer.text
    for name, fresh_for, said in (
        ("", 60, "A name has 1 to 200 visible characters."),
        ("x", 59, "fresh_for is a number of seconds from 60 to 2,592,000."),
        ("Intune", 60, "There is a source with this name already."),
    ):
        assert reporter.call("POST", "sources", {"name": name, "fresh_for": fresh_for}).json()["detail"] == said
    assert reporter.call("PUT", f"sources/{reporter.source}/records", "x").status_code == 400
    elsewhere = "sources/6f0e2a44-0d5b-4c8f-9d35-0c2c1f8a7e11"
    assert reporter.call("PUT", f"{elsewhere}/records", {"records": []}).json()["detail"] == "There is no such source."
    answer = reporter.call("DELETE", f"sources/{reporter.source}/records/none")
    assert answer.json()["detail"] == "This source has no such record."


def test_what_is_told_can_be_read_again_page_by_page(reporter: Reporter) -> None:
    """Records with their users and times."""
    reporter.put("people", people=[person(0)])
    reporter.report(record(0), record(1, "noncompliant", name="Anna's phone"), record(2, user=""))
    first = reporter.call("GET", f"sources/{reporter.source}/records?limit=2").json()
    assert [each["id"] for each in first["records"]] == ["m0", "m1"]
    told = first["records"][1]
    assert (told["state"], told["person"], told["name"], told["device_ids"]) == (
        "noncompliant",
        "p0",
        "Anna's phone",
        ["dev00001"],
    )
    assert told["failing_since"] == told["since"]
    last = reporter.call("GET", f"sources/{reporter.source}/records?limit=2&after={first['next']}").json()
    assert ([each["id"] for each in last["records"]], last["next"]) == (["m2"], None)


def test_a_source_that_is_doubted_or_silent_is_an_alert(reporter: Reporter, service: Service, look: Look) -> None:
    """Told to whoever is told of alerts, with what helps; not of a source that never spoke or is switched off."""

    def wrong() -> list[tuple[str, str]]:
        async def conditions_now() -> list[conditions.Found]:
            async with (
                await Database.open(service.urls.app, size=1) as database,
                database.tenant(service.tenant_id) as scope,
            ):
                return await conditions.look(scope, datetime.now(UTC))

        found = in_thread(lambda: asyncio.run(conditions_now()))
        return [(each.condition.value + "/" + each.subject, each.detail) for each in found if not each.organization_id]

    assert wrong() == []
    reporter.report(record(0), complete=True)
    reporter.report(complete=True, status=409)
    assert wrong() == [("held/source", "1")]
    reporter.report(record(0), complete=True)
    look("UPDATE sources SET fresh_at = now() - interval '25 hours'")
    assert wrong() == [("source/", "1")]
    row = {"condition": "source", "subject": "", "detail": "1", "organization_id": None}
    english = texts.language_of("en")
    assert texts.sentence(row, english) == "A compliance source has been silent for too long. Such sources: 1."
    assert texts.link(row, "https://g.example.test") == "https://g.example.test/administration/sources"
    look("UPDATE sources SET enabled = false")
    assert wrong() == []


def test_reports_and_synchronisations_at_once_do_not_look_past_each_other(
    reporter: Reporter, speaker: Speaker, look: Look
) -> None:
    """Two sources and the connector tell of the same devices at the same moment, again and again: nobody is lost."""
    first, second = reporter.source, reporter.add_source("Jamf")
    numbers = range(8)

    def tell(source: str, states: tuple[str, ...]) -> None:
        for state in states:
            reporter.report(*(record(number, state, user="") for number in numbers), source=source)

    def synchronise() -> None:
        for turn in range(4):
            rows = [device(number, model=f"Turn{turn}") for number in numbers]
            boxes = [mailbox(number, display_name=f"Turn {turn}") for number in range(4)]
            speaker.synchronise(rows, boxes, scope=Extent.QUICK)

    with ThreadPoolExecutor(3) as threads:
        ways = ("compliant", "noncompliant", "compliant"), ("noncompliant", "compliant", "noncompliant")
        work = [
            threads.submit(tell, first, ways[0]),
            threads.submit(tell, second, ways[1]),
            threads.submit(synchronise),
        ]
        for each in work:
            each.result(60)
    assert set(managed(look).values()) == {"unknown"}
    assert len(managed(look)) == len(numbers)
    reporter.report(*(record(number, user="") for number in numbers), source=second)
    assert set(managed(look).values()) == {"compliant"}
