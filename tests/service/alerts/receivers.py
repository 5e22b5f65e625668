"""Who gets alerts in tests, on real ports: an SMTP relay, an HTTPS receiver, syslog listeners; with nothing of ours."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gatepost.lab.certificates import make_certificates


@dataclass
class Certificate:
    """A server's context and the file of its authority; good for localhost."""

    ca_file: Path
    context: ssl.SSLContext

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        """A new one."""
        files = make_certificates(folder, ("localhost",))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.server_file)
        return cls(files.ca_file, context)


@dataclass
class Relay:
    """An SMTP relay: what it took, and what it says. ``hang`` makes it silent once it has the message."""

    certificate: Certificate
    implicit: bool = False
    says: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    secured: list[bool] = field(default_factory=list)
    got: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def converse(self, connection: socket.socket) -> None:
        """One session."""
        if self.implicit:
            connection = self.certificate.context.wrap_socket(connection, server_side=True)
        file = connection.makefile("rwb", buffering=0)
        tls = self.implicit

        def say(text: str) -> None:
            file.write(text.encode() + b"\r\n")

        say("220 relay.example ESMTP")
        while line := file.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            verb = verb.upper()
            if verb == "QUIT" or verb in self.says:
                say(self.says.get(verb, "221 bye"))
            elif verb == "EHLO":
                offers = ["relay.example", *([] if tls else ["STARTTLS"]), "AUTH PLAIN"]
                for number, offer in enumerate(offers, 1):
                    say(f"250{' ' if number == len(offers) else '-'}{offer}")
            elif verb == "STARTTLS":
                say("220 go on")
                connection = self.certificate.context.wrap_socket(connection, server_side=True)
                file, tls = connection.makefile("rwb", buffering=0), True
            elif verb == "AUTH":
                self.signed_in.append(rest)
                say("235 welcome")
            elif verb == "DATA":
                say("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += file.readline()
                self.messages.append(message_from_bytes(data[:-5].replace(b"\r\n..", b"\r\n."), policy=policy.default))
                self.secured.append(tls)
                self.got.set()
                if self.hang:
                    self.released.wait(60)
                    return
                say("250 taken")
            else:
                say("250 fine")


@contextmanager
def relaying(relay: Relay) -> Iterator[Relay]:
    """The relay on a port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                relay.converse(self.request)
            except OSError:
                return

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        relay.port = port
        yield relay
        relay.released.set()


@dataclass
class Hook:
    """An HTTPS receiver: what it got, and the status it answers with."""

    status: int = 204
    location: str = ""
    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Its address by name."""
        return f"https://localhost:{self.port}/gatepost?x=1"


@contextmanager
def hooking(hook: Hook, certificate: Certificate) -> Iterator[Hook]:
    """The receiver on a port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((dict(self.headers), body))
            hook.arrived.set()
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = certificate.context.wrap_socket(server.socket, server_side=True)
    with _serving(server) as port:
        hook.port = port
        yield hook


@contextmanager
def logging_tcp(certificate: Certificate | None) -> Iterator[tuple[int, list[bytes], threading.Event]]:
    """A syslog listener on a stream: its port, what came over each connection, and when one ended."""
    got: list[bytes] = []
    ended = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if certificate is not None:
                self.request = certificate.context.wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            got.append(self.rfile.read())
            ended.set()

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield port, got, ended


@contextmanager
def _serving(server: Any) -> Iterator[int]:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()
