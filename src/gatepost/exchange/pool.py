"""Sessions of one organization, shared by threads: inside the account's budget, recycled in time, closed always.

Work takes a turn in order of arrival, so that nobody starves: a bulk listing keeps its turn to its end, statistics and
writes give theirs back after each item. Opening a session and reading are repeated after a pause where that can help;
a write's work is begun once.
"""

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from gatepost.domain.devices import Load
from gatepost.errors import (
    CmdletFailed,
    CmdletNotGranted,
    ExchangeAvoided,
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    NotExchange,
    SessionLost,
    SignInRefused,
    UnreadableObject,
    UnsafeXml,
    WireError,
)
from gatepost.exchange import parallel
from gatepost.exchange.budget import LONGEST_PAUSE, Budget
from gatepost.exchange.servers import Servers
from gatepost.exchange.sessions import Session
from gatepost.exchange.transport import NotSent
from gatepost.exchange.turns import Turns
from gatepost.settings import ExchangeSettings

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

log = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_PAUSE = 0.25
PATIENCE = 10.0
"""Seconds within which work is begun again; the caller has a schedule of its own for what lasts longer."""
IDLE_SECONDS = 600.0
"""Exchange ends an idle shell after 15 minutes; one that was idle for so long is not trusted any more."""
FRESH_SECONDS = 60.0
"""A write may not be repeated, so its session must have been used so shortly before."""
CLOSE_SECONDS = 10.0
_LEFT_BEHIND = 16
_REPEATABLE = (ExchangeUnreachable, SessionLost, ExchangeBusy, WireError)
_FOR_EVER = (ExchangeAvoided, UnreadableObject, UnsafeXml)
_HARMLESS = (CmdletFailed, CmdletNotGranted, NotSent)


@dataclass(eq=False, slots=True)
class _Open:
    """A session and where it is, who holds it, and since when it is open and unused (monotonic seconds)."""

    session: Session
    host: str
    thread: int
    opened: float
    used: float


class Pool:
    """Sessions for any number of threads. ``server`` is the host that is used now."""

    def __init__(self, settings: ExchangeSettings, password: str | None, proxy_password: str | None = None) -> None:
        self._settings = settings
        self._passwords = (password, proxy_password)
        self._servers = Servers(settings)
        self._budget = Budget(settings.runspaces)
        self._prepare: Callable[[Session], None] = lambda _: None
        self._chance = random.Random()
        self._changed = threading.Condition()
        self._turns = Turns(self._budget, self._changed, self._check_going)
        self._idle: list[_Open] = []
        self._out: set[_Open] = set()
        self._left_behind: list[_Open] = []
        self._dismissed: list[Collection[int]] = []
        self._closed = False

    @property
    def server(self) -> str:
        """The host that the last session was opened at; the configured one before that."""
        return self._servers.now_used

    def prepare_by(self, prepare: Callable[[Session], None]) -> None:
        """What every session opened from now on does first, at whichever server."""
        self._prepare = prepare

    def know_servers(self, names: Iterable[str]) -> None:
        """Other client access servers by full name, to turn to while the configured one is away."""
        with self._changed:
            self._servers.know(names)

    @property
    def servers(self) -> tuple[str, ...]:
        """The hosts that sessions may be opened at, the configured one first."""
        with self._changed:
            return self._servers.hosts

    @property
    def load(self) -> Load:
        """What is asked of Exchange now."""
        with self._changed:
            at, why = self._budget.pushed_back or (None, "")
            return Load(len(self._out), self._budget.limit(time.monotonic()), self._turns.waiting, at, why)

    def allow(self, concurrency: int) -> None:
        """The account's budget of sessions at Exchange, once it is known."""
        with self._changed:
            self._budget.allow(concurrency)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for one piece of work. One whose work failed is closed, and not given out again."""
        opened = self._patiently(lambda: self._take(IDLE_SECONDS))
        with self._held(opened) as session:
            yield session

    def read(self, work: Callable[[Session], T]) -> T:
        """Do what is safe to repeat, and repeat it where that can help."""

        def attempt() -> T:
            with self._held(self._take(IDLE_SECONDS)) as session:
                return work(session)

        return self._patiently(attempt)

    def stream(self, work: Callable[[Session], Iterator[T]]) -> Iterator[T]:
        """Do what is safe to repeat and gives out much; it is repeated only until it has given something out."""

        def begun() -> tuple[list[T], Generator[T, None, None]]:
            going = self._streamed(work)
            return list(itertools.islice(going, 1)), going

        first, rest = self._patiently(begun)
        with closing(rest):
            yield from first
            yield from rest

    def write(self, work: Callable[[Session], T]) -> T:
        """Do what must never be repeated: it is begun once, in a session that is surely open."""
        with self._held(self._patiently(lambda: self._take(FRESH_SECONDS))) as session:
            return work(session)

    def each(self, work: Callable[[Session, I], T], items: Iterable[I]) -> parallel.Each[I, T]:
        """Read something for each item, in parallel: the item with the result or with the error that it met.

        In any order. One session less than the budget is used, so that other work need not wait.
        """
        workers = max(1, self._budget.most - 1)
        return parallel.each(
            lambda item: self.read(lambda session: work(session, item)), items, workers, self._dismissing
        )

    def close(self) -> None:
        """Close every session and end all work, from any thread; never raises. Work under way raises SessionLost."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            out = list(self._out)
            self._changed.notify_all()
        for opened in out:
            opened.session.cut()
        mine = threading.get_ident()
        with self._closing(idle), self._changed:
            self._changed.wait_for(lambda: all(opened.thread == mine for opened in self._out), CLOSE_SECONDS)
            left = list(self._out)
        with self._closing(left):
            pass
        with self._changed:
            behind, self._left_behind = self._left_behind, []
        with self._closing(behind):
            pass
        for opened in self._left_behind:
            log.warning("a shell on %s could not be deleted and will expire", opened.host)

    @contextmanager
    def _closing(self, sessions: list[_Open]) -> Iterator[None]:
        """Close sessions side by side, meanwhile."""
        threads = [threading.Thread(target=self._drop, args=(opened,), name="close") for opened in sessions]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()

    # -- turns -----------------------------------------------------------------------------------------------------

    def _take(self, idle: float) -> _Open:
        """A turn, and a session that was not idle for longer than ``idle`` seconds."""
        self._turns.begin()
        try:
            return self._reused(idle) or self._opened()
        except BaseException:
            self._turns.end(threading.get_ident())
            raise

    @property
    def _is_over(self) -> bool:
        """Whether this side has ended the work of this thread."""
        return self._closed or any(threading.get_ident() in threads for threads in self._dismissed)

    def _check_going(self) -> None:
        """Raise SessionLost where this side has ended the work."""
        if self._is_over:
            raise SessionLost(f"The work with {self.server} was ended from this side.", server=self.server)

    # -- sessions --------------------------------------------------------------------------------------------------

    def _reused(self, idle: float) -> _Open | None:
        """An open session at the server to be used now; those that do not fit any more are closed."""
        now, thread = time.monotonic(), threading.get_ident()
        with self._changed:
            fits = [opened for opened in self._idle if self._is_fit(opened, idle, now)]
            unfit = [opened for opened in self._idle if not self._is_fit(opened, IDLE_SECONDS, now)]
            found = fits[-1] if fits else None
            if found is None and len(self._idle) - len(unfit) > self._turns.room(now):
                unfit += [opened for opened in self._idle if opened not in unfit][:1]
            self._idle = [opened for opened in self._idle if opened not in (*unfit, found)]
            if found is not None:
                found.thread = thread
                self._out.add(found)
        for opened in unfit:
            self._drop(opened)
        return found

    def _is_fit(self, opened: _Open, idle: float, now: float) -> bool:
        young = now - opened.opened < self._settings.recycle_after and now - opened.used < idle
        return young and self._servers.is_used(opened.host, now)

    def _opened(self) -> _Open:
        """A new session, at the first server that gives one."""
        while True:
            with self._changed:
                self._check_going()
                host = self._servers.choose(time.monotonic())
            try:
                opened = self._opened_at(host)
            except (ExchangeError, WireError) as error:
                if not self._blame(host, error):
                    with self._changed:
                        self._servers.spared(host)
                        self._check_going()
                    raise
                log.warning("another server is tried: %s", error)
            else:
                with self._changed:
                    self._servers.opened(host)
                self._clean_up(host)
                return opened

    def _opened_at(self, host: str) -> _Open:
        session = Session(self._servers.settings(host), *self._passwords)
        now = time.monotonic()
        opened = _Open(session, host, threading.get_ident(), now, now)
        with self._changed:
            self._check_going()
            self._out.add(opened)
        try:
            session.start()
            self._prepare(session)
            self._check_going()
        except BaseException:
            self._drop(opened)
            raise
        return opened

    @contextmanager
    def _held(self, opened: _Open) -> Iterator[Session]:
        """Lend a session out; it goes back where its work did it no harm, and is closed otherwise."""
        try:
            yield opened.session
        except _HARMLESS:
            self._give_back(opened)
            raise
        except (SignInRefused, NotExchange) as error:
            self._drop(opened)
            # It was signed in at Exchange, so this is about the session; what is there now is seen at the next one.
            raise SessionLost(error.cause, error.remedy, server=error.server) from error
        except ExchangeError as error:
            self._blame(opened.host, error)
            self._drop(opened)
            self._check_going()
            raise
        except BaseException:
            self._drop(opened)
            raise
        else:
            with self._changed:
                self._servers.worked(opened.host)
            self._give_back(opened)
        finally:
            self._turns.end(opened.thread)

    def _streamed(self, work: Callable[[Session], Iterator[T]]) -> Generator[T, None, None]:
        with self._held(self._take(IDLE_SECONDS)) as session:
            yield from work(session)

    def _give_back(self, opened: _Open) -> None:
        now = time.monotonic()
        opened.used = now
        with self._changed:
            room = len(self._idle) <= self._turns.room(now)
            if room and not self._closed and self._is_fit(opened, IDLE_SECONDS, now):
                self._out.discard(opened)
                self._idle.append(opened)
                return
        self._drop(opened)

    def _drop(self, opened: _Open) -> None:
        """Close a session; it counts as ours until that is done."""
        gone = opened.session.close()
        with self._changed:
            self._out.discard(opened)
            if not gone:
                self._left_behind = [*self._left_behind, opened][-_LEFT_BEHIND:]
            self._changed.notify_all()

    def _clean_up(self, host: str) -> None:
        """Try again to delete shells that could not be deleted, at a server that answers again."""
        with self._changed:
            behind = [opened for opened in self._left_behind if opened.host == host]
            self._left_behind = [opened for opened in self._left_behind if opened not in behind]
        for opened in behind:
            self._drop(opened)

    def _blame(self, host: str, error: ExchangeError | WireError) -> bool:
        """Learn from a failure; True where another server is to be tried at once."""
        now = time.monotonic()
        with self._changed:
            if self._is_over:
                return False
            if isinstance(error, ExchangeBusy):
                self._budget.push_back(error, len(self._out) + len(self._idle), now)
                self._changed.notify_all()
            return self._servers.failed(host, error, now)

    @contextmanager
    def _dismissing(self, threads: Collection[int]) -> Iterator[None]:
        """Make threads come back, also those that join them yet: their waits end, and what they send and receive."""
        with self._changed:
            self._dismissed.append(threads)
            cut = [opened for opened in self._out if opened.thread in threads]
            self._changed.notify_all()
        for opened in cut:
            opened.session.cut()
        try:
            yield
        finally:
            with self._changed:
                # Their ids will be others'.
                self._dismissed = [others for others in self._dismissed if others is not threads]

    # -- trying again ----------------------------------------------------------------------------------------------

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Repeat an attempt that failed by chance, after pauses with full jitter. Raises its last error.

        No attempt begins later than ``PATIENCE`` after the first.
        """
        end = time.monotonic() + PATIENCE
        failed: list[ExchangeError | WireError] = []
        while True:
            try:
                return attempt()
            except ExchangeAvoided:
                if not failed:
                    raise
                raise failed.pop() from None
            except _REPEATABLE as error:
                failed.append(error.with_traceback(None))  # which would keep alive what the attempt held
                pause = self._pause(error, len(failed))
                if pause is None or len(failed) == ATTEMPTS or time.monotonic() + pause > end:
                    raise
                log.info("tried again in %.1f s: %s", pause, error)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause)

    def _pause(self, error: Exception, number: int) -> float | None:
        """Seconds until the next attempt; None where it cannot help."""
        with self._changed:
            if isinstance(error, _FOR_EVER) or self._is_over:
                return None
            jitter = self._chance.uniform(0, FIRST_PAUSE * 2**number)
            if not isinstance(error, ExchangeBusy):
                return jitter
            if error.about == "shells":  # one of ours will be free; where we have none, others must go first
                return jitter if self._out or self._idle else None
            return error.retry_after + jitter if error.retry_after <= LONGEST_PAUSE else None
