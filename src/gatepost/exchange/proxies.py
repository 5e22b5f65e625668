"""The HTTP proxy on the way to Exchange: whether it serves a host, a tunnel through it, and signing in at it.

An https address is reached by CONNECT, an http one by asking for its whole address. Nothing is taken from the
environment (docs/decisions/0021).
"""

from collections.abc import Callable
from http.client import HTTPException
from urllib.parse import urlsplit

from gatepost.errors import SettingsError
from gatepost.exchange.connections import Answer, Clock, Connection
from gatepost.exchange.signing_in import PROXY, Account, NotOffered, SignIn, SignInFailed
from gatepost.settings import ExchangeSettings, read_secret


class AtProxy(Exception):
    """The proxy cannot be spoken to, or the sign-in at it broke off; the cause says why."""


class TunnelRefused(Exception):
    """The proxy makes no tunnel; ``status`` is its answer to CONNECT."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the proxy answers {status}")


class Proxy:
    """The proxy of the settings, or none. ``name`` is its host; a password file in the settings goes first."""

    def __init__(self, settings: ExchangeSettings, password: str | None = None) -> None:
        split = urlsplit(settings.proxy or "")
        self.name = split.hostname or ""
        self._port = split.port or 80
        self._past = tuple(entry.lower() for entry in settings.no_proxy)
        self.account = _account(settings, password)

    def serves(self, host: str) -> bool:
        """Whether the way to ``host`` leads through the proxy."""
        name = host.lower()
        past = any(name == entry or (entry.startswith(".") and name.endswith(entry)) for entry in self._past)
        return bool(self.name) and not past

    def dial(self, clock: Clock) -> Connection:
        """A connection to the proxy itself. Raises AtProxy."""
        try:
            return Connection.dial(self.name, self._port, clock)
        except OSError as error:
            raise AtProxy from error

    def tunnel(self, host: str, port: int, clock: Clock) -> Connection:
        """A connection through the proxy to ``host``. Raises AtProxy and TunnelRefused."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        connection = self.dial(clock)

        def connect(headers: dict[str, str]) -> Answer:
            nonlocal connection
            if not connection.is_open:
                connection = self.dial(clock)
            return connection.ask("CONNECT", target, {"Host": target, "User-Agent": "Gatepost", **headers})

        try:
            answer = self.signed_in(connect(self.headers), connect)
        except (OSError, HTTPException) as error:
            raise AtProxy from error
        if not 200 <= answer.status < 300:
            connection.close()
            raise TunnelRefused(answer.status)
        return connection

    @property
    def headers(self) -> dict[str, str]:
        """What every request to the proxy carries: Basic needs no question first."""
        if self.account is None or self.account.method != "basic":
            return {}
        return {PROXY.replies: self.account.basic}

    def signed_in(self, answer: Answer, again: Callable[[dict[str, str]], Answer]) -> Answer:
        """The answer after a sign-in, if the proxy asked for one that we have. Raises AtProxy."""
        if answer.status != PROXY.status or self.account is None or self.account.method == "basic":
            return answer
        try:
            return SignIn(self.account, self.name).through(PROXY, answer, again)
        except (NotOffered, SignInFailed) as error:
            raise AtProxy from error


def _account(settings: ExchangeSettings, password: str | None) -> Account | None:
    """Who signs in at the proxy. Negotiate without a user means the tickets of the system."""
    if settings.proxy is None or (settings.proxy_user is None and settings.proxy_auth == "basic"):
        return None
    if settings.proxy_password_file:
        password = read_secret(settings.proxy_password_file)
    if password is None and settings.proxy_user is not None and settings.proxy_auth == "basic":
        raise SettingsError("Signing in at the proxy by basic needs a password.", "Give --proxy-password-file.")
    return Account(settings.proxy_auth, settings.proxy_user, password)
