"""Two listings: staged rows come out in pages, whole or as what differs from the sealed one."""

from typing import Any

from gatepost.connector.listing import Listing
from gatepost.connector.store import Store
from gatepost.domain.contract import ListingDigest, Scope

ALICE = ("CN=Alice,DC=example", ["mailbox-a", "alice"])
BOB = ("CN=Bob,DC=example", ["mailbox-b", "bob"])


def stage(store: Store, *devices: list[object]) -> Listing:
    """A listing with two mailboxes and some devices."""
    listing = Listing(store)
    listing.begin()
    listing.add_mailboxes([ALICE, BOB])
    listing.add_devices(devices)
    return listing


def rows(listing: Listing, scope: Scope) -> list[str]:
    """The guids that a synchronisation sends, page by page."""
    found: list[str] = []
    for kind in ("mailboxes", "devices"):
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
    everything: list[list[Any]] = [ALICE[1], BOB[1], *devices]
    for row in everything:
        digest.add(row)
    assert listing.measure(Scope.FULL) == (5, 2, digest.hexdigest())
    assert rows(listing, Scope.FULL) == ["mailbox-a", "mailbox-b", *(f"device-{n}" for n in range(5))]


def test_a_quick_scope_has_what_is_new_or_differs_from_the_sealed_listing(store: Store) -> None:
    """What stayed the same is not sent again, and what went away is left to a full synchronisation."""
    listing = stage(store, ["device-1", "a"], ["device-2", "b"], ["device-3", "c"])
    assert not listing.has_baseline
    listing.seal("2026-11-22T12:00:00Z")
    assert listing.has_baseline
    listing = stage(store, ["device-1", "a"], ["device-2", "changed"], ["device-4", "new"])
    assert rows(listing, Scope.QUICK) == ["device-2", "device-4"]
    assert listing.measure(Scope.QUICK)[:2] == (2, 0)
    assert listing.totals() == (3, 2)


def test_a_second_seal_replaces_the_first(store: Store) -> None:
    """The staged listing becomes the sealed one each time, and an empty one is staged."""
    for word in ("first", "second"):
        listing = stage(store, ["device-1", word])
        listing.seal("2026-11-22T12:00:00Z")
        assert listing.totals() == (0, 0)
    assert rows(stage(store, ["device-1", "second"]), Scope.QUICK) == []
    assert rows(stage(store, ["device-1", "first"]), Scope.QUICK) == ["device-1"]


def test_a_device_that_a_listing_names_twice_counts_once(store: Store) -> None:
    """A device that moved while it was listed is told once, as it was seen last."""
    listing = stage(store, ["device-1", "before"])
    listing.add_devices([["device-1", "after"]])
    assert listing.totals() == (1, 2)
    assert [row for _, row in listing.page("devices", Scope.FULL, "", 10, 10_000)] == [["device-1", "after"]]


def test_a_page_ends_before_it_is_too_large_but_never_empty(store: Store) -> None:
    """Pages are cut by size as well as by rows, and a row larger than a page still comes."""
    listing = stage(store, ["device-1", "x" * 600], ["device-2", "x" * 600], ["device-3", "x" * 2_000])
    sizes = []
    after = ""
    while page := listing.page("devices", Scope.FULL, after, 10, 1_300):
        sizes.append(len(page))
        after = page[-1][0]
    assert sizes == [2, 1]
