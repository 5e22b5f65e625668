"""Bulk listings, whole or of what changed since a moment.

Whether an endpoint can filter by a time is found out by asking, once for each cmdlet and time: an object whose time
is known must be within a window around it, and nothing else. A filter that is refused, ignored, or read in another time
zone does not pass. Without it the times of all objects are listed, and those that changed are read one by one.
"""

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

from gatepost.errors import AnswerTruncated, CmdletFailed, CmdletNotGranted, ExchangeError, UnreadableObject
from gatepost.exchange.calls import Calls
from gatepost.exchange.commands import Changed, Cmdlet, Stamp
from gatepost.exchange.reading import Row, moment

log = logging.getLogger(__name__)

TIMES = ("Guid", "WhenChangedUTC")
ONE_BY_ONE = 1_000
"""From so many changed objects on, one whole listing costs less than a call for each."""
_AROUND = timedelta(seconds=1)
_WITHIN = "1000"
_YEARS = range(2000, 2200)
"""A time outside of these was set by nobody's clock, and proves nothing."""

Found = Iterator[Row | UnreadableObject]


class Listing:
    """Lists the objects of cmdlets that declare Guid first and WhenChangedUTC last."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._filters: dict[tuple[str, Stamp], bool] = {}

    def rows(self, cmdlet: Cmdlet, changed_since: datetime | None) -> Found:
        """All objects, or those that changed at or after a moment; an unreadable one comes as a value."""
        if changed_since is None:
            return self._calls.stream(cmdlet)
        if self.filters(cmdlet):
            return self._calls.stream(cmdlet, Filter=Changed(changed_since))
        return self._compared(cmdlet, changed_since)

    def stamped(self, cmdlet: Cmdlet, stamp: Stamp, since: datetime) -> Found:
        """The objects with this time at or after a moment; only where ``filters`` says that it can be asked."""
        return self._calls.stream(cmdlet, Filter=Changed(since, stamp=stamp))

    def filters(self, cmdlet: Cmdlet, stamp: Stamp = Stamp.CHANGED) -> bool:
        """Whether a cmdlet can filter by this time here; False where there is nothing to find it out by."""
        key = cmdlet.name, stamp
        if key not in self._filters:
            known = self._any(cmdlet, stamp)
            if known is None:
                return False
            self._filters[key] = self._finds(cmdlet, stamp, *known)
        return self._filters[key]

    def _any(self, cmdlet: Cmdlet, stamp: Stamp) -> tuple[str, datetime] | None:
        """The Guid and time of some object. The listing is left at the first one."""
        with closing(self._calls.stream(cmdlet, ("Guid", stamp.value))) as rows:
            for row in rows:
                if isinstance(row, tuple) and isinstance(row[1], datetime) and row[1].year in _YEARS:
                    return str(row[0]), row[1]
        return None

    def _finds(self, cmdlet: Cmdlet, stamp: Stamp, guid: str, at: datetime) -> bool:
        around = Changed(at - _AROUND, at + _AROUND, stamp)
        try:
            rows = self._calls.read(cmdlet, ("Guid", stamp.value), Filter=around, ResultSize=_WITHIN)
        except (CmdletFailed, CmdletNotGranted, AnswerTruncated) as error:
            log.info("%s of %s cannot be filtered by: %s", stamp, cmdlet.name, error)
            return False
        times = {str(row[0]): moment(row[1]) for row in rows}
        return guid in times and all(time is not None and abs(time - at) < 2 * _AROUND for time in times.values())

    def _compared(self, cmdlet: Cmdlet, since: datetime) -> Found:
        """What changed, found by listing times; by the whole listing where only that can be had, or much changed."""
        if self._calls.capabilities.projection:
            changed: list[str] = []
            for row in self._calls.stream(cmdlet, TIMES):
                if isinstance(row, UnreadableObject):
                    yield row
                elif isinstance(row[0], str) and _is_new(row, since):
                    changed.append(row[0])
            if len(changed) <= ONE_BY_ONE:
                yield from self._one_by_one(cmdlet, changed)
                return
        for row in self._calls.stream(cmdlet):
            if isinstance(row, UnreadableObject) or _is_new(row, since):
                yield row

    def _one_by_one(self, cmdlet: Cmdlet, guids: list[str]) -> Found:
        """The objects of these guids, in parallel; those that are gone by now are left out."""
        read = self._calls.one_in
        every = self._calls.pool.each(lambda session, guid: read(session, cmdlet, cmdlet.fields, guid), guids)
        for _, found in every:
            if not isinstance(found, ExchangeError):
                yield found
            elif not (isinstance(found, CmdletFailed) and found.not_found):
                raise found


def _is_new(row: Row, since: datetime) -> bool:
    """Whether an object changed since; one without a time may have."""
    changed = moment(row[-1])
    return changed is None or changed >= since
