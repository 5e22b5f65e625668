"""Settings of Exchange that are wished for: carried out once, from what was seen, inside the local limits."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gatepost.connector.lease import Lease
from gatepost.connector.permission import Permission
from gatepost.connector.store import Store
from gatepost.connector.wishing import Wishing
from gatepost.connector.writes import Writes
from gatepost.domain.desired import Result
from gatepost.domain.wishes import Wish, WishName
from gatepost.errors import WriteRefused
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.service import wishes
from gatepost.service.database import Database
from gatepost.service.wishes import Standing
from gatepost.settings import ConnectorSettings, UplinkSettings
from tests.connector.test_agent import running, until
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab
from tests.fixtures.site import MakeSite, Site

LEVEL, INSERT = WishName.DEFAULT_LEVEL, WishName.USER_MAIL_INSERT
HELP = "Register your phone: https://help.example.com/phones"


def organization_of(site: Site) -> UUID:
    """The one organization of the site's tenant."""
    [row] = site.query("SELECT organization_id FROM organizations WHERE tenant_id = %s")
    organization: UUID = row["organization_id"]
    return organization


def wish(site: Site, name: WishName, value: str) -> None:
    """Wish as the console does."""

    async def say() -> None:
        async with await Database.open(site.urls.operator) as database, database.tenant(site.tenant_id) as scope:
            await wishes.set(scope, organization_of(site), name, value, "anna")

    asyncio.run(say())


def standing(site: Site, name: WishName) -> Standing:
    """How it stands with a setting, as the console tells it."""

    async def look() -> Standing:
        async with await Database.open(site.urls.operator) as database, database.tenant(site.tenant_id) as scope:
            return (await wishes.standing(scope, organization_of(site)))[name]

    return asyncio.run(look())


def test_a_wish_is_carried_out_once_and_read_back_and_a_running_connector_is_woken_by_it(make_site: MakeSite) -> None:
    """The service shows what Exchange says now; the next wish is one more write; nothing is written for nothing."""
    site = make_site(devices=40).enrol().limited(mode="enforce", settings_may_change=True)
    with running(site):
        until(lambda: site.syncs() and site.syncs()[0]["state"] == "sealed", "the first synchronisation", site)
        wish(site, INSERT, HELP)
        until(lambda: standing(site, INSERT).result is Result.APPLIED, "the text", site)
        assert site.lab.organization.settings.user_insert == HELP
        wish(site, LEVEL, "quarantine")
        until(lambda: standing(site, LEVEL).result is Result.APPLIED, "the level", site)
        wish(site, INSERT, "")
        until(lambda: standing(site, INSERT).now == "", "no text", site)
    assert site.lab.organization.settings.default_level == "Quarantine"
    assert not site.lab.organization.settings.user_insert
    assert site.writes() == ["Set-ActiveSyncOrganizationSettings"] * 3
    assert (standing(site, LEVEL).now, standing(site, LEVEL).open) == ("quarantine", False)
    told = site.query("SELECT name, body FROM events WHERE tenant_id = %s AND name LIKE '%%setting%%' ORDER BY at")
    assert [row["name"] for row in told] == ["console:setting:wished", "connector:setting:changed"] * 3
    assert told[3]["body"]["before"] == {"value": "Allow"}
    assert told[3]["body"]["after"] == {"value": "Quarantine"}


def test_local_limits_hold_whatever_the_service_wishes(make_site: MakeSite) -> None:
    """Observing, with the switch off, past the ceiling, and in words each; the last word is its administrator's."""
    site = make_site(devices=40).enrol()
    site.synchronise()
    wish(site, LEVEL, "block")
    expected: list[tuple[dict[str, object], Result, str]] = [
        ({"mode": "observe", "settings_may_change": True}, Result.OBSERVED, "the mode is observe"),
        ({"mode": "enforce"}, Result.OUT_OF_SCOPE, "this connector's settings_may_change is off"),
        ({"mode": "enforce", "settings_may_change": True, "ceiling": 1}, Result.CEILING, "the ceiling leaves 1 in"),
    ]
    for limits, result, why in expected:
        site.limited(**limits).work()
        assert (standing(site, LEVEL).result, standing(site, LEVEL).open) == (result, True)
        assert why in standing(site, LEVEL).why
    assert site.writes() == []
    site.limited(mode="enforce", settings_may_change=True).work()
    assert standing(site, LEVEL).result is Result.APPLIED
    [checkin] = site.query("SELECT status FROM checkins WHERE tenant_id = %s")
    losing = checkin["status"]["ceiling"]["used"]
    assert losing > 1, "a change of the default level counts against the ceiling"
    assert site.lab.organization.settings.default_level == "Block"


def test_a_setting_that_somebody_changed_meanwhile_is_left_alone(make_site: MakeSite) -> None:
    """A conflict, which ends the wish; one that is as wished already is not written either; a newer wish may follow."""
    site = make_site(devices=40).enrol().limited(mode="enforce", settings_may_change=True)
    site.synchronise()
    wish(site, INSERT, HELP)
    view = site.lab.organization.view()
    view.change_settings(user_insert="Call 1234")
    site.work()
    found = standing(site, INSERT)
    assert (found.result, found.open, found.now) == (Result.CONFLICT, False, "Call 1234")
    view.change_settings(default_level="Quarantine")
    wish(site, LEVEL, "quarantine")
    site.work()
    assert standing(site, LEVEL).result is Result.UNCHANGED
    assert site.writes() == []
    wish(site, INSERT, HELP)
    site.work()
    assert site.lab.organization.settings.user_insert == HELP


def test_going_back_is_one_step_also_before_the_first_was_carried_out(make_site: MakeSite) -> None:
    """Whichever of the two wishes had reached Exchange, the second is carried out and is no conflict."""
    site = make_site(devices=40).enrol().limited(mode="enforce", settings_may_change=True)
    site.synchronise()
    wish(site, LEVEL, "quarantine")
    site.lab.organization.view().change_settings(default_level="Quarantine")
    wish(site, LEVEL, "allow")
    site.work()
    assert standing(site, LEVEL).result is Result.APPLIED
    assert site.lab.organization.settings.default_level == "Allow"


class Trapped(Permission):
    """A permission after which a fault strikes once, at what the permitted write does next."""

    lab: Lab

    def check_settings(self) -> None:
        """Permit, then let the answer to the write be lost."""
        super().check_settings()
        self.lab.faults.plan(Fault.RESET, times=1)


def test_a_write_whose_end_is_unknown_is_read_later_and_not_repeated(
    make_lab: MakeLab, store: Store, tmp_path: Path
) -> None:
    """The answer is lost: uncertain; half a minute later the settings are read, and it is told as applied."""
    lab = make_lab()
    settings = ConnectorSettings(
        folder=tmp_path,
        exchange=settings_of(lab),
        service=UplinkSettings(url="http://127.0.0.1:1"),
        mode="enforce",
        settings_may_change=True,
    )
    lease, writes, time = Lease(), Writes(store, enforcing=True), [1_000.0]
    permission = Trapped(settings, lease, writes.taken)
    permission.lab = lab

    @contextmanager
    def opened() -> Iterator[Organization]:
        with Organization.connect(settings.exchange, lab.password) as organization:
            yield organization

    wishing = Wishing(store, writes, permission, opened, lambda: datetime.now(UTC), clock=lambda: time[0])
    wishing.hear([Wish(str(uuid4()), INSERT, HELP, ("",))])
    with pytest.raises(WriteRefused, match="No write may start: the lease lasts 0 s more"):
        wishing.run()
    lease.hear(lease.now(), 120.0, 0.0)
    assert (wishing.run(), wishing.seconds()) == ({"uncertain": 1}, 30.0)
    assert wishing.run() == {}
    time[0] += 30
    assert (wishing.run(), wishing.seconds()) == ({"applied": 1}, None)
    assert [each["result"] for each in sorted(store.outcomes(), key=lambda each: str(each["at"]))] == [
        "uncertain",
        "applied",
    ]
    assert [call.cmdlet for call in lab.audit if call.cmdlet.startswith("Set-Active")] == [
        "Set-ActiveSyncOrganizationSettings"
    ]
