"""The roads by which alerts leave: an SMTP relay, a webhook over HTTPS, syslog. Blocking; call them in a thread.

Each raises NotDelivered: ``uncertain`` where the whole was sent and no answer came, so that it may have arrived.
"""

import hashlib
import hmac
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from gatepost.errors import NotDelivered, SettingsError
from gatepost.service.alerts.addresses import Network, resolve

TIMEOUT = 10.0
LONGEST = 30.0
LARGEST_ANSWER = 65_536
SYSLOG_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
SIGNATURE = "Gatepost-Signature"
_FACILITY_LOCAL0 = 16
SEVERITIES = {"begin": 4, "reminder": 4, "end": 5, "test": 6}


@dataclass(frozen=True, slots=True)
class Relay:
    """The installation's SMTP relay; ``security`` is starttls, tls or none."""

    host: str
    port: int
    sender: str
    security: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """The system's store, and the operator's own authority beside it. Raises SettingsError."""
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The CA file {ca_file} cannot be used: {error}.", "Give a file of PEM certificates."
        ) from error
    return context


def send_mail(relay: Relay, message: EmailMessage) -> None:
    """Hand one message to the relay. Raises NotDelivered."""
    handed = False
    try:
        with _relay(relay) as smtp:
            for command, argument in ((smtp.mail, message["From"]), (smtp.rcpt, message["To"])):
                code, said = command(str(argument))
                if code not in {250, 251}:
                    raise _smtp_refused(relay, code, said)
            handed = True  # from here on it may be on its way
            code, said = smtp.data(message.as_bytes(policy=SMTP))
            if code != 250:
                raise _smtp_refused(relay, code, said)
    except smtplib.SMTPResponseException as error:
        raise _smtp_refused(relay, error.smtp_code, error.smtp_error) from error
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(f"the mail relay {relay.host}", error) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotDelivered(
            f"The mail relay {relay.host} port {relay.port} cannot be used: {_reason(error)}.",
            "Check --mail-relay, --mail-security and the network.",
            uncertain=handed,
        ) from error


@contextmanager
def _relay(relay: Relay) -> Iterator[smtplib.SMTP]:
    if relay.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, timeout=TIMEOUT, context=trust(relay.ca_file))
    else:
        smtp = smtplib.SMTP(relay.host, relay.port, timeout=TIMEOUT)
    try:
        smtp.ehlo_or_helo_if_needed()
        if relay.security == "starttls":
            smtp.starttls(context=trust(relay.ca_file))
            smtp.ehlo_or_helo_if_needed()
        if relay.user:
            smtp.login(relay.user, relay.password or "")
        yield smtp
        with suppress(smtplib.SMTPException, OSError):
            smtp.quit()
    finally:
        smtp.close()


def _smtp_refused(relay: Relay, code: int, said: bytes | str) -> NotDelivered:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return NotDelivered(
        f"The mail relay {relay.host} refuses the message: {code} {_clean(text)}.",
        "Check the address, and whether the relay takes mail from this service (--mail-from, --mail-user).",
    )


class _Pinned(HTTPSConnection):
    """HTTPS to an address that was looked at; the certificate must be the name's."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT, context=context)
        self._address, self._trust = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), TIMEOUT)
        secured = self._trust.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = secured  # before the handshake, so that it can be cut
        secured.do_handshake()


def sign(secret: bytes, body: bytes, now: datetime) -> str:
    """The value of the signature's header: the time, and HMAC-SHA256 over it, a dot and the body."""
    at = str(int(now.timestamp()))
    return f"t={at},v1={hmac.new(secret, at.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def post(url: str, body: bytes, signature: str, allowed: Sequence[Network], ca_file: Path | None) -> None:
    """Tell a webhook. Raises NotDelivered."""
    split = urlsplit(url)
    host, port = split.hostname or "", split.port or 443
    connection = _Pinned(host, port, resolve(host, port, allowed), trust(ca_file))
    target = split._replace(scheme="", netloc="", fragment="").geturl() or "/"
    headers = {"Content-Type": "application/json", "User-Agent": "Gatepost", SIGNATURE: signature}
    hang_up = threading.Timer(LONGEST, lambda: _cut(connection))  # an answer may trickle
    hang_up.start()
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        answer.read(LARGEST_ANSWER)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(host, error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotDelivered(
            f"The webhook at {host} cannot be reached: {_reason(error)}.", "Check its address and that it answers."
        ) from error
    finally:
        hang_up.cancel()
        connection.close()
    if 300 <= answer.status < 400:
        raise NotDelivered(f"The webhook at {host} redirects ({answer.status}).", "Give the final address.")
    if not 200 <= answer.status < 300:
        raise NotDelivered(f"The webhook at {host} answers with {answer.status}.", "Its own log says why.")


def _cut(connection: HTTPSConnection) -> None:
    with suppress(OSError):
        if connection.sock is not None:
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def log_line(what: str, text: str, at: datetime, host: str) -> bytes:
    """One message of syslog (RFC 5424) without its framing."""
    priority = _FACILITY_LOCAL0 * 8 + SEVERITIES[what]
    return (
        f"<{priority}>1 {at:%Y-%m-%dT%H:%M:%S}Z {host} gatepost - alert-{what} - \ufeff{_clean(text, 1_500)}".encode()
    )


def write_log(url: str, lines: Sequence[bytes], allowed: Sequence[Network], ca_file: Path | None) -> None:
    """Tell a syslog server. What goes by UDP is never answered. Raises NotDelivered."""
    split = urlsplit(url)
    host, port = split.hostname or "", split.port or SYSLOG_PORTS[split.scheme]
    address = resolve(host, port, allowed)
    try:
        if split.scheme == "udp":
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                for line in lines:
                    sock.sendto(line, (address, port))
            return
        with socket.create_connection((address, port), TIMEOUT) as plain:
            if split.scheme == "tls":
                with trust(ca_file).wrap_socket(plain, server_hostname=host) as secured:
                    secured.sendall(_counted(lines))
                    with suppress(OSError):
                        secured.unwrap()
            else:
                plain.sendall(_counted(lines))
                plain.shutdown(socket.SHUT_WR)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(host, error) from error
    except (OSError, ValueError) as error:
        raise NotDelivered(
            f"The syslog server at {host} port {port} cannot be reached: {_reason(error)}.", "Check its address."
        ) from error


def _counted(lines: Sequence[bytes]) -> bytes:
    """Messages on a stream, each with its length before it (RFC 6587)."""
    return b"".join(f"{len(line)} ".encode() + line for line in lines)


def _untrusted(who: str, error: ssl.SSLCertVerificationError) -> NotDelivered:
    return NotDelivered(
        f"The certificate of {who} is not trusted: {error.verify_message.rstrip('.')}.",
        "Use the name that is in it; the operator can add its authority (--alert-ca-file).",
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "it did not answer in time"
    return _clean(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _clean(text: str, most: int = 200) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:most]).strip().rstrip(".")
