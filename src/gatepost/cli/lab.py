"""``gatepost lab``: an emulated Exchange organization on real ports."""

import typer

app = typer.Typer(help="An emulated Exchange organization on real ports.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """An emulated Exchange organization on real ports."""
