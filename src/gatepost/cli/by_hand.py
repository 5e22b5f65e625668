"""``gatepost connector allow``: one phone, by hand, while the service is away."""

import getpass
import json
from pathlib import Path

import typer

from gatepost.cli import output
from gatepost.cli.connector import CONFIG, JSON
from gatepost.settings import ConnectorSettings, load


def allow(
    device: str = typer.Argument(..., metavar="DEVICE", help="The device's id, as Exchange and the phone show it."),
    config: Path = CONFIG,
    mailbox: str | None = typer.Option(None, "--mailbox", metavar="ADDRESS", help="Whose phone it is."),
    even_so: bool = typer.Option(False, "--even-so", help="Although the service answers."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = JSON,
) -> None:
    """Allow one phone by hand in an emergency: while the service is away, and nobody can pin it there.

    The entry is yours, not Gatepost's: it stays until somebody takes it off. The service is told when it is back.
    """
    from gatepost.connector import emergency

    settings = load(ConnectorSettings, config)
    target = emergency.find(settings, device, mailbox)
    if not even_so:
        emergency.refuse_where_needless(settings)
    if not yes:
        output.talk.print(f"Allow {target.device} ({target.device_id}) for {target.address}.", markup=False)
        typer.confirm("Write this to Exchange now?", abort=True, err=True)
    lists = emergency.allow(settings, target, getpass.getuser())
    if as_json:
        told = {"mailbox": target.address, "device_id": target.device_id, "controller": lists.controller}
        print(json.dumps(told | {"allowed_ids": lists.allowed, "blocked_ids": lists.blocked}))
    else:
        print(f"{target.device_id} is on the allowed list of {target.address}, as read back.")
