"""What goes wrong in a session or in one object: survived, or named; closed, and the rest kept."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gatepost.domain.devices import AccessChange, Device
from gatepost.errors import (
    CmdletFailed,
    ExchangeBusy,
    ExchangeUnreachable,
    GatepostError,
    NotExchange,
    SessionLost,
    SignInRefused,
    UnreadableObject,
    UnsafeXml,
    UntrustedCertificate,
    WireError,
)
from gatepost.exchange.organization import Organization
from gatepost.lab.dialects import DIALECTS, Fault
from gatepost.lab.server import Lab
from gatepost.settings import LabSettings
from tests.exchange.conftest import settings_of
from tests.exchange.site import Permits, Site
from tests.fixtures.lab import MakeLab

BOUND = 8.0
"""Seconds that nothing here may take longer than; a request may take one."""


def list_all(lab: Lab) -> None:
    """Take the devices of a lab once."""
    with Organization.connect(settings_of(lab), lab.password) as organization:
        list(organization.list_devices())


@pytest.mark.parametrize(
    ("fault", "kind", "code", "words"),
    [
        (Fault.HTML_500, ExchangeUnreachable, 5, "error page"),
        (Fault.HTML_200, NotExchange, 5, "which is not remote PowerShell"),
        (Fault.BUSY_503, ExchangeBusy, 5, "is not ready"),
        (Fault.MALFORMED_SOAP, WireError, 1, "malformed XML"),
        (Fault.DOCTYPE_SOAP, UnsafeXml, 1, "contains a DOCTYPE, which no Exchange server sends"),
        (Fault.TRUNCATED_FRAGMENT, WireError, 1, "fragment"),
        (Fault.BREAK_OFF, ExchangeUnreachable, 5, "cannot be reached"),
        (Fault.UNKNOWN_CA, UntrustedCertificate, 5, "is not trusted"),
        (Fault.ACCESS_DENIED, SignInRefused, 6, "may not use remote PowerShell"),
        (Fault.SHELL_LOST, SessionLost, 5, "opens a new session"),
    ],
)
def test_a_fault_is_named_and_leaves_no_shell(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, fault: Fault, kind: type[GatepostError], code: int, words: str
) -> None:
    """Each fault is one clear error with its exit code; nothing of the listing is used and no shell stays open."""
    monkeypatch.setattr("gatepost.lab.endpoint.RETRY_AFTER", "0")
    lab = make_lab(faults=frozenset({fault}))
    with pytest.raises(kind, match=words) as caught:
        list_all(lab)
    assert caught.value.exit_code == code
    assert len(lab.shells) == 0
    assert lab.password not in str(caught.value)


@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.DOCTYPE_CLIXML, "DOCTYPE"),
        (Fault.MALFORMED_OBJECT, "malformed|not well-formed"),
        (Fault.HUGE_PROPERTY, "longer than|too long|bytes"),
        (Fault.DEEP_OBJECT, "nested|deep"),
    ],
)
def test_one_bad_object_costs_one_device(make_lab: MakeLab, fault: Fault, words: str, projection: bool) -> None:
    """A device that cannot be read comes as a value that says why; all the others are kept."""
    lab = make_lab(faults=frozenset({fault}), devices=150, projection=projection)
    with Organization.connect(settings_of(lab), lab.password) as organization:
        found = list(organization.list_devices())
    bad = [entry for entry in found if isinstance(entry, UnreadableObject)]
    assert len(bad) == 1
    assert len([entry for entry in found if isinstance(entry, Device)]) == 149
    with pytest.raises(UnreadableObject, match=words):
        raise bad[0]


def test_a_server_that_offers_ntlm_only_is_used(make_lab: MakeLab) -> None:
    """Where Negotiate is not offered by that name, NTLM is spoken."""
    lab = make_lab(faults=frozenset({Fault.NTLM_ONLY}))
    with Organization.connect(settings_of(lab, auth="negotiate"), lab.password) as organization:
        assert len(list(organization.list_devices())) == 80


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_wrong_password_is_refused_by_every_way_in(make_lab: MakeLab, auth: str, scheme: str) -> None:
    """The refusal names the user and the method, never the password, and says wrong permission to the shell."""
    if (auth, scheme) == ("basic", "http"):
        return
    lab = make_lab()
    url = lab.https_url if scheme == "https" else lab.http_url
    with pytest.raises(SignInRefused, match=rf"does not accept the sign-in of LAB\\gatepost by {auth}") as caught:
        Organization.connect(settings_of(lab, url=url, auth=auth), "wr0ng-pa55")
    assert caught.value.exit_code == 6
    assert "wr0ng" not in str(caught.value)


def test_too_many_shells_is_said_in_words(make_lab: MakeLab) -> None:
    """An account whose budget is used up gets told so, with the remedy."""
    lab = make_lab(max_shells=1)
    with Organization.connect(settings_of(lab), lab.password), pytest.raises(ExchangeBusy) as caught:
        Organization.connect(settings_of(lab), lab.password)
    assert "Close other sessions of this account" in caught.value.remedy


@dataclass(frozen=True)
class Met:
    """What comes of a fault that strikes once: None where the work succeeds, else the words of its error.

    ``read`` and ``listing`` meet it at their beginning, ``middle`` after a part of the listing was given out, and
    ``write`` with the bytes that tell Exchange what to do.
    """

    read: str | None = None
    listing: str | None = None
    middle: str | None = None
    write: str | None = "WriteUncertain: Nobody can tell whether Set-CASMailbox was carried out"


GONE = "SessionLost: localhost refuses reading the output: .* was not found"
MET: dict[Fault, Met] = {
    Fault.HANG: Met(middle="ExchangeUnreachable: .* did not answer in time"),
    Fault.REDIRECTED: Met(middle="SessionLost: localhost redirects to https://elsewhere.example/powershell"),
    Fault.SIGNED_OUT: Met(middle="SessionLost: localhost does not accept the sign-in"),
    Fault.LOST_AFFINITY: Met(middle=GONE),
    Fault.HTML_500: Met(middle=r"ExchangeUnreachable: .* error page \(500\)"),
    Fault.HTML_200: Met(middle="SessionLost: .* 200 and text/html, which is not remote PowerShell"),
    Fault.BUSY_503: Met(middle=r"ExchangeBusy: .* is not ready \(503\)"),
    Fault.MALFORMED_SOAP: Met(middle="WireError: The answer is malformed XML"),
    Fault.DOCTYPE_SOAP: Met(*["UnsafeXml: The answer contains a DOCTYPE"] * 3),
    Fault.TRUNCATED_FRAGMENT: Met(listing="WireError: .*[Ff]ragment", middle="WireError: .*[Ff]ragment"),
    Fault.BREAK_OFF: Met(middle="ExchangeUnreachable: localhost cannot be reached"),
    Fault.RESET: Met(middle="ExchangeUnreachable: localhost cannot be reached"),
    Fault.DRIP: Met(middle="ExchangeUnreachable: .* did not answer in time"),
    Fault.SHELL_LOST: Met(middle=GONE),
    Fault.THROTTLED: Met(write="ExchangeBusy: .* at least 300 milliseconds"),
    Fault.THROTTLED_OUTPUT: Met(middle="ExchangeBusy: .* reading the output: .* at least 300 milliseconds"),
    Fault.MICRO_DELAY: Met(write=None),
    Fault.SILENT: Met(),
    Fault.RUNSPACE_BROKEN: Met(),
    Fault.HALF_WAY: Met(
        read="CmdletFailed: Get-CASMailbox failed .* LDAP server is unavailable",
        listing="CmdletFailed: Get-MobileDevice failed .* LDAP server is unavailable",
    ),
    Fault.PROMPT: Met(
        read="CmdletFailed: Get-CASMailbox failed .* waits for an answer",
        listing="CmdletFailed: Get-MobileDevice failed .* waits for an answer",
        write="CmdletFailed: Set-CASMailbox failed .* waits for an answer",
    ),
}
"""What comes of each fault in the middle of a session."""
PIPELINES = {Fault.THROTTLED, Fault.MICRO_DELAY, Fault.SILENT, Fault.RUNSPACE_BROKEN, Fault.HALF_WAY, Fault.PROMPT}
"""Faults that strike where a pipeline starts or as a whole, so that no later chance comes in a listing."""


@pytest.fixture(scope="module")
def spoilt() -> Iterator[Lab]:
    """One lab whose faults come and go, with short pauses."""
    with pytest.MonkeyPatch.context() as patch, Lab(LabSettings(devices=150)) as running:
        patch.setattr("gatepost.lab.operations.THROTTLE", 300)
        patch.setattr("gatepost.lab.endpoint.RETRY_AFTER", "0")
        patch.setattr("gatepost.exchange.sessions._SILENCE", 1.0)
        yield running


@contextmanager
def meeting(lab: Lab, fault: Fault, *, struck: bool = True, **changes: Any) -> Iterator[Organization]:
    """An organization that meets a fault: nothing takes long, it works again afterwards, and no shell is left."""
    lab.faults.clear()
    lab.faults.struck.clear()
    given = {"timeout": 1.0, "runspaces": 2, "envelope": 40_000, "write_timeout": 3.0, **changes}
    begun = time.monotonic()
    with Organization.connect(settings_of(lab, **given), lab.password) as organization:
        yield organization
        assert (lab.faults.struck[fault] > 0) is struck
        lab.faults.clear()
        assert len([entry for entry in organization.list_devices() if isinstance(entry, Device)]) == 150
    assert len(lab.shells) == 0
    assert time.monotonic() - begun < BOUND


def outcome(work: Callable[[], object]) -> str | None:
    """The error's kind and words, or None where there was none."""
    try:
        work()
    except GatepostError as error:
        return f"{type(error).__name__}: {error}"
    return None


def assert_met(found: str | None, expected: str | None) -> None:
    """What came of a fault is what was said."""
    assert (found is None) == (expected is None), found
    assert found is None or re.match(expected or "", found, re.DOTALL), found


@pytest.mark.parametrize("fault", MET)
def test_a_read_meets_a_fault(spoilt: Lab, fault: Fault) -> None:
    """A fault that strikes once is survived by repeating, but for what repeating cannot mend."""
    with meeting(spoilt, fault) as organization:
        box = Site(spoilt, organization).mailbox()
        spoilt.faults.plan(fault, times=1)
        found = outcome(lambda: organization.read_access(box.guid, box.dn))
    assert_met(found, MET[fault].read)


@pytest.mark.parametrize("fault", MET)
def test_a_listing_meets_a_fault_at_its_beginning(spoilt: Lab, fault: Fault) -> None:
    """While nothing was given out it is repeated, and whole."""
    with meeting(spoilt, fault) as organization:
        spoilt.faults.plan(fault, times=1)
        found = outcome(lambda: check_whole(organization))
    assert_met(found, MET[fault].listing)


@pytest.mark.parametrize("fault", [fault for fault in MET if fault not in PIPELINES])
def test_a_listing_meets_a_fault_in_its_middle(spoilt: Lab, fault: Fault) -> None:
    """It ends with an error, so that nobody takes the part for the whole."""
    with meeting(spoilt, fault) as organization:
        spoilt.faults.plan(fault, times=1, after=2)
        found = outcome(lambda: check_whole(organization))
    assert_met(found, MET[fault].middle)


def check_whole(organization: Organization) -> None:
    """List all devices; a listing that ends well is whole."""
    found = list(organization.list_devices())
    assert len({entry.guid for entry in found if isinstance(entry, Device)}) == len(found) == 150


@pytest.mark.parametrize("fault", MET)
def test_a_write_meets_a_fault(spoilt: Lab, fault: Fault) -> None:
    """It is sent once, whatever becomes of it; asked for again after a look, it is there and was done once."""
    with meeting(spoilt, fault) as organization:
        here = Site(spoilt, organization)
        box, change = here.mailbox(), AccessChange(allow=(f"ID-{fault}",))
        before = writes(spoilt)

        def strike() -> None:
            spoilt.faults.plan(fault, times=1)

        found = outcome(lambda: organization.set_access(box.guid, box.dn, change, strike))
        assert writes(spoilt) - before <= 1
        spoilt.faults.clear()
        # The account is given the time it was asked to wait.
        assert organization.set_access(box.guid, box.dn, change, Permits()).allowed is not None
        assert here.now(box).allowed.count(f"ID-{fault}") == 1
        assert writes(spoilt) - before == 1
    assert_met(found, MET[fault].write)


def writes(lab: Lab) -> int:
    """How many writes were carried out."""
    return [call.cmdlet for call in lab.calls].count("Set-CASMailbox")


OPENING: dict[Fault, str | None] = {
    Fault.REFUSED: None,
    Fault.HANG: None,
    Fault.SIGNED_OUT: "SignInRefused: .* does not accept the sign-in",
    Fault.HTML_500: None,
    Fault.BUSY_503: None,
    Fault.RESET: None,
    Fault.REDIRECTED: "NotExchange: localhost redirects to https://elsewhere.example/powershell",
    Fault.HTML_200: "NotExchange: .* which is not remote PowerShell",
    Fault.ACCESS_DENIED: "SignInRefused: .* may not use remote PowerShell",
    Fault.TOO_MANY_SHELLS: "ExchangeBusy: .* Close other sessions of this account",
}
"""What comes of a fault that strikes while a session is opened."""


@pytest.mark.parametrize("fault", OPENING)
def test_a_session_meets_a_fault_while_it_is_opened(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Opening is repeated where that can help; nothing of it stays behind."""
    monkeypatch.setattr("gatepost.lab.endpoint.RETRY_AFTER", "0")
    lab = make_lab()
    lab.faults.plan(fault, times=1)
    begun = time.monotonic()
    found = outcome(lambda: Organization.connect(settings_of(lab, timeout=1.0), lab.password).close())
    assert time.monotonic() - begun < BOUND
    assert lab.faults.struck[fault] == 1
    assert_met(found, OPENING[fault])
    assert len(lab.shells) == 0


@pytest.mark.parametrize(
    ("fault", "requests"),
    [(Fault.REFUSED, 4), (Fault.HANG, 9), (Fault.DRIP, 12), (Fault.RESET, 12), (Fault.REDIRECTED, 1)],
)
def test_a_fault_that_stays_ends_in_words_and_in_time(make_lab: MakeLab, fault: Fault, requests: int) -> None:
    """Nothing hangs, nothing is tried for ever: four attempts at most, and pauses of 3.5 s at most.

    A server that hangs is left after three; each asks for a shell and deletes it, and the end tries that once more.
    """
    lab = make_lab(faults=frozenset({fault}))
    begun = time.monotonic()
    found = outcome(lambda: Organization.connect(settings_of(lab, timeout=0.25), lab.password))
    assert time.monotonic() - begun < BOUND
    assert re.match(r"(ExchangeUnreachable|NotExchange): .*localhost", found or "")
    assert 1 <= lab.faults.struck[fault] <= requests
    lab.faults.clear()


@pytest.mark.parametrize("dialect", ["dutch", "german", "clock-ahead", "clock-behind"])
def test_neither_language_nor_clock_of_the_server_matters(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    """Pushing back, lost shells and cmdlets that fail are known by their numbers, and no time is compared."""
    monkeypatch.setattr("gatepost.lab.operations.THROTTLE", 300)
    lab = make_lab(dialect=DIALECTS[dialect])
    with Organization.connect(settings_of(lab), lab.password) as organization:
        box = Site(lab, organization).mailbox()
        for fault in (Fault.SHELL_LOST, Fault.THROTTLED):
            lab.faults.plan(fault, times=1)
            begun = time.monotonic()
            assert organization.read_access(box.guid, box.dn).allowed is not None
        assert time.monotonic() - begun >= 0.3
        with pytest.raises(CmdletFailed) as caught:
            organization.read_access("00000000-0000-0000-0000-00000000dead", box.dn)
        assert caught.value.not_found
        change = AccessChange(block=("X",))
        assert organization.set_access(box.guid, box.dn, change, Permits()).blocked == ("X",)
    lab.faults.plan(Fault.TOO_MANY_SHELLS, times=1)
    with pytest.raises(ExchangeBusy) as busy:
        Organization.connect(settings_of(lab), lab.password)
    assert busy.value.about == "shells"
    assert len(lab.shells) == 0
