"""Exchange's cmdlets as declarations: name, parameters with their types, the result fields that we read.

One declaration per cmdlet. A command is made by ``build``, which lets through nothing but declared parameters with
values of the declared type: no script text exists here, and a Get- verb never goes out with an empty identity, because
Exchange would answer with everything. Names are Exchange's own, verbatim.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatepost.errors import UsageError
from gatepost.wire.psrp import Command

UNLIMITED = "Unlimited"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One cmdlet: ``old`` is its name before Exchange 2013; ``fields`` are the properties that we read of its output.

    A parameter of type ``None`` is a switch.
    """

    name: str
    parameters: Mapping[str, type | None]
    fields: tuple[str, ...] = ()
    old: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name and, where there is one, the old name."""
        return (self.name, self.old) if self.old else (self.name,)


GET_MOBILE_DEVICE = Cmdlet(
    "Get-MobileDevice",
    {"Identity": str, "Mailbox": str, "Filter": str, "ResultSize": str},
    (
        "Guid", "DeviceId", "DistinguishedName", "Identity", "FriendlyName", "DeviceType", "DeviceModel", "DeviceOS",
        "DeviceOSLanguage", "DeviceUserAgent", "DeviceImei", "DeviceTelephoneNumber", "DeviceMobileOperator",
        "ClientType", "ClientVersion", "DeviceAccessState", "DeviceAccessStateReason", "DeviceAccessControlRule",
        "FirstSyncTime", "WhenChangedUTC",
    ),
    old="Get-ActiveSyncDevice",
)  # fmt: skip
GET_MOBILE_DEVICE_STATISTICS = Cmdlet(
    "Get-MobileDeviceStatistics",
    {"Identity": str, "Mailbox": str},
    (
        "Guid", "LastSyncAttemptTime", "LastSuccessSync", "LastPolicyUpdateTime", "DevicePolicyApplied",
        "DevicePolicyApplicationStatus", "Status", "DeviceWipeRequestTime", "DeviceWipeSentTime", "DeviceWipeAckTime",
        "LastDeviceWipeRequestor", "NumberOfFoldersSynced",
    ),
    old="Get-ActiveSyncDeviceStatistics",
)  # fmt: skip
GET_CAS_MAILBOX = Cmdlet(
    "Get-CASMailbox",
    {"Identity": str, "Filter": str, "ResultSize": str},
    (
        "Guid", "DistinguishedName", "Identity", "PrimarySmtpAddress", "DisplayName", "ActiveSyncEnabled",
        "ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs", "ActiveSyncMailboxPolicy", "WhenChangedUTC",
    ),
)  # fmt: skip
GET_RECIPIENT = Cmdlet(
    "Get-Recipient",
    {"Identity": str, "RecipientTypeDetails": tuple, "ResultSize": str},
    ("Guid", "RecipientTypeDetails"),
)
GET_EXCHANGE_SERVER = Cmdlet(
    "Get-ExchangeServer",
    {"Identity": str, "Status": None},
    ("Name", "Fqdn", "AdminDisplayVersion", "Edition", "ServerRole", "Site", "CurrentDomainControllers"),
)
GET_ORGANIZATION_SETTINGS = Cmdlet(
    "Get-ActiveSyncOrganizationSettings",
    {},
    ("DefaultAccessLevel", "AdminMailRecipients", "UserMailInsert", "OtaNotificationMailInsert", "Name"),
)
SET_AD_SERVER_SETTINGS = Cmdlet("Set-ADServerSettings", {"ViewEntireForest": bool, "PreferredServer": str})
GET_COMMAND = Cmdlet("Get-Command", {"Name": tuple}, ("Name", "Parameters"))
SELECT_OBJECT = Cmdlet("Select-Object", {"Property": tuple})

EXCHANGE: tuple[Cmdlet, ...] = (
    GET_MOBILE_DEVICE,
    GET_MOBILE_DEVICE_STATISTICS,
    GET_CAS_MAILBOX,
    GET_RECIPIENT,
    GET_EXCHANGE_SERVER,
    GET_ORGANIZATION_SETTINGS,
    SET_AD_SERVER_SETTINGS,
)


def build(cmdlet: Cmdlet, name: str | None = None, **parameters: Any) -> Command:  # noqa: ANN401 - typed by the declaration
    """A command of a declared cmdlet, under its own or its old name. Raises UsageError for what it does not take."""
    for parameter, value in parameters.items():
        if parameter not in cmdlet.parameters:
            raise UsageError(f"{cmdlet.name} is not declared with a parameter -{parameter}.")
        _check(cmdlet, parameter, value)
    if name is not None and name not in cmdlet.names:
        raise UsageError(f"{name} is not a name of {cmdlet.name}.")
    return Command(name or cmdlet.name, parameters)


def project(fields: tuple[str, ...]) -> Command:
    """Behind a cmdlet: send these properties only."""
    return build(SELECT_OBJECT, Property=fields)


def _check(cmdlet: Cmdlet, parameter: str, value: Any) -> None:  # noqa: ANN401 - typed by the declaration
    kind = cmdlet.parameters[parameter]
    if (value is None) != (kind is None) or (kind is not None and type(value) is not kind):
        wanted = "no value" if kind is None else kind.__name__
        raise UsageError(f"-{parameter} of {cmdlet.name} takes {wanted}, not {type(value).__name__}.")
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and (not text.strip() or _CONTROL.search(text)):
            raise UsageError(
                f"-{parameter} of {cmdlet.name} is empty or holds control characters.",
                "An empty identity would make Exchange answer with everything.",
            )
