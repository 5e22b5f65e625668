"""Carries out what the service wishes of Exchange's own settings, where this host's administrator has allowed that.

Level-triggered like the lists: the settings are read, and a wish is one write where they are as its maker saw them.
Nothing is kept: every answer of the service names what is still to be done.
"""

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from gatepost.connector import host, log
from gatepost.connector.permission import Permission
from gatepost.connector.store import Store
from gatepost.connector.writes import Writes
from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS
from gatepost.domain.desired import Result
from gatepost.domain.devices import OrganizationSettings
from gatepost.domain.engine import Device, Lists
from gatepost.domain.engine import Organization as Engine
from gatepost.domain.settings import AccessRule
from gatepost.domain.wishes import ENDED, Wish, WishName, WishOutcome
from gatepost.errors import CmdletFailed, CmdletNotGranted, WireError, WriteUncertain
from gatepost.exchange.transport import Permit

FIELDS = {
    WishName.DEFAULT_LEVEL: "default_level",
    WishName.USER_MAIL_INSERT: "user_mail_insert",
    WishName.OTA_NOTIFICATION_INSERT: "ota_notification_insert",
}
FIRST_PAUSE, CEILING_PAUSE, LONGEST_PAUSE = 30.0, 300.0, 3_600.0
PATIENT = (Result.REFUSED, Result.OBSERVED, Result.OUT_OF_SCOPE)  # it takes a person to change that
OURS = (CmdletFailed, CmdletNotGranted, WireError)
DEVICES_AT_ONCE = 5_000
DEVICES = """SELECT d.rowid, d.row, m.row FROM sealed_devices d
    LEFT JOIN sealed_mailboxes m ON m.guid = json_extract(d.row, '$[2]') WHERE d.rowid > ? ORDER BY d.rowid LIMIT ?"""


class Exchange(Protocol):
    """What this needs of an open organization."""

    def settings(self) -> OrganizationSettings:
        """The organization's mobile settings."""

    def rules(self) -> Iterable[AccessRule]:
        """Its device access rules."""

    def change_settings(
        self,
        permit: Permit,
        default_level: str | None = None,
        admin_recipients: tuple[str, ...] | None = None,
        user_mail_insert: str | None = None,
        ota_notification_insert: str | None = None,
        seen: OrganizationSettings | None = None,
    ) -> OrganizationSettings:
        """Change settings and read them back; no write where they are not as they were ``seen``."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A wish, what was last told of it, when it is due (this host's clock), and how often it has failed."""

    wish: Wish
    told: Result | None = None
    due: float = 0.0
    failures: int = 0


class Wishing:
    """The work on one organization's settings. ``now`` is the service's time, ``tell`` hears that there is news."""

    def __init__(
        self,
        store: Store,
        writes: Writes,
        permission: Permission,
        opened: Callable[[], AbstractContextManager[Exchange]],
        now: Callable[[], datetime],
        tell: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = host.monotonic,
    ) -> None:
        self._store = store
        self._writes = writes
        self._permission = permission
        self._opened = opened
        self._now = now
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self.writing = False

    def hear(self, wishes: Iterable[Wish]) -> None:
        """What the service wishes for now: all of it; what it does not name any more is forgotten."""
        with self._lock:
            self._open = {each.wish_id: self._open.get(each.wish_id, _Open(each)) for each in wishes}

    def seconds(self) -> float | None:
        """In how many seconds there is something to do, 0 for now, None for nothing."""
        with self._lock:
            dues = [each.due for each in self._open.values() if each.told not in ENDED]
        return max(0.0, min(dues) - self._clock()) if dues else None

    def run(self) -> Mapping[str, int]:
        """See to every wish that is due; how many there were, by what came of them.

        Raises WriteRefused where there is no lease, the ExchangeError family where the organization is away.
        """
        now, found = self._clock(), Counter[str]()
        with self._lock:
            due = [each for each in self._open.values() if each.told not in ENDED and each.due <= now]
        if not due:
            return found
        if self._permission.may_change_settings:
            self._permission.check_lease()
        with self._opened() as exchange:
            for each in due:
                outcome = self._see_to(exchange, each)
                self._keep(each, outcome)
                found[outcome.result.value] += 1
        return found

    # -- one wish --------------------------------------------------------------------------------------------------

    def _see_to(self, exchange: Exchange, open_wish: _Open) -> WishOutcome:
        wish = open_wish.wish
        try:
            seen = exchange.settings()
            before = _said(seen, wish.name)
            verdict = wish.verdict(before)
            if verdict is not None:
                if verdict is Result.UNCHANGED and open_wish.told is Result.UNCERTAIN:
                    verdict = Result.APPLIED
                why = "somebody changed it after it was wished for" if verdict is Result.CONFLICT else ""
                return self._outcome(wish, verdict, before, before, why)
            if (barred := self._barred()) is not None:
                return self._outcome(wish, barred[0], before, before, barred[1])
            return self._change(exchange, wish, seen, before)
        except OURS as error:
            return self._outcome(wish, _result(error), why=str(error))

    def _barred(self) -> tuple[Result, str] | None:
        """What of the local limits forbids any change of settings, and in which words."""
        if not self._permission.enforcing:
            return Result.OBSERVED, "the mode is observe"
        if not self._permission.may_change_settings:
            return Result.OUT_OF_SCOPE, "this connector's settings_may_change is off"
        return None

    def _change(self, exchange: Exchange, wish: Wish, seen: OrganizationSettings, before: str) -> WishOutcome:
        """One write, read back; it counts against the ceiling like those that take access away from as many devices."""
        takes = self._losing(exchange, before, wish.value) if wish.name is WishName.DEFAULT_LEVEL else 0
        taken = self._writes.take(takes, lambda: self._permission.may_take)
        if taken is None:
            left = self._permission.may_take
            why = f"it would take access away from {takes} devices, and the ceiling leaves {left} in this hour"
            return self._outcome(wish, Result.CEILING, before, before, why)
        sent = threading.Event()

        def permitted() -> None:
            self._permission.check_settings()
            sent.set()

        log.info("setting is changed", setting=wish.name.value, takes_away=takes)
        value = wish.value.capitalize() if wish.name is WishName.DEFAULT_LEVEL else wish.value
        change: Mapping[str, Any] = {FIELDS[wish.name]: value}
        try:
            with self._under_way():
                after = exchange.change_settings(permitted, seen=seen, **change)
        except WriteUncertain as error:
            return self._outcome(wish, Result.UNCERTAIN, before, why=error.cause)
        finally:
            if not sent.is_set():
                self._writes.give_back(taken)
        return self._changed(wish, before, _said(after, wish.name), sent=sent.is_set())

    def _changed(self, wish: Wish, before: str, after: str, *, sent: bool) -> WishOutcome:
        """What Exchange says now: as wished, or as somebody else made it meanwhile."""
        verdict = wish.verdict(after)
        if verdict is Result.UNCHANGED:
            return self._outcome(wish, Result.APPLIED if sent else verdict, before, after)
        if not sent or verdict is Result.CONFLICT:
            return self._outcome(wish, Result.CONFLICT, before, after, "somebody changed it at the same time")
        return self._outcome(wish, Result.FAILED, before, after, "Exchange took the write, and does not show it")

    def _losing(self, exchange: Exchange, before: str, level: str) -> int:
        """How many devices of the last listing lose access by another default level, by Exchange's own order.

        Rules and lists that cannot be read count as none, so that more is counted and not less.
        """
        try:
            rules = tuple(exchange.rules())
        except (CmdletFailed, CmdletNotGranted):
            rules = ()
        old, new, count = Engine(rules, before), Engine(rules, level), 0
        for device, lists in self._devices():
            count += old.verdict(device, lists).access and not new.verdict(device, lists).access
        return count

    def _devices(self) -> Iterable[tuple[Device, Lists]]:
        after = 0
        while page := self._store.all(DEVICES, (after, DEVICES_AT_ONCE)):
            after = page[-1][0]
            for _, device, mailbox in page:
                yield _device(json.loads(device)), _lists(json.loads(mailbox) if mailbox else None).shown

    # -- what came of it -------------------------------------------------------------------------------------------

    def _keep(self, open_wish: _Open, outcome: WishOutcome) -> None:
        """Tell what is news, and when it is looked at again."""
        result, failures = outcome.result, open_wish.failures + 1
        if result is not open_wish.told:
            self._store.add_outcome(outcome.outcome_id, outcome.document())
            log.info("wish", setting=outcome.name.value, result=result.value, why=outcome.why)
            self._tell()
        pause = LONGEST_PAUSE if result in PATIENT else min(FIRST_PAUSE * 2.0 ** min(failures - 1, 12), LONGEST_PAUSE)
        pause = CEILING_PAUSE if result is Result.CEILING else pause
        kept = replace(open_wish, told=result, due=self._clock() + pause, failures=failures)
        with self._lock:
            if open_wish.wish.wish_id in self._open:
                self._open[open_wish.wish.wish_id] = kept

    def _outcome(
        self, wish: Wish, result: Result, before: str | None = None, after: str | None = None, why: str = ""
    ) -> WishOutcome:
        return WishOutcome(str(uuid.uuid4()), wish.wish_id, wish.name, result, self._now(), before, after, why)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self.writing = True
        try:
            yield
        finally:
            self.writing = False


def _said(settings: OrganizationSettings, name: WishName) -> str:
    """What Exchange says of a setting, in its own words; nothing as an empty text."""
    said: str | None = getattr(settings, FIELDS[name])
    return said or ""


def _result(error: Exception) -> Result:
    denied = isinstance(error, CmdletNotGranted) or (isinstance(error, CmdletFailed) and error.access_denied)
    return Result.REFUSED if denied else Result.FAILED


def _device(row: list[Any]) -> Device:
    told = dict(zip(DEVICE_COLUMNS, row, strict=True))
    return Device(
        told["device_id"],
        told["device_type"],
        told["model"],
        told["os"],
        told["user_agent"],
        told["access_state"],
        told["access_state_reason"],
    )


def _lists(row: list[Any] | None) -> Lists:
    """A mailbox's lists; one that is not in the listing decides nothing by them."""
    if row is None:
        return Lists()
    told = dict(zip(MAILBOX_COLUMNS, row, strict=True))
    allowed, blocked = (None if told[name] is None else tuple(told[name]) for name in ("allowed_ids", "blocked_ids"))
    return Lists(allowed, blocked, told["eas_enabled"])
