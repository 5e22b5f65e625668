"""An Exchange organization in memory: its forest, servers, mailboxes and ActiveSync partnerships.

Rows are mutable and small, for half a million of them must fit; what many share (a ``Handset``) is kept once, and what
can be told from other fields (identities, distinguished names) is computed. Times are ticks: 100 ns since 1970, UTC.
Readers take a snapshot and walk it while a story goes on changing rows.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gatepost.lab.names import canonical_part, dn_part, key

TICKS = 10_000_000


def ticks_now() -> int:
    """The present moment, in ticks."""
    return time.time_ns() // 100


@dataclass(frozen=True)
class Domain:
    """One domain of the forest; mailboxes live in ``unit``."""

    name: str
    netbios: str
    unit: str
    controllers: tuple[str, ...]

    @cached_property
    def dn(self) -> str:
        """The distinguished name of the domain."""
        return ",".join(f"DC={part}" for part in self.name.split("."))

    @cached_property
    def unit_dn(self) -> str:
        """The distinguished name of the unit, as it ends a mailbox's name."""
        return f",OU={dn_part(self.unit)},{self.dn}"

    @cached_property
    def unit_path(self) -> str:
        """The canonical name of the unit, as it begins a mailbox's identity."""
        return f"{self.name}/{canonical_part(self.unit)}/"


@dataclass(frozen=True, slots=True)
class Server:
    """One Exchange server; ``controllers`` are the domain controllers that it names when it is asked for its status."""

    guid: str
    name: str
    domain: Domain
    site: str
    roles: str
    version: str
    edition: str
    created: int
    controllers: tuple[str, ...] = ()

    @property
    def fqdn(self) -> str:
        """The host name with its domain."""
        return f"{self.name.lower()}.{self.domain.name}"

    @property
    def dn(self) -> str:
        """Where the server stands in the configuration partition."""
        group = "CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=Lab"
        return f"CN={self.name},CN=Servers,{group},CN=Microsoft Exchange,CN=Services,CN=Configuration,{self.domain.dn}"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server, with what it says when it is asked for its status."""

    server: Server
    controllers: tuple[str, ...] = ()
    config_controller: str | None = None


@dataclass(slots=True)
class Mailbox:
    """One mailbox, or what is left of one (``kind`` of the recipient as Exchange calls it)."""

    guid: str
    name: str
    alias: str
    display_name: str
    domain: Domain
    kind: str
    server: str
    created: int
    changed: int
    smtp: str | None
    enabled: bool = True
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    policy: str | None = "Default"
    linked_master: str | None = None
    account_disabled: bool = False
    devices: list["Device"] = field(default_factory=list)
    dn: str = field(init=False)
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        """Keep the distinguished and the canonical name: every name of every device begins with them."""
        self.dn = f"CN={dn_part(self.name)}{self.domain.unit_dn}"
        self.identity = self.domain.unit_path + canonical_part(self.name)

    @property
    def upn(self) -> str:
        """The sign-in name."""
        return f"{self.alias}@{self.domain.name}"

    @property
    def legacy_dn(self) -> str:
        """The X.500 address that Exchange made of the alias."""
        return f"/o=Lab/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn={self.alias}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """All proxy addresses; the primary one has the prefix in capitals."""
        return (f"SMTP:{self.smtp}", f"smtp:{self.alias}@{self.domain.name}") if self.smtp else ()

    @property
    def has_devices(self) -> bool:
        """Whether any device has a partnership."""
        return bool(self.devices)

    @property
    def policy_is_default(self) -> bool:
        """Whether the mailbox policy was never chosen."""
        return self.policy == "Default"

    @property
    def recipient_type(self) -> str:
        """The coarse recipient type beside ``kind``."""
        return RECIPIENT_TYPES[self.kind]

    @property
    def account_control(self) -> str:
        """The flags of the user account, as Get-User prints them."""
        return "AccountDisabled, NormalAccount" if self.account_disabled else "NormalAccount"


RECIPIENT_TYPES = {
    "UserMailbox": "UserMailbox",
    "LinkedMailbox": "UserMailbox",
    "SharedMailbox": "UserMailbox",
    "RoomMailbox": "UserMailbox",
    "RemoteUserMailbox": "MailUser",
    "DisabledUser": "User",
    "User": "User",
}
"""Each kind of recipient, with its coarse type."""

ON_PREMISES = frozenset({"UserMailbox", "LinkedMailbox", "SharedMailbox", "RoomMailbox"})
"""The kinds with a mailbox here; ``DisabledUser`` and ``User`` have none any more, ``RemoteUserMailbox`` elsewhere."""


@dataclass(frozen=True, slots=True)
class Handset:
    """What many phones say of themselves in the same words."""

    device_type: str | None
    model: str | None
    os: str | None
    language: str | None
    user_agent: str | None
    client_type: str
    client_version: str
    prefix: str

    @property
    def is_outlook(self) -> bool:
        """Whether Get-ActiveSyncDevice leaves this client out."""
        return self.client_type in {"REST", "Outlook"}


@dataclass(slots=True)
class Device:
    """One partnership. ``name`` is the directory object's: client and id, joined by ``§``."""

    guid: str
    device_id: str
    handset: Handset
    mailbox: Mailbox
    friendly_name: str | None
    imei: str | None
    phone: str | None
    operator: str | None
    state: str
    reason: str
    rule: str | None
    first_sync: int | None
    created: int
    changed: int

    @property
    def name(self) -> str:
        """The directory object's name."""
        return f"{self.handset.prefix}§{self.device_id}"

    @property
    def dn(self) -> str:
        """The distinguished name: two steps below the mailbox."""
        return f"CN={dn_part(self.name)},CN=ExchangeActiveSyncDevices,{self.mailbox.dn}"

    @property
    def identity(self) -> str:
        """The canonical name, which Exchange prints as identity."""
        return f"{self.mailbox.identity}/ExchangeActiveSyncDevices/{canonical_part(self.name)}"

    @property
    def short_identity(self) -> str:
        """The form with the mailbox's name that Exchange takes as well."""
        return f"{self.mailbox.name}\\ExchangeActiveSyncDevices\\{self.name}"


@dataclass(slots=True)
class MobileSettings:
    """The organization's mobile settings."""

    guid: str
    default_level: str = "Allow"
    admins: tuple[str, ...] = ("helpdesk@lab.example",)
    user_insert: str | None = None
    notification_insert: str | None = ""
    name: str = "Mobile Mailbox Settings"


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
        self._names: dict[str, Mailbox] | None = None

    def __repr__(self) -> str:
        return f"<Organization {len(self._mailboxes)} mailboxes, {len(self._devices)} devices>"

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

    def change_device(self, device: Device, **fields: Any) -> None:  # noqa: ANN401 - values of any field
        """Set fields of a device and stamp the change."""
        with self._lock:
            for name, value in fields.items():
                setattr(device, name, value)
            device.changed = self.clock()

    def remove_device(self, device: Device) -> None:
        """Take a device away, as removing the partnership does."""
        with self._lock:
            self._devices.pop(device.guid, None)
            if device in device.mailbox.devices:
                device.mailbox.devices.remove(device)

    def change_mailbox(self, mailbox: Mailbox, **fields: Any) -> None:  # noqa: ANN401 - values of any field
        """Set fields of a mailbox and stamp the change."""
        with self._lock:
            for name, value in fields.items():
                setattr(mailbox, name, value)
            mailbox.changed = self.clock()
            self._names = None

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
