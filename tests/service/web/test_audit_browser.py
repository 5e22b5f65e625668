"""The audit trail in a real browser: light and dark, in Dutch, on a narrow screen."""

import pytest

from tests.fixtures.browser import OpenPage
from tests.fixtures.service import Service
from tests.service.web.test_browser import sign_in, violations
from tests.service.writing import Writer

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_audit_trail_is_read_on_any_screen(
    open_page: OpenPage, service: Service, writer: Writer, scheme: str
) -> None:
    """Nothing is wider than 320 pixels, and axe finds nothing; the filter works with the keyboard."""
    service.with_administrator()
    writer.pin("allow")
    writer.pin("block")
    page = open_page(color_scheme=scheme, locale="nl-NL", bypass_csp=True)
    sign_in(page, service)
    page.goto(f"{service.url}/administration/audit")
    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert violations(page) == []
    page.get_by_label("Wie", exact=True).fill("anna")
    page.keyboard.press("Enter")
    page.wait_for_url("**actor=anna**")
    assert page.get_by_role("row").count() > 1
