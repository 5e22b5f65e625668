"""``gatepost service``: the multi-tenant service."""

import json
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
KEY_FILE = typer.Option(
    None,
    "--key-file",
    help="File with the key that seals secrets; made if missing. Default: service.key in --data.",
)


@app.callback()
def group() -> None:
    """The multi-tenant service."""


def credential(name: str) -> Path | None:
    """The file in which systemd hands over this credential (``gatepost.<name>``), None where it does not."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / f"gatepost.{name}" if folder else None
    return path if path and path.exists() else None


def secret_of(file: Path | None, variable: str) -> str | None:
    """A secret from a file, else from systemd's credentials, else from an environment variable; None if nowhere."""
    file = file or credential(variable.removeprefix("GATEPOST_").lower().replace("_", "-"))
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
    key_file: Path | None = KEY_FILE,
    packages: Path | None = typer.Option(
        None, "--packages", help="Folder with the connector's packages (make package). Default: packages in --data."
    ),
    mail_relay: str | None = typer.Option(
        None, "--mail-relay", help="Host and port of the SMTP relay that alerts leave by; not this Exchange."
    ),
    mail_from: str | None = typer.Option(None, "--mail-from", help="The address that alerts come from."),
    mail_user: str | None = typer.Option(None, "--mail-user", help="Who signs in at the relay."),
    mail_password_file: Path | None = typer.Option(None, "--mail-password-file", help="Its password, in a file."),
    mail_security: str = typer.Option("starttls", "--mail-security", help="starttls, tls, or none on this machine."),
    alert_network: list[str] = typer.Option(
        [], "--alert-network", help="A private network in which webhooks and syslog servers may be; may be repeated."
    ),
    alert_ca_file: Path | None = typer.Option(
        None, "--alert-ca-file", help="Authorities of the relay, webhooks and syslog servers, beside the system's; PEM."
    ),
    log_format: str | None = typer.Option(
        None, "--log-format", help="json or text, on stderr. Default: text on a terminal, else json."
    ),
) -> None:
    """Serve. Prints one JSON line with the address (and its data folder) when it is ready; ends on SIGTERM, Ctrl-C."""
    from gatepost.service import app as service

    settings = ServiceSettings(
        data=data,
        host=host,
        port=port,
        public_url=public_url,
        trusted_proxies=tuple(trusted_proxy),
        database_url=secret_of(database_url_file, "GATEPOST_DATABASE_URL"),
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        key_file=key_file or credential("key"),
        packages=packages,
        mail_relay=mail_relay,
        mail_from=mail_from,
        mail_user=mail_user,
        mail_password_file=mail_password_file,
        mail_security=mail_security,
        alert_networks=tuple(alert_network),
        alert_ca_file=alert_ca_file,
    )
    service.start_log(log_format, settings)
    place = {} if settings.database_url else {"data": str(data.absolute())}
    service.run(settings, lambda url: print(json.dumps({"url": url, **place}), flush=True))


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
def check(data: Path = DATA, database_url_file: Path | None = URL_FILE, key_file: Path | None = KEY_FILE) -> None:
    """See whether the service could run here: the database answers, with the right schema, role and key file."""
    from gatepost.service.app import administration

    settings = ServiceSettings(data=data, key_file=key_file or credential("key"))
    app_url = secret_of(database_url_file, "GATEPOST_DATABASE_URL")
    if app_url:
        revision = administration.check(app_url, settings.vault_file)
    else:
        with administration.embedded_urls(settings) as urls:
            revision = administration.check(urls.app, settings.vault_file)
    output.talk.print(f"The database is ready, at revision {revision}.")
