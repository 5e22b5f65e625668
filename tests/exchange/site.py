"""An organization open beside the lab behind it: a verb is checked against the lab, and not by its own answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gatepost.domain.devices import MailboxKind
from gatepost.errors import WriteRefused
from gatepost.exchange.organization import Organization
from gatepost.lab.cmdlets.devices import can_wipe
from gatepost.lab.organization import View
from gatepost.lab.pipelines import Audited, Logged
from gatepost.lab.rows import Device, Mailbox
from gatepost.lab.server import Lab

_ASIDE = frozenset({"Select-Object", "Set-ADServerSettings"})
KINDS = {
    "UserMailbox": None,
    "LinkedMailbox": MailboxKind.LINKED,
    "SharedMailbox": MailboxKind.SHARED,
    "RoomMailbox": MailboxKind.ROOM,
    "RemoteUserMailbox": MailboxKind.REMOTE,
    "DisabledUser": MailboxKind.DISABLED,
}


@dataclass
class Permits:
    """A permit that counts how often it was asked; ``refuse`` makes it say no."""

    asked: int = 0
    refuse: bool = False

    def __call__(self) -> None:
        """Be asked."""
        self.asked += 1
        if self.refuse:
            raise WriteRefused("lease", "The lease is over.")


@dataclass
class Site:
    """A lab, and an organization of it. Each test gets mailboxes of its own from ``mailbox``."""

    lab: Lab
    organization: Organization
    given: set[str] = field(default_factory=set)

    @property
    def profile(self) -> str:
        """Which Exchange the lab is."""
        return self.lab.settings.profile

    @property
    def is_old(self) -> bool:
        """Whether it is from before the cmdlets were renamed."""
        return self.profile == "2010sp1"

    def named(self, name: str) -> str:
        """A cmdlet as it is called here, from its name since 2013."""
        old = {
            "Clear-MobileDevice": "Clear-ActiveSyncDevice",
            "Remove-MobileDevice": "Remove-ActiveSyncDevice",
            "Get-MobileDevice": "Get-ActiveSyncDevice",
            "Get-MobileDeviceStatistics": "Get-ActiveSyncDeviceStatistics",
        }
        return old.get(name, name.replace("MobileDeviceMailbox", "ActiveSyncMailbox")) if self.is_old else name

    def mailbox(self, domain: int = 0, **fields: Any) -> Mailbox:
        """A user's mailbox with a device that no test had before, with these fields set everywhere."""
        wanted = self.lab.organization.domains[domain]
        box = next(
            box
            for box in self.lab.organization.mailboxes
            if box.kind == "UserMailbox" and box.domain is wanted and box.guid not in self.given and _usable(box)
        )
        self.given.add(box.guid)
        if fields:
            self.lab.organization.change_mailbox(box, **fields)
        return box

    def view(self, box: Mailbox) -> View:
        """The organization as the first domain controller of a mailbox's domain has it."""
        return self.lab.organization.view(box.domain.controllers[0])

    def now(self, box: Mailbox) -> Mailbox:
        """A mailbox as its own domain has it now."""
        found = self.view(box).find_mailbox(box.guid)
        assert found is not None
        return found

    @contextmanager
    def calls(self) -> Iterator[list[Logged]]:
        """The cmdlets that ran within the block, without those that only project or prepare a session."""
        before = len(self.lab.calls)
        seen: list[Logged] = []
        yield seen
        seen += [call for call in self.lab.calls[before:] if call.cmdlet not in _ASIDE]

    def audited(self, device_or_box: Device | Mailbox) -> list[Audited]:
        """What Exchange's own log says was done to an object."""
        return [entry for entry in self.lab.audit if entry.object == device_or_box.identity]


def _usable(box: Mailbox) -> bool:
    plain = box.enabled and not box.protected and not box.allowed and not box.blocked
    return plain and any(map(_is_plain, box.devices))


def _is_plain(device: Device) -> bool:
    """Whether it speaks ActiveSync, and a version of it that can be wiped."""
    return not device.handset.is_outlook and can_wipe(device)


def phone(box: Mailbox) -> Device:
    """A device of a mailbox that speaks ActiveSync and can be wiped."""
    return next(filter(_is_plain, box.devices))
