"""What administrators do to each other's accounts: nobody to their own, and never to the last tenant administrator."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gatepost.domain import roles as domain_roles
from gatepost.domain.events import Event
from gatepost.domain.roles import Role
from gatepost.errors import Problem, ServiceError
from gatepost.service import audit
from gatepost.service.administrators import accounts, invitations, passwords, sessions
from gatepost.service.administrators.sessions import IDLE, LIFETIME, Session
from gatepost.service.database import Scope

Row = dict[str, Any]


async def everybody(scope: Scope) -> list[Row]:
    """Every administrator of the tenant: id, name, roles, factors, how many live sessions, and moments in UTC."""
    now = datetime.now(UTC)
    return await scope.all("administrators.everybody", made_after=now - LIFETIME, seen_after=now - IDLE)


async def standing(scope: Scope, administrator_id: UUID) -> Row:
    """How one administrator stands; locked until the transaction ends. Raises Problem 404."""
    row = await scope.one("administrators.standing", administrator_id=administrator_id)
    if row is None:
        raise Problem(404, "not-found", "There is no such administrator.")
    return row


async def invite(scope: Scope, session: Session, name: str, roles: Iterable[str]) -> tuple[UUID, str]:
    """A new administrator and the code of their invitation. Raises Problem 400 ``name`` or ``roles``, 409."""
    held = _roles(roles)
    try:
        name = accounts.check_name(name)
    except ServiceError as error:
        raise Problem(400, "name", error.cause) from error
    if await scope.one("administrators.named", name=name):
        raise Problem(409, "name-taken", f"There is an administrator named {name} already.")
    administrator_id = await accounts.add(scope, name, held, session.name)
    return administrator_id, await invitations.make(scope, administrator_id, name, session.name)


async def set_roles(scope: Scope, session: Session, administrator_id: UUID, roles: Iterable[str]) -> None:
    """Other roles for another person, whose sessions end. Raises Problem 400, 404, 409 ``own-account``, ``last``."""
    held = _roles(roles)
    row = await _other(scope, session, administrator_id)
    if row["roles"] == held:
        return
    if Role.ADMINISTRATOR not in held:
        _not_the_last(row)
    promoted = not set(held) <= set(row["roles"])
    await scope.run("administrators.set_roles", administrator_id=administrator_id, roles=held, promoted=promoted)
    body = {"name": row["name"], "before": {"roles": row["roles"]}, "after": {"roles": held}}
    await audit.record(scope, Event.ADMINISTRATOR_ROLES, session.name, body)
    await sessions.end(scope, administrator_id, session.name)


async def disable(scope: Scope, session: Session, administrator_id: UUID) -> None:
    """Keep another person out from now on. Raises Problem 404, 409 ``own-account``, ``last``."""
    row = await _other(scope, session, administrator_id)
    _not_the_last(row)
    if await scope.run("administrators.disable", administrator_id=administrator_id):
        await scope.run("invitations.end", administrator_id=administrator_id)
        await _switched(scope, Event.ADMINISTRATOR_DISABLED, session, row["name"], disabled=True)
        await sessions.end(scope, administrator_id, session.name)


async def enable(scope: Scope, session: Session, administrator_id: UUID) -> None:
    """Let another person in again. Raises Problem 404, 409 ``own-account``."""
    row = await _other(scope, session, administrator_id)
    if await scope.run("administrators.enable", administrator_id=administrator_id):
        await _switched(scope, Event.ADMINISTRATOR_ENABLED, session, row["name"], disabled=False)


async def end_sessions(scope: Scope, session: Session, administrator_id: UUID) -> int:
    """Sign another person out everywhere; of how many sessions. Raises Problem 404, 409 ``own-account``."""
    await _other(scope, session, administrator_id)
    return await sessions.end(scope, administrator_id, session.name)


async def reset(scope: Scope, session: Session, administrator_id: UUID) -> tuple[str, str]:
    """Take another person's password and passkeys, and invite them anew: their name, and the invitation's code.

    Raises Problem 404, 409 ``own-account``, ``last``, ``disabled``.
    """
    row = await _other(scope, session, administrator_id)
    if row["disabled_at"]:
        raise Problem(409, "disabled", "Enable this administrator first.")
    _not_the_last(row)
    await scope.run("administrators.replace_password", administrator_id=administrator_id, password_hash=None)
    await scope.run("passkeys.remove_all", administrator_id=administrator_id)
    await scope.run("administrators.promoted_now", administrator_id=administrator_id)
    await sessions.end(scope, administrator_id, session.name)
    return row["name"], await invitations.make(scope, administrator_id, row["name"], session.name)


async def require_passkeys(scope: Scope, session: Session, required: bool) -> None:
    """Whether every administrator of the tenant needs a passkey."""
    before = await scope.one("administrators.rules")
    await scope.run("administrators.require_passkeys", passkeys_required=required)
    was = bool(before and before["passkeys_required"])
    body = {"before": {"passkeys_required": was}, "after": {"passkeys_required": required}}
    await audit.record(scope, Event.SIGN_IN_RULES, session.name, body)


async def change_password(scope: Scope, session: Session, password: str) -> None:
    """Another password of one's own; every other session ends. Raises Problem 400 ``password``."""
    try:
        password_hash = await passwords.make(password)
    except ServiceError as error:
        if isinstance(error, Problem):
            raise
        raise Problem(400, "password", error.cause) from error
    await scope.run(
        "administrators.replace_password", administrator_id=session.administrator_id, password_hash=password_hash
    )
    await audit.record(scope, Event.PASSWORD_CHANGED, session.name, {"after": "another password"})
    await sessions.end(scope, session.administrator_id, session.name, but=session.session_id)


async def remove_password(scope: Scope, session: Session) -> None:
    """Sign in with passkeys only from now on. Raises Problem 409 ``last-factor`` where there is none."""
    own = await standing(scope, session.administrator_id)
    if not own["passkeys"]:
        raise Problem(409, "last-factor", "Without a passkey you need the password.")
    await scope.run("administrators.replace_password", administrator_id=session.administrator_id, password_hash=None)
    await audit.record(scope, Event.PASSWORD_CHANGED, session.name, {"after": "no password"})


def _roles(roles: Iterable[str]) -> list[str]:
    try:
        return domain_roles.known(roles)
    except ServiceError as error:
        raise Problem(400, "roles", error.cause) from error


async def _other(scope: Scope, session: Session, administrator_id: UUID) -> Row:
    """How another person stands, and whether no other tenant administrator can sign in; locked, always in one order."""
    if administrator_id == session.administrator_id:
        raise Problem(409, "own-account", "Nobody changes this of their own account. Ask another administrator.")
    able = {row["administrator_id"] for row in await scope.all("administrators.line_up", roles=[Role.ADMINISTRATOR])}
    return {**await standing(scope, administrator_id), "is_last": not able - {administrator_id}}


def _not_the_last(row: Row) -> None:
    if row["is_last"]:
        raise Problem(409, "last", "This is the last tenant administrator who can sign in.")


async def _switched(scope: Scope, event: Event, session: Session, name: str, *, disabled: bool) -> None:
    body = {"name": name, "before": {"disabled": not disabled}, "after": {"disabled": disabled}}
    await audit.record(scope, event, session.name, body)
