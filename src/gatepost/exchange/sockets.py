"""The sockets of one transport, so that a request can be ended from outside: by its deadline, or by another thread.

A time-out of the HTTP library counts the pauses between bytes, so a server that trickles would never run into it; and
nothing else wakes a thread that waits for a silent server.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from weakref import WeakSet

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool


class Sockets:
    """Knows the open sockets of the connection pools it watches."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        sockets = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.know(self.sock)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.know(self.sock)

        self._kinds = {"http": Plain, "https": Tls}

    def watch(self, pool: ConnectionPool) -> None:
        """Know every socket that a connection pool opens from now on."""
        assert isinstance(pool, HTTPConnectionPool)
        pool.ConnectionCls = self._kinds[pool.scheme or "http"]

    def know(self, opened: object) -> None:
        """Know one socket until it is closed."""
        if isinstance(opened, socket.socket):
            with self._lock:
                self._open.add(opened)

    def cut(self) -> None:
        """End what is open: whoever sends or receives there fails at once. The next request connects anew."""
        with self._lock:
            found = list(self._open)
            self._open.clear()
        for entry in found:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which would turn it into a plain one under its reader.
                socket.socket.shutdown(entry, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def cut_after(self, seconds: float) -> Iterator[threading.Event]:
        """End what is open when the block takes longer; the event tells whether it did."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.cut()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()
