"""The documents of EWS and Autodiscover: what answers mean, and what is refused before it is understood."""

import pytest

from gatepost.errors import UnsafeXml, WireError
from gatepost.wire import ews

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"


def envelope(body: str) -> bytes:
    """An answer with other prefixes than ours."""
    names = f'xmlns:q="{SOAP}" xmlns:mm="{MESSAGES}" xmlns:tt="{TYPES}"'
    return f"<q:Envelope {names}><q:Body>{body}</q:Body></q:Envelope>".encode()


def autodiscover(inner: str) -> bytes:
    """An answer of Autodiscover."""
    return f'<Autodiscover xmlns="urn:a"><Response xmlns="urn:b">{inner}</Response></Autodiscover>'.encode()


def test_a_fault_has_its_code_and_how_long_to_wait() -> None:
    """By the detail's response code; without one, by the fault's own."""
    fault = envelope(
        "<q:Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>Busy.</faultstring><detail>"
        '<tt:MessageXml><tt:Value Name="BackOffMilliseconds">1500</tt:Value></tt:MessageXml></detail></q:Fault>'
    )
    assert ews.read(fault) == ews.Refusal("ErrorServerBusy", "Busy.", 1.5)


def test_an_error_of_one_message_is_a_refusal() -> None:
    """With its code and its words; a warning is none."""
    message = (
        '<mm:R><mm:ResponseMessages><mm:M ResponseClass="{}"><mm:MessageText>No.</mm:MessageText>'
        "<mm:ResponseCode>ErrorX</mm:ResponseCode></mm:M></mm:ResponseMessages></mm:R>"
    )
    assert ews.read(envelope(message.format("Error"))) == ews.Refusal("ErrorX", "No.")
    assert isinstance(ews.read(envelope(message.format("Warning"))), ews.Response)


@pytest.mark.parametrize(
    ("document", "kind", "words"),
    [
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", UnsafeXml, "DOCTYPE"),
        (b"<html/>", WireError, "not of Exchange Web Services"),
        (b"<a><b></a>", WireError, "malformed XML"),
        (b"", WireError, "malformed XML"),
        (envelope("<mm:R/>"), WireError, "holds no response"),
        (envelope(""), WireError, "not of Exchange Web Services"),
    ],
)
def test_what_is_no_answer_is_told(document: bytes, kind: type[WireError], words: str) -> None:
    """Before anything of it is used."""
    with pytest.raises(kind, match=words):
        ews.read(document)


def test_the_inner_address_goes_first() -> None:
    """Exchange names one for the inner network, one for outside; either will do where the other is missing."""
    inner, outer = (
        "<Protocol><Type>EXCH</Type>{}</Protocol>",
        "<Protocol><Type>EXPR</Type><EwsUrl>https://o</EwsUrl></Protocol>",
    )
    both = autodiscover(outer + inner.format("<EwsUrl>https://i</EwsUrl>"))
    assert ews.read_discovered(both) == ews.Discovered(url="https://i")
    assert ews.read_discovered(autodiscover(outer + inner.format(""))) == ews.Discovered(url="https://o")
    assert ews.read_discovered(autodiscover(inner.format(""))).refusal == "it names no Exchange Web Services"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<RedirectUrl>https://x/</RedirectUrl>", ews.Discovered(ask_at="https://x/")),
        ("<RedirectAddr>a@b</RedirectAddr>", ews.Discovered(ask_for="a@b")),
        ("<Error><ErrorCode>600</ErrorCode></Error>", ews.Discovered(refusal="error 600")),
        ("<Error><Message>Gone.</Message></Error>", ews.Discovered(refusal="Gone.")),
    ],
)
def test_autodiscover_may_send_elsewhere_or_know_nothing(inner: str, expected: ews.Discovered) -> None:
    """Each as a value of its own."""
    assert ews.read_discovered(autodiscover(inner)) == expected


def test_what_is_no_autodiscover_is_told() -> None:
    """A page of a web server is well-formed at times."""
    with pytest.raises(WireError, match="not Autodiscover's"):
        ews.read_discovered(b"<html/>")
    with pytest.raises(UnsafeXml, match="DOCTYPE"):
        ews.read_discovered(b"<!DOCTYPE html><Autodiscover/>")
