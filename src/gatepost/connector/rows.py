"""What Exchange sent as rows of the contract: plain values, times as text, and no text that a database cannot hold."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gatepost.domain.contract import DEVICE_COLUMNS, iso
from gatepost.domain.devices import Device, Mailbox

TEXT_LIMIT = 4_000  # characters; the service takes no longer ones
LIST_LIMIT = 500_000  # characters of all entries together; more cannot be sent in one document with room to spare
REPLACEMENT = "\ufffd"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_NO_STATISTICS = [None] * (len(DEVICE_COLUMNS) - len(Device._fields))


class Mender:
    """Makes rows of objects, and counts those whose text had to be mended."""

    def __init__(self) -> None:
        self.mended = 0

    def device(self, device: Device, mailbox_guid: str | None) -> list[Any]:
        """A row under ``DEVICE_COLUMNS``; statistics are asked for one by one elsewhere."""
        return self._row((device.guid, device.device_id, mailbox_guid, *device[3:])) + _NO_STATISTICS

    def mailbox(self, mailbox: Mailbox) -> list[Any]:
        """A row under ``MAILBOX_COLUMNS``."""
        return self._row(mailbox)

    def _row(self, values: Sequence[Any]) -> list[Any]:
        row = [value if value is None or (type(value) is str and _fits(value)) else _fit(value) for value in values]
        if any(map(_differs, values, row)):
            self.mended += 1
        return row


def oversized(mailbox: Mailbox) -> bool:
    """Whether a mailbox's lists are too long to be told: no part of them is told then, since half a list misleads."""
    ids = (*(mailbox.allowed_ids or ()), *(mailbox.blocked_ids or ()))
    return sum(map(len, ids)) > LIST_LIMIT


def mend(text: str) -> str:
    """A text without NUL and half characters, cut to what the service takes."""
    return _UNFIT.sub(REPLACEMENT, text)[:TEXT_LIMIT]


def _differs(value: Any, fit: Any) -> bool:  # noqa: ANN401 - a field of any type
    """Whether text had to be mended to fit; other types only change their form."""
    if value is fit:
        return False
    return bool(fit != value) if type(value) is str else type(value) is tuple and tuple(fit) != value


def _fits(text: str) -> bool:
    return text.isascii() and "\x00" not in text and len(text) <= TEXT_LIMIT


def _fit(value: Any) -> Any:  # noqa: ANN401 - a field of any type
    """A value as JSON and a database can hold it."""
    if isinstance(value, str):
        return value if _fits(value) else mend(value)
    if isinstance(value, datetime):
        return iso(value)
    return [_fit(entry) for entry in value] if isinstance(value, tuple | list) else value
