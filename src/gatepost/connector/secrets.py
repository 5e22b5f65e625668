"""Passwords at rest: systemd's credentials where there are any, else an envelope in the connector's folder.

The envelope is one file of which each secret is sealed by itself (AES-256-GCM), bound to its name and to the folder;
the key is a file beside it, or another that the settings name. Both may be read by the connector's user alone. The
same on Windows, where the rights are those of the folder: DPAPI is not used, because what it seals for one account no
other can open, and a service often runs under another account than the person who sets it up.

A credential of systemd is named ``gatepost.`` and the secret's name, and goes before the envelope.
"""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatepost.connector import host
from gatepost.errors import SettingsError
from gatepost.settings import ConnectorSettings, read_secret

EXCHANGE = "exchange"
EXCHANGE_PROXY = "exchange-proxy"
SERVICE_PROXY = "service-proxy"
NOTICES = "notices"
NAMES = (EXCHANGE, EXCHANGE_PROXY, SERVICE_PROXY, NOTICES)

FILE, KEY_FILE = "secrets.json", "secrets.key"
KEYTAB = "exchange.keytab"
"""The copy of a key table that set-up keeps in the folder: a secret too, as Kerberos wants it."""
KEY_BYTES, NONCE_BYTES = 32, 12
AGAIN = "Give the passwords again: gatepost connector setup --change account."


class Secrets:
    """The secrets of one connector's folder. ``key_file`` seals them; ``secrets.key`` in the folder unless given."""

    def __init__(self, folder: Path, key_file: Path | None = None) -> None:
        self._folder = folder
        self._file = folder / FILE
        self._key_file = key_file or folder / KEY_FILE

    def find(self, name: str) -> str | None:
        """A secret as it is now, None where none is kept. Raises SettingsError where it cannot be opened."""
        credential = _credential(name)
        if credential is not None and credential.exists():
            return read_secret(credential)
        sealed = self._sealed().get(name)
        return None if sealed is None else self._open(name, sealed)

    def keep(self, name: str, value: str) -> None:
        """Keep a secret in the envelope, in place of what was there. Raises as ``change``."""
        self.change({name: value})

    def change(self, values: Mapping[str, str | None]) -> None:
        """Keep these secrets, and those that are None no more: all at once, on the disk when this returns.

        Raises SettingsError where the envelope is damaged or another folder's, StoreError where it cannot be written.
        """
        host.private_folder(self._folder)
        before = self._sealed()
        kept = {name: value for name, value in values.items() if value is not None}
        sealed = {name: box for name, box in before.items() if name not in values}
        if kept:
            key = AESGCM(self._key(make=not before))
            sealed |= {name: self._seal(key, name, value) for name, value in kept.items()}
        if sealed != before:
            self._write(sealed)

    def _seal(self, key: AESGCM, name: str, value: str) -> dict[str, str]:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return {"nonce": _text(nonce), "sealed": _text(key.encrypt(nonce, value.encode(), self._place(name)))}

    def forget(self) -> None:
        """Make all of them unreadable: overwritten where the disk allows that, and removed, the key first.

        A key file that the settings name stays, and so do systemd's credentials: they are not the connector's own.
        Files that are gone already are no fault. Raises StoreError.
        """
        for name in (KEY_FILE, FILE, KEYTAB):
            host.destroy(self._folder / name)

    def _write(self, sealed: dict[str, Any]) -> None:
        envelope = {"version": 1, "folder": str(self._folder.resolve()), "secrets": sealed}
        host.write_private(self._file, json.dumps(envelope, indent=1) + "\n")

    def _sealed(self) -> dict[str, Any]:
        """What the envelope holds; nothing where there is none. Raises SettingsError."""
        try:
            envelope = json.loads(self._file.read_text(encoding="utf-8"))
            sealed, folder = dict(envelope["secrets"]), str(envelope["folder"])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError(
                f"The envelope of passwords {self._file} cannot be read: {error.strerror}.",
                "Run this as the connector's user, or mend the file's rights.",
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged() from error
        if folder != str(self._folder.resolve()):
            raise SettingsError(
                f"The envelope of passwords {self._file} was sealed in another folder, {folder}, and opens only there.",
                f"Put the folder back, or remove {FILE} and {KEY_FILE}. {AGAIN}",
            )
        return sealed

    def _open(self, name: str, sealed: Any) -> str:  # noqa: ANN401 - whatever the file holds
        try:
            nonce, box = (base64.b64decode(sealed[part], validate=True) for part in ("nonce", "sealed"))
            return AESGCM(self._key()).decrypt(nonce, box, self._place(name)).decode()
        except (InvalidTag, ValueError, KeyError, TypeError) as error:
            raise self._damaged(name) from error

    def _key(self, *, make: bool = False) -> bytes:
        """The key; a new one where there is none and nothing is sealed yet. Raises SettingsError."""
        try:
            if make and not self._key_file.exists():
                host.write_private(self._key_file, _text(secrets.token_bytes(KEY_BYTES)) + "\n")
            if host.is_open_to_all(self._key_file):
                raise SettingsError(
                    f"Everybody on this machine may read the key file {self._key_file}.",
                    "Take that right away (chmod 600), and change the passwords if others use this machine.",
                )
            key = base64.b64decode(self._key_file.read_bytes().strip(), validate=True)
        except FileNotFoundError as error:
            raise SettingsError(
                f"The key file {self._key_file} is missing; without it the passwords in {self._file} cannot be opened.",
                f"Put it back from a backup, or remove {FILE}. {AGAIN}",
            ) from error
        except OSError as error:
            raise SettingsError(
                f"The key file {self._key_file} cannot be read: {error.strerror}.",
                "Run this as the connector's user, or mend the file's rights.",
            ) from error
        except binascii.Error as error:
            raise self._bad_key() from error
        if len(key) != KEY_BYTES:
            raise self._bad_key()
        return key

    def _place(self, name: str) -> bytes:
        """What a secret is bound to, so that it cannot be given out as another."""
        return f"gatepost secret {name} of {self._folder.resolve()}".encode()

    def _damaged(self, name: str = "") -> SettingsError:
        what = f"The password '{name}' in the envelope {self._file}" if name else f"The envelope {self._file}"
        return SettingsError(
            f"{what} cannot be opened: it was changed, or belongs to another key than {self._key_file}.",
            f"Put both back from one backup, or remove {FILE}. {AGAIN}",
        )

    def _bad_key(self) -> SettingsError:
        return SettingsError(
            f"The key file {self._key_file} is damaged.", f"Put it back from a backup, or remove both. {AGAIN}"
        )


def of(settings: ConnectorSettings) -> Secrets:
    """The secrets of the connector with these settings."""
    return Secrets(settings.folder, settings.key_file)


def _credential(name: str) -> Path | None:
    """Where systemd would have put a credential; the variable names a folder and is no secret."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) / f"gatepost.{name}" if folder else None


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
