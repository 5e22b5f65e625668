"""Several service processes on one database, and connectors that wait."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from gatepost.domain.contract import Kind, Sync
from gatepost.service.wake import Waker
from tests.fixtures.database import Cluster
from tests.fixtures.service import Replica, Service, new_tenant, replica_of
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox

REQUEST = "UPDATE organizations SET sync_requested = %s, sync_requested_at = clock_timestamp()"


def listening(replica: Replica) -> None:
    """Wait until a replica hears notifications: it answers requests a moment before."""
    deadline = time.monotonic() + 10
    while not replica.waker.listening and time.monotonic() < deadline:
        time.sleep(0.01)
    assert replica.waker.listening


def in_a_moment(look: Look, statement: str, *parameters: str) -> threading.Timer:
    """Commit something while a request is held open."""
    timer = threading.Timer(0.3, look, [statement, *parameters])
    timer.start()
    return timer


def test_a_request_for_a_synchronisation_wakes_a_connector_within_a_second(
    speaker: Speaker, replica: Replica, look: Look
) -> None:
    """Committed by anybody, heard by the replica that holds the request."""
    listening(replica)
    speaker.say()
    timer = in_a_moment(look, REQUEST, "full")
    started = time.monotonic()
    head = speaker.wait().json()
    assert 0.2 < time.monotonic() - started < 1.3
    timer.join()
    known = {"revision": 0, "orders": 0, "sync": "full", "lease_seconds": 120}
    assert head == {"incarnation": speaker.identity["incarnation"], **known}


def test_a_new_revision_wakes_a_connector(speaker: Speaker, replica: Replica, look: Look) -> None:
    """The head that differs from the connector's is told, and afterwards at once."""
    listening(replica)
    timer = in_a_moment(look, "UPDATE desired_heads SET revision = 5")
    started = time.monotonic()
    assert speaker.wait().json()["revision"] == 5
    assert time.monotonic() - started < 1.3
    timer.join()
    started = time.monotonic()
    assert speaker.wait(revision=0).json()["revision"] == 5
    assert time.monotonic() - started < 0.5


def test_a_wait_on_one_replica_hears_the_other(
    service: Service, speaker: Speaker, other_replica: Replica, look: Look
) -> None:
    """The connector waits at one process while the request is committed by another."""
    listening(other_replica)
    speaker.say()
    elsewhere = speaker.clone(other_replica.url, speaker.instance)
    timer = in_a_moment(look, REQUEST, "quick")
    started = time.monotonic()
    assert elsewhere.wait().json()["sync"] == "quick"
    assert time.monotonic() - started < 1.3
    timer.join()


def test_a_request_that_was_told_is_told_once_at_once(speaker: Speaker, look: Look) -> None:
    """A connector that cannot synchronise now is not answered again and again without a pause."""
    speaker.say()
    look(REQUEST, "full")
    assert speaker.wait().json()["sync"] == "full"
    with pytest.raises(requests.ReadTimeout):
        speaker.wait(timeout=1)
    look(REQUEST, "full")
    assert speaker.wait().json()["sync"] == "full"


def test_a_wait_renews_the_lease(speaker: Speaker, look: Look) -> None:
    """The lease of a connector that waits does not run out."""
    speaker.say()
    look("UPDATE checkins SET lease_until = now() + interval '5 seconds'")
    look(REQUEST, "full")
    told = speaker.wait().json()
    assert told["lease_seconds"] == 120
    assert look("SELECT incarnation::text FROM incarnation") == [{"incarnation": told["incarnation"]}]
    assert look("SELECT lease_until > now() + interval '110 seconds' AS renewed FROM checkins") == [{"renewed": True}]


@pytest.mark.parametrize("revision", ["-1", "x", str(2**63)])
def test_a_revision_that_is_none_is_named(speaker: Speaker, revision: str) -> None:
    """A wait with a wrong number says which parameter it is about, and not what was sent."""
    answer = requests.get(f"{speaker.url}/connector/v1/wait?revision={revision}", headers=speaker.headers(), timeout=30)
    assert (answer.status_code, answer.json()["type"]) == (400, "malformed")
    assert answer.json()["errors"][0]["place"] == "query.revision"


def test_documents_may_alternate_between_replicas(
    service: Service, speaker: Speaker, other_replica: Replica, look: Look
) -> None:
    """Replicas keep no state: every document of a synchronisation may go to another one."""
    devices = [device(number) for number in range(40)]
    urls = [service.url, other_replica.url]
    announced, _ = speaker.begin(devices, [mailbox(0)])
    speaker.url = urls[1]
    speaker.part(announced, 1, mailboxes=[mailbox(0)])
    for number in range(4):
        speaker.url = urls[number % 2]
        assert speaker.part(announced, number + 2, devices=devices[number * 10 :][:10])["state"] == "merged"
    speaker.url = urls[1]
    assert speaker.seal(announced)["state"] == "sealed"
    assert look("SELECT count(*) AS n FROM devices") == [{"n": 40}]


def test_the_same_document_at_two_replicas_at_once_is_applied_once(
    service: Service, speaker: Speaker, other_replica: Replica, look: Look
) -> None:
    """Whoever comes second finds it applied, and gives the same answer."""
    other = speaker.clone(other_replica.url, speaker.instance)
    with ThreadPoolExecutor(2) as pool:
        for number in range(1, 11):
            document = speaker.document(Kind.SYNC_BEGIN, number, sync=Sync(f"sync-{number}"))
            answers = list(pool.map(lambda one: one.send(document), (speaker, other)))  # noqa: B023
            assert [answer.status_code for answer in answers] == [200, 200]
            assert (
                answers[0].json()["result"] == answers[1].json()["result"] == {"state": "go", "why": "", "rejected": []}
            )
    assert look("SELECT count(*) AS n FROM syncs") == [{"n": 10}]
    assert look("SELECT sequence FROM checkins") == [{"sequence": 10}]


def test_one_ticket_at_two_replicas_at_once_enrols_one_connector(
    service: Service, other_replica: Replica, look: Look
) -> None:
    """Two hosts with the same ticket: one is enrolled, the other is told that the ticket was used."""
    ticket = service.ticket()
    rivals = [Speaker(service.url), Speaker(other_replica.url)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda rival: rival.enrol(ticket), rivals))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert look("SELECT epoch FROM connectors") == [{"epoch": 1}]


def test_enrolments_and_documents_at_once_never_pass_the_fence(service: Service, look: Look) -> None:
    """While one organization is enrolled again and again, no older epoch's document is applied after a newer one's."""
    speakers: list[Speaker] = []
    for _ in range(6):
        fresh = Speaker(service.url)
        ticket = service.ticket()
        with ThreadPoolExecutor(len(speakers) + 1) as pool:
            enrolling = pool.submit(fresh.enrol, ticket)
            sent = [pool.submit(old.send, old.document(Kind.CYCLE, 1)) for old in speakers]
            assert enrolling.result().status_code == 200
            for old, answer in zip(speakers, sent, strict=True):
                if answer.result().status_code == 200:
                    old.sequence = 1
        speakers.append(fresh)
    assert [old.send(old.document(Kind.CYCLE, 2)).json()["type"] for old in speakers[:-1]] == ["superseded"] * 5
    assert look("SELECT max(epoch) AS n FROM connectors") == [{"n": 6}]


def test_stopping_a_service_answers_who_waits(postgres: Cluster) -> None:
    """The process ends in order within seconds, and a connector on hold gets its answer."""
    name = postgres.make()
    with ThreadPoolExecutor(1) as pool, replica_of(postgres.urls(name)) as replica:
        service = new_tenant(replica, postgres.urls(name), "demo")
        speaker = Speaker(service.url)
        speaker.enrol(service.ticket())
        waiting = pool.submit(speaker.wait)
        while not replica.waker.count:
            time.sleep(0.01)
        started = time.monotonic()
        replica.stop()
        assert waiting.result().json()["sync"] == "none"
        assert time.monotonic() - started < 5
    postgres.drop(name)


def test_a_waiter_is_forgotten_when_it_leaves() -> None:
    """The table of waiters does not grow."""
    waker = Waker("")
    with waker.waiter(uuid4(), uuid4()):
        assert waker.count == 1
    assert waker.count == 0
