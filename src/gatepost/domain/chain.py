"""The chain of the audit trail: each sealed event holds a hash over itself and the one before it.

Pure. The same code seals, verifies what a database holds, and verifies a file that was exported from it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.domain.contract import iso
from gatepost.domain.events import body_hash

LABEL = b"gatepost audit chain 1\n"
CHECKPOINT_LABEL = b"gatepost audit checkpoint 1\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it is sealed. ``at`` is in UTC; ``body_hash`` is SHA-256 of its body (``events.body_hash``)."""

    event_id: UUID
    at: datetime
    name: str
    actor: str
    address: str
    organization_id: UUID | None
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event with its number, the chain's hash up to it, and its body."""

    entry: Entry
    seq: int
    chain_hash: bytes
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The chain's hash at a number, as the tenant's key signed it at a moment."""

    seq: int
    chain_hash: bytes
    at: datetime
    public: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a trail; ``seq`` and ``event_id`` name the event where it is about one."""

    what: str
    seq: int | None = None
    event_id: UUID | None = None

    def __str__(self) -> str:
        place = f"event {self.seq}" if self.seq is not None else "the trail"
        return f"{place} ({self.event_id}): {self.what}" if self.event_id else f"{place}: {self.what}"


def start(tenant_id: UUID) -> bytes:
    """What stands before a tenant's first event, so that no chain can be another tenant's."""
    return hashlib.sha256(LABEL + tenant_id.bytes).digest()


def link(previous: bytes, seq: int, entry: Entry) -> bytes:
    """The chain's hash with one more event: SHA-256 over canonical JSON; its body counts by its own hash."""
    told = [
        previous.hex(),
        seq,
        str(entry.event_id),
        iso(entry.at),
        entry.name,
        entry.actor,
        entry.address,
        str(entry.organization_id) if entry.organization_id else None,
        entry.body_hash.hex(),
    ]
    return hashlib.sha256(LABEL + json.dumps(told, separators=(",", ":")).encode("ascii")).digest()


def checkpoint_bytes(tenant_id: UUID, seq: int, chain_hash: bytes, at: datetime) -> bytes:
    """What the tenant's key signs."""
    told = [str(tenant_id), seq, chain_hash.hex(), iso(at)]
    return CHECKPOINT_LABEL + json.dumps(told, separators=(",", ":")).encode("ascii")


class Verifier:
    """Looks at a tenant's sealed events in the order of their numbers, and tells what is wrong with each.

    After a break it goes on from what stands there, so that the events behind a changed one are not named with it.
    """

    def __init__(self, tenant_id: UUID) -> None:
        self.seq = 0
        self.chain_hash = start(tenant_id)

    def look(self, sealed: Sealed) -> Iterator[Flaw]:
        """What is wrong with the next event, and with the numbers before it."""
        seq, event_id = sealed.seq, sealed.entry.event_id
        if seq > self.seq + 1:
            missing = f"event {self.seq + 1}" if seq == self.seq + 2 else f"events {self.seq + 1} to {seq - 1}"
            yield Flaw(f"{missing} before it: missing.", seq, event_id)
        elif seq <= self.seq:
            yield Flaw(f"its number comes after {self.seq}: doubled, or out of order.", seq, event_id)
        if body_hash(sealed.body) != sealed.entry.body_hash:
            yield Flaw("its body is not the one that was recorded.", seq, event_id)
        if link(self.chain_hash, seq, sealed.entry) != sealed.chain_hash and seq == self.seq + 1:
            yield Flaw("it is not what was sealed here: changed, moved, or put in.", seq, event_id)
        self.seq, self.chain_hash = max(self.seq, seq), sealed.chain_hash
