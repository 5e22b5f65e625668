"""Stock of the lists that others filled, and adoption: what is taken over, what it changes, and the way back."""

import pytest

from gatepost.domain.desired import ListName, Presence, Result
from gatepost.errors import Problem
from gatepost.service import removal
from gatepost.service.onboarding import adoption, stock
from gatepost.service.onboarding.adoption import Adoption, Choice, How, Preview
from gatepost.service.onboarding.stock import Effect, Obstacle, Owner
from tests.service.conftest import Look
from tests.service.onboarding.conftest import ANNA, Site
from tests.service.writing import START, outcome, saw, withdrew

ALL = Choice(How.ALL)
ALLOW, BLOCK = ListName.ALLOW, ListName.BLOCK


def look_at(site: Site, choice: Choice = ALL) -> Preview:
    """The preview."""
    return site.act(lambda scope: adoption.preview(scope, site.organization, choice))


def adopt(site: Site, choice: Choice = ALL, digest: str | None = None) -> Adoption:
    """Adopt what the preview shows."""
    seen = look_at(site, choice).digest if digest is None else digest
    return site.act(lambda scope: adoption.adopt(scope, site.organization, choice, seen, ANNA))


def give_back(site: Site, made: Adoption) -> Adoption:
    """Undo an adoption."""
    return site.act(lambda scope: adoption.give_back(scope, site.organization, made.adoption_id, ANNA))


def owners(look: Look) -> dict[tuple[str, str], str]:
    """What the ledger calls each entry."""
    rows = look("SELECT device_id, list, ownership FROM list_entries")
    return {(row["device_id"], row["list"]): row["ownership"] for row in rows}


def test_stock_says_of_every_entry_whose_it_is_and_what_it_does(site: Site) -> None:
    """By Exchange's engine, with the entry and without it."""
    site.lists({"allowed_ids": ["DEV00000", "OLD"]}, {"blocked_ids": ["dev00002"]}, {"allowed_ids": ["DEV00004"]})
    site.lists(
        {"allowed_ids": ["DEV00000", "OLD"]},
        {"blocked_ids": ["dev00002"]},
        {"allowed_ids": ["DEV00004"], "blocked_ids": ["DEV00004"]},
    )
    known = site.act(lambda scope: stock.take(scope, site.organization))
    told = {(entry.device_id, entry.list): (entry.owner, entry.effect) for entry in known.entries}
    assert told == {
        ("DEV00000", ALLOW): (Owner.FOREIGN, Effect.GIVES),
        ("OLD", ALLOW): (Owner.FOREIGN, Effect.NO_DEVICE),
        ("DEV00002", BLOCK): (Owner.FOREIGN, Effect.NOTHING),
        ("DEV00004", ALLOW): (Owner.FOREIGN, Effect.NOTHING),
        ("DEV00004", BLOCK): (Owner.FOREIGN, Effect.TAKES),
    }
    assert not known.unread
    assert (known.count(ALLOW), known.count(effects=[Effect.NOTHING]), known.count(owner=Owner.OURS)) == (3, 2, 0)


def test_adopting_publishes_nothing_and_takes_nothing_off(site: Site, look: Look) -> None:
    """The ledger calls the entries ours; no connector hears of it, not even one that lost its store."""
    site.lists({"allowed_ids": ["DEV00000"]}, {"blocked_ids": ["DEV00002"]})
    before = look("SELECT * FROM desired"), look("SELECT revision FROM desired_heads")
    made = adopt(site)
    assert (made.entries, made.standing, made.adopted_by) == (2, 2, "anna")
    assert owners(look) == {("DEV00000", "allow"): "ours", ("DEV00002", "block"): "ours"}
    assert (look("SELECT * FROM desired"), look("SELECT revision FROM desired_heads")) == before
    assert look("SELECT count(*) FROM events WHERE name = 'console:entries:adopted'") == [{"count": 1}]


def test_an_adopted_entry_stays_where_hands_are_off(site: Site) -> None:
    """A row that says leave from before, told again to a connector without a store, does not call it ours."""
    site.writer.pin()
    site.writer.unpin()
    site.lists({"allowed_ids": ["DEV00000"]})
    adopt(site)
    site.writer.lose_store()
    site.writer.say()
    assert site.writer.row is not None
    assert (site.writer.row["level"], site.owned) == ("leave", [])


def test_an_adopted_entry_is_ours_once_something_else_is_published(site: Site) -> None:
    """A block takes the allow entry off that somebody else had made; then leave takes off what is left."""
    site.lists({"allowed_ids": ["DEV00000"]})
    adopt(site)
    site.writer.pin("block")
    site.writer.say()
    assert (site.writer.row or {})["entry"] == "block"
    assert site.owned == ["allow"]
    site.writer.pin("allow")
    site.writer.unpin()
    site.writer.say()
    assert ((site.writer.row or {})["level"], site.owned) == ("leave", ["allow"])


def test_what_is_given_back_is_somebody_elses_again(site: Site, look: Look) -> None:
    """Also what something was published for: the connector is told anew, and takes nothing off."""
    site.lists({"allowed_ids": ["DEV00000", "DEV00001"]})
    made = adopt(site)
    site.writer.pin("block")
    site.writer.say()
    assert site.owned == ["allow"]
    back = give_back(site, made)
    assert (back.returned, back.returned_by, back.standing) == (2, "anna", 0)
    site.writer.say()
    assert ((site.writer.row or {})["level"], site.owned) == ("block", [])
    assert owners(look)["DEV00000", "allow"] == "foreign"
    with pytest.raises(Problem) as refused:
        give_back(site, made)
    assert (refused.value.type, refused.value.detail) == ("returned", "This adoption was given back already.")


def test_what_went_meanwhile_is_not_given_back(site: Site, look: Look) -> None:
    """An entry that was taken off, by us or by hand, is over; one that we made since stays ours."""
    site.lists({"allowed_ids": ["DEV00000"]})
    made = adopt(site)
    site.writer.pin("block")
    site.writer.say()
    gone = Presence(False, True)
    moved = outcome(
        Result.APPLIED, site.writer.held, before=Presence(True, False), after=gone, added=(BLOCK,), removed=(ALLOW,)
    )
    site.writer.say(moved)
    assert owners(look) == {("DEV00000", "allow"): "withdrawn", ("DEV00000", "block"): "ours"}
    assert give_back(site, made).returned == 0
    assert owners(look) == {("DEV00000", "allow"): "withdrawn", ("DEV00000", "block"): "ours"}


def test_an_entry_that_we_took_off_after_the_inventory_is_not_there_to_be_adopted(site: Site) -> None:
    """The lists as last read are older than what the connector said since."""
    site.writer.pin()
    site.writer.say()
    site.lists({"allowed_ids": ["DEV00000"]})
    site.writer.say(saw(ALLOW, site.writer.held))
    assert len(look_at(site).entries) == 1
    adopt(site)
    site.writer.unpin()
    site.writer.say()
    site.writer.say(withdrew(ALLOW, site.writer.held, at=START.replace(year=2030)))
    assert look_at(site).entries == []
    with pytest.raises(Problem) as refused:
        adopt(site)
    assert refused.value.type == "nothing-to-adopt"


def test_an_entry_against_what_is_published_is_not_adopted(site: Site) -> None:
    """Being ours it would be taken off at once; and of two spellings nobody knows which is meant."""
    site.lists({"allowed_ids": ["DEV00000", "dev00000"]}, {"allowed_ids": ["DEV00002"]}, {"blocked_ids": ["DEV00004"]})
    site.writer.pin("block", number=2)
    seen = look_at(site)
    assert [entry.device_id for entry in seen.entries] == ["DEV00004"]
    assert {entry.device_id: entry.obstacle for entry in seen.left} == {
        "DEV00000": Obstacle.SPELLINGS,
        "DEV00002": Obstacle.OPPOSED,
    }


def test_another_effect_than_the_one_that_was_seen_is_refused(site: Site) -> None:
    """What is adopted is what a person looked at."""
    site.lists({"allowed_ids": ["DEV00000"]})
    digest = look_at(site).digest
    site.lists({"allowed_ids": ["DEV00000", "DEV00001"]})
    with pytest.raises(Problem) as refused:
        adopt(site, digest=digest)
    assert refused.value.type == "preview-changed"


def test_a_removal_leaves_what_was_adopted_and_kept(site: Site) -> None:
    """It was there before us, and nothing of ours was decided for it."""
    site.lists({"allowed_ids": ["DEV00000", "DEV00001"]})
    adopt(site)
    site.writer.pin("allow")
    seen = site.act(lambda scope: removal.preview(scope, site.organization))
    assert [entry["device_id"] for entry in seen.entries] == ["DEV00000"]


def test_a_group_is_adopted_without_the_others(site: Site, look: Look) -> None:
    """The mailboxes of its people; a group that is not there is refused by name."""
    site.lists({"allowed_ids": ["DEV00000"]}, {"allowed_ids": ["DEV00002"]})
    person = look("INSERT INTO people (person_id) VALUES (gen_random_uuid()) RETURNING person_id")[0]["person_id"]
    group = look("INSERT INTO groups (external_id, name) VALUES ('g', 'Pilot') RETURNING group_id")[0]["group_id"]
    look("INSERT INTO memberships (group_id, person_id) VALUES (%s, %s)", group, person)
    look("UPDATE mailboxes SET person_id = %s WHERE primary_smtp = 'user1@example.test'", person)
    made = adopt(site, Choice(How.GROUP, group))
    assert (made.about, made.entries) == ("Pilot", 1)
    assert owners(look) == {("DEV00002", "allow"): "ours"}
    with pytest.raises(Problem, match="There is no such group"):
        look_at(site, Choice(How.GROUP, person))


def test_a_file_of_another_tool_is_adopted_and_its_bad_lines_are_named(site: Site, look: Look) -> None:
    """Whatever separates the fields and however the columns are called; a line that names no entry changes nothing."""
    site.lists({"allowed_ids": ["DEV00000"]}, {"allowed_ids": ["DEV00002"], "blocked_ids": ["DEV00003"]})
    text = (
        "\ufeffUser;Device ID;Device Access State\r\n"
        "USER0@example.test;dev00000;Allowed\r\n"
        "user1@example.test;DEV00003;\r\n"
        "user1@example.test;DEV00002;blocked\r\n"
        "user1@example.test;DEV00003;Blocked\r\n"
        ";DEV00001;Allowed\r\n"
        "\r\n"
        "user1@example.test;DEV00002;Sometimes\r\n"
    )
    seen = look_at(site, Choice(How.FILE, name="old.csv", text=text))
    assert [(fault.line, fault.why.value) for fault in seen.faults] == [
        (4, "no-entry"),
        (5, "twice"),
        (6, "no-mailbox"),
        (8, "list-unknown"),
    ]
    made = adopt(site, Choice(How.FILE, name="old.csv", text=text))
    assert (made.how, made.about, made.entries) == ("file", "old.csv", 2)
    assert owners(look) == {("DEV00000", "allow"): "ours", ("DEV00003", "block"): "ours"}


def test_a_file_that_is_none_is_refused_with_what_it_lacks(site: Site) -> None:
    """The sentence names the column; odd characters are a fault of their line."""
    missing = {
        "": "there is none for the device's id (device id)",
        "mailbox,phone\na,b": "there is none for the device's id (device id)",
        "device id\nx": "there is none for the mailbox (mailbox, user or email)",
    }
    for text, said in missing.items():
        with pytest.raises(Problem) as refused:
            look_at(site, Choice(How.FILE, text=text))
        assert refused.value.type == "file"
        assert said in refused.value.detail
    odd = look_at(site, Choice(How.FILE, text="mailbox,device id\n\0,x"))
    assert [fault.why.value for fault in odd.faults] == ["odd"]
