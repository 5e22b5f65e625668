"""What must be so before an Exchange organization is set up, and the tenant's choice of its management authority.

The authority says which devices comply: Exchange alone (what is pinned and what Exchange's own rules say), or a
compliance source beside it.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Scope
from gatepost.service.packages import Package

AUTHORITIES = ("exchange", "source")


class Standing(StrEnum):
    """How a prerequisite stands; ``absent``: this version has nothing that could meet it, and nobody is stopped."""

    MET = "met"
    PARTLY = "partly"
    UNMET = "unmet"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """One prerequisite, by its stable name."""

    name: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Authority:
    """What was chosen, by whom and when."""

    authority: str
    chosen_by: str
    chosen_at: datetime


async def authority(scope: Scope) -> Authority | None:
    """The tenant's choice; None until somebody has chosen."""
    row = await scope.one("prerequisites.authority")
    return Authority(row["authority"], row["chosen_by"], row["chosen_at"]) if row else None


async def choose(scope: Scope, wanted: str, actor: str) -> None:
    """Choose who says which devices comply. Raises Problem 400 for what cannot be chosen."""
    if wanted not in AUTHORITIES:
        raise Problem(400, "malformed", f"The authority is {' or '.join(AUTHORITIES)}.")
    before = await authority(scope)
    if await scope.one("prerequisites.choose", authority=wanted, chosen_by=actor):
        body = {"before": before.authority if before else None, "after": wanted}
        await audit.record(scope, Event.AUTHORITY_CHOSEN, actor, body)


def examine(
    chosen: Authority | None, *, permitted: bool, address: str, packages: Sequence[Package]
) -> tuple[Prerequisite, ...]:
    """Every prerequisite in the order in which it is met; ``address`` is the service's, as connectors will call it."""
    found = {
        "permission": Standing.MET if permitted else Standing.UNMET,
        "authority": Standing.MET if chosen else Standing.UNMET,
        "directory": Standing.ABSENT,
        "address": _of_address(address),
        "package": Standing.MET if packages else Standing.UNMET,
    }
    return tuple(Prerequisite(name, standing) for name, standing in found.items())


def ready(prerequisites: Sequence[Prerequisite]) -> bool:
    """Whether nothing stands in the way of a download."""
    return all(each.standing is not Standing.UNMET for each in prerequisites)


def _of_address(address: str) -> Standing:
    """Encrypted, or of this machine alone, or neither."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    local = host == "localhost" or _is_loopback(host)
    return Standing.PARTLY if local else Standing.MET if parts.scheme == "https" else Standing.UNMET


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
