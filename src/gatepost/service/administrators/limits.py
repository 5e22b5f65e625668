"""How often a proof of who somebody is may fail: limits that slow a guesser and lock nobody out.

They count per address, and there per tenant and per name, outside of tenants, so that they tell nothing of one. An
attempt counts as failed until it has succeeded; one that succeeds takes those before it with it.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from gatepost.errors import Problem
from gatepost.service.database import Database, Scope

WINDOW = timedelta(minutes=15)
FREE_TRIES = {"by_name": 5, "by_address": 30, "anywhere": 500}
FIRST_PAUSE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt is counted by; of what was typed, the database gets a digest."""

    address: str
    slug_hash: bytes
    name_hash: bytes

    @classmethod
    def of(cls, slug: str, name: str, address: str) -> Self:
        """The attempt of somebody at an address, at the tenant of this short name, with this name."""
        return cls(address_key(address), _digest(slug), _digest(name.casefold()))

    @property
    def parameters(self) -> dict[str, str | bytes]:
        """For a statement."""
        return {"address": self.address, "slug_hash": self.slug_hash, "name_hash": self.name_hash}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def address_key(address: str) -> str:
    """What attempts are counted by: the IPv4 address, or the /64 network of an IPv6 one, which one host may roam in."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def pause(failures: int, free: int) -> timedelta:
    """How long to wait after so many failures within the window: nothing for the free tries, then it doubles."""
    return min(FIRST_PAUSE * 2 ** min(failures - free, 10), WINDOW) if failures >= free else timedelta(0)


async def admit(database: Database, attempt: Attempt) -> None:
    """Count an attempt before what it sent is looked at. Raises Problem 429 with the seconds to wait."""
    async with database.control() as scope:
        await scope.run("sign_in.lock", address=attempt.address)
        seen = await scope.one("sign_in.attempts", **attempt.parameters, since=datetime.now(UTC) - WINDOW)
        assert seen is not None
        for what, free in FREE_TRIES.items():
            last = seen[f"last_{what}"]
            left = last + pause(seen[what], free) - datetime.now(UTC) if last else timedelta(0)
            if left > timedelta(0):
                seconds = max(1, round(left.total_seconds()))
                raise Problem(429, "busy", f"Too many attempts. Try again in {seconds} seconds.", retry_after=seconds)
        await scope.run("sign_in.attempt", **attempt.parameters)


async def succeeded(scope: Scope, attempt: Attempt) -> None:
    """The attempts of this name from this address no longer count."""
    await scope.run("sign_in.succeeded", **attempt.parameters, since=datetime.now(UTC) - WINDOW)
