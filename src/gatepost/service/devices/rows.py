"""Rows of a check-in become typed values, one row at a time: a poison row stops only itself.

``Reader`` is made from a table's column names; columns that this version does not know are ignored, those that are
missing read as None.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, ContractError, Row
from gatepost.domain.devices import MailboxKind

LONGEST_TEXT = 4_000
LONGEST_WORD = 100
LONGEST_LIST = 1_000
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
KINDS = frozenset(MailboxKind)
WORDS = ("access_state", "access_state_reason", "client_type", "policy_applied", "policy_status", "status")

Check = Callable[[Any], Any]


class PoisonRow(ValueError):
    """A row that cannot be kept; the text says which column and why. Never leaves this package."""


def text(value: Any) -> str:  # noqa: ANN401 - foreign JSON
    """Text that PostgreSQL can hold: no NUL, no half of a surrogate pair, at most 4,000 characters."""
    if not isinstance(value, str):
        raise PoisonRow("is not a text")
    if len(value) > LONGEST_TEXT:
        raise PoisonRow(f"has {len(value):,} characters, at most {LONGEST_TEXT:,} are kept")
    if "\0" in value:
        raise PoisonRow("holds a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise PoisonRow("holds half of a surrogate pair") from error
    return value


def word(value: Any) -> str:  # noqa: ANN401 - foreign JSON
    """One of a few texts that devices are counted by, at most 100 characters: it must fit into an index."""
    if len(text(value)) > LONGEST_WORD:
        raise PoisonRow(f"has {len(value):,} characters, at most {LONGEST_WORD:,} are kept")
    return str(value)


def guid(value: Any) -> UUID:  # noqa: ANN401 - foreign JSON
    """A GUID in its usual form."""
    if not isinstance(value, str) or not GUID.fullmatch(value):
        raise PoisonRow("is not a GUID")
    return UUID(value)


def moment(value: Any) -> datetime:  # noqa: ANN401 - foreign JSON
    """An ISO 8601 time with its zone, in UTC."""
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            raise PoisonRow("is a time without a zone")
        return parsed.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, PoisonRow) else PoisonRow("is not an ISO 8601 time") from error


def whole(value: Any) -> int:  # noqa: ANN401 - foreign JSON
    """A whole number of 32 bits."""
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) <= value < 2**31:
        raise PoisonRow("is not a whole number of 32 bits")
    return value


def flag(value: Any) -> bool:  # noqa: ANN401 - foreign JSON
    """True or false."""
    if not isinstance(value, bool):
        raise PoisonRow("is neither true nor false")
    return value


def texts(value: Any) -> list[str]:  # noqa: ANN401 - foreign JSON
    """A list of texts, at most 1,000."""
    if not isinstance(value, list) or len(value) > LONGEST_LIST:
        raise PoisonRow(f"is not a list of at most {LONGEST_LIST:,} texts")
    return [text(entry) for entry in value]


def mailbox_kind(value: Any) -> str:  # noqa: ANN401 - foreign JSON
    """One of the kinds of a mailbox."""
    if not isinstance(value, str) or value not in KINDS:
        raise PoisonRow("is not a kind of mailbox")
    return str(value)


def _check_of(column: str) -> Check:
    """The check of a column, by its name."""
    if column.endswith("_at"):
        return moment
    if column.endswith("_ids"):
        return texts
    special: Mapping[str, Check] = {
        "guid": guid,
        "mailbox_guid": guid,
        "folders_synced": whole,
        "eas_enabled": flag,
        "kind": mailbox_kind,
        **dict.fromkeys(WORDS, word),
    }
    return special.get(column, text)


class Reader:
    """Reads the rows of one table. Raises ContractError if the table has rows but no column ``guid``."""

    def __init__(self, place: str, wanted: Sequence[str], defaults: Mapping[str, Any], columns: Sequence[str]) -> None:
        if "guid" not in columns:
            raise ContractError(f"{place}.columns", "the column guid is missing")
        self._guid_at = columns.index("guid")
        self._mailbox_at = columns.index("mailbox_guid") if "mailbox_guid" in columns else -1
        self._plan = [
            (name, columns.index(name) if name in columns else -1, _check_of(name), defaults.get(name))
            for name in wanted
        ]

    def guid(self, row: Row) -> UUID | None:
        """The row's key, None if it is no GUID."""
        value = row[self._guid_at]
        return UUID(value) if isinstance(value, str) and GUID.fullmatch(value) else None

    def is_orphan(self, row: Row) -> bool:
        """Whether a device's row names no mailbox."""
        return self._mailbox_at < 0 or row[self._mailbox_at] is None

    def read(self, row: Row) -> list[Any]:
        """The values in the order of the wanted columns. Raises PoisonRow that names the column."""
        values = []
        for name, at, check, default in self._plan:
            value = row[at] if at >= 0 else None
            if value is None:
                values.append(default)
                continue
            try:
                values.append(check(value))
            except PoisonRow as error:
                raise PoisonRow(f"{name} {error}") from error
        return values


def device_reader(columns: Sequence[str]) -> Reader:
    """A reader of device rows, in the order of DEVICE_COLUMNS."""
    return Reader("facts.devices", DEVICE_COLUMNS, {}, columns)


def mailbox_reader(columns: Sequence[str]) -> Reader:
    """A reader of mailbox rows, in the order of MAILBOX_COLUMNS. A list that is not told is None, not an empty one."""
    return Reader("facts.mailboxes", MAILBOX_COLUMNS, {"kind": "user"}, columns)
