"""Where the service may connect to when a tenant names the address: nowhere inside, unless the operator allows it.

A name is resolved once; if any of its addresses is private, link-local (where clouds keep their metadata), loopback or
otherwise not public, none is used. The connection goes to the address that was looked at, so that no second answer of
the name server counts.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from gatepost.errors import NotDelivered, SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def networks(named: Iterable[str]) -> tuple[Network, ...]:
    """The networks of the option. Raises SettingsError."""
    found = []
    for name in named:
        try:
            found.append(ipaddress.ip_network(name))
        except ValueError as error:
            raise SettingsError(
                f"--alert-network is not a network: {name!r}.", "Write it like 10.1.2.0/24, or as one address."
            ) from error
    return tuple(found)


def resolve(host: str, port: int, allowed: Sequence[Network]) -> str:
    """The one address to connect to. Raises NotDelivered where there is none, or none that is allowed."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"The name {host} cannot be resolved.", "Check its spelling, and DNS.") from error
    found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for each in found:
        if not _may(ipaddress.ip_address(each.partition("%")[0]), allowed):
            raise NotDelivered(
                f"{host} leads to {each}, which is inside this network or this machine.",
                "Name a public address, or ask the operator of the service to allow that network (--alert-network).",
            )
    return found[0]


def _may(address: Address, allowed: Sequence[Network]) -> bool:
    address = _unwrapped(address)
    if any(address in network for network in allowed if network.version == address.version):
        return True
    return address.is_global and not address.is_multicast


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
