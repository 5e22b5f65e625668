"""``gatepost lab``: an emulated Exchange organization on real ports."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import typer

from gatepost.cli.output import talk
from gatepost.settings import LabSettings

app = typer.Typer(help="An emulated Exchange organization on real ports.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """An emulated Exchange organization on real ports."""


@app.command()
def exchange(
    port: int = typer.Option(0, "--port", help="Port for plain HTTP; 0 lets the system choose."),
    https_port: int = typer.Option(0, "--https-port", help="Port for HTTPS; 0 lets the system choose."),
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on."),
    devices: int = typer.Option(1_000, "--devices", min=0, help="How many mobile devices the organization has."),
    seed: int = typer.Option(1, "--seed", help="The same seed gives the same organization."),
    profile: str = typer.Option("2019", "--profile", help="2010sp1, 2013, 2016, 2019 or se."),
    story_every: float = typer.Option(
        0.0, "--story-every", min=0.0, help="Seconds between changes; 0 changes nothing."
    ),
    latency: float = typer.Option(0.0, "--latency", min=0.0, help="Seconds that every cmdlet takes at least."),
    replication: float = typer.Option(
        0.0, "--replication", min=0.0, help="Seconds until a change has reached the other domain controllers."
    ),
    effect: float = typer.Option(
        LabSettings().effect, "--effect", min=0.0, help="Seconds until a phone talks again after a change."
    ),
    role: list[str] = typer.Option(
        [], "--role", help="A management role of the account, or one entry of it; give it again for more (docs/lab.md)."
    ),
    keytab: Path | None = typer.Option(None, "--keytab", help="The key of the endpoint's service principal."),
    folder: Path | None = typer.Option(None, "--folder", help="Folder for certificate and password, which stay."),
    password_file: Path | None = typer.Option(None, "--password-file", help="A password to use, in a file."),
    projection: bool = typer.Option(True, "--projection/--no-projection", help="Whether Select-Object can be used."),
    dialect: str = typer.Option("", "--dialect", help="Names of lawful oddities, joined by commas (docs/lab.md)."),
    fault: str = typer.Option("", "--fault", help="Names of things that go wrong, joined by commas (docs/lab.md)."),
    hands: bool = typer.Option(
        False, "--hands", help="Do what standard input says, one JSON object a line (docs/lab.md)."
    ),
) -> None:
    """Run an emulated Exchange until Ctrl-C. Prints one line of JSON when it is ready."""
    from gatepost.lab.server import named_lab

    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    settings = LabSettings(
        devices=devices,
        seed=seed,
        host=host,
        port=port,
        https_port=https_port,
        profile=profile,
        folder=folder,
        password_file=password_file,
        projection=projection,
        latency=latency,
        story_every=story_every,
        replication=replication,
        effect=effect,
        roles=tuple(role),
        keytab=keytab,
    )
    with named_lab(settings, dialect, fault) as lab:
        ready = {
            "http_url": lab.http_url,
            "https_url": lab.https_url,
            "ca_file": str(lab.ca_file),
            "user": lab.user,
            "password_file": str(lab.password_file),
            "ews_url": lab.ews_url,
            "mail_account": lab.mail.account,
        }
        print(json.dumps(ready), flush=True)
        talk.print(f"An Exchange organization with {devices:,} devices is ready. Ctrl-C stops it.", highlight=False)
        if hands:
            threading.Thread(target=_serve, args=(lab.act,), name="hands", daemon=True).start()
        stop.wait()


def _serve(act: Callable[[str], str]) -> None:
    """Answer each line of standard input on standard output; its end ends nothing else."""
    for line in sys.stdin:
        print(act(line.strip()), flush=True)
