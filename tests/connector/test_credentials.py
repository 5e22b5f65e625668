"""Who a connector is, at rest: whole or not at all, for its user only, and gone when it was replaced."""

import hashlib
import json
from pathlib import Path

import pytest

from gatepost.connector import credentials
from gatepost.connector.credentials import Identity
from gatepost.errors import SettingsError


def test_an_identity_is_kept_for_its_user_only(tmp_path: Path, identity: Identity) -> None:
    """One file, readable by nobody else, that gives the same identity back."""
    credentials.save(tmp_path, identity)
    assert credentials.load(tmp_path) == identity
    assert (tmp_path / credentials.IDENTITY).stat().st_mode & 0o777 == 0o600


def test_a_secret_is_never_shown(identity: Identity) -> None:
    """Not in what Python prints of it."""
    assert identity.secret not in repr(identity)


def test_the_service_is_told_a_hash() -> None:
    """What is sent at enrolment does not give the secret away."""
    assert credentials.public_key("abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()


def test_the_same_ticket_has_the_same_secret_until_it_was_answered(tmp_path: Path, identity: Identity) -> None:
    """A lost answer is no dead end; another ticket, and a used one, get a new secret."""
    first = credentials.secret_for(tmp_path, "t.one")
    assert credentials.secret_for(tmp_path, "t.one") == first
    second = credentials.secret_for(tmp_path, "t.two")
    assert second != first
    assert len(second) >= 43
    credentials.save(tmp_path, identity)
    assert credentials.secret_for(tmp_path, "t.two") != second
    assert "t.two" not in (tmp_path / credentials.PENDING).read_text()


def test_a_folder_without_identity_says_how_to_enrol(tmp_path: Path) -> None:
    """The command to run stands in the error."""
    with pytest.raises(SettingsError, match=r"is not enrolled\. Get a ticket and run `gatepost connector setup`"):
        credentials.load(tmp_path)


WHOLE = {"tenant": "t", "organization": "o", "connector": "c", "epoch": 1, "incarnation": "h", "secret": "s"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"tenant": "only"}',
        "[]",
        "7",
        '"text"',
        "[" * 100_000,
        json.dumps(WHOLE | {"epoch": "1"}),
        json.dumps(WHOLE | {"epoch": 10**30}),
        json.dumps(WHOLE | {"secret": ["s"]}),
        json.dumps(WHOLE | {"tenant": "\u4e00"}, ensure_ascii=False),
        json.dumps(WHOLE | {"connector": ""}),
    ],
)
def test_a_damaged_identity_says_so(tmp_path: Path, text: str) -> None:
    """A file that was cut off or edited is never half used."""
    (tmp_path / credentials.IDENTITY).write_text(text)
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
