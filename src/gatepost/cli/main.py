"""The root of the command line: its groups, and how an error becomes words and an exit code."""

import sys

import typer

from gatepost import __version__
from gatepost.cli import admin, audit, backup, by_hand, connector, exchange, lab, output, service, setup
from gatepost.cli.demo import demo
from gatepost.errors import GatepostError

app = typer.Typer(
    name="gatepost",
    help="Decides which phones may read mail from an on-premises Exchange server, and makes Exchange obey.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


connector.app.command("allow")(by_hand.allow)
connector.app.command("setup")(setup.setup)
service.app.add_typer(audit.app, name="audit")
for command in (backup.backup, backup.restore, backup.restored):
    service.app.command()(command)
for name, group in (
    ("service", service.app),
    ("admin", admin.app),
    ("connector", connector.app),
    ("exchange", exchange.app),
    ("lab", lab.app),
):
    app.add_typer(group, name=name)
app.command("demo")(demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Decides which phones may read mail from an on-premises Exchange server, and makes Exchange obey."""


def _left_out(module: str) -> GatepostError:
    """The error of a command whose program was not installed with the others, such as the service's beside Exchange."""
    return GatepostError(
        f"This command needs {module}, which is not installed here.",
        "A connector's machine has the commands connector and exchange. Run this one where the service is installed.",
    )


def main() -> None:
    """Run the command line. Errors of ours print cause and remedy on stderr and set the exit code."""
    try:
        app()
    except GatepostError as error:
        output.say_error(error)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "gatepost":
            raise
        output.say_error(_left_out(str(error.name)))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
