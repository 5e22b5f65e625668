"""Being asked to stop: every wait of the connector ends at once, and work unwinds through its context managers."""

import threading


class Stopped(Exception):
    """The connector was asked to stop; raised where it would have gone on."""


class Stop:
    """A request to stop, made once, from any thread or a signal."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ask(self) -> None:
        """Ask everything to stop."""
        self._event.set()

    @property
    def asked(self) -> bool:
        """Whether it was asked."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Stopped if it was asked."""
        if self._event.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait, or raise Stopped as soon as it is asked."""
        if self._event.wait(seconds):
            raise Stopped
