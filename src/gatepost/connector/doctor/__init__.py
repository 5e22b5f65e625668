"""The doctor: named checks of the host, the network, the service, Exchange, the rights, and the way of notices.

It reads and never writes to Exchange, spends nothing, and tells no secret. It works before enrolment, and beside a
running connector: it takes no lock, and its one session at Exchange is of the reserve (exchange.budget).
"""

from collections.abc import Callable
from datetime import UTC, datetime

from gatepost.connector.doctor import exchange, machine, mail, service
from gatepost.connector.doctor.examination import PART_SECONDS, Part, Patient, Progress, examine_parts
from gatepost.connector.secrets import Secrets
from gatepost.domain.checks import Check
from gatepost.settings import ConnectorSettings

__all__ = ["PARTS", "Progress", "examine"]

PARTS: dict[str, Part] = {
    "machine": machine.look,
    "service": service.look,
    "limits": service.limits,
    "exchange": exchange.look,
    "notices": mail.look,
}


def examine(
    settings: ConnectorSettings,
    secrets: Secrets | None = None,
    *,
    progress: Progress | None = None,
    send_test: str | None = None,
    seconds: float = PART_SECONDS,
    began: Callable[[Callable[[], None]], None] = lambda _: None,
) -> tuple[Check, ...]:
    """Everything that can be told of a connector, whatever state it is in; raises nothing.

    ``progress`` is told each check as it is found, from several threads. ``send_test`` is an address that gets a test
    notice: without it, nothing is sent. It takes ``seconds`` at the most; ``began`` is told what ends it before, from
    any thread. ``secrets`` are those of the settings' folder unless given.
    """
    patient = Patient(settings, secrets, datetime.now(UTC), test_address=send_test)
    began(patient.end)
    try:
        return examine_parts(patient, PARTS, progress or (lambda _: None), seconds)
    finally:
        patient.end()
