"""What goes wrong when it is told to, and only that."""

import ssl
import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell
from requests.exceptions import RequestException, SSLError

from gatepost.errors import SettingsError
from gatepost.lab import shapes
from gatepost.lab.clixml import Choice, Plan
from gatepost.lab.dialects import FAULT_MEANINGS, Fault
from gatepost.lab.faults import Faults, faults_named
from gatepost.lab.fragments import FRAGMENT
from gatepost.lab.seeding import make_organization
from gatepost.lab.variety import DEPTH, HUGE, SPOILT, spoil
from tests.fixtures.lab import MakeLab
from tests.lab.peer import basic, connection, post, run, session
from tests.lab.test_dialects import elements, watch


@pytest.mark.parametrize(("fault", "status"), [(Fault.HTML_500, 500), (Fault.HTML_200, 200), (Fault.BUSY_503, 503)])
def test_a_web_server_may_answer_instead(make_lab: MakeLab, fault: Fault, status: int) -> None:
    """With a page for people, on every request."""
    lab = make_lab(faults={fault})
    answer = post(lab.https_url, lab.ca_file, body=b"<x/>", Authorization=basic(lab))
    assert (answer.status, answer.headers.get_content_type()) == (status, "text/html")
    assert b"<html" in answer.body
    assert answer.headers.get("Retry-After") == ("7" if fault is Fault.BUSY_503 else None)


def test_only_ntlm_may_be_offered(make_lab: MakeLab) -> None:
    """Neither Basic nor Negotiate is, and NTLM works."""
    lab = make_lab(faults={Fault.NTLM_ONLY})
    assert post(lab.https_url, lab.ca_file).headers.get_all("WWW-Authenticate") == ["NTLM"]
    with session(lab, auth="ntlm") as pool:
        assert len(run(pool, "Get-MobileDevice").rows) == 80


def test_the_certificate_may_be_from_somebody_else(make_lab: MakeLab) -> None:
    """The published authority did not sign it."""
    lab = make_lab(faults={Fault.UNKNOWN_CA})
    with pytest.raises(ssl.SSLCertVerificationError):
        post(lab.https_url, lab.ca_file)
    with pytest.raises(SSLError), session(lab):
        pass


def test_an_account_may_have_no_right_to_remote_powershell(make_lab: MakeLab) -> None:
    """Signing in works and the shell is refused."""
    with pytest.raises(WSManFaultError) as fault, session(make_lab(faults={Fault.ACCESS_DENIED})):
        pass
    assert (fault.value.code, fault.value.reason) == (5, "Access is denied.")


def test_an_answer_may_make_no_sense(make_lab: MakeLab) -> None:
    """Its XML ends in nonsense."""
    lab = make_lab(faults={Fault.MALFORMED_SOAP})
    with session(lab, whole_forest=False) as pool, pytest.raises(ET.ParseError):
        run(pool, "Get-MobileDevice")


def test_a_fragment_may_be_truncated(make_lab: MakeLab) -> None:
    """The last of an answer is shorter than its header says, and pypsrp stumbles over what is left of the message."""
    with session(make_lab(faults={Fault.TRUNCATED_FRAGMENT}), whole_forest=False) as pool:
        answers = watch(pool)
        with pytest.raises((ET.ParseError, AttributeError)):
            run(pool, "Get-MobileDevice")
    last = elements(answers[:2])[-1]
    assert FRAGMENT.unpack_from(last)[3] > len(last) - FRAGMENT.size


def test_an_answer_may_have_a_document_type(make_lab: MakeLab) -> None:
    """The envelope begins with one that declares an entity."""
    with session(make_lab(faults={Fault.DOCTYPE_SOAP}), whole_forest=False) as pool:
        answers = watch(pool)
        run(pool, "Get-MobileDevice")
    assert any(answer.startswith(b"<!DOCTYPE Envelope [<!ENTITY") for answer in answers)


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_connection_may_break_off(make_lab: MakeLab, auth: str) -> None:
    """In the middle of an answer with output, sealed or not."""
    lab = make_lab(faults={Fault.BREAK_OFF})
    # pypsrp cannot close a sealed session whose connection is lost.
    with (
        suppress(WinRMTransportError),
        session(lab, auth=auth, whole_forest=False) as pool,
        pytest.raises(RequestException, match="IncompleteRead"),
    ):
        run(pool, "Get-MobileDevice")


def test_a_shell_may_be_lost(make_lab: MakeLab) -> None:
    """Every Receive for a command finds it gone."""
    lab = make_lab(faults={Fault.SHELL_LOST})
    with session(lab, whole_forest=False) as pool, pytest.raises(WSManFaultError) as fault:
        run(pool, "Get-MobileDevice")
    assert fault.value.code == 2150858843


def test_a_cmdlet_may_never_answer(make_lab: MakeLab) -> None:
    """Every Receive ends with the time-out fault."""
    with session(make_lab(faults={Fault.SILENT}), whole_forest=False) as pool:
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice")
        shell.begin_invoke()
        with pytest.raises(WSManFaultError) as fault:
            pool.shell.receive("stdout", command_id=shell.id, timeout=1)
    assert fault.value.code == 2150858793


def test_a_user_may_be_throttled(make_lab: MakeLab) -> None:
    """Commands are refused, and the text says for how many milliseconds."""
    lab = make_lab(faults={Fault.THROTTLED})
    with session(lab, whole_forest=False) as pool, pytest.raises(WSManFaultError) as fault:
        run(pool, "Get-MobileDevice")
    assert fault.value.code == 2150859175
    assert "at least 2500 milliseconds" in str(fault.value)


OBJECTS = (Fault.MALFORMED_OBJECT, Fault.DOCTYPE_CLIXML, Fault.HUGE_PROPERTY, Fault.DEEP_OBJECT)


@pytest.mark.parametrize("fault", OBJECTS)
@pytest.mark.parametrize("choice", [Choice(), Choice(selected=("Guid", "FriendlyName"))])
def test_one_object_is_spoilt_and_the_others_are_not(fault: Fault, choice: Choice) -> None:
    """The fourth, in its own way."""
    devices = make_organization(60).devices
    plan = Plan(shapes.MOBILE_DEVICE, choice)
    found = list(spoil(devices, [plan], frozenset({fault})))
    assert [n for n, (data, device) in enumerate(zip(found, devices, strict=True)) if data != plan(device)] == [SPOILT]
    bad = found[SPOILT]
    if fault is Fault.MALFORMED_OBJECT:
        with pytest.raises(ET.ParseError):
            ET.fromstring(bad)
    else:
        root = ET.fromstring(bad)
        assert (fault is Fault.DOCTYPE_CLIXML) == bad.startswith(b"<!DOCTYPE")
        assert (fault is Fault.HUGE_PROPERTY) == (len(bad) > HUGE)
        assert sum(item.get("N") == "Inner" for item in root.iter("Obj")) == (
            DEPTH if fault is Fault.DEEP_OBJECT else 0
        )


def test_a_huge_property_arrives_whole(make_lab: MakeLab) -> None:
    """Two million characters, over many fragments and several answers."""
    with session(make_lab(faults={Fault.HUGE_PROPERTY})) as pool:
        rows = run(pool, "Get-MobileDevice", select=["FriendlyName"]).rows
    assert rows[SPOILT]["FriendlyName"] == "A" * HUGE
    assert len(rows) == 80


def test_nothing_is_spoilt_without_a_fault(make_lab: MakeLab) -> None:
    """And faults are chosen by names that exist; each has its meaning written down."""
    assert set(faults_named("html-500, silent")) == {Fault.HTML_500, Fault.SILENT}
    assert not faults_named("")
    assert set(FAULT_MEANINGS) == set(Fault)
    with pytest.raises(SettingsError, match="Choose from refused, hang"):
        faults_named("earthquake")
    with connection(make_lab()) as wsman, pytest.raises(WSManFaultError) as fault:
        wsman.get_server_config()
    assert "is not supported by the service" in str(fault.value)


def test_a_fault_may_strike_so_often_or_after_so_many_chances() -> None:
    """Each place that could strike is a chance; what is used up is no longer there, and what struck is counted."""
    faults = Faults({Fault.HANG})
    faults.plan(Fault.RESET, times=2, after=3)
    assert [faults.strikes(Fault.RESET) for _ in range(7)] == [False, False, False, True, True, False, False]
    assert [faults.strikes(Fault.HANG) for _ in range(3)] == [True] * 3
    assert not faults.strikes(Fault.DRIP)
    assert set(faults) == {Fault.HANG}
    assert faults.struck == {Fault.RESET: 2, Fault.HANG: 3}


def test_a_name_may_say_how_often_and_after_how_many() -> None:
    """NAME:TIMES@AFTER, where each part but the name may be missing."""
    faults = faults_named("reset:1@2, hang@1,drip:2,html-500")
    assert set(faults) == {Fault.RESET, Fault.HANG, Fault.DRIP, Fault.HTML_500}
    for fault, strikes in {
        Fault.RESET: [False, False, True, False],
        Fault.HANG: [False, True, True, True],
        Fault.DRIP: [True, True, False, False],
        Fault.HTML_500: [True] * 4,
    }.items():
        assert [faults.strikes(fault) for _ in range(4)] == strikes
    for wrong in ("reset:", "reset:x", "reset@", "re set", ":1", "reset:1:2"):
        with pytest.raises(SettingsError, match="There is no such fault"):
            faults_named(wrong)


def test_a_pipeline_may_fail_half_way(make_lab: MakeLab) -> None:
    """With half of its objects given and its work done."""
    lab = make_lab()
    with session(lab) as pool:
        lab.faults.plan(Fault.HALF_WAY, times=1)
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", "Unlimited")
        shell.invoke()
        assert shell.state == PSInvocationState.FAILED
        assert len(shell.output) == 40
        assert len(run(pool, "Get-MobileDevice").rows) == 80


def test_a_runspace_may_break(make_lab: MakeLab) -> None:
    """Then nothing runs in it any more, and something does in another."""
    lab = make_lab()
    with session(lab) as pool:
        lab.faults.plan(Fault.RUNSPACE_BROKEN, times=1)
        for _ in range(2):
            shell = PowerShell(pool).add_cmdlet("Get-MobileDevice")
            shell.invoke()
            assert (shell.state, shell.output) == (PSInvocationState.FAILED, [])
    with session(lab) as pool:
        assert len(run(pool, "Get-MobileDevice").rows) == 80


def test_faults_come_and_go_while_a_lab_runs(make_lab: MakeLab) -> None:
    """A server misbehaves in the middle of a session, and then no longer does."""
    lab = make_lab()
    with session(lab) as pool:
        lab.faults.add(Fault.BREAK_OFF)
        with pytest.raises(RequestException, match="IncompleteRead"):
            run(pool, "Get-MobileDevice")
        lab.faults.clear()
        assert len(run(pool, "Get-MobileDevice").rows) == 80
