"""``gatepost service``: the multi-tenant service."""

import json
import logging
import os
from pathlib import Path

import typer

from gatepost.cli import output
from gatepost.settings import ServiceSettings, read_secret

app = typer.Typer(help="The multi-tenant service.", no_args_is_help=True)

DATA = typer.Option(Path("gatepost-data"), "--data", help="Folder of the service; holds its own PostgreSQL.")
URL_FILE = typer.Option(
    None,
    "--database-url-file",
    help="File with the URL of your PostgreSQL, for gatepost_app. Or GATEPOST_DATABASE_URL.",
)


@app.callback()
def group() -> None:
    """The multi-tenant service."""


def secret_of(file: Path | None, variable: str) -> str | None:
    """A secret from a file, else from an environment variable; None if neither is given."""
    return read_secret(file) if file else os.environ.get(variable) or None


@app.command()
def run(
    data: Path = DATA,
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on."),
    port: int = typer.Option(8443, "--port", help="Port to listen on; 0 takes a free one."),
    database_url_file: Path | None = URL_FILE,
    public_url: str | None = typer.Option(None, "--public-url", help="The address that people type, behind a proxy."),
    trusted_proxy: list[str] = typer.Option(
        ["127.0.0.1"],
        "--trusted-proxy",
        help="With --public-url: address or network of a proxy that says for whom it asks; may be repeated.",
    ),
    tls_certificate: Path | None = typer.Option(None, "--tls-certificate", help="Certificate chain, PEM."),
    tls_key: Path | None = typer.Option(None, "--tls-key", help="Private key, PEM."),
    key_file: Path | None = typer.Option(
        None,
        "--key-file",
        help="File with the key that seals secrets; made if missing. Default: service.key in --data.",
    ),
    packages: Path | None = typer.Option(
        None, "--packages", help="Folder with the connector's packages (make package). Default: packages in --data."
    ),
) -> None:
    """Serve. Prints one JSON line with the address when it is ready; ends on SIGTERM and Ctrl-C."""
    from gatepost.service import app as service

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = ServiceSettings(
        data=data,
        host=host,
        port=port,
        public_url=public_url,
        trusted_proxies=tuple(trusted_proxy),
        database_url=secret_of(database_url_file, "GATEPOST_DATABASE_URL"),
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        key_file=key_file,
        packages=packages,
    )
    service.run(settings, lambda url: print(json.dumps({"url": url}), flush=True))


@app.command()
def migrate(
    data: Path = DATA,
    owner_url_file: Path | None = typer.Option(
        None,
        "--owner-url-file",
        help="File with the URL of your PostgreSQL, for gatepost_owner. Or GATEPOST_OWNER_URL.",
    ),
) -> None:
    """Bring the database's schema up to date: your own PostgreSQL's, or the embedded one's in --data."""
    from gatepost.service.app import administration

    owner_url = secret_of(owner_url_file, "GATEPOST_OWNER_URL")
    if owner_url:
        revision = administration.migrate(owner_url)
    else:
        with administration.embedded_urls(ServiceSettings(data=data)) as urls:
            revision = administration.migrate(urls.owner)
    output.talk.print(f"The schema is at revision {revision}.")


@app.command()
def check(data: Path = DATA, database_url_file: Path | None = URL_FILE) -> None:
    """See whether the service could run here: the database answers and has the right schema."""
    from gatepost.service.app import administration

    app_url = secret_of(database_url_file, "GATEPOST_DATABASE_URL")
    if app_url:
        revision = administration.check(app_url)
    else:
        with administration.embedded_urls(ServiceSettings(data=data)) as urls:
            revision = administration.check(urls.app)
    output.talk.print(f"The database is ready, at revision {revision}.")
