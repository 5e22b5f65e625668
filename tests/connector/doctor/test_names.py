"""Every check that the doctor can give has a name on the console, and a row in the guide."""

import re
from pathlib import Path

from gatepost.connector.doctor import PARTS
from gatepost.service.web.check_names import CHECK_NAMES

ROOT = Path(__file__).parents[3]
DOCTOR = ROOT / "src" / "gatepost" / "connector" / "doctor"
WAYS = ("service", "exchange", "server", "notices")


def names() -> set[str]:
    """The names in the doctor's own source: of single checks, of the steps of each way, and of parts that fail."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCTOR.glob("*.py"))
    single = set(re.findall(r'Check\(\s*"([a-z-]+)"', text)) | set(re.findall(r'\bname\b[^=\n]*= "([a-z-]+)"', text))
    steps = set(re.findall(r'way\.check\(\s*"([a-z]+)"', text)) | {"proxy", "unfinished", "failed"}
    parts = {f"{part}-{end}" for part in PARTS for end in ("unfinished", "failed")}
    return single | parts | {f"{way}-{step}" for way in WAYS for step in steps}


def test_every_check_has_a_name_on_the_console() -> None:
    """And every name there is one of a check."""
    assert len(names()) > 50
    assert names() == set(CHECK_NAMES)


def test_every_check_has_a_row_in_the_guide() -> None:
    """By its name, or by its step for all ways and parts at once; and every row there is one of a check."""
    guide = (ROOT / "docs" / "administrators-guide.md").read_text(encoding="utf-8")
    section = guide.partition("\n## The doctor\n")[2].partition("\n## ")[0]
    rows = {
        name for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    assert {name for name in names() if not {name, _step(name)} & rows} == set()
    assert rows <= names() | {_step(name) for name in names()}


def _step(name: str) -> str:
    return f"*-{name.partition('-')[2]}"
