"""Synchronisations: merged by parts, sealed as announced, guarded against a listing that shrank."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, Facts, Kind, Scope, Sync, Table
from gatepost.errors import Problem
from gatepost.service import connections
from gatepost.service.database import Database
from gatepost.service.statements import STATEMENTS
from tests.fixtures.database import Urls
from tests.fixtures.service import Replica, Service, in_thread, new_tenant
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox

DEVICES = [device(number) for number in range(120)]
MAILBOXES = [mailbox(number) for number in range(60)]


def states(results: list[dict[str, Any]]) -> list[str]:
    """The states of a synchronisation's documents."""
    return [result["state"] for result in results]


def counters(look: Look) -> dict[str, int]:
    """The counters by name."""
    return {row["name"]: row["value"] for row in look("SELECT name, value FROM counters WHERE value <> 0")}


def living(look: Look) -> int:
    """How many devices are not gone."""
    count: int = look("SELECT count(*) AS n FROM devices WHERE gone_at IS NULL")[0]["n"]
    return count


def test_a_full_synchronisation_is_announced_merged_and_sealed(speaker: Speaker, look: Look) -> None:
    """Everything that was sent is there, counted by state and family, and the newest seal is dated."""
    assert states(speaker.synchronise(DEVICES, MAILBOXES)) == ["go", "merged", "merged", "merged", "sealed"]
    sync = look(
        "SELECT state, received_devices, received_mailboxes, received_parts, changed, gone, ended_at FROM syncs"
    )
    assert sync[0].pop("ended_at") is not None
    assert sync == [
        {
            "state": "sealed",
            "received_devices": 120,
            "received_mailboxes": 60,
            "received_parts": 3,
            "changed": 180,
            "gone": 0,
        }
    ]
    assert counters(look) == {"devices": 120, "mailboxes": 60, "state:Allowed": 120, "family:ios": 120}
    assert look("SELECT * FROM sync_parts") == []


def test_what_was_sent_is_what_is_kept(speaker: Speaker, look: Look) -> None:
    """Every column of a device and of a mailbox arrives as it was sent, nulls and unicode too."""
    sent = device(
        1,
        friendly_name="Zoë's 電話 📱",
        folders_synced=7,
        last_success_sync_at="2026-03-04T05:06:07.123456Z",
        imei=None,
        os_language="nl",
        mailbox_guid=None,
    )
    owner = mailbox(1, allowed_ids=["A", "b"], blocked_ids=["C"], eas_enabled=False, kind="shared")
    speaker.synchronise([sent], [owner])
    row = look("SELECT * FROM devices")[0]
    assert row["friendly_name"] == "Zoë's 電話 📱"
    assert (row["folders_synced"], row["imei"], row["os_language"]) == (7, None, "nl")
    assert row["last_success_sync_at"].isoformat() == "2026-03-04T05:06:07.123456+00:00"
    assert (row["mailbox_guid"], row["family"]) == (None, "ios")
    assert look("SELECT allowed_ids, blocked_ids, eas_enabled, kind FROM mailboxes") == [
        {"allowed_ids": ["A", "b"], "blocked_ids": ["C"], "eas_enabled": False, "kind": "shared"}
    ]
    assert counters(look)["orphans"] == 1


def test_a_hidden_list_is_not_kept_as_an_empty_one(speaker: Speaker, look: Look) -> None:
    """What Exchange does not show is null; a list that is empty stays a list; both change into the other."""
    hidden, empty = mailbox(1, allowed_ids=None, blocked_ids=[]), mailbox(1, allowed_ids=[], blocked_ids=None)
    for sent, kept in ((hidden, (None, [])), (empty, ([], None))):
        speaker.synchronise([device(1)], [sent])
        row = look("SELECT allowed_ids, blocked_ids FROM mailboxes")[0]
        assert (row["allowed_ids"], row["blocked_ids"]) == kept


def test_unchanged_rows_are_not_written(speaker: Speaker, look: Look) -> None:
    """A second listing of the same rows touches no device."""
    speaker.synchronise(DEVICES, MAILBOXES)
    before = look("SELECT guid, xmin::text FROM devices ORDER BY guid")
    speaker.synchronise(DEVICES, MAILBOXES)
    assert look("SELECT guid, xmin::text FROM devices ORDER BY guid") == before
    assert [row["changed"] for row in look("SELECT changed FROM syncs ORDER BY started_at")] == [180, 0]


def test_a_change_leaves_before_and_after_in_the_history(speaker: Speaker, look: Look) -> None:
    """What changed is written down, field by field; clocks that always move are not."""
    speaker.synchronise([device(1), device(2)])
    newer = device(1, os="iOS 18.0 22A1", access_state="Blocked", last_success_sync_at="2026-05-05T05:05:05Z")
    ticked = device(2, last_success_sync_at="2026-05-05T05:05:05Z", changed_at="2026-05-05T05:05:05Z")
    speaker.synchronise([newer, ticked])
    history = look("SELECT device_guid::text, what, changes FROM device_history")
    assert history == [
        {
            "device_guid": device(1)[0],
            "what": "changed",
            "changes": {"os": [device(1)[7], "iOS 18.0 22A1"], "access_state": ["Allowed", "Blocked"]},
        }
    ]
    assert counters(look) == {"devices": 2, "state:Allowed": 1, "state:Blocked": 1, "family:ios": 2}


def test_facts_are_kept_once_for_all_devices_that_say_the_same(speaker: Speaker, look: Look) -> None:
    """What rules can see is interned; the version is read from the system's name."""
    same = {"model": "iPhone16C1", "os": "iOS 17.1.2 21B101", "user_agent": "Apple-iPhone16C1/2101.1"}
    speaker.synchronise([device(number, **same) for number in range(10)])
    facts = look("SELECT family, model, os_version FROM device_facts")
    assert facts == [{"family": "ios", "model": "iPhone16C1", "os_version": [17, 1, 2]}]
    assert look("SELECT count(DISTINCT facts_id) AS n FROM devices") == [{"n": 1}]


def test_what_a_full_listing_does_not_show_is_gone_and_comes_back(speaker: Speaker, look: Look) -> None:
    """A device that is not seen is marked, counted off and written down; seen again, it returns."""
    speaker.synchronise(DEVICES, MAILBOXES)
    speaker.synchronise(DEVICES[1:], MAILBOXES[:-1])
    assert look("SELECT guid::text FROM devices WHERE gone_at IS NOT NULL") == [{"guid": DEVICES[0][0]}]
    assert counters(look) == {"devices": 119, "mailboxes": 59, "state:Allowed": 119, "family:ios": 119}
    speaker.synchronise(DEVICES, MAILBOXES)
    assert counters(look) == {"devices": 120, "mailboxes": 60, "state:Allowed": 120, "family:ios": 120}
    assert [row["what"] for row in look("SELECT what FROM device_history ORDER BY n")] == ["gone", "returned"]


def test_a_quick_synchronisation_calls_nothing_gone(speaker: Speaker, look: Look) -> None:
    """It carries only what changed, and is not guarded."""
    speaker.synchronise(DEVICES, MAILBOXES)
    changed = device(3, model="iPhone99")
    assert states(speaker.synchronise([changed], scope=Scope.QUICK)) == ["go", "merged", "sealed"]
    assert living(look) == 120
    assert look("SELECT count(*) AS n FROM devices WHERE model = 'iPhone99'") == [{"n": 1}]


@pytest.mark.parametrize("devices", [[], DEVICES[:60]])
def test_a_listing_that_shrank_is_held_before_anything_is_merged(
    speaker: Speaker, look: Look, devices: list[Any]
) -> None:
    """Too many missing, or all: held with the reason; nothing is deleted."""
    speaker.synchronise(DEVICES, MAILBOXES)
    result = speaker.synchronise(devices, MAILBOXES)
    assert states(result) == ["held"]
    expected = "60 of 120 devices are missing; at most 50 may be." if devices else "no devices; 120 are known"
    assert expected in result[0]["why"]
    assert living(look) == 120
    assert look("SELECT state, missing_devices FROM syncs WHERE state = 'held'") == [
        {"state": "held", "missing_devices": 120 - len(devices)}
    ]


def test_mailboxes_are_guarded_like_devices(speaker: Speaker) -> None:
    """A listing without its mailboxes is held."""
    speaker.synchronise(DEVICES, MAILBOXES)
    assert "no mailboxes" in speaker.synchronise(DEVICES, [])[0]["why"]


def test_as_many_devices_but_other_ones_are_held_at_the_seal(speaker: Speaker, look: Look) -> None:
    """Identities count, not only numbers: what was merged stays, nothing is called gone."""
    speaker.synchronise(DEVICES)
    others = [device(number) for number in range(1_000, 1_120)]
    result = speaker.synchronise(others)
    assert states(result) == ["go", "merged", "merged", "held"]
    assert "120 of 240 devices are missing" in result[-1]["why"]
    assert living(look) == 240


def test_devices_of_mailboxes_that_left_do_not_count_as_missing(speaker: Speaker, look: Look) -> None:
    """Forty people left with two devices each: eighty devices are gone, and no question is asked at the seal."""
    devices = [device(number) for number in range(160)]
    mailboxes = [mailbox(number) for number in range(80)]
    speaker.synchronise(devices, mailboxes)
    new = [device(number, mailbox_guid=mailboxes[0][0]) for number in range(1_000, 1_040)]
    result = speaker.synchronise([*devices[80:], *new], [*mailboxes[40:], mailbox(500)])
    assert result[-1]["state"] == "sealed"
    assert look("SELECT gone FROM syncs ORDER BY started_at DESC LIMIT 1") == [{"gone": 80}]


def accept(service: Service, speaker: Speaker, sync_id: str) -> None:
    """Accept a held synchronisation as the console does. Raises Problem where it cannot be accepted."""

    async def work() -> None:
        async with await Database.open(service.urls.app, size=1) as db, db.tenant(service.tenant_id) as scope:
            await connections.accept(scope, UUID(speaker.identity["organization"]), sync_id, "anna")

    in_thread(asyncio.run, work())


def held(look: Look) -> str:
    """The newest held synchronisation."""
    found: str = look("SELECT sync_id FROM syncs WHERE state = 'held' ORDER BY started_at DESC LIMIT 1")[0]["sync_id"]
    return found


def test_an_older_held_listing_cannot_be_accepted(service: Service, speaker: Speaker, look: Look) -> None:
    """Once a listing was sealed or another one held, what an administrator would accept is no longer what there is."""
    speaker.synchronise(DEVICES)
    speaker.synchronise(DEVICES[:40])
    first = held(look)
    speaker.synchronise(DEVICES[:50])
    for stale in (first, held(look)):
        with pytest.raises(Problem, match="not held any more"):
            accept(service, speaker, stale)
        speaker.synchronise(DEVICES)


def test_a_held_listing_of_the_connector_before_cannot_be_accepted(
    service: Service, speaker: Speaker, look: Look
) -> None:
    """Another connector may see another Exchange."""
    speaker.synchronise(DEVICES)
    speaker.synchronise(DEVICES[:40])
    Speaker(service.url).enrol(service.ticket())
    with pytest.raises(Problem, match="not held any more"):
        accept(service, speaker, held(look))


def test_an_acceptance_is_for_a_day_and_for_its_connector(service: Service, speaker: Speaker, look: Look) -> None:
    """After 24 hours, or after another enrolment, the question is asked again."""
    speaker.synchronise(DEVICES)
    speaker.synchronise(DEVICES[:60])
    accept(service, speaker, held(look))
    look("UPDATE syncs SET accepted_at = now() - interval '24 hours 1 second' WHERE state = 'accepted'")
    assert states(speaker.synchronise(DEVICES[:60])) == ["held"]
    accept(service, speaker, held(look))
    successor = Speaker(service.url)
    successor.enrol(service.ticket())
    assert states(successor.synchronise(DEVICES[:60])) == ["held"]


def test_an_acceptance_does_not_add_to_what_is_allowed(service: Service, speaker: Speaker, look: Look) -> None:
    """Sixty missing were accepted: sixty may be missing, not sixty and another fifty."""
    speaker.synchronise(DEVICES)
    speaker.synchronise(DEVICES[:60])
    accept(service, speaker, held(look))
    others = [device(number) for number in range(1_000, 1_060)]
    assert (
        "110 of 180 devices are missing; at most 60 may be." in speaker.synchronise([*DEVICES[:10], *others])[-1]["why"]
    )


def test_an_acceptance_outlives_a_seal_that_called_nothing_gone(service: Service, speaker: Speaker, look: Look) -> None:
    """Objects that could not be read kept everything; the acceptance is for the next one then."""
    speaker.synchronise(DEVICES)
    speaker.synchronise(DEVICES[:40])
    accept(service, speaker, held(look))
    assert speaker.synchronise(DEVICES[:40], unreadable=1)[-1]["state"] == "sealed"
    assert living(look) == 120
    assert speaker.synchronise(DEVICES[:40])[-1]["state"] == "sealed"
    assert living(look) == 40


@pytest.mark.parametrize("scope", [Scope.QUICK, Scope.FULL])
def test_a_listing_that_takes_the_mailboxes_away_is_held(speaker: Speaker, look: Look, scope: Scope) -> None:
    """The part that would pass the allowance changes nothing; the parts before it stay; nothing follows it."""
    speaker.synchronise(DEVICES, MAILBOXES)
    orphans = [device(number, mailbox_guid=None) for number in range(120)]
    mailboxes = [] if scope is Scope.QUICK else MAILBOXES
    announced, _ = speaker.begin(orphans, mailboxes, scope=scope)
    first = [{"mailboxes": mailboxes}, {"devices": orphans[:50]}]
    assert [speaker.part(announced, n, **rows)["state"] for n, rows in enumerate(first, 1)] == ["merged", "merged"]
    result = speaker.part(announced, 3, devices=orphans[50:])
    assert result["state"] == "held"
    assert result["why"] == "At least 120 of 120 devices would lose their mailbox; at most 50 may."
    assert counters(look)["orphans"] == 50
    assert speaker.part(announced, 4)["state"] == "mismatch"
    assert look("SELECT state, orphaned FROM syncs ORDER BY started_at DESC LIMIT 1") == [
        {"state": "held", "orphaned": 120}
    ]


def test_mailboxes_may_be_taken_away_once_it_is_accepted(service: Service, speaker: Speaker, look: Look) -> None:
    """A held part does not know how many more would follow, so that they do is what is accepted, once."""
    devices = [device(number) for number in range(240)]
    speaker.synchronise(devices)
    orphans = [device(number, mailbox_guid=None) for number in range(240)]
    assert states(speaker.synchronise(orphans))[:2] == ["go", "held"]
    accept(service, speaker, held(look))
    assert states(speaker.synchronise(orphans)) == ["go", "merged", "merged", "merged", "sealed"]
    assert counters(look)["orphans"] == 240
    speaker.synchronise(devices)
    assert states(speaker.synchronise(orphans))[:2] == ["go", "held"]


def test_a_cycle_takes_no_mailboxes_away_either(speaker: Speaker, look: Look) -> None:
    """The same allowance, for one document."""
    speaker.synchronise(DEVICES)
    rows = tuple(device(number, mailbox_guid=None) for number in range(60))
    result = speaker.say(Kind.CYCLE, facts=Facts(devices=Table(DEVICE_COLUMNS, rows)))["result"]
    assert (result["state"], counters(look).get("orphans")) == ("held", None)


def test_orphans_and_devices_of_departed_mailboxes_are_not_missed(speaker: Speaker, look: Look) -> None:
    """Neither the announcement nor the seal asks about devices whose mailbox went before or with them."""
    devices = [device(number) for number in range(200)]
    mailboxes = [mailbox(number) for number in range(100)]
    speaker.synchronise(devices, mailboxes)
    orphans = [device(number, mailbox_guid=None) for number in range(40)]
    speaker.synchronise([*orphans, *devices[40:]], mailboxes)
    assert speaker.synchronise(devices[100:], mailboxes[50:])[-1]["state"] == "sealed"
    assert living(look) == 100


def test_a_device_told_during_a_full_synchronisation_is_not_gone_at_its_seal(speaker: Speaker, look: Look) -> None:
    """The listing is older than the device; each document in between counts as seen."""
    speaker.synchronise(DEVICES, MAILBOXES)
    announced, _ = speaker.begin(DEVICES, MAILBOXES)
    speaker.part(announced, 1, devices=DEVICES, mailboxes=MAILBOXES)
    for number in (500, 501):
        facts = Facts(
            devices=Table(DEVICE_COLUMNS, (device(number),)), mailboxes=Table(MAILBOX_COLUMNS, (mailbox(number),))
        )
        speaker.say(Kind.CYCLE, facts=facts)
    assert speaker.seal(announced)["state"] == "sealed"
    assert living(look) == 122
    assert look("SELECT count(*) AS n FROM mailboxes WHERE gone_at IS NULL") == [{"n": 62}]


def test_an_accepted_listing_goes_the_next_time(service: Service, speaker: Speaker, look: Look) -> None:
    """An administrator looked: the next full listing of at least that size goes through both guards, once."""
    speaker.synchronise(DEVICES)
    assert states(speaker.synchronise(DEVICES[:60])) == ["held"]
    accept(service, speaker, held(look))
    assert states(speaker.synchronise(DEVICES[:59])) == ["held"]
    assert states(speaker.synchronise(DEVICES[:60]))[-1] == "sealed"
    assert living(look) == 60
    assert states(speaker.synchronise(DEVICES[:5])) == ["held"], "the acceptance is used up"


def test_objects_that_could_not_be_read_keep_everything(speaker: Speaker, look: Look) -> None:
    """The connector could not read some: nothing is called gone, and the seal says so."""
    speaker.synchronise(DEVICES)
    result = speaker.synchronise(DEVICES[2:], unreadable=2)
    assert result[-1] == {
        "state": "sealed",
        "why": "2 objects could not be read, so nothing was called gone.",
        "rejected": [],
    }
    assert living(look) == 120


POISON: dict[str, dict[str, Any]] = {
    "friendly_name holds a NUL character": {"friendly_name": "a\0b"},
    "model holds half of a surrogate pair": {"model": "a\ud83d"},
    "user_agent has 4,001 characters, at most 4,000 are kept": {"user_agent": "x" * 4_001},
    "first_sync_at is not an ISO 8601 time": {"first_sync_at": "yesterday"},
    "changed_at is a time without a zone": {"changed_at": "2026-01-01T00:00:00"},
    "wipe_sent_at is not an ISO 8601 time": {"wipe_sent_at": "9999-12-31T23:59:59-23:00"},
    "folders_synced is not a whole number of 32 bits": {"folders_synced": 2**31},
    "mailbox_guid is not a GUID": {"mailbox_guid": "{6f0e2a44}"},
    "os is not a text": {"os": 17},
    "access_state has 101 characters, at most 100 are kept": {"access_state": "x" * 101},
    "access_state_reason has 4,000 characters, at most 100 are kept": {"access_state_reason": "x" * 4_000},
    "client_type has 101 characters, at most 100 are kept": {"client_type": "é" * 101},
}


@pytest.mark.parametrize("why", POISON)
def test_a_poison_row_stops_only_itself(speaker: Speaker, look: Look, why: str) -> None:
    """It is named with the reason, the rest is merged, and a device of that guid is not called gone."""
    speaker.synchronise([device(1), device(2)])
    result = speaker.synchronise([device(1, **POISON[why]), device(2), device(3)])
    assert states(result) == ["go", "merged", "sealed"]
    assert result[1]["rejected"] == [{"guid": device(1)[0], "why": why}]
    assert living(look) == 3
    assert (
        look("SELECT friendly_name FROM devices WHERE guid = %s", UUID(device(1)[0]))[0]["friendly_name"] == "Phone 1"
    )


def test_a_poison_mailbox_stops_only_itself(speaker: Speaker, look: Look) -> None:
    """Lists that are none, and kinds that are not known, are named."""
    poison = [
        mailbox(1, allowed_ids="A"),
        mailbox(2, kind="pigeon"),
        mailbox(5, kind=[]),
        mailbox(3, eas_enabled="yes"),
    ]
    rejected = speaker.synchronise([], [*poison, mailbox(4)])[1]["rejected"]
    assert [entry["why"] for entry in rejected] == [
        "allowed_ids is not a list of at most 1,000 texts",
        "kind is not a kind of mailbox",
        "kind is not a kind of mailbox",
        "eas_enabled is neither true nor false",
    ]
    assert look("SELECT display_name FROM mailboxes") == [{"display_name": "User 4"}]


def test_a_row_without_a_guid_keeps_everything(speaker: Speaker, look: Look) -> None:
    """Whose row it was cannot be told, so nothing may be called gone."""
    speaker.synchronise(DEVICES)
    result = speaker.synchronise([device(0, guid="nobody"), *DEVICES[2:]])
    assert result[1]["rejected"] == [{"guid": None, "why": "guid is not a GUID"}]
    assert "1 objects could not be read" in result[-1]["why"]
    assert living(look) == 120


def test_the_same_device_twice_in_a_part_is_kept_once(speaker: Speaker, look: Look) -> None:
    """The last row counts; both count as received."""
    result = speaker.synchronise([device(1, model="old"), device(1, model="new")])
    assert result[-1]["state"] == "sealed"
    assert look("SELECT model FROM devices") == [{"model": "new"}]


def test_rows_that_are_not_those_announced_are_a_mismatch(speaker: Speaker, look: Look) -> None:
    """Too few, or other ones: the synchronisation is abandoned and nothing is called gone."""
    speaker.synchronise(DEVICES)
    announced, _ = speaker.begin(DEVICES)
    speaker.part(announced, 1, devices=DEVICES[:100])
    assert speaker.seal(announced) == {
        "state": "mismatch",
        "why": "100 devices came, 120 were announced.",
        "rejected": [],
    }
    announced, _ = speaker.begin(DEVICES)
    speaker.part(announced, 1, devices=[*DEVICES[:119], device(7_000)])
    assert speaker.seal(announced)["why"] == "The rows that came are not those that were announced."
    assert speaker.seal(announced)["why"] == "No such synchronisation is open."
    assert look("SELECT DISTINCT state FROM syncs ORDER BY 1") == [{"state": "abandoned"}, {"state": "sealed"}]
    assert living(look) == 121


def test_parts_come_in_order(speaker: Speaker) -> None:
    """A part that is left out is a mismatch that says which one was expected."""
    announced, _ = speaker.begin(DEVICES)
    assert speaker.part(announced, 2, devices=DEVICES)["why"] == "Part 2 came where part 1 was expected."
    assert speaker.part(announced, 1, devices=DEVICES)["state"] == "merged"


def test_the_last_part_again_changes_nothing(speaker: Speaker, look: Look) -> None:
    """A connector that was cut off before it knew the answer says it again; an older part is out of its turn."""
    announced, _ = speaker.begin(DEVICES)
    assert speaker.part(announced, 1, devices=DEVICES[:100])["state"] == "merged"
    assert speaker.part(announced, 1, devices=DEVICES[:100]) == {"state": "merged", "why": "", "rejected": []}
    assert speaker.part(announced, 2, devices=DEVICES[100:])["state"] == "merged"
    assert speaker.part(announced, 1, devices=DEVICES[:100])["why"] == "Part 1 came where part 3 was expected."
    assert speaker.seal(announced)["state"] == "sealed"
    assert living(look) == len(DEVICES)
    assert speaker.part(announced, 2, devices=DEVICES[100:])["why"] == "No such synchronisation is open."


def test_mailboxes_elsewhere_are_neither_counted_nor_missed(speaker: Speaker, look: Look) -> None:
    """A hundred that moved away, and what stayed behind with them, may be cleaned up without a question."""
    boxes = [mailbox(n, kind="remote", allowed_ids=None, blocked_ids=None) for n in range(100)]
    stayed = [device(n, mailbox_guid=boxes[n][0]) for n in range(100)]
    here = [mailbox(n) for n in range(200, 320)]
    phones = [device(n, mailbox_guid=mailbox(n)[0]) for n in range(200, 320)]
    assert speaker.synchronise([*stayed, *phones], [*boxes, *here])[-1]["state"] == "sealed"
    counters = "SELECT value FROM counters WHERE name = 'mailboxes'"
    assert look(counters) == [{"value": 120}]
    assert speaker.synchronise(phones, here)[-1]["state"] == "sealed"
    assert (look(counters), living(look)) == ([{"value": 120}], 120)
    moved = [mailbox(n, kind="disabled") for n in range(200, 210)]
    assert speaker.synchronise(phones, [*moved, *here[10:]])[-1]["state"] == "sealed"
    assert look(counters) == [{"value": 110}]
    assert speaker.synchronise(phones, here)[-1]["state"] == "sealed"
    assert look(counters) == [{"value": 120}]
    assert speaker.synchronise(phones[60:], here)[-1]["state"] == "held", "of those that are here, as many are missed"


def test_a_new_announcement_abandons_the_open_one(speaker: Speaker, look: Look) -> None:
    """One synchronisation at a time; the id of an earlier one cannot be used again."""
    first, _ = speaker.begin(DEVICES)
    second, _ = speaker.begin(DEVICES)
    assert speaker.part(first, 1, devices=DEVICES)["why"] == "No such synchronisation is open."
    assert speaker.part(second, 1, devices=DEVICES)["state"] == "merged"
    assert speaker.say(Kind.SYNC_BEGIN, sync=Sync(first.sync_id))["result"]["state"] == "mismatch"


def test_a_successor_does_not_go_on_with_an_open_synchronisation(service: Service, speaker: Speaker) -> None:
    """It belongs to the connector that began it."""
    announced, _ = speaker.begin(DEVICES)
    successor = Speaker(service.url)
    successor.enrol(service.ticket())
    assert successor.part(announced, 1, devices=DEVICES)["state"] == "mismatch"
    assert successor.seal(announced)["state"] == "mismatch"


def test_a_device_may_come_before_its_mailbox(speaker: Speaker, look: Look) -> None:
    """It is found by its owner's name as soon as the mailbox is there, and by a new name after a rename."""
    found = "SELECT device_guid::text AS guid FROM device_words WHERE word = %s"
    speaker.synchronise([device(1)])
    assert look(found, "user0@example.test") == []
    speaker.synchronise([device(1)], [mailbox(0)])
    assert look(found, "user0@example.test") == [{"guid": device(1)[0]}]
    speaker.synchronise([device(1)], [mailbox(0, primary_smtp="zoe@example.test", display_name="Zoë")])
    assert look(found, "user0@example.test") == []
    assert look(found, "zoe@example.test") == [{"guid": device(1)[0]}]
    stored = look("SELECT words FROM devices")[0]["words"]
    assert sorted(row["word"] for row in look("SELECT word FROM device_words")) == sorted(stored)


def test_words_follow_a_device_that_changes(speaker: Speaker, look: Look) -> None:
    """The old name does not find it any more."""
    speaker.synchronise([device(1, friendly_name="Oude telefoon")])
    speaker.synchronise([device(1, friendly_name="Nieuwe telefoon")])
    words = {row["word"] for row in look("SELECT word FROM device_words")}
    assert {"nieuwe", "telefoon"} <= words
    assert "oude" not in words


REQUEST = "UPDATE organizations SET sync_requested = %s, sync_requested_at = clock_timestamp()"


def test_a_requested_synchronisation_is_told_until_it_is_sealed(speaker: Speaker, look: Look) -> None:
    """A connector that is killed in between is asked again; a quick one does not serve a request for a full one."""
    look(REQUEST, "full")
    assert speaker.say()["sync"] == "full"
    speaker.synchronise([device(1)], scope=Scope.QUICK)
    announced, _ = speaker.begin([device(1)])
    speaker.part(announced, 1, [device(1)])
    assert speaker.say()["sync"] == "full"
    speaker.seal(announced)
    assert speaker.say()["sync"] == "none"


@pytest.mark.parametrize("scope", [Scope.QUICK, Scope.FULL])
def test_a_request_for_a_quick_synchronisation_is_served_by_either(speaker: Speaker, look: Look, scope: Scope) -> None:
    """A full one tells more than was asked for."""
    look(REQUEST, "quick")
    speaker.synchronise([device(1)], scope=scope)
    assert speaker.say()["sync"] == "none"


def test_a_held_synchronisation_serves_its_request(speaker: Speaker, look: Look) -> None:
    """It waits for a person now, not for the connector; the answer counts it."""
    speaker.synchronise(DEVICES)
    look(REQUEST, "full")
    assert states(speaker.synchronise(DEVICES[:9])) == ["held"]
    answer = speaker.say()
    assert (answer["sync"], answer["held"]) == ("none", {"count": 1})
    speaker.synchronise(DEVICES)
    assert speaker.say()["held"] == {"count": 0}


def test_a_request_made_during_a_synchronisation_is_not_served_by_it(speaker: Speaker, look: Look) -> None:
    """What it told may be older than the question."""
    announced, _ = speaker.begin()
    look(REQUEST, "full")
    speaker.seal(announced)
    assert speaker.say()["sync"] == "full"


def test_every_part_and_seal_leaves_an_event(speaker: Speaker, look: Look) -> None:
    """The audit trail has one summary a part, and one for the end."""
    speaker.synchronise(DEVICES, MAILBOXES)
    names = [row["name"] for row in look("SELECT name FROM events ORDER BY at, name")]
    assert names.count("connector:sync:merged") == 3
    assert names.count("connector:sync:sealed") == 1
    assert names.count("connector:connector:enrolled") == 1


def test_counters_stay_true_over_many_changes(speaker: Speaker, look: Look) -> None:
    """After changes of state, family and mailbox, leaving and coming back, the counters are what a count gives."""
    speaker.synchronise(DEVICES, MAILBOXES)
    android = {"device_type": "Android", "os": "Android 14", "user_agent": "Android-Mail"}
    changed = [device(number, access_state="Blocked", **android) for number in range(20)]
    orphans = [device(number, mailbox_guid=None) for number in range(20, 30)]
    speaker.synchronise([*changed, *orphans, *DEVICES[40:]], MAILBOXES)
    speaker.synchronise([*orphans, *DEVICES[35:]], MAILBOXES)
    counted = counters(look)
    look("DELETE FROM counters")
    states_now = look("SELECT access_state AS name, count(*) AS n FROM devices WHERE gone_at IS NULL GROUP BY 1")
    families = look("SELECT family AS name, count(*) AS n FROM devices WHERE gone_at IS NULL GROUP BY 1")
    expected = {f"state:{row['name']}": row["n"] for row in states_now} | {
        f"family:{row['name']}": row["n"] for row in families
    }
    orphaned = look("SELECT count(*) AS n FROM devices WHERE gone_at IS NULL AND mailbox_guid IS NULL")[0]["n"]
    assert counted == {**expected, "devices": living(look), "mailboxes": 60, "orphans": orphaned}


def test_an_organization_that_statistics_do_not_know_is_looked_up_by_key(
    replica: Replica, shared_urls: Urls, speaker: Speaker, look: Look
) -> None:
    """One tenant was analysed and another one is filled: each device is found by its key, not by reading them all."""
    first = new_tenant(replica, shared_urls, "analysed")
    other = Speaker(first.url)
    other.enrol(first.ticket())
    other.synchronise([device(number) for number in range(3_000)], rows=1_500)
    speaker.synchronise([device(number) for number in range(1_000)], rows=1_000)
    organization = speaker.identity["organization"]
    guids = [UUID(device(number)[0]) for number in range(1_000)]
    text = STATEMENTS["merge.changed_devices"].sql.decode()
    for name, value in (("organization_id", "%s::uuid"), ("guids", "%s"), ("hashes", "%s")):
        text = text.replace(f"%({name})s", value).replace(f"%({name})b", value)
    plan = look(f"EXPLAIN (ANALYZE, COSTS off) {text}", guids, [0] * 1_000, organization)
    lines = [row["QUERY PLAN"] for row in plan]
    assert any("Index Scan using devices_pkey" in line for line in lines), lines
    assert not any("Rows Removed by Filter" in line for line in lines), lines
