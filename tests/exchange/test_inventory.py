"""The inventory over real ports: the same as an independent client sees, in every dialect and by every way in."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from pypsrp.complex_objects import GenericComplexObject
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from gatepost.domain.devices import Device, Mailbox
from gatepost.errors import AnswerTruncated, CmdletFailed
from gatepost.exchange import cmdlets
from gatepost.exchange.organization import Organization
from gatepost.exchange.sessions import Session
from gatepost.lab.dialects import DIALECTS, Dialect
from gatepost.lab.server import Lab
from gatepost.wire.creating import Command
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab

Connect = Callable[..., Organization]


def independent(lab: Lab, name: str, query: str = "") -> list[dict[str, Any]]:
    """All objects of a cmdlet as pypsrp's own classes read them: name and value of every property."""
    parts = urlsplit(lab.https_url)
    wsman = WSMan(
        parts.hostname or "", port=parts.port, username=lab.user, password=lab.password, path=f"PowerShell{query}",
        ssl=True, auth="basic", cert_validation=str(lab.ca_file),  # type: ignore[arg-type]
    )  # fmt: skip
    with wsman, RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool:
        view = PowerShell(pool).add_cmdlet("Set-ADServerSettings").add_parameter("ViewEntireForest", True)
        view.invoke()
        shell = PowerShell(pool).add_cmdlet(name).add_parameter("ResultSize", "Unlimited")
        found = shell.invoke()
        assert not shell.had_errors
        return [{**entry.adapted_properties, **entry.extended_properties} for entry in found]


def as_ours(value: Any) -> Any:
    """A value of pypsrp's as our decoder gives it: enumerations and ids by their text, a list by the texts in it.

    Where pypsrp does not know the type of a list, it gives an object whose first value is the list as XML.
    """
    if isinstance(value, GenericComplexObject):
        within = str(value.property_sets[0]) if value.property_sets else ""
        return [entry.text or "" for entry in ET.fromstring(within)] if within.startswith("<LST") else value.to_string
    if isinstance(value, list):
        return [as_ours(entry) for entry in value]
    return value


def moment(text: Any) -> dt.datetime | None:
    """A date of the wire, read apart from our decoder: seven digits, of which Python keeps six."""
    if text is None:
        return None
    head, _, tail = str(text).rstrip("Z").partition(".")
    return dt.datetime.strptime(f"{head}.{(tail or '0')[:6]}", "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=dt.UTC)


def check_devices(theirs: list[dict[str, Any]], ours: list[Device]) -> None:
    """Every declared field of every device is the same."""
    assert len(theirs) == len(ours) > 0
    by_guid = {device.guid: device for device in ours}
    assert len(by_guid) == len(ours)
    names = [field for field in cmdlets.GET_MOBILE_DEVICE.fields if field not in {"Guid", "DistinguishedName"}]
    attributes = [name for name in Device._fields if name not in {"guid", "mailbox_dn"}]
    for entry in theirs:
        device = by_guid[str(entry["Guid"]).lower()]
        for name, attribute in zip(names, attributes, strict=True):
            wanted = as_ours(entry[name])
            wanted = moment(wanted) if attribute.endswith("_at") else wanted
            assert getattr(device, attribute) == wanted, (attribute, device)
        assert device.mailbox_dn is not None
        assert as_ours(entry["DistinguishedName"]).endswith(",CN=ExchangeActiveSyncDevices," + device.mailbox_dn)


def check_mailboxes(theirs: list[dict[str, Any]], ours: list[Mailbox]) -> None:
    """Every declared field of every mailbox is the same, the lists too."""
    assert len(theirs) == len(ours) > 0
    by_guid = {mailbox.guid: mailbox for mailbox in ours}
    for entry in theirs:
        mailbox = by_guid[str(entry["Guid"]).lower()]
        assert mailbox.dn == as_ours(entry["DistinguishedName"])
        assert mailbox.identity == as_ours(entry["Identity"])
        assert mailbox.primary_smtp == as_ours(entry["PrimarySmtpAddress"])
        assert mailbox.display_name == entry["DisplayName"]
        assert mailbox.eas_enabled == entry["ActiveSyncEnabled"]
        assert mailbox.allowed_ids == tuple(as_ours(entry["ActiveSyncAllowedDeviceIDs"]))
        assert mailbox.blocked_ids == tuple(as_ours(entry["ActiveSyncBlockedDeviceIDs"]))
        assert mailbox.mailbox_policy == as_ours(entry["ActiveSyncMailboxPolicy"])
        assert mailbox.changed_at == moment(entry["WhenChangedUTC"])


def devices_of(organization: Organization) -> list[Device]:
    """All devices; every one must be readable."""
    found = list(organization.list_devices())
    assert all(isinstance(entry, Device) for entry in found), found
    return [entry for entry in found if isinstance(entry, Device)]


def mailboxes_of(organization: Organization) -> list[Mailbox]:
    """All mailboxes; every one must be readable."""
    found = list(organization.list_mailboxes())
    assert all(isinstance(entry, Mailbox) for entry in found), found
    return [entry for entry in found if isinstance(entry, Mailbox)]


@pytest.mark.parametrize("query", ["", "?serializationLevel=Full"])
@pytest.mark.parametrize("projected", [True, False])
def test_an_independent_client_sees_the_same(lab: Lab, make_lab: MakeLab, query: str, projected: bool) -> None:
    """Pypsrp's own pool and pipeline give the same value for every field, in both wire forms, projected or whole."""
    chosen = lab if projected else make_lab(devices=120, projection=False)
    with Organization.connect(settings_of(chosen, url=chosen.https_url + query), chosen.password) as organization:
        assert organization.capabilities.projection is projected
        devices, mailboxes = devices_of(organization), mailboxes_of(organization)
    check_devices(independent(chosen, "Get-MobileDevice", query), devices)
    check_mailboxes(independent(chosen, "Get-CASMailbox", query), mailboxes)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_dialect_is_read_alike(connect: Connect, lab: Lab, make_lab: MakeLab, name: str) -> None:
    """What Exchange may do otherwise changes nothing in the inventory, but for properties that are left out."""
    dialect: Dialect = DIALECTS[name]
    other = make_lab(devices=300, dialect=dialect)
    with connect(lab) as organization:
        devices, mailboxes = devices_of(organization), mailboxes_of(organization)
    with connect(other, allowed_redirects=("localhost",)) as organization:
        theirs, boxes = devices_of(organization), mailboxes_of(organization)
    assert [device.guid for device in theirs] == [device.guid for device in devices]
    assert [box.guid for box in boxes] == [box.guid for box in mailboxes]
    for one, two in zip(theirs, devices, strict=True):
        for field in Device._fields:
            mine, plain = getattr(one, field), getattr(two, field)
            left_out = dialect.missing_properties and mine is None
            assert mine == plain or left_out or (dialect.short_identity and field == "identity"), (field, mine, plain)
    assert [box.dn for box in boxes] == [box.dn for box in mailboxes]
    assert [(box.allowed_ids, box.blocked_ids) for box in boxes] == [
        (None, None) if dialect.hidden_lists else (box.allowed_ids, box.blocked_ids) for box in mailboxes
    ]


@pytest.mark.parametrize(("scheme", "auth"), [("https", "basic"), ("https", "negotiate"), ("http", "negotiate")])
def test_every_way_in_gives_the_same(lab: Lab, scheme: str, auth: str) -> None:
    """Basic over TLS, Negotiate over TLS, and Negotiate with encrypted messages over plain HTTP."""
    url = lab.https_url if scheme == "https" else lab.http_url
    with Organization.connect(settings_of(lab, url=url, auth=auth), lab.password) as organization:
        assert len(devices_of(organization)) == 300
        assert organization.settings().default_level == "Allow"
        assert {server.name for server in organization.servers()} >= {"EX1", "EX2"}


def test_the_inventory_is_two_bulk_calls_and_never_a_call_a_mailbox(connect: Connect, make_lab: MakeLab) -> None:
    """Devices and mailboxes each cost one call, and the kinds one small call, whatever the size."""
    counts = []
    for size in (40, 400):
        lab = make_lab(devices=size)
        with connect(lab) as organization:
            before = len(lab.calls)
            devices_of(organization)
            mailboxes_of(organization)
        counts.append([call.cmdlet for call in lab.calls[before:] if call.cmdlet != "Select-Object"])
    assert counts[0] == counts[1] == ["Get-MobileDevice", "Get-Recipient", "Get-CASMailbox"]


def test_the_whole_forest_is_seen_from_one_domain_controller(connect: Connect, lab: Lab) -> None:
    """The first command of a session widens its view, and a domain controller is pinned."""
    before = len(lab.calls)
    with connect(lab) as organization:
        controller = organization.capabilities.domain_controller
        domains = {(device.mailbox_dn or "").lower().partition(",dc=")[2] for device in devices_of(organization)}
    views = [call.parameters for call in lab.calls[before:] if call.cmdlet == "Set-ADServerSettings"]
    assert views[0] == {"ViewEntireForest": True}
    assert views[-1] == {"ViewEntireForest": True, "PreferredServer": controller}
    assert controller in {name for domain in lab.organization.domains for name in domain.controllers}
    assert len(domains) > 1


def test_sessions_are_closed_always(connect: Connect, make_lab: MakeLab) -> None:
    """No shell stays on the server: after use, after a failed cmdlet, after a listing that was left half way."""
    lab = make_lab(devices=2000)
    with connect(lab) as organization:
        next(organization.list_devices())
        with pytest.raises(CmdletFailed, match="Get-MobileDeviceStatistics failed on localhost"):
            organization.statistics("00000000-0000-0000-0000-000000000000")
        assert len(devices_of(organization)) == 2000
    assert len(lab.shells) == 0


def test_a_truncated_listing_is_an_error(lab: Lab) -> None:
    """The warning that results were left out is never overlooked."""
    with Session.open(settings_of(lab), lab.password) as session:
        session.objects(Command("Set-ADServerSettings", {"ViewEntireForest": True}))
        with pytest.raises(AnswerTruncated, match="Get-MobileDevice on localhost left results out"):
            list(session.output(Command("Get-MobileDevice", {"ResultSize": "5"})))


def test_kinds_are_told_apart(connect: Connect, lab: Lab) -> None:
    """Mailboxes that are not a plain user's carry their kind."""
    with connect(lab) as organization:
        kinds = {mailbox.kind for mailbox in mailboxes_of(organization)}
    assert {"user", "linked", "shared", "room"} <= kinds


def test_old_exchange_is_read_by_its_old_cmdlets(connect: Connect, make_lab: MakeLab) -> None:
    """Where Get-MobileDevice does not exist, Get-ActiveSyncDevice is used."""
    lab = make_lab(devices=60, profile="2010sp1")
    with connect(lab) as organization:
        assert organization.capabilities.device_cmdlet == "Get-ActiveSyncDevice"
        devices = devices_of(organization)
        theirs = independent(lab, "Get-ActiveSyncDevice")
    assert {device.guid for device in devices} == {str(entry["Guid"]).lower() for entry in theirs}


def test_the_decoded_inventory_survives_json(connect: Connect, lab: Lab) -> None:
    """Emoji, Japanese, control characters and 64-character ids are kept to the letter."""
    with connect(lab) as organization:
        devices = devices_of(organization)
    names = [device.friendly_name or "" for device in devices]
    assert json.loads(json.dumps(names)) == names
    assert any(ord(letter) > 0xFFFF for name in names for letter in name)
    assert any(len(device.device_id or "") == 64 for device in devices)
