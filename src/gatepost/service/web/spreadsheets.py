"""CSV for people, who open it with a spreadsheet: in UTF-8 with the mark that it looks for, and never a formula."""

import csv
import io
from collections.abc import Iterable

MARK = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
           "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What makes a spreadsheet take a text for a formula, or for one after a break."""


def line(values: Iterable[str]) -> str:
    """One line, with its end."""
    out = io.StringIO()
    csv.writer(out).writerow(map(harmless, values))
    return out.getvalue()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
