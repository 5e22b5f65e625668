"""Envelopes of WS-Management (MS-WSMV) for one remote PowerShell shell: requests out, replies and faults in.

Only what Exchange's endpoint needs: create, command, send, receive, signal and delete. Ids, addresses and limits are
arguments. Replies are read by namespace and local name, so prefixes, order and unknown elements do not matter.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from gatepost.errors import UnsafeXml, WireError

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
RESOURCE_PREFIX = "http://schemas.microsoft.com/powershell/"
TERMINATE = SHELL + "/signal/terminate"

TIMED_OUT = 2150858793
SHELL_GONE = frozenset({2150858843, 2150858972, 2150858889, 995})
TOO_MANY_SHELLS = 2150859173
TOO_MANY_COMMANDS = 2150859175

_NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": SHELL,
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
}
_DECLARATIONS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items() if prefix not in "fx")
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"


@dataclass(frozen=True, slots=True)
class Target:
    """Where envelopes go: the endpoint's address, the configuration, and the limits asked for.

    ``envelope`` is the largest answer in bytes; ``timeout`` is the operation timeout in seconds, after which the server
    answers a receive without data by a ``TIMED_OUT`` fault.
    """

    address: str
    resource: str
    session_id: UUID
    envelope: int = 512_000
    timeout: float = 20.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault. ``code`` is the number of WS-Management, None if the fault has none; ``reason`` is for people."""

    code: int | None
    subcode: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """What one receive brought: the bytes of the output streams in their order, and whether the command is done."""

    streams: tuple[bytes, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not a fault."""

    body: etree._Element = field(repr=False)


def create(target: Target, message_id: UUID, shell_id: UUID, opening: bytes) -> bytes:
    """A shell that holds a runspace pool; ``opening`` are the pool's first messages (MS-PSRP 3.1.5.3.1)."""
    body = (
        f'<rsp:Shell ShellId="{_id(shell_id)}"><rsp:InputStreams>stdin pr</rsp:InputStreams>'
        "<rsp:OutputStreams>stdout</rsp:OutputStreams>"
        f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{_base64(opening)}</creationXml></rsp:Shell>'
    )
    return _envelope(target, message_id, f"{_TRANSFER}Create", body, options={"protocolversion": "2.3"})


def command(target: Target, message_id: UUID, shell: Mapping[str, str], command_id: UUID, first: bytes) -> bytes:
    """A pipeline in a shell; ``first`` is its first fragment."""
    body = (
        f'<rsp:CommandLine CommandId="{_id(command_id)}"><rsp:Command/>'
        f"<rsp:Arguments>{_base64(first)}</rsp:Arguments></rsp:CommandLine>"
    )
    return _envelope(target, message_id, f"{SHELL}/Command", body, selectors=shell)


def send(target: Target, message_id: UUID, shell: Mapping[str, str], command_id: str, data: bytes) -> bytes:
    """Further fragments of a pipeline that did not fit into its command."""
    body = (
        f'<rsp:Send><rsp:Stream Name="stdin" CommandId={quoteattr(command_id)}>{_base64(data)}</rsp:Stream></rsp:Send>'
    )
    return _envelope(target, message_id, f"{SHELL}/Send", body, selectors=shell)


def receive(target: Target, message_id: UUID, shell: Mapping[str, str], command_id: str | None = None) -> bytes:
    """Ask for output: of one pipeline, or of the runspace pool where no command is named."""
    which = f" CommandId={quoteattr(command_id)}" if command_id else ""
    body = f"<rsp:Receive><rsp:DesiredStream{which}>stdout</rsp:DesiredStream></rsp:Receive>"
    options = {"WSMAN_CMDSHELL_OPTION_KEEPALIVE": "True"}
    return _envelope(target, message_id, f"{SHELL}/Receive", body, selectors=shell, options=options)


def signal(target: Target, message_id: UUID, shell: Mapping[str, str], command_id: str, code: str = TERMINATE) -> bytes:
    """End a pipeline."""
    body = f"<rsp:Signal CommandId={quoteattr(command_id)}><rsp:Code>{escape(code)}</rsp:Code></rsp:Signal>"
    return _envelope(target, message_id, f"{SHELL}/Signal", body, selectors=shell)


def delete(target: Target, message_id: UUID, shell: Mapping[str, str]) -> bytes:
    """End a shell and everything in it."""
    return _envelope(target, message_id, f"{_TRANSFER}Delete", "", selectors=shell)


def parse(document: bytes) -> Reply | Fault:
    """Read an answer. Raises UnsafeXml for a DOCTYPE or a limit, WireError for what is not a SOAP envelope."""
    root = parse_xml(document, "The answer")
    body = root.find("s:Body", _NAMESPACES) if root.tag == f"{{{_NAMESPACES['s']}}}Envelope" else None
    if body is None:
        raise WireError("The answer is XML, but not a SOAP 1.2 envelope.")
    fault = body.find("s:Fault", _NAMESPACES)
    return Reply(body) if fault is None else _read_fault(fault)


def parse_xml(document: bytes, what: str) -> etree._Element:
    """Parse XML from outside, with no DOCTYPE, entities, network or huge trees; ``what`` names it in errors."""
    if b"<!DOCTYPE" in document:
        raise UnsafeXml(f"{what} contains a DOCTYPE, which no Exchange server sends.", "Check what is at that address.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise WireError(f"{what} is malformed XML: {error.msg}.", "It may have been cut off; try again.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnsafeXml(f"{what} contains a DOCTYPE, which no Exchange server sends.", "Check what is at that address.")
    return root


def read_shell(reply: Reply) -> dict[str, str]:
    """The selectors that name a created shell; servers may add some of their own."""
    selectors = {
        selector.get("Name", ""): selector.text or ""
        for selector in reply.body.iterfind(
            "x:ResourceCreated/a:ReferenceParameters/w:SelectorSet/w:Selector", _NAMESPACES
        )
    }
    shell_id = reply.body.findtext("rsp:Shell/rsp:ShellId", None, _NAMESPACES)
    if not selectors and shell_id:
        selectors = {"ShellId": shell_id}
    if not selectors:
        raise WireError("The answer to Create names no shell.")
    return selectors


def read_command_id(reply: Reply) -> str | None:
    """The id of a started command, where the server chose one of its own."""
    return reply.body.findtext("rsp:CommandResponse/rsp:CommandId", None, _NAMESPACES)


def read_received(reply: Reply) -> Received:
    """The streams of a receive, each decoded from base64, and whether the command's state is *Done*."""
    response = reply.body.find("rsp:ReceiveResponse", _NAMESPACES)
    if response is None:
        raise WireError("The answer to Receive holds no ReceiveResponse.")
    streams = tuple(_unbase64(stream.text) for stream in response.iterfind("rsp:Stream", _NAMESPACES) if stream.text)
    state = response.find("rsp:CommandState", _NAMESPACES)
    done = state is not None and state.get("State", "").endswith("/Done")
    return Received(streams, done)


def _envelope(
    target: Target,
    message_id: UUID,
    action: str,
    body: str,
    *,
    selectors: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> bytes:
    must = 's:mustUnderstand="true"'
    return (
        f"<s:Envelope {_DECLARATIONS}><s:Header>"
        f"<a:Action {must}>{action}</a:Action>"
        '<p:DataLocale s:mustUnderstand="false" xml:lang="en-US"/><w:Locale s:mustUnderstand="false" xml:lang="en-US"/>'
        f"<w:MaxEnvelopeSize {must}>{target.envelope}</w:MaxEnvelopeSize>"
        f"<a:MessageID>uuid:{_id(message_id)}</a:MessageID>"
        f"<w:OperationTimeout>PT{target.timeout:.3f}S</w:OperationTimeout>"
        f"<a:ReplyTo><a:Address {must}>{_ANONYMOUS}</a:Address></a:ReplyTo>"
        f"<w:ResourceURI {must}>{escape(target.resource)}</w:ResourceURI>"
        f'<p:SessionId s:mustUnderstand="false">uuid:{_id(target.session_id)}</p:SessionId>'
        f"<a:To>{escape(target.address)}</a:To>"
        f"{_named('OptionSet', 'Option', options, ' ' + must)}{_named('SelectorSet', 'Selector', selectors)}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _named(group: str, entry: str, values: Mapping[str, str] | None, extra: str = "") -> str:
    """An OptionSet or SelectorSet, or nothing where there are no values."""
    if not values:
        return ""
    comply = ' MustComply="true"' if "protocolversion" in values else ""
    entries = "".join(
        f"<w:{entry} Name={quoteattr(name)}{comply}>{escape(value)}</w:{entry}>" for name, value in values.items()
    )
    return f"<w:{group}{extra}>{entries}</w:{group}>"


def _read_fault(fault: etree._Element) -> Fault:
    detail = fault.find("s:Detail/f:WSManFault", _NAMESPACES)
    subcode = _text(fault, "s:Code/s:Subcode/s:Value") or _text(fault, "s:Code/s:Value")
    reason = _text(fault, "s:Reason/s:Text")
    if detail is None:
        code = TIMED_OUT if subcode.endswith(":TimedOut") else None
        return Fault(code, subcode, reason)
    message = detail.find("f:Message", _NAMESPACES)
    words = " ".join(" ".join(str(part) for part in message.itertext()).split()) if message is not None else ""
    code_text = detail.get("Code", "")
    return Fault(int(code_text) if code_text.isdigit() else None, subcode, reason or words, words)


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path, None, _NAMESPACES) or "").strip()


def _id(value: UUID) -> str:
    return str(value).upper()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except (binascii.Error, ValueError) as error:
        raise WireError(f"A stream of the answer is not base64: {error}.") from error
