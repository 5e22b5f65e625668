"""Sessions of administrators, kept at the service.

A session's token is ``tenant.session.secret``; the database holds a SHA-256 of the secret only, which is enough for 256
random bits. A session has a new id and secret whenever it becomes worth more: at sign-in, and at each step-up.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.database import Database, Scope

LIFETIME = timedelta(hours=8)
IDLE = timedelta(minutes=30)
TOUCH_EVERY = timedelta(minutes=1)
FRESH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in administrator. ``csrf`` is what a form of this session must send back.

    ``factors`` are what the last proof was given with (``password``, ``passkey`` or both), at ``step_up_at``.
    ``lacks_passkey``: the tenant requires one, and this person has none yet.
    """

    tenant_id: UUID
    tenant_slug: str
    session_id: UUID
    administrator_id: UUID
    name: str
    roles: tuple[str, ...]
    csrf: str
    factors: str
    step_up_at: datetime | None
    has_passkey: bool
    lacks_passkey: bool

    @property
    def is_fresh(self) -> bool:
        """Whether the person proved at most 5 minutes ago who it is."""
        return self.step_up_at is not None and datetime.now(UTC) - self.step_up_at <= FRESH

    @property
    def has_fresh_passkey(self) -> bool:
        """Whether that proof was given with a passkey."""
        return self.is_fresh and "passkey" in self.factors


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
    def make(cls, tenant_id: UUID) -> Self:
        """The token of a new session."""
        return cls(tenant_id, uuid4(), secrets.token_urlsafe(32))

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


async def begin(scope: Scope, administrator_id: UUID, name: str, factors: str) -> Token:
    """A new session of somebody who just proved who it is. Raises Problem 401 where they were disabled meanwhile."""
    assert scope.tenant_id is not None
    token = Token.make(scope.tenant_id)
    made = await scope.run(
        "sessions.open",
        session_id=token.session_id,
        secret_hash=token.secret_hash,
        administrator_id=administrator_id,
        factors=factors,
        address=scope.address,
    )
    if not made:
        raise Problem(401, "credentials", "The name or the password is not right.")
    await scope.run("administrators.signed_in", administrator_id=administrator_id)
    await audit.record(scope, Event.SESSION_OPENED, name, {"address": scope.address, "factors": factors})
    return token


async def step_up(scope: Scope, session: Session, factors: str) -> Token:
    """The same session, proven anew, under another id and secret; its lifetime stays. Raises Problem 401."""
    token = Token.make(session.tenant_id)
    changed = await scope.run(
        "sessions.step_up",
        session_id=session.session_id,
        new_id=token.session_id,
        secret_hash=token.secret_hash,
        factors=factors,
    )
    if not changed:
        raise Problem(401, "session", "You are not signed in, or the session has ended. Sign in again.")
    await audit.record(scope, Event.SESSION_STEP_UP, session.name, {"factors": factors})
    return token


async def session_of(database: Database, token: Token, *, active: bool = True) -> Session | None:
    """The session of a token; None if it is unknown, signed out or too old.

    ``active`` counts the request as a sign of life; a page that refreshes itself does not.
    """
    now = datetime.now(UTC)
    async with database.tenant(token.tenant_id) as scope:
        row = await scope.one(
            "sessions.of",
            session_id=token.session_id,
            secret_hash=token.secret_hash,
            made_after=now - LIFETIME,
            seen_after=now - IDLE,
        )
        if row is None:
            return None
        if active and now - row["seen_at"] > TOUCH_EVERY:
            await scope.run("sessions.touch", session_id=token.session_id)
    return Session(
        tenant_id=token.tenant_id,
        tenant_slug=row["slug"],
        session_id=token.session_id,
        administrator_id=row["administrator_id"],
        name=row["name"],
        roles=tuple(row["roles"]),
        csrf=token.csrf,
        factors=row["factors"],
        step_up_at=row["step_up_at"],
        has_passkey=row["has_passkey"],
        lacks_passkey=row["passkeys_required"] and not row["has_passkey"],
    )


async def sign_out(database: Database, session: Session, address: str = "") -> None:
    """End a session at once."""
    async with database.tenant(session.tenant_id, address) as scope:
        if await scope.run("sessions.close", session_id=session.session_id):
            await audit.record(scope, Event.SESSION_CLOSED, session.name, {})


async def listed(scope: Scope, administrator_id: UUID) -> list[dict[str, Any]]:
    """The live sessions of an administrator, newest first: id, times in UTC, address and factors."""
    now = datetime.now(UTC)
    return await scope.all(
        "sessions.all", administrator_id=administrator_id, made_after=now - LIFETIME, seen_after=now - IDLE
    )


async def end(scope: Scope, administrator_id: UUID, actor: str, *, but: UUID | None = None) -> int:
    """End every session of an administrator ``but`` one; how many there were."""
    ended = await scope.run("sessions.end", administrator_id=administrator_id, but=but)
    if ended:
        await audit.record(scope, Event.SESSIONS_ENDED, actor, {"administrator": str(administrator_id), "ended": ended})
    return ended


async def end_one(scope: Scope, administrator_id: UUID, session_id: UUID, actor: str) -> None:
    """End one session of an administrator; nothing where it has ended already."""
    if await scope.run("sessions.end_one", administrator_id=administrator_id, session_id=session_id):
        await audit.record(scope, Event.SESSIONS_ENDED, actor, {"administrator": str(administrator_id), "ended": 1})
