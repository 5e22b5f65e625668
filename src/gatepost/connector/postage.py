"""To whom mail may go, and how much in a day: a local limit like scope and ceiling, which the service cannot change.

A service in other hands would have whatever it likes sent by the organization's own mailbox. So mail goes to people's
mailboxes that stand in this connector's own listing, and to nobody else, and there are only so many in 24 hours.
"""

import json
import time
from collections.abc import Callable

from gatepost.connector.places import Places
from gatepost.connector.store import MAILED, Store
from gatepost.domain.devices import MailboxKind

HOUR = 3_600
HOURS = 24
READERS = frozenset({MailboxKind.USER.value, MailboxKind.LINKED.value})


class Postage:
    """The limit of one connector: ``most`` mails in 24 hours. What was sent is counted by the hour, in the store."""

    def __init__(self, store: Store, places: Places, most: int, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._places = places
        self._most = most
        self._now = now

    @property
    def ready(self) -> bool:
        """Whether there is a listing, so that strangers are told from others; after a fresh start there is none."""
        return self._places.known

    @property
    def left(self) -> int:
        """How many mails may still leave now."""
        return max(0, self._most - sum(self._hours().values()))

    def refusal(self, address: str) -> str:
        """Why no mail goes to this address, '' where it may."""
        kinds = self._places.kinds_at(address)
        if not kinds:
            return "the address is no mailbox of this connector's listing"
        return "" if kinds <= READERS else "the mailbox is not a person's"

    def spend(self) -> None:
        """Count one mail, before its first byte leaves: one whose end nobody knows counts too."""
        hours, this = self._hours(), str(int(self._now() // HOUR))
        hours[this] = hours.get(this, 0) + 1
        self._store.remember(**{MAILED: json.dumps(hours)})

    def _hours(self) -> dict[str, int]:
        """What was sent in each of the last hours; what a clock that ran ahead wrote counts as well."""
        since = int(self._now() // HOUR) - HOURS
        hours: dict[str, int] = json.loads(self._store.note(MAILED) or "{}")
        return {hour: count for hour, count in hours.items() if int(hour) > since}
