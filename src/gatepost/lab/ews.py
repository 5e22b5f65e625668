"""Exchange Web Services, as far as a client needs them that sends mail and reads it again.

ResolveNames, GetFolder, FindItem, GetItem and CreateItem for messages that are sent at once. The signed-in account has
one mailbox; of the others it opens those that it was granted full access to.
"""

import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from gatepost.lab.dialects import Fault
from gatepost.lab.faults import Faults
from gatepost.lab.mailroom import FOLDERS, Mailroom, Message, PropertyName

PATH = "/ews/exchange.asmx"
BACK_OFF = 29_000
"""How long who asks too often is told to wait, in milliseconds."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
_T, _M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"
_VERSION = (
    f'<h:ServerVersionInfo MajorVersion="15" MinorVersion="2" MajorBuildNumber="1544" MinorBuildNumber="4"'
    f' Version="V2017_07_11" xmlns:h="{TYPES}"/>'
)


class Refused(Exception):
    """A request that is answered by a SOAP fault; ``wait`` is in milliseconds."""

    def __init__(self, code: str, text: str, wait: int = 0) -> None:
        self.code, self.text, self.wait = code, text, wait
        super().__init__(text)


class NotDone(Exception):
    """One part of a request that is answered by an error."""

    def __init__(self, code: str, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(text)


class Services:
    """Answers requests of the lab's account."""

    def __init__(self, mailroom: Mailroom, faults: Faults) -> None:
        self._mailroom = mailroom
        self._faults = faults
        self._operations: dict[str, Callable[[ET.Element], Iterable[str]]] = {
            "ResolveNames": self._resolve,
            "GetFolder": self._get_folder,
            "FindItem": self._find_item,
            "GetItem": self._get_item,
            "CreateItem": self._create_item,
        }

    def answer(self, data: bytes) -> tuple[int, bytes]:
        """The status and the whole answer."""
        try:
            return 200, _envelope(f"<s:Header>{_VERSION}</s:Header>", self._answer(_request(data)))
        except Refused as error:
            return 500, _envelope("", _fault(error))

    def _answer(self, request: ET.Element) -> str:
        """The body of the answer. Raises Refused."""
        name = request.tag.rpartition("}")[2]
        if self._faults.strikes(Fault.MAIL_BUSY):
            raise Refused("ErrorServerBusy", "The server cannot service this request right now.", BACK_OFF)
        if self._faults.strikes(Fault.NO_MAILBOX):
            raise Refused("ErrorMissingEmailAddress", "The account does not have a mailbox.")
        operation = self._operations.get(name)
        if operation is None:
            raise Refused("ErrorInvalidRequest", f"The request {name} is invalid.")
        return _response(name, operation(request))

    def _resolve(self, request: ET.Element) -> Iterable[str]:
        found = self._mailroom.found(request.findtext(f"{_M}UnresolvedEntry") or "")
        if not found:
            raise NotDone("ErrorNameResolutionNoResults", "No results were found.")
        rows = "".join(
            f"<t:Resolution>{_person('Mailbox', address, name)}</t:Resolution>" for name, address in found[:100]
        )
        seen = f'TotalItemsInView="{len(found)}" IncludesLastItemInRange="true"'
        yield f"<m:ResolutionSet {seen}>{rows}</m:ResolutionSet>"

    def _get_folder(self, request: ET.Element) -> Iterable[str]:
        for wanted in request.find(f"{_M}FolderIds") or ():
            mailbox, folder = self._folder(wanted)
            yield f"<m:Folders>{self._shown(mailbox, folder)}</m:Folders>"

    def _folder(self, wanted: ET.Element) -> tuple[str, str]:
        """The mailbox and the folder that an id names. Raises NotDone."""
        named = wanted.get("Id", "").lower()
        if wanted.tag == f"{_T}FolderId":
            mailbox, _, name = named.partition("/")
        else:
            address = wanted.findtext(f"{_T}Mailbox/{_T}EmailAddress") or self._mailroom.account
            mailbox, name = self._mailroom.resolve(address) or "", named
        if not mailbox:
            raise NotDone("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        if not self._mailroom.may_open(mailbox):
            raise NotDone("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        if name not in FOLDERS:
            raise NotDone("ErrorFolderNotFound", "The specified folder could not be found in the store.")
        return mailbox, name

    def _shown(self, mailbox: str, folder: str) -> str:
        total = len(self._mailroom.folder(mailbox, folder))
        parent = "root" if folder in {"root", "msgfolderroot"} else "msgfolderroot"
        return (
            f'<t:Folder><t:FolderId Id="{mailbox}/{folder}" ChangeKey="AQAA"/>'
            f'<t:ParentFolderId Id="{mailbox}/{parent}" ChangeKey="AQAA"/><t:FolderClass>IPF.Note</t:FolderClass>'
            f"<t:DisplayName>{FOLDERS[folder]}</t:DisplayName><t:TotalCount>{total}</t:TotalCount>"
            "<t:ChildFolderCount>0</t:ChildFolderCount><t:UnreadCount>0</t:UnreadCount></t:Folder>"
        )

    def _find_item(self, request: ET.Element) -> Iterable[str]:
        restriction = request.find(f"{_M}Restriction")
        page = request.find(f"{_M}IndexedPageItemView")
        offset = int(page.get("Offset", "0")) if page is not None else 0
        most = int(page.get("MaxEntriesReturned", "1000")) if page is not None else 1_000
        for wanted in request.find(f"{_M}ParentFolderIds") or ():
            messages = self._mailroom.folder(*self._folder(wanted))
            found = [one for one in messages if restriction is None or all(_holds(test, one) for test in restriction)]
            rows = "".join(_item(one, request, full=False) for one in found[offset : offset + most])
            last = str(offset + most >= len(found)).lower()
            yield (
                f'<m:RootFolder IndexedPagingOffset="{min(offset + most, len(found))}" TotalItemsInView="{len(found)}"'
                f' IncludesLastItemInRange="{last}"><t:Items>{rows}</t:Items></m:RootFolder>'
            )

    def _get_item(self, request: ET.Element) -> Iterable[str]:
        ids = [wanted.get("Id", "") for wanted in request.find(f"{_M}ItemIds") or ()]
        for message in self._mailroom.items(ids):
            if message is None:
                raise NotDone("ErrorItemNotFound", "The specified object was not found in the store.")
            yield f"<m:Items>{_item(message, request, full=True)}</m:Items>"

    def _create_item(self, request: ET.Element) -> Iterable[str]:
        disposition = request.get("MessageDisposition", "")
        if disposition not in {"SendOnly", "SendAndSaveCopy"}:
            raise NotDone("ErrorInvalidRequest", "Messages can be sent here; drafts are not kept.")
        saved = request.find(f"{_M}SavedItemFolderId")
        if saved is not None and self._folder(saved[0])[1] != "sentitems":
            raise NotDone("ErrorSavedItemFolderNotFound", "A copy is kept in Sent Items alone.")
        for wanted in request.find(f"{_M}Items") or ():
            named = wanted.findtext(f"{_T}From/{_T}Mailbox/{_T}EmailAddress") or self._mailroom.account
            if self._mailroom.resolve(named) != self._mailroom.account:
                raise NotDone("ErrorSendAsDenied", "The user account has no right to send mail for this mailbox.")
            self._mailroom.send(_message(wanted, self._mailroom.account), keep=disposition == "SendAndSaveCopy")
            yield "<m:Items/>"


def _request(data: bytes) -> ET.Element:
    """What the body of the envelope asks for. Raises Refused."""
    if b"<!DOCTYPE" in data[:4096]:
        raise Refused("ErrorSchemaValidation", "A document type declaration is not accepted.")
    try:
        root = ET.fromstring(data)  # noqa: S314 - a lab reads its own client; doctypes are refused above
    except ET.ParseError as error:
        raise Refused("ErrorSchemaValidation", f"The request failed schema validation: {error}") from error
    body = root.find(f"{{{SOAP}}}Body")
    if body is None or len(body) != 1:
        raise Refused("ErrorSchemaValidation", "The request failed schema validation: no body of SOAP 1.1.")
    return body[0]


def _message(element: ET.Element, sender: str) -> Message:
    """The message that CreateItem describes. Raises NotDone."""
    if element.tag != f"{_T}Message":
        raise NotDone("ErrorInvalidRequest", "Only messages are made here.")
    to = tuple(
        address.text or ""
        for kind in ("ToRecipients", "CcRecipients", "BccRecipients")
        for address in element.iterfind(f"{_T}{kind}/{_T}Mailbox/{_T}EmailAddress")
    )
    if not to or any("@" not in address for address in to):
        raise NotDone("ErrorInvalidRecipients", "At least one recipient isn't valid.")
    body = element.find(f"{_T}Body")
    return Message(
        sender=sender,
        to=tuple(address.lower() for address in to),
        subject=element.findtext(f"{_T}Subject") or "",
        body=(body.text or "") if body is not None else "",
        body_type=body.get("BodyType", "Text") if body is not None else "Text",
        properties={
            _property(one): one.findtext(f"{_T}Value") or "" for one in element.iterfind(f"{_T}ExtendedProperty")
        },
        at=dt.datetime.now(dt.UTC).replace(microsecond=0),
        internet_id=element.findtext(f"{_T}InternetMessageId") or f"<{uuid4()}@ex1.lab.example>",
    )


def _property(element: ET.Element) -> PropertyName:
    """Which extended property is meant, by an ExtendedFieldURI in it or by itself."""
    uri = element.find(f"{_T}ExtendedFieldURI")
    uri = element if uri is None else uri
    kind = uri.get("DistinguishedPropertySetId") or uri.get("PropertySetId") or "tag"
    return kind, uri.get("PropertyName") or uri.get("PropertyTag") or uri.get("PropertyId") or ""


def _holds(test: ET.Element, message: Message) -> bool:
    """Whether a restriction is true of a message. Raises NotDone for one that is not known here."""
    kind = test.tag.removeprefix(_T)
    if kind in {"And", "Or"}:
        return (all if kind == "And" else any)(_holds(part, message) for part in test)
    if kind not in {"IsEqualTo", "Contains"} or not len(test):
        raise NotDone("ErrorUnsupportedPathForQuery", f"A search by {kind} is not known here.")
    value = _value(test[0], message)
    constant = test.find(f"{_T}FieldURIOrConstant/{_T}Constant")
    constant = test.find(f"{_T}Constant") if constant is None else constant
    wanted = constant.get("Value", "") if constant is not None else ""
    return value is not None and (wanted == value if kind == "IsEqualTo" else wanted.lower() in value.lower())


def _value(path: ET.Element, message: Message) -> str | None:
    if path.tag == f"{_T}ExtendedFieldURI":
        return message.properties.get(_property(path))
    values = {
        "item:Subject": message.subject,
        "item:Body": message.body,
        "message:InternetMessageId": message.internet_id,
    }
    if path.get("FieldURI", "") not in values:
        raise NotDone("ErrorUnsupportedPathForQuery", f"A search for {path.get('FieldURI')} is not known here.")
    return values[path.get("FieldURI", "")]


def _item(message: Message, request: ET.Element, *, full: bool) -> str:
    """A message as a row of FindItem, or ``full`` as GetItem shows it."""
    asked = [_property(uri) for uri in request.iter(f"{_T}ExtendedFieldURI")]
    at = message.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    to = "".join(_person("Mailbox", address) for address in message.to)
    extended = "".join(_extended(name, message.properties[name]) for name in asked if name in message.properties)
    body = f"<t:Body BodyType={quoteattr(message.body_type)}>{escape(message.body)}</t:Body>" if full else ""
    headers = "".join(
        f"<t:InternetMessageHeader HeaderName={quoteattr(name)}>{escape(value)}</t:InternetMessageHeader>"
        for name, value in message.headers.items()
    )
    shown = f"<t:InternetMessageHeaders>{headers}</t:InternetMessageHeaders>" if full and headers else ""
    return (
        f'<t:Message><t:ItemId Id="{message.id}" ChangeKey="CQAA"/>'
        f'<t:ParentFolderId Id="{message.mailbox}/{message.folder}"/><t:ItemClass>IPM.Note</t:ItemClass>'
        f"<t:Subject>{escape(message.subject)}</t:Subject>{body}<t:DateTimeReceived>{at}</t:DateTimeReceived>"
        f"<t:Size>{len(message.body)}</t:Size>{shown}<t:DateTimeSent>{at}</t:DateTimeSent>"
        f"<t:DateTimeCreated>{at}</t:DateTimeCreated>{extended}{_person('Sender', message.sender)}"
        f"{f'<t:ToRecipients>{to}</t:ToRecipients>' if full else ''}{_person('From', message.sender)}"
        f"<t:InternetMessageId>{escape(message.internet_id)}</t:InternetMessageId><t:IsRead>false</t:IsRead></t:Message>"
    )


def _extended(name: PropertyName, value: str) -> str:
    kind = "DistinguishedPropertySetId" if "-" not in name[0] else "PropertySetId"
    return (
        f"<t:ExtendedProperty><t:ExtendedFieldURI {kind}={quoteattr(name[0])} PropertyName={quoteattr(name[1])}"
        f' PropertyType="String"/><t:Value>{escape(value)}</t:Value></t:ExtendedProperty>'
    )


def _person(kind: str, address: str, name: str = "") -> str:
    inner = (
        f"<t:Name>{escape(name or address)}</t:Name><t:EmailAddress>{escape(address)}</t:EmailAddress>"
        "<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>Mailbox</t:MailboxType>"
    )
    return (
        f"<t:Mailbox>{inner}</t:Mailbox>"
        if kind == "Mailbox"
        else f"<t:{kind}><t:Mailbox>{inner}</t:Mailbox></t:{kind}>"
    )


def _response(name: str, parts: Iterable[str]) -> str:
    """The messages of a response, one for each part; the first that cannot be done ends it."""
    tag, messages = f"m:{name}ResponseMessage", list[str]()
    try:
        for part in parts:
            code = "<m:ResponseCode>NoError</m:ResponseCode>"
            messages += [f'<{tag} ResponseClass="Success">{code}{part}</{tag}>']
    except NotDone as error:
        messages.append(
            f'<{tag} ResponseClass="Error"><m:MessageText>{escape(error.text)}</m:MessageText>'
            f"<m:ResponseCode>{error.code}</m:ResponseCode>"
            f"<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></{tag}>"
        )
    return f"<m:{name}Response><m:ResponseMessages>{''.join(messages)}</m:ResponseMessages></m:{name}Response>"


def _fault(error: Refused) -> str:
    wait = (
        f'<t:MessageXml><t:Value Name="BackOffMilliseconds">{error.wait}</t:Value></t:MessageXml>' if error.wait else ""
    )
    return (
        f'<s:Fault><faultcode xmlns:a="{TYPES}">a:{error.code}</faultcode>'
        f'<faultstring xml:lang="en-US">{escape(error.text)}</faultstring><detail xmlns:e="{ERRORS}">'
        f"<e:ResponseCode>{error.code}</e:ResponseCode><e:Message>{escape(error.text)}</e:Message>{wait}</detail></s:Fault>"
    )


def _envelope(header: str, body: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:t="{TYPES}" xmlns:m="{MESSAGES}">'
        f"{header}<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
