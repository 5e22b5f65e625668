"""Words for prefix search: what a device is found by, and what a person types, made equal in one place."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

LONGEST = 100
WORDS_A_DEVICE = 40
SEPARATORS = re.compile(r"[\s\x00-\x1f]+")
PARTS = re.compile(r"[^\W_]{3,}")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def normal(text: str) -> str:
    """Text as it is compared: compatibility forms and case folded, accents kept, at most 100 characters."""
    return unicodedata.normalize("NFKC", text).casefold()[:LONGEST]


def words(texts: Iterable[str | None]) -> list[str]:
    """The words of some texts, each one whole and its parts between punctuation: the first 40 of them, sorted.

    A search is for beginnings, so a word that begins another one is left out, and so are the parts of a GUID.
    """
    found: dict[str, None] = {}
    for text in texts:
        for word in search_words(text) if text else ():
            found[word] = None
            if GUID.fullmatch(word) is None:
                found.update(dict.fromkeys(PARTS.findall(word)))
    kept = sorted(list(found)[:WORDS_A_DEVICE])
    return [word for word, following in pairwise([*kept, ""]) if not following.startswith(word)]


def search_words(typed: str) -> list[str]:
    """What a person typed, as words: each must be the beginning of a word of what is found."""
    return [word for word in SEPARATORS.split(normal(typed)) if word]
