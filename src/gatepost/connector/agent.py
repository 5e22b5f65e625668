"""The connector's program: its parts put together on one folder, for one command or for the cycle of days."""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from gatepost import __version__
from gatepost.connector import connection, credentials, host, log
from gatepost.connector.connection import Connection
from gatepost.connector.courier import Courier
from gatepost.connector.cycle import Cycle
from gatepost.connector.doctor import examine
from gatepost.connector.doctor.visits import Visits
from gatepost.connector.emergency import Journal
from gatepost.connector.inventory import Inventory, Report
from gatepost.connector.listing import Listing
from gatepost.connector.looks import Looks, Pace
from gatepost.connector.mailing import Mailing, opener
from gatepost.connector.passwords import Passwords
from gatepost.connector.patience import Patience
from gatepost.connector.permission import ENFORCE, Permission
from gatepost.connector.places import Places
from gatepost.connector.postage import Postage
from gatepost.connector.pulse import Pulse
from gatepost.connector.reconcile import WORKERS, Reconcile
from gatepost.connector.schedule import Schedule
from gatepost.connector.state import EXCHANGE, FAILURE, LAST, LAST_TRY, SERVERS, State, status
from gatepost.connector.statistics import Reader, Readings
from gatepost.connector.stopping import Stop
from gatepost.connector.store import BASELINE, FILE, RUNNING_MODE, Store
from gatepost.connector.taking import Progress, Unwatched
from gatepost.connector.troubles import Troubles
from gatepost.connector.uplink import Uplink
from gatepost.connector.watch import SHARE, Watch
from gatepost.connector.wishing import Wishing
from gatepost.connector.writes import Writes
from gatepost.domain.contract import Answer, Scope, Status, iso
from gatepost.domain.devices import Capabilities, Load
from gatepost.errors import GatepostError
from gatepost.exchange.organization import Organization
from gatepost.settings import ConnectorSettings

QUIET_PAUSE = 0.1
SWITCH_SECONDS = 0.0005
LATE_SECONDS = 3.0
EVER = 1e10  # seconds: any write that has no end, however old
FAREWELL_SECONDS = 2.5  # for the last outcomes at the end of a process; the store has them, whatever comes of it
DOCTOR_SECONDS = 5.0  # for the doctor's session to be closed, when asked to stop
COMMAND_PATIENCE = 180.0  # longer than a lease, which another instance may hold

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
        self.exchange = log.Outage("Exchange")
        self._end_opening: Callable[[], None] = lambda: None
        self.service = log.Outage("the service")
        self.troubles = Troubles()
        self.stop = Stop()
        self.pulse = Pulse()
        self.cycle = Cycle(self)
        self._visits = Visits(lambda began: examine(settings, began=began), tell=self.cycle.wake.set)

    def __enter__(self) -> Self:
        """Take the folder and open what is in it. Raises SettingsError or StoreError."""
        folder = self._settings.folder
        with ExitStack() as stack:
            stack.enter_context(host.FolderLock(host.private_folder(folder)))
            credentials.finish(folder)
            identity = credentials.load(folder)
            self.store = stack.enter_context(
                Store(folder / FILE, identity.organization, identity.connector, identity.epoch, identity.incarnation)
            )
            self._keys = credentials.Credentials(identity, credentials.instance(folder))
            self.uplink = Uplink(
                self._settings.service, self._keys, proxy_password=Passwords(self._settings).service_proxy
            )
            patience = Patience(self.stop, self._patience, self.service, beat=self.pulse.beat)
            self.schedule = Schedule(self._settings.sync, self.store)
            self._writes = Writes(self.store, enforcing=self._settings.mode == ENFORCE)
            self.courier = Courier(
                folder,
                identity,
                self.store,
                self.uplink,
                self._keys,
                patience,
                self._status,
                quiet=self._quiet,
                tell=self.cycle.wake.set,
            )
            self._connection = Connection(self._connect, self._saw)
            stack.callback(self._connection.close)
            sync = self._settings.sync
            self._inventory = Inventory(
                Listing(self.store), self.courier, self.stop, self._progress, overlap=sync.overlap
            )
            self._watch = Watch(
                Listing(self.store), self._inventory.tell_devices, self._ask_quick, overlap=sync.overlap
            )
            self._statistics = Reader(
                Readings(self.store), self.stop, self._progress, sync.statistics_every, sync.quick_every
            )
            self._compose_writing()
            self._journal = Journal(folder)
            self._failure = self.store.note(FAILURE)
            self.store.remember(**{RUNNING_MODE: self._settings.mode})
            self._open = stack.pop_all()
        return self

    def _compose_writing(self) -> None:
        settings = self._settings
        writes = self._writes
        self._permission = Permission(settings, self.courier.lease, writes.taken)
        places, pace = Places(self.store), Pace(settings.sync.grace, settings.exchange.write_timeout)
        looks = Looks(writes, places, self._permission, pace, self.courier.find, self._keys.now)
        self.reconcile = Reconcile(
            writes,
            places,
            self._permission,
            looks,
            self._connection.organization,
            self.stop,
            tell=self.cycle.wake.set,
            workers=max(1, min(WORKERS, settings.exchange.runspaces - 1)),
        )
        self.mailing = Mailing(
            opener(settings),
            self._permission,
            self.uplink.claim_notices,
            self.store.add_outcome,
            self.courier.find,
            self._keys.now,
            self.stop,
            tell=self.cycle.wake.set,
            postage=Postage(self.store, places, settings.notices.most_a_day) if settings.notices else None,
        )
        self.wishing = Wishing(
            self.store,
            writes,
            self._permission,
            self._connection.organization,
            self._keys.now,
            tell=self.cycle.wake.set,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back where there is one, and close everything."""
        leased = self.courier.lease.remaining()
        self.stop.ask()
        self.courier.lease.drop()  # before everything: from here on no write starts
        try:
            self._connection.close()
            if leased:
                self.courier.farewell(FAREWELL_SECONDS)
        finally:
            self._open.close()

    def run(self) -> None:
        """Work until a signal asks to stop. Raises what ends a connector: it was replaced, or its store is broken."""
        settings = self._settings
        log.info("connector started", version=__version__, folder=str(settings.folder), mode=settings.mode)
        self._visits.start()
        self.cycle.run()
        log.info("connector stopped")

    def hang_up(self) -> None:
        """End all work at Exchange and close its shells, for good."""
        doctor = self._visits.close()
        self._connection.close()
        self._end_opening()
        doctor.join(DOCTOR_SECONDS)

    def _opening(self, end: Callable[[], None]) -> None:
        """An organization begins to be opened, which ``end`` ends."""
        self._end_opening = end
        if self.stop.asked:
            end()

    def sync(self, scope: Scope) -> Report:
        """One synchronisation, now. Raises what went wrong, once it is remembered for the service to be told."""
        self.store.remember(**{LAST_TRY: _now()})
        if scope is Scope.FULL:
            self._connection.renew()
        try:
            with self._connection.organization() as organization:
                report = self._inventory.run(organization, scope)
        except GatepostError as error:
            if not self.stop.asked:
                self._fail(str(error))
            raise
        self.schedule.done(report.scope)
        self._succeed(report)
        if report.scope is Scope.FULL:
            self._visits.ask()
        if report.state == "sealed":
            self.reconcile.compare()
        return report

    def check_in(self) -> Answer:
        """Check in; what was allowed by hand is told with it, until the service has it. Raises UplinkError."""
        by_hand = self._journal.findings()
        for finding in by_hand:
            self.courier.find(**finding)
        answer = self.courier.cycle()
        if by_hand:
            self._journal.told()
        self.wishing.hear(answer.wishes)
        self.mailing.hear(answer.notices)
        return answer

    def statistics(self) -> Mapping[str, int]:
        """Read statistics that are due, for a while, and tell what is new; how many were read, failed and told.

        It ends early where a synchronisation is asked for. Raises as ``sync``.
        """
        with self._connection.organization() as organization:
            rounds = self._statistics.run(organization, lambda: self.schedule.asked)
        told = self._inventory.tell_statistics()
        found = {"read": rounds.read, "failed": rounds.failed, "told": told}
        if any(found.values()):
            log.info("statistics read", **found)
        return found

    def watch(self) -> float:
        """Look for new devices once and tell them; in how many seconds to look again, 0 for never. Raises as ``sync``.

        The pause is as set, and longer where a look takes long.
        """
        every = self._settings.sync.watch_every
        if not every or self.store.note(BASELINE) is None:
            return every
        begun = host.monotonic()
        with self._connection.organization() as organization:
            told = self._watch.look(organization)
        if told:
            log.info("new devices told", devices=told)
        return max(every, SHARE * (host.monotonic() - begun))

    def _ask_quick(self) -> None:
        self.schedule.ask(Scope.QUICK)
        self.cycle.due.set()

    def work(self) -> Mapping[str, int]:
        """Hear what is desired, look once at every mailbox that is due, and tell what came of it; what there was.

        Settings of Exchange that are wished for are changed too, and notices sent that the service names.

        Raises UplinkError where the service is away, ExchangeError where Exchange is, WriteRefused without a lease.
        """
        self.check_in()
        found, others = self.reconcile.run(), [self.wishing.run(), self.mailing.run()]
        if found or any(others):
            self.check_in()
        return found

    def _quiet(self) -> bool:
        """Wait until no write is under way, not longer than one may take, and not at all when asked to stop.

        One whose time is over by the clock gets a moment too: where this process was stopped meanwhile, its answer has
        come and is about to be read.
        """
        seconds = self._settings.exchange.write_timeout
        begun = host.monotonic()
        while (self._writes.in_flight(EVER) or self.wishing.writing) and not self.stop.asked:
            waited = host.monotonic() - begun
            if waited > (seconds if self._may_be_writing(seconds) else LATE_SECONDS):
                break
            time.sleep(QUIET_PAUSE)
        return not self._may_be_writing(seconds)

    def _may_be_writing(self, seconds: float) -> bool:
        """Whether a write that was begun in the last ``seconds`` may be under way at Exchange."""
        return self._writes.in_flight(seconds) or self.wishing.writing

    def _connect(self) -> Organization:
        """Open Exchange; what other servers there are is kept, for when the configured one is away."""
        known = json.loads(self.store.note(SERVERS) or "[]")
        organization = connection.connect(self._settings, self._opening, known)
        try:
            self.store.remember(**{SERVERS: json.dumps(organization.access_servers)})
        except BaseException:
            organization.close()
            raise
        return organization

    def _saw(self, capabilities: Capabilities) -> None:
        self.store.remember(**{EXCHANGE: json.dumps(_seen(capabilities))})

    def _succeed(self, report: Report) -> None:
        self.exchange.worked()
        held = f"The synchronisation is held: {report.why}" if report.state == "held" else None
        self._failure = held
        moment = {} if held else {LAST[report.scope]: _now()}
        self.store.remember(**{FAILURE: held}, **moment)
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
        self.store.remember(**{FAILURE: why})

    def _status(self) -> Status:
        """How this connector is, for every document."""
        server = urlsplit(self._settings.exchange.url).hostname or ""
        exchange = {"server": server, **json.loads(self.store.note(EXCHANGE) or "{}")}
        return Status(
            version=__version__,
            host=host.name(),
            exchange=exchange,
            ceiling={"limit": self._permission.ceiling, "used": self._permission.used},
            next_syncs=self.schedule.next_syncs(),
            failure=self._failure,
            mode=self._settings.mode,
            scope=self._settings.scope,
            certificate_until=iso(self._keys.certificate.ends),
            load=_load(self._connection.load),
            errors=self.troubles.documents(),
            doctor=self._visits.told,
        )


def start_process(*, quiet: bool = False) -> None:
    """Prepare a process of its own: logs on stderr, and a signal to end unwinds as Ctrl-C does, closing shells.

    ``quiet`` leaves out what goes as it should: for a person who watches a progress bar. Threads hand over quickly, so
    that one that computes does not hold up those whose answers from Exchange have come.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    log.start(logging.WARNING if quiet else logging.INFO)
    host.on_stop(_interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt


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


def _load(load: Load | None) -> dict[str, Any]:
    """What is asked of Exchange, as the status tells it; nothing while it is not open."""
    if load is None:
        return {}
    return {
        "sessions": load.sessions,
        "limit": load.limit,
        "waiting": load.waiting,
        "pushed_back_at": iso(load.pushed_back_at),
        "why": load.why,
    }
