"""People and groups over the API: who is in which, whose a mailbox is, and lists that are too short to be believed."""

from typing import Any

import pytest

from gatepost.domain.contract import Scope as Extent
from tests.service.conftest import Look
from tests.service.speaker import Speaker, mailbox
from tests.service.test_compliance import Reporter, person, reporter

__all__ = ["reporter"]
GROUPS = [{"id": name, "name": name.title()} for name in ("all", "pilot", "staff")]


def matched(look: Look) -> dict[str, str]:
    """The person of each mailbox that has one."""
    rows = look(
        "SELECT m.primary_smtp, p.external_id FROM mailboxes m JOIN people p ON p.person_id = m.person_id ORDER BY 1"
    )
    return {row["primary_smtp"]: row["external_id"] for row in rows}


def audiences(look: Look) -> dict[str, list[str]]:
    """The groups of each person, as their audience has them."""
    rows = look(
        "SELECT p.external_id, ARRAY(SELECT g.external_id FROM groups g WHERE g.group_id = ANY(a.group_ids) "
        "ORDER BY 1) AS groups FROM people p JOIN audiences a ON a.audience_id = p.audience_id ORDER BY 1"
    )
    return {row["external_id"]: row["groups"] for row in rows}


def test_people_are_kept_with_their_groups_and_mailboxes(reporter: Reporter, look: Look) -> None:
    """Told again it is the same; a change replaces what was told before, and nothing else."""
    assert reporter.put("groups", groups=GROUPS) == {"told": 3, "removed": 0}
    told = [person(0, groups=["staff", "all"], language="nl", display_name="Anna", enabled=True), person(1)]
    for _ in range(2):
        assert reporter.put("people", people=told) == {"told": 2, "removed": 0}
        assert audiences(look) == {"p0": ["all", "staff"], "p1": []}
        assert matched(look) == {"user0@example.test": "p0", "user1@example.test": "p1"}
    listed = reporter.call("GET", "people").json()["people"]
    assert [(each["id"], each["groups"], each["language"], each["mailboxes"]) for each in listed] == [
        ("p0", ["all", "staff"], "nl", 1),
        ("p1", [], None, 1),
    ]
    groups = reporter.call("GET", "groups?limit=2").json()
    assert [(each["id"], each["name"], each["people"]) for each in groups["groups"]] == [
        ("all", "All", 1),
        ("pilot", "Pilot", 0),
    ]
    assert reporter.call("GET", f"groups?after={groups['next']}").json()["groups"][0]["id"] == "staff"
    reporter.put("people", people=[person(1, smtp=["user0@example.test", "user2@example.test"], groups=["pilot"])])
    assert audiences(look) == {"p0": ["all", "staff"], "p1": ["pilot"]}
    assert matched(look) == {"user2@example.test": "p1"}


def test_a_complete_list_forgets_what_it_leaves_out(reporter: Reporter, look: Look) -> None:
    """People with what they are found by, groups with who was in them; it is written down."""
    reporter.put("groups", groups=GROUPS)
    reporter.put("people", people=[person(0, groups=["all", "staff"]), person(1, groups=["all"])])
    assert reporter.put("groups", groups=GROUPS[1:], complete=True) == {"told": 2, "removed": 1}
    assert audiences(look) == {"p0": ["staff"], "p1": []}
    assert reporter.put("people", people=[person(1)], complete=True) == {"told": 1, "removed": 1}
    assert matched(look) == {"user1@example.test": "p1"}
    assert look("SELECT count(*) FROM person_addresses WHERE address LIKE 'user0@%%'") == [{"count": 0}]
    assert look("SELECT body FROM events WHERE name = 'console:directory:shrunk' ORDER BY at") == [
        {"body": {"kind": "groups", "gone": 1}},
        {"body": {"kind": "people", "gone": 1}},
    ]


def test_a_list_that_is_too_short_is_refused(reporter: Reporter, look: Look) -> None:
    """An empty one always, one that leaves out more than 5 % or 50 unless it says how many; nothing is changed."""
    everybody = [person(number) for number in range(60)]
    reporter.put("people", people=everybody)
    assert reporter.put("people", 409, people=[], complete=True, may_remove=60)["detail"] == (
        "An empty list is never believed, so nothing was changed."
    )
    short: dict[str, Any] = {"people": [person(0, upn="other@corp.test"), *everybody[1:9]], "complete": True}
    refused = reporter.put("people", 409, **short)
    assert (refused["type"], refused["missing"], refused["known"]) == ("shrunk", 51, 60)
    assert refused["detail"] == (
        "The list leaves out 51 of 60, so nothing was changed. If that is right, send it with may_remove 51."
    )
    assert look("SELECT count(*), max(upn) FILTER (WHERE external_id = 'p0') AS upn FROM people") == [
        {"count": 60, "upn": "u0@corp.test"}
    ]
    assert reporter.put("people", **short, may_remove=51)["removed"] == 51
    reporter.put("groups", groups=GROUPS)
    assert reporter.put("groups", 409, groups=[], complete=True)["type"] == "shrunk"


def test_a_group_that_a_policy_in_force_names_stays(reporter: Reporter, look: Look) -> None:
    """Without it who is excluded by it would be judged, and perhaps cut off."""
    reporter.put("groups", groups=GROUPS)
    reporter.put("people", people=[person(0, groups=["all"])])
    look(
        "INSERT INTO policies (version, document, made_by, made_id) SELECT 1, jsonb_build_object('excluded', "
        "jsonb_build_array(group_id)), 'anna', gen_random_uuid() FROM groups WHERE external_id = 'all'"
    )
    look("INSERT INTO rollouts (version, ring, began_by, began_id) VALUES (1, 'all', 'anna', gen_random_uuid())")
    refused = reporter.put("groups", 409, groups=GROUPS[1:], complete=True)
    assert refused["type"] == "group-in-use"
    assert refused["detail"] == (
        "The group All is named by the policy that holds, so nothing was changed. Roll out a version that does not "
        "name it, then leave it out."
    )
    assert audiences(look) == {"p0": ["all"]}
    look("UPDATE policies SET document = '{}'")
    assert reporter.put("groups", groups=GROUPS[1:], complete=True)["removed"] == 1


def test_a_mailbox_that_appears_finds_its_person(reporter: Reporter, speaker: Speaker, look: Look) -> None:
    """By its primary address only, whatever the case."""
    reporter.put("people", people=[person(7), person(8, smtp=["x8@example.test"], upn="user8@example.test")])
    assert matched(look) == {}
    speaker.synchronise([], [mailbox(7), mailbox(8)], scope=Extent.QUICK)
    assert matched(look) == {"user7@example.test": "p7"}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("people", {"people": [person(0, groups=["staff", "none"])]}, "There is no group none, staff."),
        ("people", {"people": [person(0), person(0)]}, "p0 is told twice"),
        ("people", {"people": [{"id": "a", "smtp": ["not one"]}]}, "body.people.0.smtp.0"),
        ("people", {"people": [{"id": "a", "language": "nl_NL"}]}, "body.people.0.language"),
        ("people", {"people": [{"smtp": []}]}, "body.people.0.id"),
        ("groups", {"groups": [{"id": "a", "name": ""}]}, "body.groups.0.name"),
        ("groups", {"groups": [{"id": "a", "name": "a"}] * 2}, "a is told twice"),
        ("groups", {"groups": [], "may_remove": -1}, "body.may_remove"),
    ],
)
def test_mistakes_in_lists_are_named(reporter: Reporter, path: str, body: dict[str, Any], said: str) -> None:
    """The field, by its place; nothing of the list is kept."""
    answer = reporter.call("PUT", path, body)
    assert answer.status_code == 400, answer.text
    assert said in answer.text
    assert reporter.call("GET", path).json()[path] == []
