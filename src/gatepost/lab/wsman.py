"""WS-Management as the lab speaks it: requests read into values, answers and faults written as text.

Only what a shell needs (MS-WSMV): Create, Command, Send, Receive, Signal and Delete. Prefixes are one choice of many;
a client must go by namespaces.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from gatepost.lab.texts import LANGUAGES, say

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
MANAGEMENT = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
POWERSHELL = "http://schemas.microsoft.com/powershell"
RESOURCE = f"{POWERSHELL}/Microsoft.Exchange"

CREATE, DELETE = f"{TRANSFER}/Create", f"{TRANSFER}/Delete"
COMMAND, SEND, RECEIVE, SIGNAL = f"{SHELL}/Command", f"{SHELL}/Send", f"{SHELL}/Receive", f"{SHELL}/Signal"
STATE_DONE, STATE_RUNNING = f"{SHELL}/CommandState/Done", f"{SHELL}/CommandState/Running"

DEFAULT_PREFIXES: Mapping[str, str] = {
    "s": SOAP,
    "a": ADDRESSING,
    "x": TRANSFER,
    "w": MANAGEMENT,
    "rsp": SHELL,
    "f": FAULT,
}
"""The prefixes that Windows writes."""

OTHER_PREFIXES: Mapping[str, str] = {
    "env": SOAP,
    "wsa": ADDRESSING,
    "n3": TRANSFER,
    "wsman": MANAGEMENT,
    "shell": SHELL,
    "n7": FAULT,
}
"""Another lawful choice, for a client that goes by prefixes would pass with the usual ones."""

_TAGS = {"en": "en-US", "nl": "nl-NL", "de": "de-DE"}
"""Languages as a fault names them."""

TIMED_OUT = 2150858793
SHELL_GONE = 2150858843
TOO_MANY_SHELLS = 2150859173
TOO_MANY_COMMANDS = 2150859175
BAD_REQUEST = 2150858817
ACCESS_DENIED = 5
UNSUPPORTED_RESOURCE = 2150859001


class Fault(Exception):
    """A SOAP fault: the code of WS-Management, its subcode as a local name, and the text.

    ``said`` has the text by language, where the server's language matters.
    """

    def __init__(
        self, code: int, subcode: str, text: str, *, sender: bool = True, said: Mapping[str, str] | None = None
    ) -> None:
        self.code = code
        self.subcode = subcode
        self.text = text
        self.sender = sender
        self.said = said or {}
        super().__init__(text)


def _worded(code: int, subcode: str, key: str, *, sender: bool, **fields: object) -> Fault:
    """A fault whose text is in ``texts``."""
    said = {language: say(key, fields, language) for language in LANGUAGES}
    return Fault(code, subcode, said["en"], sender=sender, said=said)


def timed_out() -> Fault:
    """No output within the operation's time."""
    return _worded(TIMED_OUT, "TimedOut", "timed-out", sender=False)


def shell_gone(shell: str) -> Fault:
    """The shell does not exist (any more)."""
    return _worded(SHELL_GONE, "InvalidSelectors", "shell-gone", sender=True, shell=shell)


def command_gone(command: str) -> Fault:
    """The command does not exist (any more)."""
    return Fault(
        SHELL_GONE, "InvalidSelectors", f"The shell does not know the command {command}: it has ended or never was."
    )


def too_many_shells(limit: int) -> Fault:
    """The user's quota is used up."""
    return _worded(TOO_MANY_SHELLS, "QuotaLimit", "too-many-shells", sender=False, limit=limit)


def too_many_commands(milliseconds: int) -> Fault:
    """The user is throttled; the text is the only place that says for how long."""
    return _worded(TOO_MANY_COMMANDS, "QuotaLimit", "too-many-commands", sender=False, milliseconds=milliseconds)


def bad_request(text: str) -> Fault:
    """The envelope is not what WS-Management says."""
    return Fault(BAD_REQUEST, "SchemaValidationError", text)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``timeout`` is in seconds, ``envelope`` in bytes; ``stdin`` are decoded by whoever takes them."""

    action: str
    message_id: str
    resource: str
    shell: str | None
    command: str | None
    timeout: float
    envelope: int
    body: ET.Element


_DURATION = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")


def seconds(duration: str | None, default: float) -> float:
    """An XML duration in seconds."""
    found = _DURATION.match(duration.strip()) if duration else None
    if found is None:
        return default
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + rest


def parse(data: bytes) -> Request:
    """Read an envelope. Raises Fault."""
    if b"<!DOCTYPE" in data[:4096]:
        raise bad_request("A document type declaration is not accepted.")
    try:
        root = ET.fromstring(data)  # noqa: S314 - a lab reads its own client; doctypes are refused above
    except ET.ParseError as error:
        raise bad_request(f"The request is not well-formed XML: {error}.") from error
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        raise bad_request("The request is not a SOAP 1.2 envelope.")
    return Request(
        action=_header(root, ADDRESSING, "Action") or "",
        message_id=_header(root, ADDRESSING, "MessageID") or "",
        resource=_header(root, MANAGEMENT, "ResourceURI") or "",
        shell=_selector(root, "ShellId"),
        command=_command(body),
        timeout=seconds(_header(root, MANAGEMENT, "OperationTimeout"), 60.0),
        envelope=int(_header(root, MANAGEMENT, "MaxEnvelopeSize") or 153_600),
        body=body,
    )


def _header(root: ET.Element, namespace: str, name: str) -> str | None:
    found = root.find(f"{{{SOAP}}}Header/{{{namespace}}}{name}")
    return found.text.strip() if found is not None and found.text else None


def _selector(root: ET.Element, name: str) -> str | None:
    for selector in root.iterfind(f"{{{SOAP}}}Header/{{{MANAGEMENT}}}SelectorSet/{{{MANAGEMENT}}}Selector"):
        if selector.get("Name") == name:
            return (selector.text or "").strip().upper()
    return None


def _command(body: ET.Element) -> str | None:
    """The command that the body speaks of, wherever this kind of body names it."""
    for element in body.iter():
        found = element.get("CommandId")
        if found is not None:
            return found.upper()
    return None


def text_of(body: ET.Element, namespace: str, name: str) -> str | None:
    """The text of the first element of that name in a body."""
    found = body.find(f".//{{{namespace}}}{name}")
    return found.text if found is not None else None


class Writer:
    """Writes answers with one choice of prefixes, in the server's language."""

    def __init__(self, prefixes: Mapping[str, str] = DEFAULT_PREFIXES, language: str = "en") -> None:
        self._language = language
        self._prefix = {namespace: prefix for prefix, namespace in prefixes.items()}
        self._open = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in prefixes.items())
        self.stream_tag = f"{self._prefix[SHELL]}:Stream"

    def tag(self, namespace: str, name: str, content: str = "", **attributes: str) -> str:
        """One element."""
        qualified = f"{self._prefix[namespace]}:{name}"
        extra = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
        return f"<{qualified}{extra}>{content}</{qualified}>"

    def envelope(self, action: str, relates_to: str, body: str) -> tuple[bytes, bytes]:
        """The text before and after what is put at the end of ``body`` (split at its NUL, if it has one)."""
        header = (
            self.tag(ADDRESSING, "Action", action)
            + self.tag(ADDRESSING, "MessageID", f"uuid:{str(uuid.uuid4()).upper()}")
            + self.tag(ADDRESSING, "To", f"{ADDRESSING}/role/anonymous")
            + self.tag(ADDRESSING, "RelatesTo", escape(relates_to))
        )
        soap = self._prefix[SOAP]
        inside = self.tag(SOAP, "Header", header) + self.tag(SOAP, "Body", body)
        before, _, after = f'<{soap}:Envelope xml:lang="en-US" {self._open}>{inside}</{soap}:Envelope>'.partition("\0")
        return before.encode(), after.encode()

    def answer(self, request: Request, body: str) -> bytes:
        """The answer to a request."""
        before, after = self.envelope(f"{request.action}Response", request.message_id, body)
        return before + after

    def fault(self, relates_to: str, fault: Fault, machine: str) -> bytes:
        """A fault, with the detail that Windows adds."""
        soap, management = self._prefix[SOAP], self._prefix[MANAGEMENT]
        value = self.tag(SOAP, "Value", f"{soap}:{'Sender' if fault.sender else 'Receiver'}")
        subcode = self.tag(SOAP, "Subcode", self.tag(SOAP, "Value", f"{management}:{fault.subcode}"))
        text = escape(fault.said.get(self._language, fault.text))
        reason = f'<{soap}:Text xml:lang="{_TAGS[self._language]}">{text}</{soap}:Text>'
        message = self.tag(FAULT, "Message", text)
        detail = self.tag(FAULT, "WSManFault", message, Code=str(fault.code), Machine=machine)
        body = self.tag(
            SOAP,
            "Fault",
            self.tag(SOAP, "Code", value + subcode)
            + self.tag(SOAP, "Reason", reason)
            + self.tag(SOAP, "Detail", detail),
        )
        before, after = self.envelope(f"{MANAGEMENT.rpartition('/')[0]}/fault", relates_to, body)
        return before + after

    def created(self, request: Request, address: str, shell: str, user: str) -> bytes:
        """The answer to Create."""
        selector = self.tag(MANAGEMENT, "Selector", shell, Name="ShellId")
        parameters = self.tag(MANAGEMENT, "ResourceURI", escape(request.resource)) + self.tag(
            MANAGEMENT, "SelectorSet", selector
        )
        resource = self.tag(
            TRANSFER,
            "ResourceCreated",
            self.tag(ADDRESSING, "Address", escape(address)) + self.tag(ADDRESSING, "ReferenceParameters", parameters),
        )
        fields = {
            "ShellId": shell,
            "ResourceUri": request.resource,
            "Owner": user,
            "IdleTimeOut": "PT900.000S",
            "InputStreams": "stdin pr",
            "OutputStreams": "stdout",
            "ShellRunTime": "P0DT0H0M0S",
            "ShellInactivity": "P0DT0H0M0S",
        }
        inside = "".join(self.tag(SHELL, name, escape(value)) for name, value in fields.items())
        return self.answer(request, resource + self.tag(SHELL, "Shell", inside))

    def commanded(self, request: Request, command: str) -> bytes:
        """The answer to Command."""
        return self.answer(request, self.tag(SHELL, "CommandResponse", self.tag(SHELL, "CommandId", command)))

    def received(self, request: Request, command: str | None, streams: list[bytes], done: bool) -> list[bytes]:
        """The answer to Receive, in parts: ``streams`` are whole elements as ``stream_ends`` frames them."""
        state = ""
        if command is not None:
            state = self.tag(SHELL, "CommandState", CommandId=command, State=STATE_DONE if done else STATE_RUNNING)
        body = self.tag(SHELL, "ReceiveResponse", f"\0{state}")
        before, after = self.envelope(f"{request.action}Response", request.message_id, body)
        return [before, *streams, after]

    def stream_ends(self, command: str | None) -> tuple[bytes, bytes]:
        """What stands before and after the base64 text of one stream element."""
        target = f' CommandId="{command}"' if command is not None else ""
        return f'<{self.stream_tag} Name="stdout"{target}>'.encode(), f"</{self.stream_tag}>".encode()
