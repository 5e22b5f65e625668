"""One HTTP connection: dialled, secured, asked one request after the other, every wait bounded by one clock.

Small on purpose: http.client reads the answers, the rest is here, because three things must be exact. The whole of a
request has one deadline, which a server that drips cannot stretch. A write's permit is asked when the connection stands
and nothing but its bytes is left to do. And who has signed in belongs to the connection, and goes with it.
"""

import contextlib
import hashlib
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from urllib3.util.wait import wait_for_read

LARGEST_ANSWER = 32 * 1024 * 1024
CONNECT_TIMEOUT = 15.0
_OLD_HASHES = frozenset({"md5", "sha1"})

Permit = Callable[[], None]
"""Called just before the bytes of a write leave; raises WriteRefused where it may not start, NotSent where not now."""


class NotSent(Exception):
    """Raised by a permit: the bytes do not leave now, and the session in which they would have is as good as before."""


class TooLarge(Exception):
    """An answer goes on beyond anything that Exchange sends."""


class Clock:
    """What is left of the time of one request, in seconds; every wait asks it. Another thread may end it."""

    def __init__(self) -> None:
        self.limit = 0.0
        self._until = 0.0
        self._ended = False
        self._over_already: Callable[[], bool] = lambda: False

    def start(self, seconds: float, ended: Callable[[], bool] = lambda: False) -> None:
        """A request begins, which may take so long; none once ``ended`` is so."""
        self.limit, self._until, self._ended = seconds, time.monotonic() + seconds, False
        self._over_already = ended

    def end(self) -> None:
        """No further wait."""
        self._ended = True

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._until

    def left(self) -> float:
        """Seconds left, more than 0. Raises TimeoutError where none are, ConnectionAbortedError where it was ended."""
        if self._ended or self._over_already():
            raise ConnectionAbortedError("the request was ended from this side")
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the request is over")
        return left


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Message
    body: bytes

    def header(self, name: str) -> str:
        """A header's value, or nothing."""
        return str(self.headers.get(name, ""))

    def info(self) -> Message:
        """The headers, by the name that the cookie jar asks for."""
        return self.headers


class _Reader(io.RawIOBase):
    """What http.client reads from: each wait for more is as long as the clock allows."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - a writable buffer, typed from 3.12 on
        self._sock.settimeout(self._clock.left())
        return self._sock.recv_into(buffer)


class Connection:
    """An open connection to a server or proxy. ``certificate`` is the server's, in DER; None without TLS."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock = sock
        self._clock = clock
        self.certificate: bytes | None = None
        self.is_open = True

    @classmethod
    def dial(cls, host: str, port: int, clock: Clock) -> Self:
        """Connect to the first address that answers. Raises OSError."""
        failed: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(min(CONNECT_TIMEOUT, clock.left()))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failed = error
            else:
                return cls(sock, clock)
        raise failed or OSError(f"{host} has no address")

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Go on in TLS; the certificate must be ``host``'s. Raises ssl.SSLError."""
        self._sock.settimeout(self._clock.left())
        secured = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._sock = secured  # before the handshake, so that it can be cut
        secured.do_handshake()
        self.certificate = secured.getpeercert(binary_form=True)

    @property
    def binding(self) -> bytes | None:
        """What ties a sign-in to this TLS channel (RFC 5929, ``tls-server-end-point``); None without TLS."""
        if self.certificate is None:
            return None
        try:
            known = x509.load_der_x509_certificate(self.certificate).signature_hash_algorithm
        except (UnsupportedAlgorithm, ValueError):
            known = None
        name = known.name if known is not None and known.name not in _OLD_HASHES else "sha256"
        return b"tls-server-end-point:" + hashlib.new(name, self.certificate).digest()

    @property
    def usable(self) -> bool:
        """Whether another request can be sent: open, and nothing has arrived that nobody asked for, such as its end."""
        return self.is_open and not wait_for_read(self._sock, timeout=0)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", permit: Permit | None = None
    ) -> Answer:
        """Send one request and read its whole answer. Closes itself where it cannot be used for another.

        Raises OSError, ssl.SSLError, http.client.HTTPException, TooLarge, ValueError, and what ``permit`` raises.
        """
        head = _head(method, target, {**headers, "Content-Length": str(len(body))})
        if permit is not None:
            permit()
        try:
            self._send(head + body)
            # Annotated for a socket, of which it calls makefile alone; ours is the one whose reads obey the clock.
            response = HTTPResponse(self, method=method)  # type: ignore[arg-type]
            response.begin()
            answer = Answer(response.status, response.headers, _whole(response, method))
        except BaseException:
            self.close()
            raise
        if response.will_close and not _is_tunnel(method, response.status):
            self.close()
        return answer

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - http.client's call
        """What http.client reads an answer from."""
        return io.BufferedReader(_Reader(self._sock, self._clock), 65_536)

    def cut(self) -> None:
        """Hang up from another thread: whoever sends or receives fails at once."""
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would turn it into a plain one under its reader.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._sock.close()

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._sock.settimeout(self._clock.left())
            left = left[self._sock.send(left) :]


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request. Raises ValueError where a value would end its line."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any(not line.isprintable() for line in lines):
        raise ValueError("a header has a control character in it")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _whole(response: HTTPResponse, method: str) -> bytes:
    """The body, all of it. Raises TooLarge, and HTTPException for one that breaks off or contradicts itself."""
    if _is_tunnel(method, response.status):
        return b""
    if len(set(response.headers.get_all("Content-Length", []))) > 1:
        raise HTTPException("the answer names two lengths")
    if response.length is not None:
        if response.length > LARGEST_ANSWER:
            raise TooLarge
        return response.read()
    body = response.read(LARGEST_ANSWER + 1)
    if len(body) > LARGEST_ANSWER:
        raise TooLarge
    return body


def _is_tunnel(method: str, status: int) -> bool:
    return method == "CONNECT" and 200 <= status < 300
