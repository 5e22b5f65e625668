"""The pages of the policy: written without a script, previewed before it is saved, rolled out, stopped, rolled back."""

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker
from tests.service.web.conftest import Script, Visitor, form_token
from tests.service.web.forms import fields_of
from tests.service.web.test_browser import sign_in, tab_to, violations

Fields = dict[str, list[str]]
NOT_COMPLIANT = 14
"""So many of the 60 devices do not comply, in the tenants of these tests."""


@dataclass
class Author:
    """Somebody who writes the policy in a browser without scripts, and reads what the pages say."""

    visitor: Visitor
    script: Script

    def page(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = self.visitor.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def send(self, path: str, fields: Fields, status: int = 200, language: str = "en") -> requests.Response:
        """Send a form."""
        url, headers = self.visitor.url + path, {"Accept-Language": language}
        answer = self.visitor.http.post(url, data=fields, headers=headers, allow_redirects=False, timeout=30)
        assert answer.status_code == status, answer.text
        return answer

    def press(self, path: str, **fields: str) -> requests.Response:
        """Press a button that is a form of its own; its answer leads to the policy's page."""
        token = form_token(self.page("/account"))
        return self.send(path, {"form_token": [token], **{name: [text] for name, text in fields.items()}}, 303)

    def form(self, **changes: str) -> Fields:
        """The form with what it begins with, and with some of it typed."""
        found = fields_of(self.page("/policy/edit"))
        return found | {name: [text] for name, text in changes.items()}

    def save(self, **document: Any) -> int:
        """Keep a version by the API."""
        answer = self.script.post("/api/v1/policies", {"document": {"enabled": True, **document}, "note": ""})
        version: int = answer.json()["version"]
        return version


def plain(html: str) -> str:
    """What a person reads of a page, in one line."""
    text = re.sub(r"</?(?:bdi|time|code|wbr|strong|span)\b[^>]*>", "", html)
    text = re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", text))
    return " ".join(text.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").split())


@pytest.fixture
def author(anna: Visitor, script: Script) -> Author:
    """The administrator, in a tenant without an Exchange."""
    return Author(anna, script)


@pytest.fixture
def peopled(author: Author, filled: Speaker, look: Look) -> Author:
    """The same with 60 devices, of which 14 do not comply, under a default that allows; and with two groups."""
    look(
        "INSERT INTO org_settings (tenant_id, organization_id, default_level, settings)"
        " SELECT tenant_id, organization_id, 'Allow', '{\"rules\": []}' FROM organizations"
        " ON CONFLICT (tenant_id, organization_id) DO UPDATE SET default_level = 'Allow', settings = '{\"rules\": []}'"
    )
    url, headers = author.script.url + "/api/v1", author.script.headers
    groups = [{"id": name, "name": name} for name in ("Visitors", "Pilot phones")]
    assert requests.put(f"{url}/groups", json={"groups": groups}, headers=headers, timeout=30).ok
    source = author.script.post("/api/v1/sources", {"name": "MDM"}).json()["id"]
    records = [
        {"id": f"m{number}", "state": "noncompliant", "device_ids": [f"DEV{number:05d}"]}
        for number in range(10, 10 + NOT_COMPLIANT)
    ]
    answer = requests.put(f"{url}/sources/{source}/records", json={"records": records}, headers=headers, timeout=30)
    assert answer.ok, answer.text
    return author


def test_a_tenant_without_a_policy_is_led_to_write_one(author: Author) -> None:
    """The page says what holds until then; a preview leads back, a rollout says that there is nothing to roll out."""
    page = author.page("/policy")
    assert "Until one is rolled out Gatepost leaves its hands off every device that is not pinned" in page
    assert 'href="/policy/edit"' in page
    for path in ("/policy", "/devices", "/report", "/onboarding"):
        shown = author.page(path)
        assert [other for other in ("/report", "/onboarding") if f'href="{other}"' not in shown and other != path] == []
    assert author.visitor.get("/policy/preview").headers["Location"] == "/policy"
    assert "There is no such page" in author.page("/policy/rollout", 404)
    for path in ("/policy/versions/7", "/policy/preview?version=7", "/policy/preview?version=x", "/policy/edit?from=7"):
        assert "There is no such page" in author.page(path, 404), path


def test_a_policy_is_written_looked_at_saved_and_rolled_out(peopled: Author, look: Look) -> None:
    """From the empty form to what is published: nothing changes before the rollout, and then what the preview said."""
    fields = peopled.form(do="add", unmanaged="leave", enabled="on")
    fields["grace.noncompliant"] = ["0"]
    fields = fields_of(peopled.send("/policy/edit", fields).text)
    fields |= {"r0.name": ["Old ones"], "r0.level": ["allow"], "r0.operator": ["<"], "r0.version": ["3"], "do": ["add"]}
    fields = fields_of(peopled.send("/policy/edit", fields).text)
    fields |= {"r1.name": ["Bosses"], "r1.level": ["allow"], "r1.user": ["^boss"], "do": ["up.1"]}
    fields |= {"excluded.typed": ["visitors"]}
    answer = peopled.send("/policy/edit", fields)
    fields = fields_of(answer.text)
    assert [fields["r0.name"], fields["r1.name"]] == [["Bosses"], ["Old ones"]]
    assert "Visitors" in answer.text
    assert fields.pop("excluded")
    shown = peopled.send("/policy/preview", {**fields, "note": ["Why not"]})
    text = plain(shown.text)
    assert "Preview of what you wrote" in text
    assert f"Devices that change {NOT_COMPLIANT} of 59" in text
    assert f"People who lose access {NOT_COMPLIANT // 2}" in text
    assert f"Does not comply {NOT_COMPLIANT} {NOT_COMPLIANT}" in text
    assert look("SELECT count(*) AS n FROM policies")[0]["n"] == 0
    carried = fields_of(shown.text)
    back = fields_of(peopled.send("/policy/edit", carried).text)
    assert {name: back[name] for name in fields if name not in {"form_token", "back", "note"}} == {
        name: fields[name] for name in fields if name not in {"form_token", "back", "note"}
    }
    saved = peopled.send("/policy/save", {**carried, "note": ["For <everybody>"]}, 303)
    assert saved.headers["Location"] == "/policy/rollout?version=1"
    rolling = plain(peopled.page("/policy/rollout?version=1"))
    assert "It holds for nobody yet." in rolling
    assert look("SELECT count(*) AS n FROM desired")[0]["n"] == 0
    assert peopled.press("/policy/rollout", version="1", ring="all").headers["Location"] == "/policy#rollout"
    page = plain(peopled.page("/policy"))
    assert "Version 1 holds for everybody. By anna, since" in page
    assert "For <everybody>" in page
    assert "Allow Bosses When: address matches ^boss" in page
    assert "Allow Old ones When: version is older than 3" in page
    [known] = look("SELECT count(*) AS n FROM decisions WHERE level = 'block' AND reason = 'noncompliant'")
    assert known["n"] == NOT_COMPLIANT
    assert look("SELECT expected FROM rollouts") == [{"expected": NOT_COMPLIANT // 2}]


def test_what_cannot_be_is_told_where_it_stands(author: Author) -> None:
    """In the person's language, with what was typed, at the preview and at saving alike; nothing is saved."""
    fields = fields_of(author.send("/policy/edit", author.form(do="add")).text)
    fields |= {"r0.device_id": ["a(b"], "grace.warn": ["soon"]}
    for path, language, heading, says in (
        ("/policy/preview", "en", "3 fields cannot be as they are", "Give the rule a name of 1 to 200 visible"),
        ("/policy/save", "nl", "3 velden kunnen zo niet", "Geef de regel een naam van 1 tot 200 zichtbare tekens."),
    ):
        html = author.send(path, fields, 400, language).text
        assert heading in html
        assert says in html
        assert "missing ): a(b" in html
        assert fields_of(html)["grace.warn"] == ["soon"]
        assert "<details open>" in html
    answer = author.send("/policy/save", author.form(note="x" * 501), 400)
    assert "A note has at most 500 visible characters on one line." in answer.text
    assert author.script.get("/api/v1/policies").json()["policies"] == []


def test_what_somebody_else_saved_meanwhile_is_told_once(author: Author) -> None:
    """At saving, with what was typed; pressed again it is saved. The preview carries what its form had seen."""
    fields = author.form(note="Mine")
    carried = fields_of(author.send("/policy/preview", fields).text)
    author.save()
    for sent in (fields, carried):
        answer = author.send("/policy/save", {**sent, "note": ["Mine"]}, 409)
        assert "anna saved version 1 meanwhile" in plain(answer.text)
    again = fields_of(answer.text)
    assert again["note"] == ["Mine"]
    assert author.send("/policy/save", again, 303).headers["Location"] == "/policy/rollout?version=2"


def test_whom_it_is_for_is_told_in_names_and_plain_words(peopled: Author, look: Look) -> None:
    """A group is chosen by its name, an unknown one is told; and what hands off means under each default."""
    html = peopled.send("/policy/preview", peopled.form(**{"included.typed": "Visitor"}), 400).text
    assert "There is no group of this name, or more than one." in html
    assert fields_of(html)["included.typed"] == ["Visitor"]
    fields = peopled.form(**{"included.typed": "visitors", "do": "groups."})
    assert "included" in fields_of(peopled.send("/policy/edit", fields).text)
    for default, says in (
        (
            "Allow",
            "Exchange's default is Allow, so where no list of theirs and no access rule says otherwise, they have",
        ),
        ("Block", "they have no mail."),
        ("Quarantine", "they wait in quarantine."),
        (None, "Exchange's default has not been read yet."),
    ):
        look("UPDATE org_settings SET default_level = %s", default)
        assert says in plain(peopled.page("/policy/edit")), default


def test_a_policy_of_two_hundred_rules_can_be_written(author: Author) -> None:
    """The form is larger than others may be, and comes through; one rule more is refused in words."""
    rule = {"level": "block", "when": {"model": ["x" * 100], "user": "y" * 100}}
    version = author.save(rules=[{"id": str(number), "name": f"Rule {number}", **rule} for number in range(200)])
    fields = fields_of(author.page(f"/policy/edit?from={version}"))
    answer = author.send("/policy/edit", {**fields, "do": ["down.0"]})
    assert len(answer.request.body or "") > 64 * 1024
    fields = fields_of(answer.text)
    assert [fields["r0.name"], fields["r1.name"], fields["r199.name"]] == [["Rule 1"], ["Rule 0"], ["Rule 199"]]
    fields = fields_of(author.send("/policy/edit", {**fields, "do": ["add"]}).text)
    answer = author.send("/policy/save", {**fields, "r200.name": ["One more"]}, 400)
    assert "There may be at most 200 rules. Remove one first." in answer.text
    for _ in range(25):
        author.save()
    page = author.page("/policy")
    assert page.count('href="/policy/versions/') == 25
    assert 'href="/policy?before=2#history"' in page
    assert author.page("/policy?before=2").count('href="/policy/versions/') == 1
    assert "The form is too large" in author.send("/policy/save", {**fields, "note": ["x" * 1024 * 1024]}, 413).text


def test_a_rollout_goes_on_stops_and_is_rolled_back(peopled: Author, look: Look) -> None:
    """Ring by ring from the console; each state is told, and each button that comes too late says so."""
    for _ in range(2):
        peopled.save(unmanaged="leave", noncompliant="leave")
    peopled.press("/policy/rollout", version="1", ring="all", pilot="", ring_hours="")
    peopled.press("/policy/rollout", version="2", ring="pilot", pilot="pilot phones", ring_hours="24")
    page = plain(peopled.page("/policy"))
    assert "Version 2 holds within the ring; outside of it version 1 does." in page
    assert "The pilot group Pilot phones" in page
    assert "It goes on by itself at" in page
    peopled.press("/policy/stop", why="Too <many> calls")
    page = plain(peopled.page("/policy"))
    assert "The rollout is stopped Too <many> calls" in page
    stopped = {"form_token": [form_token(peopled.page("/policy"))]}
    assert "Resume it first." in peopled.send("/policy/advance", stopped, 409).text
    look("UPDATE rollouts SET why = 'held'")
    assert "By itself: people wait in a hold because of it." in plain(peopled.page("/policy"))
    peopled.press("/policy/resume")
    for ring in ("1 % of the mailboxes", "10 % of the mailboxes"):
        assert f"Go on: {ring}" in plain(peopled.page("/policy"))
        peopled.press("/policy/advance")
    assert "Go on: Everybody" in plain(peopled.page("/policy"))
    page = plain(peopled.page("/policy/rollout?version=1"))
    assert "in place of version 2." in page
    assert "Version 2 is rolled out in part only. This ends it: outside of the ring that you choose here" in page
    peopled.press("/policy/roll-back", version="1")
    assert "Version 1 holds for everybody." in plain(peopled.page("/policy"))
    for path, fields, says in (
        ("/policy/advance", {}, "This version holds for everybody already"),
        ("/policy/stop", {}, "No rollout is under way"),
        ("/policy/resume", {}, "No rollout is stopped"),
        ("/policy/roll-back", {"version": ["2"]}, "This version is not older than what holds"),
    ):
        assert says in peopled.send(path, {**stopped, **fields}, 409).text, path


def test_a_rollout_that_cannot_be_is_told_at_its_field(author: Author) -> None:
    """Each mistake with what was typed; nothing is rolled out."""
    version = author.save()
    fields = {"form_token": [form_token(author.page("/policy"))], "version": [str(version)]}
    for typed, says in (
        ({"ring": ["pilot"]}, "There is no group of this name, or more than one."),
        ({"ring": ["1"], "pilot": ["nobody"]}, "There is no group of this name, or more than one."),
        ({"ring": ["1"], "ring_hours": ["721"]}, "Write a whole number of hours from 1 to 720, or nothing."),
        ({"ring": ["half"]}, "Choose one."),
    ):
        html = author.send("/policy/rollout", fields | typed, 400).text
        assert says in html, typed
        assert 'aria-invalid="true"' in html, typed
    assert author.script.get("/api/v1/policies/rollout").json()["rollout"] is None


def test_who_exactly_is_told_page_by_page_and_in_files(peopled: Author, service: Service) -> None:
    """Narrowed by what a bar of a chart is about; the files hold all of them. A reader sees it without any form."""
    version = peopled.save(unmanaged="block")
    here = f"/policy/preview?version={version}"
    html = peopled.page(here)
    text = plain(html)
    assert re.search(
        r"By reason .*Not managed 45 44 .*Does not comply 14 14 .*By family .*Android 39 39 .*By model", text
    )
    assert "By family" in text
    assert html.count('scope="row" data-label="Device"') == 50
    [following] = re.findall(r'class="button" href="([^"]*cursor[^"#]*)', html)
    second = peopled.page(following.replace("&amp;", "&"))
    assert second.count('scope="row" data-label="Device"') == 9
    narrowed = plain(peopled.page(f"{here}&reason=noncompliant&family=android"))
    assert "Only: Does not comply, Android Show all again" in narrowed
    assert "There is no such device." in plain(peopled.page(f"{here}&what=gaining"))
    assert "Exchange has no list of quarantined devices." not in text
    quarantining = plain(peopled.page(f"/policy/preview?version={peopled.save()}"))
    assert "Exchange has no list of quarantined devices. The default of Head office is another one" in quarantining
    answer = peopled.visitor.get(here.replace("preview?", "preview.csv?") + "&what=losing")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) == 58
    assert {row["loses"] for row in rows} == {"True"}
    assert answer.headers["Content-Disposition"] == 'attachment; filename="gatepost-preview.csv"'
    counts = json.loads(peopled.page(here.replace("preview?", "preview.json?")))
    assert (counts["devices"], counts["losing"], counts["people_losing"]) == (59, 58, 30)
    draft = {
        "form_token": peopled.form()["form_token"],
        "document": [json.dumps({"enabled": True, "unmanaged": "block"})],
    }
    counts = json.loads(peopled.send("/policy/preview.json", draft).text)
    assert counts["people_losing"] == 30
    sent = peopled.send("/policy/preview.csv", {**draft, "go": ["what=losing&family=ios"]}).text
    assert len(sent.splitlines()) == 20
    assert "cannot be understood" in peopled.send("/policy/preview", {**draft, "document": ["{"]}, 400).text
    assert "cannot be understood" in peopled.send("/policy/preview.csv", {"form_token": draft["form_token"]}, 400).text
    assert "This page of the list cannot be found" in peopled.page(f"{here}&cursor=x", 400)
    service.add_administrator("rita", "reader")
    visitor = Visitor(service.url)
    assert visitor.sign_in(service, name="rita").status_code == 303
    for path in ("/policy", "/policy/versions/1", here):
        html = visitor.get(path).text
        assert "/policy/edit" not in html, path
        assert "/policy/rollout" not in html, path
    assert "Your role does not allow this" in visitor.get("/policy/edit").text


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
def test_a_policy_is_written_by_keyboard_on_any_screen(open_page: OpenPage, peopled: Author, service: Service) -> None:
    """Added, named, previewed and saved, in Dutch, narrow and dark; axe finds nothing there, nor wide and light."""
    page = open_page(color_scheme="dark", viewport={"width": 320, "height": 800}, locale="nl-NL", bypass_csp=True)

    def look_at() -> None:
        assert violations(page) == [], page.url
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], page.url

    sign_in(page, service)
    tab_to(page, "Beleid")
    page.keyboard.press("Enter")
    page.wait_for_url("**/policy")
    look_at()
    tab_to(page, "Een beleid schrijven")
    page.keyboard.press("Enter")
    page.wait_for_url("**/policy/edit")
    page.locator("[name=enabled]").press("Space")
    page.get_by_role("button", name="Regel toevoegen").press("Enter")
    page.locator("#r0-name").fill("Alles wat oud is")
    look_at()
    page.locator("#r0-name").press("Enter")
    page.wait_for_url("**/policy/preview")
    expect(page.locator("dl.numbers dd").first).to_contain_text("59")
    look_at()
    tops = page.evaluate(
        "['.brand', '.languages'].map(it => document.querySelector(it).getBoundingClientRect().bottom)"
    )
    assert max(tops) - min(tops) < 12, "brand and languages share a line, also on a phone"
    page.set_viewport_size({"width": 800, "height": 800})
    fits_too = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits_too), "between a phone and a desk"
    page.set_viewport_size({"width": 320, "height": 800})
    page.get_by_role("button", name="Als nieuwe versie opslaan").press("Enter")
    page.wait_for_url("**/policy/rollout?version=1")
    look_at()
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    for path in ("/policy", "/policy/edit?from=1", "/policy/preview?version=1&ring=1", "/policy/rollout"):
        page.goto(service.url + path)
        look_at()
