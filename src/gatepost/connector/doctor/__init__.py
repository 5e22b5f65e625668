"""The doctor: named checks of the host, the network, the service, Exchange, the rights, and the way of notices.

It reads and never writes to Exchange, spends nothing, and tells no secret. It works before enrolment, and beside a
running connector: it takes no lock, and its one session at Exchange is of the reserve (exchange.budget).
"""

from datetime import UTC, datetime

from gatepost.connector.doctor import machine
from gatepost.connector.doctor.examination import PART_SECONDS, Patient, Progress, examine_parts
from gatepost.connector.secrets import Secrets
from gatepost.domain.checks import Check
from gatepost.settings import ConnectorSettings

__all__ = ["PARTS", "Progress", "examine"]

PARTS = {"machine": machine.look}


def examine(
    settings: ConnectorSettings,
    secrets: Secrets,
    *,
    progress: Progress | None = None,
    send_test: str | None = None,
    seconds: float = PART_SECONDS,
) -> tuple[Check, ...]:
    """Everything that can be told of a connector, whatever state it is in; raises nothing.

    ``progress`` is told each check as it is found, from several threads. ``send_test`` is an address that gets a test
    notice: without it, nothing is sent. It takes ``seconds`` at the most.
    """
    patient = Patient(settings, secrets, datetime.now(UTC), test_address=send_test)
    return examine_parts(patient, PARTS, progress or (lambda _: None), seconds)
