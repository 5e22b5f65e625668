"""Recent errors: each once, the newest first, not more than a few, with what to do about them."""

from gatepost.connector.troubles import KEPT, LONGEST, Troubles
from gatepost.errors import ExchangeUnreachable, ServiceUnreachable


def test_an_error_that_comes_again_is_told_once_and_is_the_newest() -> None:
    """Cause and remedy are apart, so that a page can show what to do."""
    troubles = Troubles()
    troubles.met(ExchangeUnreachable("mail1 does not answer.", "Check that it is on."))
    troubles.met(ServiceUnreachable("The service does not answer.", "Check the proxy."))
    troubles.met(ExchangeUnreachable("mail1 does not answer.", "Check that it is on."))
    told = troubles.documents()
    assert [(each["what"], each["remedy"]) for each in told] == [
        ("mail1 does not answer.", "Check that it is on."),
        ("The service does not answer.", "Check the proxy."),
    ]
    assert told[0]["at"] >= told[1]["at"]


def test_only_the_newest_few_are_kept_and_none_is_endless() -> None:
    """A status goes with every document, so it stays small whatever is met."""
    troubles = Troubles()
    for number in range(KEPT + 5):
        troubles.met(ExchangeUnreachable(f"{number} " + "x" * 5_000))
    told = troubles.documents()
    assert [each["what"].split()[0] for each in told] == [str(number) for number in range(KEPT + 4, 4, -1)]
    assert max(len(each["what"]) for each in told) == LONGEST
