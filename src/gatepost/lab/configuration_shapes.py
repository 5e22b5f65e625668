"""The classes of objects of an organization's configuration: its settings, rules, policies and limits."""

from gatepost.lab.clixml import Kind, Property, Shape
from gatepost.lab.mobile_policies import IS_DEFAULT, IS_DEFAULT_OLD, SETTINGS, property_of
from gatepost.lab.shapes import (
    ACCESS_REASONS,
    ENTRY,
    ENTRY_VALUES,
    MOBILE,
    ROOT,
    boolean,
    directory_id,
    enum,
    moment,
    text,
)
from gatepost.lab.values import ENUMS

ACCESS_LEVELS = ENUMS["DeviceAccessLevel"]
CHARACTERISTICS = ENUMS["DeviceAccessCharacteristic"]
UNLIMITED_BUDGETS = (
    "PowerShellMaxCmdlets", "PowerShellMaxCmdletsTimePeriod", "PowerShellMaxCmdletQueueDepth", "ExchangeMaxCmdlets",
    "PowerShellMaxOperations", "PowerShellMaxRunspaces", "PowerShellMaxDestructiveCmdlets",
)  # fmt: skip

ORGANIZATION_SETTINGS = Shape(
    (f"{MOBILE}.ActiveSyncOrganizationSettings", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "name",
    (
        Property(
            "DefaultAccessLevel", Kind.ENUM, "default_level", f"{MOBILE}.DeviceAccessLevel", members=ACCESS_LEVELS
        ),
        text("UserMailInsert", "user_insert"),
        text("OtaNotificationMailInsert", "notification_insert"),
        Property("AdminMailRecipients", Kind.LIST, "admins"),
        boolean("AllowAccessForUnSupportedPlatform"),
        text("Name", "name"),
        directory_id("Identity", "name"),
        Property("Guid", Kind.GUID, "guid"),
        *ENTRY,
    ),
    {**ENTRY_VALUES, "AllowAccessForUnSupportedPlatform": False},
)

_CONFIG_ENTRY = (
    text("DistinguishedName", "dn"),
    moment("WhenChanged", "changed", local=True),
    moment("WhenChangedUTC", "changed"),
    moment("WhenCreatedUTC", "created"),
    *ENTRY,
)

ACCESS_RULE = Shape(
    (f"{MOBILE}.ActiveSyncDeviceAccessRule", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "rule.name",
    (
        text("QueryString", "rule.query"),
        enum("Characteristic", "rule.characteristic", f"{MOBILE}.DeviceAccessCharacteristic", CHARACTERISTICS),
        enum("AccessLevel", "rule.level", f"{MOBILE}.DeviceAccessLevel", ACCESS_LEVELS),
        text("Name", "rule.name"),
        directory_id("Identity", "rule.name"),
        Property("Guid", Kind.GUID, "rule.guid"),
        text("DistinguishedName", "dn"),
        moment("WhenChanged", "rule.changed", local=True),
        moment("WhenChangedUTC", "rule.changed"),
        moment("WhenCreatedUTC", "rule.created"),
        *ENTRY,
    ),
    ENTRY_VALUES,
)

DEVICE_CLASS = Shape(
    (f"{MOBILE}.ActiveSyncDeviceClass", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "name",
    (
        text("DeviceType", "device_type", filterable=True),
        text("DeviceModel", "model", filterable=True),
        moment("LastUpdateTime", "last_update"),
        text("Name", "name"),
        directory_id("Identity", "name"),
        Property("Guid", Kind.GUID, "guid"),
        *ENTRY,
    ),
    ENTRY_VALUES,
)

_POLICY_ENTRY = (
    text("Name", "name"),
    directory_id("Identity", "name"),
    Property("Guid", Kind.GUID, "guid"),
    *_CONFIG_ENTRY,
)
MOBILE_POLICY = Shape(
    (f"{MOBILE}.MobileMailboxPolicy", f"{MOBILE}.MailboxPolicy", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "name",
    (*(property_of(one, old=False) for one in SETTINGS), boolean(IS_DEFAULT, "is_default"), *_POLICY_ENTRY),
    ENTRY_VALUES,
)
ACTIVESYNC_POLICY = Shape(
    (f"{MOBILE}.ActiveSyncMailboxPolicy", *MOBILE_POLICY.types),
    "name",
    (
        *(property_of(one, old=True) for one in SETTINGS),
        boolean(IS_DEFAULT_OLD, "is_default"),
        boolean(IS_DEFAULT, "is_default"),
        *_POLICY_ENTRY,
    ),
    ENTRY_VALUES,
)

THRESHOLD = Shape(
    (f"{MOBILE}.ActiveSyncDeviceAutoblockThreshold", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "name",
    (
        enum("BehaviorType", "name", f"{MOBILE}.AutoblockThresholdType", ACCESS_REASONS[6:]),
        Property("BehaviorTypeIncidenceLimit", Kind.INT32, "limit"),
        Property("BehaviorTypeIncidenceDuration", Kind.TEXT, "duration", "Microsoft.Exchange.Data.EnhancedTimeSpan"),
        Property("DeviceBlockDuration", Kind.TEXT, "block", "Microsoft.Exchange.Data.EnhancedTimeSpan"),
        text("AdminEmailInsert", "insert"),
        text("Name", "name"),
        directory_id("Identity", "name"),
        *ENTRY,
    ),
    ENTRY_VALUES,
)

_LIMIT = "Microsoft.Exchange.Data.Unlimited`1[[System.UInt32, mscorlib]]"
THROTTLING_POLICY = Shape(
    (f"{MOBILE}.ThrottlingPolicy", f"{MOBILE}.ADConfigurationObject", *ROOT),
    "name",
    (
        boolean("IsDefault", "is_default"),
        enum(
            "ThrottlingPolicyScope",
            "scope",
            f"{MOBILE}.ThrottlingPolicyScopeType",
            ("Regular", "Organization", "Global"),
        ),
        Property("PowerShellMaxConcurrency", Kind.TEXT, "concurrency", _LIMIT),
        *(Property(name, Kind.TEXT, "", _LIMIT) for name in UNLIMITED_BUDGETS),
        Property("EwsMaxConcurrency", Kind.TEXT, "", _LIMIT),
        Property("EasMaxDevices", Kind.TEXT, "", _LIMIT),
        text("Name", "name"),
        directory_id("Identity", "name"),
        *ENTRY,
    ),
    {
        **ENTRY_VALUES,
        **dict.fromkeys(UNLIMITED_BUDGETS, "Unlimited"),
        "EwsMaxConcurrency": "27",
        "EasMaxDevices": "100",
    },
)
THROTTLING_ASSOCIATION = Shape(
    (f"{MOBILE}.ThrottlingPolicyAssociation", f"{MOBILE}.ADPresentationObject", *ROOT),
    "name",
    (directory_id("ThrottlingPolicyId", "policy"), text("Name", "name"), directory_id("Identity", "name"), *ENTRY),
    ENTRY_VALUES,
)
