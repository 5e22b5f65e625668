"""Our client against an endpoint that it has never met."""

import datetime as dt
from pathlib import Path

from gatepost.domain.devices import Device, Mailbox, OrganizationSettings
from gatepost.exchange.organization import Organization
from gatepost.settings import ExchangeSettings
from tests.exchange import stranger


def test_an_endpoint_never_met_is_read(tmp_path: Path) -> None:
    """Nothing depends on prefixes, order, sizes, projection, paths, cookies or properties that need not be there."""
    with stranger.running(tmp_path) as (state, address, ca_file):
        password = "secret"
        settings = ExchangeSettings(url=address, auth="basic", user="u", ca_file=ca_file)
        with Organization.connect(settings, password) as organization:
            capabilities = organization.capabilities
            first, second = organization.list_devices()
            (mailbox,) = organization.list_mailboxes()
            found = organization.settings()
        assert (capabilities.projection, capabilities.version) == (False, None)
        assert capabilities.device_cmdlet == "Get-MobileDevice"
        assert isinstance(first, Device)
        assert isinstance(second, Device)
        assert isinstance(mailbox, Mailbox)
        assert first.guid == "0b6d5a0c-0000-4000-8000-000000000001"
        assert first.mailbox_dn == mailbox.dn == "CN=Jan\\, J.,DC=strange"
        assert first.os == "iOS 19.1 😀 _x000A_"
        assert first.changed_at == dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)
        assert (second.device_id, second.user_agent) == (None, "")
        assert mailbox.allowed_ids == ("APPLF2LX", "X")
        assert (mailbox.blocked_ids, mailbox.eas_enabled) == ((), True)
        assert found == OrganizationSettings("Quarantine", name="Mobile Mailbox Settings")
        assert state.deleted == 1
