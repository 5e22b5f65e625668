"""What is settled before a policy begins: devices noted as known, and devices of a file pinned in bulk."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gatepost.errors import Problem
from gatepost.service import pins
from gatepost.service.access import holds
from gatepost.service.database import Database
from gatepost.service.onboarding import grandfathering, preapproving
from gatepost.service.onboarding.preapproving import Asked, Pinned
from tests.fixtures.service import in_thread
from tests.service.conftest import Look
from tests.service.onboarding.conftest import ANNA, Site

SOON = datetime.now(UTC) + timedelta(days=30)
ASKED = Asked("allow", "board members", SOON)


def pin(site: Site, text: str, asked: Asked = ASKED) -> Pinned:
    """Pin what a file names."""
    return site.act(lambda scope: preapproving.pin(scope, site.organization, text, asked, ANNA))


def test_devices_that_have_access_by_the_engine_are_noted_as_known(site: Site, look: Look) -> None:
    """By lists and default as they stand, not by what Exchange reported; noted anew, the others are forgotten."""
    with pytest.raises(Problem) as unread:
        site.act(lambda scope: grandfathering.note(scope, site.organization, ANNA))
    assert unread.value.type == "not-read"
    site.lists({"allowed_ids": ["DEV00000"]})
    known = site.act(lambda scope: grandfathering.note(scope, site.organization, ANNA))
    assert (known.known, known.devices) == (1, 8)
    assert look("SELECT device_id FROM devices WHERE known") == [{"device_id": "DEV00000"}]
    site.lists({"allowed_ids": ["DEV00001", "DEV00000"], "blocked_ids": ["DEV00000"]})
    site.act(lambda scope: grandfathering.note(scope, site.organization, ANNA))
    assert look("SELECT device_id FROM devices WHERE known") == [{"device_id": "DEV00001"}]
    events = look("SELECT body FROM events WHERE name = 'console:devices:known' ORDER BY at")
    assert [event["body"]["after"] for event in events] == [{"known": 1}, {"known": 1}]


def test_devices_of_a_file_are_pinned_also_those_not_seen_yet(site: Site, look: Look) -> None:
    """In the device's own spelling where it is there; lines that name nobody are told and change nothing."""
    site.lists()
    text = (
        "email,device id\n"
        "user0@example.test,dev00000\n"
        "user1@example.test,NEWPHONE\n"
        "nobody@example.test,X\n"
        "user1@example.test,NEWPHONE\n"
    )
    done = pin(site, text)
    assert [key[1] for key in (*done.there, *done.awaited)] == ["DEV00000", "NEWPHONE"]
    assert [(fault.line, fault.why.value) for fault in done.faults] == [(4, "mailbox-unknown"), (5, "twice")]
    rows = look("SELECT device_id, level, reason FROM desired ORDER BY device_id")
    assert [(row["device_id"], row["level"], row["reason"]) for row in rows] == [
        ("DEV00000", "allow", "pinned"),
        ("NEWPHONE", "allow", "pinned"),
    ]
    assert look("SELECT count(*) FROM events WHERE name = 'console:pin:set'") == [{"count": 2}]


def test_a_file_of_many_pins_goes_through_the_guard_unlike_one_pin(site: Site, look: Look) -> None:
    """Nobody looked at each of them: what is over the budget is pinned, and held for somebody else than who did it."""
    site.lists()
    look("INSERT INTO guard_settings (give) VALUES (2)")
    pin(site, "email,device id\n" + "".join(f"user{box}@example.test,DEV0000{2 * box}\n" for box in range(4)))
    assert look("SELECT count(*) FROM pins") == [{"count": 4}]
    assert look("SELECT count(*) FROM desired WHERE level = 'allow'") == [{"count": 2}]
    [hold] = site.act(holds.listing)
    assert (hold.people, hold.verb, hold.cause.kind, hold.cause.by_id) == (2, "give", "pins", ANNA.administrator_id)
    [waits, _] = look("SELECT device_id FROM hold_items ORDER BY device_id")
    site.writer.pin("allow", number=int(waits["device_id"][-1]))
    assert look("SELECT count(*) FROM desired WHERE level = 'allow'") == [{"count": 3}]


def test_where_a_pin_of_an_id_that_never_came_ends_the_entry_is_taken_off(site: Site, look: Look) -> None:
    """As any other pin's."""
    site.lists()
    pin(site, "mailbox;device id\nuser0@example.test;NEWPHONE\n")
    look("UPDATE pins SET until = now() - interval '1 second'")

    async def expire() -> None:
        service = site.writer.service
        async with await Database.open(service.urls.app, size=1) as database:
            await pins.expire_pins(database, service.tenant_id)

    in_thread(lambda: asyncio.run(expire()))
    assert look("SELECT level FROM desired WHERE device_id = 'NEWPHONE'") == [{"level": "leave"}]


def test_a_pin_of_many_needs_what_a_pin_of_one_needs(site: Site) -> None:
    """A level, a reason and an end that can be; and no more than can be looked at."""
    site.lists()
    for asked, place in (
        (Asked("quarantine", "x", None), "level"),
        (Asked("allow", " ", None), "reason"),
        (Asked("allow", "x", datetime(2020, 1, 1, tzinfo=UTC)), "until"),
    ):
        with pytest.raises(Problem) as refused:
            pin(site, "mailbox,device id\na,b", asked)
        assert refused.value.fields["place"] == place
    with pytest.raises(Problem, match="At most 5,000 devices can be pinned at once"):
        pin(site, "mailbox,device id\n" + "".join(f"a,{number}\n" for number in range(5_001)))
