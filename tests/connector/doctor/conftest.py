"""A patient: settings of a connector for a lab, and what the doctor finds of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gatepost.connector.doctor import examine
from gatepost.domain.checks import Check
from gatepost.lab.server import Lab
from gatepost.settings import ConnectorSettings, ExchangeSettings, UplinkSettings

NOWHERE = "http://localhost:1"

Found = Mapping[str, Check]
Doctor = Callable[..., Found]


def settings_for(lab: Lab, folder: Path, mode: str = "observe", **exchange: Any) -> ConnectorSettings:
    """Settings of a connector that is not enrolled: Basic over TLS to a lab, unless others are given."""
    given: dict[str, Any] = {
        "url": lab.https_url,
        "auth": "basic",
        "user": lab.user,
        "password_file": lab.password_file,
        "ca_file": lab.ca_file,
    }
    return ConnectorSettings(
        folder=folder, mode=mode, exchange=ExchangeSettings(**(given | exchange)), service=UplinkSettings(url=NOWHERE)
    )


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Examine a connector of a lab; checks by name, of several with one name the last."""

    def look(lab: Lab, mode: str = "observe", seconds: float = 30, **exchange: Any) -> Found:
        checks = examine(settings_for(lab, tmp_path, mode, **exchange), seconds=seconds)
        return {check.name: check for check in checks}

    return look
