"""To whom the connector mails, and how much in a day, whatever the service asks for."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from gatepost.connector.mailing import SPENT
from gatepost.connector.places import Places
from gatepost.connector.postage import Postage
from gatepost.connector.store import BASELINE, FILE, Store
from gatepost.domain.contract import MAILBOX_COLUMNS
from gatepost.errors import SettingsError
from gatepost.settings import NoticeSettings
from tests.connector.test_mailing import HERE, Notice, World

DAY = 86_400.0
BOXES = {HERE: "user", "room@here.example": "room", "away@here.example": "remote", "linked@here.example": "linked"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store whose listing has these mailboxes."""
    with Store(tmp_path / FILE, "org", "connector", 1, "history") as store:
        with store.transaction() as db:
            for address, kind in BOXES.items():
                told = dict.fromkeys(MAILBOX_COLUMNS) | {"guid": address, "primary_smtp": address, "kind": kind}
                row = json.dumps([told[name] for name in MAILBOX_COLUMNS])
                db.execute("INSERT INTO sealed_mailboxes VALUES (?, 0, NULL, ?)", (address, row))
            db.execute("INSERT INTO sealed_mailboxes VALUES ('untold', NULL, 'dn', NULL)")
        store.remember(**{BASELINE: "now"})
        yield store


def limit(store: Store, world: World, most: int) -> Postage:
    """The limit of a connector with that store."""
    return Postage(store, Places(store), most, lambda: world.now)


def test_mail_goes_to_peoples_mailboxes_of_the_listing_and_to_nobody_else(store: Store) -> None:
    """Strangers, rooms and mailboxes that moved away are refused in words, and nothing of them reaches Exchange."""
    others = ("boss@bank.example", "room@here.example", "away@here.example", "", "%@here.example")
    world = World()
    world.notices = {str(uuid4()): Notice(to) for to in (*others, "LINKED@here.example", HERE)}
    mailing = world.process(postage=limit(store, world, 10))
    mailing.hear(world.due())
    mailing.run()
    world.hear()
    assert world.tries == len(world.sent) == 2
    assert [each.why for each in world.notices.values()] == [
        "the address is no mailbox of this connector's listing",
        "the mailbox is not a person's",
        "the mailbox is not a person's",
        "the address is no mailbox of this connector's listing",
        "the address is no mailbox of this connector's listing",
        "",
        "",
    ]


def test_a_day_has_only_so_many_mails_also_for_a_new_process_and_another_history(store: Store) -> None:
    """What is over it is not even claimed, a finding says so, and a day later it goes on."""
    world = World()
    world.notices = {str(uuid4()): Notice() for _ in range(25)}
    mailing = world.process(postage=limit(store, world, 12))
    mailing.hear(world.due())
    mailing.run()
    world.hear()
    assert len(world.sent) == 12
    assert {each.state for each in world.notices.values()} == {"sent", "waiting"}
    store.meet("another history, as a service may say")
    again = world.process(postage=limit(store, world, 12))
    again.hear(world.due())
    assert again.seconds() is None
    store.remember(**{BASELINE: "listed anew"})
    assert again.seconds() is None
    assert again.run() == {}
    assert (len(world.sent), world.findings) == (12, [SPENT])
    world.now += DAY + 3_600
    assert again.seconds() == 0.0


def test_a_limit_below_nothing_is_refused() -> None:
    """In words."""
    with pytest.raises(SettingsError, match="most_a_day is below 0"):
        NoticeSettings(account="gatepost@example.com", most_a_day=-1)
