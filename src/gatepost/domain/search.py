"""Words for prefix search: what a device is found by, and what a person types, made equal in one place."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 100
WORDS_A_DEVICE = 40
SEPARATORS = re.compile(r"[\s\x00-\x1f]+")
PARTS = re.compile(r"[^\W_]+")


def normal(text: str) -> str:
    """Text as it is compared: compatibility forms and case folded, accents kept, at most 100 characters."""
    return unicodedata.normalize("NFKC", text).casefold()[:LONGEST]


def words(texts: Iterable[str | None]) -> list[str]:
    """The words of some texts, each one whole and its parts between punctuation: the first 40 of them, sorted."""
    found: dict[str, None] = {}
    for text in texts:
        for word in search_words(text) if text else ():
            found[word] = None
            found.update(dict.fromkeys(PARTS.findall(word)))
    return sorted(list(found)[:WORDS_A_DEVICE])


def search_words(typed: str) -> list[str]:
    """What a person typed, as words: each must be the beginning of a word of what is found."""
    return [word for word in SEPARATORS.split(normal(typed)) if word]
