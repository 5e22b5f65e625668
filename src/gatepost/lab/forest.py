"""The forest: what each domain controller has, and the changes that are on their way to the others.

Rows are kept once, as all controllers have them. While a change is under way, the controller where it was made has a
copy of the one mailbox (with its devices) or of the configuration that it touches. Changes arrive in the order in which
they were made, attribute by attribute, a list as a whole: so the last writer wins, and controllers that have heard of
the same changes are equal.

``whenChanged`` is not replicated: each controller stamps what it is told when it is told. Only stamps that differ from
the common one are kept. Times are ticks. Nothing here is locked: the organization calls it under its lock.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from gatepost.lab.rows import (
    AccessRule,
    Configuration,
    Device,
    Mailbox,
    MailboxPolicy,
    MobileSettings,
    ticks,
)

Row = Mailbox | Device | AccessRule | MailboxPolicy | MobileSettings
Unit = Mailbox | Configuration
"""What is copied as a whole while a change to it is under way."""
CONFIGURATION = "configuration"
"""The key of the configuration among the units; mailboxes have their guid."""
IN_MAILBOX = frozenset({"wipe", "account_wipe"})
"""Fields that stand in the mailbox, not in the directory: true everywhere at once, and no stamp tells of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a row: new values of fields; else a row that is ``added``; else one that is taken away."""

    controller: str
    at: int
    due: int
    unit: str
    guid: str
    fields: dict[str, Any] | None = None
    added: Device | AccessRule | MailboxPolicy | None = None

    def apply(self, unit: Unit, at: int) -> None:
        """Make it in a unit, stamped with that time; a row that is gone by now stays gone."""
        if self.added is not None:
            unit.put(self.added)
        elif self.fields is None:
            unit.drop(self.guid)
        elif (row := unit.row(self.guid)) is not None:
            for name, value in self.fields.items():
                setattr(row, name, value)
            row.changed = max(row.changed, at)
            if isinstance(row, Mailbox) and "name" in self.fields:
                row.rename()


Seen = Callable[[Change, tuple[str, ...], int], None]
"""Told of each change, the controllers that learned of it just now, and when."""


@dataclass(slots=True)
class Replica:
    """Where a controller differs from what all have: units with changes under way, their devices, its own stamps."""

    units: dict[str, Unit] = field(default_factory=dict)
    devices: dict[str, Device | None] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    _guids: dict[str, set[str]] = field(default_factory=dict)

    def stamped(self, row: Row) -> int:
        """When the row changed, by this controller."""
        return self.stamps.get(row.guid, row.changed)

    def forget(self, key: str) -> None:
        """Have the unit as all have it."""
        self.units.pop(key, None)
        for guid in self._guids.pop(key, ()):
            self.devices.pop(guid, None)

    def keep(self, key: str, unit: Unit, common: Iterable[Device]) -> None:
        """Have a unit of its own; devices that others have and it has not are gone."""
        self.units[key] = unit
        if isinstance(unit, Mailbox):
            mine: dict[str, Device | None] = dict.fromkeys(device.guid for device in common)
            mine.update((device.guid, device) for device in unit.devices)
            self.devices.update(mine)
            self._guids[key] = set(mine)


class Forest:
    """The rows of all controllers. ``replication`` is how long a change takes to the others, in seconds."""

    def __init__(self, controllers: tuple[str, ...], settings: MobileSettings) -> None:
        self.replication = 0.0
        self.controllers = controllers
        self.configuration = Configuration(settings)
        self.mailboxes: dict[str, Mailbox] = {}
        self.devices: dict[str, Device] = {}
        self.seen: list[Seen] = []
        self._replicas = {controller: Replica() for controller in controllers}
        self._open: dict[str, list[Change]] = {}
        self._last_due = 0
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._numbers = count()

    # What happens as time goes by.

    def at(self, moment: int, action: Callable[[int], None]) -> None:
        """Have something done at a moment, which it is told."""
        heappush(self._events, (moment, next(self._numbers), action))

    def advance(self, clock: Callable[[], int]) -> None:
        """Do what was to happen up to now; the clock is not even read where nothing is."""
        while self._events and self._events[0][0] <= clock():
            moment, _, action = heappop(self._events)
            action(moment)

    @property
    def quiet(self) -> bool:
        """Whether all controllers have heard of every change."""
        return not self._open

    def finish(self) -> None:
        """Let everything happen that is to happen, as if its time had come."""
        while self._events:
            moment, _, action = heappop(self._events)
            action(moment)

    # Changes.

    def change(
        self,
        controller: str,
        at: int,
        unit: str,
        guid: str,
        fields: dict[str, Any] | None = None,
        added: Device | AccessRule | MailboxPolicy | None = None,
    ) -> None:
        """Make a change at a controller."""
        due = at + ticks(self.replication)
        if self._open:
            due = max(due, self._last_due)
        change = Change(controller, at, due, unit, guid, fields, added)
        if due <= at:
            self._commit(change, self.controllers)
            return
        self._last_due = due
        self._open.setdefault(unit, []).append(change)
        self._replicas[controller].stamps[guid] = at
        self._refresh(unit)
        self.at(due, partial(self._arrive, change))
        self._tell(change, (controller,), at)

    def keep(self, device: Device, fields: dict[str, Any]) -> None:
        """Set fields that stand in the mailbox: true everywhere at once."""
        for row in (self.devices.get(device.guid), *(replica.devices.get(device.guid) for replica in self._all())):
            if row is not None:
                for name, value in fields.items():
                    setattr(row, name, value)
        for change in self._open.get(device.mailbox.guid, ()):
            if isinstance(change.added, Device) and change.guid == device.guid:
                for name, value in fields.items():
                    setattr(change.added, name, value)

    def _all(self) -> Iterator[Replica]:
        return iter(self._replicas.values())

    def _unit(self, key: str) -> Unit | None:
        return self.configuration if key == CONFIGURATION else self.mailboxes.get(key)

    def _arrive(self, change: Change, _moment: int) -> None:
        """A change has reached the others: it is no longer under way. They arrive in the order they were made."""
        left = self._open[change.unit]
        left.remove(change)
        if not left:
            del self._open[change.unit]
        self._commit(change, tuple(name for name in self.controllers if name != change.controller))
        self._refresh(change.unit)

    def _commit(self, change: Change, told: tuple[str, ...]) -> None:
        """Make a change in what all controllers have, and tell of it."""
        unit = self._unit(change.unit)
        if unit is None:
            return
        change.apply(unit, change.due)
        if isinstance(change.added, Device):
            change.added.changed = max(change.added.changed, change.due)
            self.devices[change.guid] = change.added
        elif change.fields is None and change.added is None:
            self.devices.pop(change.guid, None)
        self._level(change, unit.row(change.guid))
        self._tell(change, told, change.due)

    def _level(self, change: Change, row: Row | None) -> None:
        """Where a controller had a stamp of its own, what arrives there raises it; one like the common one goes."""
        writing = {other.controller for other in self._open.get(change.unit, ())}
        for name, replica in self._replicas.items():
            own = replica.stamps.get(change.guid)
            if own is None:
                continue
            if name != change.controller or change.due == change.at:
                own = max(own, change.due)
            if row is None or (own == row.changed and name not in writing):
                del replica.stamps[change.guid]
            else:
                replica.stamps[change.guid] = own

    def _refresh(self, key: str) -> None:
        """Make the copies of a unit anew: what all have, and on it the changes that are the controller's own."""
        unit, under_way = self._unit(key), self._open.get(key, ())
        common = unit.devices if isinstance(unit, Mailbox) else ()
        for name, replica in self._replicas.items():
            if key not in replica.units and not under_way:
                continue
            replica.forget(key)
            own = [change for change in under_way if change.controller == name]
            if own and unit is not None:
                replica.keep(key, self._with(replica, unit, own), common)

    @staticmethod
    def _with(replica: Replica, unit: Unit, changes: list[Change]) -> Unit:
        twin = _stamped(replica, unit)
        for change in changes:
            if change.added is not None:
                fresh = copy(change.added)
                fresh.changed = max(fresh.changed, change.at)
                twin.put(fresh)
            else:
                change.apply(twin, change.at)
        return twin

    def _tell(self, change: Change, controllers: tuple[str, ...], at: int) -> None:
        for listener in self.seen:
            listener(change, controllers, at)

    # What a controller has.

    def configuration_at(self, controller: str) -> Configuration:
        """The configuration as a controller has it."""
        replica = self._replicas[controller]
        own = replica.units.get(CONFIGURATION)
        if isinstance(own, Configuration):
            return own
        return _stamped_configuration(replica, self.configuration) if replica.stamps else self.configuration

    def mailbox_at(self, controller: str, box: Mailbox) -> Mailbox:
        """A mailbox as a controller has it, with its devices."""
        replica = self._replicas[controller]
        own = replica.units.get(box.guid)
        if isinstance(own, Mailbox):
            return own
        box = self.mailboxes.get(box.guid, box)
        stamps = replica.stamps
        if stamps and (box.guid in stamps or any(device.guid in stamps for device in box.devices)):
            return _stamped_mailbox(replica, box)
        return box

    def device_at(self, controller: str, guid: str) -> Device | None:
        """A device as a controller has it."""
        replica = self._replicas[controller]
        if guid in replica.devices:
            return replica.devices[guid]
        device = self.devices.get(guid)
        if device is not None and guid in replica.stamps:
            device = _stamped_device(replica, device)
        return device

    def mailboxes_at(self, controller: str) -> list[Mailbox]:
        """All mailboxes as a controller has them."""
        replica = self._replicas[controller]
        if not replica.units and not replica.stamps:
            return list(self.mailboxes.values())
        return [self.mailbox_at(controller, box) for box in self.mailboxes.values()]

    def own_mailboxes(self, controller: str) -> list[Mailbox]:
        """The mailboxes with changes that were made at the controller and are under way."""
        return [unit for unit in self._replicas[controller].units.values() if isinstance(unit, Mailbox)]

    def devices_at(self, controller: str) -> list[Device]:
        """All devices as a controller has them."""
        replica = self._replicas[controller]
        own, stamps = replica.devices, replica.stamps
        if not own and not stamps:
            return list(self.devices.values())
        found: list[Device] = []
        for guid, device in self.devices.items():
            if guid in own:
                mine = own[guid]
                found += [mine] if mine is not None else []
            else:
                found.append(_stamped_device(replica, device) if guid in stamps else device)
        return found + [device for guid, device in own.items() if device is not None and guid not in self.devices]


def _stamped(replica: Replica, unit: Unit) -> Unit:
    """A copy of a unit with the stamps of a controller."""
    if isinstance(unit, Mailbox):
        return _stamped_mailbox(replica, unit)
    return _stamped_configuration(replica, unit)


def _stamped_device(replica: Replica, device: Device) -> Device:
    twin = copy(device)
    twin.changed = replica.stamped(device)
    return twin


def _stamped_mailbox(replica: Replica, box: Mailbox) -> Mailbox:
    twin = box.twin()
    twin.changed = replica.stamped(box)
    for device in twin.devices:
        device.changed = replica.stamped(device)
    return twin


def _stamped_configuration(replica: Replica, configuration: Configuration) -> Configuration:
    twin = configuration.twin()
    twin.settings.changed = replica.stamped(twin.settings)
    for rule in twin.rules.values():
        rule.changed = replica.stamped(rule)
    for policy in twin.policies.values():
        policy.changed = replica.stamped(policy)
    return twin
