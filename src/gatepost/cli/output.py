"""What commands print: data on stdout, talk on stderr, progress only on a terminal."""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatepost.errors import GatepostError

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
talk = Console(stderr=True, highlight=False)
result = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def say_error(error: GatepostError) -> None:
    """Print an error of ours as cause and remedy, without markup from its text."""
    talk.print("error: ", style="bold red", end="")
    talk.print(error.cause, markup=False, soft_wrap=True)
    if error.remedy:
        talk.print(error.remedy, markup=False, soft_wrap=True, style="dim")


def print_json_lines(rows: Iterable[dict[str, Any]]) -> int:
    """Print one JSON object a line as rows arrive; returns how many. Non-ASCII is escaped and survives any pipe."""
    count = 0
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")
        count += 1
    sys.stdout.flush()
    return count


def print_table(rows: Iterable[dict[str, Any]], shown: tuple[str, ...]) -> int:
    """Print the named columns of rows as a table on stdout, and how many there were on stderr.

    On a terminal long values fold; anywhere else a row is a line and nothing is cut.
    """
    table = Table(box=None, header_style="bold")
    for name in shown:
        table.add_column(name, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(cell(row[name]) for name in shown))
        count += 1
    print_flat(table)
    talk.print(f"{count} in all")
    return count


def print_flat(table: Table) -> None:
    """Print a table on stdout; anywhere but on a terminal without the blanks that fill its last column."""
    if result.is_terminal:
        result.print(table)
        return
    with result.capture() as told:
        result.print(table)
    for line in told.get().splitlines():
        print(line.rstrip())


def cell(value: Any) -> Text:  # noqa: ANN401 - any JSON value
    """A JSON value as text for a table; never read as markup, control characters shown as symbols."""
    if isinstance(value, dict):
        value = list(value)
    if isinstance(value, list):
        value = ", ".join(str(entry) for entry in value)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    text = "" if value is None else str(value)
    return Text(
        CONTROLS.sub(lambda found: chr(0x2400 + ord(found[0])) if found[0] < " " else "\N{SYMBOL FOR DELETE}", text)
    )
