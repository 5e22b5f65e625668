"""What an organization is set to: its access rules, its mailbox policies, and the classes of devices it has met.

Words of enumerations are Exchange's own, as read; values that we do not know are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Setting = bool | str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A device access rule: devices whose ``characteristic`` is exactly ``query`` get ``level``."""

    guid: str
    name: str | None
    characteristic: str | None
    query: str | None
    level: str | None


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    """A mobile device mailbox policy. Keys of ``settings`` are the names since Exchange 2013, on every version.

    A setting that this Exchange does not have is left out.
    """

    guid: str
    name: str | None
    is_default: bool | None
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """A type and model of which some device has been seen, last at ``updated_at`` (UTC)."""

    device_type: str | None
    model: str | None
    updated_at: datetime | None
