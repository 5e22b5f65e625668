"""A wiretap: a TLS port in front of a lab that keeps every byte a client sends, and reads it without our code.

What it reads are HTTP requests, their envelopes by lxml, fragments by the layout of MS-PSRP 2.2.4, and what is in them
by psrpcore. ``commands`` is what a server would be asked to run; ``outside`` is everything else that left.
"""

import base64
import re
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from xml.etree import ElementTree as ET

from lxml import etree
from psrpcore import PSRemotingCrypto
from psrpcore.types import PSObject, deserialize

from gatepost.lab.server import Lab

CREATE_PIPELINE = 0x00021006
MESSAGE_HEADER = 40
END = 2
_FRAGMENT = struct.Struct(">QQBI")
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]{40,}")

Request = tuple[bytes, bytes]
"""The head and the body of one request, as they came."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One command of a pipeline as a server reads it."""

    name: str
    is_script: bool
    arguments: dict[str, Any]


class _Handler(BaseHTTPRequestHandler):
    """Keeps a request as it came, and answers what the lab answers; one connection there for each here."""

    protocol_version = "HTTP/1.1"
    kept: list[list[Request]]
    onward: Callable[[], HTTPSConnection]
    raw_requestline: bytes

    def setup(self) -> None:
        super().setup()
        self._lab = self.onward()
        self._requests: list[Request] = []
        self.kept.append(self._requests)

    def finish(self) -> None:
        super().finish()
        self._lab.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._requests.append((self.raw_requestline + self.headers.as_bytes(), body))
        self._lab.request("POST", self.path, body, dict(self.headers))
        answer = self._lab.getresponse()
        found = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found)


class Wiretap:
    """Listens for one lab; a context manager. ``url`` is what a client is given instead of the lab's."""

    def __init__(self, lab: Lab) -> None:
        port = int(lab.https_url.split(":")[2].split("/")[0])
        trust = ssl.create_default_context(cafile=str(lab.ca_file))
        self._kept: list[list[Request]] = []
        known = {
            "kept": self._kept,
            "onward": staticmethod(lambda: HTTPSConnection("localhost", port, context=trust)),
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), known))
        self._server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(lab.folder / "server.pem")
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._server.server_address[1]}/PowerShell"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Every PSRP message: its type, its payload. Each connection carries one runspace at a time."""
        for requests in list(self._kept):
            parts: dict[int, bytes] = {}
            for _, body in requests:
                yield from _messages(body, parts)
            assert not parts, "a message was begun and not ended"

    def commands(self) -> list[Sent]:
        """Every command of every pipeline, in order."""
        pipelines = [payload for kind, payload in self.messages() if kind == CREATE_PIPELINE]
        return [command for payload in pipelines for command in _commands(payload)]

    def outside(self) -> bytes:
        """Everything that left beside pipelines: heads, envelopes without their base64, and other messages."""
        heads = [head + _BASE64.sub(b"", body) for requests in self._kept for head, body in requests]
        return b"\n".join(heads + [payload for kind, payload in self.messages() if kind != CREATE_PIPELINE])


def commands_in(body: bytes) -> list[Sent]:
    """The commands of the pipelines that one request begins and completes."""
    opened = [payload for kind, payload in _messages(body, {}) if kind == CREATE_PIPELINE]
    return [command for payload in opened for command in _commands(payload)]


def _messages(body: bytes, parts: dict[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """The PSRP messages that a request completes; ``parts`` keeps those that it does not."""
    elements = etree.fromstring(body).iter("{*}creationXml", "{*}Arguments", "{*}Stream") if body else ()
    for element in elements:
        data = base64.b64decode(element.text or "")
        while data:
            object_id, _, flags, length = _FRAGMENT.unpack_from(data)
            whole = parts.pop(object_id, b"") + data[_FRAGMENT.size : _FRAGMENT.size + length]
            data = data[_FRAGMENT.size + length :]
            if flags & END:
                yield int.from_bytes(whole[4:8], "little"), whole[MESSAGE_HEADER:].removeprefix(b"\xef\xbb\xbf")
            else:
                parts[object_id] = whole


def _commands(payload: bytes) -> list[Sent]:
    """The commands of a pipeline, by psrpcore's reader."""
    made: Any = deserialize(ET.fromstring(payload), PSRemotingCrypto())
    return [
        Sent(str(command.Cmd), bool(command.IsScript), {str(each.N): _plain(each.V) for each in command.Args})
        for command in made.PowerShell.Cmds
    ]


def _plain(value: Any) -> Any:
    """An argument as plain values."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, PSObject) and not isinstance(value, str | int):
        return str(value)
    return value
