"""The open Exchange organization, kept across synchronisations and writes, and opened anew where that can help.

Opening costs a sign-in, a shell and the probes of what is possible; so one is shared by all threads for as long as it
works. Its pool mends what is one session's trouble. What concerns the organization as a whole (another password,
other rights, the server away) is met by opening it anew: the passwords are read anew each time.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from gatepost.connector.passwords import Passwords
from gatepost.connector.stopping import Stopped
from gatepost.domain.devices import Capabilities, Load
from gatepost.errors import CmdletFailed, ExchangeBusy, ExchangeError, SettingsError, WriteUncertain
from gatepost.exchange.organization import Organization
from gatepost.settings import ConnectorSettings

Opener = Callable[[], Organization]
_KEEPS = (CmdletFailed, ExchangeBusy, WriteUncertain)  # the organization is as good as before


class _Shared:
    """An organization and how many use it; the last one that leaves closes it where it is not to be used again."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.users = 0


class Connection:
    """One connector's organization. Safe to use from several threads; ``close`` it at the end.

    ``opener`` opens it anew; ``seen`` is told what is possible each time that was done.
    """

    def __init__(self, opener: Opener, seen: Callable[[Capabilities], None] = lambda _: None) -> None:
        self._opener = opener
        self._seen = seen
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._shared: _Shared | None = None
        self._used: set[_Shared] = set()  # those in use, also what is not given out any more
        self._closed = False

    @contextmanager
    def organization(self) -> Iterator[Organization]:
        """The open organization. Raises the ExchangeError family, SettingsError for the password's file.

        Raises Stopped where it was closed for good.
        """
        shared = self._take()
        try:
            yield shared.organization
        except ExchangeError as error:
            if not isinstance(error, _KEEPS):
                self._drop(shared)
            raise
        finally:
            self._leave(shared)

    @property
    def load(self) -> Load | None:
        """What is asked of Exchange now; None while it is not open."""
        with self._lock:
            shared = self._shared
        return shared.organization.load if shared is not None else None

    def renew(self) -> None:
        """Who comes next opens it anew: rights and servers may be others by now."""
        with self._lock:
            shared, self._shared = self._shared, None
            unused = shared is not None and shared.users == 0
        if shared is not None and unused:
            shared.organization.close()

    def close(self) -> None:
        """Close it for good, also under those who use it; never raises."""
        with self._lock:
            left = {*self._used, *filter(None, [self._shared])}
            self._shared, self._closed = None, True
        for shared in left:
            shared.organization.close()

    def _take(self) -> _Shared:
        with self._opening:  # the others wait for the one that opens it
            with self._lock:
                if self._shared is not None:
                    self._shared.users += 1
                    self._used.add(self._shared)
                    return self._shared
                if self._closed:
                    raise Stopped
            organization = self._opener()
            self._seen(organization.capabilities)
            shared = _Shared(organization)
            shared.users = 1
            with self._lock:
                self._used.add(shared)
                if not self._closed:
                    self._shared = shared
            return shared

    def _drop(self, shared: _Shared) -> None:
        """Who comes next opens it anew."""
        with self._lock:
            if self._shared is shared:
                self._shared = None

    def _leave(self, shared: _Shared) -> None:
        with self._lock:
            shared.users -= 1
            if not shared.users:
                self._used.discard(shared)
            over = shared.users == 0 and self._shared is not shared
        if over:
            shared.organization.close()


def connect(
    settings: ConnectorSettings,
    began: Callable[[Callable[[], None]], None] = lambda _: None,
    servers: Iterable[str] = (),
) -> Organization:
    """Open a connector's organization, with the passwords as they are kept now.

    ``began`` is told what ends that; ``servers`` are those known from before.
    """
    passwords, exchange = Passwords(settings), settings.exchange
    password = passwords.exchange()
    if password is None and exchange.auth != "kerberos":
        raise SettingsError(
            f"No password is kept for {exchange.user or 'the account at Exchange'}.",
            "Give it: gatepost connector setup --change account.",
        )
    return Organization.connect(exchange, password, began, servers, proxy_password=passwords.exchange_proxy())
