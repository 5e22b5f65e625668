"""A model of what surrounds the connector's writing, in simulated time: two controllers, a service, a connector.

The connector's part is the real one on a real store; Exchange and the service are small models after the documents
(docs/protocol.md; the lab and the real service have their own tests), so that days and interleavings can be gone
through in a second.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from gatepost.connector.lease import Lease
from gatepost.connector.looks import Looks, Pace
from gatepost.connector.permission import Permission
from gatepost.connector.places import Places
from gatepost.connector.reconcile import Reconcile
from gatepost.connector.rows import Mender
from gatepost.connector.stopping import Stop
from gatepost.connector.store import BASELINE, FILE, Store
from gatepost.connector.writes import Writes
from gatepost.domain.contract import Answer
from gatepost.domain.desired import Desired, Entry, Level, ListName, Result, read_outcome
from gatepost.domain.devices import AccessChange, AccessLists, Mailbox
from gatepost.domain.plan import ours
from gatepost.errors import CmdletFailed, ExchangeUnreachable, WriteRefused, WriteUncertain
from gatepost.exchange.transport import Permit
from gatepost.settings import ConnectorSettings, ExchangeSettings, UplinkSettings

MAILBOX = "aaaaaaaa-0000-4000-8000-000000000001"
DN = "CN=Ann,DC=example,DC=com"
ADDRESS = "ann@example.com"
GRACE = 1_200.0
WRITE_TIMEOUT = 60.0
NEAR, FAR = "dc1", "dc2"
HISTORY = "history-1"

EntryAt = tuple[ListName, str]


class Killed(BaseException):
    """The process ends here, as by a power cut."""


@dataclass
class Directory:
    """One mailbox's lists on two controllers; a change arrives at the other one after ``delay`` seconds.

    ``coupled``: putting an id on one list takes it off the other by itself. ``trouble`` befalls the next write.
    ``on_sign_in``: the next write is sent again once it has asked for a sign-in, and this has happened.
    ``by_us`` and ``by_people`` say who put what stands there; who is in doubt stands in neither.
    """

    clock: Callable[[], float]
    coupled: bool = False
    delay: float = 300.0
    controller: str = NEAR
    trouble: str = ""
    hidden: bool = False
    overtaken: bool = False
    on_read: Callable[[], None] = lambda: None
    on_write: Callable[[], None] = lambda: None
    on_sign_in: Callable[[], None] | None = None
    lists: dict[str, set[EntryAt]] = field(default_factory=lambda: {NEAR: set(), FAR: set()})
    coming: list[tuple[float, int, str, bool, EntryAt]] = field(default_factory=list)
    stamps: dict[tuple[str, EntryAt], int] = field(default_factory=dict)
    changes: int = 0
    writes: list[AccessChange] = field(default_factory=list)
    by_us: set[EntryAt] = field(default_factory=set)
    by_people: set[EntryAt] = field(default_factory=set)
    overruled: list[EntryAt] = field(default_factory=list)

    # -- as a connector sees it ------------------------------------------------------------------------------------

    def read_access(self, mailbox_guid: str, dn: str) -> AccessLists:
        """The lists at the connector's controller."""
        assert (mailbox_guid, dn) == (MAILBOX, DN)
        self.deliver()
        self.on_read()
        if self.hidden:
            return AccessLists(None, None, self.controller)
        return self._read()

    def set_access(
        self,
        mailbox_guid: str,
        dn: str,
        change: AccessChange,
        permit: Permit,
        seen: AccessLists | None = None,
        *,
        again: bool = True,
    ) -> AccessLists:
        """One write, with what may befall it."""
        assert (mailbox_guid, dn) == (MAILBOX, DN)
        trouble, self.trouble = self.trouble, ""
        assert change, "an empty write"
        if self.overtaken:  # somebody made the same change just now, so there is nothing to send
            for name in change.block:
                self.edit(self.controller, (ListName.BLOCK, name), there=True, doubtful=False)
            return self._read()
        if trouble == "killed before":
            raise Killed
        if seen is not None and again and self._read() != seen:
            return self._read()
        if trouble == "away":
            raise ExchangeUnreachable("It is away.", server="lab")
        self.on_write()
        if self.on_sign_in is not None:
            permit()
            (on_sign_in, self.on_sign_in) = (self.on_sign_in, None)
            on_sign_in()
        permit()
        if trouble == "denied":
            raise CmdletFailed("Set-CASMailbox", "Access is denied.", exception_type="ADOperationException")
        if trouble == "lost before":
            raise WriteUncertain("Set-CASMailbox", "the connection broke")
        self._write(change)
        if trouble == "killed after":
            raise Killed
        if trouble == "lost after":
            raise WriteUncertain("Set-CASMailbox", "the connection broke")
        return self._read()

    def _read(self) -> AccessLists:
        standing = sorted(self.lists[self.controller])
        return AccessLists(
            tuple(name for which, name in standing if which is ListName.ALLOW),
            tuple(name for which, name in standing if which is ListName.BLOCK),
            self.controller,
        )

    def _write(self, change: AccessChange) -> None:
        self.writes.append(change)
        gone = [(ListName.ALLOW, name) for name in change.disallow] + [
            (ListName.BLOCK, name) for name in change.unblock
        ]
        new = [(ListName.ALLOW, name) for name in change.allow] + [(ListName.BLOCK, name) for name in change.block]
        if self.coupled:
            gone += [
                (which.opposite, name) for which, name in new if (which.opposite, name) in self.lists[self.controller]
            ]
        for entry in gone:
            if entry in self.by_people:
                self.overruled.append(entry)
            self.by_us.discard(entry)
            self._put(self.controller, entry, there=False)
        for entry in new:
            if not self.anywhere(entry):
                self.by_us.add(entry)
            self.by_people.discard(entry)
            self._put(self.controller, entry, there=True)

    # -- as people and time change it ------------------------------------------------------------------------------

    def edit(self, controller: str, entry: EntryAt, *, there: bool, doubtful: bool) -> None:
        """An administrator puts an entry on a list, or takes it off."""
        self.deliver()
        if (entry in self.lists[controller]) == there:
            return
        if there and not doubtful and not self.anywhere(entry):
            self.by_people.add(entry)
        if not there:
            self.by_people.discard(entry)
        self.by_us.discard(entry)
        self._put(controller, entry, there=there)

    def anywhere(self, entry: EntryAt) -> bool:
        """Whether an entry stands on any controller, or is on its way to one."""
        return any(entry in standing for standing in self.lists.values()) or any(
            each[4] == entry for each in self.coming
        )

    def deliver(self) -> None:
        """What has arrived by now."""
        now = self.clock()
        for due, change, controller, there, entry in sorted(self.coming):
            if due <= now:
                self._here(controller, change, entry, there=there)
        self.coming = [each for each in self.coming if each[0] > now]

    def _put(self, controller: str, entry: EntryAt, *, there: bool) -> None:
        self.changes += 1
        self._here(controller, self.changes, entry, there=there)
        other = FAR if controller == NEAR else NEAR
        self.coming.append((self.clock() + self.delay, self.changes, other, there, entry))

    def _here(self, controller: str, change: int, entry: EntryAt, *, there: bool) -> None:
        """A change that is older than what the controller has of the entry is not made: the last writer wins."""
        if change < self.stamps.get((controller, entry), 0):
            return
        self.stamps[controller, entry] = change
        standing = self.lists[controller]
        standing.add(entry) if there else standing.discard(entry)


@dataclass
class Ledger:
    """What the service knows: one row a device, whose entries are whose, what an earlier memory may have written."""

    revision: int = 0
    rows: dict[str, tuple[Level, int]] = field(default_factory=dict)
    owned: set[EntryAt] = field(default_factory=set)
    foreign: set[EntryAt] = field(default_factory=set)
    tried: set[EntryAt] = field(default_factory=set)
    acknowledged: set[EntryAt] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    results: list[Result] = field(default_factory=list)

    def publish(self, device_id: str, level: Level) -> None:
        """A pin, or its end."""
        self.revision += 1
        self.rows[device_id] = (level, self.revision)

    def desired(self, since: int) -> tuple[Desired, ...]:
        """The rows above a revision."""
        return tuple(
            Desired(
                MAILBOX,
                device_id,
                level,
                "a pin",
                revision,
                Entry(level.value) if level in (Level.ALLOW, Level.BLOCK) else Entry.NONE,
                owned=tuple(name for name in ListName if (name, device_id) in self.owned),
                tried=tuple(name for name in ListName if (name, device_id) in self.tried),
            )
            for device_id, (level, revision) in sorted(self.rows.items())
            if revision > since
        )

    def acknowledge(self, revision: int) -> None:
        """A connector holds the rows up to here, and may begin on them."""
        for device_id, (level, at) in self.rows.items():
            if at <= revision and level in (Level.ALLOW, Level.BLOCK):
                self.acknowledged.add((ListName(level.value), device_id))

    def forget_memory(self) -> None:
        """The connector's store was lost: what it was to write may have been written."""
        self.tried |= self.acknowledged - self.foreign
        self.acknowledged.clear()

    def hear(self, outcomes: list[dict[str, object]]) -> None:
        """Outcomes, each once."""
        for raw in outcomes:
            outcome = read_outcome(raw, "outcome")
            if outcome.outcome_id in self.seen:
                continue
            self.seen.add(outcome.outcome_id)
            self.results.append(outcome.result)
            for name in ListName:
                entry = (name, outcome.device_id)
                there = outcome.after.of(name) if outcome.after else None
                if name in outcome.added or (there and entry in self.tried):
                    self.owned.add(entry)
                    self.foreign.discard(entry)
                elif there and entry not in self.owned:
                    self.foreign.add(entry)
                elif there is False:
                    self.owned.discard(entry)
                    self.foreign.discard(entry)
                if there is not None:
                    self.tried.discard(entry)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the system has one: days of transactions that wait for a disk take minutes."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


class Hall:
    """Everything around one mailbox, and a connector that may be killed, restarted and robbed of its store."""

    identity = ("org", "connector", 1, HISTORY)

    def __init__(self, folder: Path, *, coupled: bool = False, mode: str = "enforce", **limits: Any) -> None:
        self.now = 1_800_000_000.0
        self.folder = folder
        self.directory = Directory(lambda: self.now, coupled)
        self.ledger = Ledger()
        self.findings: list[str] = []
        self.leased = True
        self.mode = mode
        self.limits = limits
        self._start()

    def _start(self) -> None:
        settings = ConnectorSettings(
            folder=self.folder,
            exchange=ExchangeSettings(url="https://lab", auth="basic"),
            service=UplinkSettings(url="https://service"),
            mode=self.mode,
            **self.limits,
        )
        self.store = Store(self.folder / FILE, *self.identity)
        self.writes = Writes(self.store, enforcing=self.mode == "enforce", now=lambda: self.now)
        self.lease = Lease(lambda: self.now)
        self.permission = Permission(settings, self.lease, self.writes.taken)
        places = Places(self.store)
        looks = Looks(
            self.writes,
            places,
            self.permission,
            Pace(GRACE, WRITE_TIMEOUT),
            lambda code, *_: self.findings.append(code),
            lambda: datetime.fromtimestamp(self.now, UTC),
        )
        self.reconcile = Reconcile(self.writes, places, self.permission, looks, self._opened, Stop(), workers=1)

    @contextmanager
    def _opened(self) -> Iterator[Directory]:
        yield self.directory

    # -- what happens ----------------------------------------------------------------------------------------------

    def check_in(self, *, complete: bool = True) -> None:
        """A document and its answer: outcomes go, rows come; ``complete`` acknowledges those at once."""
        for _ in range(1 + complete):
            sequence = (self.store.sequence or 0) + 1
            outcomes, held = self.store.outcomes(), self.store.revision
            self.store.put(sequence, b"", [str(each["outcome_id"]) for each in outcomes], held if self.enforcing else 0)
            self.ledger.hear(outcomes)
            if self.enforcing:
                self.ledger.acknowledge(held)
            known = held if held <= self.ledger.revision else 0
            rows = self.ledger.desired(known)
            answer = Answer(sequence, "", HISTORY, revision_from=known, revision=self.ledger.revision, desired=rows)
            self.store.settle(sequence, answer)
            if self.leased:
                self.lease.renew(self.now, 120.0)

    @property
    def enforcing(self) -> bool:
        """Whether the mode is enforce."""
        return self.mode == "enforce"

    def sync(self) -> None:
        """A synchronisation from the connector's controller."""
        self.directory.deliver()
        read = self.directory._read()
        mailbox = Mailbox(
            MAILBOX, DN, "Ann", ADDRESS, "Ann", "user", True, read.allowed or (), read.blocked or (), None, None
        )
        guid, text = Mender().mailbox(mailbox)
        with self.store.transaction(lasting=False) as db:
            db.execute("DELETE FROM sealed_mailboxes")
            listed = (guid, crc32(text.encode()), DN, text)
            db.execute("INSERT INTO sealed_mailboxes (guid, hash, dn, row) VALUES (?, ?, ?, ?)", listed)
        self.store.remember(**{BASELINE: "2027-01-15T08:00:00Z"})
        self.reconcile.compare()

    def run(self) -> dict[str, int]:
        """What the reconciling thread does when it is woken; a kill is followed by a start."""
        try:
            return dict(self.reconcile.run())
        except (WriteRefused, ExchangeUnreachable) as error:
            return {type(error).__name__: 1}
        except Killed:
            self.restart()
            return {"killed": 1}

    def work(self) -> dict[str, int]:
        """Check in, work, tell."""
        self.check_in()
        found = self.run()
        self.check_in()
        return found

    def in_doubt(self, entry: EntryAt) -> bool:
        """Whether an entry that appears now could be the connector's as far as anybody knows."""
        which, device = entry
        task = self.writes.task(MAILBOX)
        held = any(which in ours(row) for row in task.rows if row.device_id == device)
        return held or task.started is not None or entry in self.ledger.tried | self.ledger.owned

    def restart(self) -> None:
        """A new process on the same folder."""
        self.store.__exit__(None, None, None)
        self._start()

    def lose_store(self) -> None:
        """The store is deleted, and a new one begins."""
        self.store.__exit__(None, None, None)
        for path in self.folder.glob(f"{FILE}*"):
            path.unlink()
        self.ledger.forget_memory()
        self.directory.by_people -= self.ledger.tried  # nobody can tell whose those are
        self._start()
        self.sync()

    def unlist(self) -> None:
        """The mailbox is no longer in the listing."""
        with self.store.transaction() as db:
            db.execute("DELETE FROM sealed_mailboxes")

    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.directory.deliver()

    def told(self) -> dict[str, str | None]:
        """What was told of each device."""
        return dict(self.store.all("SELECT device_id, told FROM desired"))

    def close(self) -> None:
        """Close the store."""
        self.store.__exit__(None, None, None)
