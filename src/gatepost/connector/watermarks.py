"""From which moment on changes are asked for, for each kind of object.

A watermark is the latest time of change that was *seen*, with the domain controller that had stamped it: each
controller stamps by its own clock what reaches it, so a watermark says nothing of another one's listing, and is never
taken from this host's clock. A quick synchronisation looks some time further back, for stamps come a little out of
order.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gatepost.connector.listing import KINDS, Kind
from gatepost.connector.store import BASELINE, Store
from gatepost.domain.contract import iso

NOTE = "watermark_{kind}"
EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)


class Watermarks:
    """The watermarks of one store's sealed listing. ``overlap`` is how much further back to look, in seconds."""

    def __init__(self, store: Store, overlap: float) -> None:
        self._store = store
        self._overlap = timedelta(seconds=overlap)

    def since(self, controller: str | None) -> Mapping[Kind, datetime]:
        """The moments from which on all changes are to be listed; nothing where everything is to be listed.

        That is so without a sealed listing, where no time was seen, and at another or an unknown controller.
        """
        if controller is None or self._store.note(BASELINE) is None:
            return {}
        marks = {kind: self._mark(kind, controller) for kind in KINDS}
        found: dict[Kind, datetime] = {
            kind: max(at, EARLIEST) - self._overlap for kind, at in marks.items() if at is not None
        }
        return found if len(found) == len(KINDS) else {}

    def notes(self, controller: str | None, seen: Mapping[Kind, datetime | None], *, delta: bool) -> dict[str, str]:
        """What to keep once a listing from this controller is sealed. Behind a delta a watermark never goes back."""
        notes = {}
        for kind, latest in seen.items():
            known = self._mark(kind, controller) if delta and controller else None
            at = max((each for each in (latest, known) if each is not None), default=None)
            said = {"controller": controller, "at": iso(at)} if controller and at else {}
            notes[NOTE.format(kind=kind)] = json.dumps(said)
        return notes

    def _mark(self, kind: Kind, controller: str) -> datetime | None:
        note = json.loads(self._store.note(NOTE.format(kind=kind)) or "{}")
        known = str(note.get("controller", "")).casefold() == controller.casefold()
        return datetime.fromisoformat(note["at"]) if known else None
