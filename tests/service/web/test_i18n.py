"""Languages: every text is there in Dutch, and dates, numbers and zones are written as people write them."""

import importlib.machinery
import importlib.util
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from babel.messages import Catalog
from babel.messages.pofile import read_po

from gatepost.service.web import i18n
from gatepost.service.web.i18n import LANGUAGES, choose
from tests.service.web.conftest import Visitor

TOOL = Path(__file__).parents[3] / "tools" / "messages"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
NOW = datetime(2026, 7, 1, 12, 0, 5, tzinfo=UTC)


def tool() -> ModuleType:
    """The extracting tool, as a module."""
    loader = importlib.machinery.SourceFileLoader("messages", str(TOOL))
    spec = importlib.util.spec_from_loader("messages", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def catalogue(language: str) -> Catalog:
    """A committed catalogue."""
    with (i18n.LOCALE / language / "LC_MESSAGES" / "gatepost.po").open("rb") as source:
        return read_po(source, locale=language)


def forms(texts: object) -> list[str]:
    """One text, or its singular and plural."""
    return [str(text) for text in texts] if isinstance(texts, list | tuple) else [str(texts)]


def placeholders(text: str) -> set[str]:
    """The names that a text fills in."""
    return set(PLACEHOLDER.findall(text))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_catalogue_holds_exactly_the_texts_of_the_console(language: str) -> None:
    """After a change of texts run tools/messages and translate what is new."""
    wanted = {message.id for message in tool().template() if message.id}
    assert {message.id for message in catalogue(language) if message.id} == wanted
    assert len(wanted) > 150


def test_every_text_is_translated_into_dutch() -> None:
    """None is missing, none is fuzzy, each keeps its placeholders."""
    for message in catalogue("nl"):
        if not message.id:
            continue
        sources, texts = forms(message.id), forms(message.string)
        assert all(texts), message.id
        assert not message.fuzzy, message.id
        for text in texts:
            assert placeholders(text) <= placeholders(" ".join(sources)), message.id
        if len(texts) == 1:
            assert placeholders(texts[0]) == placeholders(sources[0]), message.id


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, None, "en"),
        (None, "nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        (None, "en;q=0.5, nl;q=0.9", "nl"),
        (None, "fr, de;q=0.9", "en"),
        (None, "nl;q=0, en", "en"),
        (None, "nl;q=x,;;,", "en"),
        ("nl", "en", "nl"),
        ("xx", "nl", "nl"),
        ("../../etc", None, "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(
    chosen: str | None, accepted: str | None, language: str
) -> None:
    """A choice beats the browser's wish, rubbish beats nothing."""
    assert choose(chosen, accepted).code == language


def test_moments_are_in_the_persons_zone_with_its_name() -> None:
    """CEST in summer, CET in winter, UTC+… where the zone has no letters."""
    amsterdam = ZoneInfo("Europe/Amsterdam")
    assert LANGUAGES["en"].moment(NOW, amsterdam) == "1 Jul 2026, 14:00:05 CEST"
    assert LANGUAGES["nl"].moment(NOW - timedelta(days=150), amsterdam) == "1 feb 2026, 13:00:05 CET"
    assert LANGUAGES["en"].moment(NOW, ZoneInfo("America/Sao_Paulo")).endswith("09:00:05 UTC-03")


@pytest.mark.parametrize("name", [None, "", "Not/AZone", "../../etc/passwd", "/etc/passwd", "x" * 5000, "a\0b"])
def test_an_unknown_zone_is_utc(name: str | None) -> None:
    """A cookie may say anything."""
    assert i18n.zone(name) is UTC


def test_numbers_distances_and_durations() -> None:
    """Separators, plurals and units of the language."""
    english, dutch = LANGUAGES["en"], LANGUAGES["nl"]
    assert (english.number(1234567), dutch.number(1234567)) == ("1,234,567", "1.234.567")
    assert dutch.distance(NOW - timedelta(minutes=3), NOW) == "3 minuten geleden"
    assert english.distance(NOW + timedelta(hours=2), NOW) == "in 2 hours"
    assert dutch.distance(NOW, NOW) == "zojuist"
    assert english.duration(timedelta(milliseconds=36)) == "36 ms"
    assert english.duration(timedelta(seconds=75)) == "75 sec"
    assert dutch.plural("%(count)s device", "%(count)s devices", 1) == "1 apparaat"
    assert dutch.plural("%(count)s device", "%(count)s devices", 1200) == "1.200 apparaten"


def test_the_language_can_be_chosen_on_every_page(anna: Visitor) -> None:
    """The choice stays, and leads back to the same page."""
    answer = anna.post("/language", {"language": "nl", "back": "/devices?q=x"})
    assert answer.headers["Location"] == "/devices?q=x"
    assert "Apparaten" in anna.get("/devices").text
    anna.post("/language", {"language": "tlh", "back": "//evil.example"})
    assert "Apparaten" in anna.get("/devices").text
