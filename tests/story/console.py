"""The administrator of the tenant, in a real browser with an authenticator of its own."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from gatepost.lab.rows import Device
from tests.fixtures.browser import virtual_authenticator

SETUP = "/administration/exchange/setup"
PATIENCE = 60_000
"""Milliseconds that a page may take to show what connectors do meanwhile; it refreshes itself."""


class Console:
    """What one administrator does on the console, page by page.

    ``pictures`` is where pictures of the pages go, if anywhere; ``logs`` are what everybody else said.
    """

    logs: Callable[[], str]

    def __init__(self, page: Page, url: str, folder: Path, pictures: Path | None) -> None:
        self._page = page
        self._url = url
        self._folder = folder
        self._pictures = pictures
        self._downloads = 0
        self._keys = virtual_authenticator(page)

    def sign_in(self, tenant: str, name: str, password: str) -> None:
        """With a password; then a passkey is registered, and proves once more who it is."""
        page = self._page
        page.goto(f"{self._url}/t/{tenant}/")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.locator("main form button").first.click()
        page.wait_for_url("**/connection")
        page.goto(f"{self._url}/account")
        page.get_by_label("Name of a new passkey").fill("Laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_role("rowheader", name="Laptop")).to_be_visible()
        assert len(self._keys.credentials) == 1
        page.goto(f"{self._url}/step-up?next={SETUP}")
        expect(page.get_by_role("heading", name="Set up Exchange connection")).to_be_visible()

    def choose_authority(self) -> None:
        """The management authority is Exchange only; the prerequisites are met then."""
        page = self._page
        expect(page.get_by_text("Something above is not met yet.")).to_be_visible()
        page.get_by_label("Exchange only").check()
        page.get_by_role("button", name="Choose").click()
        expect(page.get_by_role("button", name="Download Gatepost_Connector_Setup.zip")).to_be_visible()

    def download(self, organization: str) -> tuple[Path, str]:
        """The set-up package for an organization, new or known, and the fingerprint that stands beside it."""
        page = self._page
        page.goto(self._url + SETUP)
        known = page.get_by_role("radio", name=organization)
        if known.count():
            known.check()
        else:
            page.get_by_role("radio", name="A new organization").check()
            page.get_by_label("Name of the new organization").fill(organization)
        fingerprint = page.locator("#fingerprint").inner_text()
        self.look(f"set-up-{self._downloads}")
        with page.expect_download() as awaited:
            page.get_by_role("button", name="Download Gatepost_Connector_Setup.zip").click()
        assert awaited.value.suggested_filename == "Gatepost_Connector_Setup.zip"
        self._downloads += 1
        path = self._folder / f"setup-{self._downloads}.zip"
        awaited.value.save_as(path)
        return path, fingerprint

    def sees_connection(self, host: str, mode: str, devices: int) -> None:
        """The connection's page says that this host's connector is connected, in this mode, and told everything."""
        page = self._page
        page.goto(f"{self._url}/connection")
        self._shows(page.locator("main"), "Connected")
        self._shows(self._fact("Connector host"), host)
        self._shows(self._fact("Mode"), mode)
        self._shows(page.locator(".numbers div").filter(has_text="Devices").first, str(devices))
        self.look(f"connection-{host}-{mode}")

    def pin(self, phone: Device) -> None:
        """Find a phone by its id, and pin it to be allowed."""
        self._open(phone)
        page = self._page
        page.get_by_text("Pin this device").click()
        page.get_by_label("Allow, whatever the default and the rules say").check()
        page.get_by_label("Reason").fill("of the story")
        page.get_by_role("button", name="Pin", exact=True).click()
        expect(page.get_by_role("heading", name="Pinned")).to_be_visible()

    def sees_applied(self, phone: Device) -> None:
        """The phone's page says that our entry stands, as read back."""
        self._open(phone)
        self._shows(self._page.locator("#standing"), "Allowed by our entry")
        self.look(f"device-{phone.device_id}")

    def remove(self, ending: str, losing: int) -> None:
        """Remove the connection, having seen how many people would lose access, and see it removed."""
        page = self._page
        page.goto(f"{self._url}/connection")
        page.locator("#remove").click()
        lost = page.locator(".numbers div").filter(has_text="People who would lose access").locator("dd")
        expect(lost).to_have_text(str(losing))
        self.look(f"remove-{ending}")
        page.locator(f"input[value={ending}]").check()
        page.locator("main button#remove").click()

    def sees_removed(self, host: str, standing: int) -> None:
        """The page says that it is removed, how many entries of ours stand, and what to uninstall where."""
        main = self._page.locator("main")
        self._shows(main, "The connection is removed")
        self._shows(main, f"{standing or 'No'} entr")
        self._shows(main, "What to uninstall")
        self._shows(main, f"On the connector's host ({host}): stop the connector and remove its service.")
        self.look(f"removed-{host}")

    def take_file(self) -> str:
        """The PowerShell file that undoes what is ours."""
        with self._page.expect_download() as awaited:
            self._page.get_by_role("button", name="Download the PowerShell file").click()
        assert awaited.value.suggested_filename.endswith(".ps1")
        return awaited.value.path().read_bytes().decode("utf-8-sig")

    def look(self, name: str) -> None:
        """Keep a picture of the page, where somebody wants some."""
        if self._pictures:
            self._page.screenshot(path=self._pictures / f"{name}.png", full_page=True)

    def _open(self, phone: Device) -> None:
        page = self._page
        page.goto(f"{self._url}/devices?q={phone.device_id}")
        page.locator(f"#d-{phone.guid}").click()
        page.wait_for_url(f"**/{phone.guid}?**")

    def _fact(self, name: str) -> Locator:
        return self._page.locator("dl.facts > div").filter(has=self._page.get_by_text(name, exact=True))

    def _shows(self, where: Locator, words: str) -> None:
        """Wait until a place of the page has these words; a failure shows the logs."""
        try:
            expect(where).to_contain_text(words, timeout=PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
