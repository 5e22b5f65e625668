"""The classes of objects that the lab writes: type names, properties and their .NET kinds, as in docs/exchange.md.

A property stands here once, with the attribute of the lab's rows that feeds it. ``few`` marks values that many rows
share.
"""

from gatepost.lab.clixml import Kind, Property, Shape

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
_DIRECTORY = "Microsoft.Exchange.Data.Directory"
ROOT = (
    f"{_DIRECTORY}.ADObject",
    f"{_DIRECTORY}.ADRawEntry",
    "Microsoft.Exchange.Data.ConfigurableObject",
    "System.Object",
)
_AD_ID = f"{_DIRECTORY}.ADObjectId"


def text(name: str, source: str = "", *, few: bool = False, filterable: bool = False) -> Property:
    """A string."""
    return Property(name, Kind.STRING, source, few=few, filterable=filterable)


def boolean(name: str, source: str = "") -> Property:
    """A Boolean."""
    return Property(name, Kind.BOOLEAN, source, few=True, filterable=bool(source))


def enum(name: str, source: str, net_type: str, members: tuple[str, ...]) -> Property:
    """An enumeration."""
    return Property(name, Kind.ENUM, source, net_type, few=True, members=members, filterable=True)


def directory_id(name: str, source: str = "", *, few: bool = False) -> Property:
    """A reference to a directory object, printed as its canonical name."""
    return Property(name, Kind.ID, source, _AD_ID, few=few)


def moment(name: str, source: str, *, local: bool = False) -> Property:
    """A date and time."""
    return Property(name, Kind.TIME_LOCAL if local else Kind.TIME_UTC, source, filterable=True)


def names(name: str, source: str) -> Property:
    """A list of strings."""
    return Property(name, Kind.LIST, source, filterable=True)


ACCESS_STATES = ("Unknown", "Allowed", "Blocked", "Quarantined", "DeviceDiscovery")
ACCESS_REASONS = (
    "Unknown", "Global", "Individual", "DeviceRule", "Upgrade", "Policy", "UserAgentsChanges", "RecentCommands",
    "Watsons", "OutOfBudgets", "SyncCommands", "EnableNotificationEmail",
)  # fmt: skip
CLIENT_TYPES = ("EAS", "REST", "Outlook")
RECIPIENT_KINDS = (
    "None", "UserMailbox", "LinkedMailbox", "SharedMailbox", "RoomMailbox", "MailUser", "User", "DisabledUser",
    "RemoteUserMailbox",
)  # fmt: skip
MOBILE = f"{_DIRECTORY}.SystemConfiguration"

_STAMPS = (
    moment("WhenChanged", "changed", local=True),
    moment("WhenCreated", "created", local=True),
    moment("WhenChangedUTC", "changed"),
    moment("WhenCreatedUTC", "created"),
)
ENTRY = (
    Property("OrganizationId", Kind.TEXT, "", f"{_DIRECTORY}.OrganizationId", few=True),
    boolean("IsValid"),
    Property(
        "ObjectState", Kind.ENUM, "", "Microsoft.Exchange.Data.ObjectState", members=("New", "Unchanged", "Changed")
    ),
)
ENTRY_VALUES: dict[str, object] = {"OrganizationId": "", "IsValid": True, "ObjectState": "Unchanged"}
_VERSION = Property("ExchangeVersion", Kind.TEXT, "", "Microsoft.Exchange.Data.ExchangeObjectVersion")

_DEVICE_PROPERTIES = (
    text("FriendlyName", "friendly_name", filterable=True),
    text("DeviceId", "device_id", filterable=True),
    text("DeviceImei", "imei", filterable=True),
    text("DeviceMobileOperator", "operator", few=True, filterable=True),
    text("DeviceOS", "handset.os", few=True, filterable=True),
    text("DeviceOSLanguage", "handset.language", few=True, filterable=True),
    text("DeviceTelephoneNumber", "phone", filterable=True),
    text("DeviceType", "handset.device_type", few=True, filterable=True),
    text("DeviceUserAgent", "handset.user_agent", few=True, filterable=True),
    text("DeviceModel", "handset.model", few=True, filterable=True),
    moment("FirstSyncTime", "first_sync"),
    text("UserDisplayName", "mailbox.identity", filterable=True),
    enum("DeviceAccessState", "state", f"{MOBILE}.DeviceAccessState", ACCESS_STATES),
    enum("DeviceAccessStateReason", "reason", f"{MOBILE}.DeviceAccessStateReason", ACCESS_REASONS),
    directory_id("DeviceAccessControlRule", "rule", few=True),
    text("ClientVersion", "handset.client_version", few=True, filterable=True),
    enum("ClientType", "handset.client_type", f"{MOBILE}.MobileClientType", CLIENT_TYPES),
    boolean("IsManaged"),
    boolean("IsCompliant"),
    boolean("IsDisabled"),
    text("AdminDisplayName"),
    _VERSION,
    text("Name", "name"),
    text("DistinguishedName", "dn"),
    directory_id("Identity", "identity"),
    Property("ObjectCategory", Kind.ID, "", _AD_ID),
    Property("ObjectClass", Kind.LIST),
    Property("Guid", Kind.GUID, "guid"),
    *_STAMPS,
    text("Id", "identity"),
    text("OriginatingServer"),
    *ENTRY,
)
_DEVICE_VALUES: dict[str, object] = {
    **ENTRY_VALUES,
    "IsManaged": False,
    "IsCompliant": False,
    "IsDisabled": False,
    "AdminDisplayName": "",
    "ExchangeVersion": "0.10 (14.0.100.0)",
    "ObjectCategory": "lab.example/Configuration/Schema/ms-Exch-Active-Sync-Device",
    "ObjectClass": ("top", "msExchActiveSyncDevice"),
    "OriginatingServer": "dc1.lab.example",
}

MOBILE_DEVICE = Shape(
    (f"{MOBILE}.MobileDevice", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "identity",
    _DEVICE_PROPERTIES,
    _DEVICE_VALUES,
)
ACTIVESYNC_DEVICE = Shape(
    (f"{MOBILE}.ActiveSyncDevice", f"{MOBILE}.MobileDevice", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "identity",
    (text("DeviceActiveSyncVersion", "handset.client_version", few=True, filterable=True), *_DEVICE_PROPERTIES),
    _DEVICE_VALUES,
)

_STATISTICS = "Microsoft.Exchange.Data.Storage.Management"


def _wipe_times(name: str, source: str) -> tuple[Property, ...]:
    """When a wipe was sent, asked for and acknowledged."""
    return tuple(
        moment(f"{name}{step}Time", f"{source}.{field}")
        for step, field in (("Sent", "sent"), ("Request", "requested"), ("Ack", "acknowledged"))
    )


WIPE_STATES = (
    "DeviceOk", "DeviceBlocked", "DeviceWipePending", "DeviceWipeSucceeded", "AccountOnlyDeviceWipePending",
    "AccountOnlyDeviceWipeSucceeded",
)  # fmt: skip
POLICY_STATES = ("Unknown", "NotApplied", "AppliedInFull", "PartiallyApplied", "ExternallyManaged")
_WIPES = (
    *_wipe_times("DeviceWipe", "wipe"),
    *_wipe_times("AccountOnlyDeviceWipe", "account_wipe"),
    Property("SyncStateUpgradeTime", Kind.TIME_UTC),
)
_NEVER = ("SyncStateUpgradeTime", "LastPingHeartbeat", "MailboxLogReport")
STATISTICS = Shape(
    (f"{_STATISTICS}.MobileDeviceConfiguration", "Microsoft.Exchange.Data.ConfigurableObject", "System.Object"),
    "device.identity",
    (
        moment("FirstSyncTime", "device.first_sync"),
        moment("LastPolicyUpdateTime", "last_policy_update"),
        moment("LastSyncAttemptTime", "last_attempt"),
        moment("LastSuccessSync", "last_success"),
        text("DeviceType", "device.handset.device_type", few=True),
        text("DeviceID", "device.device_id"),
        text("DeviceUserAgent", "device.handset.user_agent", few=True),
        *_WIPES,
        Property("LastPingHeartbeat", Kind.INT32),
        text("RecoveryPassword"),
        text("DeviceModel", "device.handset.model", few=True),
        text("DeviceImei", "device.imei"),
        text("DeviceFriendlyName", "device.friendly_name"),
        text("DeviceOS", "device.handset.os", few=True),
        text("DeviceOSLanguage", "device.handset.language", few=True),
        text("DevicePhoneNumber", "device.phone"),
        text("MailboxLogReport"),
        boolean("DeviceEnableOutboundSMS"),
        text("DeviceMobileOperator", "device.operator", few=True),
        directory_id("Identity", "device.identity"),
        Property("Guid", Kind.GUID, "device.guid"),
        boolean("IsRemoteWipeSupported", "can_wipe"),
        enum("Status", "status", f"{_STATISTICS}.DeviceRemoteWipeStatus", WIPE_STATES),
        text("StatusNote"),
        enum("DeviceAccessState", "device.state", f"{MOBILE}.DeviceAccessState", ACCESS_STATES),
        enum("DeviceAccessStateReason", "device.reason", f"{MOBILE}.DeviceAccessStateReason", ACCESS_REASONS),
        directory_id("DeviceAccessControlRule", "device.rule", few=True),
        directory_id("DevicePolicyApplied", "policy", few=True),
        enum(
            "DevicePolicyApplicationStatus", "policy_status", f"{MOBILE}.DevicePolicyApplicationStatus", POLICY_STATES
        ),
        text("LastDeviceWipeRequestor", "wipe.requestor"),
        text("LastAccountOnlyDeviceWipeRequestor", "account_wipe.requestor"),
        text("ClientVersion", "device.handset.client_version", few=True),
        Property("NumberOfFoldersSynced", Kind.INT32, "folders"),
        enum("ClientType", "device.handset.client_type", f"{MOBILE}.MobileClientType", CLIENT_TYPES),
        boolean("IsValid"),
        ENTRY[-1],
    ),
    {
        **dict.fromkeys(_NEVER),
        "RecoveryPassword": "********",
        "DeviceEnableOutboundSMS": False,
        "StatusNote": "",
        "IsValid": True,
        "ObjectState": "New",
    },
)

_RECIPIENT_ENUMS = (
    enum("RecipientType", "recipient_type", f"{_DIRECTORY}.Recipient.RecipientType", RECIPIENT_KINDS),
    enum("RecipientTypeDetails", "kind", f"{_DIRECTORY}.Recipient.RecipientTypeDetails", RECIPIENT_KINDS),
)
_SMTP = Property("PrimarySmtpAddress", Kind.TEXT, "smtp", "Microsoft.Exchange.Data.SmtpAddress", filterable=True)
_ADDRESSES = Property(
    "EmailAddresses", Kind.LIST, "addresses", "Microsoft.Exchange.Data.ProxyAddressCollection", filterable=True
)
_MAILBOX_ENTRY = (
    text("Name", "name", filterable=True),
    text("DistinguishedName", "dn", filterable=True),
    directory_id("Identity", "identity"),
    Property("Guid", Kind.GUID, "guid", filterable=True),
    Property("ObjectClass", Kind.LIST),
    *_STAMPS,
    _VERSION,
    text("Id", "identity"),
    text("OriginatingServer"),
    *ENTRY,
)
_MAILBOX_VALUES: dict[str, object] = {
    **ENTRY_VALUES,
    "ObjectClass": ("top", "person", "organizationalPerson", "user"),
    "ExchangeVersion": "0.20 (15.0.0.0)",
    "OriginatingServer": "dc1.lab.example",
}

CAS_MAILBOX = Shape(
    (
        f"{_DIRECTORY}.Management.CASMailbox",
        f"{_DIRECTORY}.Management.MailboxCommonBase",
        f"{_DIRECTORY}.Management.ADPresentationObject",
        "Microsoft.Exchange.Data.ConfigurableObject",
        "System.Object",
    ),
    "identity",
    (
        _ADDRESSES,
        text("LegacyExchangeDN", "legacy_dn"),
        text("LinkedMasterAccount", "linked_master", few=True),
        _SMTP,
        text("SamAccountName", "alias", filterable=True),
        text("ServerLegacyDN"),
        text("ServerName", "server", few=True, filterable=True),
        text("DisplayName", "display_name", filterable=True),
        names("ActiveSyncAllowedDeviceIDs", "allowed"),
        names("ActiveSyncBlockedDeviceIDs", "blocked"),
        directory_id("ActiveSyncMailboxPolicy", "policy", few=True),
        boolean("ActiveSyncMailboxPolicyIsDefaulted", "policy_is_default"),
        boolean("ActiveSyncDebugLogging"),
        boolean("ActiveSyncSuppressReadReceipt"),
        boolean("ActiveSyncEnabled", "enabled"),
        boolean("HasActiveSyncDevicePartnership", "has_devices"),
        boolean("OWAEnabled"),
        boolean("ECPEnabled"),
        boolean("PopEnabled"),
        boolean("ImapEnabled"),
        boolean("MAPIEnabled"),
        boolean("EwsEnabled"),
        Property("EwsAllowList", Kind.LIST),
        directory_id("OwaMailboxPolicy", few=True),
        *_MAILBOX_ENTRY,
    ),
    {
        **_MAILBOX_VALUES,
        "ServerLegacyDN": "/o=Lab/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers",
        "ActiveSyncDebugLogging": False,
        "ActiveSyncSuppressReadReceipt": False,
        "OWAEnabled": True,
        "ECPEnabled": True,
        "PopEnabled": False,
        "ImapEnabled": False,
        "MAPIEnabled": True,
        "EwsEnabled": None,
        "EwsAllowList": (),
        "OwaMailboxPolicy": None,
    },
)

RECIPIENT = Shape(
    (f"{_DIRECTORY}.Management.ReducedRecipient", "Microsoft.Exchange.Data.ConfigurableObject", "System.Object"),
    "identity",
    (
        text("Alias", "alias", filterable=True),
        text("DisplayName", "display_name", filterable=True),
        _ADDRESSES,
        _SMTP,
        text("SamAccountName", "alias", filterable=True),
        text("ServerName", "server", few=True),
        *_RECIPIENT_ENUMS,
        boolean("HasActiveSyncDevicePartnership", "has_devices"),
        text("Department"),
        *_MAILBOX_ENTRY,
    ),
    {**_MAILBOX_VALUES, "Department": ""},
)

USER = Shape(
    (f"{_DIRECTORY}.Management.User", f"{_DIRECTORY}.Management.OrgPersonPresentationObject", "System.Object"),
    "identity",
    (
        text("SamAccountName", "alias", filterable=True),
        text("UserPrincipalName", "upn", filterable=True),
        text("DisplayName", "display_name", filterable=True),
        Property(
            "UserAccountControl",
            Kind.TEXT,
            "account_control",
            f"{_DIRECTORY}.Recipient.UserAccountControlFlags",
            few=True,
        ),
        *_RECIPIENT_ENUMS,
        *_MAILBOX_ENTRY,
    ),
    _MAILBOX_VALUES,
)

SERVER = Shape(
    (f"{_DIRECTORY}.Management.ExchangeServer", f"{_DIRECTORY}.Management.ADPresentationObject", "System.Object"),
    "server.name",
    (
        text("Name", "server.name"),
        text("DistinguishedName", "server.dn"),
        directory_id("Identity", "server.name"),
        Property("Guid", Kind.GUID, "server.guid"),
        text("Domain", "server.domain.name"),
        enum("Edition", "server.edition", f"{MOBILE}.ServerEditionType", ("Unknown", "Standard", "Enterprise")),
        text("Fqdn", "server.fqdn"),
        enum("ServerRole", "server.roles", f"{MOBILE}.ServerRole", ()),
        Property("AdminDisplayVersion", Kind.TEXT, "server.version", "Microsoft.Exchange.Data.ServerVersion"),
        directory_id("Site", "server.site"),
        Property("CurrentDomainControllers", Kind.LIST, "controllers"),
        Property("CurrentGlobalCatalogs", Kind.LIST, "catalogs"),
        text("CurrentConfigDomainController", "config_controller"),
        moment("WhenChanged", "server.created", local=True),
        moment("WhenChangedUTC", "server.created"),
        *ENTRY,
    ),
    ENTRY_VALUES,
)

COMMAND = Shape(
    ("System.Management.Automation.CmdletInfo", "System.Management.Automation.CommandInfo", "System.Object"),
    "name",
    (
        text("Name", "name"),
        Property(
            "CommandType", Kind.ENUM, "", "System.Management.Automation.CommandTypes", members=("", "Alias", "Function")
        ),
        text("Definition", "definition"),
        Property(
            "Visibility", Kind.ENUM, "", "System.Management.Automation.SessionStateEntryVisibility", members=("Public",)
        ),
        text("ModuleName"),
        Property("Parameters", Kind.MAP, "parameter_types"),
        Property("ParameterSets", Kind.LIST, "sets", "System.Collections.ObjectModel.ReadOnlyCollection`1"),
    ),
    {"CommandType": "Function", "Visibility": "Public", "ModuleName": ""},
)
