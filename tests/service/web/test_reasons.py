"""The words for what is decided and why."""

import pytest

from gatepost.domain.access import Reason
from gatepost.domain.desired import Level
from gatepost.domain.facts import Client, Managed
from gatepost.service.web import reasons, words
from gatepost.service.web.i18n import LANGUAGES


@pytest.mark.parametrize(
    ("vocabulary", "names"),
    [("reason", Reason), ("because", Reason), ("level", Level), ("client", Client), ("managed", Managed)],
)
def test_every_name_of_the_domain_has_words(vocabulary: str, names: type[Reason]) -> None:
    """Whatever a decision can say has words of its own, and no words stand for what it cannot say."""
    assert set(words.VOCABULARIES[vocabulary]) == set(names)


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_no_two_reasons_read_the_same(code: str) -> None:
    """In every language two reasons can be told apart, by their names and by their sentences."""
    language = LANGUAGES[code]
    for texts in (reasons.REASON_NAMES, reasons.REASON_SENTENCES):
        shown = [language.text(text) for text in texts.values()]
        assert len(set(shown)) == len(shown)
        assert all(shown)
