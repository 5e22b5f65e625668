"""Notices leave from a mailbox of Exchange's own, by Exchange Web Services (docs/decisions/0040).

The services are found by Autodiscover, or at a fixed address. Autodiscover is asked at hosts that the settings name, or
that follow from the account's own domain; no answer of it and no redirect leads anywhere else with the password.
"""

from collections.abc import Iterator, Mapping
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

from gatepost.errors import (
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    MailRefused,
    NotExchange,
    SignInRefused,
    WireError,
    WriteUncertain,
)
from gatepost.exchange.failures import Speech
from gatepost.exchange.transport import Permit, Transport
from gatepost.settings import ExchangeSettings, NoticeSettings, changed, refuse_exchange_online
from gatepost.wire import ews

AUTOMATIC: Mapping[str, str] = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
"""What keeps a notice from being answered by machines (RFC 3834, MS-OXCMAIL)."""

_XML = "text/xml; charset=utf-8"
_SERVICES = Speech("Exchange Web Services", "https://mail.example.com/EWS/Exchange.asmx", _XML, "EWS")
_AUTODISCOVER = Speech(
    "Autodiscover", "https://autodiscover.example.com/autodiscover/autodiscover.xml", _XML, "Autodiscover"
)
_PATH = "/autodiscover/autodiscover.xml"
_PATIENCE = 15.0
"""Seconds for one host of Autodiscover; several may be asked."""
_MOST_STEPS = 3
_PAUSE = 30.0
_LONGEST_PAUSE = 900.0
_UNTOLD = frozenset({"ErrorInternalServerError", "ErrorInternalServerTransientError", "ErrorTimeoutExpired"})
"""Answers to a sending after which the message may be on its way all the same."""
_REMEDIES = {
    "ErrorMissingEmailAddress": "Give the account a mailbox, or name one that has it.",
    "ErrorNonExistentMailbox": "Check [notices] account: it must be the address of a mailbox on this Exchange.",
    "ErrorAccessDenied": "Sign in as the mailbox's own user, or give that user full access to it.",
    "ErrorSendAsDenied": "Sign in as the mailbox's own user, or let that user send as it.",
    "ErrorInvalidRecipients": "Check the address of who should get it.",
    "ErrorMessageSizeExceeded": "Shorten the text.",
    "ErrorQuotaExceeded": "Empty Sent Items of the account, or raise its quota.",
}


class Mailer:
    """The account's mailbox, for one thread. ``url`` is where it is, ``how`` it was found: autodiscover or fixed."""

    def __init__(self, transport: Transport, account: str, how: str) -> None:
        self._transport = transport
        self._account = account
        self.url = transport.address
        self.how = how

    @classmethod
    def open(
        cls,
        notices: NoticeSettings,
        exchange: ExchangeSettings,
        password: str,
        *,
        proxy_password: str | None = None,
    ) -> Self:
        """Find the services of the account; nobody signs in where the address is fixed.

        The method of sign-in is that of ``[exchange]``, and so is what signs in at its proxy. Raises the ExchangeError
        family and SettingsError.
        """
        base = _settings_of(notices, exchange)
        passwords = (password or None, proxy_password)
        how = "fixed" if notices.url else "autodiscover"
        url = notices.url or Discovery(notices, exchange, base, passwords).url()
        transport = Transport(changed(base, {"url": url}), *passwords, speech=_SERVICES)
        return cls(transport, notices.account, how)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._transport.close()

    def check(self) -> None:
        """Sign in and open the account's own Inbox. Raises the ExchangeError family."""
        if not ews.has_folder(self._response(self._ask(ews.see_inbox(self._account)))):
            raise self._refused("", "it shows no Inbox")

    def send(
        self,
        to: str,
        subject: str,
        html: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        *,
        marker: str = "",
        permit: Permit | None = None,
    ) -> str:
        """Send one message, once, and keep a copy; the marker by which ``find`` finds it.

        ``html`` goes where there is any, with a plain part that Exchange makes of it; else ``text``. ``permit`` is
        asked just before bytes leave; what it raises comes out, and nothing was sent. Raises UsageError for a header
        that is none, WriteUncertain where nobody can tell whether it was sent, and the ExchangeError family where it
        was not.
        """
        marker = marker or uuid4().hex
        letter = ews.Letter(to, subject, html, text, {**AUTOMATIC, **(headers or {}), ews.MARKER: marker})
        left: list[bool] = []
        try:
            answer = self._ask(ews.send(letter, self._account), left, permit)
        except (ExchangeUnreachable, NotExchange, WireError) as error:
            if not left:
                raise
            raise WriteUncertain("the sending of a notice", error.cause, server=self._transport.server) from error
        if isinstance(answer, ews.Refusal) and answer.code in _UNTOLD:
            why = f"it answers with {answer.code}."
            raise WriteUncertain("the sending of a notice", why, server=self._transport.server)
        self._response(answer)
        return marker

    def find(self, marker: str) -> bool:
        """Whether a message with that marker stands in Sent Items. Raises the ExchangeError family."""
        return ews.has_item(self._response(self._ask(ews.find(marker, self._account))))

    def _ask(
        self, request: bytes, left: list[bool] | None = None, permit: Permit | None = None
    ) -> ews.Response | ews.Refusal:
        """One operation; ``left`` gets an entry once bytes of it have gone, which ``permit`` may refuse."""

        def leaving() -> None:
            if permit is not None:
                permit()
            if left is not None:
                left.append(True)

        return ews.read(self._transport.post(request, permit=leaving))

    def _response(self, answer: ews.Response | ews.Refusal) -> ews.Response:
        if isinstance(answer, ews.Response):
            return answer
        if answer.code == "ErrorServerBusy":
            raise ExchangeBusy(
                f"{self._transport.server} asks to wait with mail: it has too many requests of {self._account}.",
                "It is asked again later; a throttling policy of the account's own gives it more.",
                server=self._transport.server,
                retry_after=min(answer.wait or _PAUSE, _LONGEST_PAUSE),
                about="server",
            )
        raise self._refused(answer.code, answer.message)

    def _refused(self, code: str, message: str) -> MailRefused:
        remedy = _REMEDIES.get(code, "Look up the code in Microsoft's list of EWS response codes.")
        return MailRefused(code, message, account=self._account, remedy=remedy, server=self._transport.server)


class Discovery:
    """Where an account's services are, by Autodiscover."""

    def __init__(
        self,
        notices: NoticeSettings,
        exchange: ExchangeSettings,
        base: ExchangeSettings,
        passwords: tuple[str | None, str | None],
    ) -> None:
        self._account = notices.account
        self._passwords = passwords
        self._domain = notices.account.rpartition("@")[2].lower()
        self._starts = tuple(_starts(notices, exchange))
        hosts = {_host(start) for start in self._starts} | {_host(exchange.url)}
        self._known = hosts | {name.lower() for name in exchange.allowed_redirects}
        self._base = changed(base, {"allowed_redirects": tuple(sorted(self._known))})

    def url(self) -> str:
        """The address of the services. Raises the ExchangeError family; where nobody knows, with each one's answer."""
        found: list[str] = []
        for start in self._starts:
            try:
                return self._followed(start)
            except SignInRefused:
                raise  # the password would be no better at the next host, and a lock-out may be near
            except (ExchangeError, WireError) as error:
                found.append(f"{start}: {error.cause}")
        raise ExchangeUnreachable(
            f"Autodiscover does not find the mailbox {self._account}. {' '.join(found)}",
            "Give the address of the services ([notices] url), or of Autodiscover ([notices] autodiscover).",
        )

    def _followed(self, address: str) -> str:
        for _ in range(_MOST_STEPS):
            answer = self._asked(address)
            if answer.url:
                return self._trusted(answer.url)
            if not answer.ask_at:
                raise self._unknown(address, answer)
            self._refuse_strangers(answer.ask_at, address)
            address = answer.ask_at
        raise NotExchange(f"{address} sends on in a circle.", "Give the address of the services ([notices] url).")

    def _asked(self, address: str) -> ews.Discovered:
        settings = changed(self._base, {"url": address})
        transport = Transport(settings, *self._passwords, speech=_AUTODISCOVER)
        try:
            return ews.read_discovered(transport.post(ews.discover(self._account), min(_PATIENCE, settings.timeout)))
        finally:
            transport.close()

    def _unknown(self, address: str, answer: ews.Discovered) -> NotExchange:
        if answer.ask_for:
            return NotExchange(
                f"{_host(address)} says that {self._account} is another address of {answer.ask_for}.",
                "Give that one as [notices] account, if its mailbox is on this Exchange.",
            )
        return NotExchange(
            f"{_host(address)} does not know {self._account}: {answer.refusal[:200].rstrip('.')}.",
            "Check [notices] account.",
        )

    def _trusted(self, url: str) -> str:
        """An address of the services at a known host, or one of the account's own domain. Raises NotExchange."""
        host = _host(url)
        if host != self._domain and not host.endswith(f".{self._domain}"):
            self._refuse_strangers(url, "Autodiscover")
        elif _scheme(url) != "https":
            raise self._stranger(url, "Autodiscover")
        refuse_exchange_online(host, f"Autodiscover names {url[:200]}")
        return url

    def _refuse_strangers(self, target: str, who: str) -> None:
        if _scheme(target) != "https" or _host(target) not in self._known:
            raise self._stranger(target, who)

    def _stranger(self, target: str, who: str) -> NotExchange:
        return NotExchange(
            f"{who} leads to {target[:200]}, which the settings do not allow.",
            "If that is right, add its host to allowed_redirects of [exchange], or give the address of the services"
            " ([notices] url).",
        )


def _starts(notices: NoticeSettings, exchange: ExchangeSettings) -> Iterator[str]:
    """Where Autodiscover is asked: at the addresses named, else below the account's domain and at the server itself."""
    if notices.autodiscover:
        for address in notices.autodiscover:
            yield address if urlsplit(address).path.strip("/") else address.rstrip("/") + _PATH
        return
    domain = notices.account.rpartition("@")[2]
    split = urlsplit(exchange.url)
    yield f"https://autodiscover.{domain}{_PATH}"
    yield f"https://{split.netloc if split.scheme == 'https' else split.hostname}{_PATH}"


def _settings_of(notices: NoticeSettings, exchange: ExchangeSettings) -> ExchangeSettings:
    """How to reach the account's mailbox: as ``[exchange]`` is reached, but for what ``[notices]`` says itself."""
    given: dict[str, object] = {"user": notices.user or notices.account, "password_file": None, "keytab": None}
    if notices.url:
        given["url"] = notices.url
    elif not exchange.url.lower().startswith("https://"):
        given["url"] = f"https://{urlsplit(exchange.url).hostname}/EWS/Exchange.asmx"
    if notices.ca_file:
        given["ca_file"] = notices.ca_file
    if notices.proxy:
        given["proxy"] = notices.proxy
    return changed(exchange, given)


def _host(address: str) -> str:
    """The host in an address; nothing where it is none."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _scheme(address: str) -> str:
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""
