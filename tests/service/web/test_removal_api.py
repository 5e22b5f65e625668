"""Connections and their end for scripts: who may, with which proof, and what comes back."""

from dataclasses import replace

import pytest

from gatepost.domain.contract import Facts
from gatepost.domain.desired import ListName
from tests.service.conftest import Look
from tests.service.test_removal import CLOSED
from tests.service.web.conftest import Script, open_session
from tests.service.writing import Writer, wrote


@pytest.fixture
def script(writer: Writer) -> Script:
    """An administrator's script; an entry of ours stands in Exchange, where all others are shut out."""
    writer.service.with_administrator()
    writer.say(facts=Facts(settings=CLOSED))
    writer.pin("allow")
    writer.say()
    assert writer.row is not None
    writer.say(wrote(ListName.ALLOW, writer.row["revision"]))
    return Script(writer.service.url, open_session(writer.service).json()["token"])


def test_a_script_sees_who_loses_and_removes(writer: Writer, script: Script) -> None:
    """The preview with its digest, the undoing with its progress, cancelled, then left in place; and the file."""
    where = f"/api/v1/connections/{writer.organization}/removal"
    seen = script.get(where).json()
    assert (seen["removal"], seen["progress"]) == (None, None)
    preview = seen["preview"]
    assert (preview["entries"], preview["losing"], preview["needs_approval"], preview["budget"]) == (1, 1, False, 5)
    [change] = preview["changes"]
    assert (change["mailbox"], change["loses"], change["after"]["decided_by"]) == (
        "user0@example.test",
        True,
        "default",
    )
    stale = script.post(where, {"ending": "undo", "digest": "stale"})
    assert (stale.status_code, stale.json()["type"], stale.json()["digest"]) == (
        409,
        "preview-changed",
        preview["digest"],
    )
    begun = script.post(where, {"ending": "undo", "digest": preview["digest"]})
    assert (begun.status_code, begun.json()["state"]) == (202, "undoing")
    assert script.get(where).json()["progress"] == {"entries": 1, "left": 1, "results": {"waiting": 1}}
    assert script.post(f"{where}/cancel", None).json()["state"] == "cancelled"
    assert script.post(where, {"ending": "leave"}).json()["state"] == "done"
    file = script.post(f"{where}/file", None)
    assert file.headers["Content-Disposition"].startswith('attachment; filename="gatepost-undo-')
    assert "Undo-GatepostEntry -Mailbox" in file.text
    [connection] = script.get("/api/v1/connections").json()["connections"]
    assert connection["status"] == "removed"


def test_an_old_proof_removes_nothing(writer: Writer, script: Script, look: Look) -> None:
    """Stopping asks for no proof, as it harms nobody; releasing, removing, approving and revoking do."""
    look("UPDATE sessions SET step_up_at = now() - interval '6 minutes'")
    base = f"/api/v1/connections/{writer.organization}"
    assert script.post(f"{base}/stop", {"reason": "a test"}).json()["stopped"]["why"] == "a test"
    for path, body in {
        "release": None,
        "revoke": None,
        "late-renewal": None,
        "removal": {"ending": "leave"},
        "removal/approve": {"digest": "x"},
        "removal/refresh": None,
        "removal/cancel": None,
    }.items():
        refused = script.post(f"{base}/{path}", body)
        assert (refused.status_code, refused.json()["type"]) == (403, "step-up"), path
    assert look("SELECT state FROM organizations") == [{"state": "connected"}]


def test_a_reader_sees_and_decides_nothing(writer: Writer, script: Script) -> None:
    """Who may look at devices may see who would lose; everything else is for others."""
    writer.service.add_administrator("rita", "reader")
    rita = Script(script.url, open_session(replace(writer.service, administrator="rita")).json()["token"])
    base = f"/api/v1/connections/{writer.organization}"
    assert rita.get(f"{base}/removal").json()["preview"]["losing"] == 1
    assert rita.get(base).json()["support"] == {"product": None, "supported": None, "supported_until": None}
    bodies = {"stop": {"reason": "x"}, "removal": {"ending": "leave"}, "removal/approve": {"digest": "x"}}
    for path in ("stop", "release", "revoke", "removal", "removal/approve", "removal/cancel", "removal/file"):
        refused = rita.post(f"{base}/{path}", bodies.get(path))
        assert (refused.status_code, refused.json()["type"]) == (403, "permission"), path
