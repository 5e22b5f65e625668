"""Where a redirect may lead: a load balancer may send to another path or server, but only as the local settings say."""

from urllib.parse import urlsplit

from gatepost.settings import ExchangeSettings

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PORTS = {"http": 80, "https": 443}


def allows(settings: ExchangeSettings, address: str, target: str) -> bool:
    """The same host and port, the same host from http to https, or one that is named; never from https to http."""
    old = urlsplit(address)
    try:
        new = urlsplit(target)
        host, port = (new.hostname or "").lower(), new.port or PORTS.get(new.scheme)
    except ValueError:
        return False
    if new.scheme not in PORTS or (old.scheme, new.scheme) == ("https", "http"):
        return False
    own = {((old.hostname or "").lower(), old.port or PORTS[old.scheme])}
    if old.scheme == "http" and not old.port:
        own.add(((old.hostname or "").lower(), PORTS["https"]))
    named = {entry.lower() for entry in settings.allowed_redirects}
    return (host, port) in own or host in named or f"{host}:{port}" in named
