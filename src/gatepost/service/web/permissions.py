"""What a route needs, declared on the route: deny by default.

Every route carries one declaration: ``requires(permission)`` for people with a session (``step_up=True`` if they must
have proved at most five minutes ago who they are), ``connector()`` for routes that authenticate a connector themselves,
``public(why)`` for the few that anybody may call. ``check`` refuses an application with a route that carries none, at
start and in a test.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from gatepost.domain.roles import Role
from gatepost.errors import Problem, ServiceError
from gatepost.service.administrators import Session
from gatepost.service.web import sessions


class Permission(StrEnum):
    """What a person may do."""

    CONNECTIONS_READ = "connections.read"
    CONNECTIONS_SYNC = "connections.sync"
    CONNECTIONS_ACCEPT = "connections.accept"
    CONNECTIONS_SETUP = "connections.setup"
    CONNECTIONS_STOP = "connections.stop"
    CONNECTIONS_REMOVE = "connections.remove"
    DEVICES_READ = "devices.read"
    DEVICES_PIN = "devices.pin"
    POLICIES_READ = "policies.read"
    POLICIES_WRITE = "policies.write"
    HOLDS_READ = "holds.read"
    DIRECTORY_READ = "directory.read"
    DIRECTORY_WRITE = "directory.write"
    COMPLIANCE_READ = "compliance.read"
    COMPLIANCE_WRITE = "compliance.write"
    ENTRIES_READ = "entries.read"
    ENTRIES_ADOPT = "entries.adopt"
    EXCHANGE_CHANGE = "exchange.change"
    NOTICES_READ = "notices.read"
    NOTICES_MANAGE = "notices.manage"
    APPROVALS_DECIDE = "approvals.decide"
    ADMINISTRATORS_READ = "administrators.read"
    ADMINISTRATORS_MANAGE = "administrators.manage"
    AUDIT_READ = "audit.read"
    ALERTS_MANAGE = "alerts.manage"
    TENANT_MANAGE = "tenant.manage"
    ACCOUNT_OWN = "account.own"
    SESSION_END = "session.end"


READS = frozenset(
    {
        Permission.CONNECTIONS_READ,
        Permission.DEVICES_READ,
        Permission.POLICIES_READ,
        Permission.HOLDS_READ,
        Permission.DIRECTORY_READ,
        Permission.COMPLIANCE_READ,
        Permission.ENTRIES_READ,
        Permission.NOTICES_READ,
        Permission.ACCOUNT_OWN,
        Permission.SESSION_END,
    }
)
OWN = frozenset({Permission.ACCOUNT_OWN, Permission.SESSION_END})
"""What a person may do for themselves, whatever the tenant still asks of them."""
HELPDESK = READS | {Permission.CONNECTIONS_SYNC}
ROLES: dict[str, frozenset[Permission]] = {
    Role.READER: READS,
    Role.HELPDESK: HELPDESK,
    Role.OPERATOR: HELPDESK
    | {
        Permission.CONNECTIONS_ACCEPT,
        Permission.CONNECTIONS_STOP,
        Permission.DEVICES_PIN,
        Permission.DIRECTORY_WRITE,
        Permission.COMPLIANCE_WRITE,
        Permission.ENTRIES_ADOPT,
        Permission.ALERTS_MANAGE,
        Permission.AUDIT_READ,
    },
    Role.POLICY_AUTHOR: READS | {Permission.POLICIES_WRITE, Permission.NOTICES_MANAGE, Permission.AUDIT_READ},
    Role.APPROVER: READS | {Permission.APPROVALS_DECIDE, Permission.AUDIT_READ},
    Role.ADMINISTRATOR: frozenset(Permission),
}


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """Everything that the roles together allow; an unknown role allows nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


@dataclass(frozen=True, slots=True)
class Requirement:
    """A route for people: needs a session whose roles hold ``permission``. Gives the session to the route.

    ``step_up`` asks for a proof of who it is that is at most five minutes old.
    """

    permission: Permission
    step_up: bool = False

    async def __call__(self, request: Request) -> Session:
        """The session. Raises Problem 401 without one; 403 ``permission``, ``passkey-needed`` or ``step-up``."""
        session = await sessions.authenticate(request)
        if self.permission not in permissions_of(session.roles):
            raise Problem(
                403, "permission", "Your role does not allow this. Ask an administrator.", permission=self.permission
            )
        if session.lacks_passkey and self.permission not in OWN:
            raise Problem(403, "passkey-needed", "This tenant requires a passkey. Register one in the console first.")
        if self.step_up and not session.is_fresh:
            raise Problem(403, "step-up", "This needs a proof, at most 5 minutes old, of who you are. Sign in anew.")
        return session

    def __str__(self) -> str:
        return f"{self.permission} + step-up" if self.step_up else self.permission


@dataclass(frozen=True, slots=True)
class Declared:
    """A route that checks no session: public, or for connectors, with the reason."""

    audience: str
    why: str

    async def __call__(self) -> None:
        """Nothing to check."""

    def __str__(self) -> str:
        return f"{self.audience} ({self.why})"


def requires(permission: str, *, step_up: bool = False) -> Any:  # noqa: ANN401 - FastAPI's own marker
    """Declare that a route needs a session with this permission, fresh with ``step_up``; it gives the session."""
    return Depends(Requirement(Permission(permission), step_up))


def public(why: str) -> Any:  # noqa: ANN401 - FastAPI's own marker
    """Declare that anybody may call this route, and why that is right."""
    return Depends(Declared("public", why))


def connector() -> Any:  # noqa: ANN401 - FastAPI's own marker
    """Declare that this route authenticates a connector by itself."""
    return Depends(Declared("connector", "authenticates the connector's key"))


def _declarations(dependant: Dependant) -> Iterator[Requirement | Declared]:
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Requirement | Declared):
            yield dependency.call
        yield from _declarations(dependency)


def declared(route: BaseRoute) -> str:
    """What a route declares, in words; empty where it declares nothing."""
    return ", ".join(str(entry) for entry in _declarations(route.dependant)) if isinstance(route, APIRoute) else ""


def listing(app: FastAPI) -> dict[str, str]:
    """Every route, as ``METHOD /path``, with its declaration; an empty text where there is none."""
    found = {}
    for route in app.routes:
        for method in sorted(getattr(route, "methods", None) or {"*"}):
            found[f"{method} {getattr(route, 'path', route)}"] = declared(route)
    return found


def table(app: FastAPI) -> str:
    """Every route with what it needs, a line each, in the order of paths."""
    rows = [(*name.partition(" ")[::2], needed) for name, needed in listing(app).items()]
    lines = (f"{method:<6} {path} -> {needed}" for method, path, needed in sorted(rows, key=lambda row: row[1::-1]))
    return "\n".join(lines) + "\n"


def check(app: FastAPI) -> None:
    """Refuse an application with a route that declares nothing. Raises ServiceError that names the routes."""
    open_routes = [name for name, declaration in listing(app).items() if not declaration]
    if open_routes:
        raise ServiceError(
            f"Routes without a declared permission: {', '.join(open_routes)}.",
            "Give each one of requires(), connector() or public().",
        )
