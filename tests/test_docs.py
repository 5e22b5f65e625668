"""The examples of README and docs: every command exists as written, every settings file loads, reads really run."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import typer

from gatepost.cli.main import app
from gatepost.lab.server import Lab
from gatepost.package import unpack
from gatepost.settings import ConnectorSettings, ExchangeSettings, build

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_lines(text: str) -> list[str]:
    """The lines of indented and fenced code, a line that ends in a backslash joined with the next."""
    fenced, found = False, []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            found.append(line.strip())
    return found


def commands() -> list[tuple[str, str]]:
    """Every line of code in the pages that calls ``gatepost``, with its page; in a systemd unit too."""
    lines = [(page.name, line) for page in PAGES for line in code_lines(page.read_text(encoding="utf-8"))]
    calls = [(page, re.match(r"(?:ExecStart=)?(?:\S*/)?(gatepost \w.*)", line)) for page, line in lines]
    return [(page, found[1]) for page, found in calls if found]


def known_options() -> set[str]:
    """Every option of every command, from the program itself, and those of the connector's own file."""
    found, left = {unpack.ABOUT_OPTION, unpack.HOME_OPTION}, [typer.main.get_command(app)]
    while left:
        command: Any = left.pop()
        left += getattr(command, "commands", {}).values()
        found |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return found


def options_in_prose() -> list[tuple[str, str]]:
    """Every option between single backticks, with its page."""
    text = [(page.name, re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)) for page in PAGES]
    spans = [(page, span) for page, each in text for span in re.findall(r"`([^`\n]+)`", each)]
    ours = [(page, span) for page, span in spans if re.match(r"--|gatepost |setup|sync|status|run", span)]
    return sorted({(page, option) for page, span in ours for option in re.findall(r"(?<!\S)--[a-z][a-z-]+", span)})


@pytest.mark.parametrize(("page", "option"), options_in_prose())
def test_an_option_in_the_docs_exists(page: str, option: str) -> None:
    """What a sentence or a table names is an option of some command."""
    assert option in known_options(), page


def settings_of(kind: type[msgspec.Struct], prefix: str = "") -> dict[str, str]:
    """The settings of a kind as the guide writes them, with their defaults as text."""
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        kinds = [kind for kind in (field.type, *get_args(field.type)) if isinstance(kind, type)]
        tables = [kind for kind in kinds if issubclass(kind, msgspec.Struct)]
        if tables:
            found |= settings_of(tables[0], f"[{field.name}] ")
        else:
            found[prefix + field.name] = default_of(field.default)
    return found


def default_of(value: object) -> str:
    """A default as the guide writes it."""
    if value is msgspec.NODEFAULT:
        return "must be given"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:,.0f}"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return "none" if value is None else f"`{value}`"


def test_the_guide_names_every_setting_of_a_connector_with_its_default() -> None:
    """The table and the program agree, both ways; a missing CA file is the system's store."""
    guide = (ROOT / "docs" / "administrators-guide.md").read_text(encoding="utf-8")
    table = guide.partition("## The settings of a connector")[2].partition("\n## ")[0]
    named = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", table, re.MULTILINE))
    wanted = settings_of(ConnectorSettings)
    wanted |= {name: "the system's store" for name in wanted if name.endswith("ca_file")}
    wanted |= {f"[notices] {name}": "that of `[exchange]`" for name in ("ca_file", "proxy")}
    assert named == wanted


def settings_files() -> list[tuple[str, str]]:
    """Every fenced TOML block in the pages."""
    fence = re.compile(r"^ *```toml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    blocks = [(page.name, block) for page in PAGES for block in fence.findall(page.read_text(encoding="utf-8"))]
    files = [(page, "\n".join(line.strip() for line in block.splitlines())) for page, block in blocks]
    return [(page, text) for page, text in files if "service_fingerprint" not in text]  # answers: test_setup_silent


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
    """What the pages read is read from a lab, by the same command."""
    words = shlex.split(re.sub(r"https://\S+/PowerShell", lab.https_url, line))[1:]
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
