"""A seeded story: phones appear, are upgraded, lost and set up anew, and administrators write lists.

What becomes of a phone the access engine decides, when the phone talks next.

A story with a journal goes on where it was when the lab starts again: the journal holds the time of each change, a line
each, and what was done by hand at that time; the seed tells the rest.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from gatepost.lab.access import DISCOVERY
from gatepost.lab.catalogue import LINES
from gatepost.lab.organization import Organization, ticks_now
from gatepost.lab.rows import ON_PREMISES, TICKS, Device
from gatepost.lab.seeding import Seeder

_USUAL_DISCOVERY = 45.0
_LISTS = ("allowed", "blocked", None)
_KEEP = 20
"""A story never removes devices from an organization that has fewer than so many."""


class Story:
    """Tells what happens, one change at a time; ``every`` is the pause in seconds, ``journal`` where to go on.

    ``by_hand`` does what people do by hand, as one line of JSON; it is part of the story.
    """

    def __init__(
        self,
        organization: Organization,
        seeder: Seeder,
        seed: int,
        every: float,
        journal: Path | None = None,
        by_hand: Callable[[str], str] = str,
    ) -> None:
        self._journal = journal
        self._by_hand = by_hand
        self._turn = threading.Lock()
        self._organization = organization
        self._seeder = seeder
        self._random = random.Random(seed ^ 0x5EED)
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="lab story", daemon=True)

    def start(self) -> None:
        """Tell it in a thread."""
        self._thread.start()

    def replay(self) -> None:
        """Tell again what the journal holds, each change at its time."""
        if self._journal is not None and self._journal.exists():
            for line in self._journal.read_text(encoding="ascii").splitlines():
                moment, _, act = line.partition(" ")
                self._at(int(moment), partial(self._by_hand, act) if act else self.step)

    def stop(self) -> None:
        """End it, and wait until nothing changes any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def act(self, line: str) -> str:
        """Do by hand what a line says; its answer."""
        return self._now(partial(self._by_hand, line), line)

    def _tell(self) -> None:
        while not self._stopped.wait(self._every):
            self._now(self.step)

    def _now(self, change: Callable[[], str], act: str = "") -> str:
        """One change, written down with its time."""
        with self._turn:
            now = ticks_now()
            told = self._at(now, change)
            if self._journal is not None:
                with self._journal.open("a", encoding="ascii") as file:
                    file.write(f"{now} {act}".strip() + "\n")
        return told

    def _at(self, moment: int, change: Callable[[], str]) -> str:
        """One change, stamped with that moment."""
        before = self._organization.clock
        self._organization.clock = lambda: moment
        try:
            return change()
        finally:
            self._organization.clock = before

    def step(self) -> str:
        """One change; returns what happened."""
        happenings = (self._appear, self._upgrade, self._list, self._enrol_anew, self._move, self._disappear)
        return self._random.choices(happenings, weights=(40, 25, 20, 5, 5, 5))[0]()

    def _appear(self) -> str:
        """Somebody sets up mail on a new phone."""
        mailboxes = [box for box in self._organization.mailboxes if box.kind in ON_PREMISES and box.enabled]
        mailbox = self._random.choice(mailboxes) if mailboxes else self._seeder.person()
        return self._set_up(self._seeder.new_device(mailbox))

    def _set_up(self, device: Device) -> str:
        now = self._organization.clock()
        device.first_sync, device.created, device.changed = now, now // TICKS * TICKS, now
        self._organization.appear(device, self._pause())
        return f"{device.identity} appears"

    def _pause(self) -> float:
        """How long it takes Exchange to find out what a phone is, in seconds: seldom long, never longer than it may."""
        return min(self._random.expovariate(1 / _USUAL_DISCOVERY), DISCOVERY)

    def _pick(self) -> Device | None:
        """Any phone whose mailbox is here and may use it."""
        devices = self._organization.devices
        for device in self._random.sample(devices, min(len(devices), 10)):
            if device.mailbox.kind in ON_PREMISES and device.mailbox.enabled:
                return device
        return None

    def _upgrade(self) -> str:
        """A phone gets a newer system."""
        device = self._pick()
        if device is None:
            return self._appear()
        newer = [
            handset
            for line in LINES.values()
            for handset in line.handsets
            if handset.model == device.handset.model and (handset.os or "") > (device.handset.os or "")
        ]
        handset = self._random.choice(newer) if newer else replace(device.handset, language="en-GB")
        self._organization.update(device, handset)
        return f"{device.identity} now runs {handset.os}"

    def _list(self) -> str:
        """An administrator allows or blocks a phone by its id, or takes it off the lists, at either controller."""
        device = self._pick()
        if device is None:
            return self._appear()
        view = self._organization.view(self._random.choice(device.mailbox.domain.controllers))
        box, listed = view.find_mailbox(device.mailbox.guid) or device.mailbox, self._random.choice(_LISTS)
        rest = {name: tuple(i for i in getattr(box, name) if i != device.device_id) for name in ("allowed", "blocked")}
        if listed is not None:
            rest[listed] += (device.device_id,)
        view.change_mailbox(box, **rest)
        return f"{device.identity} at {view.controller} is {listed or 'unlisted'}"

    def _enrol_anew(self) -> str:
        """A phone is reset and set up again: it has another id, and the old partnership stays behind."""
        old = self._pick()
        if old is None:
            return self._appear()
        self._organization.silence(old)
        line = next((line for line in LINES.values() if old.handset in line.handsets), None)
        new = self._seeder.new_device(old.mailbox, line)
        new.handset = old.handset
        return self._set_up(new) + " anew"

    def _move(self) -> str:
        """A mailbox moves to another server of its domain."""
        device = self._pick()
        if device is None:
            return self._appear()
        box = device.mailbox
        servers = [server.name for server in self._organization.servers if server.domain is box.domain]
        self._organization.move(box, self._random.choice(servers), self._pause())
        return f"{box.identity} moves"

    def _disappear(self) -> str:
        """An old partnership is cleaned up."""
        devices = self._organization.devices
        if len(devices) < _KEEP:
            return self._appear()
        device = min(self._random.sample(devices, 10), key=lambda candidate: candidate.changed)
        self._organization.remove_device(device)
        return f"{device.identity} is gone"
