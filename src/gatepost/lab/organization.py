"""An Exchange organization in memory, as each of its domain controllers sees it.

What a client reads and changes goes through the ``View`` of one controller. Readers take a snapshot and walk it while
others go on changing rows. Time passes by ``clock``: what is due by then has happened whenever anybody looks.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from gatepost.lab.forest import CONFIGURATION, IN_MAILBOX, Change, Forest, Row
from gatepost.lab.names import key
from gatepost.lab.phones import Phones
from gatepost.lab.rows import (
    AccessRule,
    Device,
    DeviceClass,
    Domain,
    Handset,
    Mailbox,
    MailboxPolicy,
    MobileSettings,
    Server,
    ticks,
)

_NAMES = frozenset({"name", "alias", "display_name", "smtp"})
"""Fields by which a mailbox is found."""


def ticks_now() -> int:
    """The present moment, in ticks."""
    return time.time_ns() // 100


class UnknownControllerError(LookupError):
    """No domain controller of the forest has that name."""


class NotWritableError(Exception):
    """The object lives in a domain of which this controller has a copy that is only read."""


class Organization:
    """The whole of it, behind one lock. ``replication`` and ``effect`` are in seconds (``forest``, ``phones``).

    What is read and changed without naming a controller is so at the first one of the forest, or of the mailbox's
    domain.
    """

    def __init__(self, domains: tuple[Domain, ...], servers: tuple[Server, ...], settings: MobileSettings) -> None:
        self.clock: Callable[[], int] = ticks_now
        self.domains = domains
        self.servers = servers
        self.controllers = tuple(name for domain in domains for name in domain.controllers)
        self.forest = Forest(self.controllers, settings)
        self.phones = Phones(self.forest, tuple(domain.controllers[0] for domain in domains))
        self._lock = threading.RLock()
        self._names: dict[str, Mailbox] | None = None
        self.forgotten: dict[str, int] = {}
        self.forest.seen.append(self._renamed)

    def __repr__(self) -> str:
        return f"<Organization {len(self.forest.mailboxes)} mailboxes, {len(self.forest.devices)} devices>"

    @contextmanager
    def now(self) -> Iterator[Forest]:
        """The forest as of now, for one look or change at a time."""
        with self._lock:
            self.forest.advance(self.clock)
            yield self.forest

    def view(self, controller: str | None = None) -> "View":
        """The organization as a controller has it; None: the first. Raises UnknownControllerError."""
        wanted = self.controllers[0] if controller is None else controller.lower()
        if wanted not in self.controllers:
            raise UnknownControllerError(wanted)
        return View(self, wanted)

    def home(self, mailbox: Mailbox) -> "View":
        """The view of the controller where the mailbox's server reads and writes."""
        return View(self, mailbox.home)

    def finish(self) -> None:
        """Let everything happen that is on its way: replication, and phones that will talk."""
        with self._lock:
            self.forest.finish()

    # The seeded past: what every controller has had all along.

    def add_mailbox(self, mailbox: Mailbox) -> Mailbox:
        """Take in a mailbox that every controller knows."""
        with self._lock:
            self.forest.mailboxes[mailbox.guid] = mailbox
            self._names = None
        return mailbox

    def add_device(self, device: Device) -> Device:
        """Take in a device under its mailbox that every controller knows."""
        with self._lock:
            self.forest.devices[device.guid] = device
            device.mailbox.devices.append(device)
        return device

    def add_configuration(self, row: AccessRule | MailboxPolicy) -> None:
        """Take in a rule or policy that every controller knows."""
        with self._lock:
            self.forest.configuration.put(row)

    # What phones do.

    def appear(self, device: Device, discovery: float) -> None:
        """A phone is set up on its mailbox; Exchange does not know what it is for so many seconds."""
        with self.now():
            self.phones.appear(device, self.clock(), ticks(discovery))
            self.forest.advance(self.clock)

    def update(self, device: Device, handset: Handset) -> None:
        """A phone has a newer system, or says other things of itself."""
        with self.now():
            self.phones.update(device, handset, self.clock())
            self.forest.advance(self.clock)

    def move(self, mailbox: Mailbox, server: str, discovery: float) -> None:
        """A mailbox moves to another server; its phones have to be known again, so many seconds later."""
        with self.now():
            self.phones.move(mailbox, server, self.clock(), ticks(discovery))
            self.forest.advance(self.clock)

    def misbehave(self, device: Device, reason: str, duration: float) -> None:
        """A phone does what Exchange blocks phones for, by that reason (``RecentCommands``), for so many seconds."""
        with self.now():
            self.phones.misbehave(device, reason, self.clock(), ticks(duration))
            self.forest.advance(self.clock)

    def silence(self, device: Device) -> None:
        """A phone never talks again."""
        with self._lock:
            self.phones.silence(device)

    # Without naming a controller.

    @property
    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes and their remains, as of now."""
        return self.view().mailboxes

    @property
    def devices(self) -> list[Device]:
        """All devices, as of now."""
        return self.view().devices

    @property
    def settings(self) -> MobileSettings:
        """The organization's mobile settings, as of now."""
        return self.view().settings

    def find_mailbox(self, identity: str) -> Mailbox | None:
        """The mailbox of a guid, DN, canonical name, address, alias, account or name."""
        return self.view().find_mailbox(identity)

    def find_device(self, identity: str) -> Device | None:
        """The device of a guid, DN, canonical name or the short form with the mailbox's name."""
        return self.view().find_device(identity)

    def change_mailbox(self, mailbox: Mailbox, **fields: Any) -> None:  # noqa: ANN401 - values of any field
        """Set fields of a mailbox and stamp the change."""
        self.home(mailbox).change_mailbox(mailbox, **fields)

    def change_device(self, device: Device, **fields: Any) -> None:  # noqa: ANN401 - values of any field
        """Set fields of a device and stamp the change."""
        self.home(device.mailbox).change_device(device, **fields)

    def remove_device(self, device: Device) -> None:
        """Take a device away, as removing the partnership does."""
        self.home(device.mailbox).remove_device(device)

    # Names.

    def named(self, identity: str) -> Mailbox | None:
        """The mailbox of that name as all controllers have it; call it within ``now``."""
        wanted = key(identity)
        if wanted in self.forest.mailboxes:
            return self.forest.mailboxes[wanted]
        if self._names is None:
            self._names = _index(self.forest.mailboxes.values())
        return self._names.get(wanted)

    def _renamed(self, change: Change, _controllers: tuple[str, ...], _at: int) -> None:
        """The names are read anew when one has changed."""
        if change.fields and _NAMES & change.fields.keys():
            self._names = None


class View:
    """The organization as one domain controller has it, and the changes that originate there.

    Rows are as of when they were read: pass them back to change them, and never set their fields. A change returns the
    row as the controller has it then. Changes raise NotWritableError for a mailbox or device of another domain.
    """

    def __init__(self, organization: Organization, controller: str) -> None:
        self._organization = organization
        self.controller = controller

    @property
    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes and their remains."""
        with self._organization.now() as forest:
            return forest.mailboxes_at(self.controller)

    @property
    def devices(self) -> list[Device]:
        """All devices."""
        with self._organization.now() as forest:
            return forest.devices_at(self.controller)

    @property
    def settings(self) -> MobileSettings:
        """The organization's mobile settings."""
        with self._organization.now() as forest:
            return forest.configuration_at(self.controller).settings

    @property
    def rules(self) -> list[AccessRule]:
        """The device access rules."""
        with self._organization.now() as forest:
            return list(forest.configuration_at(self.controller).rules.values())

    @property
    def policies(self) -> list[MailboxPolicy]:
        """The mailbox policies."""
        with self._organization.now() as forest:
            return list(forest.configuration_at(self.controller).policies.values())

    @property
    def classes(self) -> list[DeviceClass]:
        """The types and models of the devices that there are."""
        seen: dict[tuple[str | None, str | None], int] = {}
        for device in self.devices:
            kind = (device.handset.device_type, device.handset.model)
            seen[kind] = max(seen.get(kind, 0), device.changed)
        found = [DeviceClass(str(uuid5(NAMESPACE_OID, repr(kind))), *kind, at) for kind, at in seen.items()]
        return [one for one in found if one.last_update > self._organization.forgotten.get(one.guid, -1)]

    def remove_class(self, found: DeviceClass) -> None:
        """Forget a type and model until a device shows it again; for all controllers at once."""
        self._organization.forgotten[found.guid] = found.last_update

    def find_mailbox(self, identity: str) -> Mailbox | None:
        """The mailbox of a guid, DN, canonical name, address, alias, account or name."""
        with self._organization.now() as forest:
            found = self._organization.named(identity)
            if found is None:  # perhaps a name that only this controller knows yet
                found = _index(forest.own_mailboxes(self.controller)).get(key(identity))
            return forest.mailbox_at(self.controller, found) if found is not None else None

    def find_device(self, identity: str) -> Device | None:
        """The device of a guid, DN, canonical name or the short form with the mailbox's name."""
        wanted = key(identity)
        with self._organization.now() as forest:
            found = forest.device_at(self.controller, wanted)
            if found is None and (owner := self.find_mailbox(_owner(wanted))) is not None:
                found = _named_device(owner.devices, wanted)
            return found or _named_device(forest.devices_at(self.controller), wanted)

    def find_rule(self, identity: str) -> AccessRule | None:
        """The rule of a guid or name."""
        return next((rule for rule in self.rules if key(identity) in {key(rule.guid), key(rule.name)}), None)

    def find_policy(self, identity: str) -> MailboxPolicy | None:
        """The policy of a guid or name."""
        return next((policy for policy in self.policies if key(identity) in {key(policy.guid), key(policy.name)}), None)

    def may_write(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox lives in this controller's own domain."""
        return self.controller in mailbox.domain.controllers

    def change_mailbox(self, mailbox: Mailbox, **fields: Any) -> Mailbox:  # noqa: ANN401 - values of any field
        """Set fields of a mailbox."""
        self._check(mailbox)
        with self._organization.now() as forest:
            self._change(mailbox, mailbox.guid, fields)
            return forest.mailbox_at(self.controller, mailbox)

    def change_device(self, device: Device, **fields: Any) -> Device:  # noqa: ANN401 - values of any field
        """Set fields of a device; those of a wipe stand in the mailbox, and are true for all controllers at once."""
        self._check(device.mailbox)
        kept = {name: value for name, value in fields.items() if name in IN_MAILBOX}
        with self._organization.now() as forest:
            if kept:
                forest.keep(device, kept)
                self._organization.phones.wiped(device.mailbox, self._organization.clock())
            if len(kept) < len(fields):
                changed = {name: value for name, value in fields.items() if name not in kept}
                self._change(device, device.mailbox.guid, changed)
            return forest.device_at(self.controller, device.guid) or device

    def remove_device(self, device: Device) -> None:
        """Take a device away, as removing the partnership does."""
        self._check(device.mailbox)
        with self._organization.now():
            self._change(device, device.mailbox.guid)

    def change_settings(self, **fields: Any) -> MobileSettings:  # noqa: ANN401 - values of any field
        """Set fields of the organization's mobile settings."""
        with self._organization.now() as forest:
            self._change(forest.configuration.settings, CONFIGURATION, fields)
            return forest.configuration_at(self.controller).settings

    def add_rule(self, rule: AccessRule) -> AccessRule:
        """Take in a rule; its times are set here."""
        self._add(rule)
        return rule

    def change_rule(self, rule: AccessRule, **fields: Any) -> AccessRule:  # noqa: ANN401 - values of any field
        """Set fields of a rule."""
        with self._organization.now() as forest:
            self._change(rule, CONFIGURATION, fields)
            return forest.configuration_at(self.controller).rules.get(rule.guid, rule)

    def remove_rule(self, rule: AccessRule) -> None:
        """Take a rule away."""
        with self._organization.now():
            self._change(rule, CONFIGURATION)

    def add_policy(self, policy: MailboxPolicy) -> MailboxPolicy:
        """Take in a policy; its times are set here."""
        self._add(policy)
        return policy

    def change_policy(self, policy: MailboxPolicy, **fields: Any) -> MailboxPolicy:  # noqa: ANN401 - any field
        """Set fields of a policy."""
        with self._organization.now() as forest:
            self._change(policy, CONFIGURATION, fields)
            return forest.configuration_at(self.controller).policies.get(policy.guid, policy)

    def remove_policy(self, policy: MailboxPolicy) -> None:
        """Take a policy away."""
        with self._organization.now():
            self._change(policy, CONFIGURATION)

    def _check(self, mailbox: Mailbox) -> None:
        if not self.may_write(mailbox):
            raise NotWritableError(mailbox.dn)

    def _change(self, row: Row, unit: str, fields: dict[str, Any] | None = None) -> None:
        """Make a change now; without fields, take the row away. What it has as its effect at once, it has."""
        organization = self._organization
        organization.forest.change(self.controller, organization.clock(), unit, row.guid, fields)
        organization.forest.advance(organization.clock)

    def _add(self, row: AccessRule | MailboxPolicy) -> None:
        organization = self._organization
        with organization.now() as forest:
            row.created = row.changed = organization.clock()
            forest.change(self.controller, row.created, CONFIGURATION, row.guid, added=row)
            forest.advance(organization.clock)


def _index(mailboxes: Iterable[Mailbox]) -> dict[str, Mailbox]:
    """Every spelling of every mailbox's identity; where two share one, the first keeps it."""
    names: dict[str, Mailbox] = {}
    for box in mailboxes:
        account = f"{box.domain.netbios}\\{box.alias}"
        for text in (box.guid, box.dn, box.identity, box.smtp, box.upn, account, box.alias, box.name, box.display_name):
            if text:
                names.setdefault(key(text), box)
    return names


def _owner(wanted: str) -> str:
    """The mailbox's part of a device's identity, in each of its forms."""
    for separator in ("/exchangeactivesyncdevices/", "\\exchangeactivesyncdevices\\"):
        if separator in wanted:
            return wanted.partition(separator)[0]
    return wanted.partition(",cn=exchangeactivesyncdevices,")[2] or wanted


def _named_device(devices: Iterable[Device], wanted: str) -> Device | None:
    """The device of that name among these."""
    # The id is part of every spelling: looking for it first spares the making of most names.
    alike = (device for device in devices if key(device.device_id) in wanted)
    return next((device for device in alike if wanted in _device_keys(device)), None)


def _device_keys(device: Device) -> tuple[str, str, str]:
    return key(device.dn), key(device.identity), key(device.short_identity)
