"""Names and ids that look like PowerShell, OPATH or XML stay data; a wiretap reads every byte that leaves."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gatepost.domain.devices import AccessChange
from gatepost.errors import CmdletFailed
from gatepost.exchange import cmdlets
from gatepost.exchange.commands import Cmdlet
from gatepost.exchange.organization import Organization
from gatepost.lab.server import Lab
from tests.exchange.wiretap import Sent, Wiretap
from tests.fixtures.lab import MakeLab

HOSTILE = (
    "$(Remove-Mailbox *)",
    "'; Remove-MobileDevice * -Confirm:$false; '",
    '"; & { Get-Mailbox } #',
    "x' -or Name -like '*",
    "@{Add='all'}",
    "-Identity",
    "-Confirm:$false",
    "a|Remove-Mailbox",
    "`$env:PATH",
    "$true",
    '</S></Obj><Obj RefId="9"><S N="Cmd">Remove-Mailbox</S>',
    "<B N='IsScript'>true</B>",
    "]]><!-- & &amp; &#x24;",
    "_x0024__x0028_",
    "\U0001f600 \u202e§\u2028",
    "%s{0}${x}",
)
SHORT = 9  # what is no longer may stand anywhere by chance
VERB_NOUN = re.compile(r"[A-Z][a-z]+-[A-Za-z]+")
_SINCE, _UNTIL = (rf"WhenChangedUTC -{name} '\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ'" for name in ("ge", "le"))
TIME_FILTER = re.compile(rf"{_SINCE}|\({_SINCE}\) -and \({_UNTIL}\)")
KNOWN = {name for cmdlet in vars(cmdlets).values() if isinstance(cmdlet, Cmdlet) for name in cmdlet.names}


def check(sent: list[Sent], texts: tuple[str, ...] = ()) -> None:
    """Cmdlets of ours only, as commands and never as script; filters are times; each text came whole, as a value."""
    assert sent
    for command in sent:
        assert not command.is_script
        assert VERB_NOUN.fullmatch(command.name)
        assert command.name in KNOWN
        if "Filter" in command.arguments:
            assert TIME_FILTER.fullmatch(command.arguments["Filter"])
    values = [value for command in sent for value in _texts(command.arguments)]
    for text in texts:
        assert text in values
    fragments = [value for value in values if any(part in value for part in ("Remove-Mailbox", "Get-Mailbox"))]
    assert all(value in HOSTILE for value in fragments)


def _texts(value: Any) -> list[str]:
    """Every text in a value, however deep; keys too."""
    if isinstance(value, dict):
        return [text for key, entry in value.items() for text in (*_texts(key), *_texts(entry))]
    if isinstance(value, list):
        return [text for entry in value for text in _texts(entry)]
    return [value] if isinstance(value, str) else []


def test_an_identity_is_one_value(lab: Lab, connect: Callable[..., Organization]) -> None:
    """Whatever an id looks like, it arrives at the server as one text argument, unchanged, and nowhere else."""
    with Wiretap(lab) as tap:
        with connect(lab, url=tap.url) as organization:
            for text in HOSTILE:
                with suppress(CmdletFailed):
                    organization.statistics(text)
        check(tap.commands(), HOSTILE)
        outside = tap.outside()
        assert not any(text.encode() in outside for text in HOSTILE if len(text) > SHORT)


def test_a_device_id_is_one_value_of_a_write(make_lab: MakeLab, connect: Callable[..., Organization]) -> None:
    """Whatever an id looks like, it is added to a list and taken off it as it is, and nothing else is."""
    lab = make_lab(devices=10)
    box = next(box for box in lab.organization.mailboxes if box.kind == "UserMailbox" and not box.allowed)
    with Wiretap(lab) as tap:
        with connect(lab, url=tap.url) as organization:
            added = organization.set_access(box.guid, box.dn, AccessChange(allow=HOSTILE), lambda: None)
            assert added.allowed == HOSTILE
            removed = organization.set_access(box.guid, box.dn, AccessChange(disallow=HOSTILE[1:]), lambda: None)
            assert removed.allowed == HOSTILE[:1]
        check(tap.commands(), HOSTILE)
        assert not any(text.encode() in tap.outside() for text in HOSTILE if len(text) > SHORT)
    assert [call.cmdlet for call in lab.calls].count("Set-CASMailbox") == 2


def test_what_exchange_says_comes_back_in_no_command(make_lab: MakeLab, connect: Callable[..., Organization]) -> None:
    """Names of devices and mailboxes are read, compared and told, and no command is made of them."""
    lab = make_lab(devices=40)
    mailboxes = [mailbox for mailbox in lab.organization.mailboxes if mailbox.kind == "UserMailbox"]
    for text, device, mailbox in zip(HOSTILE, lab.organization.devices, mailboxes, strict=False):
        lab.organization.change_device(device, device_id=text, friendly_name=text)
        lab.organization.change_mailbox(mailbox, display_name=text, allowed=(text,))
    with Wiretap(lab) as tap:
        with connect(lab, url=tap.url) as organization:
            devices, boxes = list(organization.list_devices()), list(organization.list_mailboxes())
        assert {*HOSTILE} <= {getattr(device, "device_id", None) for device in devices}
        assert {*HOSTILE} <= {getattr(mailbox, "display_name", None) for mailbox in boxes}
        check(tap.commands())
        everything = tap.outside() + repr(tap.commands()).encode()
        assert not any(text.encode() in everything for text in HOSTILE if len(text) > SHORT)
