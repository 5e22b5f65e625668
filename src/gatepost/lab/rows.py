"""The rows of an emulated organization: its domains, servers, mailboxes, ActiveSync partnerships and their settings.

Rows are mutable and small, for half a million of them must fit; what many share (a ``Handset``) is kept once, and what
can be told from other fields (identities, distinguished names) is computed. Times are ticks: 100 ns since 1970, UTC.
Nobody but the forest sets a field of a row that it holds: changes go through a view.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Self
from uuid import uuid4

from gatepost.lab.names import canonical_part, dn_part

TICKS = 10_000_000


def ticks(seconds: float) -> int:
    """So many seconds, in ticks."""
    return int(seconds * TICKS)


def new_guid() -> str:
    """An identifier that nothing had before."""
    return str(uuid4())


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
    catalogs: tuple[str, ...] = ()
    config_controller: str | None = None


@dataclass(slots=True)
class Mailbox:
    """One mailbox, or what is left of one (``kind`` of the recipient as Exchange calls it).

    ``protected`` accounts (AdminSDHolder) inherit no permissions: Exchange may not write to them.
    """

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
    protected: bool = False
    devices: list["Device"] = field(default_factory=list)
    dn: str = field(init=False)
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        """Keep the distinguished and the canonical name: every name of every device begins with them."""
        self.rename()

    def rename(self) -> None:
        """Make the distinguished and the canonical name anew."""
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

    @property
    def home(self) -> str:
        """The domain controller where the mailbox's Exchange server reads, and writes what phones tell it."""
        return self.domain.controllers[0]

    def row(self, guid: str) -> "Mailbox | Device | None":
        """The mailbox itself, or its device of that guid."""
        return self if guid == self.guid else next((device for device in self.devices if device.guid == guid), None)

    def put(self, row: "Device | AccessRule | MailboxPolicy") -> None:
        """Take in a device; a mailbox holds nothing else."""
        assert isinstance(row, Device)
        row.mailbox = self
        self.devices.append(row)

    def drop(self, guid: str) -> None:
        """Take a device away."""
        self.devices[:] = [device for device in self.devices if device.guid != guid]

    def twin(self) -> Self:
        """A copy with copies of its devices."""
        box = copy(self)
        box.devices = [copy(device) for device in self.devices]
        for device in box.devices:
            device.mailbox = box
        return box


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
    def provisionable(self) -> bool:
        """Whether it can apply a mailbox policy: versions of ActiveSync before 12.1 cannot."""
        return self.client_version != "12.0"

    @property
    def is_outlook(self) -> bool:
        """Whether Get-ActiveSyncDevice leaves this client out."""
        return self.client_type in {"REST", "Outlook"}


@lru_cache(maxsize=1_024)
def unknown(handset: Handset) -> Handset:
    """The handset as it is seen during device discovery: what it is has not been told yet."""
    return replace(handset, model=None, os=None, language=None, user_agent=None)


@dataclass(frozen=True, slots=True)
class Wipe:
    """How far a wipe of a phone, or of its account only, has come; the times are ticks, None for what has not been."""

    requested: int
    requestor: str
    sent: int | None = None
    acknowledged: int | None = None
    notify: tuple[str, ...] = ()


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
    wipe: Wipe | None = None
    account_wipe: Wipe | None = None

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
    changed: int = 0


@dataclass(slots=True)
class AccessRule:
    """One device access rule: phones whose ``characteristic`` is exactly ``query`` get ``level``."""

    name: str
    query: str
    characteristic: str
    level: str
    guid: str = field(default_factory=new_guid)
    created: int = 0
    changed: int = 0


@dataclass(slots=True)
class MailboxPolicy:
    """One mobile device mailbox policy; ``settings`` holds what was set, by the newer names, the rest is default."""

    name: str
    is_default: bool = False
    settings: dict[str, object] = field(default_factory=dict)
    guid: str = field(default_factory=new_guid)
    created: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """A type and model that phones of the organization have shown, and when it was last seen, in ticks."""

    guid: str
    device_type: str | None
    model: str | None
    last_update: int

    @property
    def name(self) -> str:
        """The directory object's name."""
        return f"{self.device_type or ''}§{self.model or ''}"


@dataclass(slots=True)
class Configuration:
    """What the whole forest shares: the mobile settings, the device access rules, the mailbox policies."""

    settings: MobileSettings
    rules: dict[str, AccessRule] = field(default_factory=dict)
    policies: dict[str, MailboxPolicy] = field(default_factory=dict)

    def row(self, guid: str) -> MobileSettings | AccessRule | MailboxPolicy | None:
        """The row of that guid."""
        if guid == self.settings.guid:
            return self.settings
        return self.rules.get(guid) or self.policies.get(guid)

    def put(self, row: Device | AccessRule | MailboxPolicy) -> None:
        """Take in a rule or policy; devices stand in mailboxes."""
        assert not isinstance(row, Device)
        if isinstance(row, AccessRule):
            self.rules[row.guid] = row
        else:
            self.policies[row.guid] = row

    def drop(self, guid: str) -> None:
        """Take a rule or policy away."""
        self.rules.pop(guid, None)
        self.policies.pop(guid, None)

    def twin(self) -> Self:
        """A copy with copies of its rows."""
        rules = {guid: copy(rule) for guid, rule in self.rules.items()}
        policies = {guid: copy(policy) for guid, policy in self.policies.items()}
        return type(self)(copy(self.settings), rules, policies)
