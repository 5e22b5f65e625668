"""The access engine: the published table, random organizations, and what is not known.

The lab has an engine of its own that shares no code with ours: both must say the same of every organization.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.domain.engine import Device, Lists, Organization, State, Step, read_rules
from gatepost.domain.settings import AccessRule
from gatepost.lab.access import DISCOVERING, UPGRADE, RuleBook, Verdict, decide
from gatepost.lab.rows import AccessRule as LabRule
from gatepost.lab.rows import Domain, Handset, Mailbox

DOCUMENT = Path(__file__).parents[2] / "docs" / "engine.md"
LEVELS = ("Allow", "Quarantine", "Block")
CHARACTERISTICS = ("DeviceType", "DeviceModel", "DeviceOS", "UserAgent", "XMSWLHeader")
SAID = ("iPhone", "iphone", "iOS 17", "Pixel", None)
MISBEHAVES = Verdict("Blocked", "RecentCommands")
WORDS = {
    "Allowed": State.ALLOWED,
    "Blocked": State.BLOCKED,
    "Quarantined": State.QUARANTINED,
    "DeviceDiscovery": State.DISCOVERY,
}


def table() -> Iterator[list[str]]:
    """The rows of the published table, cell by cell."""
    text = DOCUMENT.read_text().partition("## The table")[2]
    for line in text.splitlines():
        if line.startswith(("| on", "| off")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def lab_mailbox(lists: Lists, policy: str = "Default") -> Mailbox:
    """A mailbox of the lab with these lists."""
    box = Mailbox(
        "g", "A", "a", "A", Domain("x.test", "X", "Users", ("dc",)), "UserMailbox", "EX", 0, 0, None, policy=policy
    )
    box.enabled, box.allowed, box.blocked = lists.enabled is True, lists.allowed or (), lists.blocked or ()
    return box


def handset(device: Device, version: str = "16.1") -> Handset:
    """What the lab's phone says of itself."""
    return Handset(device.device_type, device.model, device.os, None, device.user_agent, "EAS", version, "EAS")


@pytest.mark.parametrize("row", list(table()), ids=" / ".join)
def test_both_engines_say_what_the_published_table_says(row: list[str]) -> None:
    """Each row of docs/engine.md, asked of ours and, as far as its own inputs can be made so, of the lab's."""
    active, said, blocked, allowed, levels, default, state, reason = row
    last_state, last_reason = said.split()
    device = Device("ID1", "iPhone", state=last_state, reason=last_reason)
    lists = Lists(("id1",) if allowed == "yes" else (), ("Id1",) if blocked == "yes" else (), active == "on")
    rules = [(level, "iPhone") for level in levels.split(", ") if level in LEVELS]
    ours = Organization([AccessRule("", None, "DeviceType", text, level) for level, text in rules], default)
    assert (ours.verdict(device, lists).state, ours.verdict(device, lists).reason) == (State(state), Step(reason))
    passing = {"Upgrade": UPGRADE, "RecentCommands": MISBEHAVES}.get(last_reason)
    passing = DISCOVERING if last_state == "DeviceDiscovery" else passing
    strict = last_reason == "Policy"
    book = RuleBook(
        [LabRule(f"rule {at}", text, "DeviceType", level) for at, (level, text) in enumerate(rules)],
        default,
        ("Strict",) if strict else (),
    )
    theirs = decide(
        lab_mailbox(lists, "Strict" if strict else "Default"),
        "ID1",
        handset(device, "12.0" if strict else "16.1"),
        book,
        passing,
    )
    assert (WORDS[theirs.state] if theirs else State.OFF) == State(state)


def test_the_published_table_shows_every_step_and_state() -> None:
    """A step that no row shows would be one that nobody has checked."""
    rows = list(table())
    assert {row[7] for row in rows} == {step.value for step in Step}
    assert {row[6] for row in rows} == {state.value for state in State} - {"unknown"}


ids = st.sampled_from(["AB", "ab", "CD", "EF"])
id_lists = st.lists(ids, max_size=2).map(tuple)
rule_texts = st.tuples(
    st.sampled_from(LEVELS), st.sampled_from(CHARACTERISTICS), st.sampled_from([each for each in SAID if each])
)


@settings(max_examples=300)
@given(
    device=st.builds(Device, ids, *[st.sampled_from(SAID)] * 4),
    before=st.builds(Lists, id_lists, id_lists, st.just(value=True)),
    after=st.builds(Lists, id_lists, id_lists, st.booleans()),
    rules=st.lists(rule_texts, max_size=5, unique_by=lambda each: (each[1], each[2])),
    default=st.sampled_from(LEVELS),
    passing=st.sampled_from([None, None, MISBEHAVES, UPGRADE, DISCOVERING]),
    strict=st.booleans(),
)
def test_after_any_change_of_the_lists_both_engines_say_the_same(
    device: Device,
    before: Lists,
    after: Lists,
    rules: list[tuple[str, str, str]],
    default: str,
    passing: Verdict | None,
    strict: bool,
) -> None:
    """Exchange judged a phone once; then its mailbox's lists change, and ours foresees what the lab decides next.

    What holds for a while is foreseen where Exchange said so: a phone that was on a list then was not seen to pass.
    """
    phone = handset(device, "12.0" if strict else "16.1")
    book = RuleBook(
        [LabRule(f"{at}", text, kind, level) for at, (level, kind, text) in enumerate(rules)], default, ("Strict",)
    )
    once = decide(lab_mailbox(before, "Strict"), device.device_id or "", phone, book, passing)
    assert once is not None
    if passing is not None and once.reason == "Individual":
        passing = None
    then = decide(lab_mailbox(after, "Strict"), device.device_id or "", phone, book, passing)
    ours = Organization([AccessRule("", f"{at}", *each[1:], each[0]) for at, each in enumerate(rules)], default)
    foreseen = ours.verdict(replace(device, state=once.state, reason=once.reason), after)
    assert foreseen.state == (WORDS[then.state] if then else State.OFF)
    if then and then.reason == "DeviceRule":
        assert foreseen.reason is Step.RULE
    assert foreseen.path[-1] is foreseen.reason
    assert list(foreseen.path) == list(Step)[: len(foreseen.path)]


@pytest.mark.parametrize(
    ("organization", "lists", "step"),
    [
        (Organization([], None), Lists(), Step.DEFAULT),
        (Organization([], "Sometimes"), Lists(), Step.DEFAULT),
        (Organization(None, "Allow"), Lists(), Step.RULE),
        (Organization([], "Allow"), Lists(None, ()), Step.ALLOWED_LIST),
        (Organization([], "Allow"), Lists(("ID",), None), Step.BLOCKED_LIST),
    ],
)
def test_what_is_not_known_is_unknown_and_no_access(organization: Organization, lists: Lists, step: Step) -> None:
    """Rules, a default or a list that nobody could read never make a verdict that somebody relies on."""
    found = organization.verdict(Device("ID"), lists)
    assert (found.state, found.reason, found.access) == (State.UNKNOWN, step, False)


def test_a_list_that_is_shown_decides_whatever_else_is_unknown() -> None:
    """The lists come before rules and default, so these need not be known then."""
    assert Organization(None, None).verdict(Device("ID"), Lists(("id",))).access


def test_rules_are_read_from_facts_and_what_is_none_is_left_out() -> None:
    """No list of rules is no knowledge; a member that is no rule is none."""
    raw = [{"guid": "1", "name": "n", "characteristic": "DeviceType", "query": "iPhone", "level": "Block"}, 7]
    assert read_rules(raw) == [AccessRule("1", "n", "DeviceType", "iPhone", "Block")]
    assert read_rules(None) is None
