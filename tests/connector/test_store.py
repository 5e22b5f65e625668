"""The connector's SQLite: what survives, what does not, and what is said when the file is not usable."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gatepost.connector.store import BASELINE, FILE, RUNNING_MODE, SCHEMA, Store, peek
from gatepost.domain.contract import Answer
from gatepost.errors import StoreError
from tests.fixtures.connector import wanted


def open_store(folder: Path, connector: str = "c", epoch: int = 1, organization: str = "o") -> Store:
    """The store of a folder, as one connector opens it."""
    return Store(folder / FILE, organization, connector, epoch, "history-1")


def answer(sequence: int, **fields: Any) -> Answer:
    """An answer of the service."""
    return Answer(sequence=sequence, server_time="2026-11-22T12:00:00Z", incarnation="history-1", **fields)


def test_a_document_survives_byte_for_byte_until_it_is_answered(tmp_path: Path) -> None:
    """What may have been sent is found again after a restart, and is gone once it was answered."""
    with open_store(tmp_path) as store:
        assert (store.sequence, store.settled, store.pending()) == (None, False, None)
        store.adopt(1)
        store.put(1, b"\x1f\x8b the bytes")
    with open_store(tmp_path) as store:
        assert store.pending() == (1, b"\x1f\x8b the bytes")
        store.settle(1, answer(1))
        assert (store.sequence, store.settled, store.pending()) == (1, True, None)


def test_a_refused_document_leaves_its_number_and_its_outcomes_for_the_next(tmp_path: Path) -> None:
    """A document that was never applied is dropped; the number is used again and no outcome is lost."""
    with open_store(tmp_path) as store:
        store.adopt(7)
        store.add_outcome("one", {"outcome_id": "one", "result": "done"})
        store.put(7, b"document", ["one"])
        assert store.outcomes() == []
        store.discard(7)
        assert store.sequence == 6
        assert store.outcomes() == [{"outcome_id": "one", "result": "done"}]


def test_an_outcome_stays_until_the_document_that_carries_it_is_answered(tmp_path: Path) -> None:
    """The same outcome twice is one; it leaves the store with the answer and not before."""
    with open_store(tmp_path) as store:
        store.adopt(1)
        for _ in range(2):
            store.add_outcome("one", {"outcome_id": "one"})
        store.put(1, b"document", ["one"])
        store.settle(1, answer(1))
        assert store.outcomes() == []


def test_a_malformed_document_is_put_aside_and_the_next_goes_on(tmp_path: Path) -> None:
    """A dead letter is kept for people to look at, and does not block the outbox."""
    with open_store(tmp_path) as store:
        store.adopt(3)
        store.put(3, b"odd", [])
        store.bury(3, "2026-11-22T12:00:00Z", "malformed")
        assert store.pending() is None
        assert store.all("SELECT problem, document FROM dead_letters") == [("malformed", b"odd")]


def test_adopting_a_sequence_drops_the_baseline_and_what_was_in_flight(tmp_path: Path) -> None:
    """After a disagreement a full synchronisation is due; unanswered outcomes stay."""
    with open_store(tmp_path) as store:
        store.adopt(1)
        store.add_outcome("one", {"outcome_id": "one"})
        store.put(1, b"document", ["one"])
        store.remember(baseline="2026-11-22T12:00:00Z", next_full="2026-11-23T12:00:00Z", last_full="x")
        store.adopt(42)
        assert (store.sequence, store.pending(), store.settled) == (41, None, False)
        assert store.notes() == {"last_full": "x"}
        assert store.outcomes() == [{"outcome_id": "one"}]


def test_desired_state_is_stored_with_its_revision(tmp_path: Path) -> None:
    """A page from a revision adds to what is held; a page from 0 replaces it."""
    first, second = wanted("d"), wanted("e")
    with open_store(tmp_path) as store:
        store.settle(1, answer(1, revision=4, desired=(first,)))
        store.settle(2, answer(2, revision_from=4, revision=5, desired=(second,)))
        assert (store.revision, list(store.desired())) == (5, [first.document(), second.document()])
        store.settle(3, answer(3, revision_from=0, revision=9, desired=(second,)))
        assert (store.revision, list(store.desired())) == (9, [second.document()])


@pytest.mark.parametrize(("connector", "epoch"), [("other", 1), ("c", 2)])
def test_a_store_of_another_enrolment_starts_afresh(tmp_path: Path, connector: str, epoch: int) -> None:
    """Numbers of another epoch mean nothing in this one."""
    with open_store(tmp_path) as store:
        store.adopt(5)
        store.put(5, b"document")
    with open_store(tmp_path, connector, epoch) as store:
        assert (store.sequence, store.pending()) == (None, None)


def test_another_history_of_the_database_starts_afresh(tmp_path: Path) -> None:
    """After a restore nothing that was learned before counts, but for who we are and what the process does."""
    with open_store(tmp_path) as store:
        store.settle(1, answer(1, revision=4, desired=(wanted("d"),)))
        store.remember(**{BASELINE: "4", RUNNING_MODE: "observe"})
        store.meet("history-2")
        assert (store.incarnation, store.sequence, store.revision, list(store.desired())) == ("history-2", None, 0, [])
        assert store.notes() == {RUNNING_MODE: "observe"}
    with open_store(tmp_path) as store:
        assert store.incarnation == "history-2"


def test_another_schema_is_rebuilt(tmp_path: Path) -> None:
    """A store of another version holds nothing that is worth a migration."""
    with open_store(tmp_path) as store:
        store.adopt(5)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    db.close()
    with open_store(tmp_path) as store:
        assert store.sequence is None


def test_a_file_that_is_not_a_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """A person reads that the file may be deleted."""
    (tmp_path / FILE).write_bytes(b"not a database at all, but long enough to have a header" * 20)
    with pytest.raises(StoreError, match=r"file is not a database.*delete it: the next full synchronisation"):
        open_store(tmp_path)


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Somebody else's SQLite file is never written to."""
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreError, match=r"is not a connector's store\. Give the connector a folder of its own"):
        open_store(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_damaged_page_is_told_as_a_damaged_store(tmp_path: Path) -> None:
    """Damage that shows only when a table is read is told in the same words."""
    with open_store(tmp_path) as store:
        store.remember(last_full="x")
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="the next full synchronisation rebuilds it"), open_store(tmp_path) as store:
        store.notes()


def test_peek_reads_beside_whoever_works_on_it(tmp_path: Path) -> None:
    """Status needs no lock and changes nothing; without a store there is nothing to tell."""
    assert peek(tmp_path / FILE) == ({}, 0)
    (tmp_path / FILE).touch()
    assert peek(tmp_path / FILE) == ({}, 0)
    with open_store(tmp_path) as store:
        store.adopt(1)
        store.put(1, b"document")
        store.remember(failure="why")
        assert peek(tmp_path / FILE) == ({"failure": "why"}, 1)


def test_peek_at_a_damaged_store_says_so(tmp_path: Path) -> None:
    """The status command names the file and the remedy."""
    (tmp_path / FILE).write_bytes(b"junk" * 1000)
    with pytest.raises(StoreError, match="the next full synchronisation rebuilds it"):
        peek(tmp_path / FILE)


def test_outcomes_outlive_another_enrolment_of_the_same_organization_only(tmp_path: Path) -> None:
    """What was done at Exchange is told by whoever speaks for it next, and never to another organization."""
    with open_store(tmp_path) as store:
        store.adopt(1)
        store.add_outcome("one", {"outcome_id": "one"})
        store.put(1, b"document", ["one"])
        store.meet("history-2")
        assert store.outcomes() == [{"outcome_id": "one"}]
    with open_store(tmp_path, "other", 2) as store:
        assert store.outcomes() == [{"outcome_id": "one"}]
    with open_store(tmp_path, "third", 1, "another-organization") as store:
        assert list(store.last_outcomes()) == [[]]
