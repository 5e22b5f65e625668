"""``gatepost service``: the multi-tenant service."""

import typer

app = typer.Typer(help="The multi-tenant service.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The multi-tenant service."""
