"""What can be wrong, as the database and the service's own files tell it.

How long a thing must last before it is told, and how soon an end is near, are decided here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from cryptography import x509

from gatepost.service.database import Scope

SILENT = timedelta(minutes=10)
SILENT_STOPPED = timedelta(minutes=30)
"""While writing is stopped there is no lease to renew, and a connector is heard at its synchronisations only."""
CERTIFICATE_NEAR = timedelta(days=2)
TLS_NEAR = timedelta(days=14)
TICKET_NEAR = timedelta(hours=2)
SYNC_FAILED_TWICE = timedelta(minutes=20)
"""A failure that stands so long has outlived the next synchronisation, which is due after 15 minutes."""


class Condition(StrEnum):
    """What an alert is about."""

    SILENT = "silent"
    SYNC = "sync"
    HELD = "held"
    CERTIFICATE = "certificate"
    TLS = "tls"
    TICKET = "ticket"
    PASSWORD = "password"  # noqa: S105 - what is near its end
    REFUSED = "refused"
    LISTS = "lists"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is wrong. ``subject`` tells two of a kind apart; ``detail`` is a time (ISO) or a count.

    ``settled`` things are told at once, others when they have lasted ``SYNC_FAILED_TWICE``.
    """

    condition: Condition
    organization_id: UUID | None
    subject: str
    detail: str
    settled: bool

    @property
    def key(self) -> tuple[str, UUID | None, str]:
        """What makes it the same thing the next time."""
        return self.condition, self.organization_id, self.subject


async def look(scope: Scope, now: datetime, tls_certificate: Path | None = None) -> list[Found]:
    """Everything that is wrong for a tenant now."""
    rows = await scope.all(
        "alerts.conditions",
        now=now,
        silent=now - SILENT,
        silent_stopped=now - SILENT_STOPPED,
        certificate=now + CERTIFICATE_NEAR,
        ticket=now + TICKET_NEAR,
    )
    found = [Found(**{**row, "condition": Condition(row["condition"])}) for row in rows]
    ends = tls_ends(tls_certificate)
    if ends is not None and ends < now + TLS_NEAR:
        found.append(Found(Condition.TLS, None, "", ends.isoformat(), settled=True))
    return found


def tls_ends(certificate: Path | None) -> datetime | None:
    """When the service's own certificate ends; None where it has none, or the file cannot be read just now."""
    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc if certificate else None
    except (OSError, ValueError):
        return None
