"""Words for prefix search: what a device is found by, and what a person types, made equal in one place."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 100
WORDS_A_DEVICE = 40
SEPARATORS = re.compile(r"[\s\x00-\x1f]+")
PARTS = re.compile(r"[^\W_]+")
LAST = "\U0010ffff"


def normal(text: str) -> str:
    """Text as it is compared: compatibility forms and case folded, accents kept, at most 100 characters."""
    return unicodedata.normalize("NFKC", text).casefold()[:LONGEST]


def words(texts: Iterable[str | None]) -> list[str]:
    """The words of some texts: each one whole, and its parts between punctuation; sorted, at most 40."""
    found: set[str] = set()
    for text in texts:
        for word in SEPARATORS.split(normal(text)) if text else ():
            if word:
                found.add(word)
                found.update(PARTS.findall(word))
    return sorted(found)[:WORDS_A_DEVICE]


def prefixes(typed: str) -> list[tuple[str, str]]:
    """What a person typed as ranges ``from ≤ word < to`` in order of code points; every one must be met."""
    return [(word, word + LAST) for word in SEPARATORS.split(normal(typed)) if word]
