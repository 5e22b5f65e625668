"""The page to print, for when Gatepost is down."""

import pytest

from gatepost.domain.contract import Status
from tests.service.conftest import Look
from tests.service.speaker import Speaker
from tests.service.web.conftest import Visitor


@pytest.mark.parametrize(
    ("version", "device", "clear"),
    [
        ("Version 14.1 (Build 218.15)", "Get-ActiveSyncDevice -Mailbox", "Clear-ActiveSyncDevice IDENTITY"),
        ("Version 15.2 (Build 1118.7)", "Get-MobileDevice -Mailbox", "Clear-MobileDevice IDENTITY"),
    ],
)
def test_the_page_names_the_servers_and_the_cmdlets_of_the_version(
    anna: Visitor, speaker: Speaker, look: Look, version: str, device: str, clear: str
) -> None:
    """The printed commands exist on this Exchange; nothing on the page needs Gatepost to answer."""
    exchange = {"server": "EX01.example.test", "version": version}
    speaker.say(status=Status(host="GATE01", exchange=exchange))
    [row] = look("SELECT organization_id FROM organizations")
    here = f"/connection/{row['organization_id']}/by-hand"
    assert f'href="{here}"' in anna.get("/connection").text
    page = anna.get(here).text
    for text in ("EX01.example.test", "GATE01", device, clear, "-ActiveSyncAllowedDeviceIDs @{Add=&#39;DEVICE&#39;}"):
        assert text in page
    assert "gatepost connector allow DEVICE" in page
    assert "<script>" not in page


def test_another_tenants_organization_has_no_page(anna: Visitor) -> None:
    """An id that is not of this tenant is not found."""
    assert anna.get("/connection/1b4e28ba-2fa1-4d2b-883f-0016d3cca427/by-hand").status_code == 404
