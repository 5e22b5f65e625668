"""docs/promises.md: what must always hold has tests, and they are there under the names that it gives."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (P?\d+) \|", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PLACE = re.compile(r"`(tests/[\w/.]+)`")


def rows() -> dict[str, str]:
    """Each numbered line of the page."""
    return {found[1]: line for line in PAGE.splitlines() if (found := ROW.match(line))}


def named_in(path: str) -> set[str]:
    """The names of the test functions of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in found if name.startswith("test_")}


def test_every_law_and_promise_is_there() -> None:
    """Eleven laws and fifteen promises, but for those of which the page says that they are not here yet."""
    [told] = re.findall(r"^Not here yet: (.*)$", PAGE, re.MULTILINE)
    missing = set(re.findall(r"P?\d+", told))
    assert missing == {"2", "P3", "P12"}
    laws, promises = {str(number) for number in range(1, 12)}, {f"P{number}" for number in range(1, 16)}
    assert rows().keys() == (laws | promises) - missing


@pytest.mark.parametrize("number", rows())
def test_every_test_that_is_named_exists(number: str) -> None:
    """Each line names at least one, with its file."""
    named = TEST.findall(rows()[number])
    assert named
    assert [name for path, name in named if name not in named_in(path)] == []


def test_every_place_that_is_named_exists() -> None:
    """Also where the page speaks of folders."""
    assert [place for place in PLACE.findall(PAGE) if not (ROOT / place).exists()] == []
