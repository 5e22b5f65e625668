"""What the doctor says of the service: who this connector is there, and that asking disturbs nobody."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost.connector import host
from gatepost.connector.agent import Agent, Scope
from gatepost.connector.doctor import examine
from gatepost.domain.checks import Check, Level
from gatepost.lab.server import Lab
from gatepost.settings import ConnectorSettings, UplinkSettings, changed
from tests.connector.doctor.conftest import settings_for
from tests.fixtures.site import Site


def found(settings: ConnectorSettings) -> dict[str, Check]:
    """The checks by name."""
    return {check.name: check for check in examine(settings)}


def test_an_enrolled_connector_is_known_and_its_lease_is_left_alone(site: Site) -> None:
    """Beside a connector that holds the folder: the answer is signed; lease, instance and contact stay as they are."""
    with Agent(site.settings, patience=10) as agent:
        agent.sync(Scope.FULL)
        state = "SELECT * FROM checkins WHERE tenant_id = %s"
        before = site.query(state)
        checks = found(site.settings)
        assert site.query(state) == before
    assert checks["folder"].what.endswith("A connector works on it now.")
    assert checks["service-signature"].level is Level.GOOD, checks["service-signature"]
    assert "is signed by its key" in checks["service-signature"].what
    assert "takes this connector for that of Lab (epoch 1)" in checks["service-signature"].what
    assert checks["enrolment"].what == "Enrolled for Lab, epoch 1."
    assert checks["connector-certificate"].level is Level.GOOD
    assert checks["sync-age"].what == "The last full synchronisation was 0 minutes ago, any other 0 minutes."


def test_a_replaced_connector_says_who_took_its_place(site: Site) -> None:
    """The service's own word, in ours, with what to do; the second one is well."""
    second = site.beside("second").enrol()
    checks = found(site.settings)
    refused = checks["service-signature"]
    assert refused.level is Level.BAD
    assert refused.what.startswith("Another connector has taken this one's place.")
    assert "enrol it anew to take it back" in refused.remedy
    assert found(second.settings)["service-signature"].level is Level.GOOD


def test_before_enrolment_all_else_is_looked_at(lab: Lab, tmp_path: Path) -> None:
    """Not being enrolled is a warning with the way to set-up, and the service's address is tried all the same."""
    checks = found(settings_for(lab, tmp_path / "connector"))
    assert checks["enrolment"].level is Level.WARNING
    assert checks["enrolment"].what == "This connector is not enrolled yet."
    assert "gatepost connector setup" in checks["enrolment"].remedy
    assert checks["service-connection"].level is Level.BAD
    assert "localhost cannot be reached: Connection refused." in checks["service-connection"].what
    assert checks["exchange-sign-in"].level is Level.WARNING
    assert checks["folder"].level is Level.SKIPPED


def test_a_service_that_is_away_leaves_the_rest_to_be_told(site: Site) -> None:
    """Who this connector is, is known here; the signed question is skipped with the reason."""
    away = changed(site.settings, {"service": UplinkSettings(url="http://localhost:1")})
    checks = found(away)
    assert checks["service-connection"].level is Level.BAD
    assert checks["service-signature"].what == "Not asked: the service was not reached."
    assert checks["enrolment"].level is Level.GOOD
    assert checks["sync-age"].what == "There was no full synchronisation yet."


def test_another_server_at_the_address_is_not_believed(site: Site, lab: Lab) -> None:
    """What answers there without the service's signature is told as such."""
    other = changed(site.settings, {"service": UplinkSettings(url=lab.https_url, ca_file=lab.ca_file)})
    found_there = found(other)["service-signature"]
    assert found_there.level is Level.BAD
    assert "Check" in found_there.remedy


@pytest.mark.parametrize(
    ("limits", "name", "level", "words"),
    [
        ({"mode": "observe"}, "mode", Level.GOOD, "The mode is observe: the connector writes nothing."),
        ({"mode": "enforce"}, "mode", Level.GOOD, "The mode is enforce: the connector writes to Exchange."),
        ({"scope": ("*",)}, "scope", Level.GOOD, "In scope: all mailboxes."),
        ({"scope": ()}, "scope", Level.WARNING, "The scope is empty: no mailbox may be written."),
        ({"scope": ("anna",)}, "scope", Level.WARNING, "The scope has entries that fit no mailbox: anna."),
        ({"ceiling": 0}, "ceiling", Level.WARNING, "The ceiling is 0: no write may take access away."),
    ],
)
def test_local_limits_are_told_and_what_cannot_be_meant_is_a_warning(
    lab: Lab, tmp_path: Path, limits: dict[str, object], name: str, level: Level, words: str
) -> None:
    """Mode, scope and ceiling, as a person would read them."""
    check = found(changed(settings_for(lab, tmp_path), limits))[name]
    assert (check.level, check.what) == (level, words)


def test_a_connector_that_runs_in_another_mode_is_a_warning(site: Site) -> None:
    """Settings are read at the start, so a change of them does not count yet."""
    with Agent(site.settings):
        check = found(site.limited(mode="enforce").settings)["mode"]
    assert check.level is Level.WARNING
    assert check.what == "The settings say enforce; the connector that runs goes on with observe."


def test_an_old_synchronisation_is_a_warning(site: Site) -> None:
    """When the last one is older than two of its periods, new phones are not seen."""
    site.synchronise()
    with Agent(site.settings) as agent:
        old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
        agent.store.remember(last_full=old, last_quick=old)
    check = found(site.settings)["sync-age"]
    assert check.level is Level.WARNING
    assert "The last full synchronisation was 3 days ago" in check.what
    assert not host.is_locked(site.settings.folder)
