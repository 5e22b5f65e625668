"""Policies for scripts: versions, rollouts and previews over HTTP, with the worker's own process behind them."""

import csv
import io
import os
import signal
from pathlib import Path

import pytest
import requests

from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.web.conftest import Script, open_session
from tests.service.writing import Writer

POLICY = {
    "enabled": True,
    "rules": [{"id": "all", "name": "Everybody out", "level": "block", "when": {"user": "."}}],
}


def workers() -> list[Path]:
    """The processes of this one that compute previews, as their folders in /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"policies.worker" in (folder / "cmdline").read_bytes():
                found.append(folder)
        except OSError:
            continue  # it ended meanwhile
    return found


@pytest.fixture
def script(writer: Writer, service: Service) -> Script:
    """A script that signed in, beside a connector that may write; its administrator may begin rollouts."""
    service.with_administrator()
    return Script(service.url, open_session(service).json()["token"])


def test_a_policy_is_saved_previewed_rolled_out_and_rolled_back(script: Script, look: Look) -> None:
    """What the preview counts is published, as far as the guard lets it; each act tells how far it is."""
    assert script.get("/api/v1/policies/rollout").json() == {"rollout": None}
    saved = script.post("/api/v1/policies", {"document": POLICY, "note": "first"})
    assert (saved.status_code, saved.json()["version"], saved.json()["note"]) == (201, 1, "first")
    off = script.post("/api/v1/policies", {"document": {"enabled": False}}).json()
    assert off["version"] == 2
    listed = script.get("/api/v1/policies", limit=1).json()
    assert [each["version"] for each in listed["policies"]] == [2]
    assert [each["version"] for each in script.get(listed["next"]).json()["policies"]] == [1]
    assert script.get("/api/v1/policies/1").json() == saved.json()

    seen = script.post("/api/v1/previews", {"version": 1}).json()
    assert (seen["devices"], seen["changes"]) == (8, 8)
    assert seen["levels"]["block"] == {"before": 0, "after": 8}
    assert seen["reasons"] == [{"reason": "rule", "devices": 8, "changes": 8, "losing": 8, "gaining": 0}]
    assert seen["people_losing"] == 4, "Exchange's rules were never read, so everybody may have had access"
    begun = script.post("/api/v1/policies/rollout", {"version": 1})
    assert begun.status_code == 202, begun.text
    rollout = begun.json()["rollout"]
    assert (rollout["version"], rollout["ring"], rollout["state"], rollout["expected"]) == (1, "all", "done", 4)
    assert look("SELECT count(*) FROM desired WHERE level = 'block'") == [{"count": 8}]
    assert script.post("/api/v1/previews", {"version": 1}).json()["changes"] == 0

    refused = script.post("/api/v1/policies/rollout/roll-back", {"version": 2})
    assert (refused.status_code, refused.json()["type"]) == (409, "not-older")
    ringed = script.post("/api/v1/policies/rollout", {"version": 2, "ring": "1", "ring_hours": 24}).json()["rollout"]
    assert (ringed["base"], ringed["state"], ringed["ring_hours"]) == (1, "rolling", 24)
    stopped = script.post("/api/v1/policies/rollout/stop", {"why": "lunch"}).json()["rollout"]
    assert (stopped["state"], stopped["why"]) == ("stopped", "lunch")
    assert script.post("/api/v1/policies/rollout/resume", {}).json()["rollout"]["state"] == "rolling"
    assert script.post("/api/v1/policies/rollout/advance", {}).json()["rollout"]["ring"] == "10"
    back = script.post("/api/v1/policies/rollout/roll-back", {"version": 1}).json()["rollout"]
    assert (back["version"], back["base"], back["ring"]) == (1, 2, "all")


def test_who_exactly_comes_in_pages_and_as_csv(script: Script) -> None:
    """Every device once, with what becomes of it; filters narrow; the worker is a process that dies without harm."""
    asked = {"document": POLICY, "limit": 3}
    first = script.post("/api/v1/previews/devices", asked).json()
    rows, cursor = first["devices"], first["next"]
    while cursor:
        page = script.post("/api/v1/previews/devices", {**asked, "at": first["at"], "cursor": cursor}).json()
        rows, cursor = [*rows, *page["devices"]], page["next"]
    assert {row["device_id"] for row in rows} == {f"DEV0000{number}" for number in range(8)}
    assert {(row["before"], row["after"], row["reason"], row["rule"]) for row in rows} == {
        ("leave", "block", "rule", "all")
    }
    (worker,) = workers()
    assert b"postgresql://" not in (worker / "cmdline").read_bytes() + (worker / "environ").read_bytes()
    os.kill(int(worker.name), signal.SIGKILL)
    answer = script.post("/api/v1/previews/devices.csv", {"document": POLICY})
    told = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert {row["device_id"] for row in told} == {row["device_id"] for row in rows}
    assert told[0]["after"] == "block"
    for fields in ({"level": "allow"}, {"what": "gaining"}, {"family": "android"}, {"model": ""}, {"reason": "stale"}):
        assert script.post("/api/v1/previews/devices", {**asked, **fields}).json()["devices"] == []
    some = script.post("/api/v1/previews/devices", {**asked, "model": rows[0]["model"], "level": "block"}).json()
    assert some["devices"] == [row for row in rows if row["model"] == rows[0]["model"]][:3] != []


REFUSED: tuple[tuple[str, object, str], ...] = (
    ("policies", {"document": {"x": 1}}, "The policy cannot be read at policy.x: this is not known here;"),
    ("previews", {"document": {"enabled": 1}}, "The policy cannot be read at enabled: it is true or false."),
    ("previews", {}, "Name a version, or send a document; not both."),
    ("previews", {"version": 1, "document": {}}, "Name a version, or send a document; not both."),
    ("previews", {"version": 7}, "The policy has no version 7."),
    ("previews/devices", {"document": {}, "cursor": "é"}, "The cursor is none that was given out here."),
    ("policies/rollout", {"version": 7}, "The policy has no version 7."),
    ("policies/rollout/advance", {}, "No version of the policy was rolled out yet."),
)


def test_what_cannot_be_is_refused_in_words(script: Script) -> None:
    """The answer says what is wrong, in words."""
    for path, body, said in REFUSED:
        refused = script.post(f"/api/v1/{path}", body)
        assert refused.status_code in (400, 404, 409), path
        assert refused.json()["detail"].startswith(said)


def test_a_reader_looks_and_changes_nothing(script: Script, service: Service) -> None:
    """Previews are for everybody who may read policies; saving and rolling out is not."""
    service.add_administrator("rita", "reader")
    body = {"tenant": service.slug, "name": "rita", "password": service.password}
    rita = Script(service.url, requests.post(f"{service.url}/api/v1/sessions", json=body, timeout=30).json()["token"])
    assert rita.post("/api/v1/previews", {"document": POLICY}).status_code == 200
    assert rita.get("/api/v1/policies").json()["policies"] == []
    for path, asked in (("policies", {"document": POLICY}), ("policies/rollout", {"version": 1})):
        assert rita.post(f"/api/v1/{path}", asked).json()["type"] == "permission"
