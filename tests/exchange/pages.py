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
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    """Announce more than is sent, then hang up."""
    page(200, b"<s:Envelope", "application/soap+xml", Content_Length="5000")(handler)
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
