"""The page Set up Exchange connection: prerequisites, the download, the firewall's list; by form and in a browser."""

import csv
import io
import threading
import tomllib
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from gatepost.connector import package
from gatepost.domain.events import Event
from gatepost.errors import SettingsError
from gatepost.service.web import spreadsheets
from gatepost.service.web.console import firewall
from gatepost.service.web.i18n import LANGUAGES
from tests.fixtures.browser import OpenPage
from tests.fixtures.packages import CONTENT, PutPackage
from tests.fixtures.service import Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker
from tests.service.web.conftest import Visitor
from tests.service.web.test_browser import sign_in, violations

PAGE = "/administration/exchange/setup"


def choose(visitor: Visitor, authority: str = "exchange") -> requests.Response:
    """Choose the management authority."""
    return visitor.post(f"{PAGE}/authority", {"authority": authority, "form_token": visitor.token()})


def download(visitor: Visitor, **form: str) -> requests.Response:
    """Ask for the package of a new organization."""
    wanted = {"organization": "new", "name": "Head office", "platform": "linux_x86_64"}
    return visitor.post(f"{PAGE}/package", wanted | {"form_token": visitor.token()} | form)


def unzipped(answer: requests.Response, folder: Path) -> Path:
    """The folder of a set-up package."""
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(folder)
    return folder


def fingerprint(page: str) -> str:
    """The fingerprint that the page shows."""
    return page.partition('aria-labelledby="key-heading">')[2].partition("</code>")[0]


def test_the_package_is_what_set_up_reads(anna: Visitor, service: Service, offered: PutPackage, tmp_path: Path) -> None:
    """Made by the service, read by the connector: address, tenant, organization, end, and the key the page shows."""
    offered()
    choose(anna)
    answer = download(anna, name='Zoë & "Söhne"')
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Gatepost_Connector_Setup.zip"'
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    found = package.read(unzipped(answer, tmp_path))
    assert (found.service_url, found.tenant, found.organization) == (service.url, service.slug, 'Zoë & "Söhne"')
    left = found.expires_at - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert (tmp_path / "gatepost-connector.pyz").read_bytes() == CONTENT
    shown = fingerprint(anna.get(PAGE).text)
    found.check(shown)
    with pytest.raises(SettingsError):
        found.check("0" * 64)
    assert not any(
        shown.split()[0].encode() in path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".pyz"
    )


def test_the_text_for_people_is_in_both_languages(anna: Visitor, offered: PutPackage, tmp_path: Path) -> None:
    """README.txt says what to run, in English and in Dutch."""
    offered()
    choose(anna)
    text = (unzipped(download(anna), tmp_path) / "README.txt").read_text(encoding="utf-8")
    for part in ("set-up package of a connector", "installatiepakket van een connector"):
        assert part in text
    assert text.count("python3 gatepost-connector.pyz connector setup --config connector.toml") == 2


def test_the_ticket_of_a_package_enrols(anna: Visitor, service: Service, offered: PutPackage, tmp_path: Path) -> None:
    """Each download has a ticket of its own, which pays for one connector of that organization."""
    offered()
    choose(anna)
    first, second = (unzipped(download(anna), tmp_path / name) for name in ("a", "b"))
    tickets = [(folder / "ticket").read_text().strip() for folder in (first, second)]
    assert len(set(tickets)) == 2
    speaker = Speaker(service.url)
    assert speaker.enrol(tickets[0]).status_code == 200
    assert Speaker(service.url).enrol("x" + tickets[1]).status_code == 403


def test_a_download_is_told_to_the_audit_trail(anna: Visitor, look: Look, offered: PutPackage, tmp_path: Path) -> None:
    """Who downloaded it, for which organization and platform, until when it is good; and not the ticket."""
    offered()
    choose(anna)
    folder = unzipped(download(anna), tmp_path)
    [event] = look("SELECT * FROM events WHERE name = %s", Event.PACKAGE_MADE.value)
    setup = tomllib.loads((folder / "setup.toml").read_text())
    assert event["actor"] == "anna"
    assert event["address"] == "127.0.0.1"
    assert event["organization_id"] is not None
    assert event["body"]["organization"] == "Head office"
    assert event["body"]["platform"] == "linux_x86_64"
    assert datetime.fromisoformat(event["body"]["expires_at"]) == setup["expires_at"]
    assert (folder / "ticket").read_text().strip().partition(".")[2] not in str(event["body"])


def test_what_is_not_met_stands_on_the_page_with_its_remedy(anna: Visitor) -> None:
    """Without package and authority there is no download, and the page says what to do."""
    page = anna.get(PAGE).text
    assert "make package" in page
    assert "--packages" in page
    assert "Choose it here" in page
    assert "Something above is not met yet" in page
    assert "Download Gatepost_Connector_Setup.zip" not in page
    refused = download(anna)
    assert refused.status_code == 409
    assert "There is no package for this platform" in refused.text


def test_nothing_is_handed_out_before_the_authority_is_chosen(anna: Visitor, look: Look, offered: PutPackage) -> None:
    """Also by hand the download waits for the choice, and no ticket is made."""
    offered()
    refused = download(anna)
    assert refused.status_code == 409
    assert "Something is not met yet" in refused.text
    assert look("SELECT 1 FROM tickets") == []


def test_a_spoilt_package_is_named(anna: Visitor, offered: PutPackage) -> None:
    """The operator sees which file was changed since it was built."""
    path = offered()
    path.write_bytes(b"changed")
    page = anna.get(PAGE).text
    assert "Not offered, because these were changed" in page
    assert path.name in page


def test_the_choice_of_authority_is_kept_with_before_and_after(anna: Visitor, look: Look) -> None:
    """Chosen, chosen again and chosen the same: two events, and the page shows who chose when."""
    for authority in ("exchange", "source", "source"):
        assert choose(anna, authority).status_code == 303
    bodies = [
        row["body"] for row in look("SELECT body FROM events WHERE name = %s ORDER BY at", Event.AUTHORITY_CHOSEN)
    ]
    assert bodies == [{"before": None, "after": "exchange"}, {"before": "exchange", "after": "source"}]
    page = anna.get(PAGE).text
    assert "A compliance source too." in page
    assert "chose it at" in page
    assert choose(anna, "somebody").status_code == 400


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x07b", "x" * 201])
def test_a_name_that_cannot_be_used_is_refused(anna: Visitor, look: Look, offered: PutPackage, name: str) -> None:
    """The page says which names can be used; nothing is made."""
    offered()
    choose(anna)
    refused = download(anna, name=name)
    assert refused.status_code == 400
    assert "1 to 200 visible characters" in refused.text
    assert look("SELECT 1 FROM organizations") == []


def test_an_organization_that_has_a_connector_is_chosen_with_a_warning(
    anna: Visitor, speaker: Speaker, offered: PutPackage, tmp_path: Path
) -> None:
    """An existing organization can be set up again; the page says that its connector will be replaced."""
    offered()
    choose(anna)
    organization = speaker.identity["organization"]
    page = anna.get(PAGE).text
    assert f'value="{organization}"' in page
    assert "Set-up replaces its connector, after asking." in page
    found = package.read(unzipped(download(anna, organization=organization, name=""), tmp_path))
    assert found.organization == "Head office"
    assert download(anna, organization="1b4e28ba-2fa1-4d2b-883f-0016d3cca427").status_code == 404


def test_an_organization_that_is_being_removed_cannot_be_set_up(
    anna: Visitor, speaker: Speaker, look: Look, offered: PutPackage
) -> None:
    """Neither by its row nor by its name, until the removal has ended."""
    offered()
    choose(anna)
    look("UPDATE organizations SET state = 'removing' RETURNING 1")
    for form in ({"organization": speaker.identity["organization"]}, {"organization": "new", "name": "Head office"}):
        refused = download(anna, **form)
        assert refused.status_code == 409
        assert "This organization is being removed" in refused.text
    assert speaker.identity["organization"] not in anna.get(PAGE).text


def test_who_may_not_set_up_sees_why_and_no_download(service: Service, anna: Visitor, offered: PutPackage) -> None:
    """A reader reads the prerequisites and the list; the download is refused to an operator too."""
    offered()
    choose(anna)
    for role in ("reader", "operator"):
        other = Visitor(service.add_administrator(role, role).url)
        assert other.sign_in(service, name=role).status_code == 303
        page = other.get(PAGE).text
        assert "Your role does not allow the download" in page
        assert "Fingerprint" not in page
        assert download(other).status_code == 403
        assert choose(other).status_code == 403


def test_a_download_needs_a_fresh_proof_and_the_forms_token(anna: Visitor, look: Look, offered: PutPackage) -> None:
    """An old session is led to confirm first, and the page says so before; a form without token is refused."""
    offered()
    choose(anna)
    assert (
        anna.post(f"{PAGE}/package", {"organization": "new", "name": "x", "platform": "linux_x86_64"}).status_code
        == 403
    )
    look("UPDATE sessions SET step_up_at = now() - interval '6 minutes' RETURNING 1")
    led = download(anna)
    assert (led.status_code, led.headers["Location"].partition("?")[0]) == (303, "/step-up")
    assert look("SELECT 1 FROM tickets") == []
    page = anna.get(PAGE).text
    assert "Confirm that it is you, then download" in page
    assert "/step-up?next=/administration/exchange/setup%23download" in page


def test_downloads_at_once_are_each_whole(anna: Visitor, offered: PutPackage, tmp_path: Path) -> None:
    """Several at a time, while the file lies there once, and each has another ticket."""
    offered(content=CONTENT * 5)
    choose(anna)
    token, answers = anna.token(), []
    threads = [threading.Thread(target=lambda: answers.append(download(anna, form_token=token))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    folders = [unzipped(answer, tmp_path / str(number)) for number, answer in enumerate(answers)]
    assert len({(package.read(folder).folder / "ticket").read_text() for folder in folders}) == 4


def test_the_firewalls_list_has_the_real_host_and_is_safe_to_open(anna: Visitor, service: Service) -> None:
    """On the page and as CSV: from, to, port, why, with this service's address; nothing comes in."""
    host, port = service.url.removeprefix("http://").split(":")
    page = anna.get(PAGE).text
    assert "Nothing calls the connector" in page
    answer = anna.get(f"{PAGE}/firewall.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="gatepost-firewall.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["From", "To", "Port", "Why"]
    assert rows[1][1:3] == [f"Gatepost service: {host}", f"{port} TCP"]
    assert {"88 TCP, 88 UDP", "53 TCP, 53 UDP", "389 TCP, 636 TCP", "443 TCP", "80 TCP"} <= {row[2] for row in rows}
    assert all(row[2] in page and row[3] in page.replace("&#39;", "'") for row in rows[1:])
    dutch = anna.get(f"{PAGE}/firewall.csv", headers={"Accept-Language": "nl"}).content.decode("utf-8-sig")
    assert dutch.startswith("Van,Naar,Poort,Waarom")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1"])
def test_no_cell_is_taken_for_a_formula(cell: str) -> None:
    """A host's name that a spreadsheet would compute is only text."""
    assert spreadsheets.harmless(cell) == f"'{cell}"
    assert spreadsheets.harmless("443 TCP") == "443 TCP"


def test_the_list_names_the_usual_port_of_an_address_without_one() -> None:
    """The port of https is 443."""
    text = firewall.table("https://gatepost.example", LANGUAGES["en"]).decode("utf-8-sig")
    assert "Gatepost service: gatepost.example,443 TCP" in text


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("scheme", "width", "locale"), [("light", 1280, "en-GB"), ("dark", 320, "nl-NL")])
def test_the_page_in_a_browser(
    open_page: OpenPage,
    administered: Service,
    offered: PutPackage,
    tmp_path: Path,
    scheme: str,
    width: int,
    locale: str,
) -> None:
    """Choose, copy the fingerprint, download by keyboard; axe finds nothing, nothing is cut off, in both languages."""
    offered()
    offered("win_amd64")
    page = open_page(
        color_scheme=scheme,
        locale=locale,
        viewport={"width": width, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
        bypass_csp=True,
    )
    sign_in(page, administered)
    page.goto(f"{administered.url}{PAGE}")
    assert violations(page) == []
    page.locator("#authority button").click()
    expect(page.locator("#authority .pill.good")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.locator("[data-copy]").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    page.locator("#name").fill("Contoso")
    with page.expect_download() as waiting:
        page.locator("#get").focus()
        page.keyboard.press("Enter")
    waiting.value.save_as(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "unzipped")
    found = package.read(tmp_path / "unzipped")
    found.check(copied)
    assert found.organization == "Contoso"
    assert ("Vingerafdruk" if locale == "nl-NL" else "Fingerprint") in page.content()
