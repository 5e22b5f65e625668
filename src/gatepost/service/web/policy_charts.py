"""The bar charts of a preview: how many devices get another level by it, by reason, model, family and group. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatepost.service.web import words
from gatepost.service.web.i18n import N_, Language

Row = Mapping[str, Any]
SHOWN = 10
NO_MODEL = N_("Model not given")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what is counted (``value`` filters by it), its text, and the devices that change, lose and gain."""

    value: str
    text: str
    changes: int
    losing: int
    gaining: int


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; ``name`` is the filter that its values are of, ``more`` are the bars that are not shown at once."""

    name: str
    caption: str
    bars: Sequence[Bar]
    more: Sequence[Bar]

    @property
    def longest(self) -> int:
        """The largest count, which fills the width."""
        return max((bar.changes for bar in self.bars), default=1)


def charts(seen: Mapping[str, Any], language: Language) -> list[Chart]:
    """The charts of a preview (as ``preview.Preview.document`` tells it), in a language; without empty ones."""

    def named(vocabulary: str, name: str) -> str:
        return words.word(language, vocabulary, name).text

    made = (
        _chart("reason", language.text(N_("By reason")), seen["reasons"], lambda row: named("reason", row["reason"])),
        _chart("family", language.text(N_("By family")), seen["families"], lambda row: named("family", row["family"])),
        _chart(
            "model",
            language.text(N_("By model")),
            seen["models"],
            lambda row: words.visible(row["model"]) or language.text(NO_MODEL),
        ),
        _chart("group", language.text(N_("By group")), seen["groups"], lambda row: words.visible(row["name"])),
    )
    return [chart for chart in made if chart.bars]


def _chart(name: str, caption: str, tallies: Sequence[Row], text: Callable[[Row], str]) -> Chart:
    bars = [
        Bar(row[name], text(row), row["changes"], row["losing"], row["gaining"]) for row in tallies if row["changes"]
    ]
    return Chart(name, caption, bars[:SHOWN], bars[SHOWN:])
