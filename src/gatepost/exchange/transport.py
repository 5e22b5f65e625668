"""WS-Management over HTTP(S): envelopes to one endpoint, signed in, with errors in our words.

Over TLS an envelope is sent as it is; over plain HTTP it is sealed by the key of the sign-in, which is made first by an
empty request. Redirects are followed by the local settings only. One transport serves one thread.
"""

import ssl
from collections.abc import Callable
from http.cookiejar import CookieJar
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

from gatepost.errors import SettingsError
from gatepost.exchange.connections import Answer, Clock, Connection, NotSent, Permit
from gatepost.exchange.failures import POWERSHELL, Failures, Speech
from gatepost.exchange.proxies import Proxy
from gatepost.exchange.redirects import PORTS, REDIRECTS, allows
from gatepost.exchange.signing_in import SERVER, Account, Sealing, SignIn, SignInFailed
from gatepost.settings import ExchangeSettings, refuse_exchange_online

__all__ = ["NotSent", "Permit", "Transport"]

_MOST_REDIRECTS = 3


class Transport:
    """Posts envelopes to one endpoint and returns the answers' bytes, faults included.

    Raises the ExchangeError family: see ``gatepost.errors``. Passwords are held for renewed sign-ins and never shown.
    """

    def __init__(
        self,
        settings: ExchangeSettings,
        password: str | None,
        proxy_password: str | None = None,
        *,
        speech: Speech = POWERSHELL,
    ) -> None:
        if settings.auth != "kerberos" and not (settings.user and password):
            raise SettingsError(
                f"Signing in by {settings.auth} needs a user and a password.", "Give --user and --password-file."
            )
        if settings.keytab and not settings.keytab.is_file():
            raise SettingsError(f"The key table {settings.keytab} does not exist.", "Check keytab.")
        self.address = settings.url
        self.server = urlsplit(settings.url).hostname or settings.url
        self.sign_in = ""
        """How the last sign-in was made: kerberos, ntlm or basic; empty before the first."""
        self._settings = settings
        self._account = Account(settings.auth, settings.user, password, settings.keytab)
        self._trust = _trust(settings)
        self._clock = Clock()
        self._proxy = Proxy(settings, proxy_password)
        self._speech = speech
        self._failures = Failures(settings, self._proxy, self._clock, speech)
        self._cookies = CookieJar()
        self._connection: Connection | None = None
        self._sealing: Sealing | None = None
        self._ticket = False

    def post(
        self,
        envelope: bytes,
        timeout: float | None = None,
        permit: Permit | None = None,
        ended: Callable[[], bool] = lambda: False,
    ) -> bytes:
        """Send one envelope; the bytes of the answer, which may be a SOAP fault.

        ``timeout`` bounds the whole of it, in seconds: sign-in, redirects, sending and the last byte of the answer.
        ``permit`` is asked each time just before bytes of the envelope leave; what it raises comes out. ``ended`` says
        whether it is over already: set before ``cut``, so that none of a request that was about to begin is waited for.
        """
        self._clock.start(timeout or self._settings.timeout, ended)
        with self._failures.in_our_words():
            for _ in range(_MOST_REDIRECTS + 1):
                try:
                    answer = self._sealed(envelope, permit) if self._encrypts else self._plain(envelope, permit)
                except NotSent:
                    if self._account.method != "basic":
                        self.close()  # a seal was counted that the server never saw, or a sign-in is half done
                    raise
                if answer.status not in REDIRECTS:
                    return self._read(answer)
                self._follow(answer)
        raise self._failures.not_exchange(f"{self.server} redirects in a circle.", "Name the final address.")

    def cut(self) -> None:
        """End the request under way, from another thread: it fails at once. The next one connects anew."""
        self._clock.end()
        connection = self._connection
        if connection is not None:
            connection.cut()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._sealing = None

    @property
    def _encrypts(self) -> bool:
        """Whether messages are encrypted by the sign-in's own key, as Exchange asks for over plain HTTP."""
        return urlsplit(self.address).scheme == "http"

    def _plain(self, envelope: bytes, permit: Permit | None) -> Answer:
        """Send over TLS; sign in with the same envelope where that is asked for."""
        if self._account.method == "basic":
            self.sign_in = "basic"
            return self._ask(envelope, {SERVER.replies: self._account.basic}, permit)
        answer = self._ask(envelope, {}, permit)
        return self._signed_in(answer, envelope, permit) if answer.status == SERVER.status else answer

    def _sealed(self, envelope: bytes, permit: Permit | None) -> Answer:
        """Send encrypted. A sign-in that has lapsed is renewed once: what the server would not read, it did not do."""
        for _ in range(2):
            self._open()
            if self._sealing is None:
                answer = self._signed_in(self._ask(b"", {}, None), b"", None)
                if self._sealing is None:
                    return answer
            kind, body = self._sealing.seal(envelope)
            answer = self._ask(body, {"Content-Type": kind}, permit)
            if answer.status != SERVER.status:
                break
            self.close()
        return answer

    def _signed_in(self, answer: Answer, body: bytes, permit: Permit | None) -> Answer:
        """The answer after the sign-in that the server asked for."""
        if answer.status in REDIRECTS:
            return answer
        connection = self._open()
        sign_in = SignIn(self._account, self._host, binding=connection.binding, seals=self._encrypts)
        if answer.status == SERVER.status:
            answer = sign_in.through(SERVER, answer, lambda headers: self._ask(body, headers, permit))
            self._ticket = sign_in.ticket
            self.sign_in = "kerberos" if sign_in.ticket else "ntlm"
            if answer.status != SERVER.status and self._encrypts:
                self._seal_by(sign_in, connection)
        return answer

    def _seal_by(self, sign_in: SignIn, connection: Connection) -> None:
        """Encrypt from now on. Both sides must be satisfied, on the connection where it began."""
        if not sign_in.complete or connection is not self._connection:
            raise self._failures.not_exchange(
                f"{self.server} takes our sign-in but does not prove its own identity.",
                "Something else may answer in its place; check the address, and proxies on the way.",
            )
        self._sealing = sign_in.sealing()

    def _ask(self, body: bytes, headers: dict[str, str], permit: Permit | None) -> Answer:
        """One request on the open connection, signed in at the proxy where that is wanted."""
        answer = self._exchange(body, headers, permit)
        if answer.status != 407 or not self._asks_proxy:
            return answer
        answer = self._proxy.signed_in(answer, lambda more: self._exchange(body, headers | more, permit))
        if answer.status == 407:
            raise self._failures.proxy_refuses(407)
        return answer

    def _exchange(self, body: bytes, headers: dict[str, str], permit: Permit | None) -> Answer:
        connection = self._open()
        request = Request(self.address)  # noqa: S310 - only carries cookies; nothing is opened by it
        self._cookies.add_cookie_header(request)
        split = urlsplit(self.address)
        everywhere = {
            "Host": split.netloc,
            "User-Agent": "Gatepost",
            "Accept-Encoding": "identity",
            "Connection": "Keep-Alive",
            "Content-Type": self._speech.kind,
            **({"Cookie": cookie} if (cookie := request.get_header("Cookie")) else {}),
            **(self._proxy.headers if self._asks_proxy else {}),
        }
        answer = connection.ask("POST", self._target, everywhere | headers, body, permit)
        # Annotated for http.client's own answers; documented to need info() alone, which ours has.
        self._cookies.extract_cookies(answer, request)  # type: ignore[arg-type]
        return answer

    @property
    def _host(self) -> str:
        return urlsplit(self.address).hostname or ""

    @property
    def _asks_proxy(self) -> bool:
        """Whether requests go to a proxy that reads them, which is so for plain HTTP only."""
        return self._encrypts and self._proxy.serves(self._host)

    @property
    def _target(self) -> str:
        """What stands in the request's first line."""
        split = urlsplit(self.address)
        return self.address if self._asks_proxy else split._replace(scheme="", netloc="", fragment="").geturl() or "/"

    def _open(self) -> Connection:
        """The connection, opened where there is none that can be used; a new one is not signed in."""
        if self._connection is None or not self._connection.usable:
            self.close()
            connection = self._connection = self._dial()  # known before TLS, so that it can be cut
            try:
                if not self._encrypts:
                    connection.secure(self._trust, self._host)
            except BaseException:
                self.close()
                raise
        return self._connection

    def _dial(self) -> Connection:
        split = urlsplit(self.address)
        port = split.port or PORTS[split.scheme]
        if self._asks_proxy:
            return self._proxy.dial(self._clock)
        if self._proxy.serves(self._host):
            return self._proxy.tunnel(self._host, port, self._clock)
        return Connection.dial(self._host, port, self._clock)

    def _read(self, answer: Answer) -> bytes:
        """The answer's bytes, decrypted; or what its status means."""
        kind = answer.header("Content-Type")
        if answer.status == SERVER.status:
            certificate = self._connection.certificate if self._connection else None
            raise self._failures.refused(ticket=self._ticket, certificate=certificate)
        if kind.lower().startswith("multipart/encrypted") and self._sealing is not None:
            return self._unsealed(answer.body, kind)
        if "soap+xml" in kind.lower() or "text/xml" in kind.lower():
            return answer.body
        if answer.status == 200 and self._encrypts and self._sealing is None:
            raise self._failures.not_exchange(
                f"{self.server} did not ask for a sign-in (status {answer.status}).",
                "Check that the address is Exchange's remote PowerShell, such as http://mail.example.com/PowerShell.",
            )
        raise self._failures.not_soap(answer, self.address)

    def _unsealed(self, body: bytes, kind: str) -> bytes:
        assert self._sealing is not None
        try:
            return self._sealing.unseal(body, kind)
        except SignInFailed as error:
            self.close()
            raise self._failures.unreachable(
                "its encrypted answer cannot be read", "It is asked again in a new session."
            ) from error

    def _follow(self, answer: Answer) -> None:
        """Take a redirect's address if the local settings allow it; credentials never go elsewhere."""
        self.close()
        location = answer.header("Location")
        target = urljoin(self.address, location)
        refuse_exchange_online(urlsplit(target).hostname or "", f"{self.server} redirects to {location[:200]}")
        if not allows(self._settings, self.address, target):
            raise self._failures.not_exchange(
                f"{self.server} redirects to {location[:200]}, which the settings do not allow.",
                "If that is right, add its host (or host:port) to allowed_redirects, or name that address.",
            )
        self.address = target
        self._failures.now_at(self._host, urlsplit(self.address).scheme)


def _trust(settings: ExchangeSettings) -> ssl.SSLContext:
    """The system's store, or the one CA given. Raises SettingsError."""
    ca_file = settings.ca_file
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The CA file {ca_file} cannot be used: {error}.", "Give a file of PEM certificates."
        ) from error
