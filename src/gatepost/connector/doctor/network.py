"""Checks of one way to one server: its name, the proxy, the connection, the certificate, and its clock.

The same walk for the service, for Exchange and for the mailbox of notices: each step has a time of its own, and what
comes after a step that failed is skipped with the reason. Nobody signs in here but at a proxy.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from gatepost.connector.doctor import certificates
from gatepost.domain.checks import Check, Level
from gatepost.errors import ExchangeError, SettingsError
from gatepost.exchange.connections import Answer, Clock, Connection
from gatepost.exchange.failures import Failures
from gatepost.exchange.proxies import Proxy
from gatepost.exchange.redirects import PORTS
from gatepost.exchange.signing_in import PROXY
from gatepost.settings import ExchangeSettings

NAME_SECONDS = 5.0
STEP_SECONDS = 8.0
"""A connection, a handshake and an answer may each take so long: some forty seconds a way where everything hangs."""
CLOCK_WARNING, CLOCK_BAD = timedelta(seconds=60), timedelta(minutes=5)
CHANGE_PROXY = "gatepost connector setup --change proxy"


@dataclass(frozen=True, slots=True)
class Way:
    """How an address is reached: the settings of any address have Exchange's form.

    ``kind`` begins the names of its checks: service, exchange, notices. ``strict_clock`` says that a clock which is off
    breaks the sign-in there.
    """

    kind: str
    settings: ExchangeSettings
    proxy_password: str | None = None
    strict_clock: bool = True

    @property
    def host(self) -> str:
        """The host's name."""
        return urlsplit(self.settings.url).hostname or ""

    @property
    def port(self) -> int:
        """The port."""
        split = urlsplit(self.settings.url)
        return split.port or PORTS[split.scheme.lower()]

    @property
    def path(self) -> str:
        """What stands behind the host."""
        return urlsplit(self.settings.url).path or "/"

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken there."""
        return urlsplit(self.settings.url).scheme.lower() == "https"

    def check(self, step: str, level: Level, what: str, why: str = "", remedy: str = "") -> Check:
        """A check of this way."""
        return Check(f"{self.kind}-{step}", level, what, why, remedy, subject=self.host)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a server that was reached."""

    method: str
    path: str


Walk = Generator[Check, None, Answer | None]


def walk(way: Way, method: str = "GET", path: str | None = None) -> Walk:
    """Go the way step by step; the server's first answer to an unsigned request, None where it was not reached.

    ``path`` is what is asked for, that of the address unless given.
    """
    try:
        proxy = Proxy(way.settings, way.proxy_password)
    except SettingsError as error:
        yield way.check("proxy", Level.BAD, error.cause, "Nothing gets past the proxy without it.", error.remedy)
        yield from _skipped(way, "the proxy's password is missing")
        return None
    if not (yield from _name(way, proxy)):
        yield from _skipped(way, "the name is not known")
        return None
    clock = Clock()
    connection = yield from _connection(way, proxy, clock)
    if connection is None:
        yield from _skipped(way, "there is no connection", after="connection")
        return None
    return (yield from _spoken(way, proxy, connection, clock, _Question(method, path or way.path)))


def _spoken(way: Way, proxy: Proxy, connection: Connection, clock: Clock, question: _Question) -> Walk:
    """TLS, and a first question."""
    try:
        if way.secure:
            check = _certificate(way, proxy, connection, clock)
            yield check
            if check.level is Level.BAD:
                yield way.check("clock", Level.SKIPPED, "Not looked at: no TLS connection came about.")
                return None
        clock.start(STEP_SECONDS)
        sent = time.time()
        try:
            answer = _ask(way, proxy, connection, clock, question)
        except ExchangeError as error:
            yield way.check("answer", Level.BAD, error.cause, "It takes connections but does not speak.", error.remedy)
            return None
        yield _clock(way, answer, (sent + time.time()) / 2)
        return answer
    finally:
        connection.close()


def _skipped(way: Way, why: str, after: str = "name") -> Generator[Check, None, None]:
    steps = ("connection", "certificate", "clock") if way.secure else ("connection", "clock")
    for step in steps[steps.index(after) + 1 if after in steps else 0 :]:
        yield way.check(step, Level.SKIPPED, f"Not looked at: {why}.")


# -- the name ----------------------------------------------------------------------------------------------------------


def _name(way: Way, proxy: Proxy) -> Generator[Check, None, bool]:
    """Whether the name to connect to is known here; behind a proxy, that is the proxy's."""
    asked = proxy.name if proxy.serves(way.host) else way.host
    seen = f"The name {asked}" + (" of the proxy" if asked != way.host else "")
    try:
        addresses = resolve(asked)
    except OSError as error:
        yield way.check(
            "name",
            Level.BAD,
            f"{seen} is not known here: {error.strerror or error}.",
            "Without an address there is nothing to connect to.",
            "Check the spelling, and which name servers this machine asks (/etc/resolv.conf).",
        )
        return False
    yield way.check("name", Level.GOOD, f"{seen} leads to {', '.join(addresses[:4])}.")
    return True


def resolve(host: str, seconds: float = NAME_SECONDS) -> list[str]:
    """The addresses of a name, each once. Raises OSError; the system's look-up has no limit, so this has one."""
    found: list[str] = []
    failed: list[OSError] = []

    def look() -> None:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except OSError as error:
            failed.append(error)
        except UnicodeError:
            failed.append(OSError(0, "it is no name"))

    thread = threading.Thread(target=look, name=f"look up {host}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(0, f"no name server answered within {seconds:g} seconds")
    return found


# -- the connection ----------------------------------------------------------------------------------------------------


def _connection(way: Way, proxy: Proxy, clock: Clock) -> Generator[Check, None, Connection | None]:
    began = time.monotonic()
    through = proxy.serves(way.host)
    try:
        connection = _dial(way, proxy, clock)
    except (ExchangeError, SettingsError) as error:
        remedy = f"{error.remedy} {CHANGE_PROXY}" if through else error.remedy
        step = "proxy" if through else "connection"
        yield way.check(step, Level.BAD, error.cause, "Nothing works without this way.", remedy)
        if through:
            yield way.check("connection", Level.SKIPPED, "Not looked at: the proxy makes no way.")
        return None
    took = (time.monotonic() - began) * 1000
    if through:
        who = f"takes the sign-in of {proxy.account.user or 'this account'}" if proxy.account else "wants no sign-in"
        yield way.check("proxy", Level.GOOD, f"The proxy {proxy.name} {who} and makes the way.")
    yield way.check("connection", Level.GOOD, f"Port {way.port} of {way.host} answers after {took:.0f} ms.")
    return connection


def _dial(way: Way, proxy: Proxy, clock: Clock) -> Connection:
    clock.start(STEP_SECONDS)
    with Failures(way.settings, proxy, clock).in_our_words():
        if not proxy.serves(way.host):
            return Connection.dial(way.host, way.port, clock)
        return proxy.tunnel(way.host, way.port, clock) if way.secure else proxy.dial(clock)


# -- TLS ---------------------------------------------------------------------------------------------------------------


def _certificate(way: Way, proxy: Proxy, connection: Connection, clock: Clock) -> Check:
    try:
        trust = certificates.trusting(way.settings.ca_file)
    except SettingsError as error:
        return way.check("certificate", Level.BAD, error.cause, "Nothing can be trusted without it.", error.remedy)
    clock.start(STEP_SECONDS)
    try:
        with Failures(way.settings, proxy, clock).in_our_words():
            connection.secure(trust, way.host)
    except ExchangeError as error:
        seen = _seen(lambda: _dial(way, proxy, Clock()), way.host)
        what = f"{error.cause} {seen}".strip()
        why = "Whoever answers there might be anybody; nothing is sent."
        return way.check("certificate", Level.BAD, what, why, error.remedy)
    assert connection.certificate is not None
    level, what, why, remedy = certificates.judged(connection.certificate, datetime.now(UTC))
    return way.check("certificate", level, what, why, remedy)


def _seen(dial: Callable[[], Connection], host: str) -> str:
    """What a server shows that is not trusted, in words: on a connection that nothing is sent on."""
    try:
        connection = dial()
    except (ExchangeError, SettingsError):
        return ""
    try:
        connection.secure(certificates.trusting_anything(), host)
        return certificates.described(connection.certificate, datetime.now(UTC)) if connection.certificate else ""
    except (OSError, ssl.SSLError):
        return ""
    finally:
        connection.close()


# -- the first answer --------------------------------------------------------------------------------------------------


def _ask(way: Way, proxy: Proxy, connection: Connection, clock: Clock, question: _Question) -> Answer:
    """Ask; a proxy that reads plain requests is asked for the whole address, and signed in at."""
    split = urlsplit(way.settings.url)
    through = proxy.serves(way.host) and not way.secure
    target = split._replace(path=question.path, query="").geturl() if through else question.path
    headers = {"Host": split.netloc, "User-Agent": "Gatepost"}

    def ask(more: dict[str, str]) -> Answer:
        return connection.ask(question.method, target, headers | more)

    failures = Failures(way.settings, proxy, clock)
    with failures.in_our_words():
        answer = ask(proxy.headers if through else {})
        if through:
            answer = proxy.signed_in(answer, ask)
        if answer.status == PROXY.status:
            raise failures.proxy_refuses(answer.status)
    return answer


def _clock(way: Way, answer: Answer, at: float) -> Check:
    """How far the server's clock is from ours; its header has whole seconds."""
    try:
        theirs = parsedate_to_datetime(answer.header("Date"))
    except ValueError:
        return way.check("clock", Level.SKIPPED, f"{way.host} tells no time.")
    return clock_check(way, theirs.timestamp() - at)


def clock_check(way: Way, seconds: float) -> Check:
    """What a difference of clocks means, in seconds; more than 0 where theirs is ahead."""
    off = timedelta(seconds=abs(seconds))
    told = f"{abs(seconds):.0f} seconds {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if off <= CLOCK_WARNING:
        return way.check("clock", Level.GOOD, f"The clock of {way.host} is {abs(seconds):.0f} seconds from this one.")
    why = (
        "Kerberos refuses a difference of more than five minutes, and watermarks of the two sides are compared."
        if way.strict_clock
        else "Requests carry the time; the connector goes by the service's clock, but this machine's log does not."
    )
    bad = way.strict_clock and off > CLOCK_BAD
    return way.check(
        "clock",
        Level.BAD if bad else Level.WARNING,
        f"The clock of {way.host} is {told}.",
        why,
        "Let both take the time from the domain or the same NTP server.",
    )
