"""Sessions of one organization, shared: opened when wanted, given out one to a thread, closed always."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from gatepost.exchange.sessions import Session
from gatepost.settings import ExchangeSettings

T = TypeVar("T")


class Pool:
    """Sessions for any number of threads. ``server`` is the host as named in the settings."""

    def __init__(self, settings: ExchangeSettings, password: str | None) -> None:
        self.server = urlsplit(settings.url).hostname or settings.url
        self._settings = settings
        self._password = password
        self._prepare: Callable[[Session], None] = lambda _: None
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    def prepare_by(self, prepare: Callable[[Session], None]) -> None:
        """What every session opened from now on does first."""
        self._prepare = prepare

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for one piece of work. One whose work failed is closed, and not given out again."""
        session = self._take()
        try:
            yield session
        except BaseException:
            session.close()
            raise
        with self._lock:
            self._idle.append(session)

    def read(self, work: Callable[[Session], T]) -> T:
        """Do what is safe to repeat."""
        with self.session() as session:
            return work(session)

    def write(self, work: Callable[[Session], T]) -> T:
        """Do what must never be repeated."""
        with self.session() as session:
            return work(session)

    def close(self) -> None:
        """Close every session; never raises."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _take(self) -> Session:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        session = Session.open(self._settings, self._password)
        try:
            self._prepare(session)
        except BaseException:
            session.close()
            raise
        return session
