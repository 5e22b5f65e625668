"""The pages about notices, and the public page of help: chosen, worded, tested, refused in words, read by anybody."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.test_notices import block, claimed, due, say
from tests.service.web.conftest import Script, Visitor, form_token
from tests.service.web.test_browser import sign_in, violations
from tests.service.writing import Writer

PAGE = "/administration/notices"
SETTINGS = {
    "speaks": "both",
    "language": "nl",
    "zone": "Europe/Amsterdam",
    "hosts": "help.example.com\r\n",
    "portal": "https://help.example.com/enrol",
    "contact": "Servicedesk, 1234",
    "a_person": "4",
    "a_tenant": "500",
}


def visit(service: Service) -> tuple[Visitor, dict[str, str]]:
    """The administrator, and the form token."""
    visitor = Visitor(service.with_administrator().url)
    assert visitor.sign_in(service).status_code == 303
    return visitor, {"form_token": form_token(visitor.get("/account").text)}


def test_settings_words_and_a_test_by_forms(service: Service, writer: Writer, look: Look) -> None:
    """What is mistaken stands beside its field with what was typed; what is kept is what the next mail says."""
    visitor, token = visit(service)
    for wrong, said in (
        ({"portal": "https://evil.example/"}, "Write an https address on one of the hosts, or nothing."),
        ({"hosts": "not a host<b>"}, "Write one host name a line"),
        ({"contact": "see https://evil.example"}, "a link in it must lead to one of the hosts."),
        ({"zone": "Mars/Base"}, "Write a time zone such as Europe/Amsterdam."),
        ({"a_person": "0"}, "Write a whole number from 1 to 100."),
        ({"a_tenant": "many"}, "Write a whole number from 1 to 1,000,000."),
        ({"speaks": "nobody"}, "Choose one."),
    ):
        answer = visitor.post(PAGE, {**token, **SETTINGS, **wrong})
        assert (answer.status_code, said in answer.text, "<b>" in answer.text) == (400, True, False), wrong
    assert visitor.post(PAGE, {**token, **SETTINGS}).status_code == 303
    words = f"{PAGE}/words/blocked/nl"
    bad = {**token, "do": "keep", "subject": "x", "body": "{{password}} https://evil.example {{"}
    answer = visitor.post(words, bad)
    assert answer.status_code == 400
    for part in ("<code>{{password}}</code>", "<code>https://evil.example</code>", "There are two braces"):
        assert part in answer.text
    own = {**token, "subject": "Mail weg: {{device.name}}", "body": "Dag {{user.name}}\r\n\r\n{{link}}\r\n{{contact}}"}
    looked = visitor.post(words, {**own, "do": "look"})
    assert ("Mail weg: Phone (Example 7)" in looked.text, "not kept yet" in looked.text) == (True, True)
    assert visitor.post(words, {**own, "do": "keep"}).status_code == 303
    block(writer)
    [letter] = claimed(writer, [due(writer)[0]["notice_id"]])
    assert letter["subject"] == "Mail weg: Phone 0 (iPhone10C1)"
    assert letter["text"] == "Dag User 0\n\nhttps://help.example.com/enrol\nServicedesk, 1234\n"
    say(writer, letter, "failed", why="Exchange said <no>")
    assert "Exchange said &lt;no&gt;" in visitor.get(PAGE).text
    assert visitor.post(words, {**token, "do": "ours"}).status_code == 303
    assert "These are the words that come with Gatepost." in visitor.get(words).text
    nobody = visitor.post(f"{PAGE}/test", {**token, "address": "x@y.example", "kind": "warning", "language": "fr"})
    assert (nobody.status_code, "No person&#39;s mailbox" in nobody.text) == (400, True)
    asked = {**token, "address": "USER1@example.test", "kind": "warning", "language": "fr"}
    assert visitor.post(f"{PAGE}/test", asked).status_code == 303
    [test] = claimed(writer, [due(writer)[0]["notice_id"]])
    assert test["to"] == "user1@example.test"
    assert test["text"].startswith("Ceci est un essai demandé par l'administration.")
    names = [
        row["name"] for row in look("SELECT name FROM events WHERE name LIKE 'console:notices:%%' ORDER BY event_id")
    ]
    assert sorted(names) == ["console:notices:settings-changed", *["console:notices:template-changed"] * 2,
                             "console:notices:tested"]  # fmt: skip


def test_scripts_may_do_the_same(service: Service, writer: Writer, script: Script) -> None:
    """Settings, words, an example and the list; what is wrong names its field."""
    writer.say()
    call: dict[str, Any] = {"headers": script.headers, "timeout": 30}
    api = f"{service.url}/api/v1/notices"
    refused = requests.put(f"{api}/settings", json={"portal": "https://evil.example/"}, **call)
    assert (refused.status_code, refused.json()["place"]) == (400, "portal")
    assert requests.put(f"{api}/settings", json={"speaks": "exchange"}, **call).json()["speaks"] == "exchange"
    words = {"subject": "x", "body": "{{nothing}}"}
    wrong = requests.put(f"{api}/templates/blocked/en", json=words, **call)
    assert wrong.json()["faults"] == [{"place": "body", "problem": "placeholder", "what": "{{nothing}}"}]
    assert requests.put(f"{api}/templates/blocked/xx", json=words, **call).status_code == 404
    kept = requests.put(f"{api}/templates/blocked/en", json={"subject": "x", "body": "{{reason}}"}, **call)
    assert kept.json() == {"state": "own"}
    shown = requests.get(f"{api}/templates/blocked/en", **call).json()
    assert (shown["own"], shown["example"]["subject"]) == (True, "x")
    assert requests.delete(f"{api}/templates/blocked/en", **call).status_code == 204
    made = requests.post(f"{api}/test", json={"address": "user0@example.test"}, **call)
    assert made.status_code == 202
    listed = requests.get(api, **call).json()
    assert [row["notice_id"] for row in listed["notices"]] == [made.json()["notice_id"]]
    assert (listed["settings"]["speaks"], listed["last_day"]) == ("exchange", {"waiting": 1})


def test_help_needs_no_sign_in_and_shows_no_data(service: Service, writer: Writer) -> None:
    """In the visitor's language, also one that the console does not have; the same for a tenant that is not there."""
    visitor, token = visit(service)
    assert visitor.post(PAGE, {**token, **SETTINGS}).status_code == 303
    block(writer)
    url = f"{service.url}/help/t/{service.slug}"
    pages = {
        code: requests.get(url, headers={"Accept-Language": asked}, timeout=30)
        for code, asked in {"de": "de-CH, en;q=0.5", "fr": "fr", "nl": "xx", "en": "en"}.items()
    }
    for code, page in pages.items():
        assert (page.status_code, f'<html lang="{code}">' in page.text) == (200, True)
        assert "set-cookie" not in page.headers
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert 'href="https://help.example.com/enrol"' in page.text
        assert not any(name in page.text for name in ("user0", "Phone 0", "DEV0", service.slug, "<form"))
    assert "Servicedesk, 1234" in pages["nl"].text
    assert '<html lang="fr">' in requests.get(f"{url}?language=fr", headers={"Accept-Language": "en"}, timeout=30).text
    nobody = requests.get(f"{service.url}/help/t/nobody", headers={"Accept-Language": "en"}, timeout=30)
    assert (nobody.status_code, "help.example.com" in nobody.text) == (200, False)


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
def test_the_pages_are_accessible_and_fit(
    open_page: OpenPage, service: Service, writer: Writer, tmp_path: Path
) -> None:
    """In Dutch and dark, wide and at 320 pixels: settings, words with a mistake, and the page of help."""
    visitor, token = visit(service)
    assert visitor.post(PAGE, {**token, **SETTINGS}).status_code == 303
    block(writer)
    page = open_page(locale="nl-NL", color_scheme="dark", bypass_csp=True)
    sign_in(page, service)
    for number, (path, words) in enumerate(
        (
            (PAGE, "Wie het mensen vertelt"),
            (f"{PAGE}/words/digest/nl", "De mail over een verzonnen telefoon"),
            (f"/help/t/{service.slug}", "Uw telefoon is geblokkeerd"),
        )
    ):
        page.goto(service.url + path)
        assert words in page.locator("main").inner_text()
        if "words" in path:
            page.locator("#body").fill("{{nothing}}")
            page.get_by_role("button", name="Deze woorden bewaren").press("Enter")
            page.get_by_text("Deze plaatshouder is hier niet bekend:").wait_for()
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=tmp_path / f"{number}-{width}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, width)
            assert violations(page) == [], (path, width)
