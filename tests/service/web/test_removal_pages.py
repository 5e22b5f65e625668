"""Connection details, all writing stopped, and a removal from its preview to its end, in a real browser."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gatepost.domain.contract import Facts, Status, iso
from gatepost.domain.desired import ListName
from tests.fixtures.browser import OpenPage
from tests.service.conftest import Look
from tests.service.test_removal import CLOSED, advance, crowd
from tests.service.web.test_browser import sign_in, violations
from tests.service.writing import Writer, withdrew, wrote

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]


def told() -> Status:
    """A connector that tells everything it can."""
    now = iso(datetime.now(UTC)) or ""
    check: dict[str, Any] = {"why": "Nobody mends it.", "remedy": "Update Exchange.", "subject": "mail1"}
    return Status(
        version="0.0.1",
        host="mail1",
        mode="enforce",
        scope=("*",),
        exchange={"server": "mail1.example.test", "version": "Version 15.1 (Build 2507.6)"},
        load={"sessions": 2, "limit": 5, "waiting": 1, "pushed_back_at": now, "why": "Too many commands."},
        errors=({"at": now, "what": "mail1 does not answer.", "remedy": "Check that it is on."},),
        doctor={
            "at": now,
            "checks": [
                {"name": "clock", "level": "good", "what": "The clock is right."},
                {"name": "exchange-version", "level": "bad", "what": "Exchange is not supported any more.", **check},
                {"name": "odd", "level": "none such"},
            ],
        },
        certificate_until=iso(datetime.now(UTC) + timedelta(days=6)),
    )


def fits(page: Page) -> None:
    """Nothing wrong by axe, and nothing to be scrolled sideways."""
    assert violations(page) == [], page.url
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], page.url


def ours(writer: Writer) -> None:
    """An entry of ours stands in Exchange, where all others are shut out."""
    writer.service.with_administrator()
    writer.say(facts=Facts(settings=CLOSED))
    writer.pin("allow")
    writer.say()
    assert writer.row is not None
    writer.say(wrote(ListName.ALLOW, writer.row["revision"]), status=told())


@pytest.mark.parametrize(("scheme", "width", "locale"), [("light", 1280, "en-GB"), ("dark", 320, "nl-NL")])
def test_every_page_of_a_connections_end_is_accessible_and_fits(
    open_page: OpenPage, writer: Writer, look: Look, scheme: str, width: int, locale: str
) -> None:
    """Details with all that a connector tells, the index, the preview, the waiting, the undoing and the end."""
    ours(writer)
    page = open_page(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale=locale, bypass_csp=True, has_touch=True
    )
    sign_in(page, writer.service)
    url, where = writer.service.url, f"{writer.service.url}/connection/{writer.organization}/remove"
    for path in ("/connection", "/administration"):
        page.goto(url + path)
        fits(page)
    page.goto(where)
    fits(page)
    crowd(writer, look, 7)
    page.goto(where)
    page.locator("input[value=undo]").check()
    page.locator("#remove").click()
    expect(page.locator("#cancel")).to_be_visible()
    fits(page)
    look("UPDATE removals SET state = 'undoing'")
    look("UPDATE organizations SET state = 'removing'")
    page.goto(where)
    expect(page.locator("#progress")).to_be_visible()
    fits(page)
    page.goto(f"{url}/connection")
    fits(page)
    page.goto(where)
    page.locator("#force").click()
    expect(page.locator("#file")).to_be_visible()
    fits(page)


def test_details_tell_support_load_errors_and_checks(open_page: OpenPage, writer: Writer) -> None:
    """What the connector told, in words; the worst check first; what is no check is left out."""
    ours(writer)
    page = open_page()
    sign_in(page, writer.service)
    main = page.locator("main")
    for words in (
        "Not supported any more",
        "since 14 October 2025",
        "Exchange Server 2016",
        "2 of 5",
        "Too many commands.",
        "mail1 does not answer.",
        "Check that it is on.",
        "Exchange is not supported any more.",
        "1 check that is fine or does not apply",
        "This service brings version",
    ):
        expect(main).to_contain_text(words)
    assert "none such" not in page.content()


def test_writing_is_stopped_with_one_press_and_released(open_page: OpenPage, writer: Writer) -> None:
    """A reason is asked for; the page says who and why until it is released."""
    ours(writer)
    page = open_page(java_script_enabled=False)
    sign_in_plainly(page, writer)
    page.get_by_label("Why").fill("The help desk is flooded")
    page.get_by_role("button", name="Stop all writing").click()
    expect(page.get_by_role("heading", name="All writing is stopped")).to_be_visible()
    expect(page.locator("main")).to_contain_text("anna stopped it at")
    expect(page.locator("main")).to_contain_text("The help desk is flooded")
    page.get_by_role("button", name="Let it write again").click()
    expect(page.get_by_role("heading", name="All writing is stopped")).to_have_count(0)


def sign_in_plainly(page: Page, writer: Writer) -> None:
    """Sign in without a script."""
    page.goto(f"{writer.service.url}/t/{writer.service.slug}/")
    page.locator("#name").fill(writer.service.administrator)
    page.locator("#password").fill(writer.service.password)
    page.locator("form[action^='/t/'] button, main form button").first.click()
    page.wait_for_url("**/connection")


def test_a_removal_from_its_preview_to_what_to_uninstall(open_page: OpenPage, writer: Writer) -> None:
    """By keyboard: see who loses, choose to take back, watch the progress, take the file away for nobody needs it."""
    ours(writer)
    page = open_page()
    sign_in(page, writer.service)
    page.locator("#remove").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Remove connection")
    expect(page.locator("main")).to_contain_text("user0@example.test")
    expect(page.get_by_role("row", name="user0@example.test")).to_contain_text("Blocked")
    page.locator("input[value=leave]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[value=undo]")).to_be_checked()
    page.locator("#remove").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#undoing")).to_contain_text("0 of 1 entries taken off, as read back")
    writer.say()
    assert writer.row is not None
    writer.say(withdrew(ListName.ALLOW, writer.row["revision"]))
    advance(writer)
    expect(page.get_by_role("heading", name="What to uninstall")).to_be_visible()
    expect(page.locator("main")).to_contain_text("No entry of ours stands in Exchange any more.")


def test_the_files_are_handed_out(open_page: OpenPage, writer: Writer) -> None:
    """The list of who loses as CSV, and the PowerShell file after the end."""
    ours(writer)
    page = open_page()
    sign_in(page, writer.service)
    page.goto(f"{writer.service.url}/connection/{writer.organization}/remove")
    with page.expect_download() as listed:
        page.get_by_role("link", name="Download the list").click()
    lines = listed.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "mailbox,device,device_id,model,now,afterwards,decided_by"
    assert lines[1].startswith("user0@example.test,Phone 0,DEV00000,")
    assert lines[1].endswith(",allowed,blocked,default")
    page.locator("input[value=file]").check()
    page.locator("#remove").click()
    with page.expect_download() as handed:
        page.locator("#file").click()
    assert "-Allowed @('DEV00000')" in handed.value.path().read_text(encoding="utf-8-sig")
    assert handed.value.suggested_filename.endswith(".ps1")


def test_a_status_in_another_shape_breaks_no_page(writer: Writer, open_page: OpenPage) -> None:
    """What a connector tells is foreign: of another type it is left out."""
    ours(writer)
    odd = replace(told(), load={"limit": "x"}, doctor={"at": 7, "checks": [7, {"level": []}]}, certificate_until="x")
    writer.say(status=odd)
    page = open_page()
    sign_in(page, writer.service)
    expect(page.locator("main")).to_contain_text("The doctor has not been heard yet")
    expect(page.locator("main")).to_contain_text("No session is open")
