"""A seeded story: phones appear, are upgraded, change state, and now and then an old one disappears.

A story with a journal goes on where it was when the lab starts again: the journal holds the time of each change, a line
each, and the seed tells the rest.
"""

import random
import threading
from dataclasses import replace
from pathlib import Path

from gatepost.lab.catalogue import LINES
from gatepost.lab.organization import Organization, ticks_now
from gatepost.lab.rows import ON_PREMISES, TICKS, Device
from gatepost.lab.seeding import Seeder

_KEEP = 20
"""A story never removes devices from an organization that has fewer than so many."""


class Story:
    """Tells what happens, one change at a time; ``every`` is the pause in seconds, ``journal`` where to go on."""

    def __init__(
        self, organization: Organization, seeder: Seeder, seed: int, every: float, journal: Path | None = None
    ) -> None:
        self._journal = journal
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
            for line in self._journal.read_text(encoding="ascii").split():
                self._step_at(int(line))

    def stop(self) -> None:
        """End it, and wait until nothing changes any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _tell(self) -> None:
        while not self._stopped.wait(self._every):
            now = ticks_now()
            self._step_at(now)
            if self._journal is not None:
                with self._journal.open("a", encoding="ascii") as file:
                    file.write(f"{now}\n")

    def _step_at(self, moment: int) -> None:
        """One change, stamped with that moment."""
        self._organization.clock = lambda: moment
        try:
            self.step()
        finally:
            self._organization.clock = ticks_now

    def step(self) -> str:
        """One change; returns what happened."""
        happens = self._random.choices(
            (self._appear, self._upgrade, self._change_state, self._disappear), weights=(45, 25, 25, 5)
        )[0]
        return happens()

    def _appear(self) -> str:
        """Somebody sets up mail on a new phone."""
        mailboxes = [box for box in self._organization.mailboxes if box.kind in ON_PREMISES and box.enabled]
        mailbox = self._random.choice(mailboxes) if mailboxes else self._seeder.person()
        device = self._seeder.device(mailbox)
        now = self._organization.clock()
        whole = now // TICKS * TICKS
        self._organization.change_device(
            device, first_sync=now, created=whole, state="DeviceDiscovery", reason="Global", rule=None
        )
        return f"{device.identity} appears"

    def _pick(self) -> Device | None:
        devices = self._organization.devices
        return self._random.choice(devices) if devices else None

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
        self._organization.change_device(device, handset=handset)
        return f"{device.identity} now runs {handset.os}"

    def _change_state(self) -> str:
        """Exchange comes to another view of a phone."""
        device = self._pick()
        if device is None:
            return self._appear()
        state = self._random.choice([state for state in ("Allowed", "Quarantined", "Blocked") if state != device.state])
        self._organization.change_device(device, state=state, reason="Global", rule=None)
        return f"{device.identity} is {state}"

    def _disappear(self) -> str:
        """An old partnership is cleaned up."""
        devices = self._organization.devices
        if len(devices) < _KEEP:
            return self._appear()
        device = min(self._random.sample(devices, 10), key=lambda candidate: candidate.changed)
        self._organization.remove_device(device)
        return f"{device.identity} is gone"
