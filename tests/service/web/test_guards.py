"""What keeps other sites, other tenants and hostile names out of the console."""

import hashlib
import re
from pathlib import Path

import pytest
import requests

from gatepost.service.web import static_files
from tests.fixtures.service import Replica, Service, new_tenant
from tests.service.conftest import Look
from tests.service.speaker import Speaker
from tests.service.web.conftest import Library, Script, Visitor

GUID = "00000000-0000-0000-0000-000000000002"
PAGES = ("/", "/t/x/", "/connection", "/devices", "/livez", "/api/v1/openapi.json", "/nowhere")


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_carries_a_strict_policy(anna: Visitor, path: str) -> None:
    """Scripts and styles of our own only, nothing inline, no frame; and nothing is stored on the way."""
    headers = anna.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_static_files_are_kept_by_browsers_under_their_hash(anna: Visitor) -> None:
    """The address changes with the content; another hash, or a path upwards, is no file."""
    url = static_files.url("gatepost.css")
    answer = anna.get(url)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert hashlib.sha256(answer.content).hexdigest().startswith(url.split("/")[2])
    assert anna.get("/static/0000000000000000/gatepost.css").status_code == 404
    assert anna.get("/static/..%2f..%2f/render.py").status_code == 404


@pytest.mark.parametrize(
    "readme", [static_files.FOLDER / "vendor" / "README.md", Path(__file__).parent / "vendor" / "README.md"]
)
def test_vendored_files_are_those_that_were_looked_at(readme: Path) -> None:
    """Each file's SHA-256 is the one written beside it, and no file is unwritten."""
    written = dict(re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", readme.read_text(), re.MULTILINE))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in readme.parent.iterdir()
        if path.name != "README.md"
    }
    assert found == written
    assert found


def test_a_form_without_its_token_is_refused(anna: Visitor, speaker: Speaker, look: Look) -> None:
    """The cookie alone is not enough, nor is another token; nothing happens."""
    path = f"/connection/{speaker.identity['organization']}/sync"
    for token in ("", "x" * 43):
        refused = anna.post(path, {"kind": "full", "form_token": token})
        assert refused.status_code == 403
        assert "This form could not be checked" in refused.text
    assert look("SELECT sync_requested FROM organizations")[0]["sync_requested"] == "none"


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_a_form_from_another_site_is_refused(anna: Visitor, service: Service, headers: dict[str, str]) -> None:
    """Even with the right token or password, and also the forms that need no session."""
    assert anna.post("/sign-out", {"form_token": anna.token()}, headers=headers).status_code == 403
    assert anna.post("/language", {"language": "nl"}, headers=headers).status_code == 403
    form = {"name": service.administrator, "password": service.password}
    assert anna.post(f"/t/{service.slug}/", form, headers=headers).status_code == 403
    assert anna.get("/devices").status_code == 200


def test_a_form_of_our_own_page_is_taken(anna: Visitor, speaker: Speaker, look: Look) -> None:
    """With the token, from this origin, the sync is asked for and written down."""
    path = f"/connection/{speaker.identity['organization']}/sync"
    sent = anna.post(path, {"kind": "full", "form_token": anna.token()}, headers={"Origin": anna.url})
    assert sent.status_code == 303
    assert look("SELECT sync_requested FROM organizations")[0]["sync_requested"] == "full"
    event = look("SELECT actor, body FROM events WHERE name = 'console:sync:requested'")[0]
    assert event == {"actor": "anna", "body": {"kind": "full", "before": "none", "after": "full"}}


def test_a_cookie_is_no_credential_for_the_api(anna: Visitor) -> None:
    """So a page of another site cannot use it there either."""
    assert anna.get("/api/v1/devices").status_code == 401


def test_a_huge_form_is_refused(anna: Visitor) -> None:
    """Before it is read."""
    answer = anna.post("/language", {"back": "/" + "x" * 70_000})
    assert answer.status_code == 413
    assert "The form is too large" in answer.text


def test_names_that_are_markup_are_shown_as_text(library: Library) -> None:
    """In the list, on the page and in its title; a bell becomes a sign."""
    anna = Visitor(library.service.url)
    anna.sign_in(library.service)
    for path in ("/devices?q=bell", f"/devices/{library.organization}/{GUID}"):
        html = anna.get(path).text
        assert "<script>alert" not in html
        assert "<b>bold" not in html
        assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; ␇bell" in html
        assert "\x07" not in html


def test_what_is_searched_for_is_shown_as_text(anna: Visitor) -> None:
    """The search box gives back what was typed, as text."""
    html = anna.get("/devices", params={"q": '"><script>alert(1)</script>', "state": "<i>"}).text
    assert "<script>alert" not in html
    assert "<i>" not in html


def test_another_tenants_device_is_not_found(anna: Visitor, script: Script, library: Library) -> None:
    """The same 404 as for a device that does not exist, on every way to it."""
    for path in (
        f"/api/v1/devices/{library.organization}/{GUID}",
        f"/api/v1/devices/{library.organization}/{GUID}/history",
    ):
        assert library.script.get(path).status_code == 200
        refused, missing = script.get(path), script.get(path.replace(GUID, library.organization))
        assert refused.status_code == missing.status_code == 404
        assert refused.content == missing.content
    assert script.get("/api/v1/devices", organization=library.organization).json()["devices"] == []
    assert script.post(f"/api/v1/connections/{library.organization}/sync", {"kind": "full"}).status_code == 404
    assert anna.get(f"/devices/{library.organization}/{GUID}").status_code == 404
    assert anna.get(f"/connection?organization={library.organization}").status_code == 404


def test_a_token_of_one_tenant_opens_no_other(replica: Replica, service: Service, script: Script) -> None:
    """The tenant in the token is looked at first, and the secret inside it."""
    other = new_tenant(replica, service.urls, f"{service.slug}-two")
    _, session, secret = script.token.split(".")
    forged = Script(service.url, f"{other.tenant_id}.{session}.{secret}")
    assert forged.get("/api/v1/devices").status_code == 401


def test_an_address_that_is_none_is_a_page_for_people_and_a_problem_for_scripts(service: Service) -> None:
    """Each gets the answer it can read."""
    page = requests.get(f"{service.url}/nowhere", headers={"Accept": "text/html", "Accept-Language": "nl"}, timeout=30)
    assert page.status_code == 404
    assert "Deze pagina bestaat niet" in page.text
    problem = requests.get(f"{service.url}/api/v1/nowhere", headers={"Accept": "text/html"}, timeout=30)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json()["type"] == "not-found"
