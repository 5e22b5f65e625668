"""The settings of a mobile device mailbox policy by the names of Exchange 2013 and later, with the type of each.

Exchange 2010 calls some of them otherwise. Numbers, spans, ``Unlimited`` and enumerations travel as text.
"""

from gatepost.exchange.commands import Clearable

BOOLEANS = (
    "AllowApplePushNotifications", "AllowBrowser", "AllowCamera", "AllowConsumerEmail", "AllowDesktopSync",
    "AllowExternalDeviceManagement", "AllowGooglePushNotifications", "AllowHTMLEmail", "AllowInternetSharing",
    "AllowIrDA", "AllowMicrosoftPushNotifications", "AllowMobileOTAUpdate", "AllowNonProvisionableDevices",
    "AllowPOPIMAPEmail", "AllowRemoteDesktop", "AllowSMIMESoftCerts", "AllowSimplePassword", "AllowStorageCard",
    "AllowTextMessaging", "AllowUnsignedApplications", "AllowUnsignedInstallationPackages", "AllowWiFi",
    "AlphanumericPasswordRequired", "AttachmentsEnabled", "DeviceEncryptionEnabled", "IrmEnabled", "PasswordEnabled",
    "PasswordRecoveryEnabled", "RequireDeviceEncryption", "RequireEncryptedSMIMEMessages",
    "RequireManualSyncWhenRoaming", "RequireSignedSMIMEMessages", "RequireStorageCardEncryption", "UNCAccessEnabled",
    "WSSAccessEnabled",
)  # fmt: skip
TEXTS = (
    "AllowBluetooth", "AllowSMIMEEncryptionAlgorithmNegotiation", "DevicePolicyRefreshInterval", "MaxAttachmentSize",
    "MaxCalendarAgeFilter", "MaxEmailAgeFilter", "MaxEmailBodyTruncationSize", "MaxEmailHTMLBodyTruncationSize",
    "MaxInactivityTimeLock", "MaxPasswordFailedAttempts", "MinPasswordComplexCharacters", "MinPasswordLength",
    "PasswordExpiration", "PasswordHistory", "RequireEncryptionSMIMEAlgorithm", "RequireSignedSMIMEAlgorithm",
)  # fmt: skip
LISTS = ("ApprovedApplicationList", "UnapprovedInROMApplicationList")

SETTINGS: dict[str, type] = {
    **dict.fromkeys(BOOLEANS, bool),
    **dict.fromkeys(TEXTS, Clearable),
    **dict.fromkeys(LISTS, tuple),
}
OLD_NAMES = {
    "AllowSimplePassword": "AllowSimpleDevicePassword",
    "AlphanumericPasswordRequired": "AlphanumericDevicePasswordRequired",
    "IsDefault": "IsDefaultPolicy",
    "MaxInactivityTimeLock": "MaxInactivityTimeDeviceLock",
    "MaxPasswordFailedAttempts": "MaxDevicePasswordFailedAttempts",
    "MinPasswordComplexCharacters": "MinDevicePasswordComplexCharacters",
    "MinPasswordLength": "MinDevicePasswordLength",
    "PasswordEnabled": "DevicePasswordEnabled",
    "PasswordExpiration": "DevicePasswordExpiration",
    "PasswordHistory": "DevicePasswordHistory",
}
