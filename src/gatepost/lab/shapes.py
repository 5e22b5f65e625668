"""The classes of objects that the lab writes: type names, properties and their .NET kinds, as in docs/exchange.md.

A property stands here once, with the attribute of the lab's rows that feeds it. ``few`` marks values that many rows
share.
"""

from gatepost.lab.clixml import Kind, Property, Shape
from gatepost.lab.mobile_policies import IS_DEFAULT, IS_DEFAULT_OLD, SETTINGS, property_of
from gatepost.lab.values import ENUMS

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
_DIRECTORY = "Microsoft.Exchange.Data.Directory"
_ROOT = (
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
ACCESS_LEVELS = ("Allow", "Block", "Quarantine")
CHARACTERISTICS = ENUMS["DeviceAccessCharacteristic"]
UNLIMITED_BUDGETS = (
    "PowerShellMaxCmdlets", "PowerShellMaxCmdletsTimePeriod", "PowerShellMaxCmdletQueueDepth", "ExchangeMaxCmdlets",
    "PowerShellMaxOperations", "PowerShellMaxRunspaces", "PowerShellMaxDestructiveCmdlets",
)  # fmt: skip
CLIENT_TYPES = ("EAS", "REST", "Outlook")
RECIPIENT_KINDS = (
    "None", "UserMailbox", "LinkedMailbox", "SharedMailbox", "RoomMailbox", "MailUser", "User", "DisabledUser",
    "RemoteUserMailbox",
)  # fmt: skip
_MOBILE = f"{_DIRECTORY}.SystemConfiguration"

_STAMPS = (
    moment("WhenChanged", "changed", local=True),
    moment("WhenCreated", "created", local=True),
    moment("WhenChangedUTC", "changed"),
    moment("WhenCreatedUTC", "created"),
)
_ENTRY = (
    Property("OrganizationId", Kind.TEXT, "", f"{_DIRECTORY}.OrganizationId", few=True),
    boolean("IsValid"),
    Property(
        "ObjectState", Kind.ENUM, "", "Microsoft.Exchange.Data.ObjectState", members=("New", "Unchanged", "Changed")
    ),
)
_ENTRY_VALUES: dict[str, object] = {"OrganizationId": "", "IsValid": True, "ObjectState": "Unchanged"}
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
    enum("DeviceAccessState", "state", f"{_MOBILE}.DeviceAccessState", ACCESS_STATES),
    enum("DeviceAccessStateReason", "reason", f"{_MOBILE}.DeviceAccessStateReason", ACCESS_REASONS),
    directory_id("DeviceAccessControlRule", "rule", few=True),
    text("ClientVersion", "handset.client_version", few=True, filterable=True),
    enum("ClientType", "handset.client_type", f"{_MOBILE}.MobileClientType", CLIENT_TYPES),
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
    *_ENTRY,
)
_DEVICE_VALUES: dict[str, object] = {
    **_ENTRY_VALUES,
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
    (f"{_MOBILE}.MobileDevice", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "identity",
    _DEVICE_PROPERTIES,
    _DEVICE_VALUES,
)
ACTIVESYNC_DEVICE = Shape(
    (f"{_MOBILE}.ActiveSyncDevice", f"{_MOBILE}.MobileDevice", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
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
        enum("DeviceAccessState", "device.state", f"{_MOBILE}.DeviceAccessState", ACCESS_STATES),
        enum("DeviceAccessStateReason", "device.reason", f"{_MOBILE}.DeviceAccessStateReason", ACCESS_REASONS),
        directory_id("DeviceAccessControlRule", "device.rule", few=True),
        directory_id("DevicePolicyApplied", "policy", few=True),
        enum(
            "DevicePolicyApplicationStatus", "policy_status", f"{_MOBILE}.DevicePolicyApplicationStatus", POLICY_STATES
        ),
        text("LastDeviceWipeRequestor", "wipe.requestor"),
        text("LastAccountOnlyDeviceWipeRequestor", "account_wipe.requestor"),
        text("ClientVersion", "device.handset.client_version", few=True),
        Property("NumberOfFoldersSynced", Kind.INT32, "folders"),
        enum("ClientType", "device.handset.client_type", f"{_MOBILE}.MobileClientType", CLIENT_TYPES),
        boolean("IsValid"),
        _ENTRY[-1],
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
    *_ENTRY,
)
_MAILBOX_VALUES: dict[str, object] = {
    **_ENTRY_VALUES,
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
        enum("Edition", "server.edition", f"{_MOBILE}.ServerEditionType", ("Unknown", "Standard", "Enterprise")),
        text("Fqdn", "server.fqdn"),
        enum("ServerRole", "server.roles", f"{_MOBILE}.ServerRole", ()),
        Property("AdminDisplayVersion", Kind.TEXT, "server.version", "Microsoft.Exchange.Data.ServerVersion"),
        directory_id("Site", "server.site"),
        Property("CurrentDomainControllers", Kind.LIST, "controllers"),
        Property("CurrentGlobalCatalogs", Kind.LIST, "controllers"),
        text("CurrentConfigDomainController", "config_controller"),
        moment("WhenChanged", "server.created", local=True),
        moment("WhenChangedUTC", "server.created"),
        *_ENTRY,
    ),
    _ENTRY_VALUES,
)

ORGANIZATION_SETTINGS = Shape(
    (f"{_MOBILE}.ActiveSyncOrganizationSettings", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "name",
    (
        Property(
            "DefaultAccessLevel", Kind.ENUM, "default_level", f"{_MOBILE}.DeviceAccessLevel", members=ACCESS_LEVELS
        ),
        text("UserMailInsert", "user_insert"),
        text("OtaNotificationMailInsert", "notification_insert"),
        Property("AdminMailRecipients", Kind.LIST, "admins"),
        boolean("AllowAccessForUnSupportedPlatform"),
        text("Name", "name"),
        directory_id("Identity", "name"),
        Property("Guid", Kind.GUID, "guid"),
        *_ENTRY,
    ),
    {**_ENTRY_VALUES, "AllowAccessForUnSupportedPlatform": False},
)

_CONFIG_ENTRY = (
    text("DistinguishedName", "dn"),
    moment("WhenChanged", "changed", local=True),
    moment("WhenChangedUTC", "changed"),
    moment("WhenCreatedUTC", "created"),
    *_ENTRY,
)

ACCESS_RULE = Shape(
    (f"{_MOBILE}.ActiveSyncDeviceAccessRule", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "rule.name",
    (
        text("QueryString", "rule.query"),
        enum("Characteristic", "rule.characteristic", f"{_MOBILE}.DeviceAccessCharacteristic", CHARACTERISTICS),
        enum("AccessLevel", "rule.level", f"{_MOBILE}.DeviceAccessLevel", ACCESS_LEVELS),
        text("Name", "rule.name"),
        directory_id("Identity", "rule.name"),
        Property("Guid", Kind.GUID, "rule.guid"),
        text("DistinguishedName", "dn"),
        moment("WhenChanged", "rule.changed", local=True),
        moment("WhenChangedUTC", "rule.changed"),
        moment("WhenCreatedUTC", "rule.created"),
        *_ENTRY,
    ),
    _ENTRY_VALUES,
)

DEVICE_CLASS = Shape(
    (f"{_MOBILE}.ActiveSyncDeviceClass", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "name",
    (
        text("DeviceType", "device_type", filterable=True),
        text("DeviceModel", "model", filterable=True),
        moment("LastUpdateTime", "last_update"),
        text("Name", "name"),
        directory_id("Identity", "name"),
        Property("Guid", Kind.GUID, "guid"),
        *_ENTRY,
    ),
    _ENTRY_VALUES,
)

_POLICY_ENTRY = (
    text("Name", "name"),
    directory_id("Identity", "name"),
    Property("Guid", Kind.GUID, "guid"),
    *_CONFIG_ENTRY,
)
MOBILE_POLICY = Shape(
    (f"{_MOBILE}.MobileMailboxPolicy", f"{_MOBILE}.MailboxPolicy", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "name",
    (*(property_of(one, old=False) for one in SETTINGS), boolean(IS_DEFAULT, "is_default"), *_POLICY_ENTRY),
    _ENTRY_VALUES,
)
ACTIVESYNC_POLICY = Shape(
    (f"{_MOBILE}.ActiveSyncMailboxPolicy", *MOBILE_POLICY.types),
    "name",
    (
        *(property_of(one, old=True) for one in SETTINGS),
        boolean(IS_DEFAULT_OLD, "is_default"),
        boolean(IS_DEFAULT, "is_default"),
        *_POLICY_ENTRY,
    ),
    _ENTRY_VALUES,
)

THRESHOLD = Shape(
    (f"{_MOBILE}.ActiveSyncDeviceAutoblockThreshold", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "name",
    (
        enum("BehaviorType", "name", f"{_MOBILE}.AutoblockThresholdType", ACCESS_REASONS[6:]),
        Property("BehaviorTypeIncidenceLimit", Kind.INT32, "limit"),
        Property("BehaviorTypeIncidenceDuration", Kind.TEXT, "duration", "Microsoft.Exchange.Data.EnhancedTimeSpan"),
        Property("DeviceBlockDuration", Kind.TEXT, "block", "Microsoft.Exchange.Data.EnhancedTimeSpan"),
        text("AdminEmailInsert", "insert"),
        text("Name", "name"),
        directory_id("Identity", "name"),
        *_ENTRY,
    ),
    _ENTRY_VALUES,
)

_LIMIT = "Microsoft.Exchange.Data.Unlimited`1[[System.UInt32, mscorlib]]"
THROTTLING_POLICY = Shape(
    (f"{_MOBILE}.ThrottlingPolicy", f"{_MOBILE}.ADConfigurationObject", *_ROOT),
    "name",
    (
        boolean("IsDefault"),
        enum(
            "ThrottlingPolicyScope", "", f"{_MOBILE}.ThrottlingPolicyScopeType", ("Regular", "Organization", "Global")
        ),
        Property("PowerShellMaxConcurrency", Kind.TEXT, "concurrency", _LIMIT),
        *(Property(name, Kind.TEXT, "", _LIMIT) for name in UNLIMITED_BUDGETS),
        Property("EwsMaxConcurrency", Kind.TEXT, "", _LIMIT),
        Property("EasMaxDevices", Kind.TEXT, "", _LIMIT),
        text("Name", "name"),
        directory_id("Identity", "name"),
        *_ENTRY,
    ),
    {
        **_ENTRY_VALUES,
        **dict.fromkeys(UNLIMITED_BUDGETS, "Unlimited"),
        "IsDefault": True,
        "ThrottlingPolicyScope": "Global",
        "EwsMaxConcurrency": "27",
        "EasMaxDevices": "100",
    },
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
