"""Set-up's answers: every one that cannot be used is told by key, and what they make of the settings."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from gatepost.connector.secrets import EXCHANGE, EXCHANGE_PROXY, NOTICES, SERVICE_PROXY
from gatepost.connector.setup import replies, settings_file
from gatepost.connector.setup.questions import QUESTIONS, Group, of_group
from gatepost.connector.setup.replies import Replies
from gatepost.errors import SettingsError
from gatepost.settings import ConnectorSettings, SyncSettings, build, load

GOOD = {
    "server": "ex1.example.com",
    "exchange_user": "EXAMPLE\\\\reader",
    "exchange_password_file": "password",
    "service": "https://gatepost.example.com",
}


def file_of(folder: Path, **answers: str) -> Path:
    """A file of answers: those that are enough, and these; ``-`` leaves one out."""
    (folder / "password").write_text("s3cret\n")
    lines = [f'{key} = "{value}"' for key, value in {**GOOD, **answers}.items() if value != "-"]
    path = folder / "answers.toml"
    path.write_text("\n".join(lines))
    return path


def read(path: Path, group: Group | None = None, kept: Mapping[str, str] | None = None) -> Replies:
    """The answers of a connector that has no settings yet."""
    return replies.read(path, replies.present(None), kept or {}, group)


def wrong(path: Path, group: Group | None = None) -> str:
    """What a person reads."""
    with pytest.raises(SettingsError) as caught:
        read(path, group)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def settings(path: Path, before: ConnectorSettings | None = None) -> ConnectorSettings:
    """The settings that a file of answers makes."""
    given = replies.read(path, replies.present(before), {})
    return replies.settings_of(given, before, path.parent / "connector")


def test_few_answers_are_enough(tmp_path: Path) -> None:
    """The rest has defaults: it observes, everywhere, by a name's https address and without proxies."""
    found = settings(file_of(tmp_path))
    assert found.exchange.url == "https://ex1.example.com/PowerShell"
    assert (found.exchange.auth, found.exchange.user) == ("negotiate", "EXAMPLE\\reader")
    assert (found.mode, found.scope, found.notices) == ("observe", ("*",), None)
    assert (found.exchange.proxy, found.service.proxy, found.exchange.password_file) == (None, None, None)
    assert read(file_of(tmp_path)).passwords == {EXCHANGE: "s3cret"}
    assert "s3cret" not in repr(read(file_of(tmp_path)))


def test_all_that_is_wrong_is_told_at_once_by_key(tmp_path: Path) -> None:
    """Nobody mends a file one answer at a time."""
    said = wrong(file_of(tmp_path, server="-", colour="red", mode="destroy", exchange_password_file="nowhere"))
    assert said.startswith(f"The file of answers {tmp_path / 'answers.toml'} cannot be used. colour: unknown; ")
    for part in (
        "exchange_password_file: The secret file",
        "mode: 'destroy' is none of the choices. Choose one of observe, enforce.",
        "server: missing",
    ):
        assert part in said
    assert said.endswith("Mend these keys; nothing was changed.")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("environment", "cloud", "Choose one of on-premises, hosted."),
        ("server", "outlook.office365.com", "The server is outlook.office365.com, which is Exchange Online"),
        ("server", "https://ps.outlook.com/PowerShell", "which is Exchange Online"),
        ("server", "not a name", "'not a name' is neither the name of a server nor an address."),
        ("server", "ftp://ex1.example.com", "is not the address of a web server."),
        ("server", "https://anna@ex1.example.com/PowerShell", "There is a user in the address."),
        ("server", "https://", "is neither the name of a server nor an address."),
        ("exchange_ca_file", "nowhere.pem", "There is no file"),
        ("auth", "digest", "Choose one of kerberos, negotiate, basic."),
        ("exchange_user", "reader", r"'reader' is not an account. Write it as DOMAIN\user or as user@domain."),
        ("exchange_user", "a@b@c", "is not an account."),
        ("keytab", "nowhere.keytab", "There is no file"),
        ("exchange_proxy", "proxy.example.com", "'proxy.example.com' is not the address of a proxy."),
        ("exchange_proxy", "socks5://proxy:1080", "is not the address of a proxy."),
        ("service_proxy", "http://anna:pw@proxy:3128", "'proxy:3128' is not the address of a proxy."),
        ("service_proxy", "proxy:port", "is not the address of a proxy."),
        ("notices_account", "nobody", "[notices] account is 'nobody'."),
        ("notices_user", "nobody", "is not an account."),
        ("ews", "http://mail.example.com/EWS", "has an address that is not https"),
        ("ews", "https://outlook.office365.com/EWS", "Exchange Online"),
        ("mode", "write", "Choose one of observe, enforce."),
        ("scope", "example.com", "'example.com' is not a part of the scope."),
        ("service", "gatepost.example.com", "is not the service's address."),
        ("service", "https://anna:pw@gatepost.example.com", "[service] url has a user or password in it"),
        ("service_ca_file", "nowhere.pem", "There is no file"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_used_is_told(tmp_path: Path, key: str, value: str, said: str) -> None:
    """Which, why and how else; a password in an address is not repeated."""
    found = wrong(file_of(tmp_path, **{key: value.replace("\\", "\\\\")}))
    assert f"{key}: " in found
    assert said in found
    assert "anna:pw" not in found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mode = 3", "mode: it is text"),
        ("replace = 1", "replace: it is true or false"),
        ("ticket_file = []", "ticket_file: it is text"),
        ("exchange_password = 's3cret'", "exchange_password: unknown"),
        ('server = "a\\u0007"', "server: it is text"),
        ("server = ", "is not TOML"),
    ],
)
def test_what_is_no_answer_is_told(tmp_path: Path, line: str, said: str) -> None:
    """Wrong types, a password in place of its file, control characters, no TOML."""
    path = file_of(tmp_path, server="-")
    path.write_text(path.read_text() + f"\n{line}\n")
    assert said in wrong(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By its path."""
    assert "nowhere.toml cannot be read: No such file" in wrong(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("answers", "lacks"),
    [
        ({"exchange_user": "-"}, "exchange_user"),
        ({"exchange_password_file": "-"}, "exchange_password_file"),
        ({"service_proxy": "proxy:3128", "service_proxy_user": "anna"}, "service_proxy_password_file"),
        ({"exchange_proxy": "proxy:3128", "exchange_proxy_user": "anna"}, "exchange_proxy_password_file"),
        ({"notices_account": "gatepost@example.com"}, "notices_password_file"),
        ({"service": "-"}, "service"),
    ],
)
def test_what_is_missing_follows_from_the_other_answers(tmp_path: Path, answers: dict[str, str], lacks: str) -> None:
    """A user at a proxy needs a password; a proxy alone does not."""
    assert f" {lacks}: missing." in wrong(file_of(tmp_path, **answers))


def test_kerberos_needs_no_password(tmp_path: Path) -> None:
    """A key table, or the system's tickets; the address is then plain http, which Kerberos seals."""
    (tmp_path / "reader.keytab").write_text("key")
    found = settings(file_of(tmp_path, auth="kerberos", keytab="reader.keytab", exchange_password_file="-"))
    assert found.exchange.url == "http://ex1.example.com/PowerShell"
    assert found.exchange.keytab == tmp_path / "reader.keytab"


def test_a_password_file_that_is_gone_is_no_fault_where_it_is_kept(tmp_path: Path) -> None:
    """So that a set-up which deleted it can be run again."""
    path = file_of(tmp_path)
    (tmp_path / "password").unlink()
    assert read(path, kept={EXCHANGE: "kept"}).passwords == {}
    assert "exchange_password_file: The secret file" in wrong(path)


def test_a_change_takes_the_keys_of_its_subject_only(tmp_path: Path) -> None:
    """What belongs to another subject is unknown there."""
    path = tmp_path / "answers.toml"
    path.write_text('mode = "enforce"\nscope = ["@example.com", "anna@example.org"]\n')
    assert read(path, Group.MODE).values["scope"] == "@example.com, anna@example.org"
    assert "mode: unknown; scope: unknown" in wrong(path, Group.NOTICES)


FULL = """folder = "{folder}"
mode = "enforce"
scope = ["@example.com"]
ceiling = 7
[exchange]
url = "https://ex1.example.com/PowerShell"
auth = "basic"
user = "EXAMPLE\\\\reader"
password_file = "old"
proxy = "http://proxy:3128"
proxy_auth = "negotiate"
proxy_user = "clerk"
timeout = 30
no_proxy = [".example.com"]
[service]
url = "https://gatepost.example.com"
proxy = "http://other:3128"
proxy_user = "clerk"
[notices]
account = "gatepost@example.com"
url = "https://mail.example.com/EWS/Exchange.asmx"
[sync]
full_every = 7200
"""


@pytest.fixture
def full(tmp_path: Path) -> ConnectorSettings:
    """Settings with everything, as somebody wrote them by hand."""
    (tmp_path / "full.toml").write_text(FULL.format(folder=tmp_path / "connector"))
    (tmp_path / "connector").mkdir()
    return load(ConnectorSettings, tmp_path / "full.toml")


def test_settings_come_back_from_their_own_answers(full: ConnectorSettings) -> None:
    """What no question is about stays; answers as they stand change nothing."""
    assert replies.settings_of(Replies(replies.present(full)), full, full.folder) == full


def test_a_new_password_takes_the_place_of_the_file(full: ConnectorSettings) -> None:
    """From then on it is among the secrets, and nothing else has changed."""
    given = Replies(replies.present(full), {EXCHANGE: "new"})
    found = replies.settings_of(given, full, full.folder)
    assert found.exchange.password_file is None
    assert found.exchange.timeout == 30
    assert replies.secrets_of(found, given) == {EXCHANGE: "new"}


def test_what_is_taken_away_takes_its_password_along(full: ConnectorSettings) -> None:
    """No secret is kept that nothing needs."""
    values = replies.present(full) | {"exchange_proxy": "", "service_proxy": "", "notices_account": ""}
    given = Replies(values)
    found = replies.settings_of(given, full, full.folder)
    assert (found.exchange.proxy, found.exchange.proxy_user, found.service.proxy_user) == (None, None, None)
    assert found.notices is None
    assert replies.secrets_of(found, given) == {EXCHANGE_PROXY: None, SERVICE_PROXY: None, NOTICES: None}


# -- the file of settings ----------------------------------------------------------------------------------------------


def test_settings_are_written_and_read_back(full: ConnectorSettings, tmp_path: Path) -> None:
    """Each value returns, whatever letters are in it; a word on each; nothing that has its default."""
    settings_file.write(tmp_path / "deep" / "connector.toml", full)
    text = (tmp_path / "deep" / "connector.toml").read_text()
    assert load(ConnectorSettings, tmp_path / "deep" / "connector.toml") == full
    assert 'mode = "enforce"  # observe writes nothing' in text
    assert "write_timeout" not in text
    odd = {"folder": str(tmp_path / 'ü"\\\x7f'), "exchange": {"url": "https://x/P"}, "service": {"url": "https://y"}}
    strange = build(ConnectorSettings, odd, "a test")
    assert build(ConnectorSettings, tomllib.loads(settings_file.render(strange)), "a test") == strange


def test_the_settings_that_were_there_are_kept_beside(full: ConnectorSettings, tmp_path: Path) -> None:
    """A file with comments of people's own is not lost; the same again makes no second copy."""
    config = tmp_path / "connector.toml"
    config.write_text("# mine\n")
    settings_file.write(config, full)
    settings_file.write(config, full)
    assert (tmp_path / "connector.toml.before").read_text() == "# mine\n"
    assert config.stat().st_mode & 0o777 in (0o600, 0o640)


def test_settings_keep_what_set_up_has_no_question_for(full: ConnectorSettings) -> None:
    """Intervals and limits are a person's own."""
    assert full.sync == SyncSettings(full_every=7200)
    assert replies.settings_of(Replies(replies.present(full)), full, full.folder).sync == full.sync
    assert full.ceiling == 7


def test_every_question_has_a_word_of_help_and_a_subject() -> None:
    """One line each; each subject has questions."""
    assert all(question.help and "\n" not in question.help for question in QUESTIONS)
    assert sum(len(of_group(group)) for group in Group) == len(QUESTIONS)
    assert all(of_group(group) for group in Group)
