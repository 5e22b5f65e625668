"""The policy's form: every policy survives it, it tells its mistakes, and its buttons change the order of rules."""

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.domain.facts import Client
from gatepost.domain.policies import MOST_RULES, Policy, read_policy
from gatepost.service.web import policy_form, policy_mistakes, render
from gatepost.service.web.policy_form import Draft, Groups, RuleDraft, Span, draft_of
from tests.service.web.forms import fields_of
from tests.service.web.policy_documents import documents

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
GROUPS = {"7d1f": "Staff", "a2c9": "Visitors & <guests>", "b000": "Zoë's"}
EMPTY = draft_of(Policy(), UTC)


def shown(draft: Draft, language: str = "en") -> str:
    """The form as a page has it."""
    return render.text(
        language,
        "policy/form.html",
        draft=draft,
        groups=GROUPS,
        mistakes={},
        opened=set(),
        defaults=[],
        now=datetime.now(UTC),
        zone=UTC,
        **policy_form.CHOICES,
    )


def in_order(document: dict[str, Any]) -> dict[str, Any]:
    """A document whose families and clients stand in the order of the form, and its moment in UTC."""
    for rule in document["rules"]:
        for name in ("family", "client"):
            if name in rule["when"]:
                rule["when"][name] = sorted(rule["when"][name])
    return document


@settings(max_examples=60)
@given(documents(st.sampled_from(sorted(GROUPS))), st.sampled_from([UTC, AMSTERDAM]))
def test_every_policy_survives_the_form(document: dict[str, Any], zone: tzinfo) -> None:
    """What is shown and sent back untouched is the same policy, whatever it says and wherever the person is."""
    policy = read_policy(document)
    sent = policy_form.read(fields_of(shown(draft_of(policy, zone)))).resolved(GROUPS)
    assert policy_mistakes.found(sent, zone, GROUPS) == {}
    again = read_policy(sent.document(zone))
    assert in_order(again.document()) == in_order(policy.document())
    assert again.known_until == policy.known_until
    assert again.grace == policy.grace


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(sorted(fields_of(shown(EMPTY.with_rule("a"))))), st.lists(st.text(), max_size=3))
)
def test_whatever_is_sent_is_a_policy_or_a_mistake(fields: dict[str, list[str]]) -> None:
    """No text of a browser, however odd, breaks the form: it can be read, or every page names what is wrong."""
    draft = policy_form.read(fields)
    if not policy_mistakes.found(draft, AMSTERDAM, GROUPS):
        read_policy(draft.document(AMSTERDAM))


def wrong(**changes: Any) -> dict[str, str]:
    """The mistakes of a draft that differs so from the empty one."""
    found = policy_mistakes.found(replace(EMPTY, **changes), UTC, GROUPS)
    return {place: mistake.text for place, mistake in found.items()}


def wrong_rule(**changes: Any) -> dict[str, str]:
    """The mistakes of a rule."""
    return wrong(rules=(replace(RuleDraft("a", "Old phones"), **changes),))


def test_the_empty_form_has_no_mistake() -> None:
    """What the form begins with can be saved."""
    assert wrong() == {}
    assert wrong_rule() == {}


@pytest.mark.parametrize(
    ("field", "typed", "place", "says"),
    [
        ("grace_unmanaged", Span("soon", "days"), "grace.unmanaged", "Write a whole number, at most 366 days in all."),
        ("grace_noncompliant", Span("367", "days"), "grace.noncompliant", "at most 366 days"),
        ("warn", Span("-1", "hours"), "grace.warn", "at most 366 days"),
        ("known_until", policy_form.Moment("tomorrow"), "known_until", "Write a day and a time."),
        ("per_mailbox", "21", "pre_approval.per_mailbox", "Write a whole number from 0 to 20."),
        ("days", "", "pre_approval.days", "Write a whole number from 0 to 366."),
        ("unmanaged", "", "unmanaged", "Choose one."),
        ("cloud_cache", "deny", "cloud_cache", "Choose one."),
        ("included", Groups((), "Nobody"), "included", "There is no group of this name, or more than one."),
        ("excluded", Groups(("gone",)), "excluded", "no longer in the directory"),
        ("rules", (RuleDraft("a", "A"),) * 2, "policy", "Another rule has the same mark."),
        (
            "rules",
            tuple(RuleDraft(str(number), "A") for number in range(MOST_RULES + 1)),
            "policy",
            "There may be at most 200 rules.",
        ),
    ],
)
def test_a_mistake_is_told_at_its_field(field: str, typed: object, place: str, says: str) -> None:
    """Each in words that say what to write."""
    found = wrong(**{field: typed})
    assert set(found) == {place}
    assert says in found[place]


@pytest.mark.parametrize(
    ("field", "typed", "place", "says"),
    [
        ("name", "", "name", "Give the rule a name"),
        ("level", "deny", "level", "Choose one."),
        ("families", ("nokia",), "when.family", "among the families"),
        ("models", "x" * 201, "when.model", "one value a line"),
        ("version", "12", "when.os", "choose how its version compares"),
        ("operator", "<", "when.os", "choose how its version compares"),
        ("device_id", "(", "when.device_id", "This is no pattern that can be matched."),
        ("user", "a{1001}", "when.user", "This is no pattern that can be matched."),
        ("clients", ("fax",), "when.client", "among the clients"),
        ("synced", "0", "when.synced_days_ago", "days from 1 to 3660"),
        ("groups", Groups((), "Stuff"), "when.group", "There is no group of this name"),
    ],
)
def test_a_mistake_in_a_rule_is_told_at_its_field(field: str, typed: object, place: str, says: str) -> None:
    """Each in words that say what to write."""
    found = wrong_rule(**{field: typed})
    assert set(found) == {f"rules[0].{place}"}
    assert says in found[f"rules[0].{place}"]


def test_every_mistake_is_told_at_once() -> None:
    """Nobody has to send a form five times to learn of five mistakes; a pattern's reader says what it does not like."""
    draft = replace(EMPTY, days="x", rules=(RuleDraft("a", "", device_id="["), RuleDraft("b", "B", synced="x")))
    found = policy_mistakes.found(draft, UTC, GROUPS)
    assert set(found) == {
        "pre_approval.days",
        "rules[0].name",
        "rules[0].when.device_id",
        "rules[1].when.synced_days_ago",
    }
    assert "missing ]" in found["rules[0].when.device_id"].detail


def test_a_group_is_chosen_by_its_name() -> None:
    """Whatever its letters' case; a name that two groups have, or none, stays typed."""
    known = {**GROUPS, "c1": "Twins", "c2": "twins"}
    typed = replace(EMPTY, included=Groups(("7d1f",), "zoË'S"), excluded=Groups((), "Twins"))
    draft = typed.resolved(known)
    assert draft.included == Groups(("7d1f", "b000"))
    assert draft.excluded == Groups((), "Twins")


def test_rules_are_added_moved_and_removed() -> None:
    """Each keeps its id and what was typed; a place that is not there changes nothing."""
    draft = replace(EMPTY, rules=tuple(RuleDraft(name, name.upper()) for name in "abc"))

    def names(changed: Draft) -> str:
        return "".join(rule.rule_id for rule in changed.rules)

    assert names(draft.with_rule("d")) == "abcd"
    assert names(draft.with_rule_at(2, 0)) == "cab"
    assert names(draft.with_rule_at(0, 1)) == "bac"
    assert names(draft.with_rule_at(0, 3)) == names(draft.with_rule_at(-1, 0)) == "abc"
    assert names(draft.without_rule(1)) == "ac"


def test_a_rule_is_told_in_a_sentence() -> None:
    """Its summary says what it asks, in words of the person's language."""
    rule = RuleDraft(
        "a", "A", families=("ios",), operator="<", version="17.1", groups=Groups(("7d1f",)), clients=(Client.NATIVE,)
    )
    text = " ".join(shown(replace(EMPTY, rules=(rule,))).split())
    assert (
        "When: family is iPhone and iPad; version is older than 17.1; person is in <bdi>Staff</bdi>; "
        "client is The phone&#39;s own mail app"
    ) in text
    assert "When: always" in " ".join(shown(EMPTY.with_rule("b")).split())


def test_a_group_that_is_gone_is_shown_as_gone() -> None:
    """Nobody takes an id that means nothing for a group."""
    html = shown(replace(EMPTY, excluded=Groups(("0000",))))
    assert "no longer in the directory" in html
