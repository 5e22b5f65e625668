"""The few documents of Exchange Web Services and Autodiscover that we use: bytes out, values in.

A notice is sent by CreateItem, found again in Sent Items by FindItem and the header that marks it; GetFolder shows that
the mailbox can be opened. Autodiscover is asked in its plain XML form (MS-OXDSCLI). All of it is what Exchange 2010 SP1
takes, and every later one. Answers are read by namespace and local name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from gatepost.errors import UsageError, WireError
from gatepost.wire.soap import parse_xml

MARKER = "X-Gatepost-Notice"
"""The header by which a notice is found again."""

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
_ASKING = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_TELLING = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_NAMES = {"s": _SOAP, "t": _TYPES, "m": _MESSAGES, "e": _ERRORS}
_PROTOCOLS = ("EXCH", "EXPR", "EXHTTP")
"""What names the services' address, the one of the inner network first."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ADDRESS = re.compile(r"[^@\s<>,;\"\\]+@[^@\s<>,;\"\\]+")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Discovered:
    """What Autodiscover says: where the services are, where or for which address to ask, or why it knows nothing."""

    url: str = ""
    ask_at: str = ""
    ask_for: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one person. ``html`` is what is sent where there is any: Exchange makes the plain part out of it."""

    to: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse what would end a header, or is no single address. Raises UsageError; nothing was sent."""
        if not _ADDRESS.fullmatch(self.to):
            raise UsageError(f"{self.to!a} is not one mail address.", "Give one such as user@example.com.")
        for name, value in {"Subject": self.subject, **self.headers}.items():
            if not _TOKEN.fullmatch(name):
                raise UsageError(f"{name!a} is not the name of a header.", "Use letters, digits and hyphens.")
            if any(ord(each) < 32 or each in "\x7f\x85\u2028\u2029" for each in value):
                raise UsageError(f"The header {name} has a line end or control character in it.", "Take it out.")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What EWS answers instead: its code, its words, and how long to wait, in seconds, where it says so."""

    code: str
    message: str
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The response to one operation that went well."""

    message: etree._Element = field(repr=False)


def discover(address: str) -> bytes:
    """Ask Autodiscover about an account."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{_ASKING}"><Request>'
        f"<EMailAddress>{escape(address)}</EMailAddress>"
        f"<AcceptableResponseSchema>{_TELLING}</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()


def read_discovered(document: bytes) -> Discovered:
    """What Autodiscover answered. Raises WireError where it is something else."""
    root = parse_xml(document, "The answer of Autodiscover")
    if _local(root) != "Autodiscover":
        raise WireError("The answer is XML, but not Autodiscover's.", "Check what is at that address.")
    if (error := _first(root, "Error")) is not None:
        return Discovered(refusal=_said(error, "Message") or f"error {_said(error, 'ErrorCode')}")
    if (target := _said(root, "RedirectUrl")) or (address := _said(root, "RedirectAddr")):
        return Discovered(ask_at=target) if target else Discovered(ask_for=address)
    urls = {_said(one, "Type"): _said(one, "EwsUrl") for one in root.iter("{*}Protocol")}
    url = next((urls[name] for name in _PROTOCOLS if urls.get(name)), "")
    return Discovered(url=url) if url else Discovered(refusal="it names no Exchange Web Services")


def see_inbox(account: str) -> bytes:
    """Open the Inbox of an account."""
    folder = _folder("inbox", account)
    return _envelope(
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
        f"<m:FolderIds>{folder}</m:FolderIds></m:GetFolder>"
    )


def send(letter: Letter, account: str) -> bytes:
    """Send a message from an account, and keep a copy in its Sent Items."""
    kind, body = ("HTML", letter.html) if letter.html else ("Text", letter.text)
    headers = "".join(
        f"<t:ExtendedProperty>{_header(name)}<t:Value>{escape(value)}</t:Value></t:ExtendedProperty>"
        for name, value in letter.headers.items()
    )
    return _envelope(
        '<m:CreateItem MessageDisposition="SendAndSaveCopy">'
        f"<m:SavedItemFolderId>{_folder('sentitems', account)}</m:SavedItemFolderId><m:Items><t:Message>"
        f"<t:Subject>{escape(_NOT_IN_XML.sub(' ', letter.subject))}</t:Subject>"
        f'<t:Body BodyType="{kind}">{escape(_NOT_IN_XML.sub(" ", body))}</t:Body>{headers}'
        f"<t:ToRecipients>{_mailbox(letter.to)}</t:ToRecipients><t:From>{_mailbox(account)}</t:From>"
        "</t:Message></m:Items></m:CreateItem>"
    )


def find(marker: str, account: str) -> bytes:
    """Look in the Sent Items of an account for the message that carries a marker."""
    return _envelope(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        '<m:IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/>'
        f"<m:Restriction><t:IsEqualTo>{_header(MARKER)}<t:FieldURIOrConstant><t:Constant Value={quoteattr(marker)}/>"
        "</t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
        f"<m:ParentFolderIds>{_folder('sentitems', account)}</m:ParentFolderIds></m:FindItem>"
    )


def read(document: bytes) -> Response | Refusal:
    """The response to one operation, or why there is none. Raises WireError for what is not EWS."""
    root = parse_xml(document, "The answer")
    body = root.find("s:Body", _NAMES) if root.tag == f"{{{_SOAP}}}Envelope" else None
    if body is None or not len(body):
        raise WireError("The answer is XML, but not of Exchange Web Services.", "Check what is at that address.")
    if (fault := body.find("s:Fault", _NAMES)) is not None:
        return _fault(fault)
    message = body.find("*/m:ResponseMessages/*", _NAMES)
    if message is None:
        raise WireError("The answer of Exchange Web Services holds no response.", "Try again.")
    if message.get("ResponseClass") == "Error":
        return Refusal(_said(message, "ResponseCode"), _said(message, "MessageText"), _wait(message))
    return Response(message)


def has_folder(response: Response) -> bool:
    """Whether GetFolder showed the folder."""
    return _first(response.message, "FolderId") is not None


def has_item(response: Response) -> bool:
    """Whether FindItem found a message."""
    return _first(response.message, "ItemId") is not None


def _fault(fault: etree._Element) -> Refusal:
    code = _said(fault, "ResponseCode") or (fault.findtext("faultcode") or "").rpartition(":")[2]
    return Refusal(code, (fault.findtext("faultstring") or "").strip(), _wait(fault))


def _wait(element: etree._Element) -> float | None:
    values = element.iterfind(".//t:Value", _NAMES)
    text = next((value.text or "" for value in values if value.get("Name") == "BackOffMilliseconds"), "")
    return int(text) / 1000 if text.isdecimal() and len(text) < 10 else None


def _first(element: etree._Element, name: str) -> etree._Element | None:
    return next(element.iter(f"{{*}}{name}"), None)


def _said(element: etree._Element, name: str) -> str:
    """The text of the first element of a name, or nothing."""
    found = _first(element, name)
    return (found.text or "").strip() if found is not None else ""


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _header(name: str) -> str:
    """A header of a message, as EWS names it."""
    return (
        f'<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName={quoteattr(name)}'
        ' PropertyType="String"/>'
    )


def _folder(name: str, account: str) -> str:
    return f'<t:DistinguishedFolderId Id="{name}">{_mailbox(account)}</t:DistinguishedFolderId>'


def _mailbox(address: str) -> str:
    return f"<t:Mailbox><t:EmailAddress>{escape(address)}</t:EmailAddress></t:Mailbox>"


def _envelope(body: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{_SOAP}" xmlns:t="{_TYPES}" xmlns:m="{_MESSAGES}">'
        '<s:Header><t:RequestServerVersion Version="Exchange2010_SP1"/></s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
