"""One HTTP(S) request to the service: within a time limit as a whole, trusting what the system trusts.

A time-out of a socket counts from byte to byte, so that a server which drips would hold a request for ever. Here a
timer cuts the connection itself, whatever the request is waiting for: handshake, headers or body.
"""

import base64
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from gatepost.connector.answers import not_the_service
from gatepost.errors import ServiceUnreachable, SettingsError
from gatepost.settings import UplinkSettings

CONNECT_SECONDS = 10.0
ANSWER_BYTES = 16 * 1024 * 1024
SIGN_IN_WANTED = 407

Password = Callable[[], str | None]
_NO_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # the words of Python's own library
_CHANGE = "Give user and password: gatepost connector setup --change proxy"


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came, its body unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """Requests to one address. Safe to use from several threads; each request has a connection of its own.

    ``proxy_password`` gives the password of the proxy's user, for each request as it is then.
    """

    def __init__(self, settings: UplinkSettings, proxy_password: Password | None = None) -> None:
        self._settings = settings
        self._trust = _trust(settings)
        self._proxy_password = proxy_password or (lambda: None)

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Received:
        """Send and receive, in ``seconds`` all in all. Raises ServiceUnreachable; redirects are not followed."""
        limit = TimeLimit(seconds)
        sign_in = self._proxy_sign_in()
        with _translated(self._settings, limit, sign_in), limit, self._pools(limit, sign_in) as pools:
            response = pools.request(
                method,
                url,
                body=body or None,
                headers=dict(headers),
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                found = response.read(ANSWER_BYTES + 1, decode_content=True)
            finally:
                response.close()
            limit.check()
        if response.status == SIGN_IN_WANTED and self._settings.proxy and url.lower().startswith("http:"):
            raise _proxy_refuses(self._settings, SIGN_IN_WANTED, sign_in)
        if len(found) > ANSWER_BYTES:
            raise not_the_service("its answer is larger than any of ours")
        return Received(response.status, response.headers, found)

    def _proxy_sign_in(self) -> Mapping[str, str]:
        """What the proxy is told of who asks: Basic where a user is set and a password known, else nothing.

        Raises ServiceUnreachable where the password cannot be read: it is tried again, for somebody may mend that.
        """
        user = self._settings.proxy_user
        if not (self._settings.proxy and user):
            return {}
        try:
            password = self._proxy_password()
        except SettingsError as error:
            raise ServiceUnreachable(error.cause, error.remedy) from error
        if password is None:
            return {}
        return {"Proxy-Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    def _pools(self, limit: "TimeLimit", sign_in: Mapping[str, str]) -> urllib3.PoolManager:
        proxy = self._settings.proxy
        pools = (
            urllib3.ProxyManager(proxy, ssl_context=self._trust, proxy_headers=sign_in)
            if proxy
            else urllib3.PoolManager(ssl_context=self._trust)
        )
        pools.pool_classes_by_scheme = {"http": limit.plain_pool(), "https": limit.secure_pool()}
        return pools


class TimeLimit:
    """Cuts the connections of one request when its time is over; a context manager. ``seconds`` count from entering."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self.over = False

    def __enter__(self) -> Self:
        """Begin to count."""
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop counting."""
        self._timer.cancel()
        with self._lock:
            for each in self._watched:
                each.close()
            self._watched.clear()

    def check(self) -> None:
        """Raise ServiceUnreachable if the time is over: what was read may be half an answer."""
        if self.over:
            raise ServiceUnreachable(
                f"The service did not answer within {self._seconds:g} s.", "Check the network and the proxy."
            )

    def watch(self, connected: socket.socket) -> socket.socket:
        """Cut this connection too; a second handle on it, which outlives its wrapping in TLS, is kept for that."""
        with self._lock:
            self._watched.append(connected.dup())
        if self.over:
            self._cut()
        return connected

    def plain_pool(self) -> type[HTTPConnectionPool]:
        """A pool of the HTTP library whose connections are watched."""
        limit = self

        class Connection(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return limit.watch(super()._new_conn())

        return type("Pool", (HTTPConnectionPool,), {"ConnectionCls": Connection})

    def secure_pool(self) -> type[HTTPSConnectionPool]:
        """The same for TLS."""
        limit = self

        class Connection(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return limit.watch(super()._new_conn())

        return type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Connection})

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for each in self._watched:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def _trust(settings: UplinkSettings) -> ssl.SSLContext:
    """What is trusted: the system's store, or the one authority given."""
    ca_file = settings.ca_file
    if ca_file and not ca_file.is_file():
        raise SettingsError(f"The certificate file {ca_file} does not exist.", "Check ca_file.")
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise SettingsError(f"The CA file {ca_file} cannot be used.", "Give a file of PEM certificates.") from error


@contextlib.contextmanager
def _translated(settings: UplinkSettings, limit: TimeLimit, sign_in: Mapping[str, str]) -> Iterator[None]:
    """Errors of the HTTP library as ours."""
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        limit.check()
        raise _unreachable(settings, error, sign_in) from error


def _unreachable(settings: UplinkSettings, error: Exception, sign_in: Mapping[str, str]) -> ServiceUnreachable:
    cause, url = _innermost(error), settings.url
    refused = _NO_TUNNEL.match(str(cause))
    if refused:
        return _proxy_refuses(settings, int(refused[1]), sign_in)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ServiceUnreachable(
            f"The certificate of the service at {url} is not trusted: {cause.verify_message}.",
            "Name the authority that signed it in ca_file.",
        )
    if isinstance(error, urllib3.exceptions.ProxyError):
        return ServiceUnreachable("The proxy on the way to the service failed.", "Check the proxy setting.")
    why = getattr(cause, "strerror", None) or type(cause).__name__
    return ServiceUnreachable(
        f"The service at {url} cannot be reached: {why}.", "Check the url, the network and the proxy."
    )


def _proxy_refuses(settings: UplinkSettings, status: int, sign_in: Mapping[str, str]) -> ServiceUnreachable:
    """What a proxy's answer means where it let nothing through."""
    proxy = f"The proxy {urlsplit(settings.proxy or '').netloc} on the way to the service"
    if status != SIGN_IN_WANTED:
        return ServiceUnreachable(
            f"{proxy} makes no connection to {settings.url} ({status}).", "Allow it at the proxy; check the url."
        )
    if sign_in:
        return ServiceUnreachable(f"{proxy} does not accept the sign-in of {settings.proxy_user}.", f"{_CHANGE}.")
    without = f", and no password is kept for {settings.proxy_user}" if settings.proxy_user else ""
    return ServiceUnreachable(f"{proxy} wants a sign-in{without}.", f"{_CHANGE}; Gatepost signs in there by Basic.")


def _innermost(error: BaseException) -> BaseException:
    """The first cause, or the certificate's fault where there is one."""
    while (below := error.__cause__ or error.__context__) is not None and not isinstance(error, ssl.SSLError):
        error = below
    return error
