"""The settings of a connector, as a file that its commands read and change."""

import json
import re
from pathlib import Path

import pytest

from gatepost.connector.agent import Agent, status
from gatepost.connector.setup import configure, set_mode
from gatepost.errors import SettingsError
from gatepost.settings import ConnectorSettings, load
from tests.fixtures.site import MakeSite, Site


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site whose connector is not enrolled yet."""
    return make_site(devices=20)


EXCHANGE = '[exchange]\nurl = "https://mail.example.com/PowerShell"\n'


def test_the_service_is_written_to_settings_that_lack_it(tmp_path: Path) -> None:
    """The address given on the command line is kept for the commands that follow."""
    config = tmp_path / "connector.toml"
    config.write_text(f'folder = "here"\n{EXCHANGE}')
    settings = configure(config, "https://gatepost.example.com")
    assert settings.service.url == "https://gatepost.example.com"
    assert load(ConnectorSettings, config) == settings
    assert settings.folder == tmp_path / "here"


def test_settings_with_another_service_are_not_changed(tmp_path: Path) -> None:
    """A person reads both ways out."""
    config = tmp_path / "connector.toml"
    text = f'folder = "here"\n{EXCHANGE}[service]\nurl = "https://one.example.com"\n'
    config.write_text(text)
    assert configure(config, "https://one.example.com").service.url == "https://one.example.com"
    with pytest.raises(
        SettingsError, match=r"names another service: https://one\.example\.com\. Change \[service\] url"
    ):
        configure(config, "https://two.example.com")
    assert config.read_text() == text


PASSWORD = "hunter2"
SERVICE = '[service]\nurl = "https://gatepost.example.com"\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (SERVICE.replace("//", f"//bob:{PASSWORD}@") + EXCHANGE, "[service] url"),
        (SERVICE.replace("//", f"bob:{PASSWORD}@") + EXCHANGE, "[service] url"),
        (SERVICE + f'proxy = "http://bob:{PASSWORD}@proxy:8080"\n' + EXCHANGE, "[service] proxy"),
        (EXCHANGE.replace("//", f"//bob:{PASSWORD}@") + SERVICE, "[exchange] url"),
        (EXCHANGE.replace("https://", f"bob:{PASSWORD}@") + SERVICE, "[exchange] url"),
        (EXCHANGE + f'proxy = "http://bob:{PASSWORD}@proxy:8080"\n' + SERVICE, "[exchange] proxy"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path: Path, text: str, key: str) -> None:
    """Addresses stand in logs, errors and the console: a person reads which setting to mend, and not its value."""
    config = tmp_path / "connector.toml"
    config.write_text(f'folder = "here"\n{text}')
    for service in (None, "https://other.example.com"):
        with pytest.raises(SettingsError) as caught:
            configure(config, service)
        assert f"{key} has a user or password in it" in str(caught.value)
        assert "Leave that part out of the address." in str(caught.value)
        assert PASSWORD not in str(caught.value)


def test_a_password_in_the_address_of_the_command_line_is_not_written_down(tmp_path: Path) -> None:
    """It is refused before it is kept."""
    config = tmp_path / "connector.toml"
    config.write_text(f'folder = "here"\n{EXCHANGE}')
    with pytest.raises(SettingsError, match=r"^\[service\] url has a user or password in it") as caught:
        configure(config, f"https://bob:{PASSWORD}@gatepost.example.com")
    assert PASSWORD not in str(caught.value) + config.read_text()


@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read"), ("folder = ", "is not TOML"), ("", "is not valid")]
)
def test_settings_that_cannot_be_used_are_told(tmp_path: Path, text: str | None, said: str) -> None:
    """A missing, broken or incomplete file is named."""
    config = tmp_path / "connector.toml"
    if text is not None:
        config.write_text(text)
    with pytest.raises(SettingsError, match=said):
        configure(config, None)


# -- the mode ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'mode = "enforce"\n'),
        ('mode = "observe"  # for now\n', 'mode = "enforce"  # for now\n'),
        ("# mine\nmode='observe'\n", '# mine\nmode = "enforce"\n'),
    ],
)
def test_the_mode_is_written_and_nothing_else(site: Site, before: str, after: str) -> None:
    """Comments, order and rights of the file stay; what stands in a table is not the mode."""
    rest = site.config.read_text().lstrip()
    site.config.write_text(before + rest)
    site.config.chmod(0o640)
    assert set_mode(site.config, "enforce").mode == "enforce"
    assert site.config.read_text() == after + rest
    assert site.config.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in site.folder.iterdir() if path.name.endswith(".new")] == []


def test_a_mode_that_cannot_be_written_is_told_with_the_line(site: Site) -> None:
    """A file that says it in another way is left alone."""
    text = '"mode" = "observe"\n' + site.config.read_text()
    site.config.write_text(text)
    with pytest.raises(SettingsError, match="mode"):
        set_mode(site.config, "enforce")
    assert site.config.read_text() == text


def test_enforcing_asks_first_and_says_what_follows(site: Site) -> None:
    """Without an answer nothing is written; with --yes it is; back to observing needs no question."""
    site.enrol()
    limited = site.limited(scope=["@example.com"], ceiling=7)
    process = limited.connector("mode", "enforce")
    assert process.wait(30) == 1
    said = " ".join(limited.log().split())
    assert "change the lists of allowed and blocked devices of @example.com." in said
    assert "At most 7 writes an hour may take access away." in said
    assert limited.settings.mode == "observe"
    process = limited.connector("mode", "enforce", "--yes")
    assert process.communicate(timeout=30)[0] == "mode enforce, from the next start\n"
    assert limited.settings.mode == "enforce"
    assert limited.connector("mode", "observe").wait(30) == 0
    assert limited.settings.mode == "observe"


GOES_ON = "The connector that runs goes on with observe: start it again."


def test_a_running_connector_goes_on_until_it_is_started_again(site: Site) -> None:
    """And ``mode`` says so each time, as does ``status``, by the process and not by what the file said before."""
    site.enrol()
    with Agent(site.settings, patience=5):
        process = site.connector("mode", "enforce", "--yes", "--json")
        output, _ = process.communicate(timeout=30)
        assert json.loads(output) == {"mode": "enforce", "before": "observe", "running": True}
        assert site.log().count(GOES_ON) == 1
        again, _ = site.connector("mode", "enforce", "--yes").communicate(timeout=30)
        assert (again, site.log().count(GOES_ON)) == ("", 2)
        shown, _ = site.connector("status").communicate(timeout=30)
        assert re.search(r"^mode +enforce\nrunning mode +observe$", shown, re.MULTILINE)
        assert site.log().count(GOES_ON) == 3
        back, _ = site.connector("mode", "observe").communicate(timeout=30)
        assert (back, site.log().count(GOES_ON)) == ("mode observe, as the running connector has it\n", 3)
    assert status(site.settings).running_mode is None


def test_a_mode_that_is_none_is_wrong_usage(site: Site) -> None:
    """Both are named."""
    assert site.connector("mode", "destroy").wait(30) == 2
    assert "choose one of observe, enforce" in " ".join(site.log().split())


def test_a_write_timeout_longer_than_a_lease_is_refused(site: Site) -> None:
    """Such a connector would never write, and nobody would know why."""
    site.config.write_text(site.config.read_text().replace("write_timeout = 60.0", "write_timeout = 120"))
    with pytest.raises(SettingsError, match=r"write_timeout is 120 s; a lease lasts 120 s"):
        load(ConnectorSettings, site.config)
