"""A connector's settings written as a file, with a word on each: what set-up leaves for people to read."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gatepost.connector import host
from gatepost.errors import SettingsError
from gatepost.settings import ConnectorSettings, build

_HEAD = """# The settings of a Gatepost connector, written by `gatepost connector setup`; its --change changes them.
# No secret stands here: passwords are sealed in the folder. What is not named has its default (administrator's guide).
"""
_WORDS = {
    "folder": "the identity, the store and the sealed passwords",
    "mode": "observe writes nothing to Exchange; enforce changes lists",
    "scope": "the mailboxes that may be written: addresses, @domain, or *",
    "ceiling": "writes that take access away, an hour",
    "settings_may_change": "Exchange's default level and the texts of its mails too",
    "key_file": "the key that seals the passwords",
    "exchange.url": "remote PowerShell",
    "exchange.auth": "kerberos, negotiate or basic",
    "exchange.user": "the account that Gatepost works by",
    "exchange.keytab": "its key, in place of a password",
    "exchange.ca_file": "trusted in place of the system's store",
    "service.ca_file": "trusted in place of the system's store",
    "service.proxy_user": "signs in by Basic",
    "notices.account": "the mailbox that notices are sent from",
    "notices.url": "Exchange Web Services; without it Autodiscover finds them",
}
_ALWAYS = {"mode", "scope", "exchange.auth"}


def render(settings: ConnectorSettings) -> str:
    """The text of a settings file: what is set, what has no default, and mode and scope always."""
    plain = [name for name in settings.__struct_fields__ if not isinstance(getattr(settings, name), msgspec.Struct)]
    tables = [name for name in settings.__struct_fields__ if isinstance(getattr(settings, name), msgspec.Struct)]
    parts = [_HEAD, "\n".join(_lines(settings, plain, ""))]
    for name in tables:
        table = getattr(settings, name)
        lines = list(_lines(table, list(table.__struct_fields__), f"{name}."))
        if lines:
            parts.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _lines(struct: msgspec.Struct, names: list[str], prefix: str) -> Iterator[str]:
    defaults = {field.name: field.default for field in msgspec.structs.fields(type(struct))}
    for name in names:
        value = getattr(struct, name)
        if value is None or (value == defaults[name] and prefix + name not in _ALWAYS):
            continue
        words = _WORDS.get(prefix + name)
        yield f"{name} = {_value(value)}" + (f"  # {words}" if words else "")


def _value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def write(config: Path, settings: ConnectorSettings) -> None:
    """Put settings into their file, whole or not at all; for the owner, and where root writes for the folder's group.

    A file that was there and says something else is kept beside it with the ending ``.before``. Raises SettingsError
    where what was written would not be what is meant, StoreError where it cannot be written.
    """
    text = render(settings)
    if build(ConnectorSettings, tomllib.loads(text), str(config), config.parent) != settings:
        raise SettingsError(f"The settings cannot be written into {config}.", "Write that file by hand.")
    host.settings_folder(config.parent)
    try:
        before = config.read_bytes()
    except FileNotFoundError:
        before = b""
    except OSError as error:
        raise SettingsError(f"The file {config} cannot be read: {error.strerror}.", "Check its rights.") from error
    if before and before != text.encode():
        host.write_private(config.with_name(f"{config.name}.before"), before)
    host.write_private(config, text, readers=settings.folder)
