"""The HTTP endpoint: HTTP/1.1, a thread per connection, plain or TLS; it answers what IIS would where SOAP ends."""

import contextlib
import logging
import re
import socket
import socketserver
import ssl
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from gatepost.lab import spoiling, wsman
from gatepost.lab.dialects import Dialect, Fault
from gatepost.lab.endings import Ending, deliver, hang, reset
from gatepost.lab.faults import Faults
from gatepost.lab.mailsite import KIND, MailSite, Page
from gatepost.lab.operations import Service
from gatepost.lab.signin import Accounts, Connection

log = logging.getLogger(__name__)

PATH = "/powershell"
MOVED_PATH = "/PowerShell-Proxy/EX1"
COOKIE = "X-BackEndCookie"
ELSEWHERE = "elsewhere.example"
RETRY_AFTER = "7"
SOAP_TYPE = "application/soap+xml;charset=UTF-8"
LARGEST_REQUEST = 2_000_000

_HTML = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{0} - {1}</title></head>
<body><div id="header"><h1>Server Error</h1></div><div id="content"><h2>{0} - {1}</h2></div></body></html>
"""


class Endpoint(socketserver.ThreadingTCPServer):
    """One listening port. ``moved_to`` makes it answer everything with a redirect there; ``mail`` is over TLS only."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        service: Service,
        accounts: Accounts,
        *,
        tls: ssl.SSLContext | None,
        dialect: Dialect,
        faults: Faults,
        moved_to: str = "",
        mail: MailSite | None = None,
    ) -> None:
        self.mail = mail
        self.service = service
        self.accounts = accounts
        self.tls = tls
        self.dialect = dialect
        self.faults = faults
        self.moved_to = moved_to
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, Handler)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self.serve_forever, args=(0.05,), name=f"lab port {self.port}", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and cut what is open."""
        self.shutdown()
        self.server_close()
        with self._connections_lock:
            for connection in self._connections:
                _cut(connection)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - as the base has it
        """Whether a new connection is taken."""
        if self.faults.strikes(Fault.REFUSED):
            reset(request)
            return False
        return True

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to be cut when the endpoint stops."""
        with self._connections_lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._connections_lock:
            self._connections.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as the base has it
        """A connection that ends in the middle is the client's affair; anything else is a mistake of ours."""
        if not isinstance(sys.exception(), OSError):
            log.exception("a request could not be answered")


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection: its requests in order, its sign-in, its encryption."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    disable_nagle_algorithm = True
    rbufsize = 65_536
    wbufsize = 0
    timeout: ClassVar[float] = 300.0
    server: Endpoint

    def setup(self) -> None:
        """Shake hands in the connection's own thread, so that a slow client holds up nobody."""
        if self.server.tls is not None:
            self.request.settimeout(10)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.server.opened(self.request)
        super().setup()
        self.connection_state = self._signed_out()

    def _signed_out(self) -> Connection:
        """The state of a connection on which nobody has signed in."""
        return Connection(
            self.server.accounts, tls=self.server.tls is not None, ntlm_only=Fault.NTLM_ONLY in self.server.faults
        )

    def finish(self) -> None:
        """Let go of the connection."""
        self.server.closed(self.request)
        super().finish()
        _cut(self.request)
        self.request.close()

    def log_message(self, format: str, *args: object) -> None:
        """The call log tells what was asked; requests are not printed."""

    def do_GET(self) -> None:
        """A person with a browser."""
        self._html(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})

    def do_POST(self) -> None:
        """One request of WS-Management."""
        length = self.headers.get("Content-Length")
        if length is None or not length.isdecimal():
            self.close_connection = True
            self._html(HTTPStatus.LENGTH_REQUIRED if length is None else HTTPStatus.BAD_REQUEST)
            return
        if int(length) > LARGEST_REQUEST:
            self.close_connection = True
            self._html(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if not (self._broken() or self._before_mail() or self._elsewhere()):
            self._authenticated(body)

    @property
    def _mail(self) -> MailSite | None:
        """The pages about mail, if this request is for one of them."""
        mail = self.server.mail
        return mail if mail is not None and mail.serves(urlsplit(self.path).path) else None

    def _before_mail(self) -> bool:
        """Answer at once for a page about mail, where a fault says so."""
        page = self._mail.before(urlsplit(self.path).path) if self._mail else None
        if page is not None:
            self._page(page, {})
        return page is not None

    def _page(self, page: Page, extra: dict[str, str]) -> None:
        if page.hangs:
            hang(self.connection)
            self.close_connection = True
        elif page.location:
            self._moved(page.location, "")
        elif page.status == HTTPStatus.NOT_FOUND:
            self._html(HTTPStatus.NOT_FOUND)
        else:
            self._send(HTTPStatus(page.status), [page.body], {"Content-Type": KIND, **extra}, ending=page.ending)

    def _broken(self) -> bool:
        """Answer instead of the endpoint, where a fault says that it is not itself."""
        strikes = self.server.faults.strikes
        if strikes(Fault.HTML_500):
            self._html(HTTPStatus.INTERNAL_SERVER_ERROR)
        elif strikes(Fault.HTML_200):
            self._html(HTTPStatus.OK)
        elif strikes(Fault.BUSY_503):
            self._html(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": RETRY_AFTER})
        elif strikes(Fault.REDIRECTED):
            self._moved(f"https://{ELSEWHERE}{PATH}", "")
        elif strikes(Fault.HANG):
            hang(self.connection)
            self.close_connection = True
        else:
            return False
        return True

    def _elsewhere(self) -> bool:
        """Send the client to where the endpoint is, or say that it is not here."""
        split = urlsplit(self.path)
        path = split.path.rstrip("/").lower()
        moved = self.server.dialect.redirect == "path"
        if self._mail is not None:
            return False
        if path == (MOVED_PATH.lower() if moved else PATH):
            if not self.server.moved_to:
                return False
            self._moved(f"{self.server.moved_to}{split.path}", split.query)
        elif moved and path == PATH:
            scheme = "https" if self.server.tls else "http"
            self._moved(f"{scheme}://{self.headers.get('Host')}{MOVED_PATH}", split.query)
        else:
            self._html(HTTPStatus.NOT_FOUND)
        return True

    def _moved(self, target: str, query: str) -> None:
        self._send(HTTPStatus.FOUND, [b""], {"Location": f"{target}?{query}" if query else target})

    def _authenticated(self, body: bytes) -> None:
        """Sign in first; then the request, out of its encryption where it must have one."""
        state = self.connection_state
        if state.user is not None and self.server.faults.strikes(Fault.SIGNED_OUT):
            self.connection_state = self._signed_out()
            self._refuse(None)
            return
        answer = state.sign_in(self.headers.get("Authorization"))
        if state.user is None:
            self._refuse(answer)
            return
        extra = {"WWW-Authenticate": answer} if answer else {}
        if not body:
            self._send(HTTPStatus.OK, [b""], extra)
            return
        plain: bytes | None = body
        if state.sealed:
            plain = state.unseal(body, self.headers.get("Content-Type", ""))
        if plain is None:
            self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, [b""], {})
            return
        self._answer(plain, state.user, extra)

    def _refuse(self, answer: str | None) -> None:
        offers = (answer,) if answer else self.connection_state.offers
        self._send(HTTPStatus.UNAUTHORIZED, [b""], {}, offers)

    def _answer(self, body: bytes, user: str, extra: dict[str, str]) -> None:
        """The request's own answer, spoilt where a fault says so."""
        split = urlsplit(self.path)
        if self._mail is not None:
            self._page(self._mail.answer(split.path, body, str(self.headers.get("Host"))), extra)
            return
        query = {name.lower(): values[0].lower() for name, values in parse_qs(split.query).items()}
        scheme = "https" if self.server.tls else "http"
        address = f"{scheme}://{self.headers.get('Host')}{split.path}"
        full = query.get("serializationlevel") == "full"
        service = self.server.service
        if _names_a_shell(body) and self.server.faults.strikes(Fault.LOST_AFFINITY):
            self._soap(HTTPStatus.INTERNAL_SERVER_ERROR, service.lost(wsman.parse(body)), extra)
            return
        if self.server.dialect.cookie and COOKIE not in self.headers.get("Cookie", ""):
            extra = {**extra, "Set-Cookie": f"{COOKIE}=EX1~1942062522; path=/; HttpOnly"}
            if _names_a_shell(body):
                parts = service.lost(wsman.parse(body))
                self._soap(HTTPStatus.INTERNAL_SERVER_ERROR, parts, extra)
                return
        status, parts, request = service.answer(body, user, address, full=full)
        ending = Ending.WHOLE
        if self.server.faults and request is not None and request.action == wsman.RECEIVE:
            ending = spoiling.ending(parts, self.server.faults)
            parts = spoiling.spoil(parts, self.server.faults)
        self._soap(HTTPStatus(status), parts, extra, ending)

    def _soap(
        self, status: HTTPStatus, parts: list[bytes], extra: dict[str, str], ending: Ending = Ending.WHOLE
    ) -> None:
        if not self.connection_state.sealed:
            self._send(status, parts, {"Content-Type": SOAP_TYPE, **extra}, ending=ending)
            return
        kind, body = self.connection_state.seal(b"".join(parts))
        self._send(status, [body], {"Content-Type": kind, **extra}, ending=ending)

    def _html(self, status: HTTPStatus, extra: dict[str, str] | None = None) -> None:
        page = _HTML.format(status.value, status.phrase).encode()
        self._send(status, [page], {"Content-Type": "text/html", **(extra or {})})

    def _send(
        self,
        status: HTTPStatus,
        parts: list[bytes],
        headers: dict[str, str],
        offers: tuple[str, ...] = (),
        *,
        ending: Ending = Ending.WHOLE,
    ) -> None:
        """Head and body in one write, unless a fault has it end otherwise."""
        size = sum(map(len, parts))
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Server: {self.server_version}",
            f"Date: {self.date_time_string(time.time() + self.server.dialect.clock)}",
            *(f"{name}: {value}" for name, value in headers.items()),
            *(f"WWW-Authenticate: {offer}" for offer in offers),
            f"Content-Length: {size}",
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        goes_on = deliver(self.connection, head, b"".join(parts), ending)
        self.close_connection = self.close_connection or not goes_on


def _names_a_shell(body: bytes) -> bool:
    return re.search(rb'Selector[^>]*Name="ShellId"', body) is not None
