"""Trying again: pauses that grow, that no service can make short or endless, and an end where one is wanted."""

import random
import threading

import pytest

from gatepost.connector.credentials import Identity
from gatepost.connector.patience import Backoff, Patience
from gatepost.connector.stopping import Stop, Stopped
from gatepost.errors import ServiceRefused, ServiceUnreachable
from tests.connector.test_uplink import DOCUMENT, uplink
from tests.fixtures.connector import Reply, Stage, good, problem


def test_the_same_bytes_are_tried_until_they_are_answered(stage: Stage, identity: Identity) -> None:
    """Repeating a sealed document is what makes a lost answer harmless."""
    lost = Reply(503, b"", {"Retry-After": "0"})
    stage.answers = [lambda _: lost, lambda _: Reply(503, b"", {"Retry-After": "0"}), good]
    link = uplink(stage, identity)
    assert Patience(Stop(), first=0.02).keep_trying(lambda: link.check_in(DOCUMENT)).sequence == 1
    assert [request.body for request in stage.requests] == [DOCUMENT] * 3


def test_another_instances_lease_is_waited_for(stage: Stage, identity: Identity) -> None:
    """While another instance holds the lease, the same bytes are sent again after the seconds named."""
    stage.answers = [lambda _: problem(409, "lease-held", seconds=0), good]
    link = uplink(stage, identity)
    assert Patience(Stop(), first=0.02).keep_trying(lambda: link.check_in(DOCUMENT)).sequence == 1


def test_a_refusal_ends_patience_at_once(stage: Stage, identity: Identity) -> None:
    """What trying again cannot mend is not tried again."""
    stage.answers = [lambda _: problem(409, "sequence-gap", expected=3)]
    link = uplink(stage, identity)
    with pytest.raises(ServiceRefused):
        Patience(Stop(), first=0.02).keep_trying(lambda: link.check_in(DOCUMENT))
    assert len(stage.requests) == 1


def test_a_command_does_not_wait_for_ever(stage: Stage, identity: Identity) -> None:
    """A limit ends it with the last error."""
    stage.answers = [lambda _: Reply(503, b"", {"Retry-After": "60"})]
    link = uplink(stage, identity)
    with pytest.raises(ServiceUnreachable, match="status 503"):
        Patience(Stop(), limit=5).keep_trying(lambda: link.check_in(DOCUMENT))


def test_being_asked_to_stop_ends_a_pause(stage: Stage, identity: Identity) -> None:
    """A pause of minutes does not hold up a clean stop."""
    stop = Stop()
    arrived = threading.Event()

    def busy(_: object) -> Reply:
        arrived.set()
        return Reply(503, b"", {"Retry-After": "300"})

    stage.answers = [busy]

    def ask() -> None:
        arrived.wait()
        stop.ask()

    threading.Thread(target=ask).start()
    link = uplink(stage, identity)
    with pytest.raises(Stopped):
        Patience(stop).keep_trying(lambda: link.check_in(DOCUMENT))


def test_pauses_grow_to_five_minutes_with_jitter() -> None:
    """Many connectors do not come back at the same moment, and none hammers."""
    backoff = Backoff(random.Random(1))
    pauses = [backoff.next() for _ in range(12)]
    ceilings = [min(2.0**n, 300.0) for n in range(12)]
    assert all(ceiling / 4 <= pause <= ceiling for pause, ceiling in zip(pauses, ceilings, strict=True))
    backoff.reset()
    assert backoff.next() <= 1
    assert 120 <= backoff.next(retry_after=120) <= 150
    assert 300 <= backoff.next(retry_after=86_400) <= 375


@pytest.mark.parametrize("asked", [0, -5, 0.0, float("nan")])
def test_a_service_cannot_ask_for_shorter_pauses(asked: float) -> None:
    """``Retry-After: 0`` from a service that is down does not make us hammer it."""
    backoff = Backoff(random.Random(1))
    for _ in range(9):
        backoff.next(asked)
    assert backoff.next(asked) >= 75


@pytest.mark.parametrize(
    "named", [-5, float("nan"), 10**400, float("inf"), "soon", None, [], True], ids=lambda named: str(named)[:9]
)
def test_another_instances_lease_of_nonsense_length_is_waited_for(named: object) -> None:
    """However long another instance says that it holds the lease, the pause is one that can be slept."""
    pause = Patience._pause(ServiceRefused(409, "lease-held", "", {"seconds": named}), Backoff())
    assert pause is not None
    assert 0 < pause <= 375


def test_an_outage_is_told_once_when_it_starts_and_once_when_it_ends(
    stage: Stage, identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    """Three failed attempts make two lines of log."""
    busy = Reply(503, b"", {"Retry-After": "0"})
    stage.answers = [lambda _: busy, lambda _: busy, lambda _: busy, good]
    link = uplink(stage, identity)
    with caplog.at_level("INFO", logger="gatepost"):
        Patience(Stop(), first=0.02).keep_trying(lambda: link.check_in(DOCUMENT))
    assert [record.getMessage() for record in caplog.records] == ["the service is away", "the service is back"]
