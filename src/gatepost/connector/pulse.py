"""When this connector last spoke to the service or tried to: what its sign of life to systemd is made of."""

from gatepost.connector import host


class Pulse:
    """Beats with every attempt to reach the service, whatever comes of it. Safe from any thread."""

    def __init__(self) -> None:
        self._last = host.monotonic()

    def beat(self) -> None:
        """An attempt begins."""
        self._last = host.monotonic()

    @property
    def seconds(self) -> float:
        """How long ago the last one began."""
        return host.monotonic() - self._last
