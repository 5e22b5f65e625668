"""The cycle, for days. The main thread supervises and is where a signal arrives; seven others work.

*check-in* speaks to the service at least every minute; *inventory* takes the synchronisations that are due; *reconcile*
drives mailboxes to what is desired; *settings* changes Exchange's own where that is wished for; *watch* looks for new
devices; *mail* sends notices; *waiting* holds a request open and wakes check-in. Each may be cut off at any moment:
what matters is in the outbox, at Exchange or at the service.
"""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from gatepost import systemd
from gatepost.connector import host, log
from gatepost.connector.answers import Head
from gatepost.connector.courier import REPLACED, Courier
from gatepost.connector.inventory import Report
from gatepost.connector.mailing import Mailing
from gatepost.connector.patience import Backoff
from gatepost.connector.pulse import Pulse
from gatepost.connector.reconcile import Reconcile
from gatepost.connector.schedule import Schedule
from gatepost.connector.state import SERVICE_FAILURE
from gatepost.connector.stopping import Stop, Stopped
from gatepost.connector.store import Store
from gatepost.connector.troubles import Troubles
from gatepost.connector.uplink import Uplink
from gatepost.connector.wishing import Wishing
from gatepost.domain.contract import Answer, Scope
from gatepost.errors import GatepostError, ServiceRefused, StoreError, UplinkError, WriteRefused

CHECK_IN_SECONDS = 50.0
SUCCESSOR_SECONDS = 3.0  # while a predecessor's lease is waited for, which may be given back at any moment
STOP_SECONDS = 5.0  # for all threads; a connector ends within 10 s of being asked to, whatever hangs
WRITE_SECONDS = 4.0  # for a write under way when asked to stop; what takes longer is uncertain, and looked at later
LOOK_SECONDS = 1.0
SILENT_SECONDS = 600.0  # without an attempt to reach the service: longer than any pause between two
WAIT_PAUSE = 0.2  # between two held-open requests at least, whatever the service does
WATCH_PAUSE = 30.0  # after a look for new devices that failed, doubling
LEASE_PAUSE = 1.0  # while a lease is waited for
WORK_PAUSE = 60.0


class Writer(Protocol):
    """What writes to Exchange when something is due."""

    def seconds(self) -> float | None:
        """In how many seconds something is due, 0 for now, None for nothing."""

    def run(self) -> Mapping[str, int]:
        """Do what is due. Raises WriteRefused without a lease, the ExchangeError family where Exchange is away."""


class Works(Protocol):
    """What the cycle drives: an open agent."""

    stop: Stop
    store: Store
    uplink: Uplink
    courier: Courier
    schedule: Schedule
    reconcile: Reconcile
    wishing: Wishing
    mailing: Mailing
    exchange: log.Outage
    service: log.Outage
    troubles: Troubles
    pulse: Pulse

    def check_in(self) -> Answer:
        """One check-in."""

    def sync(self, scope: Scope) -> Report:
        """One synchronisation."""

    def statistics(self) -> Mapping[str, int]:
        """Statistics that are due, read for a while."""

    def watch(self) -> float:
        """One look for new devices; in how many seconds the next is due, 0 for never."""

    def hang_up(self) -> None:
        """End all work at Exchange and close its shells, for good."""


class Cycle:
    """The threads of one agent, and the events that wake them."""

    def __init__(self, agent: Works) -> None:
        self._agent = agent
        self.error: BaseException | None = None
        self.wake, self.due, self.work, self._listen, self._ended = (threading.Event() for _ in range(5))
        self._wished, self._noticed = threading.Event(), threading.Event()

    def run(self) -> None:
        """Work until asked to stop. Raises what ends a connector: it was replaced, or its store is broken."""
        works = {
            "reconcile": self._reconcile,
            "check-in": self._check_in,
            "inventory": self.syncs,
            "settings": self._settings,
            "watch": self._watch,
            "mail": self._mail,
        }
        threads = [self._thread(name, work) for name, work in works.items()]
        waiting = self._thread("waiting", self._wait)
        try:
            host.on_stop(_raise_stopped)
            for thread in (*threads, waiting):
                thread.start()
            systemd.notify(systemd.READY)
            self._supervise(threads)
        except Stopped:
            log.info("asked to stop")
        finally:
            systemd.notify(systemd.STOPPING)
            self._end(threads)
        if self.error is not None:
            raise self.error

    def guarded(self, work: Callable[[], None]) -> None:
        """A thread's whole life: what it cannot mend ends the connector, in words."""
        try:
            work()
        except Stopped:
            pass
        except GatepostError as error:
            self.error = self.error or error
        except BaseException as error:
            log.crash("a fault of the connector")
            self.error = self.error or error
        self._ended.set()

    def _supervise(self, threads: list[threading.Thread]) -> None:
        """Until a thread has ended; meanwhile signs of life for systemd, as long as every thread lives and one speaks.

        Without them systemd starts the connector again, which costs seconds: what matters is on the disk. The wait is a
        short one each time: a signal that the system hands to another thread does not wake this one, which has to act.
        """
        within = systemd.watchdog_seconds()
        every = within / systemd.FEEDS if within else None
        due = host.monotonic()
        while not self._ended.wait(min(LOOK_SECONDS, every or LOOK_SECONDS)):
            if every is None or host.monotonic() < due:
                continue
            due = host.monotonic() + every
            if all(thread.is_alive() for thread in threads) and self._agent.pulse.seconds < SILENT_SECONDS:
                systemd.notify(systemd.ALIVE)
            else:
                log.warning("no sign of life is given: the service was not spoken to for long, or a thread is gone")

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self.guarded, args=(work,), name=name, daemon=True)

    def _end(self, threads: list[threading.Thread]) -> None:
        """Stop the threads: a write gets time to end, then Exchange is hung up on; what the service asks is kept."""
        self._agent.stop.ask()
        for event in (self.wake, self.due, self.work, self._wished, self._noticed, self._listen):
            event.set()
        end = host.monotonic() + STOP_SECONDS
        writing, *others = threads
        if writing.is_alive():
            writing.join(WRITE_SECONDS)
        hanging_up = threading.Thread(target=self._agent.hang_up, name="hang-up", daemon=True)
        hanging_up.start()
        for thread in (hanging_up, writing, *others):
            if thread.is_alive():
                thread.join(max(0.1, end - host.monotonic()))

    # -- the service -------------------------------------------------------------------------------------------------

    def _check_in(self) -> None:
        """Check in when woken, and at least every minute; trouble with the service never ends it, but for REPLACED."""
        agent, backoff = self._agent, Backoff()
        while True:
            self.wake.clear()
            agent.stop.check()
            agent.pulse.beat()
            try:
                answer = agent.check_in()
            except UplinkError as error:
                if is_replaced(error):
                    raise
                agent.service.failed(str(error))
                agent.troubles.met(error)
                agent.store.remember(**{SERVICE_FAILURE: str(error)})
                agent.stop.sleep(backoff.next())
                continue
            backoff.reset()
            agent.store.remember(**{SERVICE_FAILURE: None})
            self._hear(answer)
            seconds = SUCCESSOR_SECONDS if agent.courier.lease.waits() else CHECK_IN_SECONDS
            self.wake.wait(seconds * random.uniform(0.8, 1.0))

    def _hear(self, answer: Answer) -> None:
        """What the service wishes for: a synchronisation, or nothing, and then its next wish is listened for."""
        if answer.sync in tuple(Scope):
            self._agent.schedule.ask(Scope(answer.sync))
        self.due.set()
        self.work.set()
        self._wished.set()
        self._noticed.set()
        if not self._agent.schedule.asked:
            self._listen.set()

    def _wait(self) -> None:
        """Hold a request open; wake check-in where there may be something to do, then let it look first."""
        agent, backoff = self._agent, Backoff()
        lease = agent.courier.lease
        while True:
            self._listen.wait()
            agent.stop.check()
            asked_at = lease.now()
            try:
                head = agent.uplink.wait(agent.store.revision, stopped=lease.stopped)
            except UplinkError as error:
                if isinstance(error, ServiceRefused):  # a document will meet it too, and then it is followed
                    self.wake.set()
                agent.stop.sleep(backoff.next(getattr(error, "retry_after", None)))
                continue
            backoff.reset()
            self.learn(head, asked_at)
            agent.stop.sleep(max(0.0, asked_at + WAIT_PAUSE - lease.now()))

    def learn(self, head: Head, asked_at: float) -> None:
        """Take what a held-open request told.

        In another history of the database nothing that we hold is desired: then no lease comes of it, and check-in,
        which is told so too, starts afresh. A lease that was granted to a question from before the last one was dropped
        does not count either: then check-in asks for another at once.
        """
        store, lease = self._agent.store, self._agent.courier.lease
        known = head.incarnation == store.incarnation
        if known:
            lease.hear(asked_at, head.lease_seconds)
        ungranted = head.lease_seconds > 0 and not lease.remaining()
        if not known or ungranted or head.sync != "none" or head.orders or head.revision != store.revision:
            self._listen.clear()
            self.wake.set()

    # -- Exchange ----------------------------------------------------------------------------------------------------

    def syncs(self) -> None:
        """Take each sync when it is due; a failure is told, and tried again after a pause.

        Only a broken store and having been replaced end it: any other error may be gone at the next attempt.
        """
        agent = self._agent
        while True:
            self.due.clear()
            agent.stop.check()
            scope, seconds = agent.schedule.due()
            if seconds:
                self.due.wait(seconds)
                continue
            try:
                report = agent.sync(scope)
                if report.scope is Scope.QUICK and report.state == "sealed":
                    self.work.set()
                    agent.statistics()
            except GatepostError as error:
                agent.stop.check()
                self._met(error)
                agent.schedule.failed()
            self.wake.set()
            self.work.set()

    def _watch(self) -> None:
        """Look for new devices again and again; trouble is told as any other, and ends nothing."""
        agent, backoff = self._agent, Backoff(first=WATCH_PAUSE)
        while True:
            agent.stop.check()
            try:
                pause = agent.watch()
            except GatepostError as error:
                agent.stop.check()
                self._met(error)
                pause = backoff.next()
            else:
                backoff.reset()
            agent.stop.sleep(pause or SILENT_SECONDS)

    def _reconcile(self) -> None:
        """Look at mailboxes when they are due."""
        self._writing(self._agent.reconcile, self.work)

    def _settings(self) -> None:
        """Change settings of Exchange that are wished for."""
        self._writing(self._agent.wishing, self._wished)

    def _mail(self) -> None:
        """Send notices when the service names some."""
        self._writing(self._agent.mailing, self._noticed, log.Outage("the mailbox of notices"))

    def _writing(self, writer: Writer, news: threading.Event, outage: log.Outage | None = None) -> None:
        """Let a writer work when something is due; while there is no lease to write under, wait for it."""
        agent, backoff = self._agent, Backoff()
        while True:
            news.clear()
            agent.stop.check()
            seconds = writer.seconds()
            if seconds != 0:
                news.wait(WORK_PAUSE if seconds is None else min(seconds, WORK_PAUSE))
                continue
            try:
                writer.run()
            except WriteRefused:
                news.wait(LEASE_PAUSE)
            except GatepostError as error:
                self._met(error, outage)
                agent.stop.sleep(backoff.next())
            else:
                (outage or agent.exchange).worked()
                backoff.reset()

    def _met(self, error: GatepostError, outage: log.Outage | None = None) -> None:
        """Raise what ends a connector; tell any other trouble."""
        if isinstance(error, StoreError) or is_replaced(error):
            raise error
        self._agent.troubles.met(error)
        away = self._agent.service if isinstance(error, UplinkError) else outage or self._agent.exchange
        away.failed(str(error))


def is_replaced(error: GatepostError) -> bool:
    """Whether another connector took this one's place, or it was removed."""
    return isinstance(error, ServiceRefused) and error.type in REPLACED


def _raise_stopped() -> None:
    raise Stopped
