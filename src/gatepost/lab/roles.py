r"""Management roles: which cmdlets and parameters an account may use. What no role grants does not exist for a session.

A role is named as in Exchange. A role of one's own, as administrators cut them from a parent, is written as Exchange
writes the identity of a role entry, with the parameters that are left:

    Mail Recipients\Set-CASMailbox Identity DomainController ActiveSyncAllowedDeviceIDs
"""

from collections.abc import Iterable

from gatepost.errors import SettingsError
from gatepost.lab.binding import Cmdlet

_ALWAYS = ("Get-Command", "Select-Object")
_SESSION = ("Set-ADServerSettings",)
_DEVICES = ("Get-MobileDevice", "Get-ActiveSyncDevice", "Get-MobileDeviceStatistics", "Get-ActiveSyncDeviceStatistics")
_RECIPIENTS = ("Get-Recipient", "Get-User", "Get-CASMailbox")
_POLICIES = ("Get-MobileDeviceMailboxPolicy", "Get-ActiveSyncMailboxPolicy")
_ACCESS = (
    "Get-ActiveSyncOrganizationSettings", "Get-ActiveSyncDeviceAccessRule", "Get-ActiveSyncDeviceClass",
    "Get-ActiveSyncDeviceAutoblockThreshold",
)  # fmt: skip
_BUDGET = ("Get-ThrottlingPolicy", "Get-ThrottlingPolicyAssociation")
_REMOTE = ("Clear-MobileDevice", "Clear-ActiveSyncDevice", "Remove-MobileDevice", "Remove-ActiveSyncDevice")

ROLES: dict[str, tuple[str, ...]] = {
    "Mail Recipients": (
        *_SESSION, *_RECIPIENTS, *_DEVICES, *_POLICIES, *_REMOTE, "Set-CASMailbox", "Get-ExchangeServer",
    ),
    "User Options": (*_SESSION, *_RECIPIENTS, *_DEVICES, *_REMOTE, "Set-CASMailbox"),
    "View-Only Recipients": (*_SESSION, *_RECIPIENTS, *_DEVICES, *_POLICIES),
    "View-Only Configuration": (*_SESSION, *_POLICIES, *_ACCESS, "Get-ExchangeServer", *_BUDGET),
    "Organization Client Access": (
        *_SESSION, *_ACCESS, "Set-ActiveSyncOrganizationSettings", "New-ActiveSyncDeviceAccessRule",
        "Set-ActiveSyncDeviceAccessRule", "Remove-ActiveSyncDeviceAccessRule", "Remove-ActiveSyncDeviceClass",
        "Set-ActiveSyncDeviceAutoblockThreshold", "Get-ExchangeServer",
    ),
    "Recipient Policies": (
        *_SESSION, *_POLICIES, "New-MobileDeviceMailboxPolicy", "Set-MobileDeviceMailboxPolicy",
        "Remove-MobileDeviceMailboxPolicy", "New-ActiveSyncMailboxPolicy", "Set-ActiveSyncMailboxPolicy",
        "Remove-ActiveSyncMailboxPolicy", "Get-Recipient", *_BUDGET,
    ),
    "Exchange Servers": (*_SESSION, "Get-ExchangeServer"),
}  # fmt: skip
"""The built-in roles that touch mobile devices, each with what it grants of what the lab has."""


def granted(cmdlets: Iterable[Cmdlet], roles: Iterable[str]) -> list[Cmdlet]:
    """The cmdlets that roles grant, each with the parameters it may have there; no role at all grants everything.

    Raises SettingsError for a role that does not exist.
    """
    wanted = list(roles)
    known = list(cmdlets)
    if not wanted:
        return known
    allowed: dict[str, set[str] | None] = dict.fromkeys(_ALWAYS)
    for role in wanted:
        for name, parameters in _entries(role).items():
            before = allowed.get(name, set())
            allowed[name] = None if before is None or parameters is None else before | parameters
    return [_narrowed(cmdlet, allowed[cmdlet.name]) for cmdlet in known if cmdlet.name in allowed]


def _entries(role: str) -> dict[str, set[str] | None]:
    """The cmdlets of one role, with their parameters; None means all."""
    name, _, entry = role.partition("\\")
    cmdlets = next((found for known, found in ROLES.items() if known.lower() == name.strip().lower()), None)
    if cmdlets is None:
        raise SettingsError(f"There is no management role {name!r} in the lab.", f"Choose from {', '.join(ROLES)}.")
    if not entry:
        return dict.fromkeys(cmdlets)
    words = entry.split()
    cmdlet = next((found for found in cmdlets if found.lower() == words[0].lower()), None) if words else None
    if cmdlet is None:
        raise SettingsError(f"The management role {name!r} has no entry {entry!r}.", "See docs/lab.md for what it has.")
    return {cmdlet: {word.lower() for word in words[1:]} or None}


def _narrowed(cmdlet: Cmdlet, parameters: set[str] | None) -> Cmdlet:
    return cmdlet if parameters is None else cmdlet.only(lambda parameter: parameter.name.lower() in parameters)
