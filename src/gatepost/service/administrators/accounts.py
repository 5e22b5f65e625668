"""Who administers a tenant: names, roles and passwords."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from gatepost.domain import roles as domain_roles
from gatepost.domain.events import Event
from gatepost.errors import ServiceError
from gatepost.service import audit
from gatepost.service.administrators import passwords
from gatepost.service.database import Scope

OPERATOR = "operator"


async def create(scope: Scope, name: str, password: str, roles: Iterable[str]) -> UUID:
    """Add an administrator with a password to the scope's tenant. Raises ServiceError where something cannot be."""
    password_hash = await passwords.make(password)
    return await add(scope, name, roles, OPERATOR, password_hash)


async def add(scope: Scope, name: str, roles: Iterable[str], actor: str, password_hash: str | None = None) -> UUID:
    """Add an administrator, who cannot sign in yet where there is no password. Raises ServiceError."""
    name, held = check_name(name), domain_roles.known(roles)
    administrator_id = uuid4()
    made = await scope.run(
        "administrators.create",
        administrator_id=administrator_id,
        name=name,
        password_hash=password_hash,
        roles=held,
    )
    if not made:
        raise ServiceError(f"There is an administrator named {name} already.", "Choose another name.")
    event = Event.ADMINISTRATOR_CREATED if actor == OPERATOR else Event.ADMINISTRATOR_ADDED
    await audit.record(scope, event, actor, {"name": name, "before": None, "after": {"roles": held}})
    return administrator_id


def check_name(name: str) -> str:
    """A name as it is kept. Raises ServiceError where it cannot be one."""
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise ServiceError("The name of an administrator must have 1 to 200 visible characters.", "Choose another.")
    return name


async def set_password(scope: Scope, name: str, password: str, *, forget_passkeys: bool = False) -> int:
    """Another password for an administrator; sessions (how many) and invitations end. Raises ServiceError.

    ``forget_passkeys`` is for somebody who lost them, and whom no colleague can invite anew.
    """
    password_hash = await passwords.make(password)
    changed = await scope.one("administrators.set_password", name=name.strip(), password_hash=password_hash)
    if changed is None:
        raise ServiceError(f"There is no administrator named {name}.", "See: gatepost admin administrator list.")
    ended: int = changed["sessions"]
    await scope.run("invitations.end", administrator_id=changed["administrator_id"])
    details = {"name": changed["name"], "sessions": ended}
    if forget_passkeys:
        details["passkeys"] = await scope.run("passkeys.remove_all", administrator_id=changed["administrator_id"])
    await audit.record(scope, Event.ADMINISTRATOR_PASSWORD, OPERATOR, details)
    return ended


async def listed(scope: Scope) -> list[dict[str, Any]]:
    """Every administrator of the scope's tenant: name, roles, and moments in UTC."""
    return await scope.all("administrators.all")
