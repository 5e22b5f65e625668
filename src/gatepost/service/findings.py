"""Findings: what is wrong, since when, and what helps. Told by the connector; kept until they are told no more."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from gatepost.service.database import Scope
from gatepost.service.devices.rows import PoisonRow, text

FIELDS = ("code", "subject", "cause", "remedy")
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
    return {name: _clean(finding.get(name, "")) for name in FIELDS}


def _clean(value: Any) -> str:  # noqa: ANN401 - foreign JSON
    try:
        return text(value)[:1_000]
    except PoisonRow:
        shown = value[:1_000] if isinstance(value, str) else f"({type(value).__name__})"
        return shown.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")[:1_000]
