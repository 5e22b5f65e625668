"""``gatepost exchange``: straight to Exchange, reads only."""

import typer

app = typer.Typer(help="Straight to Exchange, reads only.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Straight to Exchange, reads only."""
