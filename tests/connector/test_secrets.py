"""Passwords at rest: sealed, bound to name and folder, kept whole or not at all; and what a person reads otherwise."""

import json
import resource
from pathlib import Path

import pytest

from gatepost.connector.secrets import EXCHANGE, FILE, KEY_FILE, KEYTAB, NOTICES, Secrets
from gatepost.errors import SettingsError, StoreError

PASSWORD = "Geheim, très secret 秘密"


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A connector's folder, not made yet."""
    return tmp_path / "connector"


def test_a_secret_is_found_again_and_stands_in_no_file(folder: Path) -> None:
    """Another process finds it; no file holds it, and only the user may read either."""
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    Secrets(folder).keep(NOTICES, "another")
    assert Secrets(folder).find(EXCHANGE) == PASSWORD
    assert Secrets(folder).find(NOTICES) == "another"
    assert sorted(path.name for path in folder.iterdir()) == [FILE, KEY_FILE]
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert PASSWORD.encode() not in path.read_bytes()


def test_what_is_not_kept_is_not_found(folder: Path) -> None:
    """Neither without an envelope, nor in one that holds others, nor after it was taken out."""
    assert Secrets(folder).find(EXCHANGE) is None
    Secrets(folder).keep(NOTICES, PASSWORD)
    assert Secrets(folder).find(EXCHANGE) is None
    Secrets(folder).change({NOTICES: None, EXCHANGE: "another"})
    Secrets(folder).change({NOTICES: None})
    assert Secrets(folder).find(NOTICES) is None
    assert Secrets(folder).find(EXCHANGE) == "another"


def test_the_same_secret_is_sealed_anew_each_time(folder: Path) -> None:
    """A nonce is never used twice, and the others stay as they are."""
    kept = Secrets(folder)
    kept.keep(NOTICES, "another")
    kept.keep(EXCHANGE, PASSWORD)
    first = json.loads((folder / FILE).read_text())["secrets"]
    kept.keep(EXCHANGE, PASSWORD)
    second = json.loads((folder / FILE).read_text())["secrets"]
    assert first[EXCHANGE]["nonce"] != second[EXCHANGE]["nonce"]
    assert first[NOTICES] == second[NOTICES]


def test_a_credential_of_systemd_goes_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where systemd gives one it is taken; a name that systemd does not have comes from the envelope."""
    Secrets(folder).keep(EXCHANGE, "old")
    Secrets(folder).keep(NOTICES, "kept")
    (tmp_path / "gatepost.exchange").write_text(f"{PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secrets(folder).find(EXCHANGE) == PASSWORD
    assert Secrets(folder).find(NOTICES) == "kept"


def test_another_key_file_may_be_named(folder: Path, tmp_path: Path) -> None:
    """Then the folder holds no key; forgetting leaves that file, which is not the connector's own."""
    key = tmp_path / "elsewhere.key"
    Secrets(folder, key).keep(EXCHANGE, PASSWORD)
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert Secrets(folder, key).find(EXCHANGE) == PASSWORD
    with pytest.raises(SettingsError, match=r"secrets\.key is missing; without it"):
        Secrets(folder).find(EXCHANGE)
    Secrets(folder, key).forget()
    assert list(folder.iterdir()) == []
    assert key.exists()


def test_forgetting_leaves_no_file_and_may_be_repeated(folder: Path) -> None:
    """Also where there is no folder at all; what is kept afterwards has a new key."""
    Secrets(folder).forget()
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    key = (folder / KEY_FILE).read_bytes()
    with (folder / KEY_FILE).open("rb") as held, (folder / FILE).open("rb") as envelope:
        (folder / KEYTAB).write_bytes(b"a key table")
        Secrets(folder).forget()
        assert held.read() != key, "the bytes on the disk are overwritten"
        assert b"nonce" not in envelope.read()
    assert list(folder.iterdir()) == []
    Secrets(folder).forget()
    assert Secrets(folder).find(EXCHANGE) is None
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    assert (folder / KEY_FILE).read_bytes() != key


def test_a_file_that_cannot_be_removed_is_told(folder: Path) -> None:
    """Somebody must know that a secret is left."""
    (folder / KEY_FILE).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"secrets\.key cannot be removed: .*Remove it by hand: it holds secrets"):
        Secrets(folder).forget()


def _swap(folder: Path) -> None:
    envelope = json.loads((folder / FILE).read_text())
    envelope["secrets"] = {EXCHANGE: envelope["secrets"][NOTICES]}
    (folder / FILE).write_text(json.dumps(envelope))


def _alter(folder: Path) -> None:
    envelope = json.loads((folder / FILE).read_text())
    envelope["secrets"][EXCHANGE]["sealed"] = envelope["secrets"][NOTICES]["sealed"]
    (folder / FILE).write_text(json.dumps(envelope))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / KEY_FILE).unlink(), "secrets.key is missing; without it the passwords in"),
        (lambda folder: (folder / KEY_FILE).write_text("?\n"), "secrets.key is damaged."),
        (lambda folder: (folder / KEY_FILE).write_text("c2hvcnQ=\n"), "secrets.key is damaged."),
        (lambda folder: (folder / KEY_FILE).write_text("A" * 43 + "=\n"), "belongs to another key than"),
        (lambda folder: (folder / KEY_FILE).chmod(0o644), "Everybody on this machine may read the key file"),
        (lambda folder: (folder / FILE).write_text('{"version": 1'), "secrets.json cannot be opened: it was changed"),
        (lambda folder: (folder / FILE).write_text("[]"), "secrets.json cannot be opened: it was changed"),
        (_swap, "The password 'exchange' in the envelope"),
        (_alter, "The password 'exchange' in the envelope"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_told_with_its_remedy(folder: Path, harm: object, said: str) -> None:
    """Which file, what is wrong and what to do; never a byte of a secret."""
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    Secrets(folder).keep(NOTICES, PASSWORD)
    assert callable(harm)
    harm(folder)
    with pytest.raises(SettingsError) as caught:
        Secrets(folder).find(EXCHANGE)
    assert said in str(caught.value)
    assert caught.value.remedy
    assert PASSWORD not in str(caught.value)


def test_a_folder_moved_elsewhere_does_not_open(folder: Path, tmp_path: Path) -> None:
    """The old place is named; a name written over in the file helps nobody."""
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    moved = folder.rename(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match=rf"was sealed in another folder, {folder}, and opens only there\."):
        Secrets(moved).find(EXCHANGE)
    envelope = json.loads((moved / FILE).read_text())
    (moved / FILE).write_text(json.dumps(envelope | {"folder": str(moved)}))
    with pytest.raises(SettingsError, match="it was changed, or belongs to another key"):
        Secrets(moved).find(EXCHANGE)


def test_a_damaged_envelope_is_not_written_over(folder: Path) -> None:
    """Keeping one secret must not lose the others silently."""
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    (folder / KEY_FILE).unlink()
    with pytest.raises(SettingsError, match="is missing"):
        Secrets(folder).keep(NOTICES, "another")
    assert not (folder / KEY_FILE).exists()


def test_a_write_that_fails_leaves_what_was_there(folder: Path) -> None:
    """Whole or not at all: here the disk has no room for a name so long."""
    Secrets(folder).keep(EXCHANGE, PASSWORD)
    before = (folder / FILE).read_bytes()
    used = sum(path.stat().st_size for path in folder.iterdir())
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (used, hard))
    try:
        with pytest.raises(StoreError, match=r"secrets\.json cannot be written: File too large"):
            Secrets(folder).keep(NOTICES, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert (folder / FILE).read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [FILE, KEY_FILE]
