"""The laws of sending a notice, in simulated time: a process that dies anywhere, a mailbox and a service as documented.

The connector's part is the real one; the service and Sent Items are small models after ``domain.posting``.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest

from gatepost.connector.lease import Lease
from gatepost.connector.mailing import UNSET, Mailing, marker
from gatepost.connector.permission import Permission
from gatepost.connector.postage import Postage
from gatepost.connector.stopping import Stop
from gatepost.domain.posting import SETTLED_SECONDS, DueNotice, Letter, read_notice_outcome
from gatepost.errors import (
    ExchangeBusy,
    ExchangeUnreachable,
    GatepostError,
    MailRefused,
    ServiceRefused,
    WriteUncertain,
)
from gatepost.exchange.transport import Permit
from gatepost.settings import ConnectorSettings, ExchangeSettings, UplinkSettings

HERE = "user@here.example"
ASKING = ("open", "send", "find")
"""Where the mailbox may be away, and nothing was sent."""


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Notice:
    """What the service knows of one."""

    to: str = HERE
    state: str = "waiting"
    permit: str = ""
    claimed_at: float = 0.0
    why: str = ""


@dataclass
class World:
    """Service, mailbox and clock; ``fate`` says what befalls at each seam, ``refuses`` raises for a recipient."""

    fate: Callable[[str], str] = lambda _: ""
    now: float = 1_000_000.0
    notices: dict[str, Notice] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    outbox: list[Mapping[str, Any]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    tries: int = 0
    refuses: Callable[[str], None] = lambda _: None

    # -- the service -------------------------------------------------------------------------------------------------

    def due(self) -> tuple[DueNotice, ...]:
        """What an answer names."""
        settled = self.now - SETTLED_SECONDS
        return tuple(
            DueNotice(name, None if each.state == "waiting" else each.permit)
            for name, each in self.notices.items()
            if each.state == "waiting" or (each.state in ("claimed", "uncertain") and each.claimed_at < settled)
        )

    def claim(self, ids: Sequence[str]) -> Sequence[Letter]:
        """Give mails to be sent."""
        self.meet("claim")
        letters = []
        for name in ids:
            notice = self.notices[name]
            if notice.state == "waiting":
                notice.state, notice.permit, notice.claimed_at = "claimed", str(uuid4()), self.now
                letters.append(Letter(name, notice.permit, notice.to, "s", "<p>h</p>", "t"))
        self.meet("claimed")
        if not letters:
            raise ServiceRefused(409, "gone", "They are gone.")
        return letters

    def hear(self) -> None:
        """A check-in that carries outcomes; each is kept until it arrives."""
        for raw in self.outbox:
            told = read_notice_outcome(raw, "outcome")
            notice = self.notices[told.notice_id]
            if told.result in ("sent", "found"):
                notice.state = "sent"
            elif notice.permit == told.permit and notice.state in ("claimed", "uncertain"):
                states = {"unsent": "waiting", "uncertain": "uncertain", "failed": "failed"}
                notice.state, notice.why = states[told.result], told.why
        self.outbox.clear()

    # -- the mailbox -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.meet("open")
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open here."""

    def send(
        self,
        to: str,
        subject: str,  # noqa: ARG002 - the model looks at no words
        html: str,  # noqa: ARG002 - the model looks at no words
        text: str,  # noqa: ARG002 - the model looks at no words
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - the model looks at no words
        *,
        marker: str = "",
        permit: Permit | None = None,
    ) -> str:
        """Put it into Sent Items, or not."""
        self.tries += 1
        self.meet("send")
        self.refuses(to)
        assert permit is not None
        permit()
        if self.fate("lost") == "lost":
            raise WriteUncertain("the sending of a notice", "the connection broke")
        self.sent.append(marker)
        self.meet("sent")
        return marker

    def find(self, marker: str) -> bool:
        """Whether it is there."""
        self.meet("find")
        return marker in self.sent

    def meet(self, seam: str) -> None:
        """What befalls here."""
        what = self.fate(seam)
        if what == "kill":
            raise Killed
        if what == "pause":
            self.now += 200
        if what == "away" and seam in ASKING:
            raise ExchangeUnreachable("It is away.", server="lab")
        if what == "busy" and seam in ASKING:
            raise ExchangeBusy("It is busy.", server="lab")
        if what == "broken" and seam == "sent":
            raise WriteUncertain("the sending of a notice", "the connection broke")

    # -- the connector -----------------------------------------------------------------------------------------------

    def process(
        self,
        *,
        mode: str = "enforce",
        account: bool = True,
        scope: tuple[str, ...] = ("*",),
        postage: Postage | None = None,
    ) -> Mailing:
        """A new process of the connector."""
        settings = ConnectorSettings(
            folder=Path("/nowhere"),
            exchange=ExchangeSettings(url="https://lab", auth="basic"),
            service=UplinkSettings(url="https://service"),
            mode=mode,
            scope=scope,
        )
        return Mailing(
            (lambda: self) if account else None,
            Permission(settings, Lease(lambda: self.now), lambda: 0),
            self.claim,
            self.keep,
            lambda code, *_: self.findings.append(code),
            lambda: datetime.fromtimestamp(self.now, UTC),
            Stop(),
            clock=lambda: self.now,
            postage=postage,
        )

    def keep(self, _: str, body: Mapping[str, Any]) -> None:
        """Into the outbox, on the disk."""
        self.meet("keep")
        self.outbox.append(body)
        self.meet("kept")


def turn(world: World, mailing: Mailing) -> Mailing:
    """One answer and what the connector makes of it; a new process where it died."""
    mailing.hear(world.due())
    try:
        if mailing.seconds() == 0.0:
            mailing.run()
    except GatepostError:
        pass
    except Killed:
        mailing = world.process()
    return mailing


@pytest.mark.parametrize("seed", range(40))
def test_every_notice_is_sent_once_whatever_befalls_the_process(seed: int) -> None:
    """Killed, paused, cut off or pushed back at any seam: never two mails of one notice, and none lost in the end."""
    chance, world = random.Random(seed), World()
    for number in range(12):
        world.notices[str(uuid4())] = Notice(to=f"u{number}@here.example")
    world.fate = lambda _: chance.choice(["", "", "", "kill", "pause", "away", "busy", "broken", "lost"])
    mailing = world.process()
    for _ in range(60):
        mailing = turn(world, mailing)
        if chance.random() < 0.7:
            world.hear()
        world.now += chance.choice([1, 50, 400])
    world.fate = lambda _: ""
    for _ in range(6):
        mailing = turn(world, mailing)
        world.hear()
        world.now += SETTLED_SECONDS + 1
    assert sorted(world.sent) == sorted(marker(name) for name in world.notices)
    assert {each.state for each in world.notices.values()} == {"sent"}


def test_a_permit_that_has_run_out_sends_nothing() -> None:
    """A process that was stopped between claim and sending does not send when it goes on: somebody else may have."""
    world = World(fate=lambda seam: "pause" if seam == "send" else "")
    world.notices[str(uuid4())] = notice = Notice()
    turn(world, world.process())
    world.hear()
    assert (world.sent, notice.state, notice.why) == ([], "waiting", "The permit to send it has run out.")


def test_one_that_exchange_refuses_stops_only_itself() -> None:
    """An address that is none fails for good; the next one is sent."""

    def refuses(to: str) -> None:
        if to == "bad":
            raise MailRefused("ErrorInvalidRecipients", "At least one recipient isn't valid.", account="a")

    world = World(refuses=refuses)
    world.notices = {str(uuid4()): Notice(to="bad"), str(uuid4()): Notice(to=HERE)}
    turn(world, world.process())
    world.hear()
    assert [each.state for each in world.notices.values()] == ["failed", "sent"]


def test_an_account_that_may_not_send_keeps_all_of_them_waiting() -> None:
    """Nothing is tried again and again: the first refusal stops the rest, and all may be sent later."""

    def refuses(_: str) -> None:
        raise MailRefused("ErrorSendAsDenied", "The user has no right to send.", account="a")

    world = World(refuses=refuses)
    world.notices = {str(uuid4()): Notice() for _ in range(3)}
    mailing = world.process()
    mailing.hear(world.due())
    with pytest.raises(MailRefused):
        mailing.run()
    world.hear()
    assert (world.tries, {each.state for each in world.notices.values()}) == (1, {"waiting"})


def test_local_limits_hold() -> None:
    """In observe nothing is claimed; nobody out of scope is mailed; without an account people are told so once."""
    world = World()
    world.notices = {str(uuid4()): Notice(), str(uuid4()): Notice(to="pilot@here.example")}
    turn(world, world.process(mode="observe"))
    assert ({each.state for each in world.notices.values()}, world.findings) == ({"waiting"}, [])
    turn(world, world.process(account=False))
    assert ({each.state for each in world.notices.values()}, world.findings) == ({"waiting"}, [UNSET])
    turn(world, world.process(scope=("pilot@here.example",)))
    world.hear()
    assert [each.state for each in world.notices.values()] == ["failed", "sent"]
    assert world.tries == 1
