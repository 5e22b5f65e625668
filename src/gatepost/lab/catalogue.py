"""What the lab's organizations are made of: people's names, phones, operators, servers' versions.

Everything here is invented or generic; the shapes follow what phones and Exchange really write.
"""

from typing import NamedTuple

from gatepost.lab.rows import Handset

GIVEN = (
    "Anna", "Bram", "Chloë", "Daan", "Eva", "Femke", "Gijs", "Hanneke", "Ingrid", "Joost", "Kees", "Liesbeth",
    "Maarten", "Noor", "Olaf", "Pien", "Quirine", "Roos", "Sjoerd", "Tjitske", "Ursula", "Veerle", "Wout", "Xander",
    "Yara", "Zoë", "Jürgen", "Åsa", "Łukasz", "Siobhán", "太郎", "花子", "健一", "さくら",
)  # fmt: skip
FAMILY = (
    "de Vries", "van den Berg", "Jansen", "Bakker", "Visser", "IJsselstein", "Çelik", "Müller", "O'Brien", "Smith",
    "\u2019t Hart", "van \u2019t Hoff", "Dijkstra", "Łoś", "Núñez", "山田", "佐藤", "鈴木", "Nguyễn", "Andersson",
)  # fmt: skip
ROOMS = ("Vergaderzaal Rembrandt", "Boardroom 2", "会議室 A", "Werkplek 3.14", "Auditorium")
SHARED = ("Servicebalie", "Info", "Facturen", "受付", "Sales & Marketing")
OPERATORS = ("KPN", "Vodafone NL", "T-Mobile NL", "NTTドコモ", "Telia", "Orange B", "")
LANGUAGES = ("nl-NL", "en", "en-US", "ja-JP", "de", "sv-SE")
RULES = (
    ("Block", "DeviceType", "WP8"),
    ("Block", "UserAgent", "RIM-Q10-SQN100-3/10.3.3.3216"),
    ("Block", "DeviceOS", "Windows 10.0.19045"),
    ("Quarantine", "DeviceOS", "Android 12"),
    ("Quarantine", "DeviceModel", "Nokia X30"),
    ("Allow", "DeviceModel", "Pixel 9 Pro"),
    ("Block", "DeviceOS", "iOS 12.5 16H88"),
)
"""The device access rules of a seeded organization: level, characteristic, exact text; nobody has the last one's."""


class Line(NamedTuple):
    """One line of phones: its weight among all, how its ids look, and the handsets in order of age."""

    weight: int
    ids: str
    handsets: tuple[Handset, ...]


def _native(kind: str, model: str, systems: tuple[str, ...], agent: str) -> list[Handset]:
    """The handsets of a model, one per system version and a few languages; ``{}`` in the agent takes the version."""
    return [
        Handset(kind, model, system, language, agent.format(system.split(" ")[1]), "EAS", "16.1", kind)
        for system in systems
        for language in LANGUAGES[:3]
    ]


def _apple(kind: str, models: tuple[str, ...]) -> tuple[Handset, ...]:
    systems = ("iOS 16.7.10 20H350", "iOS 17.6.1 21G93", "iOS 18.1.1 22B91", "iOS 18.2 22C152")
    made = (_native(kind, model, systems, f"Apple-{model}/{{}}") for model in models)
    return tuple(handset for group in made for handset in group)


def _android(kind: str, models: tuple[str, ...], agent: str) -> tuple[Handset, ...]:
    systems = ("Android 12", "Android 13", "Android 14", "Android 15")
    made = (_native(kind, model, systems, agent.replace("MODEL", model)) for model in models)
    return tuple(handset for group in made for handset in group)


def _outlook(client: str, systems: tuple[str, ...]) -> tuple[Handset, ...]:
    """Outlook with an id of its own: over ActiveSync, or through its own protocol."""
    model = "Outlook for iOS and Android"
    return tuple(
        Handset("Outlook", model, system, language, "Outlook-iOS-Android/1.0", client, "1.0", "Outlook")
        for system in systems
        for language in (None, "en")
    )


def _windows(model: str, build: str) -> Handset:
    """The mail application of a Windows computer."""
    agent = f"MSFT-WIN-4/10.0.{build}"
    return Handset("WindowsMail", model, f"Windows 10.0.{build}", "nl-NL", agent, "EAS", "14.1", "WindowsMail")


def _old(kind: str, model: str | None, system: str, agent: str | None) -> Handset:
    """What nobody sells any more; the oldest say next to nothing."""
    return Handset(kind, model, system, "en-US" if agent else None, agent, "EAS", "14.1" if agent else "12.0", kind)


_GALAXY = ("SM-S911B", "SM-A546B", "SM-G991B")
CLOUD_CACHE = Handset(
    "Outlook", "Outlook for iOS and Android", "Outlook for iOS and Android 1.0", None, "Outlook-iOS-Android/1.0",
    "REST", "1.0", "REST§Outlook",
)  # fmt: skip
"""All Outlook phones of one person, seen through Microsoft's cloud as one device."""

LINES: dict[str, Line] = {
    "iphone": Line(38, "apple", _apple("iPhone", ("iPhone11C8", "iPhone14C5", "iPhone15C2", "iPhone16C1"))),
    "ipad": Line(8, "apple", _apple("iPad", ("iPad13C1", "iPad14C3"))),
    "samsung": Line(14, "samsung", _android("SamsungDevice", _GALAXY, "Android-SAMSUNG-MODEL/101.{}")),
    "pixel": Line(6, "android", _android("Android", ("Pixel 7", "Pixel 8a", "Pixel 9 Pro"), "Android/{}-EAS-2.0")),
    "nokia": Line(4, "android", _android("Android", ("Nokia X30", "FP4", "Xperia 10 V"), "Gmail-EAS/{}")),
    "outlook": Line(10, "hex", _outlook("Outlook", ("iOS 18.1.1", "Android 14", "Android 15"))),
    "outlook-eas": Line(6, "hex", _outlook("EAS", ("iOS 17.6.1", "Android 13"))),
    "cloud": Line(8, "hex", (CLOUD_CACHE,)),
    "windows": Line(4, "hex", (_windows("Virtual Machine", "19045"), _windows("Surface Laptop 5", "22631"))),
    "old": Line(2, "hex", (
        _old("WP8", "RM-1045", "Windows Phone 8.10.15148", "MSFT-WP/8.10.15148"),
        _old("PocketPC", None, "", None),
        _old("BlackBerry", "BBB100-2", "10.3.3.3216", "RIM-Q10-SQN100-3/10.3.3.3216"),
    )),
}  # fmt: skip
"""Every line of phones by its name."""
