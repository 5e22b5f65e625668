"""The phones: when they talk to Exchange, what they tell it, and what it records of them then.

A device's state, reason and rule are records of its last request. A change of lists, rules, policies or default is seen
in them only when the phone talks next: ``effect`` seconds after the controller of its mailbox's server has the change.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gatepost.lab.access import DISCOVERING, UPGRADE, RuleBook, Verdict, decide
from gatepost.lab.forest import CONFIGURATION, Change, Forest
from gatepost.lab.rows import ON_PREMISES, Device, Handset, Mailbox, Wipe, ticks, unknown

_IN_FORCE = frozenset({"allowed", "blocked", "enabled", "policy", "kind"})
"""Fields of a mailbox that the engine looks at."""
_IN_FORCE_FOR_ALL = frozenset({"default_level", "level", "settings", "is_default"})
"""Fields of the mobile settings, of rules and of policies that it looks at; rules and policies come and go, too."""


@dataclass(slots=True)
class Passing:
    """What holds for a while: in discovery, after a move, or for its behaviour."""

    verdict: Verdict
    until: int


class Phones:
    """All phones of the organization. ``effect`` is how long it takes until one talks again, in seconds.

    ``silent`` are the guids of those that never talk again: lost, or set up anew with another id.
    With ``unknown_meanwhile`` the state is Unknown between a change of a list and the phone's next request. Where not
    ``blocked_fetch``, a phone that is blocked never comes far enough to fetch a wipe, as in Exchange 2010.
    """

    def __init__(self, forest: Forest, homes: tuple[str, ...]) -> None:
        self.effect = 0.0
        self.unknown_meanwhile = False
        self.blocked_fetch = True
        self._forest = forest
        self._homes = homes
        self._passing: dict[str, Passing] = {}
        self._carried: dict[str, Handset] = {}
        self.silent: set[str] = set()
        self._books: dict[str, RuleBook] = {}
        forest.seen.append(self._seen)

    # What people do with them.

    def appear(self, device: Device, at: int, discovery: int) -> None:
        """A phone is set up on its mailbox: Exchange does not know what it is for so many ticks."""
        box = self._forest.mailbox_at(device.mailbox.home, device.mailbox)
        self._carried[device.guid] = device.handset
        self._passing[device.guid] = Passing(DISCOVERING, at + discovery)
        device.handset = unknown(device.handset)
        verdict = decide(box, device.device_id, device.handset, self._book(box.home), DISCOVERING) or DISCOVERING
        device.state, device.reason, device.rule = verdict.state, verdict.reason, verdict.rule
        self._forest.change(box.home, at, box.guid, device.guid, added=device)
        self._forest.at(at + discovery, partial(self.talk, box))

    def update(self, device: Device, handset: Handset, at: int) -> None:
        """A phone has a newer system, and tells: but one that is blocked is refused before it can."""
        self._carried[device.guid] = handset
        self.talk(device.mailbox, at)

    def move(self, box: Mailbox, server: str, at: int, discovery: int) -> None:
        """A mailbox moves to another server: its phones are let in until they are known again."""
        self._forest.change(box.home, at, box.guid, box.guid, {"server": server})
        for device in self._forest.mailbox_at(box.home, box).devices:
            self._passing[device.guid] = Passing(UPGRADE, at + discovery)
        self.talk(box, at)
        self._forest.at(at + discovery, partial(self.talk, box))

    def misbehave(self, device: Device, reason: str, at: int, duration: int) -> None:
        """A phone does what Exchange blocks phones for, for so many ticks, whatever the lists say."""
        self._passing[device.guid] = Passing(Verdict("Blocked", reason), at + duration)
        self.talk(device.mailbox, at)
        self._forest.at(at + duration, partial(self.talk, device.mailbox))

    def silence(self, device: Device) -> None:
        """A phone never talks again."""
        self.silent.add(device.guid)

    def wiped(self, box: Mailbox, at: int) -> None:
        """A wipe was ordered or recalled: the phone learns of it when it talks next."""
        self._later(box, at)

    # When they talk.

    def _seen(self, change: Change, controllers: tuple[str, ...], at: int) -> None:
        """A change is seen at controllers: the phones whose servers read there talk after a while."""
        if change.unit == CONFIGURATION:
            self._configuration_seen(change, controllers, at)
            return
        box = self._forest.mailboxes.get(change.unit)
        if box is None or box.home not in controllers:
            return
        fields: AbstractSet[str] = (change.fields or {}).keys()
        if self.unknown_meanwhile and {"allowed", "blocked"} & fields:
            self._blank(box, at)
        if _IN_FORCE & fields:
            self._later(box, at)

    def _configuration_seen(self, change: Change, controllers: tuple[str, ...], at: int) -> None:
        for controller in controllers:
            self._books.pop(controller, None)
        if change.fields is None or _IN_FORCE_FOR_ALL & change.fields.keys():
            for home in self._homes:
                if home in controllers:
                    self._forest.at(at + self._pause, partial(self._all_talk, home))

    @property
    def _pause(self) -> int:
        return ticks(self.effect)

    def _later(self, box: Mailbox, at: int) -> None:
        self._forest.at(at + self._pause, partial(self.talk, box))

    def _blank(self, box: Mailbox, at: int) -> None:
        """The state of a listed phone is unknown until it talks again."""
        here = self._forest.mailbox_at(box.home, box)
        for device in list(here.devices):
            if device.device_id in {*here.allowed, *here.blocked} or device.reason == "Individual":
                self._record(here, device, Verdict("Unknown", "Unknown"), {}, at)

    def _all_talk(self, controller: str, at: int) -> None:
        book = self._book(controller)
        for box in self._forest.mailboxes_at(controller):
            if box.devices and box.home == controller and box.kind in ON_PREMISES:
                for device in list(box.devices):
                    self._talk(box, device, book, at)

    def talk(self, box: Mailbox, at: int) -> None:
        """All phones of a mailbox talk to its server."""
        here = self._forest.mailbox_at(box.home, box)
        if here.kind in ON_PREMISES:
            book = self._book(box.home)
            for device in list(here.devices):
                self._talk(here, device, book, at)

    def _book(self, controller: str) -> RuleBook:
        book = self._books.get(controller)
        if book is None:
            book = self._books[controller] = RuleBook.of(self._forest.configuration_at(controller))
        return book

    def _talk(self, box: Mailbox, device: Device, book: RuleBook, at: int) -> None:
        """One phone asks for its mail."""
        guid = device.guid
        if guid in self.silent:
            return
        passing = self._passing_at(guid, at)
        verdict = decide(box, device.device_id, device.handset, book, passing)
        if verdict is None:
            return
        told: dict[str, Any] = {}
        # Who is blocked, and stays so, is refused before it can say what it is now.
        heard = passing is not DISCOVERING and (device.state != "Blocked" or verdict.state != "Blocked")
        if heard and guid in self._carried:
            told["handset"] = handset = self._carried.pop(guid)
            verdict = decide(box, device.device_id, handset, book, passing) or verdict
        if told or (device.state, device.reason, device.rule) != (verdict.state, verdict.reason, verdict.rule):
            self._record(box, device, verdict, told, at)
        if (device.wipe or device.account_wipe) and (self.blocked_fetch or verdict.state != "Blocked"):
            self._fetch_wipes(box, device, at)

    def _passing_at(self, guid: str, at: int) -> Verdict | None:
        passing = self._passing.get(guid)
        if passing is not None and at >= passing.until:
            del self._passing[guid]
            passing = None
        return passing.verdict if passing is not None else None

    def _record(self, box: Mailbox, device: Device, verdict: Verdict, told: dict[str, Any], at: int) -> None:
        fields = {**told, "state": verdict.state, "reason": verdict.reason, "rule": verdict.rule}
        self._forest.change(box.home, at, box.guid, device.guid, fields)

    def _fetch_wipes(self, box: Mailbox, device: Device, at: int) -> None:
        """A phone that is to be wiped learns of it, and says so when it talks next."""
        for name in ("wipe", "account_wipe"):
            wipe: Wipe | None = getattr(device, name)
            if wipe is not None and wipe.acknowledged is None:
                self._forest.keep(device, {name: _further(wipe, at)})
                self._later(box, at)


def _further(wipe: Wipe, at: int) -> Wipe:
    return replace(wipe, sent=at) if wipe.sent is None else replace(wipe, acknowledged=at)
