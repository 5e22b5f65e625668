"""How the tests of the client reach the lab."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.exchange.organization import Organization
from gatepost.lab.profiles import PROFILES
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings, LabSettings
from tests.exchange.site import Site


@pytest.fixture
def connect() -> Callable[..., Organization]:
    """Open an organization of a lab: Basic over TLS unless other settings are given."""

    def connected(lab: Lab, **changes: Any) -> Organization:
        return Organization.connect(settings_of(lab, **changes), lab.password)

    return connected


@pytest.fixture(scope="session", params=PROFILES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A lab of each profile with an organization open beside it; tests change it, each its own mailboxes."""
    with (
        Lab(LabSettings(devices=150, profile=request.param)) as lab,
        Organization.connect(settings_of(lab), lab.password) as organization,
    ):
        yield Site(lab, organization)


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
