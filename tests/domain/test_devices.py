"""The family of a device from what it says of itself."""

import pytest

from gatepost.domain.devices import Family, family


@pytest.mark.parametrize(
    ("device_type", "os", "user_agent", "wanted"),
    [
        ("iPhone", "iOS 17.1.2 21B101", "Apple-iPhone15C2/2101.101", Family.IOS),
        ("iPad", None, None, Family.IOS),
        (None, "iPadOS 18", None, Family.IOS),
        ("Android", "Android 14", "Android-Mail/2024", Family.ANDROID),
        ("SamsungDevice", "", "SAMSUNG-SM-S918B/101.14", Family.ANDROID),
        ("Outlook", "iOS 17.1", "Outlook-iOS-Android/1.0", Family.OUTLOOK),
        ("Outlook for iOS and Android", "Android 14", "x", Family.OUTLOOK),
        ("WindowsMail", "Windows 10.0.19045", "MSFT-WIN-4/10.0.19045", Family.WINDOWS),
        ("WP8", None, "MSFT-WP/8.10", Family.WINDOWS),
        ("BlackBerry", "BB 10", None, Family.OTHER),
        (None, None, None, Family.OTHER),
    ],
)
def test_families(device_type: str | None, os: str | None, user_agent: str | None, wanted: Family) -> None:
    """Outlook is a family of its own whatever the phone; what says nothing is other."""
    assert family(device_type, os, user_agent) is wanted
