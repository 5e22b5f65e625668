"""How the tests of the client reach the lab."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatepost.exchange.organization import Organization
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings


@pytest.fixture
def connect() -> Callable[..., Organization]:
    """Open an organization of a lab: Basic over TLS unless other settings are given."""

    def connected(lab: Lab, **changes: Any) -> Organization:
        return Organization.connect(settings_of(lab, **changes), lab.password)

    return connected


def settings_of(lab: Lab, **changes: Any) -> ExchangeSettings:
    """Settings that reach a lab, with changes."""
    given: dict[str, Any] = {
        "url": lab.https_url,
        "auth": "basic",
        "user": lab.user,
        "ca_file": Path(lab.ca_file),
        "timeout": 20.0,
    }
    return ExchangeSettings(**(given | changes))
