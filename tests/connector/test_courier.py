"""Documents carried to the service: exactly once in effect, whatever is lost, and each refusal as the protocol says."""

import gzip
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatepost.connector import credentials
from gatepost.connector.courier import Courier
from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.patience import Patience
from gatepost.connector.stopping import Stop
from gatepost.connector.store import Store
from gatepost.connector.uplink import Uplink
from gatepost.domain.contract import Facts, Kind, Status, Sync, Table
from gatepost.errors import AnswerUnsigned, ServiceRefused, ServiceUnreachable, SettingsError, UplinkError
from gatepost.settings import UplinkSettings
from tests.fixtures.connector import Reply, Request, Stage, good, problem, wanted


class Desk:
    """A courier in a folder, at work with the stage."""

    def __init__(self, folder: Path, identity: Identity, store: Store, stage: Stage) -> None:
        credentials.save(folder, identity)
        self.folder, self.store, self.stage = folder, store, stage
        self.keys = Credentials(identity, credentials.instance(folder))
        link = Uplink(UplinkSettings(url=stage.url), self.keys)
        patience = Patience(Stop(), limit=2)
        self.mode, self.quiet = "observe", True
        self.courier = Courier(
            folder,
            identity,
            store,
            link,
            self.keys,
            patience,
            lambda: Status(host="here", mode=self.mode),
            quiet=lambda: self.quiet,
        )

    def sequences(self) -> list[int]:
        """The numbers of the documents that arrived."""
        return [request.document.sequence for request in self.stage.requests if "check-ins" in request.path]


@pytest.fixture
def desk(tmp_path: Path, identity: Identity, store: Store, stage: Stage) -> Desk:
    """A courier whose sequence is known: the next document has number 5."""
    store.adopt(5)
    return Desk(tmp_path, identity, store, stage)


def test_a_fresh_store_asks_for_the_number(tmp_path: Path, identity: Identity, store: Store, stage: Stage) -> None:
    """A document numbered 0 is never applied; the refusal tells the number to go on with."""
    desk = Desk(tmp_path, identity, store, stage)
    stage.answers = [lambda _: problem(409, "sequence-gap", expected=17), good]
    answer = desk.courier.cycle()
    assert desk.sequences() == [0, 17]
    assert (answer.sequence, store.sequence, store.settled, store.pending()) == (17, 17, True, None)


def test_what_an_earlier_process_left_is_sent_first_and_unchanged(desk: Desk) -> None:
    """The bytes of a document whose answer was lost come again before anything else."""
    desk.stage.answers = [lambda _: Reply(drop=True)]
    with pytest.raises(ServiceUnreachable):
        desk.courier.cycle()
    lost = desk.stage.requests[0].body
    assert desk.store.pending() == (5, lost)
    desk.stage.requests.clear()
    desk.stage.answers = [good]
    desk.courier.cycle()
    assert desk.sequences() == [5, 6]
    assert desk.stage.requests[0].body == lost


def test_a_document_says_who_and_how_the_connector_is(desk: Desk) -> None:
    """Organization, epoch, incarnation, revision and status stand in every document."""
    desk.stage.answers = [lambda request: good(request, revision=3), good]
    desk.courier.cycle()
    desk.courier.cycle()
    first, second = (request.document for request in desk.stage.requests)
    assert (first.organization, first.epoch, first.incarnation) == ("org", 1, "history-1")
    assert (first.revision, second.revision, first.status.host) == (0, 3, "here")


def test_pages_of_desired_state_are_read_to_the_end(desk: Desk) -> None:
    """While the service has more, it is asked again at once."""
    rows = [wanted(f"d{n}") for n in range(3)]
    desk.stage.answers = [
        lambda request: good(request, revision=1, desired=(rows[0],), more=True),
        lambda request: good(request, revision_from=1, revision=2, desired=(rows[1],), more=True),
        lambda request: good(request, revision_from=2, revision=3, desired=(rows[2],)),
    ]
    desk.courier.cycle()
    assert list(desk.store.desired()) == [row.document() for row in rows]


def test_a_row_that_cannot_be_read_is_told_and_the_others_are_stored(desk: Desk) -> None:
    """The next document names it for people; the revision goes on, so that the service does not send it for ever."""

    def answer(request: Request) -> Reply:
        page = json.loads(good(request, revision=2, desired=(wanted("d", revision=1), wanted("e", revision=2))).body)
        page["desired"][0]["level"] = "sideways"
        return Reply(body=json.dumps(page).encode())

    desk.stage.answers = [answer, lambda request: good(request, revision_from=2, revision=2)]
    desk.courier.cycle()
    assert [row["device_id"] for row in desk.store.desired()] == ["e"]
    desk.courier.cycle()
    document = desk.stage.requests[-1].document
    [finding] = document.facts.findings
    assert (document.revision, finding["code"]) == (2, "desired-unreadable")
    assert finding["cause"] == (
        "The document is malformed at desired[0].level: expected one of leave, allow, quarantine, block."
    )


def test_what_was_taken_away_is_known_before_a_page_of_rows_may_be_worked_on(desk: Desk) -> None:
    """A lost store counts no writes: with the rows of the first page it already knows what the service counted."""
    desk.mode = "enforce"
    known: list[tuple[int, int]] = []

    def second(request: Request) -> Reply:
        known.append((desk.store.revision, desk.courier.lease.taken_away))
        return good(request, revision_from=1, revision=1, taken_away=7)

    desk.stage.answers = [
        lambda request: good(request, revision=1, desired=(wanted("d", revision=1),), taken_away=9),
        second,
    ]
    desk.courier.cycle()
    assert (known, desk.courier.lease.taken_away) == ([(1, 9)], 7)


def test_new_rows_are_acknowledged_at_once_where_they_will_be_worked_on(desk: Desk) -> None:
    """One more document says that they are held; only its answer lets work begin."""
    desk.mode = "enforce"
    desk.stage.answers = [
        lambda request: good(request, revision=4, desired=(wanted("d", revision=4),)),
        lambda request: good(request, revision_from=4, revision=4),
    ]
    desk.courier.cycle()
    first, second = (request.document for request in desk.stage.requests)
    assert (first.revision, second.revision, desk.store.acknowledged) == (0, 4, 4)


def test_observing_nothing_is_acknowledged(desk: Desk) -> None:
    """What is not going to be written needs no second document."""
    desk.stage.answers = [lambda request: good(request, revision=4, desired=(wanted("d", revision=4),))]
    desk.courier.cycle()
    assert (len(desk.stage.requests), desk.store.revision, desk.store.acknowledged) == (1, 4, 0)


def test_a_service_that_never_stops_telling_is_not_asked_for_ever(desk: Desk) -> None:
    """Each answer brings rows again; the cycle ends all the same."""
    desk.mode = "enforce"
    desk.stage.answers = [lambda request: good(request, revision=4, desired=(wanted("d", revision=4),))]
    desk.courier.cycle()
    assert len(desk.stage.requests) == 6


def test_a_lease_is_not_given_back_while_a_write_may_be_under_way(desk: Desk) -> None:
    """Nobody else may write before it has run out; outcomes stay in the store."""
    desk.store.add_outcome("one", {"outcome_id": "one"})
    desk.quiet = False
    desk.courier.farewell()
    assert (desk.stage.requests, len(desk.store.outcomes())) == ([], 1)
    desk.quiet = True
    desk.courier.farewell()
    assert [request.path for request in desk.stage.requests] == ["/connector/v1/farewell"]


def test_a_gap_is_adopted_and_the_cycle_said_again(desk: Desk) -> None:
    """The service's number counts; a full synchronisation becomes due, outcomes stay."""
    desk.store.add_outcome("one", {"outcome_id": "one"})
    desk.store.remember(baseline="x")
    desk.stage.answers = [lambda _: problem(409, "sequence-gap", expected=9), good]
    desk.courier.cycle()
    assert desk.sequences() == [5, 9]
    assert [len(request.document.outcomes) for request in desk.stage.requests] == [1, 1]
    assert (desk.store.outcomes(), desk.store.note("baseline")) == ([], None)


def test_a_number_used_by_someone_else_makes_another_instance(desk: Desk) -> None:
    """A settled store whose number carries other bytes was copied or put back: no lease, a finding, a new instance."""
    before = desk.keys.instance
    desk.stage.answers = [good, lambda _: problem(409, "sequence-reused", expected=7), good]
    desk.courier.cycle()
    assert desk.courier.lease.remaining() > 60
    desk.courier.cycle()
    assert desk.sequences() == [5, 6, 7]
    assert desk.keys.instance != before
    assert credentials.instance(desk.folder) == desk.keys.instance
    [finding] = desk.stage.requests[-1].document.facts.findings
    assert finding["code"] == "sequence-reused"


def test_a_number_used_before_ours_was_settled_is_no_stranger(desk: Desk) -> None:
    """Right after adopting, the last words of the process before may still have been on their way."""
    before = desk.keys.instance
    desk.stage.answers = [lambda _: problem(409, "sequence-reused", expected=6), good]
    desk.courier.cycle()
    assert (desk.sequences(), desk.keys.instance) == ([5, 6], before)


def test_a_finding_is_told_once(desk: Desk) -> None:
    """A finding leaves with the cycle that was answered."""
    desk.stage.answers = [good, lambda _: problem(409, "sequence-reused", expected=7), good]
    for _ in range(3):
        desk.courier.cycle()
    assert [len(request.document.facts.findings) for request in desk.stage.requests[-2:]] == [1, 0]


def test_another_history_of_the_database_starts_afresh(desk: Desk) -> None:
    """A restored database is met with its own incarnation and number, and no lease from before."""
    desk.stage.answers = [
        good,
        lambda _: problem(409, "incarnation", incarnation="history-2"),
        lambda _: problem(409, "sequence-gap", expected=3),
        good,
    ]
    desk.courier.cycle()
    desk.courier.cycle()
    assert desk.sequences() == [5, 6, 0, 3]
    assert [request.document.incarnation for request in desk.stage.requests] == ["history-1"] * 2 + ["history-2"] * 2


def test_an_answer_of_another_history_is_met_the_same_way(desk: Desk) -> None:
    """Whether it comes as a refusal or in an answer."""
    desk.stage.answers = [
        lambda request: good(request, incarnation="history-2"),
        lambda _: problem(409, "sequence-gap", expected=1),
        good,
    ]
    desk.courier.cycle()
    assert desk.store.incarnation == "history-2"
    assert desk.sequences() == [5, 0, 1]


def test_a_malformed_document_is_put_aside_and_told(desk: Desk) -> None:
    """It never comes again; the next document carries the finding."""
    desk.stage.answers = [lambda _: problem(400, "malformed"), good]
    with pytest.raises(ServiceRefused, match="malformed"):
        desk.courier.cycle()
    desk.courier.cycle()
    assert desk.sequences() == [5, 5]
    assert desk.stage.requests[-1].document.facts.findings[0]["code"] == "malformed-document"
    assert desk.store.all("SELECT count(*) FROM dead_letters") == [(1,)]


def test_a_part_that_is_too_large_never_leaves(desk: Desk) -> None:
    """What is over the limit is refused before it is kept, as the service would refuse it."""
    desk.stage.answers = [good]
    rows = tuple([f"{n}", "x" * 4_000] for n in range(1_100))
    with pytest.raises(ServiceRefused) as caught:
        desk.courier.send(Kind.SYNC_PART, Sync("s", part=1), Facts(devices=Table(("guid", "model"), rows)))
    assert (caught.value.type, desk.store.pending(), desk.store.sequence) == ("too-large", None, 4)
    assert desk.stage.requests == []


def test_a_part_that_the_service_finds_too_large_frees_its_number(desk: Desk) -> None:
    """The document is dropped, and the next one has its number."""
    desk.stage.answers = [lambda _: problem(413, "too-large"), good]
    with pytest.raises(ServiceRefused):
        desk.courier.send(Kind.SYNC_PART, Sync("s", part=1))
    desk.courier.cycle()
    assert desk.sequences() == [5, 5]


@pytest.mark.parametrize("kind", ["superseded", "revoked", "removed"])
def test_a_replaced_connector_says_farewell_and_forgets_its_secret(desk: Desk, identity: Identity, kind: str) -> None:
    """Its last outcomes are handed in, its lease is dropped, and nothing of its secret stays."""
    desk.store.add_outcome("one", {"outcome_id": "one"})

    def serve(request: Request) -> Reply:
        return Reply() if "farewell" in request.path else problem(403, kind)

    desk.stage.answers = [serve]
    with pytest.raises(ServiceRefused, match=kind):
        desk.courier.cycle()
    farewell = desk.stage.requests[-1]
    assert farewell.path == "/connector/v1/farewell"
    assert desk.courier.lease.remaining() == 0
    assert identity.key not in "".join(path.read_text() for path in desk.folder.glob("*.json"))
    with pytest.raises(SettingsError, match=rf"was replaced: .*{kind}.*Enrol again with a new ticket"):
        credentials.load(desk.folder)


def test_a_service_that_names_no_number_is_an_error_not_a_loop(desk: Desk) -> None:
    """A refusal that cannot be followed is told."""
    desk.stage.answers = [lambda _: problem(409, "sequence-gap")]
    with pytest.raises(UplinkError, match="names no number"):
        desk.courier.cycle()


def test_a_service_that_never_agrees_is_an_error_not_a_loop(desk: Desk) -> None:
    """Some attempts, then the error."""

    def disagree(request: Request) -> Reply:
        return problem(409, "sequence-gap", expected=request.document.sequence + 2)

    desk.stage.answers = [disagree]
    with pytest.raises(UplinkError):
        desk.courier.cycle()
    assert len(desk.stage.requests) < 10


def test_the_lease_counts_from_when_the_request_was_sent(desk: Desk) -> None:
    """A slow answer never makes this side's lease longer than the service's."""
    desk.stage.answers = [lambda request: good(request, lease_seconds=10)]
    desk.courier.cycle()
    assert 0 < desk.courier.lease.remaining() < 10


def test_no_header_holds_more_than_it_must(desk: Desk) -> None:
    """The secret stands in Authorization and nowhere else: not in a document, a path or another header."""
    desk.stage.answers = [good]
    desk.courier.cycle()
    [request] = desk.stage.requests
    others: dict[str, Any] = {name: value for name, value in request.headers.items() if name != "Authorization"}
    assert "s3cr3t" not in json.dumps(others) + request.path + repr(request.document)


def farewells(desk: Desk) -> list[list[str]]:
    """The ids of the outcomes that each farewell handed in."""
    requests = [request for request in desk.stage.requests if request.path.endswith("/farewell")]
    bodies = [json.loads(gzip.decompress(request.body)) for request in requests]
    return [[outcome["outcome_id"] for outcome in body["outcomes"]] for body in bodies]


def test_a_farewell_hands_in_what_is_in_flight_too(desk: Desk) -> None:
    """The document whose answer was lost will not be sent by anybody: its outcomes come with the farewell."""
    desk.store.add_outcome("one", {"outcome_id": "one"})
    desk.stage.answers = [lambda _: Reply(drop=True)]
    with pytest.raises(ServiceUnreachable):
        desk.courier.cycle()
    desk.store.add_outcome("two", {"outcome_id": "two"})
    desk.stage.answers = [lambda request: Reply() if "farewell" in request.path else problem(403, "superseded")]
    with pytest.raises(ServiceRefused):
        desk.courier.cycle()
    assert farewells(desk) == [["one", "two"]]


def test_a_farewell_of_many_outcomes_comes_in_documents_of_a_thousand(desk: Desk) -> None:
    """However many are left; and one without any is said too, since it ends the lease."""
    desk.courier.farewell()
    for n in range(1_001):
        desk.store.add_outcome(f"{n:04}", {"outcome_id": f"{n:04}"})
    desk.courier.farewell()
    assert [len(ids) for ids in farewells(desk)] == [0, 1_000, 1]


def test_outcomes_of_a_malformed_document_are_tried_one_by_one(desk: Desk) -> None:
    """The service refuses what holds a bad outcome: the others arrive, and only the bad one stays aside."""
    for name in ("a", "bad", "c"):
        desk.store.add_outcome(name, {"outcome_id": name})
    told: list[str] = []

    def judge(request: Request) -> Reply:
        ids = [str(outcome["outcome_id"]) for outcome in request.document.outcomes]
        if "bad" in ids:
            return problem(400, "malformed")
        told.extend(ids)
        return good(request)

    desk.stage.answers = [judge]
    for _ in range(6):
        with suppress(ServiceRefused):
            desk.courier.cycle()
    assert (told, list(desk.store.last_outcomes())) == (["a", "c"], [[]])
    assert desk.store.all("SELECT count(*) FROM dead_letters") == [(2,)]


@pytest.mark.parametrize("expected", [10**30, 2**63, 0, -1, True, 1.5, "7", None, []])
def test_a_number_that_cannot_be_counted_with_is_an_error(desk: Desk, expected: object) -> None:
    """Nothing of it reaches the store, and the next attempt is as good as this one."""
    desk.stage.answers = [lambda _: problem(409, "sequence-gap", expected=expected), good]
    with pytest.raises(UplinkError, match="names no number"):
        desk.courier.cycle()
    assert desk.courier.cycle().sequence == 6
    assert desk.sequences() == [5, 5, 6]


def test_more_that_never_comes_is_an_error_not_a_loop(desk: Desk) -> None:
    """A page that does not get on is told, and not asked for again at once."""
    desk.stage.answers = [lambda request: good(request, revision_from=3, revision=3, more=True)]
    with pytest.raises(UplinkError, match="does not get on"):
        desk.courier.cycle()
    assert len(desk.stage.requests) == 1


@pytest.mark.parametrize("supported", [[2, 3], [], None, "1", [10**400]])
def test_a_contract_that_we_do_not_speak_is_told_with_both_sides(desk: Desk, supported: object) -> None:
    """The document does not stay in the way: after an update of either side the next one is sealed anew."""
    desk.store.add_outcome("one", {"outcome_id": "one"})
    desk.stage.answers = [lambda _: problem(422, "contract", supported=supported), good]
    said = r"The service speaks version .* of the contract, this connector version 1\. Update the older of the two"
    with pytest.raises(UplinkError, match=said):
        desk.courier.cycle()
    assert (desk.store.pending(), desk.store.sequence) == (None, 4)
    desk.courier.cycle()
    assert desk.sequences() == [5, 5]
    assert len(desk.stage.requests[1].document.outcomes) == 1


def test_an_older_contract_is_spoken_where_the_service_asks_for_it(
    tmp_path: Path, identity: Identity, store: Store, stage: Stage
) -> None:
    """The newest version first; then the newest that both sides speak, for good."""
    store.adopt(5)
    keys = Credentials(identity, credentials.instance(tmp_path))
    link = Uplink(UplinkSettings(url=stage.url), keys)
    courier = Courier(tmp_path, identity, store, link, keys, Patience(Stop(), limit=2), spoken=(1, 2, 3))
    stage.answers = [lambda _: problem(422, "contract", supported=[1, 2]), good]
    courier.cycle()
    courier.cycle()
    assert [request.document.contract for request in stage.requests] == [3, 2, 2]
    assert [request.document.sequence for request in stage.requests] == [5, 5, 6]


def test_a_lease_given_up_while_an_answer_was_under_way_stays_given_up(desk: Desk) -> None:
    """Another thread's answer, asked for before this connector met another history, does not bring it back."""

    def answer_late(request: Request) -> Reply:
        desk.courier.lease.drop()
        return good(request)

    desk.stage.answers = [answer_late]
    desk.courier.cycle()
    assert desk.courier.lease.remaining() == 0


def test_answers_that_somebody_changes_are_told_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """One line of the log, and a finding with the first document that is answered; the document itself is not lost."""
    desk.stage.answers = [lambda request: replace(good(request), signed=False)]
    for _ in range(2):
        with pytest.raises(AnswerUnsigned):
            desk.courier.cycle()
    assert [record.getMessage() for record in caplog.records if "signed" in record.getMessage()] == [
        "an answer is not signed by the service: somebody between changes answers"
    ]
    assert desk.courier.lease.remaining() == 0
    desk.stage.answers = [good]
    desk.courier.cycle()
    findings = [each["code"] for request in desk.stage.requests for each in request.document.facts.findings]
    assert findings == ["answer-unsigned"]
