"""Somebody has the service and its keys: what it says is signed as it should be, and no host, limit or mode moves.

The real service answers, and what is added to its answers is signed with the tenant's own key: for the connector it is
the service's word.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gatepost.connector import credentials
from gatepost.connector.agent import Agent
from gatepost.domain.contract import LEASE_SECONDS
from gatepost.errors import UplinkError
from gatepost.lab.rows import Device, Mailbox
from tests.connector.test_forged import Change, Proxy, inserted, refused
from tests.fixtures.connector import Reply, Request, Stage
from tests.fixtures.site import MakeSite, Site

ORDERS = {"order_id": "11111111-1111-4111-8111-111111111111", "kind": "set-mode", "mode": "enforce", "ceiling": 1_000}
LIMITS = {"mode": "enforce", "scope": ["*"], "ceiling": 1_000, "limits": {"ceiling": 1_000}, "taken_away": 0}


def signed(change: Change) -> Change:
    """Changed, and left to the stage to be signed, which has the service's key."""

    def made(request: Request, reply: Reply) -> Reply:
        found = change(request, reply)
        headers = {name: text for name, text in found.headers.items() if name != "Gatepost-Signature"}
        return replace(found, headers=headers, signed=True)

    return made


@pytest.fixture
def elsewhere() -> Iterator[Stage]:
    """Another host, where nobody of us should ever ask."""
    made = Stage()
    yield made
    made.close()


def taken(stage: Stage, site: Site) -> tuple[Proxy, Site]:
    """The service in other hands, and the connector that asks it."""
    stage.sign = site.keys.sign
    return Proxy(stage, site), site.of(stage.url)


def phones(site: Site, number: int) -> list[tuple[Mailbox, Device]]:
    """Phones of plain mailboxes without entries, one in each."""
    found = [
        (mailbox, phone)
        for mailbox in site.lab.organization.mailboxes
        if mailbox.kind == "UserMailbox" and not mailbox.allowed + mailbox.blocked and not mailbox.protected
        for phone in [each for each in mailbox.devices if each.device_id and each.handset.client_type == "EAS"][:1]
    ]
    assert len(found) >= number
    return found[:number]


def results(site: Site) -> list[str]:
    """What became of what was wanted, as the service was told."""
    rows = site.query("SELECT result FROM outcomes WHERE tenant_id = %s ORDER BY result")
    return [row["result"] for row in rows]


def test_a_compromised_service_does_not_switch_the_mode(make_site: MakeSite, stage: Stage) -> None:
    """An observing connector goes on observing, whatever fields and orders of mode, scope and settings it is sent."""
    site = make_site(devices=40).enrol().limited(mode="observe")
    site.synchronise()
    [(_, phone)] = phones(site, 1)
    site.pin(phone.guid, "block")
    proxy, between = taken(stage, site)
    written = between.config.read_bytes()
    told = LIMITS | {"status": {"mode": "enforce"}, "settings": {"mode": "enforce"}, "orders": [ORDERS]}
    proxy.change = signed(inserted(**told, lease_seconds=10**6, write_in_seconds=0))
    with Agent(between.settings, patience=0) as agent:
        assert agent.work() == {"seen": 1}
        assert 0 < agent.courier.lease.remaining() <= LEASE_SECONDS
    assert site.writes() == []
    assert results(site) == ["observed"]
    assert between.config.read_bytes() == written
    [checkin] = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    assert checkin["status"]["mode"] == "observe"


def test_a_compromised_service_raises_no_ceiling_and_widens_no_scope(make_site: MakeSite, stage: Stage) -> None:
    """Told of a ceiling of a thousand and of every mailbox, it takes away once an hour, and only where it may."""
    site = make_site(devices=80).enrol()
    site.synchronise()
    chosen = phones(site, 4)
    scope = [str(mailbox.smtp) for mailbox, _ in chosen[:3]]
    site = site.limited(mode="enforce", ceiling=1, scope=scope)
    for _, phone in chosen:
        site.pin(phone.guid, "block")
    proxy, between = taken(stage, site)
    proxy.change = signed(inserted(**LIMITS, orders=[ORDERS]))
    for _ in range(2):
        between.work(patience=0)
    assert site.writes() == ["Set-CASMailbox"]
    assert results(site) == ["applied", "ceiling", "ceiling", "out-of-scope"]


def test_a_compromised_service_leads_nobody_to_another_host(
    make_site: MakeSite, stage: Stage, elsewhere: Stage
) -> None:
    """Redirects, headers, refusals and fields with another address and key: nothing is asked there, nothing kept."""
    site = make_site(devices=8).enrol()
    proxy, between = taken(stage, site)
    identity, written = credentials.load(site.settings.folder), between.config.read_bytes()
    away = {"Location": f"{elsewhere.url}/connector/v1/check-ins", "Refresh": f"0; url={elsewhere.url}"}
    away |= {"Alt-Svc": f'http/1.1="{elsewhere.url.removeprefix("http://")}"', "Content-Location": elsewhere.url}
    names = ("url", "service_url", "location", "redirect", "moved_to", "instance")
    fields: dict[str, Any] = dict.fromkeys(names, elsewhere.url)
    fields |= {"service": {"url": elsewhere.url}, "exchange": {"url": elsewhere.url}}
    fields |= {name: getattr(identity, name) for name in ("tenant", "connector", "certificate")} | {"service_key": "A"}

    def sent_with(status: int, change: Change) -> Change:
        def change_it(request: Request, reply: Reply) -> Reply:
            made = change(request, reply)
            return replace(made, status=status or made.status, headers=made.headers | away)

        return signed(change_it)

    for status in (301, 302, 303, 307, 308, 200):
        proxy.change = sent_with(status, inserted(**fields))
        with Agent(between.settings, patience=0) as agent:
            if status == 200:
                agent.check_in()
            else:
                with pytest.raises(UplinkError):
                    agent.check_in()
    for kind in ("moved", "contract", "expired", "clock"):
        proxy.change = sent_with(
            0, refused(kind, supported=[99], server_time="2026-01-01T00:00:00Z", moved_to=elsewhere.url)
        )
        with Agent(between.settings, patience=0) as agent, pytest.raises(UplinkError):
            agent.check_in()
    assert elsewhere.requests == []
    assert credentials.load(site.settings.folder) == identity
    assert between.config.read_bytes() == written
