"""What ``gatepost connector doctor`` prints: checks in groups, the worst first, each with a sign and a word."""

import json
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from gatepost.cli import output
from gatepost.domain.checks import SEVERITY, Check, Group, Level, group_of, worst

SIGNS = {
    Level.GOOD: ("\N{CHECK MARK} good", "green"),
    Level.WARNING: ("! warning", "yellow"),
    Level.BAD: ("\N{MULTIPLICATION SIGN} bad", "bold red"),
    Level.SKIPPED: ("- skipped", "dim"),
}
TITLES = {
    Group.MACHINE: "This machine",
    Group.SERVICE: "The service",
    Group.LIMITS: "What this connector may do",
    Group.EXCHANGE: "Exchange",
    Group.NOTICES: "Notices",
}


def print_json(checks: Sequence[Check]) -> None:
    """One JSON object: the worst level, and every check."""
    print(json.dumps({"level": worst(checks), "checks": [check.document() for check in checks]}))


def print_checks(checks: Sequence[Check]) -> None:
    """A table a group, groups and checks the worst first; why and what to do stand below what was found."""
    groups = [[check for check in checks if group_of(check.name) is group] for group in Group]
    for found in sorted(filter(None, groups), key=_severity):
        output.result.print(Text(TITLES[group_of(found[0].name)], style="bold"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in sorted(found, key=lambda check: SEVERITY.index(check.level)):
            sign, style = SIGNS[check.level]
            table.add_row(Text(sign, style=style), Text(check.name), _told(check))
        output.print_flat(table)
    counts = {level: sum(check.level is level for check in checks) for level in SEVERITY}
    output.talk.print(", ".join(f"{count} {level}" for level, count in counts.items()), markup=False)


def _severity(found: Iterable[Check]) -> int:
    return min(SEVERITY.index(check.level) for check in found)


def _told(check: Check) -> Text:
    """What, why and what to do; never read as markup."""
    text = output.cell(check.what)
    for line in filter(None, (check.why, check.remedy)):
        text.append("\n").append_text(output.cell(line))
    return text
