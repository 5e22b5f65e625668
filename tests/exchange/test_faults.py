"""What goes wrong in a session or in one object: named, closed, and the rest kept."""

import pytest

from gatepost.domain.devices import Device
from gatepost.errors import (
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
from gatepost.lab.dialects import Fault
from gatepost.lab.server import Lab
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab


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
    make_lab: MakeLab, fault: Fault, kind: type[GatepostError], code: int, words: str
) -> None:
    """Each fault is one clear error with its exit code; nothing of the listing is used and no shell stays open."""
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
