"""Sign-in with a password, and the proof that is asked for again before something dangerous.

An unknown name, or tenant, costs the same time and gives the same answers as a wrong password.
"""

from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit, tenants
from gatepost.service.administrators import limits, passkeys, passwords, sessions
from gatepost.service.administrators.ceremonies import Place
from gatepost.service.administrators.limits import Attempt
from gatepost.service.administrators.sessions import Session, Token
from gatepost.service.database import Database

REFUSED = "The name or the password is not right."
UNKNOWN = "somebody with a password"
"""Who signs in with a name that nobody has: what was typed is not written down, for it may be the password."""


async def sign_in(
    database: Database, slug: str, name: str, password: str, address: str, place: Place | None
) -> Token | str:
    """Sign in with a password at the tenant of this short name, if there is one; the token of a new session.

    Where the person has passkeys it is what to ask of the browser at ``place``, as JSON, for ``passkeys.sign_in``.
    Raises Problem 401 ``credentials``; 429 or 503 ``busy`` with ``retry_after`` in seconds; 403 ``no-passkeys-here``
    where a passkey is needed and there is no place for one.
    """
    name, attempt = _storable(name.strip()[:200]), Attempt.of(slug, name.strip()[:200], address)
    await limits.admit(database, attempt)
    tenant_id = await tenants.find(database, slug)
    known = await _find(database, tenant_id, name) if tenant_id else None
    right = await passwords.matches(known["password_hash"] if known else None, password)
    if not tenant_id:
        raise Problem(401, "credentials", REFUSED)
    if not known or not right:
        await _refused(database, tenant_id, name, address, "password")
        raise Problem(401, "credentials", REFUSED)
    renewed = await passwords.renewed(known["password_hash"], password)
    async with database.tenant(tenant_id, address) as scope:
        if renewed:
            await scope.run(
                "administrators.renew_hash", administrator_id=known["administrator_id"], password_hash=renewed
            )
        await limits.succeeded(scope, attempt)
        if await passkeys.listed(scope, known["administrator_id"]):
            return await passkeys.offer_own(scope, _needed(place), passkeys.SECOND, known["administrator_id"])
        return await sessions.begin(scope, known["administrator_id"], known["name"], "password")


def _needed(place: Place | None) -> Place:
    if place is None:
        raise Problem(403, "no-passkeys-here", "You need your passkey, and this address cannot have any: use its name.")
    return place


async def confirm_password(database: Database, session: Session, password: str, address: str) -> Token:
    """Prove with the password that it is still the same person; the session's new token.

    Raises Problem 401 ``wrong-password``, 429 or 503 ``busy``; 403 ``passkey`` for who has one: it counts more.
    """
    if session.has_passkey:
        raise Problem(403, "passkey", "Confirm with your passkey; the password alone does not count.")
    attempt = Attempt.of(session.tenant_slug, session.name, address)
    await limits.admit(database, attempt)
    known = await _find(database, session.tenant_id, session.name)
    if not await passwords.matches(known["password_hash"] if known else None, password):
        await _refused(database, session.tenant_id, session.name, address, "password, confirming")
        raise Problem(401, "wrong-password", "The password is not right.")
    async with database.tenant(session.tenant_id, address) as scope:
        token = await sessions.step_up(scope, session, "password")
        await limits.succeeded(scope, attempt)
    return token


def _storable(name: str) -> str:
    """A name as typed, such as a database can look for."""
    return name.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


async def _find(database: Database, tenant_id: UUID, name: str) -> dict[str, Any] | None:
    async with database.tenant(tenant_id) as scope:
        return await scope.one("administrators.by_name", name=name)


async def _refused(database: Database, tenant_id: UUID, name: str, address: str, what: str) -> None:
    async with database.tenant(tenant_id, address) as scope:
        named = await scope.one("administrators.named", name=name)
        body = {"address": address, "factors": what}
        await audit.record(scope, Event.SESSION_REFUSED, named["name"] if named else UNKNOWN, body)
