"""The page People and compliance: how each source stands, what of it is not believed, and who settles that."""

from pathlib import Path

import pytest

from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.test_compliance import Reporter, many, person, record, reporter
from tests.service.web.conftest import Visitor, form_token
from tests.service.web.test_browser import sign_in, violations

__all__ = ["reporter"]
PAGE = "/administration/sources"


def visit(service: Service) -> tuple[Visitor, str]:
    """The administrator, and the form token."""
    visitor = Visitor(service.url)
    assert visitor.sign_in(service).status_code == 303
    return visitor, form_token(visitor.get("/account").text)


def test_sources_are_added_and_changed_with_forms(service: Service, reporter: Reporter) -> None:
    """What is mistaken is told beside the form, with what was typed; scripts and the page see the same."""
    visitor, token = visit(service)
    form = {"form_token": token, "name": "Jamf", "fresh_for": "90", "unit": "minutes"}
    assert visitor.post(PAGE, form).status_code == 303
    for wrong, said in (
        ({"name": " "}, "A name has 1 to 200 visible characters."),
        ({"name": "<b>Jamf</b>", "fresh_for": "0"}, "Write a whole number: from one minute to 720 hours."),
        ({"name": "x", "fresh_for": "²"}, "Write a whole number: from one minute to 720 hours."),
        ({"name": "Intune"}, "There is a source with this name already."),
    ):
        answer = visitor.post(PAGE, {**form, **wrong})
        assert (answer.status_code, said in answer.text, "<b>Jamf" in answer.text) == (400, True, False), wrong
    [jamf] = [each for each in reporter.call("GET", "sources").json()["sources"] if each["name"] == "Jamf"]
    assert (jamf["fresh_for"], jamf["state"]) == (5_400, "stale")
    assert 'value="90"' in visitor.get(PAGE).text
    changed = {**form, "name": "Jamf Pro", "fresh_for": "2", "unit": "hours"}
    assert visitor.post(f"{PAGE}/{jamf['id']}", changed).status_code == 303
    taken = visitor.post(f"{PAGE}/{jamf['id']}", {**changed, "name": "Intune"})
    assert (taken.status_code, "There is a source with this name already." in taken.text) == (400, True)
    [jamf] = [each for each in reporter.call("GET", "sources").json()["sources"] if each["id"] == jamf["id"]]
    assert (jamf["name"], jamf["fresh_for"], jamf["state"]) == ("Jamf Pro", 7_200, "off")


def test_what_is_held_is_settled_by_whoever_proves_who_it_is(service: Service, reporter: Reporter, look: Look) -> None:
    """An old proof leads to a new one; a second acceptance says that nothing is held, an empty list is none."""
    reporter.report(*many(60, "compliant"), complete=True)
    reporter.report(*many(5, "compliant"), complete=True, status=409)
    visitor, token = visit(service)
    shown = visitor.get(PAGE).text
    assert "its list leaves out 55 of 60 records." in shown
    look("UPDATE sessions SET step_up_at = now() - interval '6 minutes'")
    where = f"{PAGE}/{reporter.source}/accept"
    assert visitor.post(where, {"form_token": token}).headers["Location"].startswith("/step-up")
    look("UPDATE sessions SET step_up_at = now()")
    assert visitor.post(where, {"form_token": token}).status_code == 303
    assert "What was held is accepted. Its next report may do that." in visitor.get(PAGE).text
    again = visitor.post(where, {"form_token": token})
    assert (again.status_code, "Nothing of this source is held any more" in again.text) == (409, True)
    reporter.report(complete=True, status=409)
    shown = visitor.get(PAGE).text
    assert "before it knew 60. An empty list is never believed." in shown
    assert "Let it send its list again; if it has come to its end, switch it off." in shown
    empty = visitor.post(where, {"form_token": token})
    assert (empty.status_code, "An empty list is never believed" in empty.text) == (409, True)
    assert look("SELECT actor, body ->> 'missing' AS missing FROM events WHERE name = 'console:source:accepted'") == [
        {"actor": "anna", "missing": "55"}
    ]


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("nl-NL", "dark")])
def test_the_page_is_accessible_and_fits(
    open_page: OpenPage, service: Service, reporter: Reporter, locale: str, scheme: str, tmp_path: Path
) -> None:
    """With sources in every state, in both languages, light and dark, wide and at 320 pixels; opened by keyboard."""
    reporter.put("people", people=[person(0), person(1)])
    reporter.report(record(0), record(1, "noncompliant"), record(2, "unknown"), complete=True)
    reporter.add_source("A very long name of a source, given by whoever likes long names " + "and-has-no-spaces" * 5)
    reporter.add_source("Jamf")
    reporter.report(*many(80, "noncompliant"))
    reporter.report(*many(60, "compliant"), status=409)
    page = open_page(locale=locale, color_scheme=scheme, bypass_csp=True)
    sign_in(page, service)
    page.goto(f"{service.url}{PAGE}")
    words = ("Mensen en naleving", "zegt hij dat 60 apparaten") if locale == "nl-NL" else ("People", "says that 60")
    assert page.locator("h1").inner_text().startswith(words[0])
    assert words[1] in page.locator("main").inner_text()
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open] input[name=fresh_for]").is_visible()
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=tmp_path / f"{locale}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
        assert violations(page) == [], width
