"""Checks of Exchange: the way there, the sign-in, the version, the account's budget and rights, the other servers.

One session is opened, nothing is written in it, and it is closed within its time whatever Exchange does.
"""

import json
import threading
from collections.abc import Callable, Generator
from typing import Self
from urllib.parse import urlsplit

from gatepost.connector.doctor import rights
from gatepost.connector.doctor.examination import Checks, Patient, examine_parts
from gatepost.connector.doctor.network import Way, walk
from gatepost.connector.state import SERVERS
from gatepost.connector.store import FILE, peek
from gatepost.domain.checks import Check, Level
from gatepost.domain.devices import Capabilities
from gatepost.domain.versions import product_of
from gatepost.errors import ExchangeError, GatepostError, SettingsError, SignInRefused, StoreError, WireError
from gatepost.exchange.budget import RESERVE
from gatepost.exchange.organization import Organization
from gatepost.exchange.servers import Servers
from gatepost.settings import ExchangeSettings

OPEN_SECONDS = 30.0
"""For the sign-in, the session and all that is asked in it: then it is ended from this side."""
SERVER_SECONDS = 15.0
CHANGE_ACCOUNT = "gatepost connector setup --change account"
_LATER = ("exchange-binding", "exchange-version", "exchange-budget", "rights-read", "rights-gate", "rights-extra")


def look(patient: Patient) -> Checks:
    """The checks, in order."""
    settings = patient.settings.exchange
    way = Way("exchange", settings, patient.passwords.exchange_proxy())
    reached = yield from walk(way, "POST")
    servers = _known(patient)
    if reached is None:
        yield Check("exchange-sign-in", Level.SKIPPED, "Not looked at: the server was not reached.")
        yield from _not_looked_at("the server was not reached")
    else:
        servers |= yield from _session(patient)
    yield Check(
        "account-password",
        Level.SKIPPED,
        "When the account's password ends cannot be read: remote PowerShell does not tell it.",
        "",
        "Let the password of a service account not expire, or note its day.",
    )
    yield from _others(patient, way, servers)


def _not_looked_at(why: str) -> Checks:
    for name in _LATER:
        yield Check(name, Level.SKIPPED, f"Not looked at: {why}.")


# -- one session -------------------------------------------------------------------------------------------------------


def _session(patient: Patient) -> Generator[Check, None, set[str]]:
    """What a session tells; the names of the organization's servers."""
    settings = patient.settings.exchange
    ends = _Limit(OPEN_SECONDS)
    patient.began(ends.end)
    try:
        with ends:
            password, proxy_password = patient.passwords.exchange(), patient.passwords.exchange_proxy()
            with Organization.connect(
                settings, password, ends.began, proxy_password=proxy_password, lacking=True
            ) as organization:
                every = organization.every_cmdlet()
                capabilities, servers = organization.capabilities, set(organization.access_servers)
    except (ExchangeError, SettingsError, WireError) as error:
        yield _failed(settings, error, ends.over)
        yield from _not_looked_at("there is no session")
        return set()
    yield _sign_in(settings, capabilities)
    yield _binding(settings, capabilities)
    yield _version(patient, capabilities)
    yield _budget(settings, capabilities)
    yield from rights.checks(capabilities, every, patient.settings.mode)
    return servers


class _Limit:
    """Ends what is under way when its time is over; a context manager."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self.end)
        self._timer.daemon = True
        self._end: Callable[[], None] = lambda: None
        self.over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def began(self, end: Callable[[], None]) -> None:
        """What ``end`` ends is under way from now on."""
        self._end = end
        if self.over:
            end()

    def end(self) -> None:
        """End it."""
        self.over = True
        self._end()


def _failed(settings: ExchangeSettings, error: GatepostError, over: bool) -> Check:
    host = urlsplit(settings.url).hostname or ""
    if over:
        return Check(
            "exchange-sign-in",
            Level.BAD,
            f"{host} gave no session within {OPEN_SECONDS:.0f} seconds.",
            "Without a session nothing is listed or written.",
            "Look at its load, its event log and the PowerShell application pool.",
            host,
        )
    why = "Without a session nothing is listed or written."
    refused = isinstance(error, SignInRefused | SettingsError)
    remedy = f"{error.remedy} {CHANGE_ACCOUNT}" if refused else error.remedy
    return Check("exchange-sign-in", Level.BAD, error.cause, why, remedy.strip(), host)


def _sign_in(settings: ExchangeSettings, capabilities: Capabilities) -> Check:
    who = settings.user or "the account of the system's tickets"
    what = f"{who} is signed in at {capabilities.server} by {capabilities.sign_in.upper()}."
    name, host = "exchange-sign-in", capabilities.server
    if capabilities.sign_in == "kerberos":
        return Check(name, Level.GOOD, what.replace("KERBEROS", "Kerberos"), subject=host)
    if capabilities.sign_in == "ntlm":
        why = "An NTLM sign-in can be passed on to another server by whoever sees it, and Microsoft is taking it away."
        remedy = "Name the server by its own full name, install the extra kerberos, and set auth to kerberos."
        return Check(name, Level.WARNING, what, why, remedy, host)
    why = "Basic sends the password itself, to whoever opens TLS on the way."
    remedy = f"Set auth to kerberos or negotiate: {CHANGE_ACCOUNT}"
    return Check(name, Level.WARNING, what.replace("BASIC", "Basic"), why, remedy, host)


def _binding(settings: ExchangeSettings, capabilities: Capabilities) -> Check:
    """Extended Protection: what we send. Whether the server insists on it cannot be asked without a failed sign-in."""
    name, host = "exchange-binding", capabilities.server
    if not settings.url.lower().startswith("https"):
        what = "Messages are encrypted by the sign-in's own key; without TLS there is no channel to bind it to."
        return Check(name, Level.GOOD, what, subject=host)
    if capabilities.sign_in == "basic":
        return Check(
            name, Level.SKIPPED, "Basic cannot be bound to the TLS channel (Extended Protection).", subject=host
        )
    what = (
        "The sign-in is bound to the TLS channel, so the server may require Extended Protection;"
        " whether it does is not told."
    )
    return Check(name, Level.GOOD, what, subject=host)


def _version(patient: Patient, capabilities: Capabilities) -> Check:
    name, host, version = "exchange-version", capabilities.server, capabilities.version
    product = product_of(version or "")
    if product is None:
        what = f"{host} does not tell its version{f' in a known way: {version}' if version else ''}."
        return Check(name, Level.SKIPPED, what, "", "Grant Get-ExchangeServer (gatepost exchange rbac --print).", host)
    what = f"{host} runs {product.name} ({version})."
    if not product.usable:
        why = "Gatepost needs the remote PowerShell of Exchange 2010 SP1 or later."
        return Check(name, Level.BAD, what, why, "Update it.", host)
    if not product.supported(patient.today):
        return Check(
            name,
            Level.WARNING,
            f"{what} Microsoft's support of it ended on {product.supported_until:%Y-%m-%d}.",
            "Holes that are found in it stay open, but for what may be bought apart (Extended Security Updates).",
            "Move to Exchange Server Subscription Edition.",
            host,
        )
    until = f" until {product.supported_until:%Y-%m-%d}" if product.supported_until else ""
    return Check(name, Level.GOOD, f"{what} Microsoft supports it{until}.", subject=host)


def _budget(settings: ExchangeSettings, capabilities: Capabilities) -> Check:
    """How many sessions the account may have, against how many are wanted."""
    given, wanted = capabilities.concurrency, settings.runspaces
    if given is None:
        what = "How many sessions Exchange gives the account is not told, or not limited."
        return Check("exchange-budget", Level.SKIPPED, what)
    what = f"Exchange gives the account {given} sessions at a time; {wanted} are wanted and {RESERVE} kept in reserve."
    if given - RESERVE >= wanted:
        return Check("exchange-budget", Level.GOOD, what)
    return Check(
        "exchange-budget",
        Level.WARNING,
        what,
        f"At most {max(1, given - RESERVE)} are opened, so statistics and writes wait for each other.",
        "Give the account a throttling policy of its own (gatepost exchange rbac --print), or lower runspaces.",
    )


# -- the other servers -------------------------------------------------------------------------------------------------


def _known(patient: Patient) -> set[str]:
    """The servers that a connector has learned of, from its store."""
    try:
        notes, _ = peek(patient.settings.folder / FILE)
        return set(json.loads(notes.get(SERVERS) or "[]"))
    except (StoreError, ValueError):
        return set()


def _others(patient: Patient, way: Way, names: set[str]) -> Checks:
    """The way to each server that the connector would turn to while the configured one is away, side by side."""
    servers = Servers(way.settings)
    servers.know(sorted(names))
    ways = {
        host: Way("server", servers.settings(host), way.proxy_password)
        for host in servers.hosts
        if host != servers.first
    }

    def going(other: Way) -> Checks:
        yield from walk(other, "POST")

    parts = {host: (lambda _, other=other: going(other)) for host, other in ways.items()}
    for check in examine_parts(patient, parts, lambda _: None, SERVER_SECONDS, "server"):
        yield check if check.level is not Level.BAD else _as_warning(check)


def _as_warning(check: Check) -> Check:
    """Trouble with a server that is not the configured one: work goes on without it."""
    why = "The connector turns to this server while the configured one is away."
    return Check(check.name, Level.WARNING, check.what, why, check.remedy, check.subject)
