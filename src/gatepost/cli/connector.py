"""``gatepost connector``: the agent beside Exchange."""

import typer

app = typer.Typer(help="The agent beside Exchange.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The agent beside Exchange."""
