"""Structured logs: one JSON object a line, on stderr. An outage is told when it starts and when it ends, not between.

Callers pass fields, never documents or headers, so no secret has a way in.
"""

import json
import logging
import sys
import threading
from datetime import UTC, datetime

from gatepost.connector import host
from gatepost.domain.contract import iso

_logger = logging.getLogger("gatepost.connector")


class _JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = iso(datetime.fromtimestamp(record.created, UTC))
        fields: dict[str, object] = getattr(record, "fields", {})
        line = {"at": moment, "level": record.levelname.lower(), "event": record.getMessage(), **fields}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def start(level: int = logging.INFO) -> None:
    """Send this process's log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger("gatepost")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def info(event: str, **fields: object) -> None:
    """Something that went as it should."""
    _logger.info(event, extra={"fields": fields})


def warning(event: str, **fields: object) -> None:
    """Something that an administrator may want to look at."""
    _logger.warning(event, extra={"fields": fields})


def crash(event: str, **fields: object) -> None:
    """Something that should not happen, with its trace."""
    _logger.exception(event, extra={"fields": fields})


class Outage:
    """Tells an outage of one thing (the service, Exchange) once when it starts and once when it ends."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._since: float | None = None
        self._lock = threading.Lock()

    def failed(self, why: str) -> None:
        """It does not work, now."""
        with self._lock:
            if self._since is None:
                self._since = host.monotonic()
                warning(f"{self._of} is away", why=why)

    def worked(self) -> None:
        """It works, now."""
        with self._lock:
            if self._since is not None:
                info(f"{self._of} is back", seconds=round(host.monotonic() - self._since, 1))
                self._since = None
