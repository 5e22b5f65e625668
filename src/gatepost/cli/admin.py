"""``gatepost admin``: tenants and administrators, straight to the database."""

import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
JSON = typer.Option(False, "--json", help="Print JSON: one object a line.")
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

    with operator(data, operator_url_file) as url:
        made = administration.create_tenant(url, slug, name)
    print(json.dumps({"tenant": str(made), "slug": slug}))


@tenant.command("list")
def list_tenants(data: Path = DATA, operator_url_file: Path | None = OPERATOR, as_json: bool = JSON) -> None:
    """List all tenants."""
    from gatepost.service.app import administration

    with operator(data, operator_url_file) as url:
        _print(administration.list_tenants(url), as_json, ("slug", "name", "state"))


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
    with operator(data, operator_url_file) as url:
        made = administration.create_administrator(url, slug, name, password, role)
    print(json.dumps({"administrator": str(made), "name": name}))


@administrator.command("list")
def list_administrators(
    slug: str = TENANT, data: Path = DATA, operator_url_file: Path | None = OPERATOR, as_json: bool = JSON
) -> None:
    """List a tenant's administrators; times are in UTC."""
    from gatepost.service.app import administration

    with operator(data, operator_url_file) as url:
        found = administration.list_administrators(url, slug)
    _print(found, as_json, ("name", "roles", "made_at", "last_sign_in_at", "disabled_at"))


@administrator.command("password")
def set_password(
    slug: str = TENANT,
    name: str = typer.Option(..., "--name", help="The name to sign in with."),
    password_file: Path = typer.Option(..., "--password-file", help="File with the new password, on one line."),
    forget_passkeys: bool = typer.Option(False, "--forget-passkeys", help="Take the passkeys too: for who lost them."),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
) -> None:
    """Give an administrator another password, and end the sessions that were opened with the old one."""
    from gatepost.service.app import administration

    password = read_secret(password_file)
    with operator(data, operator_url_file) as url:
        ended = administration.set_password(url, slug, name, password, forget_passkeys=forget_passkeys)
    print(json.dumps({"name": name, "sessions_ended": ended}))


@ticket.command("create")
def create_ticket(
    file: Path = typer.Option(..., "--output", help="File to write the ticket to; must not exist; 0600."),
    slug: str = TENANT,
    organization: str = typer.Option(..., "--organization", help="Name of the Exchange organization."),
    url: str | None = typer.Option(None, "--url", help="The service's address, for the set-up command that is shown."),
    data: Path = DATA,
    key_file: Path | None = typer.Option(
        None, "--key-file", help="The service's key file. Default: service.key in --data."
    ),
    operator_url_file: Path | None = OPERATOR,
) -> None:
    """Make a ticket that enrols one connector within 24 hours, and tell the fingerprint of the service's key."""
    from gatepost.service.app import administration

    vault_file = ServiceSettings(data=data, key_file=key_file).vault_file
    with _new_secret_file(file) as handle, operator(data, operator_url_file) as operator_url:
        made, fingerprint = administration.create_ticket(operator_url, vault_file, slug, organization)
        os.write(handle, made.encode() + b"\n")
    print(json.dumps({"ticket_file": str(file), "organization": organization, "url": url, "fingerprint": fingerprint}))
    output.talk.print(
        "The ticket is valid once, for 24 hours. Carry the file to the connector's host and keep it secret. Tell the"
        " fingerprint on another way: it is how set-up knows the service. Then run there:"
    )
    words = ["gatepost", "connector", "setup", "--ticket-file", file.name, "--config", "connector.toml"]
    words += ["--service-fingerprint", fingerprint, *(["--service", url] if url else [])]
    output.talk.print(shlex.join(words), markup=False, soft_wrap=True)


def _print(rows: list[dict[str, Any]], as_json: bool, shown: tuple[str, ...]) -> None:
    if as_json:
        output.print_json_lines(rows)
    else:
        output.print_table(rows, shown)


@contextlib.contextmanager
def operator(data: Path, file: Path | None) -> Iterator[str]:
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
