"""Whether the role that signed in to PostgreSQL is the one for the work: told apart once, at the start.

The service must not be able to pass row-level security by, so it refuses a superuser, a role with BYPASSRLS and the
owner of the tables, whoever's URL it was given.
"""

from typing import Any

from gatepost.errors import SettingsError
from gatepost.service.database import Database


async def check_app(database: Database) -> None:
    """See that the role may serve, and no more than that. Raises SettingsError that names the role to use."""
    role = await _signed_in(database)
    if role["bypasses"] or role["owns"]:
        why = "owns the tables" if role["owns"] and not role["bypasses"] else "sees every tenant's rows"
        raise SettingsError(
            f"The database URL signs in as {role['role']}, which {why}; the service must not.",
            "Sign in as gatepost_app (--database-url-file or GATEPOST_DATABASE_URL).",
        )
    if not role["serves"]:
        raise SettingsError(
            f"The database URL signs in as {role['role']}, which has no right to gatepost_app's tables.",
            "Sign in as gatepost_app (--database-url-file or GATEPOST_DATABASE_URL).",
        )


async def check_operator(database: Database) -> None:
    """See that the role may make tenants. Raises SettingsError that names the role to use."""
    role = await _signed_in(database)
    if not (role["serves"] and role["makes_tenants"]):
        raise SettingsError(
            f"The database URL signs in as {role['role']}, which has no right to make tenants and administrators.",
            "Sign in as gatepost_operator (--operator-url-file or GATEPOST_OPERATOR_URL).",
        )


async def _signed_in(database: Database) -> dict[str, Any]:
    async with database.control() as scope:
        row = await scope.one("roles.signed_in")
    assert row is not None
    return row
