"""The service as seen from the connector: enrol, check in, wait, farewell, over HTTP(S).

Every answer is either what the contract says, or an error of ours: ``ServiceUnreachable`` where trying the same again
may help, ``ServiceRefused`` where the service itself said no with a problem document. What a proxy or another web
server answers is never taken for the service's word.
"""

import gzip
import json
from typing import Any
from urllib.parse import urlsplit

from gatepost import __version__
from gatepost.connector import answers, host, log
from gatepost.connector.answers import Enrolment, Head
from gatepost.connector.credentials import Credentials
from gatepost.connector.line import Line, Password
from gatepost.domain.contract import Answer
from gatepost.errors import ServiceRefused, SettingsError
from gatepost.settings import UplinkSettings

BASE = "/connector/v1"
REQUEST_SECONDS = 60.0
WAIT_SECONDS = 65.0  # the service holds a wait for up to 50 s
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Uplink:
    """Requests to one service. Safe to use from several threads; each request is one attempt.

    ``seconds`` limits a request as a whole; one that is held open has ``WAIT_SECONDS``. ``proxy_password``
    gives the password of the proxy's user, as it is now.
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
        self._prefix = address.path.rstrip("/")
        self._line = Line(settings, proxy_password)
        self._credentials = credentials
        self._seconds = seconds

    def enrol(self, ticket: str, public_key: str, instance: str) -> Enrolment:
        """Pay with a ticket for an identity; the same ticket and key give the same answer again."""
        document = {
            "ticket": ticket,
            "public_key": public_key,
            "instance": instance,
            "host": host.name(),
            "version": __version__,
        }
        return answers.read(
            self._request("POST", "/enrolments", json.dumps(document).encode(), packed=False), answers.enrolment
        )

    def check_in(self, document: bytes) -> Answer:
        """Send one sealed document, gzipped already."""
        return answers.answer(self._request("POST", "/check-ins", document))

    def wait(self, revision: int, orders: int = 0) -> Head:
        """Hold a request open until there may be something to do, at most some 50 s."""
        path = f"/wait?revision={revision}&orders={orders}"
        return answers.read(self._request("GET", path, b"", seconds=WAIT_SECONDS), answers.head)

    def farewell(self, outcomes: list[dict[str, Any]]) -> None:
        """Hand in the last outcomes and end the lease."""
        self._request("POST", "/farewell", pack(json.dumps({"outcomes": outcomes}).encode()))

    # -- one request ------------------------------------------------------------------------------------------------

    def _request(
        self, method: str, path: str, body: bytes, *, seconds: float | None = None, packed: bool = True
    ) -> bytes:
        """One request; once more where only this host's clock was wrong."""
        limit = seconds or self._seconds
        try:
            return self._attempt(method, path, body, limit, packed)
        except ServiceRefused as refused:
            if refused.type != "clock" or self._credentials is None:
                raise
            moment = answers.moment(refused.fields)
            log.warning("this host's clock is off, the service's is used", server_time=moment.isoformat())
            self._credentials.correct(moment)
        return self._attempt(method, path, body, limit, packed)

    def _attempt(self, method: str, path: str, body: bytes, seconds: float, packed: bool) -> bytes:
        headers = {"User-Agent": f"gatepost-connector/{__version__}", "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
            if packed:
                headers["Content-Encoding"] = "gzip"
        if self._credentials is not None:
            headers |= self._credentials.headers(method, self._prefix + BASE + path, body)
        found = self._line.request(method, self._root + BASE + path, headers, body, seconds)
        if found.status != 200:
            answers.problem(
                found.status, found.headers.get("Content-Type", ""), found.headers.get("Retry-After"), found.body
            )
        return found.body


def pack(document: bytes) -> bytes:
    """A document as it travels; the same bytes each time."""
    return gzip.compress(document, compresslevel=5, mtime=0)
