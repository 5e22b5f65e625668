"""A set-up package in its folder: whatever happened to a file is told with the file's name."""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost.connector import package
from gatepost.domain import signing
from gatepost.errors import SettingsError

FILES = {
    "gatepost-connector.pyz": b"#!/usr/bin/env python3\nthe connector",
    "setup.toml": b'service = "https://gatepost.example"\ntenant = "acme"\nmade_by = "anna"\n'
    b'organization = "Zo\xc3\xab\'s \\"office\\""\nexpires_at = 2026-11-24T10:00:00Z\n',
    "ticket": b"tenant.secret\n",
    "README.txt": b"Read me.\n",
}
NOW = datetime(2026, 11, 24, 9, 59, tzinfo=UTC)


@dataclass(frozen=True)
class Maker:
    """Makes packages as the service does, and signs them with its key."""

    folder: Path
    key: Ed25519PrivateKey

    def manifest(self, files: dict[str, bytes], **changed: Any) -> bytes:
        """A manifest of these files."""
        listed = [
            {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            for name, body in files.items()
        ]
        key = base64.b64encode(self.key.public_key().public_bytes_raw()).decode()
        return json.dumps({"contract": 1, "key": key, "files": listed} | changed).encode()

    def sign(self, manifest: bytes) -> None:
        """Put a manifest and its signature into the folder."""
        signature = base64.b64encode(self.key.sign(signing.manifest_bytes(manifest))) + b"\n"
        (self.folder / "manifest.json").write_bytes(manifest)
        (self.folder / "manifest.signature").write_bytes(signature)

    def make(self, **changed: bytes) -> Path:
        """A whole package; ``setup`` replaces what ``setup.toml`` says."""
        files = FILES | {name.replace("_", "."): body for name, body in changed.items()}
        for name, body in files.items():
            (self.folder / name).write_bytes(body)
        self.sign(self.manifest(files))
        return self.folder


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """A maker with a key and an empty folder."""
    (folder := tmp_path / "setup").mkdir()
    return Maker(folder, Ed25519PrivateKey.generate())


def refusal(folder: Path, now: datetime = NOW) -> str:
    """What a person reads who starts set-up in this folder."""
    with pytest.raises(SettingsError) as refused:
        package.read(folder, now)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_a_package_tells_for_whom_it_was_made(maker: Maker) -> None:
    """Service, tenant, organization, end, ticket and key are read, whatever the organization is called."""
    found = package.read(maker.make(), NOW)
    assert (found.service_url, found.tenant, found.organization) == (
        "https://gatepost.example",
        "acme",
        'Zoë\'s "office"',
    )
    assert found.expires_at == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert found.ticket_file.read_bytes() == FILES["ticket"]
    assert found.public_key == maker.key.public_key().public_bytes_raw()


def test_the_key_is_compared_with_what_a_person_was_told(maker: Maker) -> None:
    """The fingerprint fits however it was typed; another one is refused, and the message shows both ways to go."""
    found = package.read(maker.make(), NOW)
    told = signing.fingerprint(found.public_key)
    found.check(told)
    found.check(told.upper().replace(" ", ":"))
    other = signing.fingerprint(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(SettingsError, match="signed by another key than you were told") as refused:
        found.check(other)
    assert told in str(refused.value)
    assert "do not use the package" in refused.value.remedy


@pytest.mark.parametrize("name", ["gatepost-connector.pyz", "setup.toml", "ticket", "README.txt"])
def test_a_renamed_file_is_named_with_its_new_name(maker: Maker, name: str) -> None:
    """Who renamed a file reads which it is, and what it is called now."""
    folder = maker.make()
    (folder / name).rename(folder / f"{name}.old")
    assert f"{folder / name} was renamed: it is there as {name}.old. Give it its name {name} again." in refusal(folder)


@pytest.mark.parametrize("name", ["gatepost-connector.pyz", "setup.toml", "README.txt"])
def test_a_file_that_was_moved_away_is_named(maker: Maker, tmp_path: Path, name: str) -> None:
    """Who took the connector out of the folder reads which file is missing, and where to run it."""
    folder = maker.make()
    shutil.move(folder / name, tmp_path / name)
    assert f"{folder / name} is missing: it was moved, or not unzipped. Run the connector in the folder" in refusal(
        folder
    )


@pytest.mark.parametrize("name", ["manifest.json", "manifest.signature"])
def test_a_manifest_that_is_missing_is_named(maker: Maker, name: str) -> None:
    """Without manifest or signature nothing is believed."""
    folder = maker.make()
    (folder / name).unlink()
    assert f"{folder / name} is missing: it was renamed or moved" in refusal(folder)


def test_a_ticket_that_was_spent_is_told_so(maker: Maker) -> None:
    """Where set-up has deleted the ticket, the message says that it is used once."""
    folder = maker.make()
    (folder / "ticket").unlink()
    message = refusal(folder)
    assert f"There is no ticket file {folder / 'ticket'}. A ticket is used once" in message
    assert "download the set-up package anew" in message


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_changed_file_is_named(maker: Maker, name: str) -> None:
    """One changed byte of any file is found."""
    folder = maker.make()
    body = bytearray((folder / name).read_bytes())
    body[-2] ^= 1
    (folder / name).write_bytes(body)
    assert f"The file {folder / name} was changed. Download the set-up package anew" in refusal(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_truncated_file_is_named_with_its_size(maker: Maker, name: str) -> None:
    """A file that was copied in part is told by its size."""
    folder = maker.make()
    (folder / name).write_bytes(FILES[name][:5])
    assert f"{folder / name} was changed: it has 5 bytes in place of {len(FILES[name])}" in refusal(folder)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.signature"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_manifest_that_was_changed_is_refused(maker: Maker, name: str, cut: bool) -> None:
    """Neither manifest nor signature can be changed or cut."""
    folder = maker.make()
    body = (folder / name).read_bytes()
    (folder / name).write_bytes(body[: len(body) // 2] if cut else body.replace(body[40:42], b"zz", 1))
    message = refusal(folder)
    assert str(folder / name) in message
    assert "was changed" in message


def test_a_manifest_signed_by_another_key_is_refused(maker: Maker) -> None:
    """A signature counts only by the key that the manifest names."""
    folder = maker.make()
    replace(maker, key=Ed25519PrivateKey.generate()).sign((folder / "manifest.json").read_bytes())
    assert "the signature does not fit" in refusal(folder)


def test_a_package_signed_anew_by_another_does_not_pass_the_fingerprint(maker: Maker) -> None:
    """Who changes a file and signs all of it with a key of his own is found by the fingerprint that a person has."""
    told = signing.fingerprint(maker.key.public_key().public_bytes_raw())
    forger = replace(maker, key=Ed25519PrivateKey.generate())
    found = package.read(forger.make(setup_toml=FILES["setup.toml"].replace(b"gatepost.", b"evil.")), NOW)
    assert found.service_url == "https://evil.example"
    with pytest.raises(SettingsError, match="signed by another key"):
        found.check(told)


@pytest.mark.parametrize("contract", [2, "1", None])
def test_a_manifest_of_another_contract_is_refused(maker: Maker, contract: object) -> None:
    """A package of another version names the connector that lies in it."""
    folder = maker.make()
    maker.sign(maker.manifest(FILES, contract=contract))
    message = refusal(folder)
    assert f"manifest.json is of contract {contract!r}" in message
    assert "Use the connector that lies in the same package" in message


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "a\\b", "..", ".", "", "C:x", "x\ny", "CON:", "ticket\x00", "a*b"]
)
def test_a_manifest_that_names_a_place_outside_is_refused(maker: Maker, name: str) -> None:
    """A path that leads out of the folder is refused, although the signature fits, and nothing there is opened."""
    folder = maker.make()
    (folder.parent / "x").write_bytes(b"outside")
    maker.sign(maker.manifest(FILES | {name: b"outside"}))
    message = refusal(folder)
    assert f"names {name!r}, which is not a file of this folder" in message
    assert "Do not use this package" in message


@pytest.mark.parametrize("name", ["setup.toml", "ticket"])
def test_a_manifest_must_name_what_set_up_reads(maker: Maker, name: str) -> None:
    """A file that the manifest leaves out would be read unchecked."""
    folder = maker.make()
    maker.sign(maker.manifest({each: body for each, body in FILES.items() if each != name}))
    assert f"manifest.json does not name {name}" in refusal(folder)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"contract": 1}',
        b'{"contract": 1, "key": "AAAA", "files": []}',
        b'{"contract": 1, "key": "!", "files": []}',
        b'{"contract": 1, "key": "AAAA", "files": [{"name": 1}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_is_none_is_told(maker: Maker, body: bytes) -> None:
    """Whatever stands in place of the manifest, the message names the file."""
    folder = maker.make()
    (folder / "manifest.json").write_bytes(body)
    assert f"{folder / 'manifest.json'}" in refusal(folder)


def test_a_ticket_that_has_expired_is_told_with_its_end(maker: Maker) -> None:
    """After a day the package is of no use, and says since when."""
    message = refusal(maker.make(), NOW + timedelta(minutes=1))
    assert "expired at 2026-11-24 10:00 UTC: its ticket lives for a day. Download the set-up package anew." in message


@pytest.mark.parametrize(
    "setup", [b"service = 1", b"no toml", b'service = "x"', FILES["setup.toml"].replace(b":00Z", b":00"), b"\xff"]
)
def test_settings_that_cannot_be_read_are_named(maker: Maker, setup: bytes) -> None:
    """Settings that the service never made are refused with the file's name."""
    folder = maker.make(setup_toml=setup)
    assert f"The file {folder / 'setup.toml'} cannot be read" in refusal(folder)


def test_a_link_in_place_of_a_file_is_refused(maker: Maker, tmp_path: Path) -> None:
    """A link would let the file be another one a moment later."""
    folder = maker.make()
    shutil.move(folder / "ticket", tmp_path / "elsewhere")
    (folder / "ticket").symlink_to(tmp_path / "elsewhere")
    assert f"{folder / 'ticket'} is not a file any more" in refusal(folder)


def test_a_program_knows_whether_a_package_lies_beside_it(maker: Maker, tmp_path: Path) -> None:
    """The package is found by the variable that the connector's file sets, and only where one is."""
    folder = maker.make()
    find: Callable[[dict[str, str]], Path | None] = package.beside_program
    assert find({"GATEPOST_PACKAGE": str(folder / "gatepost-connector.pyz")}) == folder
    assert find({"GATEPOST_PACKAGE": str(tmp_path / "gatepost-connector.pyz")}) is None
    assert find({}) is None
