"""The console's languages: catalogues (``locale/*/LC_MESSAGES/gatepost.po``), times and numbers.

Catalogues are compiled in memory when the module is loaded, so a change of a ``.po`` needs no build step. The source
text is English; ``N_`` marks a text for extraction where it is only named and translated later.
"""

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_date, format_datetime, format_timedelta, get_timezone_name
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LOCALE = Path(__file__).parent / "locale"
SOURCE_LANGUAGE = "en"
PATTERN = "d MMM y, HH:mm:ss"


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text for extraction and give it back as it is."""
    return text


def _catalogue(language: str) -> gettext.GNUTranslations:
    """The compiled catalogue of one language."""
    with (LOCALE / language / "LC_MESSAGES" / "gatepost.po").open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its name in itself, its texts, and how it writes numbers and times."""

    code: str
    name: str
    locale: Locale
    catalogue: gettext.GNUTranslations

    def text(self, source: str, **values: object) -> str:
        """The translation of a source text, with ``%(name)s`` filled in."""
        translated = self.catalogue.gettext(source)
        return translated % values if values else translated

    def plural(self, one: str, many: str, count: int, **values: object) -> str:
        """The translation for a count, with ``%(count)s`` written as a number."""
        return self.catalogue.ngettext(one, many, count) % {"count": self.number(count), **values}

    def number(self, value: int) -> str:
        """A whole number with the language's separators."""
        return format_decimal(value, locale=self.locale)

    def moment(self, value: datetime, zone: tzinfo) -> str:
        """A moment to the second in a time zone, with the zone's name."""
        return f"{format_datetime(value, PATTERN, tzinfo=zone, locale=self.locale)} {_abbreviation(value, zone)}"

    def day(self, value: date) -> str:
        """A day: ``14 October 2025``."""
        return format_date(value, "d MMMM y", locale=self.locale)

    def distance(self, value: datetime, now: datetime) -> str:
        """How long ago, or how long from now, to the minute: ``3 minutes ago``."""
        if abs(value - now) < timedelta(minutes=1):
            return self.text(N_("just now"))
        return format_timedelta(value - now, add_direction=True, threshold=0.95, locale=self.locale)

    def zone_name(self, zone: tzinfo, now: datetime) -> str:
        """The name of a time zone at a moment: ``Central European Time (CET)``."""
        return f"{get_timezone_name(now.astimezone(zone), 'long', locale=self.locale)} ({_abbreviation(now, zone)})"

    def duration(self, value: timedelta) -> str:
        """A length of time with one unit: ``12 sec``; under a second as milliseconds."""
        if value < timedelta(seconds=1):
            return f"{self.number(max(0, round(value.total_seconds() * 1000)))} ms"
        return format_timedelta(value, format="short", threshold=1.5, locale=self.locale)


def _abbreviation(value: datetime, zone: tzinfo) -> str:
    """What the time zone is called at a moment: CET, or UTC+03 where it has no letters."""
    name = value.astimezone(zone).tzname() or ""
    return f"UTC{name}" if name.startswith(("+", "-")) else name


def _load() -> Mapping[str, Language]:
    codes = sorted(path.name for path in LOCALE.iterdir() if path.is_dir())
    return {
        code: Language(code, (locale := Locale.parse(code)).get_display_name(code) or code, locale, _catalogue(code))
        for code in codes
    }


LANGUAGES = _load()


def choose(chosen: str | None, accepted: str | None) -> Language:
    """The language to answer in: the one chosen by the person, else the best of ``Accept-Language``, else English."""
    if chosen and chosen in LANGUAGES:
        return LANGUAGES[chosen]
    return LANGUAGES[negotiate_locale(preferred(accepted), list(LANGUAGES)) or SOURCE_LANGUAGE]


def preferred(accepted: str | None) -> list[str]:
    """The languages of an ``Accept-Language`` header, the most wanted first."""
    return [code.replace("-", "_") for code, _ in sorted(_weights(accepted or ""), key=lambda pair: -pair[1])]


def _weights(header: str) -> list[tuple[str, float]]:
    """Languages and their weights of an ``Accept-Language`` header; what cannot be read counts as not asked for."""
    weights = []
    for entry in header[:500].split(","):
        code, _, quality = entry.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if code and weight > 0:
            weights.append((code, weight))
    return weights


def zone(name: str | None) -> tzinfo:
    """The time zone of an IANA name as the browser tells it; UTC where it is missing or unknown here."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, KeyError):
        return UTC
