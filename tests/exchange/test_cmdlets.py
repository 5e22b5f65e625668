"""What may leave as a command, and how names of the directory are taken apart."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import UsageError
from gatepost.exchange import cmdlets
from gatepost.exchange.calls import controller_of
from gatepost.exchange.commands import NULL, Change, Changed, Cmdlet, build
from gatepost.exchange.reading import mailbox_dn
from gatepost.wire.creating import Command


def test_a_command_carries_declared_parameters_only() -> None:
    """A command is the cmdlet's name and the values given, under the old name where that is asked for."""
    built = build(cmdlets.GET_MOBILE_DEVICE, "Get-ActiveSyncDevice", ResultSize="Unlimited")
    assert built == Command("Get-ActiveSyncDevice", {"ResultSize": "Unlimited"})
    assert cmdlets.project(("Guid",)) == Command("Select-Object", {"Property": ("Guid",)})


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"Identity": ""}, "empty or holds control characters"),
        ({"Identity": "  "}, "Exchange answer with everything"),
        ({"Identity": None}, "takes str, not NoneType"),
        ({"Identity": "a\nb"}, "control characters"),
        ({"ResultSize": 5}, "takes str, not int"),
        ({"Force": True}, "not declared with a parameter -Force"),
    ],
)
def test_what_is_not_declared_never_leaves(parameters: dict[str, Any], words: str) -> None:
    """An empty identity, another type, control characters or an unknown parameter is refused before sending."""
    with pytest.raises(UsageError, match=words):
        build(cmdlets.GET_MOBILE_DEVICE, None, **parameters)


BLANK = st.text(st.characters(categories=["Zs"]), max_size=3) | st.from_regex(r"\A.*[\x00-\x1f\x7f].*\Z")
NAMED = [
    (cmdlet, name, parameter)
    for cmdlet in cmdlets.EXCHANGE
    for name in cmdlet.names
    for parameter in ("Identity", "DomainController")
    if parameter in cmdlet.parameters
]


@given(st.sampled_from(NAMED), BLANK | st.sampled_from([None, (), 0, False, Change(add=("x",))]))
def test_no_verb_goes_out_with_an_empty_identity(named: tuple[Cmdlet, str, str], value: object) -> None:
    """Under either name, an identity that is empty, blank, of another type or with control characters is refused."""
    cmdlet, name, parameter = named
    with pytest.raises(UsageError, match=f"-{parameter} of {cmdlet.name}"):
        build(cmdlet, name, **{parameter: value})


@pytest.mark.parametrize("cmdlet", [cmdlet for cmdlet in cmdlets.EXCHANGE if "Confirm" in cmdlet.parameters])
def test_every_write_says_that_nobody_confirms(cmdlet: Cmdlet) -> None:
    """Whatever else a write says, it never waits for a person; and every cmdlet that is no reading is a write."""
    assert build(cmdlet, Confirm=True).parameters["Confirm"] is False
    assert not cmdlet.name.startswith("Get-")
    assert "DomainController" in cmdlet.parameters


def test_only_the_view_of_a_session_is_set_without_being_a_write() -> None:
    """What is neither a Get- nor a write changes nothing but its own session."""
    aside = {cmdlet.name for cmdlet in cmdlets.EXCHANGE if "Confirm" not in cmdlet.parameters}
    assert {name for name in aside if not name.startswith("Get-")} == {"Set-ADServerSettings"}


def test_a_change_is_a_table_without_keys_that_say_nothing() -> None:
    """Entries are added and removed by name, so that all others stay; a change of nothing is refused."""
    built = build(cmdlets.SET_CAS_MAILBOX, Identity="x", ActiveSyncBlockedDeviceIDs=Change(remove=("a", "b")))
    assert built.parameters["ActiveSyncBlockedDeviceIDs"] == {"Remove": ("a", "b")}
    with pytest.raises(UsageError, match="is a change of nothing"):
        build(cmdlets.SET_CAS_MAILBOX, Identity="x", ActiveSyncBlockedDeviceIDs=Change())
    with pytest.raises(UsageError, match="ActiveSyncBlockedDeviceIDs of Set-CASMailbox takes Change, not tuple"):
        build(cmdlets.SET_CAS_MAILBOX, Identity="x", ActiveSyncBlockedDeviceIDs=("a",))
    with pytest.raises(UsageError, match="is no text, empty or holds control characters"):
        build(cmdlets.SET_CAS_MAILBOX, Identity="x", ActiveSyncBlockedDeviceIDs=Change(add=("a", " ")))


@given(st.datetimes(timezones=st.timezones()))
def test_a_filter_is_made_of_moments_only(moment: datetime) -> None:
    """It reads the same in every locale and zone: ISO 8601 in UTC with whole seconds, never later than asked."""
    if not 1600 < moment.year < 9000:
        return
    text = build(cmdlets.GET_MOBILE_DEVICE, Filter=Changed(moment)).parameters["Filter"]
    found = re.fullmatch(r"WhenChangedUTC -ge '(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)'", text)
    assert found is not None
    assert timedelta(0) <= moment - datetime.fromisoformat(found[1]) < timedelta(seconds=1)
    with pytest.raises(UsageError, match="takes Changed, not str"):
        build(cmdlets.GET_MOBILE_DEVICE, Filter="Name -like '*'")


def test_old_names_have_the_old_words() -> None:
    """Under the name of 2010, parameters and properties are called as they were then."""
    old = build(cmdlets.SET_MAILBOX_POLICY, "Set-ActiveSyncMailboxPolicy", PasswordEnabled=True, AllowCamera=False)
    assert old.parameters == {"DevicePasswordEnabled": True, "AllowCamera": False, "Confirm": False}
    new = build(cmdlets.SET_MAILBOX_POLICY, PasswordEnabled=True, MinPasswordLength=NULL)
    assert new.parameters == {"PasswordEnabled": True, "MinPasswordLength": NULL, "Confirm": False}


@pytest.mark.parametrize(
    ("dn", "controller"),
    [
        ("CN=Jan,OU=Users,DC=lab,DC=example", "dc1.lab.example"),
        ("CN=Jan,OU=Users,DC=north,DC=lab,DC=example", "DC3.north.lab.example"),
        ("cn=Jan,ou=Users,dc=LAB,dc=Example", "dc1.lab.example"),
        (r"CN=Jan\,DC=north,OU=Users,DC=lab,DC=example", "dc1.lab.example"),
        ("CN=Jan,DC=other,DC=example", None),
        ("CN=Jan,DC=example", None),
        ("CN=Jan", None),
        ("", None),
        (None, None),
    ],
)
def test_a_controller_belongs_to_a_domain_by_its_name(dn: str | None, controller: str | None) -> None:
    """A child's controller is not its parent's, and an escaped comma begins no part of a name."""
    known = ("dc1.lab.example", "dc2.lab.example", "DC3.north.lab.example", "dc.without.any")
    assert controller_of(dn, known) == controller


def test_a_foreign_name_is_refused() -> None:
    """Only a declaration's own names can be called."""
    with pytest.raises(UsageError, match="Invoke-Expression is not a name"):
        build(cmdlets.GET_MOBILE_DEVICE, "Invoke-Expression")


@pytest.mark.parametrize(
    ("device", "mailbox"),
    [
        ("CN=iPhone§1,CN=ExchangeActiveSyncDevices,CN=Jan,OU=A,DC=x", "CN=Jan,OU=A,DC=x"),
        (r"CN=a\,b,cn=exchangeactivesyncdevices,CN=Jansen\, Jan,DC=x", r"CN=Jansen\, Jan,DC=x"),
        (r"CN=ends in backslash\\,CN=ExchangeActiveSyncDevices,CN=Jan,DC=x", "CN=Jan,DC=x"),
        ("CN=a,CN=Jan,DC=x", "CN=Jan,DC=x"),
        ("CN=alone", None),
        ("", None),
        (None, None),
    ],
)
def test_a_mailbox_is_found_above_the_device(device: str | None, mailbox: str | None) -> None:
    """The mailbox's name is what stands above the container, whatever the names contain."""
    assert mailbox_dn(device) == mailbox


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(min_size=1))
def test_any_name_can_be_escaped_and_found(device: str, mailbox: str) -> None:
    """A name with commas and backslashes, escaped as RFC 4514 says, never hides the mailbox."""

    def escaped(name: str) -> str:
        return name.replace("\\", "\\\\").replace(",", "\\,")

    dn = f"CN={escaped(mailbox)},DC=x"
    assert mailbox_dn(f"CN={escaped(device)},CN=ExchangeActiveSyncDevices,{dn}") == dn
