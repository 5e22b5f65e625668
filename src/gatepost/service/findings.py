"""Findings: what is wrong, since when, and what helps. Told by the connector; kept until they are told no more."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from gatepost.service.database import Scope
from gatepost.service.devices.rows import PoisonRow, text

BYTES = {"code": 200, "subject": 1_800, "cause": 1_000, "remedy": 1_000}  # code and subject are in a key
FINDINGS_A_DOCUMENT = 500


async def report(
    scope: Scope, organization_id: UUID, origin: str, findings: Iterable[Mapping[str, Any]], *, complete: bool
) -> None:
    """Keep these findings of one origin; ``complete`` ends those of it that are not among them."""
    rows = {
        (row["code"], row["subject"]): {**row, "organization_id": organization_id, "origin": origin}
        for row in (_read(finding) for finding in findings)
        if row["code"]
    }
    kept = [rows[key] for key in sorted(rows)][:FINDINGS_A_DOCUMENT]
    if kept:
        await scope.each("findings.report", kept)
    if complete:
        await scope.run("findings.end_others", organization_id=organization_id, origin=origin)


def _read(finding: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a finding as text that can be kept; a finding about a poison row must not be one."""
    return {name: _clean(finding.get(name, ""), most) for name, most in BYTES.items()}


def _clean(value: Any, most: int) -> str:  # noqa: ANN401 - foreign JSON
    """Text of at most so many bytes; no character is cut in two."""
    try:
        kept = text(value)
    except PoisonRow:
        shown = value[:most] if isinstance(value, str) else f"({type(value).__name__})"
        kept = shown.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
    return kept.encode()[:most].decode(errors="ignore")
