"""WS-Management over HTTP(S): one connection to one endpoint, signed in, with errors in our words.

Sign-in and message encryption come from pypsrp (over pyspnego); this module chooses, follows redirects by its own rules
and translates every failure once. One transport serves one thread.
"""

import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from pypsrp.encryption import WinRMEncryption
from pypsrp.exceptions import AuthenticationError, WinRMError
from pypsrp.negotiate import HTTPNegotiateAuth
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from spnego.exceptions import SpnegoError

from gatepost.errors import (
    ExchangeBusy,
    ExchangeError,
    ExchangeUnreachable,
    NotExchange,
    SettingsError,
    SignInRefused,
    UntrustedCertificate,
)
from gatepost.exchange.sockets import Sockets
from gatepost.settings import ExchangeSettings

_ANSWER_BYTES = 32 * 1024 * 1024
_REDIRECTS = 3
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_SOAP = "application/soap+xml;charset=UTF-8"
_BOUNDARY = "Encrypted Boundary"
_LONGEST_PAUSE = 300.0

Permit = Callable[[], None]
"""Called just before the bytes of a write leave; raises WriteRefused where it may not start."""


class _TooLargeError(requests.exceptions.RequestException):
    """An answer goes on beyond anything that Exchange sends."""


class _SystemTrust(HTTPAdapter):
    """An adapter that trusts what its TLS context trusts: the system's store, or the one CA given."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.permit: Permit | None = None
        self.sockets = Sockets()
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' signature
        """The connection pool for a request, watched, so that its sockets can be cut."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        self.sockets.watch(pool)
        return pool

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' signature
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' signature
        """Send once permitted; bound what is read of the answer, whoever reads it.

        The sign-in sends and reads by itself, so this is the one place where all bytes pass.
        """
        if self.permit is not None:
            self.permit()
        response = super().send(*args, **kwargs)
        stream = response.raw.stream

        def bounded(amount: int, **options: Any) -> Iterator[bytes]:  # noqa: ANN401 - urllib3's options
            size = 0
            for piece in stream(amount, **options):
                size += len(piece)
                if size > _ANSWER_BYTES:
                    raise _TooLargeError
                yield piece

        # requests and pypsrp both read through this method of this one answer, and offer no limit of their own.
        response.raw.stream = bounded  # type: ignore[method-assign]
        return response

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' signature
        return super().proxy_manager_for(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002 - requests' signature
        conn.cert_reqs = "CERT_REQUIRED"


class Transport:
    """Posts envelopes to one endpoint and returns the answers' bytes, faults included.

    Raises the ExchangeError family: see ``gatepost.errors``. The password is held for renewed sign-ins and never shown.
    """

    def __init__(self, settings: ExchangeSettings, password: str | None) -> None:
        self.address = settings.url
        self.server = urlsplit(settings.url).hostname or settings.url
        self._settings = settings
        self._password = password
        self._adapter = _SystemTrust(self._trust())
        self._session = self._new_session()
        self._wrap: WinRMEncryption | None = None

    def post(self, envelope: bytes, timeout: float | None = None, permit: Permit | None = None) -> bytes:
        """Send one envelope; the bytes of the answer, which may be a SOAP fault.

        ``timeout`` bounds all of it, in seconds, however steadily bytes trickle. ``permit`` is asked each time before
        bytes leave; what it raises comes out, and nothing was sent.
        """
        limit = timeout or self._settings.timeout
        with self._in_time(limit), self._in_our_words(), self._permitted(permit):
            for _ in range(_REDIRECTS + 1):
                elsewhere = self._sign_in(limit) if self._encrypts and self._wrap is None else None
                response = elsewhere or self._send(envelope, limit)
                if response.status_code not in _REDIRECT:
                    return self._read(response)
                self._follow(response)
        raise NotExchange(f"{self.server} redirects in a circle.", "Name the final address.", server=self.server)

    @contextmanager
    def _permitted(self, permit: Permit | None) -> Iterator[None]:
        self._adapter.permit = permit
        try:
            yield
        finally:
            self._adapter.permit = None

    @contextmanager
    def _in_time(self, limit: float) -> Iterator[None]:
        """Cut the connection after ``limit`` seconds, and say so."""
        with self._adapter.sockets.cut_after(limit) as late:
            try:
                yield
            except ExchangeUnreachable as error:
                self._wrap = None  # a sign-in ends with its connection
                if late.is_set():
                    raise self._unreachable(
                        f"it did not answer in time ({limit:.0f} s)", "Check the network, or give it more time."
                    ) from error
                raise

    def cut(self) -> None:
        """End the request under way, from another thread: it fails at once. The next one connects anew."""
        self._adapter.sockets.cut()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _new_session(self) -> requests.Session:
        settings = self._settings
        session = requests.Session()
        session.trust_env = False
        session.headers.update({"User-Agent": "Gatepost", "Accept-Encoding": "identity"})
        session.proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)
        session.auth = self._auth()
        return session

    def _trust(self) -> ssl.SSLContext:
        ca_file = self._settings.ca_file
        try:
            return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"The CA file {ca_file} cannot be used: {error}.", "Give a file of PEM certificates."
            ) from error

    def _auth(self) -> Any:  # noqa: ANN401 - requests' auth objects
        settings = self._settings
        if settings.auth != "kerberos" and not (settings.user and self._password):
            raise SettingsError(
                f"Signing in by {settings.auth} needs a user and a password.", "Give --user and --password-file."
            )
        if settings.auth == "basic" and settings.user and self._password:
            return HTTPBasicAuth(settings.user.encode(), self._password.encode())
        return HTTPNegotiateAuth(
            username=settings.user,
            password=self._password,
            auth_provider=settings.auth,
            service="HTTP",
            wrap_required=self._encrypts,
        )

    @property
    def _encrypts(self) -> bool:
        """Whether messages are encrypted by the sign-in's own key, as Exchange asks for over plain HTTP."""
        return urlsplit(self.address).scheme == "http"

    def _send(self, envelope: bytes, timeout: float) -> requests.Response:
        """Send one envelope as it must travel; once more where the sign-in had to be renewed, as the first was refused.

        A sealed message is for one sign-in only, so the library's own answer to a 401, the same bytes again, is no use.
        """
        headers = {"Content-Type": _SOAP}
        if not self._encrypts:
            return self._post(envelope, headers, timeout)
        response = self._post(*self._encrypted(envelope), timeout, auth=_signed_in)
        if response.status_code != 401:
            return response
        response.content  # noqa: B018 - read, so that the connection is free
        self._wrap = None
        return self._sign_in(timeout) or self._post(*self._encrypted(envelope), timeout, auth=_signed_in)

    def _post(self, body: bytes, headers: dict[str, str], timeout: float, auth: Any = None) -> requests.Response:  # noqa: ANN401 - requests' auth objects
        return self._session.post(
            self.address,
            data=body,
            headers=headers,
            timeout=(min(timeout, 15.0), timeout),
            allow_redirects=False,
            stream=True,
            auth=auth,
        )

    def _sign_in(self, timeout: float) -> requests.Response | None:
        """Make the key for message encryption by an empty request; the answer only where it redirects."""
        response = self._post(b"", {"Content-Type": _SOAP}, timeout)
        if response.status_code in _REDIRECT:
            return response
        response.content  # noqa: B018 - read, so that the connection is free
        if response.status_code == 401:
            raise self._refused()
        contexts = getattr(self._session.auth, "contexts", {})
        context = contexts.get(self._host())
        if context is None:
            raise NotExchange(
                f"{self.server} did not ask for a sign-in (status {response.status_code}).",
                "Check that the address is Exchange's remote PowerShell, such as http://mail.example.com/PowerShell.",
                server=self.server,
            )
        kerberos = getattr(context, "response_auth_header", "") == "kerberos"
        self._wrap = WinRMEncryption(context, WinRMEncryption.KERBEROS if kerberos else WinRMEncryption.SPNEGO)
        return None

    def _host(self) -> str:
        return urlsplit(self.address).hostname or ""

    def _encrypted(self, envelope: bytes) -> tuple[bytes, dict[str, str]]:
        assert self._wrap is not None
        kind, payload = self._wrap.wrap_message(envelope)
        return payload, {"Content-Type": f'{kind};protocol="{self._wrap.protocol}";boundary="{_BOUNDARY}"'}

    def _read(self, response: requests.Response) -> bytes:
        """The answer's bytes, decrypted; or what its status means."""
        body = response.content
        kind = response.headers.get("content-type", "").lower()
        if response.status_code == 401:
            raise self._refused()
        if kind.startswith("multipart/encrypted") and self._wrap is not None:
            boundary = response.headers["content-type"].partition("boundary=")[2].strip("\"' ")
            return self._decrypted(body, boundary)
        if "soap+xml" in kind or "text/xml" in kind:
            return body
        raise self._not_soap(response.status_code, kind, response.headers.get("retry-after", ""))

    def _decrypted(self, body: bytes, boundary: str) -> bytes:
        assert self._wrap is not None
        try:
            return bytes(self._wrap.unwrap_message(body, boundary))
        except (WinRMError, SpnegoError, ValueError, LookupError, struct.error) as error:
            self._wrap = None
            raise self._unreachable(
                "its encrypted answer cannot be read", "It is asked again in a new session."
            ) from error

    def _not_soap(self, status: int, kind: str, retry_after: str = "") -> ExchangeError:
        """The error for an answer that is no SOAP: a web server's page, or nothing."""
        if status in {429, 503}:
            seconds = {"retry_after": min(float(retry_after), _LONGEST_PAUSE)} if retry_after.isdecimal() else {}
            return ExchangeBusy(
                f"The web server of {self.server} is not ready ({status}).",
                "Try again later.",
                server=self.server,
                about="server",
                **seconds,
            )
        if status in {403, 407}:
            who = "The proxy" if status == 407 else self.server
            return SignInRefused(
                f"{who} refuses access ({status}).",
                "Check the rights of the account and the proxy.",
                server=self.server,
            )
        if status >= 500:
            return ExchangeUnreachable(
                f"The web server of {self.server} answers with an error page ({status}).",
                "Look at its event log; the PowerShell application pool may be down.",
                server=self.server,
            )
        return NotExchange(
            f"{self.address} answers with {status} and {kind or 'no content type'}, which is not remote PowerShell.",
            "Name the PowerShell address of an Exchange server, such as https://mail.example.com/PowerShell.",
            server=self.server,
        )

    def _refused(self) -> SignInRefused:
        return SignInRefused(
            f"{self.server} does not accept the sign-in of {self._settings.user or 'this account'}"
            f" by {self._settings.auth}.",
            "Check user, password and method."
            + (" Basic must be switched on at the virtual directory." if self._settings.auth == "basic" else ""),
            server=self.server,
        )

    def _follow(self, response: requests.Response) -> None:
        """Take a redirect's address if the local settings allow it; credentials never go elsewhere."""
        response.close()
        location = response.headers.get("location", "")
        if not self._allows(location):
            raise NotExchange(
                f"{self.server} redirects to {location[:200]}, which the settings do not allow.",
                "If that is right, add its host (or host:port) to allowed_redirects, or name that address.",
                server=self.server,
            )
        self.address = urljoin(self.address, location)
        self._wrap = None

    def _allows(self, location: str) -> bool:
        """The same host and port, the same host from http to https, or one that is named; never from https to http."""
        old = urlsplit(self.address)
        try:
            new = urlsplit(urljoin(self.address, location))
            host, port = (new.hostname or "").lower(), new.port or _PORTS.get(new.scheme)
        except ValueError:
            return False
        if new.scheme not in _PORTS or (old.scheme, new.scheme) == ("https", "http"):
            return False
        own = {((old.hostname or "").lower(), old.port or _PORTS[old.scheme])}
        if old.scheme == "http" and not old.port:
            own.add(((old.hostname or "").lower(), _PORTS["https"]))
        named = {entry.lower() for entry in self._settings.allowed_redirects}
        return (host, port) in own or host in named or f"{host}:{port}" in named

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """Translate the errors of the HTTP and sign-in libraries, once."""
        try:
            yield
        except _TooLargeError as error:
            raise NotExchange(
                f"{self.server} sends an answer of more than {_ANSWER_BYTES} bytes, which Exchange never does.",
                "Check what is at that address.",
                server=self.server,
            ) from error
        except requests.exceptions.SSLError as error:
            raise self._untrusted(error) from error
        except requests.exceptions.ProxyError as error:
            raise self._unreachable("the proxy does not answer or refuses", "Check the proxy's address.") from error
        except requests.exceptions.Timeout as error:
            raise self._unreachable("it did not answer in time", "Check the network, or give it more time.") from error
        except (AuthenticationError, SpnegoError) as error:
            raise self._refused() from error
        except ImportError as error:
            raise SettingsError(
                f"Signing in by {self._settings.auth} needs Kerberos, which is not installed here.",
                "Install the extra: pip install 'gatepost[kerberos]', or use negotiate with a password.",
            ) from error
        except requests.exceptions.RequestException as error:
            raise self._unreachable(_reason(error), "Check the name, the port and the network.") from error
        except (ValueError, LookupError, RecursionError, struct.error) as error:
            raise self._not_understood(error) from error

    def _not_understood(self, error: Exception) -> ExchangeError:
        """What the libraries of sign-in and HTTP stumble over, of which only a sign-in has something to agree on."""
        if self._settings.auth == "basic":
            return NotExchange(
                f"{self.server} answers in a way that is not understood: {_reason(error)}.",
                "Check what is at that address.",
                server=self.server,
            )
        return SignInRefused(
            f"{self.server} and we could not agree on a sign-in by {self._settings.auth}: {_reason(error)}.",
            "Check the method; the server may offer another one, or may not be Exchange.",
            server=self.server,
        )

    def _untrusted(self, error: Exception) -> ExchangeError:
        """A certificate that is not trusted, or no TLS at all at that port."""
        if not isinstance(_innermost(error), ssl.SSLCertVerificationError):
            return self._unreachable(
                f"TLS fails there ({_reason(error)})", "Check the port; plain HTTP has an http address."
            )
        return UntrustedCertificate(
            f"The certificate of {self.server} is not trusted: {_reason(error)}.",
            "Give the file of its authority (--ca-file, or ca_file in the settings), or use the name in it.",
            server=self.server,
        )

    def _unreachable(self, why: str, remedy: str) -> ExchangeUnreachable:
        return ExchangeUnreachable(f"{self.server} cannot be reached: {why}.", remedy, server=self.server)


def _signed_in(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign-in for a request on a connection that has one."""
    return request


def _reason(error: BaseException) -> str:
    """The innermost cause of a chain of library errors, without object addresses."""
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message.rstrip(".")
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).rstrip(". ")


def _innermost(error: BaseException) -> BaseException:
    """The end of a chain of library errors."""
    inner = _inner(error)
    return error if inner is None else _innermost(inner)


def _inner(error: BaseException) -> BaseException | None:
    """What an error wraps: as its reason, among its arguments, or as its cause."""
    candidates = (getattr(error, "reason", None), *error.args, error.__cause__)
    return next((entry for entry in candidates if isinstance(entry, BaseException)), None)
