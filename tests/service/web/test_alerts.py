"""The page Alerts and its API: what is wrong, where it is told, a secret shown once, and every refusal in words."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from gatepost.service.alerts import job
from gatepost.service.database import Database
from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service, in_thread
from tests.service.conftest import Look
from tests.service.speaker import Speaker
from tests.service.web.conftest import Script, Visitor
from tests.service.web.test_browser import AXE, RULES, sign_in

PAGE = "/administration/alerts"


def add(anna: Visitor, kind: str, address: str) -> str:
    """Add a target by the form; the page that comes back, or where it leads."""
    form = {"form_token": anna.token(), "kind": kind, "address": address, "language": "nl"}
    answer = anna.post(f"{PAGE}/targets", form)
    return answer.headers.get("Location") or answer.text


def test_a_webhooks_secret_is_shown_once(anna: Visitor) -> None:
    """On the page that follows the form, which no cache keeps; never again."""
    html = add(anna, "webhook", "https://hooks.example.com/gatepost")
    secret = re.search(r"<pre tabindex=\"0\"><code>([\w-]{43})</code>", html)
    assert secret is not None
    again = anna.get(PAGE)
    assert "https://<wbr>hooks" in again.text or "hooks.example.com" in again.text
    assert secret[1] not in again.text
    assert again.headers["Cache-Control"] == "no-store"


def test_a_target_is_tested_and_removed(anna: Visitor, look: Look) -> None:
    """Buttons on the page; the test waits for its turn."""
    assert add(anna, "syslog", "tls://log.example.com") == f"{PAGE}#targets"
    found = re.search(r"/targets/([0-9a-f-]{36})/test", anna.get(PAGE).text)
    assert found is not None
    assert anna.post(f"{PAGE}/targets/{found[1]}/test", {"form_token": anna.token()}).status_code == 303
    assert look("SELECT what FROM alert_deliveries") == [{"what": "test"}]
    assert anna.post(f"{PAGE}/targets/{found[1]}/remove", {"form_token": anna.token()}).status_code == 303
    assert "Alerts go nowhere yet" in anna.get(PAGE).text
    assert anna.post(f"{PAGE}/targets/{found[1]}/remove", {"form_token": anna.token()}).status_code == 404


@pytest.mark.parametrize(
    ("kind", "address", "words"),
    [
        ("mail", "a@example.com", "has not named a mail relay"),
        ("webhook", "http://hooks.example.com", "This is no address of that kind"),
        ("syslog", "javascript:alert(1)", "This is no address of that kind"),
        ("", "x", "This is no address of that kind"),
    ],
)
def test_a_mistake_is_told_beside_the_form(anna: Visitor, kind: str, address: str, words: str) -> None:
    """With what was typed still there."""
    html = add(anna, kind, address)
    assert words in html
    assert f'value="{address}"' in html


def test_the_page_needs_its_permission_and_its_form_token(anna: Visitor, service: Service) -> None:
    """A reader may not see it; a form of another site does nothing."""
    service.add_administrator("rita", "reader")
    rita = Visitor(service.url)
    rita.sign_in(service, name="rita")
    assert rita.get(PAGE).status_code == 403
    assert anna.post(f"{PAGE}/targets", {"kind": "syslog", "address": "tls://log.example.com"}).status_code == 403


def test_a_script_does_the_same(script: Script) -> None:
    """Add, list, test, remove; the secret is in the answer that made the target."""
    made = script.post("/api/v1/alerts/targets", {"kind": "webhook", "address": "https://hooks.example.com/x"})
    assert made.status_code == 201
    assert len(made.json()["secret"]) == 43
    refused = script.post("/api/v1/alerts/targets", {"kind": "webhook", "address": "https://[::1"})
    assert (refused.status_code, refused.json()["type"]) == (400, "address")
    target = made.json()["target_id"]
    assert script.post(f"/api/v1/alerts/targets/{target}/test", {}).status_code == 202
    listing = script.get("/api/v1/alerts").json()
    assert listing["alerts"] == []
    assert [(each["target_id"], each["waiting"]) for each in listing["targets"]] == [(target, 1)]
    assert made.json()["secret"] not in str(listing)


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("nl-NL", "dark")])
def test_the_page_in_a_browser(
    administered: Service, speaker: Speaker, open_page: OpenPage, look: Look, locale: str, scheme: str, tmp_path: Path
) -> None:
    """In both languages, light and dark, on a narrow screen, by axe; added with the keyboard."""

    async def silence() -> None:
        async with await Database.open(administered.urls.app) as database:
            await job.evaluate(database, administered.tenant_id, None, datetime.now(UTC) + timedelta(minutes=20))

    in_thread(speaker.say)
    look("UPDATE checkins SET lease_until = now()")
    in_thread(lambda: asyncio.run(silence()))
    page: Page = open_page(locale=locale, color_scheme=scheme, bypass_csp=True)
    sign_in(page, administered)
    page.goto(f"{administered.url}{PAGE}")
    words = ("Meldingen", "niet meer gehoord") if locale == "nl-NL" else ("Alerts", "has not been heard")
    assert page.locator("h1").inner_text() == words[0]
    assert words[1] in page.locator("main").inner_text()
    page.locator("input[value=webhook]").focus()
    page.keyboard.press("Space")
    page.locator("#address").fill("https://hooks.example.com/gatepost/" + "a-long-path/" * 12)
    page.keyboard.press("Enter")
    page.locator("#secret").wait_for()
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=tmp_path / f"{locale}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
    page.add_script_tag(path=AXE)
    found = page.evaluate("(rules) => axe.run(document, {runOnly: rules})", RULES)
    assert [each["id"] for each in found["violations"]] == []
