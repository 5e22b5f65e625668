"""One mailbox at Exchange, a connector with its real parts, a real service, and all that may go wrong between them.

Exchange and its mail are models (``tests/connector/hall.py``); documents between connector and service may be lost,
come twice, late or out of order, and either process may be killed, as may the store.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from gatepost.connector.mailing import Mailing
from gatepost.connector.stopping import Stop
from gatepost.domain.contract import (
    DEVICE_COLUMNS,
    MAILBOX_COLUMNS,
    Answer,
    CheckIn,
    Facts,
    Kind,
    Status,
    Sync,
    Table,
    seal,
)
from gatepost.domain.contract import Scope as Extent
from gatepost.domain.desired import ListName
from gatepost.domain.devices import AccessChange
from gatepost.domain.posting import Letter
from gatepost.errors import Problem, ServiceRefused, WriteUncertain
from gatepost.exchange.transport import Permit
from tests.connector import hall
from tests.connector.hall import ADDRESS, DN, MAILBOX, WRITE_TIMEOUT, Directory, EntryAt, Hall
from tests.fire.office import Office
from tests.service.speaker import device, mailbox

DEVICES = ("d1", "d2")
LEASE = 120.0
OUT_OF_TURN = {"sequence-gap", "sequence-reused"}


class Exchange(Directory):
    """Exchange, which knows until when anybody may write."""

    leased_until = 0.0

    def _write(self, change: AccessChange) -> None:
        assert self.clock() + WRITE_TIMEOUT <= self.leased_until, "a write without a lease"
        super()._write(change)


class Post:
    """The account's mailbox at Exchange: what it sent, and what befalls the next mail."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(
        self,
        to: str,
        subject: str,
        html: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        marker: str = "",
        permit: Permit | None = None,
    ) -> str:
        """One mail, with what may befall it."""
        assert (to, bool(subject and html and text), headers) == (ADDRESS, True, None)
        trouble, self.trouble = self.trouble, ""
        if trouble == "killed before":
            raise hall.Killed
        assert permit is not None
        permit()
        if trouble == "lost before":
            raise WriteUncertain("SendItem", "the connection broke")
        self.sent[marker] += 1
        if trouble == "killed after":
            raise hall.Killed
        if trouble == "lost after":
            raise WriteUncertain("SendItem", "the connection broke")
        return marker

    def find(self, marker: str) -> bool:
        """Whether it was sent."""
        return bool(self.sent[marker])


class Site(Hall):
    """Everything around one mailbox."""

    def __init__(self, folder: Path, office: Office, *, coupled: bool = False) -> None:
        self.office = office
        self.identity = (str(office.organization_id), str(office.connector_id), 1, office.incarnation)
        self.post = Post()
        self.claim_lost = self.struck = False
        self.news: tuple[list[Any], ...] = ()
        self.copies: list[bytes] = []
        super().__init__(folder, coupled=coupled)
        self.directory = Exchange(lambda: self.now, coupled)

    def _start(self) -> None:
        super()._start()
        self.mailing = Mailing(
            lambda: self.post,
            self.permission,
            self._claim,
            self.store.add_outcome,
            lambda code, *_: self.findings.append(code),
            lambda: datetime.fromtimestamp(self.now, UTC),
            Stop(),
            clock=lambda: self.now,
        )

    # -- between connector and service -----------------------------------------------------------------------------

    def check_in(self, *, complete: bool = True, fault: str = "", killed: int | None = None) -> None:
        """A document and its answer, or none; another one afterwards, which acknowledges what came."""
        for number in range(1 + complete):
            if self.leased:
                self._speak("" if number else fault, None if number else killed)

    def _speak(self, fault: str, killed: int | None) -> None:
        sequence, document = self.store.pending() or self._seal()
        if fault == "kept":
            self.copies.append(document)
        asked_at = self.now
        try:
            answer = self._send(document, fault, killed)
        except Problem as problem:
            self._out_of_turn(problem)
            self.store.adopt(int(str(problem.fields["expected"])))
            return
        if answer is None:
            return
        self.store.settle(sequence, answer)
        self.lease.hear(asked_at, answer.lease_seconds, answer.write_in_seconds)
        if isinstance(self.directory, Exchange):
            self.directory.leased_until = asked_at + min(answer.lease_seconds, LEASE)
        self.mailing.hear(answer.notices)

    def _seal(self) -> tuple[int, bytes]:
        sequence = (self.store.sequence or 0) + 1
        outcomes, held = self.store.outcomes(), self.store.revision
        mailboxes, self.news = self.news, ()
        facts = Facts(mailboxes=Table(MAILBOX_COLUMNS, mailboxes))
        if mailboxes:
            facts = Facts(self._devices(), facts.mailboxes, settings={"default_level": "Quarantine", "rules": []})
        document = self._document(sequence, Kind.CYCLE, held, facts=facts, outcomes=tuple(outcomes))
        names = [str(each["outcome_id"]) for each in outcomes]
        self.store.put(sequence, document, names, held if self.enforcing else 0)
        return sequence, document

    def _document(self, sequence: int, kind: Kind, held: int, **fields: Any) -> bytes:
        organization, _, epoch, incarnation = self.identity
        status = Status(version="1", host="mail1", mode=self.mode, scope=("*",), ceiling={"limit": 1_000, "used": 0})
        return seal(CheckIn(organization, epoch, incarnation, sequence, kind, held, status=status, **fields))

    @staticmethod
    def _devices() -> Table:
        rows = [
            device(number, device_id=name, mailbox_guid=MAILBOX, access_state="Quarantined")
            for number, name in enumerate(DEVICES)
        ]
        return Table(DEVICE_COLUMNS, tuple(rows))

    def _send(self, document: bytes, fault: str, killed: int | None) -> Answer | None:
        """The answer, if it comes."""
        if fault == "lost":
            return None
        answer = None
        with self.office.killed(killed) as fate:
            answer = self.office.check_in(document)
            if fault == "twice":
                answer = self.office.check_in(document)
        self.struck = fate.struck
        return None if fate.struck or fault == "answer lost" else answer

    def late(self) -> None:
        """A copy of a document of long ago comes only now; its answer finds nobody."""
        if self.copies:
            try:
                self.office.check_in(self.copies.pop(0))
            except Problem as problem:
                self._out_of_turn(problem)

    @staticmethod
    def _out_of_turn(problem: Problem) -> None:
        """No document is refused but one that comes out of its turn."""
        if problem.type not in OUT_OF_TURN:
            raise problem

    def empty_inventory(self) -> None:
        """A listing that succeeded and has nothing in it is announced."""
        if not self.leased or self.store.pending() or not self.store.sequence:
            return
        sequence = self.store.sequence + 1
        announced = Sync(sync_id=f"sync-{sequence}", scope=Extent.FULL, digest="0" * 16)
        document = self._document(sequence, Kind.SYNC_BEGIN, self.store.revision, sync=announced)
        self.store.put(sequence, document)
        answer = self.office.check_in(document)
        assert answer.result is not None
        assert answer.result.state == "held", answer.result
        self.store.settle(sequence, answer)

    def sync(self) -> None:
        """A synchronisation, which the next document tells of."""
        super().sync()
        lists = self.directory.lists[self.directory.controller]
        allowed, blocked = (sorted(name for which, name in lists if which is each) for each in ListName)
        row = {"guid": MAILBOX, "dn": DN, "primary_smtp": ADDRESS, "allowed_ids": allowed, "blocked_ids": blocked}
        self.news = (mailbox(0, **row),)

    # -- mail ------------------------------------------------------------------------------------------------------

    def mail(self, trouble: str = "") -> None:
        """What the mailing thread does when it is woken; a kill is followed by a start."""
        self.post.trouble, self.claim_lost = trouble, trouble == "claim lost"
        try:
            self.mailing.run()
        except hall.Killed:
            self.restart()
        except ServiceRefused:
            pass
        self.post.trouble, self.claim_lost = "", False

    def _claim(self, ids: Sequence[str]) -> Sequence[Letter]:
        if not self.leased:
            raise ServiceRefused(503, "away", "The service is away.")
        letters = self.office.claim([UUID(each) for each in ids])
        if self.claim_lost:
            raise ServiceRefused(503, "away", "The answer was lost.")
        return letters

    # -- what happens ----------------------------------------------------------------------------------------------

    def in_doubt(self, entry: EntryAt) -> bool:
        """Whether an entry that appears now could be the connector's as far as anybody knows."""
        which, name = entry
        owned = self.office.look(
            "SELECT 1 FROM list_entries WHERE device_id = %s AND list = %s AND ownership <> 'foreign' "
            "AND ownership <> 'withdrawn'",
            name,
            which.value,
        )
        return bool(owned) or super().in_doubt(entry)

    def lose_store(self) -> None:
        """The store is deleted, and a new one begins; nobody can tell whose what was just written is."""
        doubtful = {(which, name) for which in ListName for name in DEVICES if self.in_doubt((which, name))}
        super().lose_store()
        self.directory.by_people -= doubtful

    def pass_time(self, seconds: float) -> None:
        """Time passes, for everybody."""
        super().pass_time(seconds)
        self.office.pass_time(seconds)

    def at(self, moment: float) -> datetime:
        """A moment of the connector's time, as the service's clock shows it."""
        return datetime.now(UTC) + timedelta(seconds=moment - self.now)
