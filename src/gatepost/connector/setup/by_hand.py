"""A settings file that a person wrote: completed and changed in place, with its comments and its order."""

import json
import re
import tomllib
from pathlib import Path

from gatepost.connector import host
from gatepost.errors import SettingsError
from gatepost.settings import ConnectorSettings, UplinkSettings, changed, load

_TABLE = re.compile(r"^\s*\[", re.MULTILINE)
_MODE = re.compile(r"""^([ \t]*)mode[ \t]*=[ \t]*(?:"[^"\n]*"|'[^'\n]*')([ \t]*(?:#[^\n]*)?)$""", re.MULTILINE)


def configure(config: Path, service: str | None) -> ConnectorSettings:
    """The settings in a file; its ``[service]`` is added where it is missing. Raises SettingsError."""
    try:
        raw = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return load(ConnectorSettings, config)  # says what is wrong with the file
    known = raw.get("service")
    if service:
        UplinkSettings(url=service)  # before it is written anywhere
    if service and known is None:
        with config.open("a", encoding="utf-8") as file:
            file.write(f"\n[service]\nurl = {json.dumps(service)}\n")
    settings = load(ConnectorSettings, config)
    if service and settings.service.url != service:
        raise SettingsError(
            f"{config} names another service: {settings.service.url}.",
            "Change [service] url in it, or leave --service out.",
        )
    return settings


def set_mode(config: Path, mode: str) -> ConnectorSettings:
    """Write the mode into a settings file, and nothing else; the settings with it. Raises SettingsError.

    A connector reads its settings when it starts, so one that runs goes on as it was until it is started again.
    """
    before = load(ConnectorSettings, config)
    wanted = changed(before, {"mode": mode})
    text = config.read_text(encoding="utf-8")
    table = _TABLE.search(text)
    head, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    line = f'mode = "{mode}"'
    head, count = _MODE.subn(lambda found: found[1] + line + found[2], head, count=1)
    if not count:
        head = f"{line}\n{head}"
    readers = before.folder if before.folder.exists() else None
    host.write_private(beside := config.with_name(f"{config.name}.new"), head + rest, readers)
    try:
        if load(ConnectorSettings, beside) != wanted:
            raise SettingsError(f"The mode cannot be written into {config}.", f"Put this line at its top: {line}")
        beside.chmod(config.stat().st_mode)
        beside.replace(config)
    finally:
        beside.unlink(missing_ok=True)
    return wanted
