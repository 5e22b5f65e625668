"""The settings of a mobile device mailbox policy: names of today and of 2010, types and defaults, as documented.

A policy row keeps what was set, by today's names; ``PolicyRow`` shows all of them, set or default.
"""

from dataclasses import dataclass
from typing import Any

from gatepost.lab.clixml import Kind, Property
from gatepost.lab.names import config_dn
from gatepost.lab.rows import MailboxPolicy
from gatepost.lab.values import ENUMS, UNLIMITED


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: name, parameter type, default, its name in ActiveSyncMailboxPolicy where that differs."""

    name: str
    type: str
    default: Any
    old: str = ""
    since: str = ""

    @property
    def old_name(self) -> str:
        """The name that the older cmdlets use."""
        return self.old or self.name


_ON = (
    "AllowBrowser", "AllowCamera", "AllowConsumerEmail", "AllowDesktopSync", "AllowHTMLEmail", "AllowInternetSharing",
    "AllowIrDA", "AllowMobileOTAUpdate", "AllowNonProvisionableDevices", "AllowPOPIMAPEmail", "AllowRemoteDesktop",
    "AllowSMIMESoftCerts", "AllowStorageCard", "AllowTextMessaging", "AllowUnsignedApplications",
    "AllowUnsignedInstallationPackages", "AllowWiFi", "AttachmentsEnabled", "IrmEnabled", "UNCAccessEnabled",
    "WSSAccessEnabled",
)  # fmt: skip
_ON_SINCE_2013 = ("AllowApplePushNotifications", "AllowGooglePushNotifications", "AllowMicrosoftPushNotifications")
_OFF = (
    "AllowExternalDeviceManagement", "DeviceEncryptionEnabled", "PasswordRecoveryEnabled", "RequireDeviceEncryption",
    "RequireEncryptedSMIMEMessages", "RequireManualSyncWhenRoaming", "RequireSignedSMIMEMessages",
    "RequireStorageCardEncryption",
)  # fmt: skip
_SPAN, _SIZE, _COUNT = "Unlimited[EnhancedTimeSpan]", "Unlimited[ByteQuantifiedSize]", "Unlimited[Int32]"

SETTINGS: tuple[Setting, ...] = (
    *(Setting(name, "Boolean", True) for name in _ON),
    *(Setting(name, "Boolean", True, since="2013") for name in _ON_SINCE_2013),
    *(Setting(name, "Boolean", False) for name in _OFF),
    Setting("AllowSimplePassword", "Boolean", True, "AllowSimpleDevicePassword"),
    Setting("AlphanumericPasswordRequired", "Boolean", False, "AlphanumericDevicePasswordRequired"),
    Setting("PasswordEnabled", "Boolean", False, "DevicePasswordEnabled"),
    Setting("PasswordExpiration", _SPAN, UNLIMITED, "DevicePasswordExpiration"),
    Setting("PasswordHistory", "Int32", 0, "DevicePasswordHistory"),
    Setting("MaxPasswordFailedAttempts", _COUNT, UNLIMITED, "MaxDevicePasswordFailedAttempts"),
    Setting("MaxInactivityTimeLock", _SPAN, UNLIMITED, "MaxInactivityTimeDeviceLock"),
    Setting("MinPasswordComplexCharacters", "Int32", 1, "MinDevicePasswordComplexCharacters"),
    Setting("MinPasswordLength", "Nullable[Int32]", None, "MinDevicePasswordLength"),
    Setting("DevicePolicyRefreshInterval", _SPAN, UNLIMITED),
    Setting("MaxAttachmentSize", _SIZE, UNLIMITED),
    Setting("MaxEmailBodyTruncationSize", _COUNT, UNLIMITED),
    Setting("MaxEmailHTMLBodyTruncationSize", _COUNT, UNLIMITED),
    Setting("AllowBluetooth", "BluetoothType", "Allow"),
    Setting(
        "AllowSMIMEEncryptionAlgorithmNegotiation",
        "SMIMEEncryptionAlgorithmNegotiationType",
        "AllowAnyAlgorithmNegotiation",
    ),
    Setting("MaxCalendarAgeFilter", "CalendarAgeFilterType", "All"),
    Setting("MaxEmailAgeFilter", "EmailAgeFilterType", "All"),
    Setting("RequireEncryptionSMIMEAlgorithm", "RequireEncryptionSMIMEAlgorithmType", "TripleDES"),
    Setting("RequireSignedSMIMEAlgorithm", "RequireSignedSMIMEAlgorithmType", "SHA1"),
    Setting("ApprovedApplicationList", "MultiValuedProperty", ()),
    Setting("UnapprovedInROMApplicationList", "MultiValuedProperty", ()),
)
"""Every setting but the default flag. Two without a documented default (access to UNC and WSS) are on."""

IS_DEFAULT, IS_DEFAULT_OLD = "IsDefault", "IsDefaultPolicy"


class PolicyRow:
    """A policy as an object: its settings are attributes by today's names."""

    def __init__(self, policy: MailboxPolicy) -> None:
        self.policy = policy
        self.name = policy.name
        self.guid = policy.guid
        self.is_default = policy.is_default
        self.created = policy.created
        self.changed = policy.changed
        self.dn = config_dn(policy.name, "Mobile Mailbox Policies")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a value of any setting
        setting = _BY_NAME.get(name)
        if setting is None:
            raise AttributeError(name)
        return self.policy.settings.get(name, setting.default)


_BY_NAME = {setting.name: setting for setting in SETTINGS}


def property_of(setting: Setting, *, old: bool) -> Property:
    """How a setting stands in the object, by its old or today's name."""
    name = setting.old_name if old else setting.name
    if setting.type == "Boolean":
        return Property(name, Kind.BOOLEAN, setting.name, few=True)
    if setting.type in ENUMS:
        net_type = f"Microsoft.Exchange.Data.Directory.SystemConfiguration.{setting.type}"
        return Property(name, Kind.ENUM, setting.name, net_type, few=True, members=ENUMS[setting.type])
    if setting.type == "MultiValuedProperty":
        return Property(name, Kind.LIST, setting.name)
    if setting.type.startswith("Unlimited"):
        return Property(name, Kind.TEXT, setting.name, f"Microsoft.Exchange.Data.{setting.type}", few=True)
    return Property(name, Kind.INT32, setting.name)
