"""Administrators of a tenant: passwords, sign-in with its limits, and server-side sessions.

A session's token is ``tenant.session.secret``; the database holds a SHA-256 of the secret only, which is enough for 256
random bits. Passwords are Argon2id hashes, made and checked in two threads of their own, before which only so many may
wait: neither the event loop nor the memory suffers under a guessing attack. An unknown name, or tenant, costs the same
time and gives the same answers as a wrong password. Limits count per address, and there per tenant and per name: they
slow a guesser and never lock an account. They are counted outside of tenants, so that they tell nothing of one.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gatepost.domain.events import Event
from gatepost.errors import Problem, ServiceError
from gatepost.service import audit, tenants
from gatepost.service.database import Database, Scope

LIFETIME = timedelta(hours=8)
IDLE = timedelta(minutes=30)
TOUCH_EVERY = timedelta(minutes=1)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1_024

WINDOW = timedelta(minutes=15)
FREE_TRIES = {"by_name": 5, "by_address": 30, "anywhere": 500}
FIRST_PAUSE = timedelta(seconds=15)

HASHER = PasswordHasher()
REFUSED = "The name or the password is not right."
NOBODY = HASHER.hash(secrets.token_urlsafe(32))
WAITING = 32
BUSY_SECONDS = 5
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
_ROOM = threading.BoundedSemaphore(WAITING)

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in administrator. ``csrf`` is what a form of this session must send back."""

    tenant_id: UUID
    tenant_slug: str
    session_id: UUID
    administrator_id: UUID
    name: str
    roles: tuple[str, ...]
    csrf: str


@dataclass(frozen=True, slots=True)
class Token:
    """``tenant.session.secret``: names its tenant in clear, so that the scope is set before the secret is looked up."""

    tenant_id: UUID
    session_id: UUID
    secret: str

    def __str__(self) -> str:
        return f"{self.tenant_id}.{self.session_id}.{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.tenant_id}.{self.session_id}.…)"

    @property
    def secret_hash(self) -> str:
        """What the database holds of the secret: its SHA-256 in hex."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    @property
    def csrf(self) -> str:
        """The form token of the session: made from the secret, so it needs no storage and ends with the session."""
        made = hmac.digest(self.secret.encode(), b"gatepost form token", "sha256")
        return urlsafe_b64encode(made).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Token | None":
        """A token as sent by a client; None where it does not have the form of one."""
        parts = text.split(".")
        if len(parts) != 3 or not parts[2].isascii():
            return None
        try:
            return cls(UUID(parts[0]), UUID(parts[1]), parts[2])
        except ValueError:
            return None


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Hash in a thread of ours. Raises Problem 503 ``busy`` where too many wait already."""
    if not _ROOM.acquire(blocking=False):
        raise Problem(503, "busy", "Too many people sign in at once. Try again.", retry_after=BUSY_SECONDS)
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args, **kwargs))
    finally:
        _ROOM.release()


def _matches(stored: str, password: bytes) -> bool:
    try:
        return HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def create_administrator(scope: Scope, name: str, password: str, roles: Iterable[str]) -> UUID:
    """Add an administrator to the scope's tenant. Raises ServiceError where the name or password cannot be."""
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise ServiceError("The name of an administrator must have 1 to 200 visible characters.", "Choose another.")
    _check_password(password)
    administrator_id = uuid4()
    made = await scope.run(
        "administrators.create",
        administrator_id=administrator_id,
        name=name,
        password_hash=await _in_thread(HASHER.hash, password),
        roles=sorted(roles),
    )
    if not made:
        raise ServiceError(f"There is an administrator named {name} already.", "Choose another name.")
    await audit.record(scope, Event.ADMINISTRATOR_CREATED, "operator", {"name": name, "roles": sorted(roles)})
    return administrator_id


async def set_password(scope: Scope, name: str, password: str) -> int:
    """Another password for an administrator, whose sessions end; how many did. Raises ServiceError."""
    _check_password(password)
    password_hash = await _in_thread(HASHER.hash, password)
    changed = await scope.one("administrators.set_password", name=name.strip(), password_hash=password_hash)
    if changed is None:
        raise ServiceError(f"There is no administrator named {name}.", "See: gatepost admin administrator list.")
    ended: int = changed["sessions"]
    details = {"name": changed["name"], "sessions": ended}
    await audit.record(scope, Event.ADMINISTRATOR_PASSWORD, "operator", details)
    return ended


async def listed(scope: Scope) -> list[dict[str, Any]]:
    """Every administrator of the scope's tenant: name, roles, and moments in UTC."""
    return await scope.all("administrators.all")


def _check_password(password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ServiceError(
            f"The password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters.",
            "Choose another password.",
        )


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


def _counted_by(slug: str, name: str, address: str) -> dict[str, str | bytes]:
    """What an attempt is counted by; of what was typed, the database gets a digest."""
    digests = {"slug_hash": slug, "name_hash": name.casefold()}
    return {
        "address": address_key(address),
        **{key: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for key, text in digests.items()},
    }


async def _admit(scope: Scope, attempt: dict[str, str | bytes]) -> None:
    """Count an attempt before its password is looked at. Raises Problem 429 with the seconds to wait."""
    await scope.run("sign_in.lock", address=attempt["address"])
    seen = await scope.one("sign_in.attempts", **attempt, since=datetime.now(UTC) - WINDOW)
    assert seen is not None
    for what, free in FREE_TRIES.items():
        last = seen[f"last_{what}"]
        left = last + pause(seen[what], free) - datetime.now(UTC) if last else timedelta(0)
        if left > timedelta(0):
            seconds = max(1, round(left.total_seconds()))
            raise Problem(429, "busy", f"Too many attempts. Try again in {seconds} seconds.", retry_after=seconds)
    await scope.run("sign_in.attempt", **attempt)


async def sign_in(database: Database, slug: str, name: str, password: str, address: str) -> Token:
    """Sign in with a password at the tenant of this short name, if there is one; the token of a new session.

    Raises Problem 401 ``credentials``, or 429 or 503 ``busy`` with ``retry_after`` in seconds.
    """
    name, secret = _storable(name.strip()[:200]), password[:LONGEST_PASSWORD].encode("utf-8", "surrogatepass")
    attempt = _counted_by(slug, name, address)
    async with database.control() as scope:
        await _admit(scope, attempt)
    tenant_id = await tenants.find(database, slug)
    known = await _find(database, tenant_id, name) if tenant_id else None
    right = await _in_thread(_matches, known["password_hash"] if known else NOBODY, secret)
    if not tenant_id:
        raise Problem(401, "credentials", REFUSED)
    if not known or not right:
        async with database.tenant(tenant_id) as scope:
            await audit.record(scope, Event.SESSION_REFUSED, name, {"address": attempt["address"]})
        raise Problem(401, "credentials", REFUSED)
    renewed = await _in_thread(HASHER.hash, secret) if HASHER.check_needs_rehash(known["password_hash"]) else None
    token = Token(tenant_id, uuid4(), secrets.token_urlsafe(32))
    async with database.tenant(tenant_id) as scope:
        if renewed:
            await scope.run(
                "administrators.renew_hash", administrator_id=known["administrator_id"], password_hash=renewed
            )
        await _open_session(scope, token, known["administrator_id"])
        await scope.run("sign_in.succeeded", **attempt, since=datetime.now(UTC) - WINDOW)
        await audit.record(scope, Event.SESSION_OPENED, known["name"], {"address": attempt["address"]})
    return token


def _storable(name: str) -> str:
    """A name as typed, such as a database can look for."""
    return name.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


async def _find(database: Database, tenant_id: UUID, name: str) -> dict[str, Any] | None:
    async with database.tenant(tenant_id) as scope:
        return await scope.one("administrators.by_name", name=name)


async def _open_session(scope: Scope, token: Token, administrator_id: UUID) -> None:
    made = await scope.run(
        "administrators.open_session",
        session_id=token.session_id,
        secret_hash=token.secret_hash,
        administrator_id=administrator_id,
    )
    if not made:
        raise Problem(401, "credentials", REFUSED)
    await scope.run("administrators.signed_in", administrator_id=administrator_id)


async def session_of(database: Database, token: Token, *, active: bool = True) -> Session | None:
    """The session of a token; None if it is unknown, signed out or too old.

    ``active`` counts the request as a sign of life; a page that refreshes itself does not.
    """
    now = datetime.now(UTC)
    async with database.tenant(token.tenant_id) as scope:
        row = await scope.one(
            "administrators.session",
            session_id=token.session_id,
            secret_hash=token.secret_hash,
            made_after=now - LIFETIME,
            seen_after=now - IDLE,
        )
        if row is None:
            return None
        if active and now - row["seen_at"] > TOUCH_EVERY:
            await scope.run("administrators.touch_session", session_id=token.session_id)
    return Session(
        tenant_id=token.tenant_id,
        tenant_slug=row["slug"],
        session_id=token.session_id,
        administrator_id=row["administrator_id"],
        name=row["name"],
        roles=tuple(row["roles"]),
        csrf=token.csrf,
    )


async def sign_out(database: Database, session: Session) -> None:
    """End a session at once."""
    async with database.tenant(session.tenant_id) as scope:
        if await scope.run("administrators.close_session", session_id=session.session_id):
            await audit.record(scope, Event.SESSION_CLOSED, session.name, {})
