"""What goes wrong on the way to Exchange, translated once: errors of sockets, TLS, HTTP and sign-in into our tree.

Every sentence names the cause and the remedy, and none can hold a password: they are made of names and numbers.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from urllib.parse import urlsplit

from cryptography import x509

from gatepost.errors import (
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    NotExchange,
    SettingsError,
    SignInRefused,
    UntrustedCertificate,
)
from gatepost.exchange.connections import LARGEST_ANSWER, Answer, Clock, TooLarge
from gatepost.exchange.kerberos import explained
from gatepost.exchange.proxies import AtProxy, Proxy, TunnelRefused
from gatepost.exchange.signing_in import NotOffered, SignInFailed
from gatepost.settings import ExchangeSettings

_PAUSE = 30.0
_LONGEST_PAUSE = 300.0
_TLS_ALERT = "\x15\x03"


@dataclass(frozen=True, slots=True)
class Speech:
    """What is spoken with a server: its ``name``, an example of an address, the type of what is sent, its pool."""

    name: str
    example: str
    kind: str
    pool: str


POWERSHELL = Speech(
    "remote PowerShell", "https://mail.example.com/PowerShell", "application/soap+xml;charset=UTF-8", "PowerShell"
)


@dataclass(slots=True)
class Place:
    """Where somebody signs in: its ``name`` in sentences, its ``host`` for Kerberos, the method, and who."""

    name: str
    host: str
    auth: str
    user: str


class Failures:
    """The sentences of one way to one server, perhaps through a proxy. ``host`` may change by a redirect."""

    def __init__(self, settings: ExchangeSettings, proxy: Proxy, clock: Clock, speech: Speech = POWERSHELL) -> None:
        self._speech = speech
        self.server = urlsplit(settings.url).hostname or settings.url
        self._place = Place(self.server, self.server, settings.auth, settings.user or "this account")
        self._proxy = proxy
        self._at_proxy = Place(
            f"The proxy {proxy.name}", proxy.name, settings.proxy_auth, settings.proxy_user or "this account"
        )
        self._clock = clock
        self._scheme = urlsplit(settings.url).scheme

    def now_at(self, host: str, scheme: str) -> None:
        """A redirect led to another host, or to https."""
        self._place.host, self._scheme = host, scheme

    @contextmanager
    def in_our_words(self) -> Iterator[None]:
        """Translate whatever the libraries raise."""
        try:
            yield
        except TooLarge as error:
            raise self.not_exchange(
                f"{self.server} sends an answer of more than {LARGEST_ANSWER} bytes, which Exchange never does.",
                "Check what is at that address.",
            ) from error
        except AtProxy as error:
            raise self._lost_at_proxy(error.__cause__) from error
        except TunnelRefused as error:
            raise self.proxy_refuses(error.status) from error
        except (NotOffered, SignInFailed) as error:
            raise self._no_sign_in(self._place, error) from error
        except ssl.SSLError as error:
            raise self._untrusted(error) from error
        except (OSError, HTTPException) as error:
            raise self._cut_off(error) from error
        except (ValueError, LookupError, RecursionError) as error:
            raise self.not_exchange(
                f"{self.server} answers in a way that is not understood: {_reason(error)}.",
                "Check what is at that address.",
            ) from error

    def not_exchange(self, cause: str, remedy: str) -> NotExchange:
        """Something else answers."""
        return NotExchange(cause, remedy, server=self.server)

    def unreachable(self, why: str, remedy: str) -> ExchangeUnreachable:
        """Nothing answers, or not in full."""
        return ExchangeUnreachable(f"{self.server} cannot be reached: {why}.", remedy, server=self.server)

    def refused(self, *, ticket: bool, certificate: bytes | None) -> SignInRefused:
        """The server said no. With a ``ticket`` the account is right; over TLS the channel binding may not be."""
        place = self._place
        if ticket:
            return self._refused_with_ticket(place, certificate)
        remedy = "Check user, password and method."
        if place.auth == "basic":
            remedy += " Basic must be switched on at the virtual directory."
        elif certificate is not None:
            remedy += (
                f" If they are right, Extended Protection (channel binding) fails: the certificate seen here, issued by"
                f" {_issuer(certificate)}, must be the server's own; a proxy or load balancer that opens TLS breaks it."
            )
        cause = f"{self.server} does not accept the sign-in of {place.user} by {place.auth}."
        return SignInRefused(cause, remedy, server=self.server)

    def not_soap(self, answer: Answer, address: str) -> ExchangeError:
        """The error for an answer that is no SOAP: a web server's page, or nothing."""
        status, kind = answer.status, answer.header("Content-Type")
        if status in {429, 503}:
            return self._not_ready(status, answer.header("Retry-After"))
        if status == 403:
            return SignInRefused(
                f"{self.server} refuses access (403).",
                "Check the rights of the account, and whether a proxy on the way allows it.",
                server=self.server,
            )
        if status >= 500:
            return ExchangeUnreachable(
                f"The web server of {self.server} answers with an error page ({status}).",
                f"Look at its event log; the {self._speech.pool} application pool may be down.",
                server=self.server,
            )
        return self.not_exchange(
            f"{address} answers with {status} and {kind or 'no content type'}, which is not {self._speech.name}.",
            f"Name the {self._speech.pool} address of an Exchange server, such as {self._speech.example}.",
        )

    def _not_ready(self, status: int, retry_after: str) -> ExchangeBusy:
        return ExchangeBusy(
            f"The web server of {self.server} is not ready ({status}).",
            "Try again later.",
            server=self.server,
            about="server",
            retry_after=min(float(retry_after), _LONGEST_PAUSE) if retry_after.isdecimal() else _PAUSE,
        )

    def proxy_refuses(self, status: int) -> ExchangeError:
        """The proxy itself said no."""
        proxy, host = self._at_proxy, self._place.host
        if status == 407:
            return SignInRefused(
                f"{proxy.name} does not accept the sign-in of {proxy.user} by {proxy.auth}."
                if self._proxy.account
                else f"{proxy.name} wants a sign-in.",
                "Check --proxy-user, --proxy-password-file and --proxy-auth.",
                server=self.server,
            )
        if status == 403:
            return SignInRefused(
                f"{proxy.name} does not allow a connection to {host} (403).",
                "Allow it at the proxy, or reach the server past it with --no-proxy.",
                server=self.server,
            )
        return self.unreachable(
            f"{proxy.name[0].lower()}{proxy.name[1:]} cannot reach it ({status})",
            "Check the address; a server of the local network may need --no-proxy.",
        )

    def _refused_with_ticket(self, place: Place, certificate: bytes | None) -> SignInRefused:
        """The domain vouched for the account, and yet the server refuses: hardly ever the password's fault."""
        cause = f"The domain has given {place.user} a ticket, but {self.server} refuses it"
        if certificate is None:
            remedy = (
                f"Check its clock, that HTTP/{place.host} is registered on the account that Exchange runs as, and that"
                " Windows authentication is switched on at the virtual directory."
            )
            return SignInRefused(f"{cause}.", remedy, server=self.server)
        remedy = (
            f"The certificate seen here, issued by {_issuer(certificate)}, is not the one that the server shows:"
            " something on the way opens TLS. Reach the server past it, or give both the same certificate."
        )
        return SignInRefused(f"{cause}: Extended Protection (channel binding) fails.", remedy, server=self.server)

    def _no_sign_in(self, place: Place, error: BaseException) -> ExchangeError | SettingsError:
        """What broke a sign-in off on our side."""
        if isinstance(error, NotOffered):
            offered = ", ".join(str(entry) for entry in error.args if str(entry).isalnum())
            return SignInRefused(
                f"{place.name} does not accept the sign-in of {place.user} by {place.auth}:"
                f" it offers {offered or 'nothing that is known here'}.",
                "Choose another method, or switch on Windows authentication there.",
                server=self.server,
            )
        cause = error.__cause__
        if isinstance(cause, ImportError):
            return SettingsError(
                f"Signing in by {place.auth} needs Kerberos, which is not installed here.",
                "Install what requirements/kerberos.txt names (administrator's guide, Ways in),"
                " or use negotiate with a password.",
            )
        return self._explained(place, cause or error)

    def _explained(self, place: Place, error: BaseException) -> ExchangeError:
        meaning = explained(error)
        if meaning is None:
            return SignInRefused(
                f"{place.name} and we could not agree on a sign-in by {place.auth}: {_reason(error)}.",
                "Check the method; the server may offer another one, or may not be Exchange.",
                server=self.server,
            )
        names = {"user": place.user, "host": place.host, "server": place.name}
        sentence = f"No sign-in at {place.name}: {meaning.cause.format(**names)}."
        kind = ExchangeUnreachable if meaning.network else SignInRefused
        return kind(sentence, meaning.remedy.format(**names), server=self.server)

    def _lost_at_proxy(self, error: BaseException | None) -> ExchangeError | SettingsError:
        """What went wrong between us and the proxy."""
        if isinstance(error, NotOffered | SignInFailed):
            return self._no_sign_in(self._at_proxy, error)
        return self.unreachable("the proxy does not answer or refuses", "Check the proxy's address.")

    def _untrusted(self, error: ssl.SSLError) -> ExchangeError:
        """A certificate that is not trusted, or no TLS at all at that port."""
        if not isinstance(error, ssl.SSLCertVerificationError):
            return self.unreachable(
                f"TLS fails there ({_reason(error)})", "Check the port; plain HTTP has an http address."
            )
        return UntrustedCertificate(
            f"The certificate of {self.server} is not trusted: {error.verify_message.rstrip('.')}.",
            "Give the file of its authority (--ca-file, or ca_file in the settings), or use the name in it.",
            server=self.server,
        )

    def _cut_off(self, error: OSError | HTTPException) -> ExchangeUnreachable:
        if isinstance(error, TimeoutError) or self._clock.over:
            return self.unreachable(
                f"it did not answer in time ({self._clock.limit:g} s)", "Check the network, or give it more time."
            )
        remedy = "Check the name, the port and the network."
        if self._scheme == "http" and _may_want_tls(error):
            remedy += " If that port speaks TLS, as 443 does, the address begins with https."
        return self.unreachable(_reason(error), remedy)


def _may_want_tls(error: OSError | HTTPException) -> bool:
    """Whether a plain connection ended as one does that is made to a TLS port: hung up on, or told so by an alert."""
    return isinstance(error, ConnectionResetError | BrokenPipeError | BadStatusLine)


def _reason(error: BaseException) -> str:
    """What a library says, without object addresses; in our words where it speaks of its own classes."""
    if isinstance(error, IncompleteRead):
        missing = f", {error.expected} are missing" if error.expected else ""
        return f"its answer broke off ({len(error.partial)} bytes came{missing})"
    if isinstance(error, RemoteDisconnected):
        return "it hung up without an answer"
    if isinstance(error, BadStatusLine):
        return "it answers in TLS" if _TLS_ALERT in str(error) else "it does not answer in HTTP"
    if isinstance(error, LineTooLong):
        return "its answer has a line that is too long"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "".join(each if each.isprintable() else " " for each in said[:200]).rstrip(". ")


def _issuer(certificate: bytes) -> str:
    """Who signed a certificate, as a person would recognise it."""
    try:
        return x509.load_der_x509_certificate(certificate).issuer.rfc4514_string() or "nobody named"
    except ValueError:
        return "nobody who can be read"
