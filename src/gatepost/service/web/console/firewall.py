"""What the firewall must let through for a connector: from, to, port and why; on the page, and as CSV."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gatepost.service.web import spreadsheets
from gatepost.service.web.i18n import N_, Language

DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Way:
    """One way through the firewall. ``to`` is a text for people unless ``host`` names the very machine."""

    to: str
    ports: str
    why: str
    host: str = ""


CONNECTOR = N_("The connector's host")
COLUMNS = (N_("From"), N_("To"), N_("Port"), N_("Why"))
WAYS = (
    Way(N_("Exchange servers"), "443 TCP", N_("Remote PowerShell over HTTPS: devices, mailboxes, and their lists")),
    Way(
        N_("Exchange servers"),
        "80 TCP",
        N_("Remote PowerShell over HTTP, only where it is used so; Kerberos encrypts it then"),
    ),
    Way(
        N_("Autodiscover, or the domain's web server"), "443 TCP", N_("Finds the address of EWS; not with a fixed URL")
    ),
    Way(N_("Exchange servers"), "443 TCP", N_("EWS: notices to users, from the notification account")),
    Way(N_("Domain controllers"), "88 TCP, 88 UDP", N_("Kerberos, where the account signs in by it")),
    Way(
        N_("Domain controllers"),
        "389 TCP, 636 TCP",
        N_("People and groups; a later version uses it, this one does not"),
    ),
    Way(N_("DNS servers"), "53 TCP, 53 UDP", N_("Names of all of these")),
    Way(
        N_("Proxy"),
        N_("as yours has it"),
        N_("Only where the way to the service or to a hosted Exchange leads over one"),
    ),
)
INBOUND = N_("Nothing calls the connector: it listens on no port, and no rule inbound is needed.")


def ways(address: str) -> tuple[Way, ...]:
    """Every way, the first to this service at the address that connectors call."""
    parts = urlsplit(address)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 443)
    why = N_("Everything between connector and service, by HTTPS; the connector calls, also to wait")
    return Way(N_("Gatepost service"), f"{port} TCP", why, parts.hostname or ""), *WAYS


def table(address: str, language: Language) -> bytes:
    """The list as CSV in the person's language."""
    lines = [spreadsheets.line(language.text(column) for column in COLUMNS)]
    for way in ways(address):
        to = language.text(way.to) + (f": {way.host}" if way.host else "")
        row = (language.text(CONNECTOR), to, language.text(way.ports), language.text(way.why))
        lines.append(spreadsheets.line(row))
    return (spreadsheets.MARK + "".join(lines)).encode()
