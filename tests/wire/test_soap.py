"""Envelopes out and in, against what WS-Management says and what servers vary."""

import base64
from uuid import UUID

import pytest
from lxml import etree

from gatepost.errors import UnsafeXml, WireError
from gatepost.wire import soap

ID = UUID(int=1)
TARGET = soap.Target("https://mail.example.com/PowerShell?a=1&b=2", "http://schemas.microsoft.com/powershell/X", ID)
SHELL = {"ShellId": "A&B"}
NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "rsp": soap.SHELL,
    "ps": "http://schemas.microsoft.com/powershell",
}


def text(document: bytes, path: str) -> str | None:
    """The text at a path of an envelope."""
    return etree.fromstring(document).findtext(path, namespaces=NAMES)


def envelope(body: str, prefix: str = "s") -> bytes:
    """A SOAP answer with the given body, under any prefix."""
    uri = NAMES["s"]
    return (
        f"<{prefix}:Envelope xmlns:{prefix}='{uri}'><{prefix}:Body>{body}</{prefix}:Body></{prefix}:Envelope>".encode()
    )


def test_every_request_names_its_action_address_and_limits() -> None:
    """A server finds the action, the resource, the address and our limits in the header, whatever they contain."""
    requests = {
        "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create": soap.create(TARGET, ID, ID, b"open"),
        f"{soap.SHELL}/Command": soap.command(TARGET, ID, SHELL, ID, b"first"),
        f"{soap.SHELL}/Send": soap.send(TARGET, ID, SHELL, "C<", b"more"),
        f"{soap.SHELL}/Receive": soap.receive(TARGET, ID, SHELL, "C<"),
        f"{soap.SHELL}/Signal": soap.signal(TARGET, ID, SHELL, "C<"),
        "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete": soap.delete(TARGET, ID, SHELL),
    }
    for action, document in requests.items():
        assert text(document, "s:Header/a:Action") == action
        assert text(document, "s:Header/a:To") == TARGET.address
        assert text(document, "s:Header/w:ResourceURI") == TARGET.resource
        assert text(document, "s:Header/w:MaxEnvelopeSize") == "512000"
        assert text(document, "s:Header/w:OperationTimeout") == "PT20.000S"


def test_a_shell_is_named_by_its_selectors() -> None:
    """Requests to a shell carry every selector that the server gave, escaped."""
    document = soap.receive(TARGET, ID, {"ShellId": "A&B", "Extra": "<x>"})
    selectors = etree.fromstring(document).findall("s:Header/w:SelectorSet/w:Selector", NAMES)
    assert {entry.get("Name"): entry.text for entry in selectors} == {"ShellId": "A&B", "Extra": "<x>"}


def test_fragments_travel_as_base64() -> None:
    """What a pipeline sends arrives byte for byte."""
    created = soap.create(TARGET, ID, ID, b"\x00\xff open")
    assert base64.b64decode(text(created, "s:Body/rsp:Shell/ps:creationXml") or "") == b"\x00\xff open"
    sent = soap.send(TARGET, ID, SHELL, "c", b"\x00more")
    assert base64.b64decode(text(sent, "s:Body/rsp:Send/rsp:Stream") or "") == b"\x00more"


def test_a_reply_is_read_under_any_prefix() -> None:
    """Prefixes, order and unknown elements of an answer do not matter."""
    stream = base64.b64encode(b"data").decode()
    body = (
        f"<q:ReceiveResponse xmlns:q='{soap.SHELL}'><q:New/><q:CommandState State='x/CommandState/Done'/>"
        f"<q:Stream Name='stdout'>{stream}</q:Stream><q:Stream Name='stdout'/>"
        f"<q:Stream End='true' Name='stdout'>\n {stream}\n</q:Stream></q:ReceiveResponse>"
    )
    reply = soap.parse(envelope(body, "envelope"))
    assert isinstance(reply, soap.Reply)
    assert soap.read_received(reply) == soap.Received((b"data", b"data"), done=True)


def test_a_created_shell_is_found_in_either_place() -> None:
    """The selector set is used where there is one, else the shell's own id."""
    reference = (
        "<x:ResourceCreated xmlns:x='http://schemas.xmlsoap.org/ws/2004/09/transfer'>"
        f"<a:ReferenceParameters xmlns:a='{NAMES['a']}'><w:SelectorSet xmlns:w='{NAMES['w']}'>"
        "<w:Selector Name='ShellId'>S1</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>"
    )
    shell = f"<r:Shell xmlns:r='{soap.SHELL}'><r:ShellId>S2</r:ShellId></r:Shell>"
    for body, wanted in ((reference + shell, "S1"), (shell, "S2")):
        reply = soap.parse(envelope(body))
        assert isinstance(reply, soap.Reply)
        assert soap.read_shell(reply) == {"ShellId": wanted}


def test_a_fault_carries_its_number_and_words() -> None:
    """The number of WS-Management tells what happened; the reason is for people."""
    detail = (
        "<s:Detail><f:WSManFault xmlns:f='http://schemas.microsoft.com/wbem/wsman/1/wsmanfault' Code='2150858843'>"
        "<f:Message>The shell <b>was not</b> found.</f:Message></f:WSManFault></s:Detail>"
    )
    body = (
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:InvalidSelectors</s:Value></s:Subcode></s:Code>"
        f"<s:Reason><s:Text xml:lang='nl'>De shell is weg.</s:Text></s:Reason>{detail}</s:Fault>"
    )
    fault = soap.parse(envelope(body))
    assert fault == soap.Fault(2150858843, "w:InvalidSelectors", "De shell is weg.", "The shell was not found.")


def test_a_time_out_without_a_number_is_known_by_its_subcode() -> None:
    """A server that sends only the standard subcode is understood too."""
    code = "<s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>q:TimedOut</s:Value></s:Subcode></s:Code>"
    fault = soap.parse(envelope(f"<s:Fault>{code}</s:Fault>"))
    assert isinstance(fault, soap.Fault)
    assert fault.code == soap.TIMED_OUT


@pytest.mark.parametrize(
    ("document", "kind", "words"),
    [
        (b"<html><body>IIS</body></html>", WireError, "XML, but not a SOAP 1.2 envelope"),
        (b"<s:Envelope", WireError, "malformed XML"),
        (b"", WireError, "malformed XML"),
        (envelope("cut")[:-12], WireError, "malformed XML"),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', UnsafeXml, "DOCTYPE"),
        ('<!DOCTYPE x [<!ENTITY e "a">]><x>&e;</x>'.encode("utf-16"), UnsafeXml, "DOCTYPE"),
        (b"<a>" * 1000 + b"</a>" * 1000, WireError, "malformed XML"),
    ],
)
def test_what_is_no_answer_is_refused_in_words(document: bytes, kind: type[Exception], words: str) -> None:
    """A page, a cut answer, a DOCTYPE or a tower of elements is a clear error."""
    with pytest.raises(kind, match=words):
        soap.parse(document)


def test_a_stream_that_is_not_base64_is_refused() -> None:
    """Damaged transport coding is an error, not lost data."""
    body = f"<q:ReceiveResponse xmlns:q='{soap.SHELL}'><q:Stream Name='stdout'>abc</q:Stream></q:ReceiveResponse>"
    reply = soap.parse(envelope(body))
    assert isinstance(reply, soap.Reply)
    with pytest.raises(WireError, match="not base64"):
        soap.read_received(reply)


@pytest.mark.parametrize(("read", "words"), [(soap.read_shell, "no shell"), (soap.read_received, "no ReceiveResponse")])
def test_an_answer_to_another_question_is_refused(read: object, words: str) -> None:
    """An answer without the expected element says what is missing."""
    reply = soap.parse(envelope("<other/>"))
    assert callable(read)
    with pytest.raises(WireError, match=words):
        read(reply)
