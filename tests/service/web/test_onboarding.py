"""Onboarding, the report and the explanation over HTTP: forms with a file, what is refused, files and JSON."""

import csv
import io
from typing import Any

import pytest
import requests

from tests.service.conftest import Look
from tests.service.onboarding.conftest import Site
from tests.service.speaker import device
from tests.service.test_explanation import comply, put_in_force
from tests.service.web.conftest import Script, Visitor, form_token, open_session
from tests.service.writing import Writer

CSV = "mailbox,device id,list\nuser0@example.test,DEV00000,allowed\nuser0@example.test,NOWHERE,\n"


@pytest.fixture
def site(writer: Writer) -> Site:
    """An organization of whose lists others filled two, seen by its administrator."""
    writer.service.with_administrator()
    found = Site(writer)
    found.lists({"allowed_ids": ["DEV00000"]}, {"blocked_ids": ["DEV00002"]})
    return found


@pytest.fixture
def anna(site: Site) -> Visitor:
    """Its administrator, signed in."""
    visitor = Visitor(site.writer.service.url)
    assert visitor.sign_in(site.writer.service).status_code == 303
    return visitor


@pytest.fixture
def script(site: Site) -> Script:
    """A script of hers."""
    service = site.writer.service
    return Script(service.url, open_session(service).json()["token"])


def send(anna: Visitor, path: str, file: str | bytes | None = None, **fields: str) -> requests.Response:
    """Send a form, as a browser does that has a file to choose."""
    raw = file.encode() if isinstance(file, str) else file
    files = {"file": ("old.csv", raw, "text/csv")} if raw is not None else {"other": ("", b"")}
    return anna.post(path, {"form_token": anna.token(), **fields}, files=files)


def hidden(html: str, name: str) -> str:
    """What a hidden field of a page holds."""
    return html.split(f'name="{name}" value="')[1].split('"', maxsplit=1)[0]


def test_a_file_is_previewed_and_adopted_and_given_back(site: Site, anna: Visitor, look: Look) -> None:
    """What was shown is handed on with its digest; the bad line is named; the row of the adoption takes it back."""
    here = f"/onboarding/{site.organization}"
    seen = send(anna, f"{here}/adopt", CSV, how="file")
    assert seen.status_code == 200, seen.text
    assert "Line 3:" in seen.text
    assert "no mailbox&#39;s list has this entry" in seen.text or "no mailbox's list has this entry" in seen.text
    confirmed = {"how": "file", "digest": hidden(seen.text, "digest"), "name": "old.csv", "text": CSV}
    done = anna.post(f"{here}/adopt", {"form_token": form_token(seen.text), **confirmed})
    assert (done.status_code, done.headers["Location"]) == (
        303,
        f"/onboarding?organization={site.organization}#adoptions",
    )
    assert look("SELECT device_id, adoption_id IS NOT NULL AS adopted FROM list_entries") == [
        {"device_id": "DEV00000", "adopted": True}
    ]
    page = anna.get(f"/onboarding?organization={site.organization}").text
    assert "old.csv" in page
    path = page.split('/return"')[0].rsplit('"', 1)[1] + "/return"
    assert anna.post(path, {"form_token": form_token(page)}).status_code == 303
    assert look("SELECT ownership FROM list_entries") == [{"ownership": "foreign"}]


MISTAKES: list[tuple[dict[str, str], bytes | str | None, str]] = [
    ({"how": "file"}, b"", "Choose a file."),
    ({"how": "file"}, b"\xff\xff\xfe", "The file is no text in UTF-8 or UTF-16."),
    ({"how": "file"}, "phone,device id\n", "The first line must name the column of the mailbox"),
    ({"how": "file"}, "x" * (512 * 1024 + 1), "The file is larger than 512 KiB."),
    ({"how": "group"}, None, "Choose a group."),
    ({"how": "some"}, None, "Choose which entries."),
]


def test_what_cannot_be_adopted_is_said_at_the_form(site: Site, anna: Visitor) -> None:
    """With what is wrong, in words."""
    for form, file, sentence in MISTAKES:
        refused = send(anna, f"/onboarding/{site.organization}/adopt", file, **form)
        assert refused.status_code == 400, sentence
        assert sentence in refused.text
        assert 'role="alert"' in refused.text


def test_devices_of_a_file_are_pinned_after_a_look(site: Site, anna: Visitor, look: Look) -> None:
    """And what is wrong with the pin is said before anything happens."""
    here = f"/onboarding/{site.organization}/pins"
    fields = {"level": "allow", "reason": "the board", "until": ""}
    wrong = send(anna, here, CSV, **{**fields, "reason": " "})
    assert (wrong.status_code, "Say why" in wrong.text) == (400, True)
    seen = send(anna, here, CSV, **fields)
    assert seen.status_code == 200
    assert look("SELECT count(*) FROM pins") == [{"count": 0}]
    done = anna.post(here, {"form_token": form_token(seen.text), **fields, "text": CSV, "confirmed": "1"})
    assert done.status_code == 303
    assert {row["device_id"] for row in look("SELECT device_id FROM pins")} == {"DEV00000", "NOWHERE"}


def test_the_api_adopts_notes_and_switches(site: Site, script: Script) -> None:
    """Each with the digest of its preview, and a problem with its name where that is old."""
    base = f"/api/v1/entries/{site.organization}"
    told = script.get(base, owner="foreign", limit=1).json()
    assert (told["entries"][0]["device_id"], told["next_from"]) == ("DEV00000", 1)
    seen = script.post(f"{base}/adoptions/preview", {"how": "all"}).json()
    assert script.post(f"{base}/adoptions", {"how": "all", "digest": "old"}).json()["type"].endswith("preview-changed")
    made = script.post(f"{base}/adoptions", {"how": "all", "digest": seen["digest"]}).json()
    assert made["entries"] == 2
    assert script.post(f"{base}/adoptions/{made['adoption_id']}/return", {}).json()["returned"] == 2
    assert script.get(f"{base}/adoptions").json()["adoptions"][0]["standing"] == 0
    assert script.post(f"{base}/known", {}).json() == script.get(f"{base}/known").json() == {"known": 1, "devices": 8}
    preview = script.get(f"{base}/default-level", level="allow").json()["preview"]
    assert (preview["was"], preview["losing"], preview["gaining"]) == ("quarantine", 0, 4)
    body = {"level": "allow", "digest": preview["digest"]}
    assert script.post(f"{base}/default-level", body).json()["state"] == "wished"
    assert script.post(f"{base}/default-level/back", {}).status_code == 202
    for path in ("approve", "drop"):
        refused = script.post(f"{base}/default-level/{path}", {"digest": "x"})
        assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (409, "not-asked")


def test_the_report_and_the_explanation_say_the_same_everywhere(
    site: Site, anna: Visitor, script: Script, look: Look
) -> None:
    """Page, CSV, JSON lines and API; and the device's own page says it in words."""
    comply(look)
    put_in_force(site.writer.service)
    page = anna.get("/report?level=block").text
    assert "Block" in page
    rows = list(csv.DictReader(io.StringIO(anna.get("/report/export").text.removeprefix("\ufeff"))))
    lines = anna.get("/report/export?format=json").text.splitlines()
    told: list[dict[str, Any]] = script.get("/api/v1/report").json()["devices"]
    assert len(rows) == len(lines) == len(told) == 8
    assert [row["guid"] for row in rows] == [each["guid"] for each in told]
    assert {row["decided"] for row in rows} == {each["explanation"]["decision"]["level"] for each in told} == {"block"}
    first = device(0)[0]
    path = f"/api/v1/devices/{site.organization}/{first}/explanation"
    assert script.get(path).json() == told[0]["explanation"]
    assert "What would change it" in anna.get(f"/devices/{site.organization}/{first}").text
    assert anna.get("/report?after=nonsense").status_code == 400
    small = script.get("/api/v1/report", limit=3).json()
    assert (len(small["devices"]), small["next"].startswith("/api/v1/report?")) == (3, True)


def test_who_may_only_read_adopts_nothing(site: Site) -> None:
    """A reader sees the stock, and is refused the rest."""
    service = site.writer.service.add_administrator("ria", "reader")
    ria = Visitor(service.url)
    assert ria.sign_in(service, name="ria").status_code == 303
    page = ria.get("/onboarding").text
    assert 'id="adopt"' not in page
    for path in ("adopt", "known", "pins", "default"):
        refused = ria.post(f"/onboarding/{site.organization}/{path}", {"form_token": form_token(page)})
        assert refused.status_code in (403, 303), path
        assert refused.headers.get("Location", "/step-up").startswith("/step-up")
