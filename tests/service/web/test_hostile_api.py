"""What a hostile caller with a session may send to the routes of policies, people, sources, onboarding and notices."""

import pytest
import requests

from tests.fixtures.service import Service
from tests.service.web.conftest import Script, open_session
from tests.service.writing import Writer

DEEP = "[" * 30_000 + "]" * 30_000
LONE = "\\ud800"


@pytest.fixture
def script(writer: Writer, service: Service) -> Script:
    """A script that signed in, beside a connector."""
    service.with_administrator()
    return Script(service.url, open_session(service).json()["token"])


def send(script: Script, method: str, path: str, body: str) -> requests.Response:
    """Send exactly these characters."""
    headers = {**script.headers, "Content-Type": "application/json"}
    return requests.request(method, script.url + path, data=body.encode(), headers=headers, timeout=30)


def test_nothing_that_is_sent_makes_the_service_fail(script: Script, writer: Writer) -> None:
    """Nesting, halves of characters, NULs, far times and strange cursors are refused in words; none is our fault."""
    here = f"/api/v1/entries/{writer.organization}"
    source = script.post("/api/v1/sources", {"name": "mdm"}).json()["id"]
    bodies: list[tuple[str, str, str]] = [
        ("POST", "/api/v1/policies", f'{{"document": {DEEP}}}'),
        ("POST", "/api/v1/policies", f'{{"document": {{"{LONE}": 1}}}}'),
        ("POST", "/api/v1/policies", f'{{"document": {{"rules": [{{"{LONE}": 1}}]}}}}'),
        ("POST", "/api/v1/policies", f'{{"document": {{"known_until": "{LONE}"}}}}'),
        ("POST", "/api/v1/policies", f'{{"document": {{"included": ["{LONE}"]}}, "note": "{LONE}"}}'),
        ("POST", "/api/v1/policies", '{"document": {"rules": [{"id": {}, "name": [], "level": {}, "when": []}]}}'),
        ("POST", "/api/v1/policies", '{"document": {"unmanaged": {}}}'),
        ("POST", "/api/v1/policies", '{"document": {"grace": {"warn": 1e400}}}'),
        ("POST", "/api/v1/policies/rollout", '{"version": 99999999999999999999}'),
        ("POST", "/api/v1/policies/rollout/roll-back", '{"version": -99999999999999999999}'),
        ("POST", "/api/v1/policies/rollout/stop", '{"why": "\\u0000"}'),
        ("POST", "/api/v1/previews", '{"document": {}, "at": "0001-01-01T00:00:00Z"}'),
        ("POST", "/api/v1/previews", '{"document": {}, "at": "9999-12-31T23:59:59-23:59"}'),
        ("POST", "/api/v1/previews", '{"version": 99999999999}'),
        ("POST", "/api/v1/previews/devices", '{"document": {}, "cursor": "\\u0000é", "family": "\\u0000"}'),
        ("POST", "/api/v1/previews/devices", '{"document": {}, "cursor": "AAAA"}'),
        ("PUT", "/api/v1/people", f'{{"people": [{{"id": "{LONE}"}}]}}'),
        ("PUT", "/api/v1/people", f'{{"people": {DEEP}}}'),
        ("PUT", "/api/v1/people", '{"people": [{"id": "a", "smtp": ["a@b\\u0000"]}]}'),
        ("PUT", "/api/v1/people", '{"people": [], "may_remove": 99999999999999999999999}'),
        ("PUT", "/api/v1/groups", '{"groups": [{"id": "a", "name": "\\u0000"}]}'),
        ("POST", "/api/v1/sources", f'{{"name": "{LONE}"}}'),
        ("POST", "/api/v1/sources", '{"name": "a", "fresh_for": 1e30}'),
        ("PUT", f"/api/v1/sources/{source}/records", '{"records": [{"id": "\\u0000", "state": "compliant"}]}'),
        (
            "PUT",
            f"/api/v1/sources/{source}/records",
            '{"records": [{"id": "a", "state": "compliant", "checked_at": "0001-01-01T00:00:00+23:59"}]}',
        ),
        ("POST", f"{here}/adoptions/preview", f'{{"how": "file", "text": "mailbox,deviceid\\n{LONE},x"}}'),
        ("POST", f"{here}/adoptions/preview", '{"how": "file", "text": "mailbox,deviceid\\n\\u0000,x"}'),
        ("POST", f"{here}/adoptions/preview", '{"how": "group"}'),
        ("POST", f"{here}/adoptions", '{"how": "file", "name": "\\u0000", "text": "mailbox,deviceid", "digest": ""}'),
        ("POST", f"{here}/pins", '{"text": "mailbox,deviceid\\na\\u0000,x", "level": "allow", "reason": "x"}'),
        ("POST", f"{here}/pins", f'{{"text": "{LONE}", "level": "allow", "reason": "{LONE}"}}'),
        ("POST", f"{here}/default-level", '{"level": "\\u0000", "digest": "\\u0000"}'),
        ("POST", "/api/v1/notices/test", '{"address": "a\\u0000@b", "language": "en"}'),
        ("POST", "/api/v1/notices/test", f'{{"address": "{LONE}", "language": "{LONE}"}}'),
        ("PUT", "/api/v1/notices/settings", '{"contact": "\\u0000", "zone": "../../etc/passwd"}'),
        ("PUT", "/api/v1/notices/settings", f'{{"contact": "{LONE}", "hosts": ["{LONE}"]}}'),
        ("PUT", "/api/v1/notices/templates/blocked/en", f'{{"subject": "{LONE}", "body": "{{{{x"}}'),
        ("POST", "/api/v1/budgets/approve", '{"asked_at": "\\u0000"}'),
    ]
    failed = []
    for method, path, body in bodies:
        answer = send(script, method, path, body)
        told = answer.ok or answer.headers["Content-Type"].startswith("application/problem+json")
        if answer.status_code >= 500 or not told:
            failed.append((method, path, body[:80], answer.status_code, answer.text[:80]))
    places = [
        "/api/v1/report?level=%00",
        "/api/v1/report?after=%00_%00",
        "/api/v1/report?difference=%00&state=%00&reason=%ED%A0%80",
        "/api/v1/policies?before=99999999999999999999",
        "/api/v1/policies/99999999999999999999",
        "/api/v1/policies/-1",
        "/api/v1/groups?after=%ED%A0%80",
        f"/api/v1/sources/{source}/records?after=%00",
        f"{here}/default-level?level=%00",
        f"{here}?from=99999999999999999999999",
        "/api/v1/holds?state=%00",
        f"/api/v1/holds/{writer.organization}?cursor=%00.zz",
        f"/api/v1/holds/{writer.organization}?cursor={writer.organization}.00",
        "/api/v1/notices/templates/blocked/..%2F..",
        "/help/t/%00",
        "/help/t/" + "a" * 5_000,
    ]
    for place in places:
        answer = send(script, "GET", place, "")
        if answer.status_code >= 500:
            failed.append(("GET", place, "", answer.status_code, answer.text[:80]))
    assert failed == []
