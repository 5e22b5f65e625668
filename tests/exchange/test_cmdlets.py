"""What may leave as a command, and how names of the directory are taken apart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import UsageError
from gatepost.exchange import cmdlets
from gatepost.exchange.commands import build
from gatepost.exchange.reading import mailbox_dn
from gatepost.wire.psrp import Command


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
