"""Devices, mailboxes and what else an organization consists of, in our words.

``Device`` and ``Mailbox`` are named tuples, not dataclasses: they are made by the hundred thousand while an inventory
streams, and a frozen dataclass costs three times as much to make. Times are aware datetimes in UTC.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class MailboxKind(StrEnum):
    """What a mailbox is. ``gone`` is never read from Exchange: it is what a device's parent is when it is missing."""

    USER = "user"
    LINKED = "linked"
    SHARED = "shared"
    ROOM = "room"
    REMOTE = "remote"
    DISABLED = "disabled"
    GONE = "gone"


class Device(NamedTuple):
    """One ActiveSync partnership; the key is ``guid``. ``device_id`` may occur in several mailboxes.

    ``mailbox_dn`` is the distinguished name of the mailbox that holds it (None if the name has no such parent).
    Missing and null values are None.
    """

    guid: str
    device_id: str | None
    mailbox_dn: str | None
    identity: str | None
    friendly_name: str | None
    device_type: str | None
    model: str | None
    os: str | None
    os_language: str | None
    user_agent: str | None
    imei: str | None
    phone_number: str | None
    mobile_operator: str | None
    client_type: str | None
    client_version: str | None
    access_state: str | None
    access_state_reason: str | None
    access_control_rule: str | None
    first_sync_at: datetime | None
    changed_at: datetime | None


class Statistics(NamedTuple):
    """What only a call per device tells: synchronisation, policy and wipe."""

    guid: str | None
    last_sync_attempt_at: datetime | None
    last_success_sync_at: datetime | None
    last_policy_update_at: datetime | None
    policy_applied: str | None
    policy_status: str | None
    status: str | None
    wipe_requested_at: datetime | None
    wipe_sent_at: datetime | None
    wipe_acknowledged_at: datetime | None
    last_wipe_requestor: str | None
    folders_synced: int | None


class Mailbox(NamedTuple):
    """One mailbox with its personal lists; the key is ``guid``. ``dn`` joins it to its devices.

    A list that the endpoint does not show is None, which is not the same as an empty one.
    """

    guid: str
    dn: str | None
    identity: str | None
    primary_smtp: str | None
    display_name: str | None
    kind: str
    eas_enabled: bool | None
    allowed_ids: tuple[str, ...] | None
    blocked_ids: tuple[str, ...] | None
    mailbox_policy: str | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccessLists:
    """A mailbox's two lists as read from ``controller`` (None where the session's own was not known).

    A list that the endpoint does not show is None, which is not the same as an empty one.
    """

    allowed: tuple[str, ...] | None
    blocked: tuple[str, ...] | None
    controller: str | None = None


@dataclass(frozen=True, slots=True)
class AccessChange:
    """What is to change in one mailbox's lists, in one write."""

    allow: tuple[str, ...] = ()
    disallow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    unblock: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.allow or self.disallow or self.block or self.unblock)


@dataclass(frozen=True, slots=True)
class MailboxAccess:
    """Whether a mailbox may use ActiveSync, and its mobile policy by name, as read from ``controller``."""

    eas_enabled: bool | None
    mailbox_policy: str | None
    controller: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """A mailbox that is not a plain user's, or what is left of one; ``dn`` joins it to its devices."""

    guid: str
    dn: str | None
    kind: MailboxKind
    primary_smtp: str | None


@dataclass(frozen=True, slots=True)
class Wipe:
    """How far a wipe is, of the whole device or of the account only; times in UTC, None where it has not come to it."""

    status: str | None
    requested_at: datetime | None
    sent_at: datetime | None
    acknowledged_at: datetime | None
    requestor: str | None

    @property
    def pending(self) -> bool:
        """Whether it was asked for and is not acknowledged."""
        return self.requested_at is not None and self.acknowledged_at is None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the account's roles give of one cmdlet.

    ``granted`` is the name under which it exists here, None if it does not; ``missing`` are parameters of ours that it
    lacks; ``role`` is a built-in management role that contains it.
    """

    cmdlet: str
    purpose: str
    writes: bool
    granted: str | None
    missing: tuple[str, ...]
    role: str


@dataclass(frozen=True, slots=True)
class Server:
    """One Exchange server of the organization."""

    name: str
    fqdn: str | None
    version: str | None
    edition: str | None
    roles: tuple[str, ...]
    site: str | None


@dataclass(frozen=True, slots=True)
class OrganizationSettings:
    """The organization's mobile settings as read: the default level and Exchange's own texts."""

    default_level: str | None
    admin_recipients: tuple[str, ...] = ()
    user_mail_insert: str | None = None
    ota_notification_insert: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of Exchange now: ``sessions`` in use of ``limit`` that may be, and calls ``waiting`` for one.

    ``pushed_back_at`` is when Exchange last said that it is too much, None where it never did, and ``why`` its words.
    """

    sessions: int
    limit: int
    waiting: int
    pushed_back_at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this endpoint and this account can do, as probed when the session was opened.

    ``cmdlets`` maps each granted cmdlet to its parameters. ``projection`` tells whether ``Select-Object`` works behind
    a cmdlet. ``device_cmdlet`` and ``statistics_cmdlet`` are the names to use here, None if neither is granted.
    ``controllers`` are the domain controllers that are known, of any domain, those to prefer first. ``sign_in`` is how
    the session signed in (kerberos, ntlm, basic); ``concurrency`` how many sessions the account may have at a time,
    None where that is not told or not limited.
    """

    server: str
    version: str | None
    domain_controller: str | None
    projection: bool
    device_cmdlet: str | None
    statistics_cmdlet: str | None
    cmdlets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    controllers: tuple[str, ...] = ()
    sign_in: str = ""
    concurrency: int | None = None


class Family(StrEnum):
    """The families people speak of; rules and the console group by them."""

    IOS = "ios"
    ANDROID = "android"
    OUTLOOK = "outlook"
    WINDOWS = "windows"
    OTHER = "other"


def family(device_type: str | None, os: str | None, user_agent: str | None) -> Family:
    """The family of a device from what it says of itself; ``other`` where that says nothing.

    Outlook goes first: it reports the phone's system in ``os``, but it is judged as a client of its own.
    """
    kind, system, agent = (device_type or "").lower(), (os or "").lower(), (user_agent or "").lower()
    if kind.startswith("outlook") or agent.startswith("outlook-ios-android"):
        return Family.OUTLOOK
    if kind in {"iphone", "ipad", "ipod"} or system.startswith(("ios", "ipados")) or agent.startswith("apple-"):
        return Family.IOS
    if "android" in system or "android" in kind or "android" in agent or kind.startswith("samsung"):
        return Family.ANDROID
    if kind.startswith(("windows", "wp")) or system.startswith("windows") or agent.startswith("msft-"):
        return Family.WINDOWS
    return Family.OTHER
