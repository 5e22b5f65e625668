"""The service as seen from the connector: enrol, check in, wait, farewell, over HTTP(S).

Every answer is either what the contract says, or an error of ours: ``ServiceUnreachable`` where trying the same again
may help, ``ServiceRefused`` where the service itself said no with a problem document. What a proxy or another web
server answers is never taken for the service's word. ``Patience`` repeats what may help, with a jittered back-off.
"""

import contextlib
import gzip
import json
import random
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from gatepost import __version__
from gatepost.connector import host, log
from gatepost.connector.credentials import Credentials
from gatepost.connector.stopping import Stop
from gatepost.domain.contract import Answer, ContractError, read_answer
from gatepost.errors import ServiceRefused, ServiceUnreachable, SettingsError
from gatepost.settings import UplinkSettings

T = TypeVar("T")

BASE = "/connector/v1"
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 60.0
WAIT_SECONDS = 65.0  # the service holds a wait for up to 50 s
ANSWER_BYTES = 16 * 1024 * 1024
BACKOFF_FIRST, BACKOFF_LAST = 1.0, 300.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Head:
    """What a held-open request tells: that there may be something to do."""

    revision: int
    orders: int
    sync: str
    lease_seconds: int


class Uplink:
    """Requests to one service. Safe to use from several threads; each request is one attempt."""

    def __init__(self, settings: UplinkSettings, credentials: Credentials | None = None) -> None:
        address = urlsplit(settings.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise SettingsError(
                f"The service's url is not an address: {settings.url}.",
                "Give one such as https://gatepost.example.com.",
            )
        if address.scheme == "http" and address.hostname not in LOOPBACK:
            raise SettingsError("The service's url is plain HTTP, which sends secrets in clear.", "Use https.")
        if settings.ca_file and not settings.ca_file.is_file():
            raise SettingsError(f"The certificate file {settings.ca_file} does not exist.", "Check ca_file.")
        self._root = settings.url.rstrip("/")
        self._prefix = address.path.rstrip("/")
        self._settings = settings
        self._credentials = credentials

    def enrol(self, ticket: str, public_key: str, instance: str) -> Mapping[str, Any]:
        """Pay with a ticket for an identity; the same ticket and key give the same answer again."""
        document = {
            "ticket": ticket,
            "public_key": public_key,
            "instance": instance,
            "host": host.name(),
            "version": __version__,
        }
        raw = _object(self._request("POST", "/enrolments", json.dumps(document).encode(), packed=False))
        for name, kind in (
            ("tenant", str),
            ("organization", str),
            ("connector", str),
            ("incarnation", str),
            ("epoch", int),
        ):
            if not isinstance(raw.get(name), kind):
                raise _not_the_service(f"its answer to the enrolment has no {name}")
        return raw

    def check_in(self, document: bytes) -> Answer:
        """Send one sealed document, gzipped already."""
        body = self._request("POST", "/check-ins", document)
        try:
            return read_answer(body)
        except ContractError as error:
            raise _not_the_service(str(error)) from error

    def wait(self, revision: int, orders: int = 0) -> Head:
        """Hold a request open until there may be something to do, at most some 50 s."""
        path = f"/wait?revision={revision}&orders={orders}"
        raw = _object(self._request("GET", path, b"", timeout=WAIT_SECONDS))
        try:
            return Head(int(raw["revision"]), int(raw["orders"]), str(raw["sync"]), int(raw["lease_seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _not_the_service("its answer to a wait is incomplete") from error

    def farewell(self, outcomes: list[dict[str, Any]]) -> None:
        """Hand in the last outcomes and end the lease."""
        self._request("POST", "/farewell", json.dumps({"outcomes": outcomes}).encode(), packed=False)

    # -- one request ------------------------------------------------------------------------------------------------

    def _request(
        self, method: str, path: str, body: bytes, *, timeout: float = REQUEST_SECONDS, packed: bool = True
    ) -> bytes:
        """One request; once more where only this host's clock was wrong."""
        try:
            return self._attempt(method, path, body, timeout, packed)
        except ServiceRefused as refused:
            if refused.type != "clock" or not self._correct_clock(refused.fields.get("server_time")):
                raise
        return self._attempt(method, path, body, timeout, packed)

    def _correct_clock(self, server_time: object) -> bool:
        if self._credentials is None or not isinstance(server_time, str):
            return False
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(server_time)
            log.warning("this host's clock is off, the service's is used", server_time=server_time)
            self._credentials.correct(moment.astimezone(UTC))
            return True
        return False

    def _attempt(self, method: str, path: str, body: bytes, timeout: float, packed: bool) -> bytes:
        headers = {"User-Agent": f"gatepost-connector/{__version__}", "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
            if packed:
                headers["Content-Encoding"] = "gzip"
        if self._credentials is not None:
            headers |= self._credentials.headers(method, self._prefix + BASE + path, body)
        with _translated(self._settings.url), requests.Session() as session:
            session.trust_env = False
            with session.request(
                method,
                self._root + BASE + path,
                data=body or None,
                headers=headers,
                timeout=(CONNECT_SECONDS, timeout),
                verify=str(self._settings.ca_file) if self._settings.ca_file else True,
                proxies={"http": self._settings.proxy, "https": self._settings.proxy} if self._settings.proxy else None,
                allow_redirects=False,
                stream=True,
            ) as response:
                return _read(response)


def _read(response: requests.Response) -> bytes:
    """The body of a good answer, or the error that a bad one stands for."""
    body = response.raw.read(ANSWER_BYTES + 1, decode_content=True)
    if len(body) > ANSWER_BYTES:
        raise _not_the_service("its answer is larger than any of ours")
    if response.status_code == 200:
        return bytes(body)
    media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code >= 500 or response.status_code in BUSY:
        why = str(_object(body).get("detail", "")) if media == "application/problem+json" else ""
        raise ServiceUnreachable(
            f"The service answers with status {response.status_code}{': ' if why else '.'}{why}",
            "It is tried again.",
            retry_after=_retry_after(response.headers.get("Retry-After")),
        )
    if media != "application/problem+json":
        raise _not_the_service(f"status {response.status_code} came without a problem document")
    raw = _object(body)
    kind = str(raw.get("type", "")).rstrip("/").rpartition("/")[2]
    raise ServiceRefused(response.status_code, kind, str(raw.get("detail", raw.get("title", ""))), dict(raw))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        raw = json.loads(body)
    except ValueError as error:
        raise _not_the_service("its answer is not JSON") from error
    if not isinstance(raw, dict):
        raise _not_the_service("its answer is not an object")
    return raw


def _not_the_service(why: str) -> ServiceUnreachable:
    return ServiceUnreachable(
        f"What answers at the service's address does not speak like the service: {why}.",
        "Check the url, and whether a proxy answers in its place.",
    )


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Errors of the HTTP library as ours."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise ServiceUnreachable(
            f"The certificate of the service at {url} is not trusted: {_reason(error)}.",
            "Name the authority that signed it in ca_file.",
        ) from error
    except requests.exceptions.ProxyError as error:
        raise ServiceUnreachable("The proxy on the way to the service failed.", "Check the proxy setting.") from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise ServiceUnreachable(
            f"The service at {url} cannot be reached: {_reason(error)}.", "Check the url, the network and the proxy."
        ) from error


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words."""
    chain: BaseException | None = error
    while chain is not None:
        error, chain = chain, chain.__cause__ or chain.__context__
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
    return getattr(error, "strerror", None) or type(error).__name__


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, in either of its forms; None where it says nothing."""
    if value is None:
        return None
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None


def pack(document: bytes) -> bytes:
    """A document as it travels; the same bytes each time."""
    return gzip.compress(document, compresslevel=5, mtime=0)


class Backoff:
    """How long to wait before the next attempt, in seconds: 1 s doubling to 5 min, with full jitter above a floor."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()
        self._ceiling = BACKOFF_FIRST

    def next(self, retry_after: float | None = None) -> float:
        """The next pause; never shorter than what the service asked for, up to 5 min."""
        pause = self._chance.uniform(self._ceiling / 4, self._ceiling)
        self._ceiling = min(self._ceiling * 2, BACKOFF_LAST)
        if retry_after is not None:
            asked = min(retry_after, BACKOFF_LAST)
            return asked + self._chance.uniform(0, min(asked / 4 + 0.1, BACKOFF_LAST / 4))
        return pause

    def reset(self) -> None:
        """It worked: begin with short pauses again."""
        self._ceiling = BACKOFF_FIRST


class Patience:
    """Repeats a call while the service is away or another instance holds the lease.

    ``limit`` is for how long, in seconds; None is for ever, which is how an agent waits. Only the same bytes are
    repeated: the caller's call must send them.
    """

    def __init__(self, stop: Stop, limit: float | None = None, outage: log.Outage | None = None) -> None:
        self._stop = stop
        self._limit = limit
        self._outage = outage or log.Outage("the service")

    def keep_trying(self, call: Callable[[], T]) -> T:
        """The call's result. Raises the last error when patience is over, ServiceRefused at once, Stopped if asked."""
        backoff = Backoff()
        end = None if self._limit is None else host.monotonic() + self._limit
        while True:
            self._stop.check()
            try:
                result = call()
            except (ServiceUnreachable, ServiceRefused) as error:
                pause = self._pause(error, backoff)
                if pause is None or (end is not None and host.monotonic() + pause > end):
                    raise
                self._outage.failed(str(error))
                self._stop.sleep(pause)
            else:
                self._outage.worked()
                return result

    @staticmethod
    def _pause(error: ServiceUnreachable | ServiceRefused, backoff: Backoff) -> float | None:
        """Seconds until the next attempt, None where another attempt cannot help."""
        if isinstance(error, ServiceUnreachable):
            return backoff.next(error.retry_after)
        if error.type != "lease-held":
            return None
        seconds = error.fields.get("seconds")
        return backoff.next(float(seconds) if isinstance(seconds, int | float) else 10.0)
