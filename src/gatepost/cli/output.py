"""What commands print: data on stdout, talk on stderr, progress only on a terminal."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from gatepost.errors import GatepostError

talk = Console(stderr=True, highlight=False)


def say_error(error: GatepostError) -> None:
    """Print an error of ours as cause and remedy, without markup from its text."""
    talk.print("error: ", style="bold red", end="")
    talk.print(error.cause, markup=False, soft_wrap=True)
    if error.remedy:
        talk.print(error.remedy, markup=False, soft_wrap=True, style="dim")


def print_json_lines(rows: Iterable[dict[str, Any]]) -> int:
    """Print one JSON object a line as rows arrive; returns how many. Non-ASCII is escaped, so any byte survives a pipe."""
    count = 0
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")
        count += 1
    sys.stdout.flush()
    return count
