"""The client access servers of one organization: which one is used now, which are tried when it fails.

The configured one comes first and is taken back as soon as it answers again. Credentials go only to hosts that the
settings name or that stand in the configured host's own domain. Pure but for what it remembers; ``now`` as in breaker.
"""

import ipaddress
import logging
import random
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from gatepost.errors import (
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    NotExchange,
    SessionLost,
    SignInRefused,
    UntrustedCertificate,
    WireError,
)
from gatepost.exchange.breaker import THRESHOLD, Breaker
from gatepost.settings import ExchangeSettings, changed

log = logging.getLogger(__name__)

_MOST = 16


class Servers:
    """The servers by host name, the configured one first. ``now_used`` is the last one that worked."""

    def __init__(self, settings: ExchangeSettings, chance: random.Random | None = None) -> None:
        self._settings = settings
        self._chance = chance or random.Random()
        self.first = urlsplit(settings.url).hostname or settings.url
        self.now_used = self.first
        self._breakers: dict[str, Breaker] = {self.first: Breaker(self.first, self._chance)}

    @property
    def hosts(self) -> tuple[str, ...]:
        """All servers, in the order in which they are tried."""
        return tuple(self._breakers)

    def know(self, names: Iterable[str]) -> None:
        """Learn servers to turn to, by full name; those that credentials may not go to are left out."""
        for name in names:
            host = name.strip().rstrip(".").lower()
            if not may_sign_in(self._settings, host):
                _say_unused(host, self.first)
            elif host not in self._breakers and len(self._breakers) < _MOST:
                self._breakers[host] = Breaker(host, self._chance)

    def settings(self, host: str) -> ExchangeSettings:
        """The settings for one of the servers: same scheme, port and path."""
        if host == self.first:
            return self._settings
        split = urlsplit(self._settings.url)
        port = f":{split.port}" if split.port else ""
        return changed(self._settings, {"url": split._replace(netloc=host + port).geturl()})

    def choose(self, now: float) -> str:
        """The server to open a session at. Raises the first one's error where none may be asked now."""
        for host, breaker in self._breakers.items():
            if breaker.ask(now):
                return host
        raise self._breakers[self.first].avoided(now)

    def is_used(self, host: str, now: float) -> bool:
        """Whether open sessions there are to be used: it works, and no earlier server is due to be asked again."""
        for name, breaker in self._breakers.items():
            if name == host:
                return not breaker.is_open
            if breaker.is_due(now):
                return False
        return False

    def worked(self, host: str) -> None:
        """Work was done there."""
        self._breakers[host].worked()

    def opened(self, host: str) -> None:
        """A session was opened there."""
        self._breakers[host].worked()
        if host != self.now_used:
            log.warning("Exchange is reached through %s from now on, before through %s", host, self.now_used)
            self.now_used = host

    def spared(self, host: str) -> None:
        """Opening a session there has ended, whatever came of it: another one may be tried."""
        self._breakers[host].spared()

    def failed(self, host: str, error: ExchangeError | WireError, now: float) -> bool:
        """Something failed there; True where another server is worth trying for it at once.

        Where there are others, one failure is enough to turn to them. A refused sign-in is tried nowhere else: that
        would lock the account.
        """
        blamed = error if isinstance(error, ExchangeError) else ExchangeUnreachable(error.cause, error.remedy)
        if not is_server_fault(blamed):
            return False
        others = len(self._breakers) > 1
        self._breakers[host].failed(blamed, now, 1 if others else THRESHOLD)
        return others and not isinstance(blamed, SignInRefused)


@lru_cache(maxsize=1024)
def _say_unused(host: str, own: str) -> None:
    """Say once in a process that a server is left out, and how to change that: pools come and go."""
    domain = _domain(own)
    ours = f"the domain {domain} of the address in the settings" if domain else f"our domain ({own} names none)"
    log.info("the server %s is not used: it is neither named in allowed_redirects nor in %s", host, ours)


def is_server_fault(error: ExchangeError) -> bool:
    """Whether an error says something of the server as a whole, and not of one command, session or account's load."""
    if isinstance(error, ExchangeBusy):
        return error.about == "server"
    kinds = (ExchangeUnreachable, NotExchange, UntrustedCertificate, SignInRefused)
    return isinstance(error, kinds) and not isinstance(error, SessionLost)


def may_sign_in(settings: ExchangeSettings, host: str) -> bool:
    """Whether credentials may go to a host: one that the settings name, or one in the configured host's domain.

    That domain is what follows the first label of the configured name, and is taken for one only with a dot in it.
    """
    if not host or host != host.strip("-.") or not all(part.isalnum() or part in "-." for part in host):
        return False
    own = (urlsplit(settings.url).hostname or "").lower()
    named = {entry.lower().partition(":")[0] for entry in settings.allowed_redirects}
    if host == own or host in named:
        return True
    domain = _domain(own)
    return bool(domain) and host.endswith(f".{domain}")


def _domain(own: str) -> str:
    """The domain of the configured host; empty where it has none: an address, a bare name, or a bare top level."""
    domain = own.partition(".")[2]
    return domain if "." in domain and not _is_address(own) else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
