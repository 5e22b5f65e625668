"""The watch for new devices: every few seconds those that first synchronised of late, told at once.

One small cmdlet a look, filtered by Exchange. Looks overlap by minutes, so that a device whose time is stamped late by
another server's clock is found, and so that what becomes of a new one within that time (its model, the level that
Exchange gives it) is seen too. Nothing is missed for good by a look that fails: the quick synchronisation sees it.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gatepost.connector import log
from gatepost.connector.listing import Listing, fold
from gatepost.connector.rows import Mender, RowText
from gatepost.connector.statistics import Readings
from gatepost.connector.taking import UNBELIEVABLE
from gatepost.domain.devices import Device
from gatepost.errors import UnreadableObject

SHARE = 10.0
"""A look is followed by a pause of at least so many times its own length: it never takes much of a server's time."""


class Source(Protocol):
    """What is watched: an open Exchange organization."""

    @property
    def can_watch(self) -> bool:
        """Whether devices can be asked for by when they first synchronised."""

    def new_devices(self, since: datetime) -> Iterable[Device | UnreadableObject]:
        """The devices that first synchronised at or after a moment."""


class Watch:
    """Looks at one organization. ``tell`` tells the service rows of devices and says how many it took.

    ``overlap`` is in seconds. ``ask`` asks for a quick synchronisation: for a device whose mailbox is not known yet.
    """

    def __init__(
        self,
        listing: Listing,
        tell: Callable[[list[RowText]], int],
        ask: Callable[[], None],
        overlap: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._listing = listing
        self._tell = tell
        self._ask = ask
        self._overlap = timedelta(seconds=overlap)
        self._now = now
        self._memory = Readings(listing.store)
        self._latest: datetime | None = None
        self._asked: set[str] = set()

    def look(self, source: Source) -> int:
        """Look once; how many devices were told. Nothing before the first synchronisation, or without a filter.

        Raises the ExchangeError family, UplinkError where they cannot be told.
        """
        since = self._since()
        if since is None or not source.can_watch:
            return 0
        found = [each for each in source.new_devices(since) if isinstance(each, Device)]
        news = self._news(found)
        told = self._tell(news) if news else 0
        self._remember(found)
        return told

    def _since(self) -> datetime | None:
        """From when on devices are asked for: some time before the latest that was seen, on the servers' clocks."""
        if not self._listing.has_baseline:
            return None
        if self._latest is None:
            self._latest = self._listing.latest_first_sync(self._now() + UNBELIEVABLE)
        return None if self._latest is None else self._latest - self._overlap

    def _news(self, found: Iterable[Device]) -> list[RowText]:
        """The rows that are not as the service has them, of devices whose mailboxes it knows."""
        devices, mender = list(found), Mender()
        owners = self._listing.sealed_owners(each.mailbox_dn for each in devices)
        self._ask_about(devices, owners)
        owned = [(each, owners[dn]) for each in devices if (dn := fold(each.mailbox_dn) or "") in owners]
        rows = self._memory.complete([mender.device(each, owner) for each, owner in owned])
        return self._listing.unlike_sealed(rows)

    def _ask_about(self, devices: Iterable[Device], owners: Mapping[str, str]) -> None:
        """A synchronisation finds the mailbox of a new person; it is asked for once a device."""
        strangers = {each.guid for each in devices if (fold(each.mailbox_dn) or "") not in owners}
        if strangers - self._asked - self._listing.sealed_devices(strangers):
            log.info("a device of a mailbox that is not known yet: a quick synchronisation is taken")
            self._ask()
        self._asked = strangers

    def _remember(self, found: Iterable[Device]) -> None:
        believable = self._now() + UNBELIEVABLE
        moments = [each.first_sync_at for each in found if each.first_sync_at and each.first_sync_at <= believable]
        self._latest = max([*moments, *([self._latest] if self._latest else [])], default=None)
