"""Secrets of the service at rest: sealed by a key that is not in the database, so that a copy of it gives nothing away.

The key file of an installation holds 32 random bytes; every replica needs the same file. What is sealed is bound to its
place (tenant, table, column, row), so that nobody can move it to another.
"""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatepost.errors import SettingsError

KEY_BYTES, NONCE_BYTES = 32, 12
FILE = "service.key"


class Sealer:
    """AES-256-GCM with one key: nonce and ciphertext, bound to a place."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"gatepost key id" + key).hexdigest()[:16]

    def seal(self, secret: bytes, place: str) -> bytes:
        """A secret as it may lie in the database, in this place only."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """The secret again. Raises SettingsError where it was sealed by another key, for another place, or changed."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise SettingsError(
                f"A secret in the database ({place}) cannot be opened with the service's key.",
                "Start the service with the key file that belongs to this database (--key-file).",
            ) from error


class Vault(Sealer):
    """The installation's key, from its file."""

    @classmethod
    def open_file(cls, path: Path, *, make: bool = True) -> Self:
        """The key in a file; ``make`` one with mode 0600 where there is none yet. Raises SettingsError."""
        try:
            if make:
                path.parent.mkdir(parents=True, exist_ok=True)
                _make(path)
            key = base64.b64decode(path.read_bytes().strip(), validate=True)
        except OSError as error:
            raise SettingsError(
                f"The service's key file {path} cannot be read or made: {error.strerror}.",
                "Check path and rights, or name it with --key-file.",
            ) from error
        except binascii.Error as error:
            raise _damaged(path) from error
        if len(key) != KEY_BYTES:
            raise _damaged(path)
        return cls(key)


def _make(path: Path) -> None:
    """A new key, where the file is not there; two processes that start at once get the same one."""
    if path.exists():
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink(missing_ok=True)


def _damaged(path: Path) -> SettingsError:
    return SettingsError(
        f"The service's key file {path} is damaged.",
        "Put it back from its backup; without it connectors must enrol anew and passwords of alerts be given again.",
    )
