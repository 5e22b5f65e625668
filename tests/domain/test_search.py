"""Words for prefix search: nothing that can be typed is lost, and nothing is kept twice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain.search import WORDS_A_DEVICE, search_words, words


def found(texts: list[str], typed: str) -> bool:
    """Whether every typed word begins a kept word."""
    kept = words(texts)
    return all(any(word.startswith(part) for word in kept) for part in search_words(typed))


def test_a_device_is_found_by_what_people_type() -> None:
    """By the beginning of a name, an address, a domain, a version, an id or a guid, in any case."""
    texts = ["Li's iPhone 15", "iOS 16.7.10 20H350", "j.van.Dijk@example.com", "63ca828d-d5f4-b3b2-e4b0-6ce60741c7a8"]
    for typed in ("li", "IPHONE", "16.7", "20h", "j.van", "dijk", "example", "63CA828D-D5", "ios 16", "\uff2ci"):
        assert found(texts, typed), typed
    for typed in ("phone", "d5f4", "17"):
        assert not found(texts, typed), typed


def test_accents_and_apostrophes_do_not_matter() -> None:
    """People type what their keyboard has."""
    texts = [
        "Sofie M\u00fcller",
        "Jan \u2019t Hart",
        "Siobh\u00e1n O\u2019Brien",
        "\u592a\u90ce",
        "anna@sub.example.com",
    ]
    for typed in (
        "muller",
        "M\u00dcLL",
        "'t hart",
        "\u2019t",
        "o'brien",
        "siobhan",
        "\u592a",
        "sub.example",
        "example",
    ):
        assert found(texts, typed), typed


@given(st.lists(st.text(max_size=30), max_size=4))
def test_every_word_is_found_by_all_its_beginnings(texts: list[str]) -> None:
    """Leaving out what begins another word loses nothing."""
    kept = words(texts)
    whole = [word for text in texts for word in search_words(text)]
    if len(kept) < WORDS_A_DEVICE:
        assert all(any(entry.startswith(word) for entry in kept) for word in whole)
    assert kept == sorted(set(kept))
    assert not any(two.startswith(one) for one, two in pairwise(kept))
