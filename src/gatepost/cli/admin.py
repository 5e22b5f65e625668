"""``gatepost admin``: tenants and administrators, straight to the database."""

import typer

app = typer.Typer(help="Tenants and administrators, straight to the database.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Tenants and administrators, straight to the database."""
