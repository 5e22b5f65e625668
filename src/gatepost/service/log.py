"""The service's log: one line a record on stderr, as JSON or text, in which no secret can stand.

The texts of foreign exceptions are left out, for they may repeat what somebody sent; known secrets and passwords in
addresses are struck out of everything else, whoever wrote it.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gatepost.domain.contract import iso
from gatepost.errors import GatepostError, SettingsError

FORMATS = ("json", "text")
STRUCK = "[secret]"
SHORTEST_SECRET = 4
LONGEST_TRACE = 40
IN_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
ASSIGNED = re.compile(r"(\b(?:password|passwd|secret|token)\s*[=:]\s*)\S+", re.IGNORECASE)
HEADER = re.compile(r"(\b(?:authorization|cookie|set-cookie)\s*[=:]).*", re.IGNORECASE)
QUIET = ("procrastinate", "alembic", "psycopg")
Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _Lines(logging.Formatter):
    """Records as lines."""

    def __init__(self, *, as_json: bool, secrets: Iterable[str]) -> None:
        super().__init__()
        self._as_json = as_json
        self._secrets = sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, Any] = {
            "at": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._clean(record.getMessage()),
        }
        if record.exc_info:
            told["trace"] = self._clean(self.formatException(record.exc_info))
        if self._as_json:
            return json.dumps(told)
        line = f"{told['at']} {told['level']} {told['logger']} {told['event']}"
        return f"{line}\n{told['trace']}" if "trace" in told else line

    def formatException(self, ei: Raised) -> str:  # noqa: N802 - logging's own name
        """Where it was raised, and what kinds of errors led there; the text only of errors of our own."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            text = f": {error}" if isinstance(error, GatepostError) else ""
            places = traceback.extract_tb(error.__traceback__, limit=-LONGEST_TRACE)
            frames = "".join(f"{place.filename}:{place.lineno} in {place.name}\n" for place in places)
            lines.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}{text}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nfrom:\n".join(lines)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, STRUCK)
        for pattern in (IN_ADDRESS, ASSIGNED, HEADER):
            text = pattern.sub(rf"\g<1>{STRUCK}", text)
        return text


def start(form: str | None = None, secrets: Iterable[str] = ()) -> None:
    """Send this process's log to stderr; as JSON unless told, or where a person looks. Raises SettingsError."""
    if form is not None and form not in FORMATS:
        raise SettingsError(f"--log-format is {form!r}.", f"Choose one of {', '.join(FORMATS)}.")
    handler = logging.StreamHandler(sys.stderr)
    chosen = form or ("text" if sys.stderr.isatty() else "json")
    handler.setFormatter(_Lines(as_json=chosen == "json", secrets=secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
