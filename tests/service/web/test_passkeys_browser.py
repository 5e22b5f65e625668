"""Passkeys and invitations in a real browser, with an authenticator that is real to it."""

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import OpenPage, at_name, virtual_authenticator
from tests.fixtures.service import Service
from tests.service.web.test_browser import violations

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]
PASSWORD = "another horse battery"
HERE = "/administration/administrators"


def sign_in(page: Page, service: Service, name: str, password: str) -> None:
    """Send the sign-in form."""
    page.goto(f"{at_name(service.url)}/t/{service.slug}/")
    page.fill("#name", name)
    page.fill("#password", password)
    page.locator("main form button").first.click()


def test_from_an_invitation_to_a_sign_in_with_nothing_but_a_passkey(open_page: OpenPage, service: Service) -> None:
    """Invited, a password set, a passkey added; then it is a second factor, enough alone, and what confirms."""
    service.with_administrator()
    anna = open_page()
    sign_in(anna, service, "anna", service.password)
    anna.wait_for_url("**/connection")
    anna.goto(f"{at_name(service.url)}{HERE}")
    anna.fill("#name", "bob")
    anna.get_by_label("Tenant administrator").check()
    anna.get_by_role("button", name="Add and make an invitation").click()
    invitation = anna.get_by_label("Address of the invitation").input_value()

    bob = open_page()
    keys = virtual_authenticator(bob)
    bob.goto(invitation)
    code = bob.get_by_label("Code of the invitation")
    expect(code).not_to_have_value("")
    assert "#" not in bob.url
    bob.get_by_label("New password").fill(PASSWORD)
    bob.get_by_label("The same password again").fill(PASSWORD)
    bob.get_by_role("button", name="Set the password and sign in").click()
    bob.wait_for_url("**/account")
    bob.get_by_label("Name of a new passkey").fill("Laptop")
    bob.get_by_role("button", name="Add a passkey").click()
    expect(bob.get_by_role("rowheader", name="Laptop")).to_be_visible()
    assert len(keys.credentials) == 1

    bob.get_by_role("button", name="Sign out").click()
    bob.get_by_role("button", name="Sign in with a passkey alone").click()
    bob.wait_for_url("**/connection")
    bob.get_by_role("button", name="Sign out").click()
    sign_in(bob, service, "bob", PASSWORD)
    bob.wait_for_url("**/connection")
    bob.goto(f"{at_name(service.url)}/step-up?next={HERE}")
    bob.wait_for_url(f"**{HERE}")
    expect(bob.get_by_role("row", name="bob")).to_contain_text("Password and passkey")

    keys.verify(verified=False)
    bob.goto(f"{at_name(service.url)}/step-up?next={HERE}")
    expect(bob.get_by_role("alert")).to_contain_text("Your browser gave no passkey.")
    keys.verify(verified=True)
    bob.get_by_role("button", name="Use the passkey").click()
    bob.wait_for_url(f"**{HERE}")


@pytest.mark.parametrize(("locale", "scheme", "width"), [("en-GB", "light", 1280), ("nl-NL", "dark", 320)])
def test_the_pages_are_accessible_and_fit_every_screen(
    open_page: OpenPage, service: Service, locale: str, scheme: str, width: int
) -> None:
    """axe-core finds nothing, and nothing has to be scrolled sideways at 320 pixels in either language."""
    service.with_administrator().add_administrator("Wilhelmina van der Graafsma-Oosterhout", "helpdesk")
    page = open_page(locale=locale, bypass_csp=True, color_scheme=scheme)
    start = at_name(service.url)

    def look_at(path: str) -> None:
        page.set_viewport_size({"width": 320, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], path

    sign_in(page, service, "anna", service.password)
    page.wait_for_url("**/connection")
    page.goto(f"{start}{HERE}")
    other = page.get_by_role("link", name="Wilhelmina").get_attribute("href")
    for path in (HERE, str(other), "/account", "/step-up", f"/t/{service.slug}/invitation"):
        page.goto(f"{start}{path}")
        look_at(path)
    page.goto(f"{start}/account")
    page.fill("#passkey-name", "Laptop")
    page.locator("form[action='/account/passkeys'] button").click()
    page.locator("form[data-passkey] button").wait_for()
    look_at("a new passkey")
    page.goto(f"{start}{HERE}")
    page.fill("#name", "bob")
    page.locator("#invite button").click()
    page.locator("#address").wait_for()
    look_at("an invitation")
