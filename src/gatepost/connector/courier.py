"""Carries numbered documents to the service, one at a time, and does what a refusal asks.

A document is sealed once, kept in the store's outbox, and sent as those bytes until it is answered. What a refusal
does to the store is done here, at once (docs/protocol.md); what was being said is then up to the caller, who gets the
refusal as an error and says it anew: a cycle is simply sealed again, a synchronisation begins again.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatepost.connector import credentials, host, log
from gatepost.connector.answers import MOST
from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.lease import Lease
from gatepost.connector.patience import Patience
from gatepost.connector.permission import ENFORCE
from gatepost.connector.renewal import Renewal
from gatepost.connector.store import Store
from gatepost.connector.uplink import Uplink, pack
from gatepost.domain.contract import (
    BYTES_SENT,
    BYTES_UNPACKED,
    CONTRACT,
    Answer,
    CheckIn,
    Facts,
    Kind,
    Status,
    Sync,
    iso,
    seal,
)
from gatepost.errors import AnswerUnsigned, ServiceRefused, UplinkError

SAY_AGAIN = frozenset({"sequence-gap", "sequence-reused", "incarnation", "contract"})
ENDS = {
    "superseded": "this connector was replaced",
    "revoked": "this connector was revoked",
    "removed": "this connector's connection was removed",
    "retired": "this connector was retired",
}
REPLACED = frozenset(ENDS)
ATTEMPTS = 5
FAREWELL_SECONDS = 30.0
FINDINGS_AT_ONCE = 100
UNREADABLE_HELP = "Update the connector, then set or remove the pin again. Until then the device keeps what it has."


class Courier:
    """Sends check-ins of one connector; safe to use from several threads, one document in flight.

    ``status`` says how the connector is, for every document. ``folder`` is where its identity lies. ``spoken`` are the
    versions of the contract that this side speaks: the newest first, an older one where the service asks for it.
    ``quiet`` waits for what is under way at Exchange and says whether nothing is: only then a lease is given back.
    ``tell`` hears of a finding that should not wait for the next document's turn.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        store: Store,
        uplink: Uplink,
        keys: Credentials,
        patience: Patience,
        status: Callable[[], Status] = Status,
        spoken: tuple[int, ...] = (CONTRACT,),
        quiet: Callable[[], bool] = lambda: True,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._store = store
        self._uplink = uplink
        self._keys = keys
        self._patience = patience
        self._status = status
        self._lock = threading.Lock()
        self._contract = max(spoken)
        self._spoken = spoken
        self._quiet = quiet
        self._tell = tell
        self._findings: list[Mapping[str, Any]] = []
        self._renewal = Renewal(folder, identity, uplink, keys)
        self.lease = Lease()
        uplink.tell_unsigned = self._find_unsigned

    def send(self, kind: Kind, sync: Sync | None = None, facts: Facts | None = None) -> Answer:
        """Seal a document and send it until it is answered.

        Raises ServiceRefused once the store follows the refusal: with a type in ``SAY_AGAIN`` the caller may say it
        anew; with ``too-large`` it says less at a time; with one in ``REPLACED`` this connector has ended.
        """
        with self._lock:
            self._renew()
            self._clear_way()
            sequence = (self._store.sequence or 0) + 1
            document = self._seal(sequence, kind, sync, facts or Facts())
            return self._deliver(sequence, document)

    def cycle(self) -> Answer:
        """Check in: status, findings and outcomes; the answer's pages of desired state are read to the end.

        Where that brought rows to work on, one more document at once says that they are held: none is worked on before.
        """
        refusals, acknowledgements = 0, 0
        while True:
            findings = tuple(self._findings)
            try:
                answer = self.send(Kind.CYCLE, facts=Facts(findings=findings))
            except ServiceRefused as refused:
                refusals += 1
                if refused.type not in SAY_AGAIN or refusals == ATTEMPTS:
                    raise
                continue
            del self._findings[: len(findings)]
            if answer.more and answer.revision > answer.revision_from:
                continue
            if answer.more:
                raise UplinkError("The service has more to tell and does not get on.", "It is tried again later.")
            if not (self._enforcing and answer.desired) or acknowledgements == ATTEMPTS:
                return answer
            acknowledgements += 1

    def farewell(self, seconds: float = FAREWELL_SECONDS) -> None:
        """Hand in every outcome that was not answered, and give the lease back; a service that is away misses it.

        It takes no longer than ``seconds``: what is not handed in is in the store, for the next start. While a write
        may be under way the lease is kept, and runs out by itself: nobody else may write before that.
        """
        if not self._quiet():
            log.warning("a write may be under way, so the lease is not given back")
            return
        end = host.monotonic() + seconds
        with suppress(UplinkError):
            for outcomes in self._store.last_outcomes():
                left = end - host.monotonic()
                if left <= 0:
                    break
                self._uplink.farewell(outcomes, left)

    def _renew(self) -> None:
        """Renew the certificate where it is time. Raises ServiceRefused where this connector has ended by that."""
        try:
            self._renewal.look()
        except ServiceRefused as refused:
            if refused.type in REPLACED:
                self._end(refused)
            raise

    def _find_unsigned(self, error: AnswerUnsigned) -> None:
        log.warning("an answer is not signed by the service: somebody between changes answers", why=str(error))
        self.find("answer-unsigned", self._identity.connector, error.cause, error.remedy)
        self._tell()  # the document that met it was sealed before, and its next turn is a minute later

    # -- before a document -----------------------------------------------------------------------------------------

    def _clear_way(self) -> None:
        """Deliver what an earlier process left in the outbox; learn the sequence where only the service knows it."""
        for _ in range(ATTEMPTS):
            pending = self._store.pending()
            if pending is None and self._store.sequence is not None:
                return
            with suppress(_SaidAgain):
                if pending is not None:
                    self._try(*pending)
                else:
                    self._try(0, pack(self._document(0, Kind.CYCLE, None, Facts(), ())))
        raise UplinkError("The service and this connector do not agree on a sequence.", "It is tried again later.")

    def _try(self, sequence: int, document: bytes) -> None:
        """Deliver where a refusal that the store can follow is as good as an answer."""
        try:
            self._deliver(sequence, document)
        except ServiceRefused as refused:
            if refused.type in SAY_AGAIN or refused.type in ("too-large", "malformed"):
                raise _SaidAgain from refused
            raise

    # -- one document ----------------------------------------------------------------------------------------------

    def _document(
        self, sequence: int, kind: Kind, sync: Sync | None, facts: Facts, outcomes: tuple[Mapping[str, Any], ...]
    ) -> bytes:
        return seal(
            CheckIn(
                organization=self._identity.organization,
                epoch=self._identity.epoch,
                incarnation=self._store.incarnation,
                sequence=sequence,
                kind=kind,
                revision=self._store.revision,
                status=self._status(),
                sync=sync,
                facts=facts,
                outcomes=outcomes,
                contract=self._contract,
            )
        )

    def _seal(self, sequence: int, kind: Kind, sync: Sync | None, facts: Facts) -> bytes:
        """The bytes of a new document, kept in the outbox. ServiceRefused ``too-large`` comes before it is kept."""
        outcomes = tuple(self._store.outcomes()) if kind is Kind.CYCLE else ()
        plain = self._document(sequence, kind, sync, facts, outcomes)
        packed = pack(plain)
        if len(plain) > BYTES_UNPACKED or len(packed) > BYTES_SENT:
            raise ServiceRefused(413, "too-large", f"the document has {len(plain)} bytes, {len(packed)} packed")
        acknowledges = self._store.revision if self._enforcing else 0
        self._store.put(sequence, packed, [str(outcome["outcome_id"]) for outcome in outcomes], acknowledges)
        return packed

    def _deliver(self, sequence: int, document: bytes) -> Answer:
        """Send the same bytes until they are answered; the answer and the end of the document are one transaction."""

        def attempt() -> tuple[float, Answer]:
            asked_at = self.lease.now()
            return asked_at, self._uplink.check_in(document)

        try:
            asked_at, answer = self._patience.keep_trying(attempt)
        except ServiceRefused as refused:
            self._follow(refused, sequence)
            raise
        if answer.incarnation != self._store.incarnation:
            self._meet(answer.incarnation)
            raise ServiceRefused(409, "incarnation", "its database has another history")
        self.lease.taken_away = answer.taken_away  # before the rows of this answer may be worked on
        self._store.settle(sequence, answer)
        self._tell_unreadable(answer)
        self.lease.hear(asked_at, answer.lease_seconds, answer.write_in_seconds)
        return answer

    def _tell_unreadable(self, answer: Answer) -> None:
        """Rows that this version cannot read keep what they had; people must know."""
        for why in answer.unreadable[:FINDINGS_AT_ONCE]:
            log.warning("a desired row cannot be read", why=why)
            self.find("desired-unreadable", f"revision {answer.revision}: {why}", why, UNREADABLE_HELP)

    # -- refusals --------------------------------------------------------------------------------------------------

    def _follow(self, refused: ServiceRefused, sequence: int) -> None:
        """Bring the store to where the refusal says that it is."""
        if refused.type in REPLACED:
            self._end(refused)
        elif refused.type == "incarnation":
            self._meet(str(refused.fields.get("incarnation", "")))
        elif refused.type in ("sequence-gap", "sequence-reused"):
            self._adopt(refused, sequence)
        elif refused.type == "malformed":
            log.warning("the service calls a document malformed; it is put aside", why=str(refused))
            self._store.bury(sequence, iso(datetime.now(UTC)) or "", str(refused))
            self.find("malformed-document", str(sequence), str(refused), "Update the connector; it lies in its store.")
        elif refused.type in ("too-large", "contract"):
            self._store.discard(sequence)
        if refused.type == "contract":
            self._speak(refused)

    def _speak(self, refused: ServiceRefused) -> None:
        """Fall to a version of the contract that both sides speak; the document is sealed anew in it.

        Raises UplinkError that names both sides' versions where there is none: an update of either mends it.
        """
        named = refused.fields.get("supported")
        supported = [each for each in named if isinstance(each, int)] if isinstance(named, list) else []
        common = [each for each in self._spoken if each in supported and each != self._contract]
        if not common:
            raise UplinkError(
                f"The service speaks version {', '.join(map(str, supported[:9])) or 'unknown'} of the contract, this "
                f"connector version {', '.join(map(str, self._spoken))}.",
                "Update the older of the two; until then it is tried again every few minutes.",
            )
        self._contract = max(common)
        log.info("the service speaks another version of the contract", version=self._contract)

    def _adopt(self, refused: ServiceRefused, sequence: int) -> None:
        """Go on with the number that the service expects; become another instance where someone else used ours."""
        expected = refused.fields.get("expected")
        if not isinstance(expected, int) or isinstance(expected, bool) or not 1 <= expected <= MOST:
            raise UplinkError(f"The service names no number to go on with: {refused}.", "Update the service.")
        stranger = self._store.settled and (refused.type == "sequence-reused" or expected > sequence)
        self._store.adopt(expected)
        log.info("sequence taken from the service", expected=expected, why=refused.type)
        if stranger:
            self.lease.drop()
            self._keys.instance = credentials.new_instance(self._folder)
            cause = "Another process uses this connector's identity, or its folder was put back from a copy."
            log.warning("this connector's numbers were used by someone else", expected=expected)
            self.find("sequence-reused", self._identity.connector, cause, "See that one connector runs, on one folder.")

    def _meet(self, incarnation: str) -> None:
        """The database has another history: start afresh."""
        if not incarnation:
            raise UplinkError("The service names no incarnation.", "Update the service.")
        log.warning("the service's database has another history; starting afresh", incarnation=incarnation)
        self.lease.drop()
        self._store.meet(incarnation)

    def _end(self, refused: ServiceRefused) -> None:
        """Another connector took this one's place, or it was removed: hand in what is left, forget the secret."""
        self.lease.drop()
        try:
            self.farewell()
        finally:
            credentials.wipe(self._folder, str(refused))
        told = {"by": refused.fields.get("by"), "since": refused.fields.get("at")}
        said = {name: str(value)[:200] for name, value in told.items() if value}
        log.warning(ENDS[refused.type], why=refused.type, **said)

    @property
    def _enforcing(self) -> bool:
        return self._status().mode == ENFORCE

    def find(self, code: str, subject: str, cause: str, remedy: str) -> None:
        """Tell a finding with the next check-in."""
        finding = {"code": code, "subject": subject, "cause": cause, "remedy": remedy}
        if finding not in self._findings:
            self._findings.append(finding)


class _SaidAgain(Exception):
    """The way may be clear now."""
