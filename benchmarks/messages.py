"""Realistic PSRP messages of a device listing, made from a seed: what the decoding benchmark reads.

Written apart from the lab's writer, so that the benchmark does not measure one writer's habits. Sizes follow the
reference: whole objects about 2.7 kB with 45 properties, projected ones about 1.4 kB with 20.
"""

import base64
import random
import struct
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

Draw = Callable[[random.Random], str | None]

FIELDS = (
    "Guid", "DeviceId", "DistinguishedName", "Identity", "FriendlyName", "DeviceType", "DeviceModel", "DeviceOS",
    "DeviceOSLanguage", "DeviceUserAgent", "DeviceImei", "DeviceTelephoneNumber", "DeviceMobileOperator", "ClientType",
    "ClientVersion", "DeviceAccessState", "DeviceAccessStateReason", "DeviceAccessControlRule", "FirstSyncTime",
    "WhenChangedUTC",
)  # fmt: skip
_HANDSETS = (
    (
        "iPhone",
        "iPhone15C2",
        "iOS 17.4.1 21E236",
        "Apple-iPhone15C2/2104.236 (gzip; secure) Exchange ActiveSync 16.1, build 2104",
    ),
    (
        "SamsungDevice",
        "Samsung Galaxy S23 SM-S911B",
        "Android 14 UP1A.231005.007",
        "Android-SAMSUNG-SM-S911B/101.140000 EAS 16.1 (Samsung Email 6.1.90.16; UP1A.231005.007)",
    ),
    (
        "Android",
        "Google Pixel 8 (shiba)",
        "Android 15 AP4A.250105.002",
        "Android/15-EAS-2.0 (Gmail 2024.09.01.672395021; Google Pixel 8)",
    ),
    (
        "Outlook",
        "Outlook for iOS and Android",
        "iOS 18.1",
        "Outlook-iOS-Android/1.0 (Microsoft Outlook 4.2438.0; com.microsoft.outlook; arm64)",
    ),
    (
        "WindowsMail",
        "Latitude 7440 (company)",
        "Windows 10.0.19045",
        "MSFT-WIN-4/10.0.19041 (Windows Mail and Calendar 16005.14326.22020.0)",
    ),
)
_PEOPLE = (
    "Anna de Vries",
    "Søren Ångström",
    "山田太郎",
    "O'Brien & Söhne",
    "Piet_x005F_x Jansen",
    "Li_xD83D__xDE00_Na",
)
_TYPES = ("Microsoft.Exchange.Data.Directory.SystemConfiguration.MobileDevice",
          "Microsoft.Exchange.Data.Directory.SystemConfiguration.ADConfigurationObject",
          "Microsoft.Exchange.Data.Directory.ADObject", "System.Object")  # fmt: skip


def listing(count: int, *, projected: bool, full: bool = False, seed: int = 1) -> list[bytes]:
    """``count`` messages of a listing; ``full`` is the wire form asked for with ``serializationLevel=Full``."""
    chance = random.Random(seed)
    return [_message(_device(chance), projected=projected, full=full).encode() for _ in range(count)]


def fragments(messages: Sequence[bytes], envelope: int = 512_000) -> list[list[str]]:
    """Envelopes of base64 fragments, one message each: what a client gets to see of a listing, less SOAP."""
    envelopes: list[list[str]] = [[]]
    size = 0
    for number, message in enumerate(messages, 1):
        head = struct.pack("<II", 1, 0x00041004) + bytes(32)
        body = head + message
        text = base64.b64encode(struct.pack(">QQBI", number, 0, 3, len(body)) + body).decode()
        if size + len(text) > envelope:
            envelopes.append([])
            size = 0
        envelopes[-1].append(text)
        size += len(text)
    return envelopes


def _device(chance: random.Random) -> dict[str, tuple[str, str | None]]:
    """One device: property → (kind, text as it stands in the element, None for null)."""
    kind, model, system, agent = chance.choice(_HANDSETS)
    person = escape(chance.choice(_PEOPLE)) if chance.random() < 0.2 else f"User {chance.randrange(50_000):05d}"
    device = "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=32))
    guid = str(uuid.UUID(int=chance.getrandbits(128)))
    name = f"{kind}\xa7{device}"
    identity = f"corp.example.test/Offices/Amsterdam/Employees/{person}/ExchangeActiveSyncDevices/{name}"
    state = chance.choices(("Allowed", "Blocked", "Quarantined"), (90, 6, 4))[0]
    first = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(150_000_000))
    changed = first + timedelta(seconds=chance.randrange(50_000_000))
    some = chance.random()

    def moment(when: datetime, zone: str = "Z") -> str:
        return f"{when:%Y-%m-%dT%H:%M:%S}.{chance.randrange(10**7):07d}{zone}"

    return {
        "FriendlyName": ("S", None if some < 0.3 else f"{kind} of {person}, issued by the service desk"),
        "DeviceId": ("S", device),
        "DeviceImei": ("S", None if some < 0.5 else f"{chance.randrange(10**15):015d}"),
        "DeviceMobileOperator": ("S", None if some < 0.4 else chance.choice(("KPN", "Odido NL", "Vodafone NL"))),
        "DeviceOS": ("S", system),
        "DeviceOSLanguage": ("S", chance.choice(("nl", "en", "ja", "de"))),
        "DeviceTelephoneNumber": ("S", None if some < 0.6 else f"******{chance.randrange(10_000):04d}"),
        "DeviceType": ("S", kind),
        "DeviceUserAgent": ("S", agent),
        "DeviceModel": ("S", model),
        "FirstSyncTime": ("DT", moment(first)),
        "UserDisplayName": ("S", f"corp.example.test/Offices/Amsterdam/Employees/{person}"),
        "DeviceAccessState": ("Enum", state),
        "DeviceAccessStateReason": ("Enum", "Global" if state == "Allowed" else "Individual"),
        "DeviceAccessControlRule": ("Id", None if some < 0.9 else "iOS 17 (DeviceOS)"),
        "ClientVersion": ("S", chance.choice(("16.1", "14.1", "1.0"))),
        "ClientType": ("Enum", "EAS"),
        "DeviceActiveSyncVersion": ("S", "16.1"),
        "ProvisioningFlags": ("I32", "0"),
        "IsManaged": ("B", "false"),
        "IsCompliant": ("B", "false"),
        "IsDisabled": ("B", "false"),
        "AdminDisplayName": ("S", ""),
        "ExchangeVersion": ("S", "0.10 (14.0.100.0)"),
        "Name": ("S", name),
        "DistinguishedName": (
            "S",
            f"CN={name},CN=ExchangeActiveSyncDevices,CN={person},OU=Employees,OU=Amsterdam,OU=Offices,DC=corp,DC=example,DC=test",
        ),
        "Identity": ("Id", identity),
        "ObjectCategory": ("S", "example.test/Configuration/Schema/ms-Exch-Active-Sync-Device"),
        "ObjectClass": ("List", "top msExchActiveSyncDevice"),
        "Guid": ("G", guid),
        "WhenChanged": ("DT", moment(changed + timedelta(hours=1), "+01:00")),
        "WhenCreated": ("DT", moment(first + timedelta(hours=1), "+01:00")),
        "WhenChangedUTC": ("DT", moment(changed)),
        "WhenCreatedUTC": ("DT", moment(first)),
        "Id": ("Id", identity),
        "OriginatingServer": ("S", "dc1.example.test"),
        "OrganizationId": ("S", ""),
        "IsValid": ("B", "true"),
        "ObjectState": ("Enum", "Unchanged"),
        **{f"CustomNote{n}": ("S", None if n % 3 else "none") for n in range(6)},
    }


def _message(device: dict[str, tuple[str, str | None]], *, projected: bool, full: bool) -> str:
    writer = _Writer(full=full)
    names = FIELDS if projected else tuple(device)
    types = ("Selected." + _TYPES[0], "System.Management.Automation.PSCustomObject", "System.Object")
    head = f'<Obj RefId="0">{writer.types(types if projected else _TYPES)}'
    if not projected:
        head += f"<ToString>{device['Identity'][1]}</ToString>"
    group = "MS" if projected else "Props"
    body = "".join(writer.property(name, *device[name]) for name in names)
    return f"{head}<{group}>{body}</{group}></Obj>"


class _Writer:
    """Writes properties of one message, counting its references as PowerShell does."""

    def __init__(self, *, full: bool) -> None:
        self._full = full
        self._refs = 0
        self._seen: dict[tuple[str, ...], int] = {}

    def types(self, names: tuple[str, ...]) -> str:
        """Type names, or the reference to them where they were written before."""
        if names in self._seen:
            return f'<TNRef RefId="{self._seen[names]}" />'
        number = self._seen[names] = len(self._seen)
        return f'<TN RefId="{number}">{"".join(f"<T>{name}</T>" for name in names)}</TN>'

    def property(self, name: str, kind: str, text: str | None) -> str:
        """One property's element."""
        if text is None:
            return f'<Nil N="{name}" />'
        if kind == "List":
            items = "".join(f"<S>{item}</S>" for item in text.split())
            return self._object(
                name, ("MultiValuedProperty`1[[System.String]]", "System.Object"), f"<LST>{items}</LST>"
            )
        if kind not in {"Enum", "Id"}:
            return f'<{kind} N="{name}">{text}</{kind}>'
        if not self._full:
            return f'<S N="{name}">{text}</S>'
        if kind == "Enum":
            names = (f"Microsoft.Exchange.{name}", "System.Enum", "System.ValueType", "System.Object")
            return self._object(name, names, f"<ToString>{text}</ToString><I32>1</I32>")
        data = base64.b64encode(text.encode()).decode()
        inner = f'<ToString>{text}</ToString><MS><BA N="SerializationData">{data}</BA></MS>'
        return self._object(name, ("Microsoft.Exchange.Data.Directory.ADObjectId", "System.Object"), inner)

    def _object(self, name: str, types: tuple[str, ...], inner: str) -> str:
        self._refs += 1
        return f'<Obj N="{name}" RefId="{self._refs}">{self.types(types)}{inner}</Obj>'
