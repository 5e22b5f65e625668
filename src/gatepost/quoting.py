"""Texts of others in PowerShell that we write for people to run: expressions that are that text and nothing else.

What is not plain ASCII is written by number: PowerShell takes typographic quotes for quotes too, reads a file in an
encoding of its own choice, and begins another command at a line end.
"""

from collections.abc import Iterable
from itertools import groupby

PLAIN = range(0x20, 0x7F)


def quoted(text: str) -> str:
    """A text as one PowerShell expression, in ASCII, on one line."""
    units = text.encode("utf-16-be", "surrogatepass")
    numbers = [high << 8 | low for high, low in zip(units[::2], units[1::2], strict=True)]
    if all(number in PLAIN for number in numbers):
        return _single(text)
    parts: list[str] = []
    for is_plain, run in groupby(numbers, PLAIN.__contains__):
        alike = list(run)
        parts += (
            [_single("".join(map(chr, alike)))] if is_plain else [f"[string][char]0x{number:04X}" for number in alike]
        )
    return f"({' + '.join(parts)})"


def listed(texts: Iterable[str]) -> str:
    """Texts as a PowerShell array."""
    return f"@({', '.join(map(quoted, texts))})"


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
