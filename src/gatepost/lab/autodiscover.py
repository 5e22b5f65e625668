"""Autodiscover in its plain XML form (POX): where the signed-in account's Exchange Web Services are.

Also the two ways of sending a client elsewhere that stand in the answer: to another address of the account, and to
another server.
"""

import re
from xml.sax.saxutils import escape

from gatepost.lab.mailroom import Mailroom

PATH = "/autodiscover/autodiscover.xml"
_ANSWER = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_PLAIN = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_ADDRESS = re.compile(rb"<EMailAddress>([^<]*)</EMailAddress>")


def answer(data: bytes, mailroom: Mailroom, ews_url: str, moved: str = "") -> bytes:
    """The settings of the account that is asked for, or the error that there is none.

    ``moved`` sends the client to that server (an address that begins with https) or to that address of the account.
    """
    found = _ADDRESS.search(data)
    address = found[1].decode("utf-8", "replace") if found else ""
    if moved:
        kind = "Url" if moved.startswith("https://") else "Addr"
        inner = f"<Account><Action>redirect{kind}</Action><Redirect{kind}>{escape(moved)}</Redirect{kind}></Account>"
    elif mailroom.resolve(address) is None:
        return _document(
            _PLAIN,
            '<Error Time="12:00:00.0000000" Id="2309452"><ErrorCode>500</ErrorCode>'
            "<Message>The email address can't be found.</Message><DebugData/></Error>",
        )
    else:
        inner = _settings(escape(address), escape(ews_url))
    return _document(_PLAIN, f'<Response xmlns="{_ANSWER}">{inner}</Response>')


def _settings(address: str, ews_url: str) -> str:
    return (
        f"<User><DisplayName>{address}</DisplayName><AutoDiscoverSMTPAddress>{address}</AutoDiscoverSMTPAddress></User>"
        "<Account><AccountType>email</AccountType><Action>settings</Action><MicrosoftOnline>False</MicrosoftOnline>"
        f"<Protocol><Type>EXCH</Type><Server>ex1.lab.example</Server><EwsUrl>{ews_url}</EwsUrl></Protocol>"
        f"<Protocol><Type>EXPR</Type><Server>mail.lab.example</Server><EwsUrl>{ews_url}</EwsUrl></Protocol></Account>"
    )


def _document(namespace: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{namespace}">{inner}</Autodiscover>'.encode()
