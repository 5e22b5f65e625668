"""Invitations: a one-time code, good for 24 hours, that lets a person set a password.

Who is invited anew (somebody who lost what they sign in with) has neither password nor passkeys from then on.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit, tenants
from gatepost.service.administrators import limits, passwords, sessions
from gatepost.service.administrators.limits import Attempt
from gatepost.service.administrators.sessions import Token
from gatepost.service.database import Database, Scope

LIVES = timedelta(hours=24)
COUNTED_AS = "\ninvitation"
"""What attempts are counted by in place of a name: no name of a person has a line break."""
REFUSED = "This invitation is not right, was used already, or is older than 24 hours. Ask for a new one."


async def make(scope: Scope, administrator_id: UUID, name: str, actor: str) -> str:
    """A new invitation, which ends those before it; its code, which is shown once."""
    code = secrets.token_urlsafe(24)
    expires_at = datetime.now(UTC) + LIVES
    await scope.run("invitations.end", administrator_id=administrator_id)
    await scope.run(
        "invitations.make",
        code_hash=_digest(code),
        administrator_id=administrator_id,
        made_by=actor,
        expires_at=expires_at,
    )
    await audit.record(scope, Event.ADMINISTRATOR_INVITED, actor, {"name": name, "until": expires_at.isoformat()})
    return code


async def use(database: Database, slug: str, code: str, password: str, address: str) -> Token:
    """Set the password of whoever was invited, and sign in. Raises ServiceError, Problem 401 ``invitation``, 429.

    A password that cannot be one does not use the invitation up.
    """
    attempt = Attempt.of(slug, COUNTED_AS, address)
    await limits.admit(database, attempt)
    password_hash = await passwords.make(password)
    tenant_id = await tenants.find(database, slug)
    if tenant_id is None:
        raise Problem(401, "invitation", REFUSED)
    async with database.tenant(tenant_id, address) as scope:
        taken = await scope.one("invitations.take", code_hash=_digest(code.strip()))
        if taken is not None:
            person = taken["administrator_id"]
            await scope.run("administrators.replace_password", administrator_id=person, password_hash=password_hash)
            await audit.record(scope, Event.INVITATION_USED, taken["name"], {"made_by": taken["made_by"]})
            await limits.succeeded(scope, attempt)
            return await sessions.begin(scope, person, taken["name"], "password")
        await audit.record(scope, Event.INVITATION_REFUSED, "somebody with a code", {"address": address})
    raise Problem(401, "invitation", REFUSED)


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
