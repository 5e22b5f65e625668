"""Sends notices to people: claimed at the service, sent through the account's mailbox, told by an outcome each.

Nothing here is kept. The service knows what was claimed; what nobody told the end of is named in its answers once
nothing of it can be under way any more, and is then looked for in Sent Items. So a process may die at any moment:
between claim, sending and outcome a notice is neither lost nor sent twice (docs/decisions/0050).
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, Self

from gatepost.connector import host, log
from gatepost.connector.passwords import Passwords
from gatepost.connector.permission import Permission
from gatepost.connector.postage import Postage
from gatepost.connector.stopping import Stop
from gatepost.domain.posting import (
    AT_ONCE,
    NOTICE,
    PERMIT_SECONDS,
    SENDING_SECONDS,
    Delivery,
    DueNotice,
    Letter,
    NoticeOutcome,
)
from gatepost.errors import (
    ExchangeError,
    MailRefused,
    ServiceRefused,
    UsageError,
    WireError,
    WriteRefused,
    WriteUncertain,
)
from gatepost.exchange.mail import Mailer
from gatepost.exchange.transport import Permit
from gatepost.settings import ConnectorSettings, changed

ITS_OWN = frozenset({"ErrorInvalidRecipients", "ErrorMessageSizeExceeded", "ErrorNonExistentMailbox"})
"""What Exchange answers where it refuses this one mail, and would take the next."""
LONGEST_WHY = 500
UNSET = "notices-unset"
UNSET_CAUSE = "There are notices to send, and this connector has no mailbox to send them from."
SPENT = "notices-spent"
SPENT_CAUSE = "This connector has sent as many mails in 24 hours as its own settings allow; the others wait."
SPENT_HELP = "See on the page of notices what they are; where they are right, raise most_a_day in [notices]."
UNSET_HELP = "Name one: gatepost connector setup --change notices."


class Box(Protocol):
    """What this needs of the account's mailbox."""

    def __enter__(self) -> Self:
        """The open mailbox."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def send(
        self,
        to: str,
        subject: str,
        html: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        marker: str = "",
        permit: Permit | None = None,
    ) -> str:
        """Send one mail, marked."""

    def find(self, marker: str) -> bool:
        """Whether Sent Items have it."""


class Mailing:
    """The notices of one organization. ``opened`` opens the account's mailbox, None where no account is set.

    ``claim`` asks the service for mails by their ids, ``keep`` takes an outcome for the next check-in, ``find`` a
    finding. ``now`` is the service's time, ``clock`` runs also while the machine sleeps, ``postage`` is
    the local limit.
    """

    def __init__(
        self,
        opened: Callable[[], Box] | None,
        permission: Permission,
        claim: Callable[[Sequence[str]], Sequence[Letter]],
        keep: Callable[[str, Mapping[str, Any]], None],
        find: Callable[[str, str, str, str], None],
        now: Callable[[], datetime],
        stop: Stop,
        tell: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = host.monotonic,
        postage: Postage | None = None,
    ) -> None:
        self._postage = postage
        self._opened = opened
        self._permission = permission
        self._claim = claim
        self._keep = keep
        self._find = find
        self._now = now
        self._stop = stop
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._due: tuple[DueNotice, ...] = ()
        self._told: set[DueNotice] = set()

    def hear(self, due: Sequence[DueNotice]) -> None:
        """Take what an answer names, but for what was worked on since and the service has not heard of yet."""
        if due and self._opened is None and self._permission.enforcing:
            self._find(UNSET, NOTICE, UNSET_CAUSE, UNSET_HELP)
        if due and self._spent and self._permission.enforcing:
            self._find(SPENT, NOTICE, SPENT_CAUSE, SPENT_HELP)
        with self._lock:
            self._told &= set(due)
            self._due = tuple(notice for notice in due if notice not in self._told)

    def seconds(self) -> float | None:
        """0 where there is something to send or to look for, else None."""
        with self._lock:
            due = bool(self._due)
        if not due or self._opened is None or not self._permission.enforcing:
            return None
        return None if self._spent or (self._postage is not None and not self._postage.ready) else 0.0

    @property
    def _spent(self) -> bool:
        """Whether as many mails left as may in a day: then nothing is claimed, and nothing is told."""
        return self._postage is not None and not self._postage.left

    def run(self) -> Mapping[str, int]:
        """Work on all that is known to be due, and count what came of it.

        Raises the ExchangeError family, SettingsError and UplinkError where no mail can be sent now; what was claimed
        and not sent by then is told so.
        """
        found: Counter[str] = Counter()
        if self._opened is None or self.seconds() is None:
            return found
        with self._opened() as box:
            while not self._spent and (batch := self._next()):
                found += self._look(box, [notice for notice in batch if notice.permit])
                found += self._send(box, [notice for notice in batch if not notice.permit])
        if found:
            log.info("notices", **found)
        return found

    def _next(self) -> tuple[DueNotice, ...]:
        self._stop.check()
        with self._lock:
            return tuple(islice(self._due, AT_ONCE))

    def _look(self, box: Box, notices: Sequence[DueNotice]) -> Counter[str]:
        """Whether notices that were claimed long ago were sent after all."""
        found: Counter[str] = Counter()
        for notice in notices:
            there = box.find(marker(notice.notice_id))
            found[self._say(notice, Delivery.FOUND if there else Delivery.UNSENT)] += 1
            with self._lock:
                self._told.add(notice)  # answers name it until the service has heard of it
            self._take([notice])
        return found

    def _send(self, box: Box, notices: Sequence[DueNotice]) -> Counter[str]:
        """Claim these and send what the service gives; each while its permit lasts."""
        found: Counter[str] = Counter()
        if not notices:
            return found
        asked_at = self._clock()
        letters = self._claimed(notices)
        self._take(notices)  # what is claimed is named again under its permit; what is gone is gone
        trouble: Exception | None = None
        for letter in letters:
            if trouble is not None or self._stop.asked:
                result, why = Delivery.UNSENT, "not begun"
            else:
                result, why, trouble = self._one(box, letter, asked_at)
            found[self._say(DueNotice(letter.notice_id, letter.permit), result, why)] += 1
        if trouble is not None:
            raise trouble
        return found

    def _claimed(self, notices: Sequence[DueNotice]) -> Sequence[Letter]:
        """What the service gives of these; nothing where they are gone."""
        try:
            return self._claim([notice.notice_id for notice in notices])
        except ServiceRefused as refused:
            if refused.type != "gone":
                raise
            return ()

    def _one(self, box: Box, letter: Letter, asked_at: float) -> tuple[Delivery, str, Exception | None]:
        """Send one mail: what became of it, why, and what keeps all others from being sent too."""
        if not self._permission.in_scope(letter.to):
            return Delivery.FAILED, "the mailbox is not in this connector's scope", None
        if self._postage is not None and (why := self._postage.refusal(letter.to)):
            return Delivery.FAILED, why, None

        def permit() -> None:
            if self._spent:
                raise WriteRefused("postage", SPENT_CAUSE, SPENT_HELP)
            if self._clock() - asked_at > PERMIT_SECONDS:
                raise WriteRefused("permit", "The permit to send it has run out.", "It is claimed again.")
            if self._postage is not None:
                self._postage.spend()

        try:
            box.send(
                letter.to, letter.subject, letter.html, letter.text, marker=marker(letter.notice_id), permit=permit
            )
        except WriteUncertain as error:
            return Delivery.UNCERTAIN, error.cause[:LONGEST_WHY], None
        except WriteRefused as error:
            return Delivery.UNSENT, error.cause[:LONGEST_WHY], None
        except (MailRefused, UsageError) as error:
            own = isinstance(error, UsageError) or error.code in ITS_OWN
            return (Delivery.FAILED if own else Delivery.UNSENT), error.cause[:LONGEST_WHY], None if own else error
        except (ExchangeError, WireError) as error:
            return Delivery.UNSENT, error.cause[:LONGEST_WHY], error
        return Delivery.SENT, "", None

    def _say(self, notice: DueNotice, result: Delivery, why: str = "") -> str:
        """Keep an outcome, and let check-in carry it."""
        assert notice.permit is not None
        outcome = NoticeOutcome(str(uuid.uuid4()), notice.notice_id, notice.permit, result, self._now(), why)
        self._keep(outcome.outcome_id, outcome.document())
        self._tell()
        return result.value

    def _take(self, notices: Sequence[DueNotice]) -> None:
        """These need no work any more."""
        with self._lock:
            self._due = tuple(each for each in self._due if each not in notices)


def opener(settings: ConnectorSettings) -> Callable[[], Mailer] | None:
    """What opens the account's mailbox, with its password as it is then; None where no account is set."""
    notices = settings.notices
    if notices is None:
        return None
    exchange = changed(settings.exchange, {"timeout": min(settings.exchange.timeout, SENDING_SECONDS)})

    def open_box() -> Mailer:
        passwords = Passwords(settings)
        return Mailer.open(notices, exchange, passwords.notices() or "", proxy_password=passwords.exchange_proxy())

    return open_box


def marker(notice_id: str) -> str:
    """The mark by which Sent Items find a notice again."""
    return f"gatepost-{notice_id}"
