"""``gatepost service backup``, ``restore`` and ``restored``."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from gatepost.cli import output
from gatepost.cli.admin import OPERATOR, operator
from gatepost.cli.service import DATA, secret_of
from gatepost.errors import SettingsError
from gatepost.settings import ServiceSettings

FILE = typer.Argument(..., help="The backup's file.")
KEY_FILE = typer.Option(
    None, "--key-file", help="File with the key that seals secrets. Default: service.key in --data."
)
POSTGRES_BIN = typer.Option(None, "--postgres-bin", help="Folder with pg_dump and pg_restore.")


def backup(
    file: Path = FILE,
    with_key: bool = typer.Option(False, "--with-key", help="Put the key file in too: the backup then gives all away."),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
    key_file: Path | None = KEY_FILE,
    postgres_bin: Path | None = POSTGRES_BIN,
) -> None:
    """Write everything into one new file (0600), while the service runs."""
    from gatepost.service.app import backup as service

    kept = ServiceSettings(data=data, key_file=key_file).vault_file
    with operator(data, operator_url_file) as url:
        manifest = service.make(url, file, kept if with_key else None, postgres_bin)
    print(json.dumps({"file": str(file), **asdict(manifest)}))
    output.talk.print(
        "The key file is in it: who has this file has every secret."
        if with_key
        else f"The key file{_named(kept)} is not in it: keep a copy of it elsewhere, without it secrets stay sealed.",
        markup=False,
        soft_wrap=True,
    )


def restore(
    file: Path = FILE,
    data: Path = DATA,
    owner_url_file: Path | None = typer.Option(
        None, "--owner-url-file", help="File with the URL of your empty database, for gatepost_owner."
    ),
    operator_url_file: Path | None = OPERATOR,
    key_file: Path | None = KEY_FILE,
    postgres_bin: Path | None = POSTGRES_BIN,
) -> None:
    """Bring a backup into an empty database: a new --data folder, or one of your own PostgreSQL."""
    from gatepost.service.app import backup as service

    kept = ServiceSettings(data=data, key_file=key_file).vault_file
    service.read(file)
    with _empty(data, owner_url_file, operator_url_file) as (owner_url, operator_url):
        manifest = service.restore(file, owner_url, operator_url, kept, postgres_bin)
    print(json.dumps({"file": str(file), "made_at": manifest.made_at, "tenants": manifest.tenants}))
    output.talk.print(
        "Restored, as another history: people sign in anew, tickets that were not used are void, and each connector"
        " begins with a full synchronisation when the service runs.",
        soft_wrap=True,
    )


def restored(data: Path = DATA, operator_url_file: Path | None = OPERATOR) -> None:
    """Tell the database that it was restored by other means, before the service runs on it again."""
    from gatepost.service.app import backup as service

    with operator(data, operator_url_file) as url:
        print(json.dumps({"incarnation": service.finish(url)}))


def _named(path: Path) -> str:
    """The key file's name to say, where it is here: with a database of one's own it may be on another machine."""
    return f" {path}" if path.exists() else " of the service"


@contextlib.contextmanager
def _empty(data: Path, owner_file: Path | None, operator_file: Path | None) -> Iterator[tuple[str, str]]:
    """The owner's and the operator's URL of the database to fill: your own, or a new embedded one, running."""
    from gatepost.service.app import administration

    owner, operating = secret_of(owner_file, "GATEPOST_OWNER_URL"), secret_of(operator_file, "GATEPOST_OPERATOR_URL")
    if bool(owner) != bool(operating):
        raise SettingsError(
            "A restore into your own PostgreSQL needs the URLs of gatepost_owner and of gatepost_operator.",
            "Give both --owner-url-file and --operator-url-file.",
        )
    if owner and operating:
        yield owner, operating
        return
    with administration.new_embedded(ServiceSettings(data=data)) as urls:
        yield urls.owner, urls.operator
