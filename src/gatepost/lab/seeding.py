"""A seeded organization: the same seed and number of devices always give the same forest, down to the last guid.

Real organizations are odd at the edges, so the first mailboxes hold every oddity we know of, and the rest is ordinary.
"""

import random
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from itertools import accumulate

from gatepost.lab import catalogue
from gatepost.lab.access import RuleBook, decide
from gatepost.lab.catalogue import CLOUD_CACHE, LINES, OPERATORS, Line
from gatepost.lab.organization import Organization
from gatepost.lab.profiles import PROFILES
from gatepost.lab.rows import TICKS, AccessRule, Device, Domain, Mailbox, MailboxPolicy, MobileSettings, Server, unknown

START = 1_748_736_000 * TICKS
"""When the seeded past ends: 1 June 2025, 00:00 UTC."""
YEAR = 365 * 86_400 * TICKS
BEGINNING_OF_TIME = -62_135_596_800 * TICKS
"""1 January of the year 1, which .NET shows where no date was ever set."""
END_OF_TIME = 253_402_300_799 * TICKS + TICKS - 1
"""The last moment of the year 9999."""

ROOT = Domain("lab.example", "LAB", "Gebruikers", ("dc1.lab.example", "dc2.lab.example"))
CHILD = Domain("emea.lab.example", "EMEA", "Users", ("dc1.emea.lab.example", "dc2.emea.lab.example"))

_FATES = ((88, ""), (4, "allowed"), (4, "blocked"), (1, "discovery"), (3, "silent"))
"""What became of phones, in percent: listed by an administrator, stuck in discovery, or silent ever since."""
_FATE_WEIGHTS = list(accumulate(row[0] for row in _FATES))
_LINES = tuple(LINES.values())
_LINE_WEIGHTS = list(accumulate(line.weight for line in _LINES))
APART = 900_000
_BASE32 = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class Seeder:
    """Makes rows from one stream of chance."""

    def __init__(self, seed: int, profile: str) -> None:
        self.random = random.Random(seed)
        self.profile = PROFILES[profile]
        self.organization = Organization((ROOT, CHILD), tuple(self._servers()), MobileSettings(self.guid()))
        self._configure()
        self.people = 0

    def beside(self, seed: int) -> "Seeder":
        """Another one for the same organization: its chance takes nothing from this one's, it numbers people apart."""
        other = copy(self)
        other.random = random.Random(seed)
        other.people += APART
        return other

    def guid(self) -> str:
        """A new identifier."""
        text = f"{self.random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def moment(self, years: float = 1.0) -> int:
        """A whole second within so many years before the seeded past ends."""
        return START - int(self.random.random() * years * 365 * 86_400) * TICKS

    def _configure(self) -> None:
        """The mailbox policies and device access rules, as old as the organization."""
        old = START - 3 * YEAR
        strict: dict[str, object] = {"AllowNonProvisionableDevices": False, "PasswordEnabled": True}
        self.organization.add_configuration(MailboxPolicy("Default", True, {}, self.guid(), old, old))
        self.organization.add_configuration(MailboxPolicy("Strict", False, strict, self.guid(), old, old))
        for level, kind, text in catalogue.RULES:
            self.organization.add_configuration(
                AccessRule(f"{text} ({kind})", text, kind, level, self.guid(), old, old)
            )
        self._book = RuleBook.of(self.organization.forest.configuration)

    def _servers(self) -> Iterator[Server]:
        for number, domain in ((1, ROOT), (2, ROOT), (3, CHILD)):
            version, roles, edition = self.profile.version, self.profile.roles, self.profile.edition
            site = f"{domain.name}/Configuration/Sites/{'Amsterdam' if domain is ROOT else '東京'}"
            yield Server(self.guid(), f"EX{number}", domain, site, roles, version, edition, START - 3 * YEAR)

    def mailbox(self, name: str, kind: str = "UserMailbox", domain: Domain | None = None, alias: str = "") -> Mailbox:
        """A new mailbox of that name."""
        self.people += 1
        domain = domain or (CHILD if self.people % 5 == 0 else ROOT)
        alias = alias or f"user{self.people:06d}"
        created = self.moment(3)
        box = Mailbox(
            guid=self.guid(),
            name=name,
            alias=alias,
            display_name=name,
            domain=domain,
            kind=kind,
            server="EX3" if domain is CHILD else f"EX{1 + self.people % 2}",
            created=created,
            changed=created + int(self.random.random() * (START - created) / TICKS) * TICKS,
            smtp=None if kind in {"DisabledUser", "User"} else f"{alias}@example.com",
        )
        return self.organization.add_mailbox(box)

    def person(self) -> Mailbox:
        """The mailbox of a new person; the number keeps names apart, as administrators do."""
        given, family = self.random.choice(catalogue.GIVEN), self.random.choice(catalogue.FAMILY)
        box = self.mailbox(f"{given} {family} {self.people + 1}")
        box.display_name = f"{given} {family}"
        return box

    def device(self, mailbox: Mailbox, line: Line | None = None) -> Device:
        """A partnership that has been there for some time, in the state that Exchange gave it; its fate may list it."""
        device = self.new_device(mailbox, line)
        _, fate = self.random.choices(_FATES, cum_weights=_FATE_WEIGHTS)[0]
        if fate == "allowed":
            mailbox.allowed += (device.device_id,)
        elif fate == "blocked":
            mailbox.blocked += (device.device_id,)
        self.judge(device)
        if fate == "discovery":
            device.handset = unknown(device.handset)
            device.state, device.reason, device.rule = "DeviceDiscovery", "Global", None
        if fate in {"discovery", "silent"}:
            self.organization.silence(device)
        return self.organization.add_device(device)

    def new_device(self, mailbox: Mailbox, line: Line | None = None) -> Device:
        """A phone that asks for the mail of that mailbox; nothing is decided about it, and nobody has it yet."""
        chance = self.random
        line = line or chance.choices(_LINES, cum_weights=_LINE_WEIGHTS)[0]
        handset = chance.choice(line.handsets)
        first = self.moment(2) + chance.randrange(TICKS)
        return Device(
            guid=self.guid(),
            device_id=self.device_id(line.ids),
            handset=handset,
            mailbox=mailbox,
            friendly_name=chance.choice((None, None, "", f"{mailbox.display_name}'s {handset.model}")),
            imei=f"35{chance.randrange(10**13):013d}" if line.ids == "samsung" else None,
            phone=f"+316******{chance.randrange(100):02d}" if chance.random() < 0.2 else None,
            operator=chance.choice(OPERATORS) if chance.random() < 0.4 else None,
            state="Unknown",
            reason="Unknown",
            rule=None,
            first_sync=first,
            created=first // TICKS * TICKS,
            changed=first // TICKS * TICKS + chance.randrange(1, 86_400 * 30) * TICKS,
        )

    def judge(self, device: Device) -> None:
        """Give a device the state that Exchange's engine gives it."""
        verdict = decide(device.mailbox, device.device_id, device.handset, self._book)
        if verdict is not None:
            device.state, device.reason, device.rule = verdict.state, verdict.reason, verdict.rule

    def device_id(self, form: str) -> str:
        """An id as that kind of client makes it."""
        bits = self.random.getrandbits
        if form == "apple":
            return "".join(self.random.choices(_BASE32, k=26))
        if form == "samsung":
            return f"SEC{bits(52):013X}"
        return f"androidc{bits(36):09d}" if form == "android" else f"{bits(128):032X}"


def make_organization(devices: int, seed: int = 1, profile: str = "2019") -> Organization:
    """An organization with exactly so many devices, on about 0.7 mailboxes a device."""
    return fill(Seeder(seed, profile), devices).organization


def fill(seeder: Seeder, devices: int) -> Seeder:
    """Give a seeder's organization so many devices; the seeder can make more later."""
    left = devices
    for device_maker in _oddities(seeder):
        if left > 0:
            device_maker()
            left -= 1
    while left > 0:
        box = seeder.person()
        for _ in range(min(left, seeder.random.choice((0, 1, 1, 1, 1, 2, 2, 3)))):
            seeder.device(box)
            left -= 1
    return seeder


def _oddities(seeder: Seeder) -> Iterator["DeviceMaker"]:
    """What real organizations hold at their edges: one maker per odd device, mailboxes made on the way."""
    yield from _kinds(seeder)
    yield from _names(seeder)
    yield from _values(seeder)
    yield from _many(seeder)


class DeviceMaker:
    """One device to be made, with fields that differ from the ordinary."""

    def __init__(self, seeder: Seeder, mailbox: Mailbox, line: str, **fields: object) -> None:
        self.seeder, self.mailbox, self.line, self.fields = seeder, mailbox, LINES[line], fields

    def __call__(self) -> Device:
        """Make it."""
        device = self.seeder.device(self.mailbox, self.line)
        if self.fields:
            for name, value in self.fields.items():
                setattr(device, name, value)
            if "state" not in self.fields:
                self.seeder.judge(device)
        return device


def _kinds(seeder: Seeder) -> Iterator[DeviceMaker]:
    """A mailbox of every kind, and devices whose mailbox moved away or is gone."""
    linked = seeder.mailbox("Linked Partner", "LinkedMailbox", ROOT, "partner")
    linked.linked_master, linked.account_disabled = "PARTNER\\partner", True
    yield DeviceMaker(seeder, linked, "iphone")
    for number, name in enumerate(catalogue.SHARED):
        shared = seeder.mailbox(name, "SharedMailbox", None, f"shared{number}")
        shared.account_disabled = True
    yield DeviceMaker(seeder, shared, "pixel")
    for number, name in enumerate(catalogue.ROOMS):
        seeder.mailbox(name, "RoomMailbox", None, f"room{number}").account_disabled = True
    moved = seeder.mailbox("Moved To Cloud", "RemoteUserMailbox", ROOT, "moved")
    yield DeviceMaker(seeder, moved, "iphone", state="Unknown", reason="Unknown", rule=None)
    left = seeder.mailbox("Left Company", "DisabledUser", ROOT, "left")
    left.account_disabled = True
    yield DeviceMaker(seeder, left, "samsung")
    yield DeviceMaker(seeder, seeder.mailbox("Mailbox Removed", "User", CHILD, "removed"), "outlook")
    disabled = seeder.mailbox("Account Disabled", "UserMailbox", ROOT, "disabled")
    disabled.account_disabled = True
    yield DeviceMaker(seeder, disabled, "ipad")
    off = seeder.mailbox("ActiveSync Off", "UserMailbox", CHILD, "easoff")
    off.enabled, off.policy = False, None
    yield DeviceMaker(seeder, off, "windows", state="Allowed", reason="Global")
    strict = seeder.mailbox("Strict Policy", "UserMailbox", ROOT, "strict")
    strict.policy = "Strict"
    yield DeviceMaker(seeder, strict, "old", handset=LINES["old"].handsets[1])


def _names(seeder: Seeder) -> Iterator[DeviceMaker]:
    """Names that break careless quoting."""
    names = (
        "R/D Testtelefoon", "Jansen, Pieter-Jan", "山田 太郎", "Zoë “Zo” van \u2019t Hoff", "Emoji 😀 Tester",
        'A+B <"x"> ; = #1', "Back\\Slash", "]]> &amp; <S>", "_x000A_ literal", "x" * 64,
    )  # fmt: skip
    for number, name in enumerate(names):
        yield DeviceMaker(seeder, seeder.mailbox(name, alias=f"odd{number}"), ("iphone", "nokia")[number % 2])


def _values(seeder: Seeder) -> Iterator[DeviceMaker]:
    """Values that break careless reading."""
    box = seeder.mailbox("Odd Values", "UserMailbox", ROOT, "oddvalues")
    handset = LINES["iphone"].handsets[0]
    yield DeviceMaker(seeder, box, "iphone", friendly_name="", operator="", imei=None, phone="")
    yield DeviceMaker(seeder, box, "iphone", friendly_name="Tab\there\nand a bell \a", device_id="A" * 64)
    yield DeviceMaker(seeder, box, "iphone", friendly_name="😀📱 iPhone van Zoë", operator="NTTドコモ")
    yield DeviceMaker(seeder, box, "iphone", friendly_name="]]> <Nil/> &lt; _x0041_ _x _X005F_", phone="_x000A_")
    yield DeviceMaker(seeder, box, "iphone", handset=replace(handset, os="iOS 18.1\x07", model="iPhone\x85\x7f"))
    yield DeviceMaker(seeder, box, "iphone", first_sync=BEGINNING_OF_TIME)
    yield DeviceMaker(seeder, box, "iphone", first_sync=END_OF_TIME)
    yield DeviceMaker(seeder, box, "iphone", first_sync=None, state="DeviceDiscovery", handset=unknown(handset))
    yield DeviceMaker(seeder, box, "cloud", handset=CLOUD_CACHE, device_id="0" * 32)
    yield DeviceMaker(seeder, box, "iphone", friendly_name=" leading and trailing ", operator="\U0010fffd￮")


def _many(seeder: Seeder) -> Iterator[DeviceMaker]:
    """One person with a dozen devices, and one device id on two mailboxes."""
    fan = seeder.mailbox("Dozen Devices", "UserMailbox", ROOT, "dozen")
    for number in range(12):
        yield DeviceMaker(seeder, fan, ("iphone", "ipad", "pixel", "outlook")[number % 4])
    first, second = seeder.mailbox("First Of Two", alias="first"), seeder.mailbox("Second Of Two", alias="second")
    twice = seeder.device_id("apple")
    first.allowed, second.blocked = (twice,), (twice,)
    yield DeviceMaker(seeder, first, "iphone", device_id=twice)
    yield DeviceMaker(seeder, second, "iphone", device_id=twice)
    listed = seeder.mailbox("Listed Ahead", alias="ahead")
    listed.allowed = ("android-work-profile-0001", "ÜBERID", "x" * 64)
    listed.blocked = ("LOST-0001",)
    yield DeviceMaker(seeder, listed, "samsung")
    protected = seeder.mailbox("Protected Admin", "UserMailbox", ROOT, "protected")
    protected.protected = True
    yield DeviceMaker(seeder, protected, "iphone")
