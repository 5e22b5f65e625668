"""The console in a real browser: found by keyboard, read in two languages, in light and dark, on a narrow screen."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from gatepost.domain.contract import Facts, Kind
from gatepost.domain.contract import Scope as Extent
from gatepost.domain.desired import ListName, Result
from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox
from tests.service.web.conftest import Library
from tests.service.writing import NEITHER, START, Writer, outcome, saw, wrote

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIRST = "00000000-0000-0000-0000-000000000001"
POISON = "00000000-0000-0000-0000-000000000002"
LONG = "00000000-0000-0000-0000-000000000004"


def sign_in(page: Page, service: Service) -> None:
    """Sign in as a person does, with the keyboard: the name has the focus."""
    page.goto(f"{service.url}/t/{service.slug}/")
    page.locator("input:focus").wait_for()  # a browser gives the focus after the page has loaded
    page.keyboard.type(service.administrator)
    page.keyboard.press("Tab")
    page.keyboard.type(service.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/connection")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus, which must be to be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [(e.innerText || e.labels?.[0]?.innerText || '').trim(), s.outlineStyle, s.outlineWidth] })()"
        )
        if focused[0].startswith(name):
            assert focused[1:] == ["solid", "3px"]
            return
    raise AssertionError(f"{name} cannot be reached with Tab")


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-GB", ("Connected", "Last full sync", "Devices", "Allowed", "Operating system", "History")),
        ("nl-NL", ("Verbonden", "Laatste volledige synchronisatie", "Apparaten", "Toegestaan", "Besturingssysteem",
                   "Geschiedenis")),
    ],
)  # fmt: skip
def test_by_keyboard_only_from_the_sign_in_to_a_device(
    open_page: OpenPage, library: Library, locale: str, words: tuple[str, ...]
) -> None:
    """Sign in, see the connection, search while typing, open the device; in the browser's language."""
    connected, last, devices, allowed, system, history = words
    page = open_page(locale=locale)
    sign_in(page, library.service)
    expect(page.locator("html")).to_have_attribute("lang", locale[:2])
    expect(page.get_by_text(connected, exact=True)).to_be_visible()
    expect(page.get_by_text(last, exact=True)).to_be_visible()
    tab_to(page, devices)
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices")
    expect(page.get_by_role("status")).to_contain_text("60")
    page.locator("#q").focus()
    page.keyboard.type("anneke")
    expect(page.get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("status")).to_contain_text("2")
    assert "q=anneke" in page.url
    tab_to(page, "Werk 0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Werk 0")
    for word in (allowed, system, history):
        expect(page.get_by_text(word, exact=True).first).to_be_visible()


def test_the_language_is_switched_on_the_page(open_page: OpenPage, library: Library) -> None:
    """One press, the same page in the other language."""
    page = open_page()
    sign_in(page, library.service)
    page.goto(f"{library.service.url}/devices?q=zo%C3%AB")
    page.get_by_role("button", name="Nederlands").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Apparaten")
    assert page.url.endswith("/devices?q=zo%C3%AB")


def test_the_skip_link_leads_to_the_content(open_page: OpenPage, library: Library) -> None:
    """The first Tab shows it; Enter moves the focus past the navigation."""
    page = open_page()
    sign_in(page, library.service)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def violations(page: Page) -> list[Any]:
    """What axe-core finds wrong with a page, in short."""
    page.add_script_tag(path=AXE)
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
    return [(entry["id"], [node["target"] for node in entry["nodes"]][:5]) for entry in found]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_every_page_is_accessible_and_fits(
    open_page: OpenPage, library: Library, service: Service, scheme: str, width: int
) -> None:
    """axe-core finds nothing, and nothing has to be scrolled sideways, also on a screen 320 pixels wide."""
    page = open_page(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale="nl-NL", bypass_csp=True, has_touch=True
    )
    url, organization = library.service.url, library.organization

    def look_at(path: str) -> None:
        page.goto(url + path)
        assert violations(page) == [], path
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], path

    for path in ("/", "/t/library/"):
        look_at(path)
    page.locator("#name").fill("anna")
    page.locator("#password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("De naam of het wachtwoord klopt niet.")
    assert violations(page) == []
    sign_in(page, library.service)
    for path in (
        "/connection",
        "/devices",
        "/devices?q=nothing",
        *(f"/devices/{organization}/{guid}" for guid in (FIRST, POISON, LONG)),
        f"/devices/{organization}/{organization}",
    ):
        look_at(path)


def test_a_tenant_without_anything_is_accessible_too(open_page: OpenPage, administered: Service) -> None:
    """The empty pages, and one with an organization that waits."""
    page = open_page(bypass_csp=True, viewport={"width": 320, "height": 800})
    sign_in(page, administered)
    for path in ("/connection", "/devices"):
        page.goto(administered.url + path)
        assert violations(page) == []
    administered.ticket("Amsterdam")
    page.goto(f"{administered.url}/connection")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_list_and_the_connection_refresh_themselves(
    open_page: OpenPage, administered: Service, speaker: Speaker
) -> None:
    """New devices and findings appear without a touch, and the focus stays where it is."""
    speaker.synchronise([device(0)])
    page = open_page()
    sign_in(page, administered)
    page.locator("#full").focus()
    finding = {"code": "x", "subject": "y", "cause": "Something is amiss.", "remedy": "Mend it."}
    speaker.say(Kind.CYCLE, facts=Facts(findings=(finding,)))
    expect(page.get_by_text("Something is amiss.")).to_be_visible(timeout=15_000)
    expect(page.locator("#full")).to_be_focused()
    page.goto(f"{administered.url}/devices")
    expect(page.get_by_role("row")).to_have_count(2)
    speaker.synchronise([device(1)], scope=Extent.QUICK)
    expect(page.get_by_role("row")).to_have_count(3, timeout=15_000)
    expect(page.get_by_role("status")).to_have_text("2 devices")


def test_a_device_is_pinned_by_keyboard_and_the_page_follows_what_becomes_of_it(
    open_page: OpenPage, administered: Service, writer: Writer
) -> None:
    """Open the form, choose, say why, send; the connector's word appears without a touch, and typing goes on."""
    page = open_page()
    sign_in(page, administered)
    page.goto(f"{administered.url}/devices/{writer.organization}/{FIRST}")
    tab_to(page, "Pin this device")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_label("Allow, whatever the default and the rules say")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("The chair needs it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not worked on yet")).to_be_visible()
    page.get_by_text("Change the pin", exact=True).first.click()
    page.locator("#reason").fill("half typed")
    writer.say()
    writer.say(wrote(ListName.ALLOW, writer.held))
    expect(page.get_by_text("Written and read back")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Allowed by our entry")).to_be_visible()
    expect(page.locator("#reason")).to_have_value("half typed")
    expect(page.locator("#reason")).to_be_focused()


def test_the_whole_page_of_a_device_follows_and_the_form_is_left_alone(
    open_page: OpenPage, administered: Service, writer: Writer
) -> None:
    """The badge beside the name, the history and the fields show a new state; typing goes on."""
    page = open_page()
    sign_in(page, administered)
    page.goto(f"{administered.url}/devices/{writer.organization}/{FIRST}")
    expect(page.locator("#badge")).to_have_text("Allowed")
    expect(page.get_by_text("No change since the device was first seen.")).to_be_visible()
    page.get_by_text("Pin this device", exact=True).click()
    page.locator("#reason").press_sequentially("half typed")
    same = page.locator("#gone").element_handle()
    changed = device(0, access_state="Blocked", last_policy_update_at="2026-02-03T04:05:06Z")
    writer.speaker.synchronise([changed], scope=Extent.QUICK)
    expect(page.locator("#badge")).to_have_text("Blocked", timeout=15_000)
    expect(page.locator("#standing")).to_contain_text("Blocked")
    expect(page.locator("#record .timeline")).to_contain_text("Blocked")
    expect(page.locator("#reason")).to_have_value("half typed")
    expect(page.locator("#reason")).to_be_focused()
    assert same is not None
    assert same.evaluate("e => e.isConnected"), "what says the same is not put in anew"
    writer.speaker.synchronise([device(number) for number in range(1, 8)], [mailbox(number) for number in range(4)])
    expect(page.locator("#gone")).to_contain_text("no longer in Exchange", timeout=15_000)
    expect(page.locator("#badge")).to_have_text("No longer in Exchange")
    expect(page.locator("#reason")).to_be_focused()


def test_a_device_is_pinned_without_javascript(open_page: OpenPage, administered: Service, writer: Writer) -> None:
    """The form opens, refuses in words, keeps what was typed, pins, and unpins."""
    page = open_page(java_script_enabled=False)
    sign_in(page, administered)
    page.goto(f"{administered.url}/devices/{writer.organization}/{FIRST}")
    page.get_by_text("Pin this device").click()
    page.get_by_label("Block", exact=True).check()
    page.locator("#reason").fill(" ")
    page.locator("#pin").click()
    expect(page.get_by_role("alert")).to_have_text("Say why, in at most 500 characters on one line.")
    expect(page.get_by_label("Block", exact=True)).to_be_checked()
    page.locator("#reason").fill("Lost in the train")
    page.locator("#pin").click()
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    page.get_by_role("button", name="Remove the pin").click()
    expect(page.get_by_text("The policy is switched off, so Gatepost leaves its hands off.").first).to_be_visible()


@pytest.mark.parametrize(("scheme", "width", "locale"), [("light", 1280, "en-GB"), ("dark", 320, "nl-NL")])
def test_every_state_of_a_pinned_device_is_accessible_and_fits(
    open_page: OpenPage, administered: Service, writer: Writer, scheme: str, width: int, locale: str
) -> None:
    """The open form with a mistake, observed, written, in conflict, and the connection with its limits."""
    page = open_page(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale=locale, bypass_csp=True, has_touch=True
    )
    sign_in(page, administered)
    address = f"{administered.url}/devices/{writer.organization}/{FIRST}"

    def look_at(path: str = "") -> None:
        page.goto(path or address)
        fits()

    def fits() -> None:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0

    page.goto(address)
    page.locator("summary").click()
    page.locator("input[value=block]").check()
    page.locator("#reason").fill(" ")
    page.locator("#pin").click()
    expect(page.get_by_role("alert")).to_be_visible()
    fits()
    writer.pin()
    writer.say(mode="observe")
    writer.say(outcome(Result.OBSERVED, writer.held, before=NEITHER), mode="observe")
    look_at()
    writer.say(wrote(ListName.ALLOW, writer.held, at=START + timedelta(1), controller="dc1.a-long-name.example.test"))
    look_at()
    writer.pin("block")
    writer.say()
    writer.say(saw(ListName.ALLOW, writer.held, Result.CONFLICT, why="W" * 90))
    look_at()
    writer.pin(number=2)
    writer.say()
    other = {"mailbox": mailbox(1)[0], "device_id": "DEV00002", "why": "W" * 90}
    writer.say(outcome(Result.REFUSED, writer.held, before=NEITHER, **other))
    look_at(f"{administered.url}/connection")


def test_the_focus_stays_on_the_button_that_was_pressed(
    open_page: OpenPage, administered: Service, speaker: Speaker
) -> None:
    """By keyboard, over the page that the request answers with and over its refreshing."""
    speaker.say()
    page = open_page()
    sign_in(page, administered)
    page.locator("#quick").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("A quick sync is requested.")).to_be_visible()
    expect(page.locator("#quick")).to_be_focused()
    speaker.farewell()
    expect(page.get_by_text("Not connected", exact=True)).to_be_visible()
    expect(page.locator("#quick")).to_be_focused()


def test_the_way_back_from_a_device_is_the_list_that_led_there(open_page: OpenPage, library: Library) -> None:
    """Search, filter and page are kept; pages lead forward and back."""
    page = open_page()
    sign_in(page, library.service)
    page.goto(f"{library.service.url}/devices?q=zo%C3%AB")
    expect(page.get_by_role("status")).to_have_text("57 devices")
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("status")).to_have_text("Page 2")
    second = page.url
    page.get_by_role("rowheader").first.get_by_role("link").click()
    page.get_by_role("main").get_by_role("link", name="Devices").click()
    assert page.url == second
    page.get_by_role("link", name="Previous page").click()
    expect(page.get_by_role("row")).to_have_count(51)
    assert page.url.endswith("/devices?q=zo%C3%AB")


def test_a_sync_is_asked_for_with_a_button(
    open_page: OpenPage, administered: Service, speaker: Speaker, look: Look
) -> None:
    """The page says so at once, and the connector hears of it."""
    speaker.say()
    page = open_page()
    sign_in(page, administered)
    page.get_by_role("button", name="Full sync").click()
    expect(page.get_by_text("A full sync is requested.")).to_be_visible()
    expect(page.get_by_role("button", name="Full sync")).to_be_disabled()
    assert speaker.wait().json()["sync"] == "full"


def test_the_console_works_without_javascript(open_page: OpenPage, library: Library) -> None:
    """Search by the button, filter, page on."""
    page = open_page(java_script_enabled=False)
    sign_in(page, library.service)
    page.goto(f"{library.service.url}/devices")
    expect(page.get_by_role("row")).to_have_count(51)
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("row")).to_have_count(11)
    page.locator("#q").fill("anneke")
    page.locator("#state").select_option("Allowed")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row")).to_have_count(3)
    page.locator("#q").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No device fits")).to_be_visible()


def test_a_hostile_name_stays_text_under_the_policy(open_page: OpenPage, library: Library) -> None:
    """No dialog, no blocked script, no error: the name is read as what it is."""
    page = open_page()
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    sign_in(page, library.service)
    page.goto(f"{library.service.url}/devices/{library.organization}/{POISON}")
    expect(page.get_by_role("heading", level=1)).to_have_text("<script>alert('x')</script> ␇bell")
    expect(page).to_have_title(re.compile(r"<script>alert\('x'\)</script> ␇bell · Gatepost"))
    page.goto(f"{library.service.url}/devices?q=bell")
    expect(page.get_by_role("row")).to_have_count(2)
    assert dialogs == []
