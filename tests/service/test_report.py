"""The side-by-side report: every device once, counted by how the two differ, page by page."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial

import pytest

from gatepost.domain.contract import Facts
from gatepost.service import report
from gatepost.service.database import Database, Scope
from gatepost.service.report import Difference, Line, Wanted
from tests.fixtures.service import in_thread
from tests.service.conftest import Look
from tests.service.speaker import device, mailbox
from tests.service.test_explanation import CLOSED, act, comply, put_in_force
from tests.service.writing import Writer

STATES = ("Allowed", "Quarantined", "Blocked", None)


@pytest.fixture
def compared(writer: Writer, look: Look) -> Writer:
    """Eight unmanaged devices that are to be blocked, but for one that is pinned; one more has no mailbox."""
    rows = [device(number, access_state=STATES[number % 4]) for number in range(8)]
    writer.speaker.synchronise([*rows, device(8, mailbox_guid=None)], [mailbox(number) for number in range(4)])
    writer.say(mode="observe", facts=Facts(settings=CLOSED))
    writer.pin("allow", number=1)
    comply(look)
    put_in_force(writer.service)
    return writer


def every(writer: Writer, wanted: Wanted | None = None) -> list[Line]:
    """Every device that is wanted, as a file would have it."""

    async def work() -> list[Line]:
        async with await Database.open(writer.service.urls.app, size=1) as database:

            def opened() -> AbstractAsyncContextManager[Scope]:
                return database.tenant(writer.service.tenant_id)

            return [line async for line in report.lines(opened, wanted or Wanted())]

    return in_thread(lambda: asyncio.run(work()))


def test_each_device_stands_beside_what_exchange_reports(compared: Writer) -> None:
    """Who would lose, who would gain, what differs otherwise, and what nothing can be decided of."""
    lines = every(compared)
    assert {line.device_id: line.difference.value for line in lines} == {
        "DEV00000": "loses",
        "DEV00001": "gains",
        "DEV00002": "same",
        "DEV00003": "other",
        "DEV00004": "loses",
        "DEV00005": "other",
        "DEV00006": "same",
        "DEV00007": "other",
        "DEV00008": "undecided",
    }
    assert [line.why is None for line in lines] == [False] * 8 + [True]
    counts = act(compared.service, lambda scope: report.counts(scope, None))
    told = Counter[Difference]()
    for each in counts:
        told[each.difference] += each.devices
    assert told == Counter(line.difference for line in lines)


def test_pages_hold_every_device_once(compared: Writer) -> None:
    """However small they are; the last says that it is."""
    lines: list[Line] = []
    wanted = Wanted(compared.organization)
    more = True
    while more:
        found = act(compared.service, partial(report.page, wanted=wanted, limit=2))
        lines += found.lines
        wanted, more = replace(wanted, after=found.after), found.after is not None
    assert [line.guid for line in lines] == [line.guid for line in every(compared)]


def test_a_filter_leaves_what_fits(compared: Writer) -> None:
    """By difference, level, state and reason."""
    fitting = {
        Wanted(difference="gains"): ["DEV00001"],
        Wanted(level="block", state="allowed"): ["DEV00000", "DEV00004"],
        Wanted(reason="pinned"): ["DEV00001"],
        Wanted(level="none"): ["DEV00008"],
        Wanted(state="unknown"): ["DEV00003", "DEV00007"],
        Wanted(difference="nonsense"): [],
    }
    for wanted, ids in fitting.items():
        assert [line.device_id for line in every(compared, wanted)] == ids, wanted
