"""A web server that is not Exchange: it answers every POST in one given way, over TLS."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.exchange.stranger import certificate

Answer = Callable[[BaseHTTPRequestHandler], None]


def page(status: int, body: bytes = b"<html>IIS</html>", kind: str = "text/html", **headers: str) -> Answer:
    """An answer with a status, a body and headers."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **given}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    """Announce more than is sent, then hang up."""
    page(200, b"<s:Envelope", "application/soap+xml", Content_Length="5000")(handler)
    handler.close_connection = True


def chunk_broken_off(handler: BaseHTTPRequestHandler) -> None:
    """Begin a chunk, then hang up."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/soap+xml")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"1388\r\n<s:Envelope")
    handler.close_connection = True


def silent(handler: BaseHTTPRequestHandler) -> None:
    """Hang up without a word."""
    handler.close_connection = True


def gibberish(handler: BaseHTTPRequestHandler) -> None:
    """Say something that is not HTTP."""
    handler.wfile.write(b"220 mail.example.com ESMTP\r\n")
    handler.close_connection = True


def long_line(handler: BaseHTTPRequestHandler) -> None:
    """A status line without an end."""
    handler.wfile.write(b"HTTP/1.1 200 " + b"x" * 70_000)
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler, status: int = 200) -> None:
    """Send more than any answer of Exchange."""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/soap+xml")
    handler.send_header("WWW-Authenticate", "Negotiate")
    handler.end_headers()
    try:
        for _ in range(40):
            handler.wfile.write(b" " * 1024 * 1024)
    except OSError:
        pass
    handler.close_connection = True


@contextmanager
def serving(folder: Path, answer: Answer, *, tls: bool = True) -> Iterator[tuple[str, Path]]:
    """The server on a port, with TLS unless told otherwise: its address and its certificate."""
    pem = certificate(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer(self)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/PowerShell", pem
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
