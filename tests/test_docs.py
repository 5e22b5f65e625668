"""The examples of README and docs: every command exists as written, every settings file loads, reads really run."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from gatepost.cli.main import app
from gatepost.lab.server import Lab
from gatepost.settings import ConnectorSettings, ExchangeSettings, build

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[tuple[str, str]]:
    """Every line of code in the pages that calls ``gatepost``, with its page."""
    lines = [(page.name, line) for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    return [(page, line.strip()) for page, line in lines if re.match(r"^\s+gatepost \w", line)]


def settings_files() -> list[tuple[str, str]]:
    """Every fenced TOML block in the pages."""
    fence = re.compile(r"^ *```toml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    blocks = [(page.name, block) for page in PAGES for block in fence.findall(page.read_text(encoding="utf-8"))]
    return [(page, "\n".join(line.strip() for line in block.splitlines())) for page, block in blocks]


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_in_the_docs_exists_as_written(page: str, line: str) -> None:
    """Groups, commands, options and their kinds of values are those of the program; nothing is run."""
    words = shlex.split(line)[1:]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context(command.name, words) as context:
        assert context.params, page


@pytest.mark.parametrize(("page", "text"), settings_files())
def test_a_settings_file_in_the_docs_loads(page: str, text: str) -> None:
    """The names and values are those that the programs take."""
    raw = tomllib.loads(text)
    kind = ConnectorSettings if "exchange" in raw else ExchangeSettings
    assert build(kind, raw, page)


@pytest.mark.parametrize(
    ("page", "line"),
    [(page, line) for page, line in commands() if line.startswith("gatepost exchange") and "--url" in line],
)
def test_a_read_in_the_docs_works(page: str, line: str, lab: Lab) -> None:
    """What the pages read from mail.example.com is read from a lab, by the same command."""
    words = shlex.split(line.replace("https://mail.example.com/PowerShell", lab.https_url))[1:]
    words[words.index("--user") + 1] = lab.user
    words[words.index("--password-file") + 1] = str(lab.password_file)
    command = [sys.executable, "-m", "gatepost", *words, "--ca-file", str(lab.ca_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (page, done.stderr)
    assert done.stdout


def test_the_pages_link_to_what_is_there() -> None:
    """No link of README or docs leads nowhere."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
