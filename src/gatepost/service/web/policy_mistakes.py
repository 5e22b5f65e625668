"""What is wrong with a policy that somebody typed: every mistake at its field, in words that can be translated.

``domain.policies.read_policy`` judges, one piece at a time, so that a form shows all mistakes at once; only the words
are made here. A draft without mistakes is a policy that can be read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from gatepost.domain.policies import PolicyError, read_policy
from gatepost.service.web.i18n import N_
from gatepost.service.web.policy_form import Draft

A_RULE = {"id": "a", "name": "a", "level": "leave"}
NESTED = ("grace", "pre_approval")
SPAN = N_("Write a whole number, at most 366 days in all.")
VALUES = N_("Write one value a line, each of at most 200 visible characters, at most 200 of them.")
PATTERN = N_("This is no pattern that can be matched.")
WORDS = {
    "included": N_("Choose at most 200 groups."),
    "excluded": N_("Choose at most 200 groups."),
    "rules": N_("There may be at most 200 rules. Remove one first."),
    "unmanaged": N_("Choose one."),
    "noncompliant": N_("Choose one."),
    "cloud_cache": N_("Choose one."),
    "grace.unmanaged": SPAN,
    "grace.noncompliant": SPAN,
    "grace.warn": SPAN,
    "known_until": N_("Write a day and a time."),
    "pre_approval.per_mailbox": N_("Write a whole number from 0 to 20."),
    "pre_approval.days": N_("Write a whole number from 0 to 366."),
    "name": N_("Give the rule a name of 1 to 200 visible characters."),
    "level": N_("Choose one."),
    "when.family": N_("Choose among the families that are listed."),
    "when.model": VALUES,
    "when.os": N_("Name at least one system, or choose how its version compares and write one such as 17.1.2."),
    "when.user_agent": VALUES,
    "when.device_id": PATTERN,
    "when.user": PATTERN,
    "when.group": N_("Choose at most 200 groups."),
    "when.client": N_("Choose among the clients that are listed."),
    "when.synced_days_ago": N_("Write a whole number of days from 1 to 3660."),
}
"""By the field's place in a document; for a field of a rule by what follows the rule."""

UNKNOWN_GROUP = N_("There is no group of this name, or more than one. Choose it by its name as the directory tells it.")
LOST_GROUP = N_("A group that is chosen here is no longer in the directory. Take its mark away.")
TWICE = N_("Another rule has the same mark. Remove this one and add it anew.")
OTHERWISE = N_("The policy cannot be read as it stands here.")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong: a text marked for translation, and where it helps what the pattern's own reader says (English)."""

    text: str
    detail: str = ""


NOTE = Mistake(N_("A note has at most 500 visible characters on one line."))


def found(draft: Draft, zone: tzinfo, groups: Mapping[str, str]) -> dict[str, Mistake]:
    """Every mistake of a draft whose groups were resolved, by its place; empty where it can be saved.

    ``groups`` are the names of the directory's groups by id.
    """
    document = draft.document(zone)
    wrong = {place: mistake for place, piece in _pieces(document) if (mistake := _judged(place, piece))}
    for place, chosen in draft.groups().items():
        if chosen.typed or not set(chosen.chosen) <= set(groups):
            wrong[place] = Mistake(UNKNOWN_GROUP if chosen.typed else LOST_GROUP)
    if not wrong and (mistake := _judged("policy", document)):
        wrong["policy"] = mistake
    return wrong


def _pieces(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field as a policy of its own that has nothing else, with its place."""
    for name, value in document.items():
        if name in NESTED:
            yield from ((f"{name}.{inner}", {name: {inner: each}}) for inner, each in value.items())
        elif name != "rules":
            yield name, {name: value}
    for number, rule in enumerate(document["rules"]):
        place = f"rules[{number}]"
        yield from ((f"{place}.{name}", {"rules": [{**A_RULE, name: rule[name]}]}) for name in ("name", "level"))
        for name, value in rule["when"].items():
            yield f"{place}.when.{name}", {"rules": [{**A_RULE, "when": {name: value}}]}


def _judged(place: str, piece: Mapping[str, Any]) -> Mistake | None:
    try:
        read_policy(piece)
    except PolicyError as error:
        return _in_words(place, error)
    return None


def _in_words(place: str, error: PolicyError) -> Mistake:
    if place == "policy":
        known = {"rules": WORDS["rules"], "id": TWICE}
        text = known.get(error.place.rpartition(".")[2], OTHERWISE)
        return Mistake(text, "" if text is not OTHERWISE else str(error))
    text = WORDS[place.partition("].")[2] or place]
    return Mistake(text, error.why if text is PATTERN else "")
