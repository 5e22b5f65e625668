"""``gatepost admin``: tenants and administrators, straight to the database."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import typer

from gatepost.cli import output
from gatepost.cli.service import DATA, secret_of
from gatepost.errors import SettingsError
from gatepost.settings import ServiceSettings, read_secret

app = typer.Typer(help="Tenants and administrators, straight to the database.", no_args_is_help=True)
tenant = typer.Typer(help="Tenants.", no_args_is_help=True)
administrator = typer.Typer(help="Administrators of a tenant.", no_args_is_help=True)
ticket = typer.Typer(help="Tickets: each enrols one connector.", no_args_is_help=True)
app.add_typer(tenant, name="tenant")
app.add_typer(administrator, name="administrator")
app.add_typer(ticket, name="ticket")

OPERATOR = typer.Option(
    None,
    "--operator-url-file",
    help="File with the URL of your PostgreSQL, for gatepost_operator. Or GATEPOST_OPERATOR_URL. Default: --data.",
)
TENANT = typer.Option(..., "--tenant", help="The tenant's short name.")


@app.callback()
def group() -> None:
    """Tenants and administrators, straight to the database."""


@tenant.command("create")
def create_tenant(
    slug: str = typer.Option(..., "--slug", help="Short name: a-z, 0-9 and hyphens."),
    name: str = typer.Option(..., "--name", help="Name as people read it."),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
) -> None:
    """Make a tenant."""
    from gatepost.service.app import administration

    with _operator(data, operator_url_file) as url:
        made = administration.create_tenant(url, slug, name)
    print(json.dumps({"tenant": str(made), "slug": slug}))


@administrator.command("create")
def create_administrator(
    slug: str = TENANT,
    name: str = typer.Option(..., "--name", help="The name to sign in with."),
    password_file: Path = typer.Option(..., "--password-file", help="File with the password, on one line."),
    role: list[str] = typer.Option(["administrator"], "--role", help="Role; may be given more than once."),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
) -> None:
    """Make an administrator with a password."""
    from gatepost.service.app import administration

    password = read_secret(password_file)
    with _operator(data, operator_url_file) as url:
        made = administration.create_administrator(url, slug, name, password, role)
    print(json.dumps({"administrator": str(made), "name": name}))


@ticket.command("create")
def create_ticket(
    file: Path = typer.Option(..., "--output", help="File to write the ticket to; must not exist; 0600."),
    slug: str = TENANT,
    organization: str = typer.Option(..., "--organization", help="Name of the Exchange organization."),
    url: str | None = typer.Option(None, "--url", help="The service's address, for the command that is shown."),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
) -> None:
    """Make a ticket that enrols one connector within 24 hours."""
    from gatepost.service.app import administration

    with _new_secret_file(file) as handle, _operator(data, operator_url_file) as operator_url:
        os.write(handle, administration.create_ticket(operator_url, slug, organization).encode() + b"\n")
    print(json.dumps({"ticket_file": str(file), "organization": organization, "url": url}))
    output.talk.print(
        "The ticket is valid once, for 24 hours. Carry the file to the connector's host and keep it secret."
    )


@contextlib.contextmanager
def _operator(data: Path, file: Path | None) -> Iterator[str]:
    """The operator's URL: of your own database, or of the embedded one, running."""
    from gatepost.service.app import administration

    if url := secret_of(file, "GATEPOST_OPERATOR_URL"):
        yield url
        return
    with administration.embedded_urls(ServiceSettings(data=data)) as urls:
        yield urls.operator


@contextlib.contextmanager
def _new_secret_file(path: Path) -> Iterator[int]:
    """A new file that only we may read, gone again if what follows fails. Raises SettingsError."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise SettingsError(
            f"The file {path} cannot be made: {error.strerror}.", "Name one that is not there."
        ) from error
    try:
        yield handle
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(handle)
