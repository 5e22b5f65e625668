"""What Exchange sent as rows of the contract, as text: times in ISO 8601, and no text that a database cannot hold.

An inventory makes rows by the hundred thousand, keeps their JSON and hashes it, so that is what is made here. The text
is byte for byte what ``contract.row_text`` defines, at a quarter of its price; a property test holds them together.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gatepost.domain.contract import DEVICE_COLUMNS, iso
from gatepost.domain.devices import Device, Mailbox, Statistics

TEXT_LIMIT = 4_000  # characters; the service takes no longer ones
LIST_LIMIT = 500_000  # characters of all entries together; more cannot be sent in one document with room to spare
REPLACEMENT = "\ufffd"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
STATISTICS = len(DEVICE_COLUMNS) - len(Device._fields)
"""How many columns at the end of a device's row are statistics."""
_NO_STATISTICS = (None,) * STATISTICS
_NULLS = ",null" * STATISTICS + "]"
_BEYOND = re.compile("[^ -~]")
_json = msgspec.json.Encoder().encode


class RowText(NamedTuple):
    """A row by its guid, as canonical JSON in ASCII."""

    guid: str
    text: str


class Mender:
    """Makes rows of objects, and counts those whose text had to be mended."""

    def __init__(self) -> None:
        self.mended = 0

    def device(self, device: Device, mailbox_guid: str | None) -> RowText:
        """A row under ``DEVICE_COLUMNS``; statistics are asked for one by one elsewhere."""
        guid, device_id, _, *rest = device
        return self._row((guid, device_id, mailbox_guid, *rest, *_NO_STATISTICS))

    def mailbox(self, mailbox: Mailbox) -> RowText:
        """A row under ``MAILBOX_COLUMNS``."""
        return self._row(mailbox)

    def _row(self, values: Sequence[Any]) -> RowText:
        """A short text without a sign of what is unfit needs no closer look, and nearly all are like that."""
        try:
            text = canonical(values)
        except UnicodeEncodeError:  # half a character
            text = ""
        if text and len(text) <= TEXT_LIMIT and r"\u0000" not in text:
            return RowText(values[0], text)
        mended = [_fit(value) for value in values]
        self.mended += any(map(_differs, values, mended))
        return RowText(mended[0], canonical(mended))


def statistics_text(statistics: Statistics) -> str:
    """What a device's row ends with, as a list of its own."""
    return canonical([_fit(value) for value in statistics[1:]])


def with_statistics(row: RowText, text: str) -> RowText:
    """A device's row that has no statistics, with those of ``statistics_text``."""
    return RowText(row.guid, f"{row.text.removesuffix(_NULLS)},{text[1:]}")


def canonical(row: Sequence[Any]) -> str:
    """A row's canonical JSON, as ``contract.row_text`` has it with times by ``iso``; times must be in UTC.

    Raises UnicodeEncodeError for half a character. Floats are not for rows: their JSON may differ.
    """
    text = _json(row).decode().replace("§", r"\u00a7")  # one in every device's identity
    return text if text.isascii() and "\x7f" not in text else _BEYOND.sub(_escape, text)


class _Escapes(dict[str, str]):
    r"""JSON's ``\uXXXX`` for a character, one for each UTF-16 unit, remembered."""

    def __missing__(self, character: str) -> str:
        units = character.encode("utf-16-be").hex()
        escape = self[character] = "".join(rf"\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        return escape


_escapes = _Escapes()


def _escape(found: re.Match[str]) -> str:
    return _escapes[found[0]]


def oversized(mailbox: Mailbox) -> bool:
    """Whether a mailbox's lists are too long to be told: no part of them is told then, since half a list misleads."""
    ids = (*(mailbox.allowed_ids or ()), *(mailbox.blocked_ids or ()))
    return sum(map(len, ids)) > LIST_LIMIT


def mend(text: str) -> str:
    """A text without NUL and half characters, cut to what the service takes."""
    return text if _fits(text) else _UNFIT.sub(REPLACEMENT, text)[:TEXT_LIMIT]


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
        return mend(value)
    if isinstance(value, datetime):
        return iso(value)
    return [_fit(entry) for entry in value] if isinstance(value, tuple | list) else value
