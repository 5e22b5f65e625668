"""The connector's program: one synchronisation, or the cycle for days.

``run`` has four threads. The main one supervises and is where a signal arrives; *check-in* speaks to the service at
least every minute; *inventory* takes the synchronisations that are due; *waiting* holds a request open and wakes
check-in. Each may be cut off at any moment: what matters is in the outbox, at Exchange or at the service.
"""

import json
import logging
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from gatepost import __version__
from gatepost.connector import credentials, host, log
from gatepost.connector.courier import REPLACED, Courier
from gatepost.connector.inventory import Inventory, Progress, Report, Unwatched
from gatepost.connector.listing import Listing
from gatepost.connector.patience import Backoff, Patience
from gatepost.connector.schedule import Schedule
from gatepost.connector.stopping import Stop, Stopped
from gatepost.connector.store import FILE, NEXT_FULL, NEXT_QUICK, Store, peek
from gatepost.connector.uplink import Uplink
from gatepost.domain.contract import Scope, Status, iso
from gatepost.domain.devices import Capabilities
from gatepost.errors import GatepostError, ServiceRefused, StoreError, UplinkError
from gatepost.exchange.organization import Organization
from gatepost.settings import ConnectorSettings, read_secret

CHECK_IN_SECONDS = 50.0
COMMAND_PATIENCE = 180.0  # longer than a lease, which another instance may hold
STOP_SECONDS = 30.0
WAIT_PAUSE = 0.2  # between two held-open requests at least, whatever the service does
FAILURE, SERVICE_FAILURE, LAST_TRY = "failure", "service_failure", "last_try"
EXCHANGE = "exchange"
LAST = {Scope.FULL: "last_full", Scope.QUICK: "last_quick"}

__all__ = ["COMMAND_PATIENCE", "Agent", "Progress", "Report", "Scope", "State", "start_process", "status"]


class Agent:
    """One connector at work on its folder; a context manager that holds the folder's lock.

    ``patience`` is for how long an unreachable service is tried, in seconds; None is for ever.
    """

    def __init__(
        self, settings: ConnectorSettings, *, patience: float | None = None, progress: Progress | None = None
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._progress = progress or Unwatched()
        self._failure: str | None = None
        self._exchange = log.Outage("Exchange")
        self._service = log.Outage("the service")
        self._error: BaseException | None = None
        self._wake, self._due, self._listen, self._ended = (threading.Event() for _ in range(4))
        self.stop = Stop()

    def __enter__(self) -> Self:
        """Take the folder and open what is in it. Raises SettingsError or StoreError."""
        folder = self._settings.folder
        with ExitStack() as stack:
            stack.enter_context(host.FolderLock(host.private_folder(folder)))
            identity = credentials.load(folder)
            self._store = stack.enter_context(
                Store(folder / FILE, identity.organization, identity.connector, identity.epoch, identity.incarnation)
            )
            keys = credentials.Credentials(identity, credentials.instance(folder))
            self._uplink = Uplink(self._settings.service, keys)
            patience = Patience(self.stop, self._patience, self._service)
            self._schedule = Schedule(self._settings.sync, self._store)
            self._courier = Courier(folder, identity, self._store, self._uplink, keys, patience, self._status)
            self._inventory = Inventory(Listing(self._store), self._courier, self.stop, self._progress)
            self._failure = self._store.note(FAILURE)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back where there is one, and close everything."""
        if self._courier.lease.remaining():
            self._courier.farewell()
        self._open.close()

    def sync(self, scope: Scope) -> Report:
        """One synchronisation, now. Raises what went wrong, once it is remembered for the service to be told."""
        self._store.remember(**{LAST_TRY: _now()})
        try:
            with self._connect() as organization:
                self._store.remember(**{EXCHANGE: json.dumps(_seen(organization.capabilities))})
                report = self._inventory.run(organization, scope)
        except GatepostError as error:
            self._fail(str(error))
            raise
        self._schedule.done(report.scope)
        self._succeed(report)
        return report

    def _connect(self) -> Organization:
        exchange = self._settings.exchange
        password = read_secret(exchange.password_file) if exchange.password_file else None
        return Organization.connect(exchange, password)

    def _succeed(self, report: Report) -> None:
        self._exchange.worked()
        held = f"The synchronisation is held: {report.why}" if report.state == "held" else None
        self._failure = held
        moment = {} if held else {LAST[report.scope]: _now()}
        self._store.remember(**{FAILURE: held}, **moment)
        log.info(
            f"{report.scope} synchronisation {report.state}",
            why=report.why,
            devices=report.devices,
            mailboxes=report.mailboxes,
            sent=report.sent_devices + report.sent_mailboxes,
            unreadable=report.unreadable,
            rejected=report.rejected,
            seconds=report.seconds["total"],
        )

    def _fail(self, why: str) -> None:
        self._failure = why
        self._store.remember(**{FAILURE: why})

    def _status(self) -> Status:
        """How this connector is, for every document."""
        server = urlsplit(self._settings.exchange.url).hostname or ""
        exchange = {"server": server, **json.loads(self._store.note(EXCHANGE) or "{}")}
        return Status(
            version=__version__,
            host=host.name(),
            exchange=exchange,
            ceiling={"limit": self._settings.ceiling, "used": 0},
            next_syncs=self._schedule.next_syncs(),
            failure=self._failure,
        )

    # -- the cycle, for days ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until a signal asks to stop. Raises what ends a connector: it was replaced, or its store is broken."""
        log.info("connector started", version=__version__, folder=str(self._settings.folder))
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("check-in", self._check_in), ("inventory", self._syncs), ("waiting", self._wait))
        ]
        try:
            host.on_stop(_raise_stopped)
            for thread in threads:
                thread.start()
            self._ended.wait()
        except Stopped:
            log.info("asked to stop")
        finally:
            self._end(threads[:2])
        if self._error is not None:
            raise self._error
        log.info("connector stopped")

    def _end(self, threads: list[threading.Thread]) -> None:
        """Stop the threads; the inventory gets time to close its shells, a request in flight is left to the outbox."""
        self.stop.ask()
        for event in (self._wake, self._due, self._listen):
            event.set()
        end = host.monotonic() + STOP_SECONDS
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.1, end - host.monotonic()))

    def _guarded(self, work: Callable[[], None]) -> None:
        """A thread's whole life: what it cannot mend ends the connector, in words."""
        try:
            work()
        except Stopped:
            pass
        except GatepostError as error:
            self._error = self._error or error
        except BaseException as error:
            log.crash("a fault of the connector")
            self._error = self._error or error
        self._ended.set()

    def _check_in(self) -> None:
        """Check in when woken, and at least every minute; trouble with the service never ends it, but for REPLACED."""
        backoff = Backoff()
        while True:
            self.stop.check()
            self._wake.clear()
            try:
                answer = self._courier.cycle()
            except UplinkError as error:
                if _is_replaced(error):
                    raise
                self._service.failed(str(error))
                self._store.remember(**{SERVICE_FAILURE: str(error)})
                self.stop.sleep(backoff.next())
                continue
            backoff.reset()
            self._store.remember(**{SERVICE_FAILURE: None})
            self._hear(answer.sync)
            self._wake.wait(CHECK_IN_SECONDS * random.uniform(0.8, 1.0))

    def _hear(self, wish: str) -> None:
        """What the service wishes for: a synchronisation, or nothing, and then its next wish is listened for."""
        if wish in tuple(Scope):
            self._schedule.ask(Scope(wish))
        self._due.set()
        if not self._schedule.asked:
            self._listen.set()

    def _syncs(self) -> None:
        """Take each sync when it is due; a failure is told, and tried again after a pause.

        Only a broken store and having been replaced end it: any other error may be gone at the next attempt.
        """
        while True:
            self.stop.check()
            self._due.clear()
            scope, seconds = self._schedule.due()
            if seconds:
                self._due.wait(seconds)
                continue
            try:
                self.sync(scope)
            except GatepostError as error:
                if isinstance(error, StoreError) or _is_replaced(error):
                    raise
                (self._service if isinstance(error, UplinkError) else self._exchange).failed(str(error))
                self._schedule.failed()
            self._wake.set()

    def _wait(self) -> None:
        """Hold a request open; wake check-in where there may be something to do, then let it look first."""
        backoff = Backoff()
        while True:
            self._listen.wait()
            self.stop.check()
            asked_at = self._courier.lease.now()
            try:
                head = self._uplink.wait(self._store.revision)
            except UplinkError as error:
                if isinstance(error, ServiceRefused):  # a document will meet it too, and then it is followed
                    self._wake.set()
                self.stop.sleep(backoff.next(getattr(error, "retry_after", None)))
                continue
            backoff.reset()
            self._courier.lease.renew(asked_at, head.lease_seconds)
            if head.sync != "none" or head.orders or head.revision != self._store.revision:
                self._listen.clear()
                self._wake.set()
            self.stop.sleep(max(0.0, asked_at + WAIT_PAUSE - self._courier.lease.now()))


def _is_replaced(error: GatepostError) -> bool:
    return isinstance(error, ServiceRefused) and error.type in REPLACED


def start_process(*, quiet: bool = False) -> None:
    """Prepare a process of its own: logs on stderr, and a signal to end unwinds as Ctrl-C does, closing shells.

    ``quiet`` leaves out what goes as it should: for a person who watches a progress bar.
    """
    log.start(logging.WARNING if quiet else logging.INFO)
    host.on_stop(_interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _raise_stopped() -> None:
    raise Stopped


def _seen(capabilities: Capabilities) -> dict[str, Any]:
    """What the service shows of Exchange; kept, so that it is known before the first sync after a start."""
    return {
        "server": capabilities.server,
        "version": capabilities.version,
        "domain_controller": capabilities.domain_controller,
        "projection": capabilities.projection,
    }


def _now() -> str:
    return iso(datetime.now(UTC)) or ""


@dataclass(frozen=True, slots=True)
class State:
    """What a folder tells of its connector, running or not. Times are ISO 8601 in UTC, None where there is none yet."""

    enrolled: bool
    organization: str | None
    epoch: int | None
    running: bool
    mode: str
    service: str
    last_full: str | None
    last_quick: str | None
    last_try: str | None
    next_full: str | None
    next_quick: str | None
    unsent: int
    failure: str | None


def status(settings: ConnectorSettings) -> State:
    """How the connector of a folder is. Raises SettingsError where it is not enrolled, StoreError on a broken store."""
    identity = credentials.load(settings.folder)
    notes, unsent = peek(settings.folder / FILE)
    return State(
        enrolled=True,
        organization=identity.organization,
        epoch=identity.epoch,
        running=host.is_locked(settings.folder),
        mode=settings.mode,
        service=settings.service.url,
        last_full=notes.get(LAST[Scope.FULL]),
        last_quick=notes.get(LAST[Scope.QUICK]),
        last_try=notes.get(LAST_TRY),
        next_full=notes.get(NEXT_FULL),
        next_quick=notes.get(NEXT_QUICK),
        unsent=unsent,
        failure=notes.get(SERVICE_FAILURE) or notes.get(FAILURE),
    )
