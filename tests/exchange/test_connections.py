"""A connection to Exchange: one deadline for a whole request, a permit just before the bytes, and no secret shown."""

import contextlib
import logging
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ExchangeError, ExchangeUnreachable, NotExchange, WriteRefused
from gatepost.exchange.transport import Transport
from gatepost.lab.server import Lab
from gatepost.settings import ExchangeSettings
from tests.exchange.conftest import settings_of
from tests.exchange.pages import page, serving

PASSWORD = "s3cret-w0rd"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\n"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on plain TCP that does what it is told with each connection: its address."""
    server = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            answer(connection)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for each in (thread, *threads):
            each.join()


def drip(data: bytes) -> Callable[[socket.socket], None]:
    """Answer a byte at a time, each well inside any time-out between bytes, and never come to the end."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        for each in (data + b"x" * 10_000_000).partition(b"\r\n"):
            for number in range(len(each)):
                connection.sendall(each[number : number + 1])
                time.sleep(0.02)

    return answer


def silent(connection: socket.socket) -> None:
    """Take what comes until the other side hangs up."""
    while connection.recv(65_536):
        pass


def attempt(url: str, timeout: float, **changes: Any) -> None:
    """Post one envelope."""
    given: dict[str, Any] = {"url": url, "auth": "negotiate", "user": "LAB\\reader"} | changes
    transport = Transport(ExchangeSettings(**given), PASSWORD)
    try:
        transport.post(b"<s:Envelope/>", timeout=timeout)
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        ("http", silent),
        ("https", silent),
        ("http", drip(b"HTTP/1.1 200 OK")),
        ("http", drip(HEAD + b"Content-Length: 5000\r\n\r\n")),
        ("http", drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")),
        ("http", drip(HEAD + b"\r\n")),
    ],
    ids=["silent", "no-handshake", "status", "body", "chunks", "until-the-end"],
)
def test_a_drip_cannot_stretch_a_request(scheme: str, answer: Callable[[socket.socket], None]) -> None:
    """However steadily bytes trickle, and wherever in the answer, a request ends within its time, and says so."""
    with answering(answer) as address:
        started = time.monotonic()
        with pytest.raises(ExchangeUnreachable, match=r"it did not answer in time \(0\.4 s\)"):
            attempt(f"{scheme}://{address}/PowerShell", 0.4)
        assert time.monotonic() - started < 5


def test_a_proxy_that_drips_is_bounded_too() -> None:
    """The tunnel and the sign-in at a proxy are part of the request's time."""
    with answering(drip(b"HTTP/1.1 200 OK")) as address:
        started = time.monotonic()
        with pytest.raises(ExchangeUnreachable, match="the proxy does not answer"):
            attempt("https://mail.example.org/PowerShell", 0.4, proxy=f"http://{address}")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_is_ended_from_another_thread(scheme: str) -> None:
    """``cut`` ends a wait at once, for an answer or within TLS; the transport can be used again."""
    asked = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        asked.set()
        silent(connection)

    with answering(answer) as address:
        settings = ExchangeSettings(url=f"{scheme}://{address}/PowerShell", auth="negotiate", user="LAB\\reader")
        transport = Transport(settings, PASSWORD)
        failed: list[ExchangeError] = []

        def post() -> None:
            try:
                transport.post(b"<s:Envelope/>", timeout=60)
            except ExchangeError as error:
                failed.append(error)

        for _ in range(2):
            asked.clear()
            thread = threading.Thread(target=post)
            thread.start()
            assert asked.wait(10)
            transport.cut()
            thread.join(10)
            assert not thread.is_alive()
        transport.close()
    assert [type(error) for error in failed] == [ExchangeUnreachable] * 2


def test_what_is_over_already_is_not_begun() -> None:
    """A cut that comes just before a request is not lost: nothing is dialled."""
    dialled = threading.Event()
    with answering(lambda _: dialled.set()) as address:
        transport = Transport(ExchangeSettings(url=f"http://{address}/PowerShell", user="LAB\\reader"), PASSWORD)
        with pytest.raises(ExchangeUnreachable, match="was ended from this side"):
            transport.post(b"<s:Envelope/>", timeout=60, ended=lambda: True)
        transport.close()
    assert not dialled.is_set()


def test_a_refused_permit_lets_nothing_leave(tmp_path: Path) -> None:
    """Refused, not a byte of the request has left; the same transport can send the next one."""
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        page(200, b"<s:Envelope/>", "application/soap+xml")(handler)

    def refuse() -> None:
        raise WriteRefused("lease", "The lease is over.")

    with serving(tmp_path, answer) as (address, ca_file):
        transport = Transport(ExchangeSettings(url=address, auth="basic", user="u", ca_file=ca_file), PASSWORD)
        with pytest.raises(WriteRefused, match="The lease is over"):
            transport.post(b"<s:Envelope/>", permit=refuse)
        assert not asked
        assert transport.post(b"<s:Envelope/>") == b"<s:Envelope/>"
        transport.close()
    assert asked == ["/PowerShell"]


def test_a_permit_is_the_last_thing_before_the_bytes(lab: Lab) -> None:
    """It is asked after TCP and TLS stand, once for each time that the envelope leaves."""
    for auth, times in (("basic", 1), ("negotiate", 3)):
        transport = Transport(settings_of(lab, auth=auth), lab.password)
        states: list[bool] = []

        def permit(states: list[bool] = states, transport: Transport = transport) -> None:
            connection = transport._connection
            states.append(connection is not None and connection.certificate is not None)

        transport.post(b"<s:Envelope/>", permit=permit)
        transport.post(b"<s:Envelope/>", permit=permit)
        transport.close()
        assert states == [True] * (times + 1)


def test_a_server_that_proves_nothing_is_not_spoken_to(tmp_path: Path) -> None:
    """Over plain HTTP a server must take part in the sign-in to its end; one that says yes at once gets no message."""
    bodies: list[int] = []
    ask, yes = page(401, WWW_Authenticate="Negotiate"), page(200)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        bodies.append(int(handler.headers["Content-Length"]))
        (yes if handler.headers["Authorization"] else ask)(handler)

    with serving(tmp_path, answer, tls=False) as (address, _), pytest.raises(NotExchange, match="prove its own identi"):
        attempt(address, 10)
    assert bodies == [0, 0]


@pytest.mark.parametrize(("auth", "scheme"), [("basic", "https"), ("negotiate", "https"), ("negotiate", "http")])
def test_no_log_has_the_password(lab: Lab, caplog: pytest.LogCaptureFixture, auth: str, scheme: str) -> None:
    """Not at any level, by us or by a library, in clear or as a header has it; nor where objects are printed."""
    caplog.set_level(logging.DEBUG)
    settings = settings_of(lab, auth=auth, url=lab.https_url if scheme == "https" else lab.http_url)
    transport = Transport(settings, lab.password)
    transport.post(b"<s:Envelope/>")
    shown = caplog.text + repr(transport) + repr(transport._account) + repr(vars(transport))
    transport.close()
    assert lab.password not in shown
    assert b64encode(f"{lab.user}:{lab.password}".encode()).decode() not in shown
