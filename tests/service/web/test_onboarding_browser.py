"""Onboarding, the report, the explanation and the default level in a real browser, down to the last confirmation."""

import pytest
from playwright.sync_api import expect

from tests.fixtures.browser import OpenPage
from tests.service.conftest import Look
from tests.service.onboarding.conftest import Site
from tests.service.speaker import device
from tests.service.test_explanation import comply, put_in_force
from tests.service.web.test_browser import sign_in
from tests.service.web.test_removal_pages import fits
from tests.service.writing import Writer

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize(("scheme", "width", "locale"), [("light", 1280, "en-GB"), ("dark", 320, "nl-NL")])
def test_every_page_on_the_way_is_accessible_and_fits(
    open_page: OpenPage, writer: Writer, look: Look, scheme: str, width: int, locale: str
) -> None:
    """Stock, a file with a bad line, the adoption, the report, a device's why, the default level and its switch."""
    site = Site(writer)
    service = writer.service.with_administrator()
    site.lists({"allowed_ids": ["DEV00000"]}, {"blocked_ids": ["DEV00002"]})
    page = open_page(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale=locale, bypass_csp=True, has_touch=True
    )
    sign_in(page, service)
    page.goto(f"{service.url}/onboarding")
    fits(page)
    page.locator("input[name=how][value=file]").check()
    text = b"mailbox,device id\nuser0@example.test,DEV00000\nuser0@example.test,NOWHERE\n"
    page.set_input_files("#adopt-file", {"name": "old.csv", "mimeType": "text/csv", "buffer": text})
    page.locator("#adopt").click()
    expect(page.get_by_text("NOWHERE")).to_be_visible()
    fits(page)
    page.locator("#confirm").click()
    expect(page.get_by_text("old.csv")).to_be_visible()
    fits(page)
    comply(look)
    put_in_force(service)
    here = f"{service.url}/onboarding/{site.organization}"
    for url in (
        f"{here}/entries",
        f"{service.url}/report",
        f"{service.url}/devices/{site.organization}/{device(0)[0]}",
    ):
        page.goto(url)
        fits(page)
    page.goto(f"{here}/default?level=block")
    fits(page)
    page.locator("#switch").click()
    expect(page.locator("#back")).to_be_visible()
    fits(page)
