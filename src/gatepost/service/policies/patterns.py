"""Patterns over device ids and addresses: found by one pass over the column, so that classes need not hold the texts.

The database compares no patterns: ours are RE2's, and only one program may say what they mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gatepost.domain.policies import PATTERN_BYTES, PatternIs, Policy, compiled

TOGETHER_BYTES = PATTERN_BYTES * 16
"""Enough for the patterns of two policies, each of as many steps as a policy may have."""


@dataclass(frozen=True, slots=True)
class Found:
    """The texts that some pattern speaks of, each with its class: texts of one class match the same patterns.

    ``standing_for`` holds one text of each class; class 0 is that of texts that nothing matches.
    """

    texts: Sequence[str] = ()
    classes: Sequence[int] = ()
    standing_for: Sequence[str] = field(default=("",))


def patterns_of(policies: Iterable[Policy], name: str) -> list[str]:
    """The patterns of these policies' rules over a column, ``device_id`` or ``user``; each once."""
    asked = (rule.conditions.get(name) for policy in policies for rule in policy.rules)
    return list(dict.fromkeys(each.pattern for each in asked if isinstance(each, PatternIs)))


def find(patterns: Sequence[str], column: Iterable[str]) -> Found:
    """Look at every text once: by all patterns together first, by each where one of them is found."""
    any_of = compiled("|".join(f"(?:{pattern})" for pattern in patterns), TOGETHER_BYTES)
    each_of = [compiled(pattern) for pattern in patterns]
    known: dict[tuple[bool, ...], int] = {(False,) * len(patterns): 0}
    texts: list[str] = []
    classes: list[int] = []
    standing_for = [""]
    for text in column:
        if any_of.search(text) is None:
            standing_for[0] = text
            continue
        told = tuple(pattern.search(text) is not None for pattern in each_of)
        number = known.setdefault(told, len(known))
        if number == len(standing_for):
            standing_for.append(text)
        texts.append(text)
        classes.append(number)
    return Found(texts, classes, standing_for)
