"""Two listings: staged rows come out in pages, whole or as what differs from the sealed one."""

from pathlib import Path
from typing import Any

import pytest

from gatepost.connector.listing import Kind, Listing
from gatepost.connector.rows import RowText
from gatepost.connector.store import FILE, Store
from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, ListingDigest, Scope, row_text

NOON = "2026-11-22T12:00:00Z"
KINDS: tuple[Kind, ...] = ("mailboxes", "devices")
ALICE = ["mailbox-a", "alice"]
BOB = ["mailbox-b", "bob"]


def text(row: list[Any]) -> RowText:
    """A row as it is staged."""
    return RowText(row[0], row_text(row).decode("ascii"))


def of_kind(guid: str, kind: str) -> list[Any]:
    """A whole mailbox row of a kind."""
    values = {"guid": guid, "kind": kind}
    return [values.get(name) for name in MAILBOX_COLUMNS]


def mailbox(row: list[Any], name: str = "") -> tuple[str | None, RowText]:
    """A mailbox as it is staged, under its own or another name."""
    return f"CN={name or row[1].title()},DC=example", text(row)


def stage(store: Store, *devices: list[Any]) -> Listing:
    """A listing with two mailboxes and some devices."""
    listing = Listing(store)
    listing.begin()
    listing.add_mailboxes([mailbox(ALICE), mailbox(BOB)])
    listing.finish("mailboxes")
    listing.add_devices(map(text, devices))
    listing.finish("devices")
    return listing


def delta(store: Store, mailboxes: list[list[Any]], *devices: list[Any]) -> Listing:
    """A delta with some mailboxes and devices."""
    listing = Listing(store)
    listing.begin(delta=True)
    listing.add_mailboxes(map(mailbox, mailboxes))
    listing.finish("mailboxes")
    listing.add_devices(map(text, devices))
    listing.finish("devices")
    return listing


def rows(listing: Listing, scope: Scope) -> list[str]:
    """The guids that a synchronisation sends, page by page."""
    found: list[str] = []
    for kind in KINDS:
        after = ""
        while page := listing.page(kind, scope, after, 2, 10_000):
            found += [guid for guid, _ in page]
            after = page[-1][0]
    return found


def test_a_mailbox_is_found_by_its_distinguished_name_in_any_case(store: Store) -> None:
    """Names are compared as a directory compares them; an unknown one, or none, finds nothing."""
    found = stage(store).mailboxes_by_dn(["cn=ALICE,dc=EXAMPLE", "CN=Nobody", None, "half \ud800"])
    assert found == {"cn=alice,dc=example": "mailbox-a"}


def test_a_full_scope_has_every_row_and_their_digest(store: Store) -> None:
    """Counts and digest are those of the rows that come out."""
    devices = [[f"device-{n}", n] for n in range(5)]
    listing = stage(store, *devices)
    digest = ListingDigest()
    everything: list[list[Any]] = [ALICE, BOB, *devices]
    for row in everything:
        digest.add(row)
    assert listing.measure(Scope.FULL) == (5, 2, digest.hexdigest())
    assert rows(listing, Scope.FULL) == ["mailbox-a", "mailbox-b", *(f"device-{n}" for n in range(5))]


def test_a_quick_scope_has_what_is_new_or_differs_from_the_sealed_listing(store: Store) -> None:
    """What stayed the same is not sent again, and what went away is left to a full synchronisation."""
    listing = stage(store, ["device-1", "a"], ["device-2", "b"], ["device-3", "c"])
    assert not listing.has_baseline
    listing.seal(NOON)
    assert listing.has_baseline
    listing = stage(store, ["device-1", "a"], ["device-2", "changed"], ["device-4", "new"])
    assert rows(listing, Scope.QUICK) == ["device-2", "device-4"]
    assert listing.measure(Scope.QUICK)[:2] == (2, 0)
    assert listing.totals() == (3, 2)


def test_mailboxes_that_are_elsewhere_are_counted_apart(store: Store) -> None:
    """Remote ones and disabled ones, of the staged rows, and behind a delta of the sealed ones that it did not read."""
    kinds = {"mailbox-c": "user", "mailbox-d": "remote", "mailbox-e": "disabled"}
    listing = Listing(store)
    listing.begin()
    listing.add_mailboxes([mailbox(of_kind(guid, kind), guid) for guid, kind in kinds.items()])
    listing.finish("mailboxes")
    listing.finish("devices")
    assert (listing.totals(), listing.elsewhere()) == ((0, 3), 2)
    listing.seal(NOON)
    listing = Listing(store)
    listing.begin(delta=True)
    listing.add_mailboxes([mailbox(of_kind("mailbox-d", "user"), "mailbox-d")])
    listing.finish("mailboxes")
    listing.finish("devices")
    assert (listing.totals(), listing.elsewhere()) == ((0, 3), 1)


def test_a_second_seal_replaces_the_first(store: Store) -> None:
    """The staged listing becomes the sealed one each time, and an empty one is staged."""
    for word in ("first", "second"):
        listing = stage(store, ["device-1", word])
        listing.seal(NOON)
        assert listing.totals() == (0, 0)
    assert rows(stage(store, ["device-1", "second"]), Scope.QUICK) == []
    assert rows(stage(store, ["device-1", "first"]), Scope.QUICK) == ["device-1"]


def test_a_device_that_a_listing_names_twice_counts_once(store: Store) -> None:
    """A device that moved while it was listed is told once, as it was seen last."""
    listing = stage(store, ["device-1", "before"])
    listing.add_devices([text(["device-1", "after"])])
    assert listing.totals() == (1, 2)
    assert [row for _, row in listing.page("devices", Scope.FULL, "", 10, 10_000)] == [["device-1", "after"]]
    listing = stage(store, ["device-1", "before"], ["device-2", "x"], ["device-1", "after"], ["device-3", "x"])
    assert rows(listing, Scope.FULL) == ["mailbox-a", "mailbox-b", "device-1", "device-2", "device-3"]
    assert listing.page("devices", Scope.FULL, "", 10, 10_000)[0][1] == ["device-1", "after"]


def test_a_page_ends_before_it_is_too_large_but_never_empty(store: Store) -> None:
    """Pages are cut by size as well as by rows, and a row larger than a page still comes."""
    listing = stage(store, ["device-1", "x" * 600], ["device-2", "x" * 600], ["device-3", "x" * 2_000])
    sizes = []
    after = ""
    while page := listing.page("devices", Scope.FULL, after, 10, 1_300):
        sizes.append(len(page))
        after = page[-1][0]
    assert sizes == [2, 1]


def test_a_delta_finds_owners_among_its_own_mailboxes_and_then_among_the_sealed_ones(store: Store) -> None:
    """A mailbox that was renamed is found by its new name, and one that did not change by the one that it had."""
    stage(store, ["device-1", "a"]).seal(NOON)
    listing = Listing(store)
    listing.begin(delta=True)
    listing.add_mailboxes([mailbox(ALICE, "Bob"), mailbox(["mailbox-c", "carol"])])
    listing.finish("mailboxes")
    names = [f"CN={name},DC=example" for name in ("Alice", "Bob", "Carol", "Nobody")]
    assert listing.mailboxes_by_dn(names) == {
        "cn=alice,dc=example": "mailbox-a",
        "cn=bob,dc=example": "mailbox-a",
        "cn=carol,dc=example": "mailbox-c",
    }
    listing.begin()
    assert listing.mailboxes_by_dn(names) == {}


def test_a_delta_tells_what_differs_and_its_seal_writes_over_the_sealed_rows(store: Store) -> None:
    """What was read and stayed the same is not told; what was not read stays sealed as it was."""
    stage(store, ["device-1", "a"], ["device-2", "b"]).seal(NOON)
    listing = delta(store, [["mailbox-b", "bob", 2]], ["device-1", "a"], ["device-2", "changed"], ["device-3", "new"])
    assert listing.is_delta
    assert rows(listing, Scope.QUICK) == ["mailbox-b", "device-2", "device-3"]
    assert listing.measure(Scope.QUICK)[:2] == (2, 1)
    assert listing.totals() == (3, 2)
    listing.seal(NOON)
    assert (listing.is_delta, rows(listing, Scope.FULL)) == (False, [])
    whole = stage(store, ["device-1", "a"], ["device-2", "changed"], ["device-3", "new"])
    assert rows(whole, Scope.QUICK) == ["mailbox-b"]


def test_a_delta_is_never_told_as_a_full_listing(store: Store) -> None:
    """The service would call everything else gone, so it is refused, also where the store started afresh meanwhile."""
    stage(store, ["device-1", "a"]).seal(NOON)
    listing = delta(store, [], ["device-2", "b"])
    store.meet("another-history")
    assert not listing.has_baseline
    with pytest.raises(ValueError, match="a delta is no full listing"):
        listing.measure(Scope.FULL)


def test_a_delta_does_not_shrink_by_being_short_but_by_devices_that_lose_their_owner(store: Store) -> None:
    """Two devices of a hundred are no loss; sixty without the owner that they had are."""
    owner = DEVICE_COLUMNS.index("mailbox_guid")
    owned = [[f"device-{n}", *([None] * (owner - 1)), "mailbox-a"] for n in range(100)]
    stage(store, *owned).seal(NOON)
    assert not delta(store, [], *owned[:2]).shrank()
    assert delta(store, [], *([*row[:owner], None] for row in owned[:60])).shrank()


def test_what_is_staged_outlives_the_process_and_tells_what_is_whole(tmp_path: Path) -> None:
    """An interrupted listing goes on where it stopped: finished mailboxes are there with what was said of them."""
    with Store(tmp_path / FILE, "o", "c", 1, "history") as store:
        listing = Listing(store)
        listing.begin(delta=True)
        assert listing.finished("mailboxes") is None
        listing.add_mailboxes([mailbox(ALICE)])
        listing.finish("mailboxes", "at noon")
        listing.add_devices([text(["device-1", "a"])])
    with Store(tmp_path / FILE, "o", "c", 1, "history") as store:
        listing = Listing(store)
        assert (listing.finished("mailboxes"), listing.finished("devices"), listing.is_delta) == ("at noon", None, True)
        assert listing.mailboxes_by_dn(["CN=Alice,DC=example"]) == {"cn=alice,dc=example": "mailbox-a"}
        listing.add_devices([text(["device-1", "again"])])
        listing.finish("devices")
        assert rows(listing, Scope.QUICK) == ["mailbox-a", "device-1"]
        listing.begin()
        assert (listing.finished("mailboxes"), listing.is_delta, listing.totals()) == (None, False, (0, 0))


def test_what_another_connector_staged_is_not_gone_on_with(tmp_path: Path) -> None:
    """Another enrolment starts its listing afresh."""
    with Store(tmp_path / FILE, "o", "c", 1, "history") as store:
        stage(store, ["device-1", "a"])
    with Store(tmp_path / FILE, "o", "other", 2, "history") as store:
        assert Listing(store).finished("mailboxes") is None


def test_mailboxes_that_a_listing_with_unreadable_ones_lacks_stay_known(store: Store) -> None:
    """They find their devices' owner and are not told; a delta needs none of that and keeps their sealed rows."""
    stage(store).seal(NOON)
    listing = Listing(store)
    listing.begin()
    listing.add_mailboxes([mailbox(ALICE)])
    listing.finish("mailboxes", keep_missing=True)
    assert listing.mailboxes_by_dn(["CN=Bob,DC=example"]) == {"cn=bob,dc=example": "mailbox-b"}
    assert rows(listing, Scope.FULL) == ["mailbox-a"]
    listing.begin(delta=True)
    listing.finish("mailboxes", keep_missing=True)
    listing.finish("devices")
    listing.seal(NOON)
    assert listing.totals() == (0, 0)
    assert rows(stage(store), Scope.QUICK) == []
