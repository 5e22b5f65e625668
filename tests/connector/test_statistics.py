"""Statistics: read for the devices that need them, told once, kept through a full sync, and nobody waits for one."""

import json
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from gatepost.connector.agent import Agent, Scope
from gatepost.connector.listing import Listing
from gatepost.connector.rows import Mender, RowText, statistics_text, with_statistics
from gatepost.connector.statistics import LOST_IN_A_ROW, Reader, Readings, Rounds
from gatepost.connector.stopping import Stop
from gatepost.connector.store import FILE, Store
from gatepost.connector.taking import Unwatched
from gatepost.domain.contract import DEVICE_COLUMNS, row_text
from gatepost.domain.devices import Capabilities, Statistics
from gatepost.errors import CmdletFailed, ExchangeError, ExchangeUnreachable
from gatepost.lab.rows import Wipe
from gatepost.settings import SyncSettings
from tests.connector.test_inventory import device, guid
from tests.fixtures.site import MakeSite, Site

EVERY, QUICK_EVERY = 86_400.0, 900.0
Got = Statistics | ExchangeError


def read(site: Site) -> dict[str, int]:
    """One round of statistics in this process."""
    with Agent(site.settings, patience=10) as agent:
        return dict(agent.statistics())


def asked(site: Site, call: int) -> int:
    """How many devices Exchange was asked for, from so many cmdlets on."""
    return sum(each.cmdlet == "Get-MobileDeviceStatistics" for each in site.lab.calls[call:])


def test_the_service_shows_what_exchange_gives(site: Site) -> None:
    """Every device that has statistics, once; those of departed mailboxes are remembered and not asked again."""
    site.synchronise()
    assert len(site.unlike_statistics()) > 70
    found = read(site)
    assert (found["read"] + found["failed"], found["told"]) == (80, found["read"])
    assert 1 <= found["failed"] <= 5
    assert site.unlike_statistics() == []
    before = len(site.lab.calls)
    assert read(site) == {"read": 0, "failed": 0, "told": 0}
    assert asked(site, before) == 0
    assert site.differences() == []


def test_a_full_sync_keeps_what_was_read(site: Site) -> None:
    """Statistics are not asked for anew, nor lost, nor told as a change."""
    site.synchronise()
    read(site)
    history = site.query("SELECT * FROM device_history WHERE tenant_id = %s")
    before = len(site.lab.calls)
    site.synchronise()
    assert asked(site, before) == 0
    assert site.unlike_statistics() == []
    assert site.query("SELECT * FROM device_history WHERE tenant_id = %s") == history


def test_a_device_that_changed_is_read_again_and_a_wipe_until_it_is_acknowledged(site: Site) -> None:
    """The others are not."""
    site.synchronise()
    read(site)
    organization = site.lab.organization
    changed, wiped = [each for each in organization.devices if each.state == "Allowed"][:2]
    organization.change_device(changed, state="Blocked", reason="Individual")
    now = organization.clock()
    organization.change_device(wiped, wipe=Wipe(requested=now, requestor="anna"))
    organization.change_device(wiped, state="Blocked", reason="Individual")
    site.synchronise(Scope.QUICK)
    assert read(site)["read"] == 2
    assert site.devices()[wiped.guid]["wipe_requested_at"] is not None
    assert read(site) == {"read": 1, "failed": 0, "told": 0}, "the wipe is under way"
    organization.change_device(wiped, wipe=Wipe(requested=now, sent=now, acknowledged=now, requestor="anna"))
    assert read(site) == {"read": 1, "failed": 0, "told": 1}
    assert site.devices()[wiped.guid]["wipe_acknowledged_at"] is not None
    assert read(site)["read"] == 0


def test_zero_asks_for_none(make_site: MakeSite) -> None:
    """``statistics_every = 0`` costs Exchange nothing."""
    site = make_site(devices=20, sync=SyncSettings(statistics_every=0)).enrol()
    site.synchronise()
    before = len(site.lab.calls)
    assert read(site) == {"read": 0, "failed": 0, "told": 0}
    assert asked(site, before) == 0


# -- who is next, on a clock that a test moves -----------------------------------------------------------------------


class Answers:
    """Statistics as a test writes them; ``asked`` has who was asked for."""

    capabilities = Capabilities("server", None, None, False, "Get-MobileDevice", "Get-MobileDeviceStatistics")

    def __init__(self, answer: Callable[[str], Got]) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def statistics_of(self, guids: Iterable[str]) -> Generator[tuple[str, Got], None, None]:
        """One after the other."""
        for each in guids:
            self.asked.append(each)
            yield each, self._answer(each)


def fine(guid: str) -> Got:
    """Statistics of a device that never synchronised."""
    return Statistics(guid, *(None,) * (len(Statistics._fields) - 1))


def broken(_guid: str) -> Got:
    """A device whose mailbox keeps none."""
    return CmdletFailed("Get-MobileDeviceStatistics", "The mailbox is not here.")


class Desk:
    """A store with devices of a sealed listing, and a reader on a clock of its own."""

    def __init__(self, store: Store, count: int) -> None:
        self.now = time.time()
        self.store = store
        self.memory = Readings(store)
        self.listing = Listing(store)
        self.reader = Reader(self.memory, Stop(), Unwatched(), EVERY, QUICK_EVERY, lambda: self.now)
        self.seal(count)

    def seal(self, count: int, model: str | None = None) -> None:
        """A whole listing of so many devices is sealed; the first may have another model."""
        mender = Mender()
        rows = [mender.device(device(n, model=model if n == 0 else None), None) for n in range(count)]
        self.listing.begin()
        self.listing.finish("mailboxes")
        self.listing.add_devices(self.memory.complete(rows))
        self.listing.finish("devices")
        self.listing.seal("2026-11-22T12:00:00Z")

    def round(self, answer: Callable[[str], Got] = fine, enough: Callable[[], bool] = lambda: False) -> list[str]:
        """Who was asked for."""
        source = Answers(answer)
        self.rounds = self.reader.run(source, enough)
        return source.asked


def test_those_due_the_longest_come_first_and_all_come_round(store: Store) -> None:
    """A round that ends early goes on where it ended; new devices and changed ones are due at once."""
    desk = Desk(store, 6)
    some: list[bool] = [False, False, False, True]
    first = desk.round(enough=lambda: some.pop(0))
    assert len(first) == 3
    assert desk.rounds == Rounds(read=3)
    assert set(desk.round()) == {guid(n) for n in range(6)} - set(first)
    assert desk.round() == []
    desk.seal(7, model="another")
    assert set(desk.round()) == {guid(0), guid(6)}
    desk.now += EVERY + 1
    assert len(desk.round()) == 7
    desk.seal(2)
    desk.now += EVERY + 1
    assert len(desk.round()) == 2, "those that are gone are forgotten"


def test_one_without_statistics_is_put_off_longer_each_time(store: Store) -> None:
    """It stops no other, and a week is the longest."""
    desk = Desk(store, 2)
    assert len(desk.round(lambda each: broken(each) if each == guid(0) else fine(each))) == 2
    pauses = []
    for _ in range(5):
        begun = desk.now
        while guid(0) not in desk.round(lambda each: broken(each) if each == guid(0) else fine(each)):
            desk.now += EVERY / 2
        pauses.append(round((desk.now - begun) / EVERY))
    assert pauses == [1, 2, 4, 7, 7]


def test_exchange_going_away_ends_a_round_and_who_met_it_does_not_come_first_again(store: Store) -> None:
    """A device at which the server hangs each time does not keep the others from being read."""
    desk = Desk(store, 10)
    away = ExchangeUnreachable("It took longer than 60 seconds.", server="ex1")
    asked = desk.round(lambda _: away)
    assert len(asked) == LOST_IN_A_ROW
    others = desk.round(lambda each: away if each in asked else fine(each))
    assert (set(others) & set(asked), len(others)) == (set(), 7)
    desk.now += 7_201
    assert set(desk.round()) == set(asked)


def test_a_clock_that_was_years_ahead_does_not_silence_it(store: Store) -> None:
    """A time past all reason counts as due."""
    desk = Desk(store, 2)
    desk.now += 10 * 365 * EVERY
    desk.round()
    desk.now -= 10 * 365 * EVERY
    assert len(desk.round()) == 2


def test_what_was_read_and_not_told_is_told_later(tmp_path: Path) -> None:
    """It is in the store, so a process that dies between reading and telling asks Exchange nothing again."""
    with Store(tmp_path / FILE, "o", "c", 1, "h") as store:
        Desk(store, 3).round()
    with Store(tmp_path / FILE, "o", "c", 1, "h") as store:
        untold = Readings(store).untold(10)
        assert [each.guid for each in untold] == [guid(n) for n in range(3)]
        Readings(store).told([guid(0)])
        assert len(Readings(store).untold(10)) == 2


def test_a_row_with_statistics_is_the_contracts_text(store: Store) -> None:
    """Byte for byte what the contract defines, as hashes are made of it."""
    row = Mender().device(device(1, friendly_name="Anna's ☎"), guid(2))
    statistics = Statistics(guid(1), *(None,) * 9, "§ requestor \x00", 12)
    told = with_statistics(row, statistics_text(statistics))
    values = dict(zip(DEVICE_COLUMNS, _parsed(told), strict=True))
    assert (values["last_wipe_requestor"], values["folders_synced"]) == ("§ requestor \ufffd", 12)
    assert row_text(_parsed(told)).decode() == told.text


def _parsed(row: RowText) -> list[object]:
    parsed: list[object] = json.loads(row.text)
    return parsed


def test_a_round_ends_when_its_share_of_the_time_is_over(store: Store) -> None:
    """With no time between two quick syncs there is none for statistics."""
    desk = Desk(store, 3)
    desk.reader = Reader(desk.memory, Stop(), Unwatched(), EVERY, 0.0, lambda: desk.now)
    assert desk.round() == []
    assert len(desk.memory.due(desk.now, EVERY)) == 3
