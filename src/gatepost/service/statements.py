"""Every SQL statement of the service, by name: ``sql/tenant`` runs inside a tenant's scope, ``sql/control`` anywhere.

A file holds statements like this one; ``devices_queries.page`` is its name where it stands in ``devices_queries.sql``::

    -- name: page
    -- What it is for, in one line.
    -- example: {"organization_id": "1b4e28ba-2fa1-4d2b-883f-0016d3cca427", "limit": 10}
    SELECT … WHERE organization_id = %(organization_id)s LIMIT %(limit)s

The example is what the isolation test runs the statement with.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "sql"
NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement; ``tenant`` tells whether it needs a tenant's scope."""

    name: str
    purpose: str
    sql: bytes
    example: Mapping[str, Any]
    tenant: bool


def load(folder: Path = FOLDER) -> Mapping[str, Statement]:
    """All statements below ``folder``. Raises ValueError where one is malformed or named twice."""
    found: dict[str, Statement] = {}
    for path in sorted(folder.glob("*/*.sql")):
        for statement in _parse(path):
            if statement.name in found:
                raise ValueError(f"{path}: the statement {statement.name} is named twice")
            found[statement.name] = statement
    return found


def _parse(path: Path) -> Iterator[Statement]:
    """The statements of one file."""
    pieces = NAME.split(path.read_text(encoding="utf-8"))
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        notes = [line[3:].strip() for line in text.splitlines() if line.startswith("--")]
        purpose = " ".join(note for note in notes if not note.startswith("example:"))
        examples = [note.removeprefix("example:") for note in notes if note.startswith("example:")]
        sql = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip().rstrip(";")
        if not purpose or not sql or len(examples) > 1:
            raise ValueError(f"{path}: {name} needs a purpose, one statement and at most one example")
        example = json.loads(examples[0]) if examples else {}
        yield Statement(f"{path.stem}.{name}", purpose, sql.encode(), example, path.parent.name == "tenant")


STATEMENTS = load()
