"""The versioned documents between connector and service (docs/protocol.md), both ways.

A check-in is sealed as bytes once and sent as those bytes until it is answered, so this module makes bytes and reads
bytes and knows nothing of HTTP. Unknown fields are ignored; what is wrong is a ``ContractError`` that names the place.
Rows are lists beside a list of column names, so that a later version may add columns.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from gatepost.domain.desired import Desired, read_desired
from gatepost.domain.devices import Device, Mailbox, Statistics
from gatepost.domain.fields import ContractError as ContractError  # noqa: PLC0414 - it belongs to the contract
from gatepost.domain.fields import choice, dumps, loads, mapping, mappings, sequence, text, whole
from gatepost.domain.posting import DueNotice, read_due
from gatepost.domain.wishes import Wish, read_wish

CONTRACT = 1
ROWS_A_DOCUMENT = 2_000
BYTES_UNPACKED = 4 * 1024 * 1024
BYTES_SENT = 1024 * 1024
DESIRED_A_PAGE = 5_000
LEASE_SECONDS = 120

Row = Sequence[Any]
T = TypeVar("T")

DEVICE_COLUMNS: tuple[str, ...] = (
    "guid", "device_id", "mailbox_guid", *(name for name in Device._fields[3:]), *(Statistics._fields[1:]),
)  # fmt: skip
MAILBOX_COLUMNS: tuple[str, ...] = Mailbox._fields


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
    ``failure`` is the sentence of the last failed synchronisation, None when it worked. The local limits of writing:
    ``mode`` is observe or enforce, empty from a connector that does not write; ``scope`` are the mailboxes that may be
    written (addresses, ``@domain`` or ``*``); ``ceiling`` has limit and used, in writes that take access away, an hour.
    ``load`` has sessions, limit, waiting (calls that wait for a session), pushed_back_at and why, as at Exchange now;
    ``errors`` are the newest first, each with at, what and remedy; ``doctor`` has at and checks (domain.checks), of its
    last run. ``certificate_until`` is when the connector's certificate ends.
    """

    version: str = ""
    host: str = ""
    exchange: Mapping[str, Any] = field(default_factory=dict)
    ceiling: Mapping[str, int] = field(default_factory=dict)
    next_syncs: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None
    mode: str = ""
    scope: tuple[str, ...] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[Mapping[str, str], ...] = ()
    doctor: Mapping[str, Any] = field(default_factory=dict)
    certificate_until: str | None = None


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
    """One numbered document from connector to service.

    ``revision`` is the one up to which the connector holds what is desired: with mode ``enforce`` it acknowledges that
    work may begin on it. ``outcomes`` are JSON objects, each with ``outcome_id`` and ``about``: those about access are
    read by ``domain.desired.read_outcome``.
    """

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
    """The service's answer to a check-in. ``sync`` asks the connector for a synchronisation: none, quick or full.

    ``taken_away`` counts the organization's reported writes of the last hour that added a block or removed an allow
    entry: the connector's ceiling counts no less than that, whatever its own store remembers. ``unreadable`` says what
    is wrong with desired rows and wishes that could not be read; it is made where an answer is read, and is in none.
    ``wishes`` are settings of Exchange to change; they come again in every answer until what became of them is told.
    ``notices`` are to be claimed and sent, or looked for; they come again until what became of them is told.
    """

    sequence: int
    server_time: str
    incarnation: str
    lease_seconds: int = 0
    write_in_seconds: int = 0
    revision_from: int = 0
    revision: int = 0
    more: bool = False
    desired: tuple[Desired, ...] = ()
    orders: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[DueNotice, ...] = ()
    wishes: tuple[Wish, ...] = ()
    sync: str = "none"
    held: Mapping[str, int] = field(default_factory=lambda: {"count": 0})
    result: SyncResult | None = None
    taken_away: int = 0
    unreadable: tuple[str, ...] = ()


def iso(moment: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC with ``Z`` and up to six fractional digits; None stays None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def seal(check_in: CheckIn) -> bytes:
    """The bytes of a check-in: canonical enough to be sent again and digested."""
    return dumps(_plain(check_in))


def digest(document: bytes) -> str:
    """SHA-256 of the bytes, as hex: what tells a repeated document from another one with the same sequence."""
    return hashlib.sha256(document).hexdigest()


def row_text(row: Row) -> bytes:
    """A row's canonical JSON."""
    return dumps(list(row))


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
    raw = mapping(loads(document), "document")
    facts = mapping(raw.get("facts", {}), "facts")
    if not isinstance(raw.get("contract"), int):
        raise ContractError("contract", "expected a whole number")
    return CheckIn(
        contract=raw["contract"],
        organization=text(raw, "organization"),
        epoch=whole(raw, "epoch"),
        incarnation=text(raw, "incarnation"),
        sequence=whole(raw, "sequence"),
        kind=choice(Kind, raw.get("kind"), "kind"),
        revision=whole(raw, "revision"),
        status=_read_status(mapping(raw.get("status", {}), "status")),
        sync=_read_sync(raw.get("sync")),
        facts=Facts(
            devices=_read_table(facts.get("devices"), "facts.devices"),
            mailboxes=_read_table(facts.get("mailboxes"), "facts.mailboxes"),
            gone=tuple(str(guid) for guid in sequence(facts.get("gone", []), "facts.gone")),
            settings=None if facts.get("settings") is None else mapping(facts["settings"], "facts.settings"),
            findings=mappings(facts.get("findings", []), "facts.findings"),
            people=_read_table(facts.get("people"), "facts.people"),
            groups=_read_table(facts.get("groups"), "facts.groups"),
        ),
        outcomes=mappings(raw.get("outcomes", []), "outcomes"),
    )


def write_answer(answer: Answer) -> bytes:
    """The bytes of an answer."""
    plain = _plain(answer)
    del plain["unreadable"]
    return dumps(plain)


def read_answer(document: bytes) -> Answer:
    """Read an answer. Raises ``ContractError`` that names the field; a desired row is refused alone."""
    raw = mapping(loads(document), "document")
    result = raw.get("result")
    desired, unreadable = _read_each(sequence(raw.get("desired", []), "desired"), "desired", read_desired)
    wishes, unreadable_wishes = _read_each(sequence(raw.get("wishes", []), "wishes"), "wishes", read_wish)
    notices, unreadable_notices = _read_each(sequence(raw.get("notices", []), "notices"), "notices", read_due)
    return Answer(
        sequence=whole(raw, "sequence"),
        server_time=text(raw, "server_time"),
        incarnation=text(raw, "incarnation"),
        lease_seconds=whole(raw, "lease_seconds"),
        write_in_seconds=whole(raw, "write_in_seconds"),
        revision_from=whole(raw, "revision_from"),
        revision=whole(raw, "revision"),
        more=raw.get("more") is True,
        desired=desired,
        orders=mappings(raw.get("orders", []), "orders"),
        notices=notices,
        wishes=wishes,
        sync=str(raw.get("sync", "none")),
        held=mapping(raw.get("held", {"count": 0}), "held"),
        result=None if result is None else _read_result(mapping(result, "result")),
        taken_away=whole(raw, "taken_away"),
        unreadable=(*unreadable, *unreadable_wishes, *unreadable_notices),
    )


def _read_each(
    rows: Iterable[Any], name: str, read: Callable[[Mapping[str, Any], str], T]
) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """What the rows say, and what is wrong with those that cannot be read: such a one stops only itself."""
    found, unreadable = [], []
    for number, row in enumerate(rows):
        place = f"{name}[{number}]"
        try:
            found.append(read(mapping(row, place), place))
        except ContractError as error:
            unreadable.append(str(error))
    return tuple(found), tuple(unreadable)


def _read_result(raw: Mapping[str, Any]) -> SyncResult:
    return SyncResult(text(raw, "state"), str(raw.get("why", "")), mappings(raw.get("rejected", []), "result.rejected"))


def _read_status(raw: Mapping[str, Any]) -> Status:
    failure, until = raw.get("failure"), raw.get("certificate_until")
    return Status(
        version=str(raw.get("version", "")),
        host=str(raw.get("host", "")),
        exchange=mapping(raw.get("exchange", {}), "status.exchange"),
        ceiling=mapping(raw.get("ceiling", {}), "status.ceiling"),
        next_syncs=mapping(raw.get("next_syncs", {}), "status.next_syncs"),
        failure=None if failure is None else str(failure),
        mode=str(raw.get("mode", "")),
        scope=tuple(str(entry) for entry in sequence(raw.get("scope", []), "status.scope")),
        load=mapping(raw.get("load", {}), "status.load"),
        errors=mappings(raw.get("errors", []), "status.errors"),
        doctor=mapping(raw.get("doctor", {}), "status.doctor"),
        certificate_until=None if until is None else str(until),
    )


def _read_sync(raw: Any) -> Sync | None:  # noqa: ANN401 - foreign JSON
    if raw is None:
        return None
    sync = mapping(raw, "sync")
    return Sync(
        sync_id=text(sync, "sync_id"),
        scope=choice(Scope, sync.get("scope", Scope.FULL), "sync.scope"),
        devices=whole(sync, "devices"),
        mailboxes=whole(sync, "mailboxes"),
        digest=str(sync.get("digest", "")),
        part=whole(sync, "part"),
        unreadable=whole(sync, "unreadable"),
    )


def _read_table(raw: Any, place: str) -> Table:  # noqa: ANN401 - foreign JSON
    if raw is None:
        return Table()
    table = mapping(raw, place)
    columns = tuple(str(name) for name in sequence(table.get("columns", []), f"{place}.columns"))
    rows = sequence(table.get("rows", []), f"{place}.rows")
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
