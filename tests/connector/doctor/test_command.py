"""``gatepost connector doctor``: what it prints, and its exit codes."""

import json
from pathlib import Path

from typer.testing import CliRunner

from gatepost.cli.main import app
from gatepost.lab.server import Lab
from tests.connector.doctor.conftest import NOWHERE
from tests.fixtures.site import Site


def write(folder: Path, lab: Lab, more: str = "") -> Path:
    """A settings file of a connector that is not enrolled."""
    path = folder / "connector.toml"
    path.write_text(
        f'folder = "{folder / "connector"}"\n[exchange]\nurl = "{lab.https_url}"\nauth = "basic"\n'
        f'user = \'{lab.user}\'\npassword_file = "{lab.password_file}"\nca_file = "{lab.ca_file}"\n'
        f'[service]\nurl = "{NOWHERE}"\n{more}'
    )
    return path


def test_what_is_bad_comes_first_and_ends_with_3(lab: Lab, tmp_path: Path) -> None:
    """In groups, with a sign and a word each; what, why and what to do stand below each other; no password anywhere."""
    result = CliRunner().invoke(app, ["connector", "doctor", "--config", str(write(tmp_path, lab))])
    assert result.exit_code == 3
    assert not [line for line in result.stdout.splitlines() if line.endswith(" ")]  # in a file as well
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines[0] == "The service"
    assert lines[1].startswith("\N{MULTIPLICATION SIGN} bad")
    assert "localhost cannot be reached: Connection refused." in lines[1]
    assert "Nothing works without this way." in lines
    places = [lines.index(title) for title in ("The service", "Exchange", "This machine")]
    assert places == sorted(places)
    assert lab.password not in result.stdout + result.stderr


def test_with_warnings_only_it_ends_with_0_and_json_has_everything(site: Site) -> None:
    """One object with the worst level and each check's texts."""
    result = CliRunner().invoke(app, ["connector", "doctor", "--config", str(site.config), "--json"])
    assert result.exit_code == 0, result.stdout
    told = json.loads(result.stdout)
    assert told["level"] == "warning"
    [version] = [check for check in told["checks"] if check["name"] == "exchange-version"]
    assert set(version) == {"name", "level", "what", "why", "remedy", "subject"}
    assert version["level"] == "warning"


def test_a_test_notice_needs_one_address_and_a_mailbox(lab: Lab, tmp_path: Path) -> None:
    """What is no address is refused as wrong usage; without a mailbox for notices it is told that nothing was sent."""
    config = str(write(tmp_path, lab))
    wrong = CliRunner().invoke(app, ["connector", "doctor", "--config", config, "--send-test", "nobody"])
    assert wrong.exit_code == 2
    assert "give one address" in wrong.stderr
    result = CliRunner().invoke(app, ["connector", "doctor", "--config", config, "--send-test", "anna@lab.example"])
    assert result.exit_code == 3
    assert "No test was sent: no mailbox for notices is set." in result.stdout
