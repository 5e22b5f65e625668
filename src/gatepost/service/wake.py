"""Waking connectors that wait: one LISTEN connection a process; PostgreSQL tells what any replica committed.

A notification only says *look again*. A lost one costs latency: whoever waits looks first, and again after the
connection was made anew.
"""

import asyncio
import contextlib
import logging
import random
from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

import psycopg

CHANNEL = "gatepost"
RECONNECT_SECONDS = 30.0
log = logging.getLogger("gatepost.service")

Key = tuple[UUID, UUID]


class Waker:
    """Wakes waiters of (tenant, organization). ``run`` listens until it is cancelled; ``listening`` while it hears."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiters: defaultdict[Key, set[asyncio.Event]] = defaultdict(set)
        self.listening = False

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(len(events) for events in self._waiters.values())

    @contextlib.contextmanager
    def waiter(self, tenant_id: UUID, organization_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set when something was committed for this organization; open it before looking."""
        key, event = (tenant_id, organization_id), asyncio.Event()
        self._waiters[key].add(event)
        try:
            yield event
        finally:
            self._waiters[key].discard(event)
            if not self._waiters[key]:
                del self._waiters[key]

    def wake_all(self) -> None:
        """Everybody looks again: notifications may have been lost, or the process is about to end."""
        for events in self._waiters.values():
            for event in events:
                event.set()

    async def run(self) -> None:
        """Listen; connect again with full jitter when the connection breaks. An outage is told once, and its end."""
        away = False
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    if away:
                        log.info("wake-ups are back")
                    away = False
                    self.listening = True
                    self.wake_all()
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            except psycopg.Error:
                self.listening = False
                if not away:
                    log.warning("wake-ups are lost until the database is back; connectors poll meanwhile")
                away = True
                await asyncio.sleep(random.uniform(0, RECONNECT_SECONDS))

    def _wake(self, payload: str) -> None:
        tenant, _, organization = payload.partition("/")
        with contextlib.suppress(ValueError):
            for event in self._waiters.get((UUID(tenant), UUID(organization)), ()):
                event.set()
