"""How every command of ``gatepost exchange`` reaches Exchange: the same options, and one open organization."""

import inspect
import signal
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatepost.errors import SettingsError
from gatepost.settings import (
    AUTH_METHODS,
    PROXY_AUTH_METHODS,
    ExchangeSettings,
    build,
    changed,
    load,
    read_secret,
)

if TYPE_CHECKING:
    from gatepost.exchange.organization import Organization

_OPTIONS: dict[str, tuple[Any, str]] = {
    "url": (str, "The endpoint, such as https://mail.example.com/PowerShell."),
    "auth": (str, f"One of {', '.join(AUTH_METHODS)}; negotiate unless given."),
    "user": (str, r"The account, as DOMAIN\user or user@domain."),
    "password_file": (Path, "A file that holds the password."),
    "keytab": (Path, "A key table to sign in with by Kerberos."),
    "ca_file": (Path, "PEM certificates to trust instead of the system's."),
    "proxy": (str, "An HTTP proxy, such as http://proxy.example.com:3128."),
    "proxy_auth": (str, f"How to sign in at the proxy: one of {', '.join(PROXY_AUTH_METHODS)}."),
    "proxy_user": (str, "The account at the proxy."),
    "proxy_password_file": (Path, "A file that holds the password for the proxy."),
    "no_proxy": (list[str], "A host that is reached past the proxy, or an ending that begins with a dot; repeatable."),
    "connection": (Path, "A TOML file with the same names as the options."),
}


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection; it is called with an open organization and its own options."""
    return _given_options(command, lacking=False)


def connected_lacking(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that shows what an account may do: it works where rights are missing."""
    return _given_options(command, lacking=True)


def connected_unless(option: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As ``connected_lacking``; with one of its own options given, nothing opens and it is called with None."""
    return lambda command: _given_options(command, lacking=True, unless=option)


def _given_options(command: Callable[..., None], *, lacking: bool, unless: str = "") -> Callable[..., None]:
    """A command with the options of a connection.

    Its first parameter is the organization; Typer sees all the others and those of ``_OPTIONS``.
    """
    own = list(inspect.signature(command).parameters.values())[1:]

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - options of any type
        connection = {name: given.pop(name) for name in _OPTIONS}
        if unless and given[unless]:
            command(None, **given)
            return
        _unwind_when_ended()
        with _connect(lacking=lacking, **connection) as organization:
            command(organization, **given)

    options = [_option(name, kind, says) for name, (kind, says) in _OPTIONS.items()]
    signature = inspect.Signature([*options, *own])
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    vars(run)["__signature__"] = signature  # what Typer reads
    return run


def _unwind_when_ended() -> None:
    """Let a signal to end do what Ctrl-C does, so that no shell stays open at Exchange."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)


def _option(name: str, kind: Any, says: str) -> inspect.Parameter:  # noqa: ANN401 - a type
    annotation = Annotated[kind | None, typer.Option(f"--{name.replace('_', '-')}", help=says, show_default=False)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _connect(connection: Path | None, *, lacking: bool, **options: Any) -> "Organization":  # noqa: ANN401 - options of any type
    """Settings from the file and the options (options win), and an open organization."""
    from gatepost.exchange.organization import Organization

    given = {name: value for name, value in options.items() if value}
    if connection is not None:
        chosen = changed(load(ExchangeSettings, connection), given)
    elif "url" not in given:
        raise SettingsError("No address is given.", "Give --url, or --connection with a settings file.")
    else:
        chosen = build(ExchangeSettings, given, "the options")
    password = read_secret(chosen.password_file) if chosen.password_file else None
    return Organization.connect(chosen, password, lacking=lacking)
