"""The service as seen from the connector: enrol, check in, wait, farewell, over HTTP(S).

Every answer is either what the contract says, or an error of ours: ``ServiceUnreachable`` where trying the same again
may help, ``ServiceRefused`` where the service itself said no with a problem document. What a proxy or another web
server answers is never taken for the service's word: what the service's key has not signed is not read.
"""

import base64
import gzip
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from gatepost import __version__
from gatepost.connector import answers, log
from gatepost.connector.answers import Enrolment, Head, Standing
from gatepost.connector.credentials import Credentials
from gatepost.connector.keys import is_signed
from gatepost.connector.line import Line, Password, Received
from gatepost.domain import signing
from gatepost.domain.contract import Answer
from gatepost.domain.posting import Letter, read_letters
from gatepost.errors import AnswerUnsigned, ServiceRefused, SettingsError
from gatepost.settings import UplinkSettings

BASE = "/connector/v1"
REQUEST_SECONDS = 60.0
WAIT_SECONDS = 65.0  # the service holds a wait for up to 50 s
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {"User-Agent": f"gatepost-connector/{__version__}", "Accept": "application/json"}
JSON = {"Content-Type": "application/json"}
GZIPPED = {"Content-Encoding": "gzip"}
UNSIGNED = frozenset({"ticket", "malformed", "too-large"})  # said before the service knows whose key is to sign


class Uplink:
    """Requests to one service. Safe to use from several threads; each request is one attempt.

    ``seconds`` limits a request as a whole; one that is held open has ``WAIT_SECONDS``. ``proxy_password``
    gives the password of the proxy's user, as it is now. ``tell_unsigned`` hears once of each time in which answers
    come that the service has not signed.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        credentials: Credentials | None = None,
        seconds: float = REQUEST_SECONDS,
        *,
        proxy_password: Password | None = None,
    ) -> None:
        address = urlsplit(settings.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise SettingsError(
                f"The service's url is not an address: {settings.url}.",
                "Give one such as https://gatepost.example.com.",
            )
        if address.scheme == "http" and address.hostname not in LOOPBACK:
            raise SettingsError("The service's url is plain HTTP, which sends secrets in clear.", "Use https.")
        self._root = settings.url.rstrip("/")
        self._line = Line(settings, proxy_password)
        self._credentials = credentials
        self._seconds = seconds
        self._lock = threading.Lock()
        self._unsigned = False
        self.tell_unsigned: Callable[[AnswerUnsigned], None] = lambda _: None

    def enrol(self, application: Mapping[str, Any], fingerprint: str) -> Enrolment:
        """Pay with a ticket for an identity; the same ticket and key give the same answer again.

        The answer names the key that it is signed with. Nothing in it is believed before that key has the
        ``fingerprint`` that was told apart. Raises SettingsError where it has another.
        """
        body = json.dumps(application).encode()
        found = self._line.request("POST", self._root + BASE + "/enrolments", HEADERS | JSON, body, self._seconds)
        refused = _refusal(found)
        if refused is not None and refused.type in UNSIGNED:
            raise refused
        key = answers.read(found.body, answers.service_key)
        if not signing.same_fingerprint(key, fingerprint):
            raise SettingsError(
                f"The service's key has another fingerprint than the one that was given: {signing.fingerprint(key)}.",
                "Compare it with what the service's administrator sees. Where it differs, somebody stands between: the "
                "ticket may be known to others, so ask for a new one.",
            )
        about = signing.answer_bytes(found.status, found.body, signing.content_digest(body))
        if not is_signed(base64.b64encode(key).decode("ascii"), about, found.headers.get(signing.SIGNATURE)):
            raise AnswerUnsigned(found.status, "to an enrolment")
        if refused is not None:
            raise refused
        return answers.read(found.body, answers.enrolment)

    def renew(self, request: str) -> str:
        """The next certificate, PEM, for the key that has signed this certificate request."""
        body = json.dumps({"csr": request}).encode()
        return answers.read(self._request("POST", "/certificates", body, packed=False), answers.certificate)

    def check_in(self, document: bytes) -> Answer:
        """Send one sealed document, gzipped already."""
        return answers.answer(self._request("POST", "/check-ins", document))

    def wait(self, revision: int, orders: int = 0, *, stopped: bool = False) -> Head:
        """Hold a request open until there may be something to do, at most some 50 s.

        ``stopped`` is whether this side knows that all writing is stopped.
        """
        path = f"/wait?revision={revision}&orders={orders}&stopped={int(stopped)}"
        return answers.read(self._request("GET", path, b"", seconds=WAIT_SECONDS), answers.head)

    def claim_notices(self, ids: Sequence[str]) -> tuple[Letter, ...]:
        """Claim notices; what is given is to be sent now. Raises ServiceRefused ``gone`` where none is."""
        return answers.read(
            self._request("POST", "/notices/claim", pack(json.dumps({"ids": list(ids)}).encode())), read_letters
        )

    def status(self) -> Standing:
        """What the service takes this connector for; asking renews nothing."""
        return answers.read(self._request("GET", "/status", b""), answers.standing)

    def farewell(self, outcomes: list[dict[str, Any]], seconds: float | None = None) -> None:
        """Hand in the last outcomes and end the lease, in so many seconds if they are given."""
        self._request("POST", "/farewell", pack(json.dumps({"outcomes": outcomes}).encode()), seconds=seconds)

    # -- one request ------------------------------------------------------------------------------------------------

    def _request(
        self, method: str, path: str, body: bytes, *, seconds: float | None = None, packed: bool = True
    ) -> bytes:
        """One request; once more where only this host's clock was wrong, or the certificate was renewed meanwhile."""
        assert self._credentials is not None, "all but an enrolment is signed"
        limit = seconds or self._seconds
        serial = self._credentials.certificate.serial
        try:
            return self._attempt(self._credentials, method, path, body, limit, packed)
        except ServiceRefused as refused:
            with self._credentials.changing:  # a renewal that is under way ends first
                renewed = refused.type == "retired" and self._credentials.certificate.serial != serial
            if refused.type != "clock" and not renewed:
                raise
            if not renewed:
                moment = answers.moment(refused.fields)
                log.warning("this host's clock is off, the service's is used", server_time=moment.isoformat())
                self._credentials.correct(moment)
        return self._attempt(self._credentials, method, path, body, limit, packed)

    def _attempt(self, keys: Credentials, method: str, path: str, body: bytes, seconds: float, packed: bool) -> bytes:
        """One request, whose answer is read only once the service's signature was found on it."""
        signed = keys.headers(method, BASE + path, body)
        headers = HEADERS | (JSON if body else {}) | (GZIPPED if body and packed else {}) | signed
        found = self._line.request(method, self._root + BASE + path, headers, body, seconds)
        if not keys.knows(found.status, found.body, found.headers.get(signing.SIGNATURE), signed):
            self._take_unsigned(found)
        self._unsigned = False
        if refused := _refusal(found):
            raise refused
        return found.body

    def _take_unsigned(self, found: Received) -> NoReturn:
        """Tell once that somebody between changes answers; raise what it stands for."""
        try:
            answers.unsigned(found.status, _media(found), found.headers.get("Retry-After"))
        except AnswerUnsigned as error:
            with self._lock:
                first, self._unsigned = not self._unsigned, True
            if first:
                self.tell_unsigned(error)
            raise


def _media(found: Received) -> str:
    return found.headers.get("Content-Type", "")


def _refusal(found: Received) -> ServiceRefused | None:
    """What a problem document says, None where there is none. Raises ServiceUnreachable for what is no answer."""
    if found.status == 200:
        return None
    try:
        answers.problem(found.status, _media(found), found.headers.get("Retry-After"), found.body)
    except ServiceRefused as refused:
        return refused


def pack(document: bytes) -> bytes:
    """A document as it travels; the same bytes each time."""
    return gzip.compress(document, compresslevel=5, mtime=0)
