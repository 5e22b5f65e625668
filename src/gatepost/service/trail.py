"""The audit trail as a whole: verified where it lies, exported as JSON lines, and verified from such a file.

A chain alone shows what was edited, deleted or moved. Who may write to the whole database could make it anew: a signed
checkpoint holds what came before it, and an export that lies elsewhere holds all of it.
"""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.domain import signing
from gatepost.domain.chain import Checkpoint, Entry, Flaw, Sealed, Verifier, checkpoint_bytes
from gatepost.domain.contract import iso
from gatepost.errors import ServiceError
from gatepost.service.database import Scope

PAGE = 5_000
SEALED_WITHIN = timedelta(minutes=1)
VERSION = 1
MOST_FLAWS = 1_000  # told; a trail that is wrong everywhere needs no more


@dataclass(slots=True)
class Verdict:
    """What came of looking at a trail: up to which number, with which hash, signed how often, and what is wrong."""

    tenant: str
    events: int = 0
    chain_hash: str = ""
    checkpoints: int = 0
    fingerprint: str = ""
    flaws: list[Flaw] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        flaws = [
            {"seq": flaw.seq, "event_id": str(flaw.event_id) if flaw.event_id else None, "what": flaw.what}
            for flaw in self.flaws[:MOST_FLAWS]
        ]
        names = ("tenant", "events", "chain_hash", "checkpoints", "fingerprint")
        return {name: getattr(self, name) for name in names} | {"flaws": flaws}


class _Court:
    """Takes a trail's events in order, then its checkpoints, from wherever they come."""

    def __init__(self, tenant: str, tenant_id: UUID, public: bytes | None, checkpoints: Iterable[Checkpoint]) -> None:
        self.verdict = Verdict(tenant, fingerprint=signing.fingerprint(public) if public else "")
        self._tenant_id = tenant_id
        self._public = public
        self._verifier = Verifier(tenant_id)
        self._checkpoints = {checkpoint.seq: checkpoint for checkpoint in checkpoints}
        for checkpoint in self._checkpoints.values():
            self._check_signature(checkpoint)

    def take(self, sealed: Sealed) -> None:
        """The next event."""
        self.verdict.flaws += self._verifier.look(sealed)
        checkpoint = self._checkpoints.pop(sealed.seq, None)
        if checkpoint and checkpoint.chain_hash != sealed.chain_hash:
            self.blame("the chain up to here is not the one that was signed.", sealed.seq, sealed.entry.event_id)

    def close(self, head_seq: int, head_hash: bytes) -> Verdict:
        """Nothing comes any more; the trail should end with this number and hash."""
        last = self._verifier
        if last.seq < head_seq:
            self.blame(f"ends with event {last.seq}, but {head_seq} were sealed: its end was cut off.")
        elif head_seq and last.chain_hash != head_hash:
            self.blame(f"the hash of its end is not that of event {last.seq}.")
        for checkpoint in self._checkpoints.values():
            self.blame("was signed, and is not there.", checkpoint.seq)
        self.verdict.events, self.verdict.chain_hash = last.seq, last.chain_hash.hex()
        return self.verdict

    def blame(self, what: str, seq: int | None = None, event_id: UUID | None = None) -> None:
        """Note a flaw."""
        self.verdict.flaws.append(Flaw(what, seq, event_id))

    def _check_signature(self, checkpoint: Checkpoint) -> None:
        signed = checkpoint_bytes(self._tenant_id, checkpoint.seq, checkpoint.chain_hash, checkpoint.at)
        try:
            Ed25519PublicKey.from_public_bytes(checkpoint.public).verify(checkpoint.signature, signed)
        except (InvalidSignature, ValueError):
            self.blame("its checkpoint's signature is not valid.", checkpoint.seq)
        if checkpoint.public != self._public:
            self.blame("its checkpoint is signed with another key than the tenant's.", checkpoint.seq)
        self.verdict.checkpoints += 1


async def verify(scope: Scope, slug: str, patience: timedelta = SEALED_WITHIN) -> Verdict:
    """Look at a tenant's whole trail in the database. ``patience`` is how long an event may wait for the sealer."""
    tenant_id = _of(scope)
    head = await scope.one("trail.head")
    found = [Checkpoint(**row) for row in await scope.all("trail.checkpoints")]
    until = head["seq"] if head else 0
    court = _Court(slug, tenant_id, head["public"] if head else None, [each for each in found if each.seq <= until])
    async for sealed in _events(scope, until):
        court.take(sealed)
    verdict = court.close(until, head["chain_hash"] if head else b"")
    for checkpoint in found:
        if checkpoint.seq > until:
            court.blame(f"was signed, but the trail ends with event {until}: its end was cut off.", checkpoint.seq)
    waiting = await scope.one("trail.unsealed", before=datetime.now(UTC) - patience)
    if waiting and waiting["waiting"]:
        court.blame(
            f"{waiting['waiting']} events wait to be sealed since {iso(waiting['since'])}; does the service run?"
        )
    if beyond := await scope.one("trail.beyond", seq=until):
        court.blame(f"has a number, but the trail ends with event {until}.", beyond["seq"], beyond["event_id"])
    return verdict


async def witness(scope: Scope, file: Iterable[str], verdict: Verdict) -> None:
    """Compare with an export that lay elsewhere: what it ends with must still be here, and so all before it.

    Adds to the verdict's flaws. Raises ServiceError where the file is no trail, or another tenant's.
    """
    for line in file:
        told = _read(line)
        if told["kind"] == "trail" and told["tenant"] != str(scope.tenant_id):
            raise ServiceError("The file is the trail of another tenant.", "Name its tenant with --tenant.")
        if told["kind"] not in {"checkpoint", "end"} or not told["seq"]:
            continue
        here = await scope.one("trail.at", seq=told["seq"])
        if here is None:
            verdict.flaws.append(Flaw("stands in the export and is not here any more.", told["seq"]))
        elif here["chain_hash"].hex() != told["chain_hash"]:
            verdict.flaws.append(Flaw("is another one here than in the export.", told["seq"]))


async def export(scope: Scope, slug: str) -> AsyncIterator[dict[str, Any]]:
    """A tenant's sealed events as JSON values, with all that is needed to verify them: one value a line of the file."""
    head = await scope.one("trail.head")
    until, public = (head["seq"], head["public"]) if head else (0, None)
    yield {
        "kind": "trail",
        "version": VERSION,
        "tenant": str(_of(scope)),
        "slug": slug,
        "public": public.hex() if public else None,
        "made_at": iso(datetime.now(UTC)),
    }
    for row in await scope.all("trail.checkpoints"):
        if row["seq"] <= until:
            yield {"kind": "checkpoint", **{name: _told(value) for name, value in row.items()}}
    async for sealed in _events(scope, until):
        entry = {name: _told(getattr(sealed.entry, name)) for name in Entry.__dataclass_fields__}
        yield {"kind": "event", "seq": sealed.seq, **entry, "body": sealed.body, "chain_hash": sealed.chain_hash.hex()}
    yield {"kind": "end", "seq": until, "chain_hash": head["chain_hash"].hex() if head else None}


def verify_file(lines: Iterable[str]) -> Verdict:
    """Look at an exported trail. Raises ServiceError where it is none."""
    court: _Court | None = None
    for kind, told in _grouped(lines):
        if kind == "trail":
            header, checkpoints = told
            public = bytes.fromhex(header["public"]) if header["public"] else None
            court = _Court(header["slug"], UUID(header["tenant"]), public, map(_checkpoint, checkpoints))
        elif court is None:
            raise _no_trail()
        elif kind == "event":
            court.take(_sealed(told))
        else:
            return court.close(told["seq"], bytes.fromhex(told["chain_hash"] or ""))
    if court is None:
        raise _no_trail()
    court.blame("the file breaks off before its end.")
    return court.verdict


def _grouped(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The header with its checkpoints first, then events, then the end."""
    header: dict[str, Any] | None = None
    checkpoints: list[dict[str, Any]] = []
    for line in lines:
        told = _read(line)
        if told["kind"] == "trail":
            header = told
        elif told["kind"] == "checkpoint":
            checkpoints.append(told)
        else:
            if header:
                yield "trail", (header, checkpoints)
                header = None
            yield told["kind"], told


def _read(line: str) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(line)
        if told["kind"] not in {"trail", "checkpoint", "event", "end"} or told.get("version", VERSION) != VERSION:
            raise _no_trail()
    except (ValueError, KeyError, TypeError) as error:
        raise _no_trail() from error
    return told


def _no_trail() -> ServiceError:
    return ServiceError(
        "The file is not an exported audit trail, or is damaged.", "Export it anew: gatepost service audit export."
    )


def _sealed(told: Mapping[str, Any]) -> Sealed:
    try:
        organization = told["organization_id"]
        entry = Entry(
            event_id=UUID(told["event_id"]),
            at=datetime.fromisoformat(told["at"]),
            name=told["name"],
            actor=told["actor"],
            address=told["address"],
            organization_id=UUID(organization) if organization else None,
            body_hash=bytes.fromhex(told["body_hash"]),
        )
        return Sealed(entry, int(told["seq"]), bytes.fromhex(told["chain_hash"]), dict(told["body"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _no_trail() from error


def _checkpoint(told: Mapping[str, Any]) -> Checkpoint:
    try:
        key, signature, chain_hash = (bytes.fromhex(told[name]) for name in ("public", "signature", "chain_hash"))
        return Checkpoint(int(told["seq"]), chain_hash, datetime.fromisoformat(told["at"]), key, signature)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_trail() from error


async def _events(scope: Scope, until: int) -> AsyncIterator[Sealed]:
    after = 0
    while rows := await scope.all("trail.sealed", after=after, until=until, limit=PAGE):
        for row in rows:
            entry = Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
            yield Sealed(entry, row["seq"], row["chain_hash"], row["body"])
        after = rows[-1]["seq"]


def _of(scope: Scope) -> UUID:
    assert scope.tenant_id is not None, "statements of a trail need a tenant's scope"
    return scope.tenant_id


def _told(value: object) -> object:
    """A value of SQL as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    return iso(value) if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
