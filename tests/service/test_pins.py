"""Pins: set, changed, removed, expired; and what cannot be pinned is refused in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatepost.domain.contract import Scope as Extent
from gatepost.errors import Problem
from gatepost.service import pins
from gatepost.service.database import Database
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.test_access import events
from tests.service.writing import Writer


def test_a_pin_is_kept_with_who_and_why(writer: Writer, look: Look) -> None:
    """And a second one takes its place; both are in the audit trail."""
    until = datetime.now(UTC) + timedelta(hours=1)
    writer.pin(until=until)
    writer.pin("block")
    assert look("SELECT level, reason, until, by, device_id FROM pins") == [
        {"level": "block", "reason": "lost", "until": None, "by": "anna", "device_id": "DEV00000"}
    ]
    assert [body["level"] for body in events(look, "console:pin:set")] == ["allow", "block"]
    assert look("SELECT DISTINCT actor FROM events WHERE name = 'console:pin:set'") == [{"actor": "anna"}]


def test_a_removed_pin_takes_our_hands_off(writer: Writer, look: Look) -> None:
    """The level is leave, with the reason, and stays published so that our entry is withdrawn."""
    writer.pin()
    writer.unpin()
    assert look("SELECT count(*) AS n FROM pins") == [{"n": 0}]
    assert look("SELECT level, entry, reason, revision FROM desired") == [
        {"level": "leave", "entry": "none", "reason": "policy-off", "revision": 2}
    ]
    [removed] = events(look, "console:pin:removed")
    assert (removed["level"], removed["by"]) == ("allow", "anna")


def test_a_pin_that_is_not_there_cannot_be_removed(writer: Writer) -> None:
    """In words."""
    with pytest.raises(Problem, match="This device is not pinned"):
        writer.unpin()


@pytest.mark.anyio
async def test_a_pin_ends_when_its_time_is_over(writer: Writer, look: Look, anyio_backend: str) -> None:
    """By the job, once; others stay."""
    writer.pin(until=datetime.now(UTC) + timedelta(hours=1))
    writer.pin(number=2)
    async with await Database.open(writer.service.urls.app, size=2) as database:
        await pins.expire_pins(database, writer.service.tenant_id)
        assert look("SELECT count(*) AS n FROM pins") == [{"n": 2}]
        look("UPDATE pins SET until = now() - interval '1 second' WHERE until IS NOT NULL")
        await pins.expire_pins(database, writer.service.tenant_id)
        await pins.expire_pins(database, writer.service.tenant_id)
    assert look("SELECT device_id FROM pins") == [{"device_id": "DEV00002"}]
    assert look("SELECT device_id, level, reason FROM desired ORDER BY device_id") == [
        {"device_id": "DEV00000", "level": "leave", "reason": "policy-off"},
        {"device_id": "DEV00002", "level": "allow", "reason": "pinned"},
    ]
    assert [body["device_id"] for body in events(look, "service:pin:expired")] == ["DEV00000"]


@pytest.mark.anyio
async def test_a_pin_ends_with_its_mailbox(writer: Writer, look: Look, anyio_backend: str) -> None:
    """Two days after it was last seen: there is no page to remove it on, and no list that holds anything."""
    writer.pin()
    writer.pin(number=2)
    async with await Database.open(writer.service.urls.app, size=2) as database:
        look("UPDATE mailboxes SET gone_at = now() - interval '47 hours' WHERE primary_smtp = 'user0@example.test'")
        await pins.expire_pins(database, writer.service.tenant_id)
        assert look("SELECT count(*) AS n FROM pins") == [{"n": 2}]
        look("UPDATE mailboxes SET gone_at = now() - interval '49 hours' WHERE gone_at IS NOT NULL")
        await pins.expire_pins(database, writer.service.tenant_id)
    assert look("SELECT device_id FROM pins") == [{"device_id": "DEV00002"}]
    assert look("SELECT level, reason FROM desired WHERE device_id = 'DEV00000'") == [
        {"level": "leave", "reason": "no-mailbox"}
    ]


def test_a_pin_is_about_the_id_in_the_mailbox(writer: Writer, look: Look) -> None:
    """A partnership that was made anew, with another guid, is meant too; the same id in another mailbox is not."""
    again, elsewhere = device(6, device_id="DEV00000", mailbox_guid=device(0)[2]), device(4, device_id="DEV00000")
    writer.speaker.synchronise([again, elsewhere], scope=Extent.QUICK)
    writer.pin("block")
    writer.pin("block", number=6)
    assert look("SELECT mailbox_guid::text, device_id FROM desired") == [
        {"mailbox_guid": device(0)[2], "device_id": "DEV00000"}
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mailbox_guid": None}, "no-mailbox: Exchange shows no mailbox for this device"),
        ({"client_type": "REST"}, "cloud-cache: Outlook's cloud shows all of a person's phones under this one id"),
        ({"device_id": None}, "no-id: The device has no id that a list could hold"),
        ({"device_id": "é" * 501}, "no-id: The device has no id that a list could hold"),
    ],
)
def test_what_no_list_could_hold_cannot_be_pinned(writer: Writer, look: Look, fields: dict[str, Any], why: str) -> None:
    """Orphans, Outlook's cloud, ids that are none: refused with the reason, and nothing is published."""
    writer.speaker.synchronise([device(0, **fields)], scope=Extent.QUICK)
    with pytest.raises(Problem) as refused:
        writer.pin()
    assert (refused.value.status, refused.value.type) == (409, "cannot-pin")
    assert f"{refused.value.fields['why']}: {refused.value.detail}".startswith(why)
    assert look("SELECT count(*) AS n FROM desired") == [{"n": 0}]


@pytest.mark.parametrize("kind", ["remote", "disabled"])
def test_a_device_whose_mailbox_is_elsewhere_cannot_be_pinned(writer: Writer, look: Look, kind: str) -> None:
    """Exchange keeps no list for it here, so nothing is decided about what stayed behind."""
    writer.speaker.synchronise([], [mailbox(0, kind=kind)], scope=Extent.QUICK)
    with pytest.raises(Problem, match="The mailbox moved away or was disabled") as refused:
        writer.pin()
    assert (refused.value.status, refused.value.fields["why"]) == (409, "elsewhere")
    assert look("SELECT count(*) AS n FROM desired") == [{"n": 0}]


def test_a_device_that_is_gone_cannot_be_pinned(writer: Writer, look: Look) -> None:
    """What Exchange has no more has no list either."""
    look("UPDATE devices SET gone_at = now() WHERE device_id = 'DEV00000'")
    with pytest.raises(Problem, match="The device is no longer in Exchange"):
        writer.pin()
