"""Who a connector is, at rest: whole or not at all, for its user only, and gone when it was replaced."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from gatepost.connector import credentials
from gatepost.connector.credentials import Identity
from gatepost.connector.keys import Certificate, Key, new_key
from gatepost.connector.secrets import Secrets
from gatepost.errors import SettingsError, StoreError


def test_an_identity_is_kept_for_its_user_only(tmp_path: Path, identity: Identity) -> None:
    """One file, readable by nobody else, that gives the same identity back."""
    credentials.save(tmp_path, identity)
    assert credentials.load(tmp_path) == identity
    assert (tmp_path / credentials.IDENTITY).stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_shown(identity: Identity) -> None:
    """Not in what Python prints of it, and not in what a command prints."""
    assert identity.key not in repr(identity)
    assert identity.key not in str(identity.shown())
    assert identity.shown()["organization_name"] == "Head office"


def test_the_same_ticket_has_the_same_key_until_it_was_answered(tmp_path: Path, identity: Identity) -> None:
    """A lost answer is no dead end; another ticket, and a used one, get a new key."""
    first = credentials.key_for(tmp_path, "t.one")
    assert credentials.key_for(tmp_path, "t.one") == first
    second = credentials.key_for(tmp_path, "t.two")
    assert second != first
    assert (tmp_path / credentials.PENDING).stat().st_mode & 0o777 == 0o600
    assert "t.two" not in (tmp_path / credentials.PENDING).read_text()
    credentials.save(tmp_path, identity)
    assert not (tmp_path / credentials.PENDING).exists()
    assert credentials.key_for(tmp_path, "t.two") != second


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"about": 1}', "[" * 100_000, '{"about": "A", "key": "x"}'])
def test_a_key_that_cannot_be_read_is_made_anew(tmp_path: Path, identity: Identity, text: str) -> None:
    """It was promised to nobody yet."""
    about = Certificate(identity.certificate).serial
    (tmp_path / credentials.RENEWAL).write_text(text.replace('"A"', f'"{about}"'))
    made = credentials.next_key(tmp_path, identity)
    assert Key(made).request().startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert credentials.next_key(tmp_path, identity) == made


def test_nothing_secret_stays_of_a_connector_that_has_ended(tmp_path: Path, identity: Identity) -> None:
    """Keys, passwords and what waits for an answer are gone; the reason stays. Doing it again does no harm."""
    credentials.save(tmp_path, identity)
    kept = [identity.key, credentials.key_for(tmp_path, "t.x"), credentials.next_key(tmp_path, identity)]
    Secrets(tmp_path).keep("exchange", "hunter2")
    kept.append((tmp_path / "secrets.key").read_text().strip())
    for _ in range(2):
        credentials.wipe(tmp_path, "another one took over")
    left = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert [secret for secret in kept if secret in left] == []
    with pytest.raises(SettingsError, match="was replaced: another one took over"):
        credentials.load(tmp_path)


def test_who_was_cut_off_while_it_forgot_its_secrets_goes_on(tmp_path: Path, identity: Identity) -> None:
    """It cannot ask the service again: the password of the proxy may be gone, which it would need for that."""
    credentials.save(tmp_path, identity)
    Secrets(tmp_path).keep("service-proxy", "hunter2")
    (tmp_path / "exchange.keytab").mkdir()  # what cannot be removed ends it here
    with pytest.raises(StoreError, match=r"exchange\.keytab cannot be removed"):
        credentials.wipe(tmp_path, "another one took over")
    with pytest.raises(SettingsError, match="was replaced: another one took over"):
        credentials.load(tmp_path)
    assert identity.key not in (tmp_path / credentials.IDENTITY).read_text()
    (tmp_path / "exchange.keytab").rmdir()
    (tmp_path / "exchange.keytab").write_text("key table")
    credentials.finish(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [credentials.IDENTITY]
    Secrets(tmp_path).keep("service-proxy", "another")
    credentials.finish(tmp_path)
    assert Secrets(tmp_path).find("service-proxy") == "another", "what is kept for a new enrolment stays"


def test_a_folder_without_identity_says_how_to_enrol(tmp_path: Path) -> None:
    """The command to run stands in the error."""
    with pytest.raises(SettingsError, match=r"is not enrolled\. Get a ticket and run `gatepost connector setup`"):
        credentials.load(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"tenant": "only"}', "[]", "7", '"text"', "[" * 100_000],
)
def test_a_file_that_is_no_identity_says_so(tmp_path: Path, text: str) -> None:
    """A file that was cut off or edited is never half used."""
    (tmp_path / credentials.IDENTITY).write_text(text)
    with pytest.raises(SettingsError, match=r"identity\.json is damaged\. Enrol again with a new ticket\."):
        credentials.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1"},
        {"epoch": 10**30},
        {"key": ["s"]},
        {"key": "AAAA"},
        {"key": new_key()},
        {"certificate": "x"},
        {"service_key": "AAAA"},
        {"service_key": "\u4e00"},
        {"tenant": "\u4e00"},
        {"connector": ""},
        {"organization_name": 7},
    ],
    ids=str.split(
        "epoch-text epoch-huge key-list key-none key-other certificate service-key not-ascii tenant connector name"
    ),
)
def test_an_identity_that_does_not_fit_together_says_so(
    tmp_path: Path, identity: Identity, change: dict[str, object]
) -> None:
    """Each field is looked at, and whether key and certificate belong together."""
    (tmp_path / credentials.IDENTITY).write_text(json.dumps(asdict(identity) | change))
    with pytest.raises(SettingsError, match=r"identity\.json is damaged\. Enrol again with a new ticket\."):
        credentials.load(tmp_path)


def test_an_identity_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A folder in the file's place is named with the system's reason."""
    (tmp_path / credentials.IDENTITY).mkdir()
    with pytest.raises(SettingsError, match=r"identity\.json cannot be read: Is a directory\. Check its rights\."):
        credentials.load(tmp_path)


def test_an_instance_lasts_until_a_new_one_is_wanted(tmp_path: Path) -> None:
    """It is one per folder, survives the store, and damage makes a new one."""
    first = credentials.instance(tmp_path)
    assert credentials.instance(tmp_path) == first
    second = credentials.new_instance(tmp_path)
    assert second != first
    assert credentials.instance(tmp_path) == second
    (tmp_path / credentials.INSTANCE).write_text("junk")
    assert credentials.instance(tmp_path) not in {first, second, "junk"}
