"""The versioned documents between connector and service (docs/protocol.md), both ways.

A check-in is sealed as bytes once and sent as those bytes until it is answered, so this module makes bytes and reads
bytes and knows nothing of HTTP. Unknown fields are ignored; what is wrong is a ``ContractError`` that names the place.
Rows are lists beside a list of column names, so that a later version may add columns.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from gatepost.domain.devices import Device, Mailbox, Statistics
from gatepost.errors import GatepostError

CONTRACT = 1
ROWS_A_DOCUMENT = 2_000
BYTES_UNPACKED = 4 * 1024 * 1024
BYTES_SENT = 1024 * 1024
DESIRED_A_PAGE = 5_000
LEASE_SECONDS = 120

Row = Sequence[Any]
E = TypeVar("E", bound=StrEnum)

DEVICE_COLUMNS: tuple[str, ...] = (
    "guid", "device_id", "mailbox_guid", *(name for name in Device._fields[3:]), *(Statistics._fields[1:]),
)  # fmt: skip
MAILBOX_COLUMNS: tuple[str, ...] = Mailbox._fields


class ContractError(GatepostError):
    """A document that is not what the contract says; ``place`` is a path such as ``facts.devices.columns``."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        self.problem = problem
        super().__init__(f"The document is malformed at {place}: {problem}.")


class Kind(StrEnum):
    """What a check-in is for."""

    CYCLE = "cycle"
    SYNC_BEGIN = "sync-begin"
    SYNC_PART = "sync-part"
    SYNC_SEAL = "sync-seal"


class Scope(StrEnum):
    """How much a synchronisation covers: everything, or what changed since the last."""

    FULL = "full"
    QUICK = "quick"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns."""

    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    def dicts(self) -> Iterable[dict[str, Any]]:
        """Each row as a mapping from column name to value."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the connector saw: rows, what is gone, settings, findings."""

    devices: Table = Table()
    mailboxes: Table = Table()
    gone: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None
    findings: tuple[Mapping[str, Any], ...] = ()
    people: Table = Table()
    groups: Table = Table()


@dataclass(frozen=True, slots=True)
class Status:
    """The connector's own state, shown on the console.

    ``exchange`` has server, version, domain_controller and projection; ``next_syncs`` has full and quick as ISO times;
    ``ceiling`` has limit and used; ``failure`` is the sentence of the last failed synchronisation, None when it worked.
    """

    version: str = ""
    host: str = ""
    exchange: Mapping[str, Any] = field(default_factory=dict)
    ceiling: Mapping[str, int] = field(default_factory=dict)
    next_syncs: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """One synchronisation. Counts, digest and unreadable belong to ``sync-begin``, part to ``sync-part``.

    ``unreadable`` counts objects that Exchange sent and we could not read: with any, a seal marks nothing as gone.
    """

    sync_id: str
    scope: Scope = Scope.FULL
    devices: int = 0
    mailboxes: int = 0
    digest: str = ""
    part: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One numbered document from connector to service."""

    organization: str
    epoch: int
    incarnation: str
    sequence: int
    kind: Kind
    revision: int = 0
    status: Status = Status()
    sync: Sync | None = None
    facts: Facts = Facts()
    outcomes: tuple[Mapping[str, Any], ...] = ()
    contract: int = CONTRACT


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What became of a sync document: ``go``, ``held``, ``merged``, ``sealed``, ``mismatch``; why, and poison rows."""

    state: str
    why: str = ""
    rejected: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The service's answer to a check-in. ``sync`` asks the connector for a synchronisation: none, quick or full."""

    sequence: int
    server_time: str
    incarnation: str
    lease_seconds: int = 0
    write_in_seconds: int = 0
    revision_from: int = 0
    revision: int = 0
    more: bool = False
    desired: tuple[Mapping[str, Any], ...] = ()
    orders: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[Mapping[str, Any], ...] = ()
    sync: str = "none"
    held: Mapping[str, int] = field(default_factory=lambda: {"count": 0})
    result: SyncResult | None = None


def iso(moment: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC with ``Z`` and up to six fractional digits; None stays None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def seal(check_in: CheckIn) -> bytes:
    """The bytes of a check-in: canonical enough to be sent again and digested."""
    return _dumps(_plain(check_in))


def digest(document: bytes) -> str:
    """SHA-256 of the bytes, as hex: what tells a repeated document from another one with the same sequence."""
    return hashlib.sha256(document).hexdigest()


def row_text(row: Row) -> bytes:
    """A row's canonical JSON."""
    return _dumps(list(row))


def row_hash(row: Row) -> int:
    """64 bits of BLAKE2b over a row's canonical JSON: tells whether a row changed, and adds up in a digest."""
    return text_hash(row_text(row))


def text_hash(text: bytes) -> int:
    """The hash of a row that is at hand as canonical JSON."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


class ListingDigest:
    """A digest of a set of rows that does not depend on their order: the sum of their hashes, mod 2**64.

    The service adds the rows of each part as they arrive (``start`` is what it had) and compares at the seal.
    """

    def __init__(self, start: str = "") -> None:
        self._sum = int(start, 16) if start else 0

    def add(self, row: Row) -> int:
        """Count one row in; returns its hash."""
        value = row_hash(row)
        self.add_hash(value)
        return value

    def add_hash(self, value: int) -> None:
        """Count in a row by its hash, kept as signed or unsigned 64 bits."""
        self._sum = (self._sum + value) & 0xFFFF_FFFF_FFFF_FFFF

    def hexdigest(self) -> str:
        """The digest as 16 hex digits."""
        return f"{self._sum:016x}"


def read_check_in(document: bytes) -> CheckIn:
    """Read a check-in. Raises ``ContractError`` that names the field; rows are checked by their reader, one by one."""
    raw = _object(_loads(document), "document")
    facts = _object(raw.get("facts", {}), "facts")
    if not isinstance(raw.get("contract"), int):
        raise ContractError("contract", "expected a whole number")
    return CheckIn(
        contract=raw["contract"],
        organization=_text(raw, "organization"),
        epoch=_whole(raw, "epoch"),
        incarnation=_text(raw, "incarnation"),
        sequence=_whole(raw, "sequence"),
        kind=_choice(Kind, raw.get("kind"), "kind"),
        revision=_whole(raw, "revision"),
        status=_read_status(_object(raw.get("status", {}), "status")),
        sync=_read_sync(raw.get("sync")),
        facts=Facts(
            devices=_read_table(facts.get("devices"), "facts.devices"),
            mailboxes=_read_table(facts.get("mailboxes"), "facts.mailboxes"),
            gone=tuple(str(guid) for guid in _list(facts.get("gone", []), "facts.gone")),
            settings=None if facts.get("settings") is None else _object(facts["settings"], "facts.settings"),
            findings=_objects(facts.get("findings", []), "facts.findings"),
            people=_read_table(facts.get("people"), "facts.people"),
            groups=_read_table(facts.get("groups"), "facts.groups"),
        ),
        outcomes=_objects(raw.get("outcomes", []), "outcomes"),
    )


def write_answer(answer: Answer) -> bytes:
    """The bytes of an answer."""
    return _dumps(_plain(answer))


def read_answer(document: bytes) -> Answer:
    """Read an answer. Raises ``ContractError`` that names the field."""
    raw = _object(_loads(document), "document")
    result = raw.get("result")
    return Answer(
        sequence=_whole(raw, "sequence"),
        server_time=_text(raw, "server_time"),
        incarnation=_text(raw, "incarnation"),
        lease_seconds=_whole(raw, "lease_seconds"),
        write_in_seconds=_whole(raw, "write_in_seconds"),
        revision_from=_whole(raw, "revision_from"),
        revision=_whole(raw, "revision"),
        more=raw.get("more") is True,
        desired=_objects(raw.get("desired", []), "desired"),
        orders=_objects(raw.get("orders", []), "orders"),
        notices=_objects(raw.get("notices", []), "notices"),
        sync=str(raw.get("sync", "none")),
        held=_object(raw.get("held", {"count": 0}), "held"),
        result=None if result is None else _read_result(_object(result, "result")),
    )


def _read_result(raw: Mapping[str, Any]) -> SyncResult:
    return SyncResult(
        _text(raw, "state"), str(raw.get("why", "")), _objects(raw.get("rejected", []), "result.rejected")
    )


def _read_status(raw: Mapping[str, Any]) -> Status:
    failure = raw.get("failure")
    return Status(
        version=str(raw.get("version", "")),
        host=str(raw.get("host", "")),
        exchange=_object(raw.get("exchange", {}), "status.exchange"),
        ceiling=_object(raw.get("ceiling", {}), "status.ceiling"),
        next_syncs=_object(raw.get("next_syncs", {}), "status.next_syncs"),
        failure=None if failure is None else str(failure),
    )


def _read_sync(raw: Any) -> Sync | None:  # noqa: ANN401 - foreign JSON
    if raw is None:
        return None
    sync = _object(raw, "sync")
    return Sync(
        sync_id=_text(sync, "sync_id"),
        scope=_choice(Scope, sync.get("scope", Scope.FULL), "sync.scope"),
        devices=_whole(sync, "devices"),
        mailboxes=_whole(sync, "mailboxes"),
        digest=str(sync.get("digest", "")),
        part=_whole(sync, "part"),
        unreadable=_whole(sync, "unreadable"),
    )


def _read_table(raw: Any, place: str) -> Table:  # noqa: ANN401 - foreign JSON
    if raw is None:
        return Table()
    table = _object(raw, place)
    columns = tuple(str(name) for name in _list(table.get("columns", []), f"{place}.columns"))
    rows = _list(table.get("rows", []), f"{place}.rows")
    if len(rows) > ROWS_A_DOCUMENT:
        raise ContractError(f"{place}.rows", f"{len(rows)} rows, at most {ROWS_A_DOCUMENT} are allowed")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ContractError(f"{place}.rows[{number}]", f"expected a list of {len(columns)} values")
    return Table(columns, tuple(rows))


def _plain(value: Any) -> Any:  # noqa: ANN401 - foreign JSON
    """A document value as JSON types; slots of dataclasses in their order. Rows are of JSON types already."""
    if isinstance(value, Table):
        return {"columns": value.columns, "rows": value.rows}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _dumps(value: Any) -> bytes:  # noqa: ANN401 - foreign JSON
    """Compact JSON in ASCII, so that a lone surrogate in a device's name is kept and never breaks a document."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _loads(document: bytes) -> Any:  # noqa: ANN401 - foreign JSON
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ContractError("document", f"not JSON ({error})") from error


def _object(value: Any, place: str) -> Mapping[str, Any]:  # noqa: ANN401 - foreign JSON
    if not isinstance(value, dict):
        raise ContractError(place, "expected an object")
    return value


def _list(value: Any, place: str) -> list[Any]:  # noqa: ANN401 - foreign JSON
    if not isinstance(value, list):
        raise ContractError(place, "expected a list")
    return value


def _objects(value: Any, place: str) -> tuple[Mapping[str, Any], ...]:  # noqa: ANN401 - foreign JSON
    return tuple(_object(entry, f"{place}[{number}]") for number, entry in enumerate(_list(value, place)))


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise ContractError(name, "expected a text that is not empty")
    return value


def _whole(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ContractError(name, "expected a whole number from 0")
    return value


def _choice(kind: type[E], value: Any, place: str) -> E:  # noqa: ANN401 - foreign JSON
    try:
        return kind(value)
    except ValueError as error:
        raise ContractError(place, f"expected one of {', '.join(kind)}") from error
