"""Holds and budgets, as a script and as a person see them."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
import requests
from playwright.sync_api import Page, expect

from gatepost.service.access import holds
from gatepost.service.access.due import Cause
from gatepost.service.access.holds import Hold, HoldState
from gatepost.service.administrators.person import Person
from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service
from tests.service.access_guard import Guarded, Look, allow, block
from tests.service.speaker import Speaker
from tests.service.web.conftest import Script, open_session
from tests.service.web.test_browser import sign_in, violations


@dataclass
class Held:
    """A tenant whose administrators are anna and bert, in which a policy of anna's is held for three people."""

    guarded: Guarded
    anna: Person

    @property
    def service(self) -> Service:
        """The service."""
        return self.guarded.service

    @property
    def hold(self) -> Hold:
        """The hold that is open."""
        [hold] = self.guarded.act(lambda scope: holds.listing(scope, [HoldState.OPEN]))
        return hold

    def script(self, name: str) -> Script:
        """Somebody's script."""
        return Script(self.service.url, open_session(replace(self.service, administrator=name)).json()["token"])


@pytest.fixture
def held(service: Service, speaker: Speaker, look: Look) -> Held:
    """Eight people were to be blocked by policy version 3; five are, three wait."""
    guarded = Guarded(service, UUID(speaker.identity["organization"]), look)
    for name in ("anna", "bert"):
        service.add_administrator(name, "administrator")
    look("UPDATE administrators SET made_at = now() - interval '30 days', promoted_at = NULL")
    [row] = look("SELECT administrator_id FROM administrators WHERE name = 'anna'")
    anna = Person(row["administrator_id"], "anna")
    wanted = [block(number) for number in range(8)]
    guarded.decided(wanted)
    guarded.sieve(Cause("policy", "3", anna.administrator_id), wanted)
    return Held(guarded, anna)


def put(script: Script, path: str, body: object) -> requests.Response:
    """Set something."""
    return requests.put(script.url + path, json=body, headers=script.headers, timeout=30)


def test_a_script_sees_who_why_and_by_what_and_approves(held: Held) -> None:
    """In pages; the requester does not approve, a digest that is not shown approves nothing."""
    anna, bert = held.script("anna"), held.script("bert")
    [listed] = anna.get("/api/v1/holds", state="open").json()["holds"]
    assert (listed["people"], listed["verb"], listed["cause"]) == (
        3,
        "take",
        {"kind": "policy", "about": "3", "by": "anna"},
    )
    where = f"/api/v1/holds/{listed['hold']}"
    seen = bert.get(where, limit=2).json()
    assert seen["reasons"] == [{"reason": "unmanaged", "people": 3, "devices": 3}]
    rest = bert.get(seen["next"]).json()
    told: list[dict[str, Any]] = [*seen["items"], *rest["items"]]
    assert [(each["device_id"], each["level"], each["still"]) for each in told] == [
        ("PHONE5-0", "block", True),
        ("PHONE6-0", "block", True),
        ("PHONE7-0", "block", True),
    ]
    assert rest["next"] is None
    assert bert.get(where, cursor="odd").json()["type"] == "cursor"
    refused = anna.post(f"{where}/approve", {"digest": seen["digest"]})
    assert (refused.status_code, refused.json()["type"]) == (403, "approval-requester")
    stale = bert.post(f"{where}/approve", {"digest": "stale"})
    assert (stale.status_code, stale.json()["type"], stale.json()["digest"]) == (409, "hold-changed", seen["digest"])
    assert anna.post(f"{where}/refuse", {"why": "A mistake"}).json()["state"] == "refused"
    assert bert.post(f"{where}/refuse", {}).json()["type"] == "hold-decided"
    assert bert.post(f"{where}/reopen", None).json()["state"] == "open"
    assert bert.post(f"{where}/approve", {"digest": seen["digest"]}).json()["state"] == "approved"


def test_a_script_sets_budgets_and_another_person_approves_larger_ones(held: Held) -> None:
    """How far they are used is told by organization; an old proof changes nothing."""
    anna, bert = held.script("anna"), held.script("bert")
    [organization] = anna.get("/api/v1/budgets").json()["organizations"]
    assert organization["take"] == {"limit": 5, "standard": 5, "used": 5}
    assert put(anna, "/api/v1/budgets", {"take": 3}).json()["take"] == 3
    asked = put(anna, "/api/v1/budgets", {"take": 30}).json()
    assert (asked["take"], asked["asked"]["take"], asked["asked"]["by"]) == (3, 30, "anna")
    named = {"asked_at": asked["asked"]["at"]}
    assert anna.post("/api/v1/budgets/approve", named).json()["type"] == "approval-requester"
    done = bert.post("/api/v1/budgets/approve", named).json()
    assert (done["take"], done["set_by"], done["asked"]) == (30, "bert", None)
    assert put(anna, "/api/v1/budgets", {"take": -1}).json()["place"] == "take"
    assert bert.post("/api/v1/budgets/refuse", None).json()["type"] == "not-asked"
    held.guarded.look("UPDATE sessions SET step_up_at = now() - interval '6 minutes'")
    where = f"/api/v1/holds/{held.hold.hold_id}/approve"
    assert put(anna, "/api/v1/budgets", {"take": 1}).json()["type"] == "step-up"
    assert bert.post("/api/v1/budgets/approve", named).json()["type"] == "step-up"
    assert bert.post(where, {"digest": "x"}).json()["type"] == "step-up"


def fits(page: Page) -> None:
    """Nothing wrong by axe, and nothing to be scrolled sideways."""
    assert violations(page) == [], page.url
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], page.url


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
def test_a_second_administrator_looks_and_approves_without_a_script(open_page: OpenPage, held: Held) -> None:
    """From the list to the hold, what joins it meanwhile has to be looked at too; then it is let through."""
    page = open_page(java_script_enabled=False)
    page.goto(f"{held.service.url}/t/{held.service.slug}/")
    page.locator("#name").fill("bert")
    page.locator("#password").fill(held.service.password)
    page.locator("main form button").first.click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Policy").click()
    expect(page.get_by_text("1 change waits for a second person")).to_be_visible()
    page.get_by_role("link", name="To the holds").click()
    page.get_by_role("row", name="Policy version 3, anna").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 people would lose access")
    expect(page.get_by_role("row", name="PHONE5-0")).to_contain_text("Blocked")
    newcomers = [block(8), allow(9)]
    held.guarded.decided(newcomers)
    held.guarded.sieve(Cause("policy", "3", held.anna.administrator_id), newcomers)
    page.get_by_role("button", name="Approve what is shown here").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("More was held since you looked")
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("4 people would lose access")
    with page.expect_download() as listed:
        page.get_by_role("link", name="Download the list").click()
    lines = listed.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("mailbox,device,device_id,published,wanted,reason,now,afterwards")
    assert "PHONE5-0,leave,block,unmanaged,allowed,blocked,default,held" in lines[1]
    page.get_by_role("button", name="Approve what is shown here").click()
    expect(page.locator(".page-state")).to_have_text("Approved")
    expect(page.get_by_role("heading", level=1)).to_have_text("Takes access away")
    page.goto(f"{held.service.url}/holds")
    page.get_by_label("People who may lose access in an hour").fill("many")
    page.get_by_role("button", name="Set the budgets").click()
    expect(page.get_by_role("alert")).to_have_text("A budget is a whole number from 0 to 1,000,000, or empty.")
    page.get_by_label("People who may lose access in an hour").fill("3")
    page.get_by_role("button", name="Set the budgets").click()
    expect(page.get_by_role("row", name="Head office 5 of 3")).to_be_visible()


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("scheme", "width", "locale"), [("light", 1280, "en-GB"), ("dark", 320, "nl-NL")])
def test_the_pages_of_the_guard_are_accessible_and_fit(
    open_page: OpenPage, held: Held, scheme: str, width: int, locale: str
) -> None:
    """All holds with budgets that wait, one that is open, and one that its requester refused."""
    page = open_page(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale=locale, bypass_csp=True, has_touch=True
    )
    sign_in(page, held.service)
    page.goto(f"{held.service.url}/holds")
    page.locator("#take").fill("100")
    page.locator("#set-budgets").click()
    expect(page.locator("#refuse-budgets")).to_be_visible()
    expect(page.locator("#approve-budgets")).to_have_count(0)
    fits(page)
    page.goto(f"{held.service.url}/holds/{held.hold.hold_id}")
    fits(page)
    page.locator("summary").click()
    page.locator("#why").fill("They are on holiday")
    page.locator("#refuse").click()
    expect(page.locator("#reopen")).to_be_visible()
    expect(page.locator("main")).to_contain_text("They are on holiday")
    fits(page)
