"""Schema changes: Alembic keeps the order, plain SQL does the work. Forward only.

``upgrade`` runs as ``gatepost_owner``; it needs no configuration file. ``ensure_roles`` makes the three roles and runs
as a superuser: on a server that you administer yourself run it once, or create the roles by hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString

import psycopg
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gatepost.errors import DatabaseError

FOLDER = Path(__file__).parent
ADVISORY_LOCK = 0x6761_7465
ROLES: Mapping[str, LiteralString] = {
    "gatepost_owner": "NOBYPASSRLS",
    "gatepost_app": "NOBYPASSRLS",
    "gatepost_operator": "BYPASSRLS",
}


def head() -> str:
    """The revision that this version of Gatepost needs."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise DatabaseError("The package holds no migrations.", "Install Gatepost again.")
    return revision


def knows(revision: str) -> bool:
    """Whether this version of Gatepost can bring a database from this revision to ``head``."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def upgrade(owner_url: str) -> None:
    """Bring a database to ``head``; a second caller waits for the first. Raises DatabaseError."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(owner_url), poolclass=NullPool)
    config = _config()
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
            connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise _failed(error.orig) from error
    except CommandError as error:
        raise DatabaseError(
            f"The database is not one that this version of Gatepost knows: {error}.", "Install the newer version again."
        ) from error
    finally:
        engine.dispose()


def ensure_roles(superuser_url: str, passwords: Mapping[str, str], database: str = "gatepost") -> None:
    """Make the roles with these passwords, and the database with ``gatepost_owner`` as its owner. Runs again safely."""
    try:
        with psycopg.connect(superuser_url, autocommit=True) as connection:
            for role, right in ROLES.items():
                _ensure_role(connection, role, right, passwords[role])
            connection.execute("GRANT gatepost_app, pg_read_all_data TO gatepost_operator")
            name = sql.Identifier(database)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER gatepost_owner ENCODING 'UTF8' TEMPLATE template0").format(name)
                )
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
                grant = "GRANT CONNECT, TEMPORARY ON DATABASE {} TO gatepost_app, gatepost_operator"
                connection.execute(sql.SQL(grant).format(name))
    except psycopg.Error as error:
        raise _failed(error) from error


def run_sql(name: str) -> None:
    """Run a file of ``versions`` inside the running migration."""
    run_text((FOLDER / "versions" / name).read_text(encoding="utf-8"))


def run_text(text: str) -> None:
    """Run SQL text of several statements as it is: no parameters, so per cent signs stay."""
    op.get_bind().exec_driver_sql(text, execution_options={"no_parameters": True})


def _ensure_role(connection: psycopg.Connection, role: str, right: LiteralString, password: str) -> None:
    """A role with a password that only we know; the server is told its SCRAM verifier, never the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER {} PASSWORD {}").format(
        sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(role), sql.SQL(right), sql.Literal(verifier)
    )
    connection.execute(statement)


def _failed(error: BaseException | None) -> DatabaseError:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    message = (primary or str(error)).strip().splitlines()[0].rstrip(".")
    return DatabaseError(
        f"The database could not be brought up to date: {message}.",
        "Sign in as gatepost_owner for migrations; docs/operations.md names the roles and rights that are needed.",
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
