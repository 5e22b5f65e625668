"""An Exchange organization in memory, as each of its domain controllers sees it.

What a client reads and changes goes through the ``View`` of one controller. Readers take a snapshot and walk it while
others go on changing rows.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from gatepost.lab.names import key
from gatepost.lab.rows import (
    AccessRule,
    Device,
    DeviceClass,
    Domain,
    Mailbox,
    MailboxPolicy,
    MobileSettings,
    Server,
)


def ticks_now() -> int:
    """The present moment, in ticks."""
    return time.time_ns() // 100


class UnknownControllerError(LookupError):
    """No domain controller of the forest has that name."""


class NotWritableError(Exception):
    """The object lives in a domain of which this controller has a copy that is only read."""


class Organization:
    """The whole of it. Changes go through the methods, which stamp them by ``clock``; reads take snapshots."""

    def __init__(self, domains: tuple[Domain, ...], servers: tuple[Server, ...], settings: MobileSettings) -> None:
        self.clock: Callable[[], int] = ticks_now
        self.domains = domains
        self.servers = servers
        self.settings = settings
        self._lock = threading.Lock()
        self._mailboxes: dict[str, Mailbox] = {}
        self._devices: dict[str, Device] = {}
        self._rules: dict[str, AccessRule] = {}
        self._policies: dict[str, MailboxPolicy] = {}
        self._names: dict[str, Mailbox] | None = None

    def __repr__(self) -> str:
        return f"<Organization {len(self._mailboxes)} mailboxes, {len(self._devices)} devices>"

    @property
    def controllers(self) -> tuple[str, ...]:
        """The domain controllers of the forest, by full name."""
        return tuple(name for domain in self.domains for name in domain.controllers)

    def view(self, controller: str | None = None) -> "View":
        """The organization as a controller has it; None: the first. Raises UnknownControllerError."""
        wanted = self.controllers[0] if controller is None else controller.lower()
        if wanted not in self.controllers:
            raise UnknownControllerError(wanted)
        return View(self, wanted)

    @property
    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes and their remains, as of now."""
        with self._lock:
            return list(self._mailboxes.values())

    @property
    def devices(self) -> list[Device]:
        """All devices, as of now."""
        with self._lock:
            return list(self._devices.values())

    @property
    def rules(self) -> list[AccessRule]:
        """All device access rules, as of now."""
        with self._lock:
            return list(self._rules.values())

    @property
    def policies(self) -> list[MailboxPolicy]:
        """All mailbox policies, as of now."""
        with self._lock:
            return list(self._policies.values())

    def add_mailbox(self, mailbox: Mailbox) -> Mailbox:
        """Take in a mailbox."""
        with self._lock:
            self._mailboxes[mailbox.guid] = mailbox
            self._names = None
        return mailbox

    def add_device(self, device: Device) -> Device:
        """Take in a device under its mailbox."""
        with self._lock:
            self._devices[device.guid] = device
            device.mailbox.devices.append(device)
        return device

    def add_rule(self, rule: AccessRule) -> AccessRule:
        """Take in a rule."""
        with self._lock:
            self._rules[rule.guid] = rule
        return rule

    def remove_rule(self, rule: AccessRule) -> None:
        """Take a rule away."""
        with self._lock:
            self._rules.pop(rule.guid, None)

    def add_policy(self, policy: MailboxPolicy) -> MailboxPolicy:
        """Take in a policy."""
        with self._lock:
            self._policies[policy.guid] = policy
        return policy

    def remove_policy(self, policy: MailboxPolicy) -> None:
        """Take a policy away."""
        with self._lock:
            self._policies.pop(policy.guid, None)

    def change(self, row: Any, **fields: Any) -> None:  # noqa: ANN401 - any row, values of any field
        """Set fields of a row and stamp the change."""
        with self._lock:
            for name, value in fields.items():
                setattr(row, name, value)
            row.changed = self.clock()
            self._names = None if isinstance(row, Mailbox) else self._names

    def change_device(self, device: Device, **fields: Any) -> None:  # noqa: ANN401 - values of any field
        """Set fields of a device and stamp the change."""
        self.change(device, **fields)

    def remove_device(self, device: Device) -> None:
        """Take a device away, as removing the partnership does."""
        with self._lock:
            self._devices.pop(device.guid, None)
            if device in device.mailbox.devices:
                device.mailbox.devices.remove(device)

    def change_mailbox(self, mailbox: Mailbox, **fields: Any) -> None:  # noqa: ANN401 - values of any field
        """Set fields of a mailbox and stamp the change."""
        self.change(mailbox, **fields)

    def find_mailbox(self, identity: str) -> Mailbox | None:
        """The mailbox of a guid, DN, canonical name, address, alias, account or name."""
        with self._lock:
            if self._names is None:
                self._names = _index(self._mailboxes.values())
            return self._names.get(key(identity))

    def find_device(self, identity: str) -> Device | None:
        """The device of a guid, DN, canonical name or the short form with the mailbox's name."""
        wanted = key(identity)
        with self._lock:
            found = self._devices.get(wanted)
            if found is not None:
                return found
            # The id is part of every spelling: looking for it first spares the making of most names.
            alike = (device for device in self._devices.values() if key(device.device_id) in wanted)
            return next((device for device in alike if wanted in _device_keys(device)), None)


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
        return self._organization.mailboxes

    @property
    def devices(self) -> list[Device]:
        """All devices."""
        return self._organization.devices

    @property
    def settings(self) -> MobileSettings:
        """The organization's mobile settings."""
        return self._organization.settings

    @property
    def rules(self) -> list[AccessRule]:
        """The device access rules."""
        return self._organization.rules

    @property
    def policies(self) -> list[MailboxPolicy]:
        """The mailbox policies."""
        return self._organization.policies

    @property
    def classes(self) -> list[DeviceClass]:
        """The types and models of the devices that there are."""
        seen: dict[tuple[str | None, str | None], int] = {}
        for device in self.devices:
            kind = (device.handset.device_type, device.handset.model)
            seen[kind] = max(seen.get(kind, 0), device.changed)
        return [DeviceClass(str(uuid5(NAMESPACE_OID, repr(kind))), *kind, at) for kind, at in seen.items()]

    def find_mailbox(self, identity: str) -> Mailbox | None:
        """The mailbox of a guid, DN, canonical name, address, alias, account or name."""
        return self._organization.find_mailbox(identity)

    def find_device(self, identity: str) -> Device | None:
        """The device of a guid, DN, canonical name or the short form with the mailbox's name."""
        return self._organization.find_device(identity)

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
        self._organization.change(mailbox, **fields)
        return mailbox

    def change_device(self, device: Device, **fields: Any) -> Device:  # noqa: ANN401 - values of any field
        """Set fields of a device."""
        self._check(device.mailbox)
        self._organization.change(device, **fields)
        return device

    def remove_device(self, device: Device) -> None:
        """Take a device away, as removing the partnership does."""
        self._check(device.mailbox)
        self._organization.remove_device(device)

    def change_settings(self, **fields: Any) -> MobileSettings:  # noqa: ANN401 - values of any field
        """Set fields of the organization's mobile settings."""
        self._organization.change(self.settings, **fields)
        return self.settings

    def add_rule(self, rule: AccessRule) -> AccessRule:
        """Take in a rule; its times are set here."""
        rule.created = rule.changed = self._organization.clock()
        return self._organization.add_rule(rule)

    def change_rule(self, rule: AccessRule, **fields: Any) -> AccessRule:  # noqa: ANN401 - values of any field
        """Set fields of a rule."""
        self._organization.change(rule, **fields)
        return rule

    def remove_rule(self, rule: AccessRule) -> None:
        """Take a rule away."""
        self._organization.remove_rule(rule)

    def add_policy(self, policy: MailboxPolicy) -> MailboxPolicy:
        """Take in a policy; its times are set here."""
        policy.created = policy.changed = self._organization.clock()
        return self._organization.add_policy(policy)

    def change_policy(self, policy: MailboxPolicy, **fields: Any) -> MailboxPolicy:  # noqa: ANN401 - any field
        """Set fields of a policy."""
        self._organization.change(policy, **fields)
        return policy

    def remove_policy(self, policy: MailboxPolicy) -> None:
        """Take a policy away."""
        self._organization.remove_policy(policy)

    def _check(self, mailbox: Mailbox) -> None:
        if not self.may_write(mailbox):
            raise NotWritableError(mailbox.dn)


def _index(mailboxes: Iterable[Mailbox]) -> dict[str, Mailbox]:
    """Every spelling of every mailbox's identity; where two share one, the first keeps it."""
    names: dict[str, Mailbox] = {}
    for box in mailboxes:
        account = f"{box.domain.netbios}\\{box.alias}"
        for text in (box.guid, box.dn, box.identity, box.smtp, box.upn, account, box.alias, box.name, box.display_name):
            if text:
                names.setdefault(key(text), box)
    return names


def _device_keys(device: Device) -> tuple[str, str, str]:
    return key(device.dn), key(device.identity), key(device.short_identity)
