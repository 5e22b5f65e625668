"""What a connector's folder tells of it, running or not: what ``gatepost connector status`` prints."""

from dataclasses import dataclass
from datetime import UTC, datetime

from gatepost.connector import credentials, host
from gatepost.connector.store import FILE, NEXT_FULL, NEXT_QUICK, RUNNING_MODE, peek
from gatepost.connector.writes import Standing, glance
from gatepost.domain.contract import Scope, iso
from gatepost.settings import ConnectorSettings

FAILURE, SERVICE_FAILURE, LAST_TRY = "failure", "service_failure", "last_try"
EXCHANGE, SERVERS = "exchange", "servers"
LAST = {Scope.FULL: "last_full", Scope.QUICK: "last_quick"}


@dataclass(frozen=True, slots=True)
class State:
    """What a folder tells of its connector, running or not. Times are ISO 8601 in UTC, None where there is none yet.

    ``mode`` is what the settings say, for the next start; ``running_mode`` is that of the process that runs, None where
    none does.

    ``ended`` is why a connector that was replaced, revoked or removed works no more; it is not ``enrolled`` then.

    ``scope`` are the mailboxes that may be written and ``ceiling`` the writes an hour that may take access away, of
    which ``taken`` were made. ``pending`` are the devices that do not stand as desired, ``uncertain`` the mailboxes
    with a write whose end is not known.
    """

    enrolled: bool
    ended: str | None
    organization: str | None
    epoch: int | None
    running: bool
    mode: str
    running_mode: str | None
    scope: tuple[str, ...]
    ceiling: int
    taken: int
    pending: int
    uncertain: int
    last_write: str | None
    service: str
    last_full: str | None
    last_quick: str | None
    last_try: str | None
    next_full: str | None
    next_quick: str | None
    unsent: int
    failure: str | None


def status(settings: ConnectorSettings) -> State:
    """How the connector of a folder is. Raises SettingsError where none was enrolled, StoreError on a broken store."""
    ended = credentials.ended(settings.folder)
    identity = credentials.load(settings.folder) if ended is None else None
    path = settings.folder / FILE
    notes, unsent = peek(path)
    standing = glance(path)
    running = host.is_locked(settings.folder)
    return State(
        enrolled=identity is not None,
        ended=ended,
        organization=identity.organization if identity else None,
        epoch=identity.epoch if identity else None,
        running=running,
        mode=settings.mode,
        running_mode=notes.get(RUNNING_MODE, settings.mode) if running else None,
        scope=settings.scope,
        ceiling=settings.ceiling,
        taken=standing.taken,
        pending=standing.pending,
        uncertain=standing.uncertain,
        last_write=_moment(standing),
        service=settings.service.url,
        last_full=notes.get(LAST[Scope.FULL]),
        last_quick=notes.get(LAST[Scope.QUICK]),
        last_try=notes.get(LAST_TRY),
        next_full=notes.get(NEXT_FULL),
        next_quick=notes.get(NEXT_QUICK),
        unsent=unsent,
        failure=notes.get(SERVICE_FAILURE) or notes.get(FAILURE),
    )


def _moment(standing: Standing) -> str | None:
    written_at = standing.written_at
    return None if written_at is None else iso(datetime.fromtimestamp(round(written_at), UTC))
