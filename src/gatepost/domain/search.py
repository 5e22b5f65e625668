"""Words for prefix search: what a device is found by, and what a person types, made equal in one place."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

LONGEST = 100
WORDS_A_DEVICE = 40
SEPARATORS = re.compile(r"[\s\x00-\x1f]+")
PARTS = re.compile(r"[^\W_]{3,}")
APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def normal(text: str) -> str:
    """Text as it is compared: without regard to case, accents and kinds of apostrophe, at most 100 characters."""
    apart = unicodedata.normalize("NFKD", text.translate(APOSTROPHES).casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))[:LONGEST]


def words(texts: Iterable[str | None]) -> list[str]:
    """The words of some texts, each one whole and its parts between punctuation: the first 40 of them, sorted.

    A search is for beginnings, so a word that begins another one is left out, and so are the parts of a GUID.
    """
    found: dict[str, None] = {}
    for text in texts:
        for word in search_words(text) if text else ():
            found[word] = None
            if GUID.fullmatch(word) is None:
                found.update(dict.fromkeys((word.partition("@")[2], *PARTS.findall(word))))
    found.pop("", None)
    kept = sorted(list(found)[:WORDS_A_DEVICE])
    return [word for word, following in pairwise([*kept, ""]) if not following.startswith(word)]


def search_words(typed: str) -> list[str]:
    """What a person typed, as words: each must be the beginning of a word of what is found."""
    return [word for word in SEPARATORS.split(normal(typed)) if word]
