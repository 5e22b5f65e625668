"""A write that meets a fault: sent once at most, and never called failed where it may have been done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gatepost.domain.devices import AccessChange, AccessLists
from gatepost.errors import (
    CmdletFailed,
    ExchangeBusy,
    ExchangeError,
    WriteRefused,
    WriteUncertain,
)
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from gatepost.settings import LabSettings
from tests.exchange.conftest import settings_of
from tests.exchange.site import Permits, Site, phone

WITHIN = 0.7
SILENCE = (Fault.HANG, Fault.SILENT, Fault.DRIP)
AT_ONCE = (
    Fault.HANG,
    Fault.REDIRECTED,
    Fault.SIGNED_OUT,
    Fault.LOST_AFFINITY,
    Fault.HTML_500,
    Fault.HTML_200,
    Fault.BUSY_503,
    Fault.MALFORMED_SOAP,
    Fault.DOCTYPE_SOAP,
    Fault.TRUNCATED_FRAGMENT,
    Fault.BREAK_OFF,
    Fault.RESET,
    Fault.DRIP,
    Fault.SHELL_LOST,
    Fault.THROTTLED,
    Fault.THROTTLED_OUTPUT,
    Fault.MICRO_DELAY,
    Fault.SILENT,
    Fault.RUNSPACE_BROKEN,
    Fault.HALF_WAY,
    Fault.PROMPT,
)
LATER = (Fault.HANG, Fault.HTML_500, Fault.BUSY_503, Fault.RESET, Fault.SIGNED_OUT, Fault.LOST_AFFINITY, Fault.SILENT)
"""Those that may strike when the write's output is read, or when it is read back."""
STRIKES = [*((fault, 0) for fault in AT_ONCE), *((fault, 1) for fault in LATER)]


@dataclass
class Trap(Permits):
    """A permit that lets a fault strike at what follows it: the first time it is asked, once."""

    lab: Lab | None = None
    fault: Fault = Fault.HANG
    after: int = 0

    def __call__(self) -> None:
        """Set the trap, then permit."""
        super().__call__()
        if self.asked == 1 and self.lab is not None:
            self.lab.faults.plan(self.fault, times=1, after=self.after)


@pytest.fixture(scope="module")
def server() -> Iterator[Lab]:
    """One lab for all; each test takes a mailbox of its own, and leaves no fault behind."""
    with Lab(LabSettings(devices=200)) as lab:
        yield lab


@pytest.fixture
def here(server: Lab, given: set[str]) -> Iterator[Callable[..., Site]]:
    """Open an organization of it, with these settings."""
    opened: list[Organization] = []

    def make(**settings: Any) -> Site:
        opened.append(Organization.connect(settings_of(server, **settings), server.password))
        return Site(server, opened[-1], given)

    yield make
    server.faults.clear()
    for organization in opened:
        organization.close()


@pytest.fixture(scope="module")
def given() -> set[str]:
    """The guids of mailboxes that a test had."""
    return set()


def attempt(write: Callable[[], AccessLists]) -> AccessLists | ExchangeError:
    """What comes of a write: the lists as read back, or the error."""
    try:
        return write()
    except ExchangeError as error:
        return error


@pytest.mark.parametrize(("fault", "after"), STRIKES)
def test_a_faulted_write_is_sent_once_and_never_called_undone_where_it_was_done(
    here: Callable[..., Site], fault: Fault, after: int
) -> None:
    """Done and read back, or refused and not done, or uncertain: and the cmdlet ran at most once."""
    site = here(write_timeout=WITHIN if fault in SILENCE else 20.0)
    box, write = site.mailbox(), site.organization.set_access
    with site.calls() as calls:
        trap = Trap(lab=site.lab, fault=fault, after=after)
        found = attempt(lambda: write(box.guid, box.dn, AccessChange(block=("X",)), trap))
    if isinstance(found, AccessLists):
        assert found.blocked == site.now(box).blocked == ("X",)
    elif not isinstance(found, WriteUncertain):
        assert site.now(box).blocked == ()
    assert [call.cmdlet for call in calls].count("Set-CASMailbox") <= 1


@pytest.mark.parametrize(
    "fault", [Fault.BREAK_OFF, Fault.RESET, Fault.SHELL_LOST, Fault.HALF_WAY, Fault.THROTTLED_OUTPUT]
)
def test_a_write_whose_end_is_lost_is_uncertain(here: Callable[..., Site], fault: Fault) -> None:
    """The words say what was sent and why nobody can tell, and that it is not repeated."""
    site = here()
    box = site.mailbox()
    with pytest.raises(WriteUncertain) as caught:
        site.organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Trap(lab=site.lab, fault=fault))
    assert caught.value.cmdlet == "Set-CASMailbox"
    assert isinstance(caught.value.__cause__, ExchangeError)
    assert "Nobody can tell whether Set-CASMailbox was carried out on localhost: " in str(caught.value)
    assert "It is not repeated; the next reading shows what became of it." in str(caught.value)


def test_a_wipe_whose_end_is_lost_is_uncertain(here: Callable[..., Site]) -> None:
    """The order was carried out though its answer was lost; it is asked for once, and the next reading shows it."""
    site = here()
    device = phone(site.mailbox())
    with site.calls() as calls:
        with pytest.raises(WriteUncertain, match="whether Clear-MobileDevice was carried out"):
            site.organization.wipe(device.guid, device.dn, Trap(lab=site.lab, fault=Fault.BREAK_OFF))
        assert site.organization.wipe_state(device.guid, device.dn).pending
        assert site.organization.wipe(device.guid, device.dn, Permits(refuse=True)).pending
    assert [call.cmdlet for call in calls].count("Clear-MobileDevice") == 1


def test_a_write_that_takes_too_long_is_cut_off(here: Callable[..., Site]) -> None:
    """The time-out of a write bounds it as a whole, so that its lease does not end under it."""
    site = here(write_timeout=WITHIN, timeout=60.0)
    box = site.mailbox()
    with pytest.raises(WriteUncertain, match="took longer than 1 seconds"):
        site.organization.set_access(
            box.guid, box.dn, AccessChange(block=("X",)), Trap(lab=site.lab, fault=Fault.SILENT)
        )


def test_a_write_that_cannot_be_read_back_is_uncertain(here: Callable[..., Site]) -> None:
    """It was done, but what stands there now nobody has seen."""
    site = here()
    box = site.mailbox()
    trap = Trap(lab=site.lab, fault=Fault.HALF_WAY, after=1)
    with pytest.raises(WriteUncertain, match="it cannot be read back"):
        site.organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), trap)
    assert site.now(box).blocked == ("X",)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault.THROTTLED, ExchangeBusy, "refuses starting a command"),
        (Fault.PROMPT, CmdletFailed, "waits for an answer"),
    ],
)
def test_a_refusal_is_certain(here: Callable[..., Site], fault: Fault, error: type[ExchangeError], words: str) -> None:
    """Exchange refused the command itself, or asked a question that nobody answers: nothing was done."""
    site = here()
    box = site.mailbox()
    with pytest.raises(error, match=words):
        site.organization.set_access(box.guid, box.dn, AccessChange(block=("X",)), Trap(lab=site.lab, fault=fault))
    assert site.now(box).blocked == ()


def test_a_permit_that_ends_under_a_renewed_sign_in_stops_the_write(here: Callable[..., Site], server: Lab) -> None:
    """The permit is asked again before the bytes leave again, and its refusal means that nothing was done."""

    class Once(Trap):
        """Permits once, and no more."""

        def __call__(self) -> None:
            self.refuse = self.asked > 0
            super().__call__()

    site = here(auth="negotiate", url=server.http_url)
    box = site.mailbox()
    with pytest.raises(WriteRefused, match="The lease is over"):
        site.organization.set_access(
            box.guid, box.dn, AccessChange(block=("X",)), Once(lab=site.lab, fault=Fault.SIGNED_OUT)
        )
    assert site.now(box).blocked == ()
