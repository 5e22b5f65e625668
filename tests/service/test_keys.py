"""Keys of tenants and the vault: made once, opened only by the installation's key, bound to their place."""

from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.domain import signing
from gatepost.errors import SettingsError
from gatepost.service.database import Database
from gatepost.service.keys import Keys
from gatepost.service.vault import FILE, Vault


@pytest.mark.anyio
async def test_a_tenants_keys_are_made_once_and_found_again(database: Database, tenant: UUID, tmp_path: Path) -> None:
    """Two processes with the same key file have the same keys, and what they sign is checked with the public one."""
    async with database.tenant(tenant) as scope:
        first = await Keys(Vault.open_file(tmp_path / FILE)).of(scope)
    async with database.tenant(tenant) as scope:
        again = await Keys(Vault.open_file(tmp_path / FILE)).of(scope)
    assert first.public == again.public
    assert first.authority == again.authority
    Ed25519PublicKey.from_public_bytes(first.public).verify(again.sign(b"said"), b"said")
    key = again.authority.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.public_numbers() == again.authority_key.public_key().public_numbers()
    assert again.open(first.seal(b"secret", "alerts/secret/1"), "alerts/secret/1") == b"secret"


@pytest.mark.anyio
async def test_another_key_file_opens_nothing(database: Database, tenant: UUID, tmp_path: Path) -> None:
    """A service that was started with another key file says which file is needed, and has no keys."""
    async with database.tenant(tenant) as scope:
        await Keys(Vault.open_file(tmp_path / FILE)).of(scope)
    async with database.tenant(tenant) as scope:
        with pytest.raises(SettingsError, match=r"cannot be opened with the service's key.*--key-file"):
            await Keys(Vault.open_file(tmp_path / "other")).of(scope)


def test_what_is_sealed_stays_in_its_place(tmp_path: Path) -> None:
    """A sealed secret that is moved to another row, or changed by one bit, is refused."""
    vault = Vault.open_file(tmp_path / FILE)
    sealed = vault.seal(b"secret", "a/b/1")
    assert b"secret" not in sealed
    assert vault.open(sealed, "a/b/1") == b"secret"
    for other, place in ((sealed, "a/b/2"), (bytes([*sealed[:-1], sealed[-1] ^ 1]), "a/b/1"), (b"", "a/b/1")):
        with pytest.raises(SettingsError, match="cannot be opened"):
            vault.open(other, place)


def test_the_key_file_is_private_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    """The key is made for its user alone, kept, and refused in words once it is no key."""
    path = tmp_path / "folder" / FILE
    first = Vault.open_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Vault.open_file(path).key_id == first.key_id
    with pytest.raises(SettingsError, match=r"cannot be read or made.*--key-file"):
        Vault.open_file(path.with_name("elsewhere"), make=False)
    path.write_text("no key\n")
    with pytest.raises(SettingsError, match="damaged"):
        Vault.open_file(path)


def test_a_fingerprint_is_the_same_however_it_is_typed() -> None:
    """Groups, colons, capitals and a prefix do not matter; another key, or a part of one, does."""
    told = signing.fingerprint(b"key")
    assert signing.same_fingerprint(b"key", told)
    assert signing.same_fingerprint(b"key", "SHA256:" + told.replace(" ", ":").upper())
    assert not signing.same_fingerprint(b"other", told)
    assert not signing.same_fingerprint(b"key", told[:-1])
    assert not signing.same_fingerprint(b"key", "")


def test_a_signed_text_has_no_second_reading() -> None:
    """A header with a line end is refused, so two requests never have the same bytes to sign."""
    with pytest.raises(ValueError, match="line end"):
        signing.request_bytes("GET", "/a", ("x\ny",))
