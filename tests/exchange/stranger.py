"""An endpoint that our client has never met: a small remote PowerShell server written apart from the lab.

It takes its protocol from psrpcore's server half and the standard library only, writes its objects by psrpcore's own
serializer, and does everything that Exchange may do but need not do in a way of its own: prefixes, order and types of
properties, missing and extra ones, tiny fragments, streams cut anywhere, a cookie, a redirect, another path.
"""

import base64
import datetime as dt
import ipaddress
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psrpcore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    NETException,
    PSDateTime,
    PSGuid,
    PSObject,
    add_note_property,
)

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CUT = 97

DEVICES: list[dict[str, Any]] = [
    {
        "WhenChangedUTC": PSDateTime(2026, 3, 1, 9, 30, tzinfo=dt.UTC),
        "DeviceId": "APPLF2LX",
        "Surprise": ["a", {"b": 1}],
        "DistinguishedName": "CN=iPhone,CN=ExchangeActiveSyncDevices,CN=Jan\\, J.,DC=strange",
        "Guid": PSGuid("0B6D5A0C-0000-4000-8000-000000000001"),
        "DeviceOS": "iOS 19.1 😀 _x000A_",
        "DeviceAccessState": "Allowed",
    },
    {"Guid": PSGuid("0B6D5A0C-0000-4000-8000-000000000002"), "DeviceId": None, "DeviceUserAgent": ""},
]
MAILBOXES: list[dict[str, Any]] = [
    {
        "PrimarySmtpAddress": "jan@strange.test",
        "ActiveSyncBlockedDeviceIDs": [],
        "ActiveSyncAllowedDeviceIDs": ["APPLF2LX", "X"],
        "ActiveSyncEnabled": True,
        "DistinguishedName": "CN=Jan\\, J.,DC=strange",
        "Guid": PSGuid("0B6D5A0C-0000-4000-8000-0000000000AA"),
    }
]
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "get-mobiledevice": DEVICES,
    "get-casmailbox": MAILBOXES,
    "set-adserversettings": [],
    "get-recipient": [],
    "get-exchangeserver": [{"Fqdn": "ex1.strange", "Name": "EX1", "AdminDisplayVersion": "Version 15.2 (Build 1.1)"}],
    "get-activesyncorganizationsettings": [{"DefaultAccessLevel": "Quarantine", "Name": "Mobile Mailbox Settings"}],
}


class Stranger:
    """The state of the endpoint: its shells, and what it was asked."""

    def __init__(self) -> None:
        self.pools: dict[str, psrpcore.ServerRunspacePool] = {}
        self.waiting: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.deleted = 0

    def create(self, shell: str, opening: bytes) -> None:
        """Open a runspace pool."""
        pool = psrpcore.ServerRunspacePool(application_private_data={"Strange": "yes"})
        _take(pool, opening)
        self.pools[shell] = pool
        self.waiting[shell] = _drain(pool)

    def command(self, shell: str, command: str, data: bytes) -> None:
        """Run a pipeline at once; its output waits to be received."""
        pool = self.pools[shell]
        pipeline = psrpcore.ServerPipeline(pool, uuid.UUID(command))
        _take(pool, data)
        pipeline.start()
        assert pipeline.metadata is not None
        name = str(pipeline.metadata.commands[0].command_text)
        self.asked.append(name)
        projected = len(pipeline.metadata.commands) > 1
        if name == "Get-Command":
            for known in ("Get-MobileDevice", "Get-CASMailbox", "Set-ADServerSettings", "Get-Recipient"):
                pipeline.write_output(_object({"Name": known}))
        elif projected or name.lower() not in ANSWERS:
            pipeline.write_error(
                NETException("Dat bestaat hier niet."),
                category_info=ErrorCategoryInfo(Category=ErrorCategory.ObjectNotFound),
                fully_qualified_error_id="CommandNotFoundException",
            )
        else:
            for properties in ANSWERS[name.lower()]:
                pipeline.write_output(_object(properties))
        pipeline.complete()
        pipeline.close()
        self.waiting[command] = _drain(pool)


def _object(properties: dict[str, Any]) -> PSObject:
    result = PSObject()
    for name, value in properties.items():
        add_note_property(result, name, value)
    return result


def _take(pool: psrpcore.ServerRunspacePool, data: bytes) -> None:
    pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, None))
    while pool.next_event():
        pass


def _drain(pool: psrpcore.ServerRunspacePool) -> bytes:
    """Everything there is to send, in fragments of a size nobody would choose."""
    data = b""
    while payload := pool.data_to_send(61):
        data += payload.data
    return data


class Handler(BaseHTTPRequestHandler):
    """Answers at /Elsewhere only, and only to those who bring its cookie back."""

    protocol_version = "HTTP/1.1"
    stranger: Stranger

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.lower().startswith("/powershell"):
            self._answer(302, b"", "text/html", Location="/Elsewhere", **{"Set-Cookie": "Affinity=7; Path=/"})
        elif "Affinity=7" not in self.headers.get("Cookie", ""):
            self._answer(500, b"<html>lost</html>", "text/html")
        else:
            self._answer(200, self._soap(body), "application/soap+xml; charset=utf-8")

    def _soap(self, body: bytes) -> bytes:
        """The answer to an envelope, by the last word of its action."""
        root = ET.fromstring(body)
        action = next(element.text or "" for element in root.iter() if element.tag.endswith("}Action"))
        shell = next((e.text or "" for e in root.iter() if e.get("Name") == "ShellId"), "")
        match action.rsplit("/", 1)[-1]:
            case "Create":
                content = next(e for e in root.iter() if e.tag.endswith("}creationXml"))
                self.stranger.create("strange<shell>", base64.b64decode(content.text or ""))
                return _reply("<k:Shell><k:ShellId>strange&lt;shell&gt;</k:ShellId></k:Shell>")
            case "Command":
                line = next(e for e in root.iter() if e.tag.endswith("}CommandLine"))
                arguments = next(e for e in line.iter() if e.tag.endswith("}Arguments"))
                self.stranger.command(shell, line.attrib["CommandId"], base64.b64decode(arguments.text or ""))
                return _reply(
                    f"<k:CommandResponse><k:CommandId>{line.attrib['CommandId']}</k:CommandId></k:CommandResponse>"
                )
            case "Receive":
                wanted = next(e for e in root.iter() if e.tag.endswith("}DesiredStream")).get("CommandId", shell)
                return self._received(wanted)
            case "Delete":
                self.stranger.deleted += 1
        return _reply("")

    def _received(self, wanted: str) -> bytes:
        """A few streams, cut without regard to fragments; the state Done with the last."""
        data = self.stranger.waiting[wanted]
        now, self.stranger.waiting[wanted] = data[: CUT * 5], data[CUT * 5 :]
        streams = "".join(
            f"<k:Stream Name='stdout'>{base64.b64encode(now[i : i + CUT]).decode()}</k:Stream>"
            for i in range(0, len(now), CUT)
        )
        done = "" if self.stranger.waiting[wanted] else f"<k:CommandState State='{RSP}/CommandState/Done'/>"
        return _reply(f"<k:ReceiveResponse>{streams}{done}</k:ReceiveResponse>")

    def _answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _reply(body: str) -> bytes:
    return (
        f"<?xml version='1.0'?><z:Envelope xmlns:z='{SOAP[1:-1]}' xmlns:k='{RSP}'>"
        f"<z:Header/><z:Body>{body}</z:Body></z:Envelope>"
    ).encode("utf-16")


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key beside it; the file's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), start, start + dt.timedelta(9)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "stranger.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return path


@contextmanager
def running(folder: Path) -> Iterator[tuple[Stranger, str, Path]]:
    """The endpoint on a port: its state, its address and its certificate."""
    pem, stranger = certificate(folder), Stranger()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    handler = type("Bound", (Handler,), {"stranger": stranger})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stranger, f"https://127.0.0.1:{server.server_address[1]}/pOwErShElL", pem
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
