"""Exchange's cmdlets as declarations: name, parameters with their types, the result fields that we read.

One declaration per cmdlet. Names are Exchange's own, verbatim; a command is made of them by ``exchange.commands``.
"""

from gatepost.exchange.commands import Change, Changed, Clearable, Cmdlet, build
from gatepost.exchange.mailbox_settings import LISTS, OLD_NAMES, SETTINGS
from gatepost.wire.creating import Command

_SEE_RECIPIENTS, _SEE_CONFIGURATION = "View-Only Recipients", "View-Only Configuration"
_RECIPIENTS, _CLIENTS, _POLICIES = "Mail Recipients", "Organization Client Access", "Recipient Policies"
_AT: dict[str, type | None] = {"DomainController": str}
_ONE: dict[str, type | None] = {"Identity": str, **_AT}
_LISTING: dict[str, type | None] = {**_ONE, "Filter": Changed, "ResultSize": str}
_WRITE: dict[str, type | None] = {"Confirm": bool, **_AT}
_WRITE_ONE: dict[str, type | None] = {"Identity": str, **_WRITE}

GET_MOBILE_DEVICE = Cmdlet(
    "Get-MobileDevice",
    _LISTING,
    (
        "Guid", "DeviceId", "DistinguishedName", "Identity", "FriendlyName", "DeviceType", "DeviceModel", "DeviceOS",
        "DeviceOSLanguage", "DeviceUserAgent", "DeviceImei", "DeviceTelephoneNumber", "DeviceMobileOperator",
        "ClientType", "ClientVersion", "DeviceAccessState", "DeviceAccessStateReason", "DeviceAccessControlRule",
        "FirstSyncTime", "WhenChangedUTC",
    ),
    old="Get-ActiveSyncDevice",
    purpose="inventory",
    role=_SEE_RECIPIENTS,
)  # fmt: skip
GET_MOBILE_DEVICE_STATISTICS = Cmdlet(
    "Get-MobileDeviceStatistics",
    _ONE,
    (
        "Guid", "LastSyncAttemptTime", "LastSuccessSync", "LastPolicyUpdateTime", "DevicePolicyApplied",
        "DevicePolicyApplicationStatus", "Status", "DeviceWipeRequestTime", "DeviceWipeSentTime", "DeviceWipeAckTime",
        "LastDeviceWipeRequestor", "NumberOfFoldersSynced",
    ),
    old="Get-ActiveSyncDeviceStatistics",
    purpose="statistics",
    role=_SEE_RECIPIENTS,
)  # fmt: skip
GET_CAS_MAILBOX = Cmdlet(
    "Get-CASMailbox",
    _LISTING,
    (
        "Guid", "DistinguishedName", "Identity", "PrimarySmtpAddress", "DisplayName", "ActiveSyncEnabled",
        "ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs", "ActiveSyncMailboxPolicy", "WhenChangedUTC",
    ),
    purpose="inventory",
    role=_SEE_RECIPIENTS,
)  # fmt: skip
SET_CAS_MAILBOX = Cmdlet(
    "Set-CASMailbox",
    {
        **_WRITE_ONE,
        "ActiveSyncAllowedDeviceIDs": Change,
        "ActiveSyncBlockedDeviceIDs": Change,
        "ActiveSyncEnabled": bool,
        "ActiveSyncMailboxPolicy": str,
    },
    purpose="access",
    role=_RECIPIENTS,
    apart=frozenset({"ActiveSyncEnabled", "ActiveSyncMailboxPolicy"}),
)
GET_RECIPIENT = Cmdlet(
    "Get-Recipient",
    {"RecipientTypeDetails": tuple, "ResultSize": str},
    ("Guid", "DistinguishedName", "RecipientTypeDetails", "PrimarySmtpAddress"),
    purpose="kinds of mailboxes",
    role=_SEE_RECIPIENTS,
)
GET_EXCHANGE_SERVER = Cmdlet(
    "Get-ExchangeServer",
    {"Status": None},
    (
        "Name", "Fqdn", "AdminDisplayVersion", "Edition", "ServerRole", "Site",
        "CurrentDomainControllers", "CurrentGlobalCatalogs",
    ),
    purpose="servers",
    role=_SEE_CONFIGURATION,
)  # fmt: skip
GET_THROTTLING_POLICY = Cmdlet(
    "Get-ThrottlingPolicy",
    {},
    ("Name", "ThrottlingPolicyScope", "IsDefault", "PowerShellMaxConcurrency"),
    purpose="budget of sessions",
    role=_SEE_CONFIGURATION,
)
GET_THROTTLING_POLICY_ASSOCIATION = Cmdlet(
    "Get-ThrottlingPolicyAssociation",
    {"Identity": str},
    ("ThrottlingPolicyId",),
    purpose="budget of sessions",
    role=_SEE_CONFIGURATION,
)
GET_ORGANIZATION_SETTINGS = Cmdlet(
    "Get-ActiveSyncOrganizationSettings",
    _AT,
    ("DefaultAccessLevel", "AdminMailRecipients", "UserMailInsert", "OtaNotificationMailInsert", "Name"),
    purpose="settings",
    role=_SEE_CONFIGURATION,
)
SET_ORGANIZATION_SETTINGS = Cmdlet(
    "Set-ActiveSyncOrganizationSettings",
    {
        **_WRITE,
        "DefaultAccessLevel": str,
        "AdminMailRecipients": Change,
        "UserMailInsert": Clearable,
        "OtaNotificationMailInsert": Clearable,
    },
    purpose="settings",
    role=_CLIENTS,
)
GET_ACCESS_RULE = Cmdlet(
    "Get-ActiveSyncDeviceAccessRule",
    _ONE,
    ("Guid", "Name", "Characteristic", "QueryString", "AccessLevel"),
    purpose="rules",
    role=_SEE_CONFIGURATION,
)
NEW_ACCESS_RULE = Cmdlet(
    "New-ActiveSyncDeviceAccessRule",
    {**_WRITE, "Characteristic": str, "QueryString": str, "AccessLevel": str},
    purpose="rules",
    role=_CLIENTS,
)
SET_ACCESS_RULE = Cmdlet(
    "Set-ActiveSyncDeviceAccessRule", {**_WRITE_ONE, "AccessLevel": str}, purpose="rules", role=_CLIENTS
)
REMOVE_ACCESS_RULE = Cmdlet("Remove-ActiveSyncDeviceAccessRule", _WRITE_ONE, purpose="rules", role=_CLIENTS)
GET_MAILBOX_POLICY = Cmdlet(
    "Get-MobileDeviceMailboxPolicy",
    _ONE,
    ("Guid", "Name", "IsDefault", *SETTINGS),
    old="Get-ActiveSyncMailboxPolicy",
    renamed=OLD_NAMES,
    purpose="policies",
    role=_SEE_CONFIGURATION,
)
NEW_MAILBOX_POLICY = Cmdlet(
    "New-MobileDeviceMailboxPolicy",
    {**_WRITE, "Name": str, **SETTINGS},
    old="New-ActiveSyncMailboxPolicy",
    renamed=OLD_NAMES,
    purpose="policies",
    role=_POLICIES,
)
SET_MAILBOX_POLICY = Cmdlet(
    "Set-MobileDeviceMailboxPolicy",
    {**_WRITE_ONE, **SETTINGS, **dict.fromkeys(LISTS, Change)},
    old="Set-ActiveSyncMailboxPolicy",
    renamed=OLD_NAMES,
    purpose="policies",
    role=_POLICIES,
)
REMOVE_MAILBOX_POLICY = Cmdlet(
    "Remove-MobileDeviceMailboxPolicy",
    _WRITE_ONE,
    old="Remove-ActiveSyncMailboxPolicy",
    purpose="policies",
    role=_POLICIES,
)
GET_DEVICE_CLASS = Cmdlet(
    "Get-ActiveSyncDeviceClass",
    _AT,
    ("DeviceType", "DeviceModel", "LastUpdateTime"),
    purpose="device classes",
    role=_SEE_CONFIGURATION,
)
CLEAR_MOBILE_DEVICE = Cmdlet(
    "Clear-MobileDevice",
    {**_WRITE_ONE, "Cancel": None, "AccountOnly": None, "NotificationEmailAddresses": tuple},
    old="Clear-ActiveSyncDevice",
    purpose="orders",
    role=_RECIPIENTS,
)
REMOVE_MOBILE_DEVICE = Cmdlet(
    "Remove-MobileDevice", _WRITE_ONE, old="Remove-ActiveSyncDevice", purpose="orders", role=_RECIPIENTS
)
SET_AD_SERVER_SETTINGS = Cmdlet(
    "Set-ADServerSettings",
    {"ViewEntireForest": bool, "PreferredServer": str},
    purpose="view of the forest",
    role=_SEE_CONFIGURATION,
)
GET_COMMAND = Cmdlet("Get-Command", {"Name": tuple}, ("Name", "Parameters"))
SELECT_OBJECT = Cmdlet("Select-Object", {"Property": tuple})

EXCHANGE: tuple[Cmdlet, ...] = (
    SET_AD_SERVER_SETTINGS,
    GET_MOBILE_DEVICE,
    GET_MOBILE_DEVICE_STATISTICS,
    GET_CAS_MAILBOX,
    GET_RECIPIENT,
    GET_EXCHANGE_SERVER,
    GET_THROTTLING_POLICY,
    GET_THROTTLING_POLICY_ASSOCIATION,
    GET_ORGANIZATION_SETTINGS,
    GET_ACCESS_RULE,
    GET_MAILBOX_POLICY,
    GET_DEVICE_CLASS,
    SET_CAS_MAILBOX,
    CLEAR_MOBILE_DEVICE,
    REMOVE_MOBILE_DEVICE,
    SET_ORGANIZATION_SETTINGS,
    NEW_ACCESS_RULE,
    SET_ACCESS_RULE,
    REMOVE_ACCESS_RULE,
    NEW_MAILBOX_POLICY,
    SET_MAILBOX_POLICY,
    REMOVE_MAILBOX_POLICY,
)
"""What an account may be granted, reads first."""
REQUIRED: tuple[Cmdlet, ...] = (SET_AD_SERVER_SETTINGS, GET_CAS_MAILBOX, GET_MOBILE_DEVICE)
"""Without these there is no inventory, and nothing else is worth a beginning."""


def role_of(name: str) -> str:
    """The built-in role that grants a cmdlet, by either of its names; empty for one that is not listed."""
    return next((cmdlet.role for cmdlet in EXCHANGE if name in cmdlet.names), "")


def project(fields: tuple[str, ...]) -> Command:
    """Behind a cmdlet: send these properties only."""
    return build(SELECT_OBJECT, Property=fields)
