"""The versions of Exchange that the lab can be: their builds, and which cmdlets, parameters and properties they have.

What a version added stands with the cmdlet or parameter (``since``); what its objects lack stands here.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from gatepost.lab.binding import Cmdlet
from gatepost.lab.clixml import Shape


class Profile(NamedTuple):
    """One version: what Get-ExchangeServer shows, the remoting protocol, and properties that objects do not have.

    ``named_errors`` says whether error ids begin with the server and the kind of failure.
    """

    version: str
    roles: str
    edition: str = "Standard"
    protocol: str = "2.3"
    named_errors: bool = True
    lacks: frozenset[str] = frozenset()


_ROLES = "Mailbox, ClientAccess"
_SINCE_2016 = frozenset(
    {
        "AccountOnlyDeviceWipeSentTime", "AccountOnlyDeviceWipeRequestTime", "AccountOnlyDeviceWipeAckTime",
        "LastAccountOnlyDeviceWipeRequestor", "ActiveSyncSuppressReadReceipt",
    }
)  # fmt: skip
_SINCE_2013 = frozenset(
    {"ClientType", "ClientVersion", "IsManaged", "IsCompliant", "IsDisabled", "ThrottlingPolicyScope"}
)

PROFILES: dict[str, Profile] = {
    "2010sp1": Profile(
        "Version 14.1 (Build 218.15)",
        "Mailbox, ClientAccess, HubTransport",
        "Enterprise",
        "2.1",
        named_errors=False,
        lacks=_SINCE_2013 | _SINCE_2016,
    ),
    "2013": Profile("Version 15.0 (Build 1497.2)", _ROLES, protocol="2.2", lacks=_SINCE_2016),
    "2016": Profile("Version 15.1 (Build 2507.6)", _ROLES),
    "2019": Profile("Version 15.2 (Build 1544.4)", _ROLES),
    "se": Profile("Version 15.2 (Build 2562.17)", _ROLES),
}
"""The versions, oldest first."""

_AGE = {name: age for age, name in enumerate(PROFILES)}


def exists(since: str, profile: str) -> bool:
    """Whether a profile has what came with ``since``."""
    return _AGE.get(since, 0) <= _AGE[profile]


def cmdlets_of(profile: str, cmdlets: Iterable[Cmdlet]) -> list[Cmdlet]:
    """The cmdlets of a profile, each with the parameters and the properties that it has there."""
    return [
        replace(
            cmdlet.only(lambda parameter: exists(parameter.since, profile)),
            shape=_shape_of(profile, cmdlet.shape) if cmdlet.shape else None,
        )
        for cmdlet in cmdlets
        if exists(cmdlet.since, profile)
    ]


def _shape_of(profile: str, shape: Shape) -> Shape:
    lacks = PROFILES[profile].lacks
    return replace(shape, properties=tuple(prop for prop in shape.properties if prop.name not in lacks))
