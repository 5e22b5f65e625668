"""The PowerShell file: exactly the entries it is given, and no text of anybody that becomes a command.

No PowerShell runs here: a small reader of its literals, made from the language's own rules, reads the calls back.
"""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain.script import MailboxEntries, undoing
from gatepost.quoting import quoted

MADE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUOTES = "'\u2018\u2019\u201a\u201b"
CHARACTER = re.compile(r"\[string\]\[char\]0x([0-9A-F]{4})")


def literal(text: str, at: int) -> tuple[str, int]:
    """A single-quoted literal that begins at a place: its value, and where it ends."""
    assert text[at] in QUOTES
    value, at = "", at + 1
    while True:
        if text[at] in QUOTES:
            if at + 1 < len(text) and text[at + 1] in QUOTES:
                value, at = value + text[at], at + 2
                continue
            return value, at + 1
        value, at = value + text[at], at + 1


def read(text: str, at: int = 0) -> tuple[str, int]:
    """A text as an expression: a literal, or literals and characters added up in parentheses."""
    if text[at] != "(":
        return literal(text, at)
    value, at = "", at + 1
    while True:
        found = CHARACTER.match(text, at)
        part, at = (chr(int(found[1], 16)), found.end()) if found else literal(text, at)
        value += part
        if text[at] == ")":
            return value.encode("utf-16", "surrogatepass").decode("utf-16"), at + 1
        assert text[at : at + 3] == " + "
        at += 3


def listed(line: str, parameter: str) -> tuple[str, ...]:
    """The ids that a call gives to a parameter."""
    start = line.find(f" {parameter} @(")
    if start < 0:
        return ()
    found, at = [], start + len(parameter) + 4
    while True:
        value, at = read(line, at)
        found.append(value)
        if line[at] == ")":
            return tuple(found)
        assert line[at : at + 2] == ", "
        at += 2


def calls(script: str) -> list[str]:
    """The lines that call something."""
    return [line for line in script.split("\r\n") if line.startswith("Undo-GatepostEntry ")]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_exactly_that_text_on_one_line(text: str) -> None:
    """Whatever is in it: quotes of every kind, dollars, line ends, and what ends a command."""
    expression = quoted(text)
    assert expression.isascii()
    assert expression.isprintable()
    assert len(expression.splitlines()) == 1
    assert read(expression) == (text, len(expression))


@pytest.mark.parametrize("text", ["'; Remove-Mailbox *; '", "\u2019; Remove-Mailbox *; \u2019", "$(exit)", "a\nexit\n"])
def test_a_text_that_would_be_a_command_is_none(text: str) -> None:
    """Every quote is doubled and every line end written as a number, so that the literal ends where we end it."""
    assert read(quoted(text)) == (text, len(quoted(text)))


def test_the_file_names_exactly_our_entries_with_one_call_for_each_mailbox() -> None:
    """Both lists of a mailbox in one call; the head says what, when and for whom, and asks to look first."""
    boxes = [
        MailboxEntries("guid-2", "zoe@example.test", blocked=("B1",)),
        MailboxEntries("guid-1", "anna@example.test", allowed=("A1", "A'2"), blocked=("C3",)),
    ]
    script = undoing("Head office", "anna", MADE, boxes, "undo.ps1")
    assert [(listed(line, "-Allowed"), listed(line, "-Blocked")) for line in calls(script)] == [
        (("A1", "A'2"), ("C3",)),
        ((), ("B1",)),
    ]
    assert "-Mailbox 'guid-1' -Name 'anna@example.test'" in calls(script)[0]
    assert "# Organization: Head office" in script
    assert "# Made: 2026-03-01 12:00:00 UTC by anna" in script
    assert "# Entries: 4 in 2 mailboxes" in script
    assert ".\\undo.ps1 -WhatIf" in script
    assert script.count("Set-CASMailbox @change") == 1


def test_a_name_with_a_line_end_stays_within_its_comment() -> None:
    """An organization may be named anything; no line of the head is without its comment sign."""
    script = undoing("Head\r\nRemove-Mailbox *\x85office", "anna\nexit", MADE, [], "undo.ps1")
    head = script.partition("[CmdletBinding")[0]
    assert all(line.startswith("#") or not line for line in re.split("[\r\n\x85\u2028\u2029]+", head))
