"""``gatepost service audit``: the trail of what happened, verified and taken out."""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from gatepost.cli import output
from gatepost.cli.admin import JSON, OPERATOR, operator
from gatepost.cli.service import DATA

app = typer.Typer(help="The audit trail of a tenant.", no_args_is_help=True)
SHOWN = 50


@app.callback()
def group() -> None:
    """The audit trail of a tenant."""


@app.command()
def verify(
    tenant: str | None = typer.Option(None, "--tenant", help="The tenant's short name. Default: every tenant."),
    file: Path | None = typer.Option(None, "--file", help="Verify this export in place of the database."),
    against: Path | None = typer.Option(
        None, "--against", help="An earlier export of the tenant: what it holds must still be there."
    ),
    fingerprint: str | None = typer.Option(
        None, "--fingerprint", help="Fingerprint that the tenant's key must have, as told at a connector's set-up."
    ),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
    as_json: bool = JSON,
) -> None:
    """See that nothing in the trail was changed, moved, put in or taken away. Exit code 1 where something was."""
    from gatepost.service.app import auditing

    if file:
        verdicts = [auditing.verify_file(file, fingerprint)]
    else:
        with operator(data, operator_url_file) as url:
            verdicts = auditing.verify(url, tenant, against, fingerprint)
    for verdict in verdicts:
        _tell(verdict.document(), as_json)
    if any(verdict.flaws for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def export(
    tenant: str = typer.Option(..., "--tenant", help="The tenant's short name."),
    data: Path = DATA,
    operator_url_file: Path | None = OPERATOR,
) -> None:
    """Print a tenant's trail as JSON lines, with all that is needed to verify it elsewhere."""
    from gatepost.service.app import auditing

    with operator(data, operator_url_file) as url:
        auditing.export(url, tenant, lambda value: print(json.dumps(value)))
    sys.stdout.flush()


def _tell(verdict: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json_lines([verdict])
        return
    flaws = verdict["flaws"]
    for flaw in flaws[:SHOWN]:
        print(f"{verdict['tenant']}: event {flaw['seq']} ({flaw['event_id']}): {flaw['what']}")
    if len(flaws) > SHOWN:
        print(f"{verdict['tenant']}: and {len(flaws) - SHOWN} more")
    state = f"{_counted(len(flaws), 'flaw')} found" if flaws else "in order"
    print(
        f"{verdict['tenant']}: {_counted(verdict['events'], 'event')},"
        f" {_counted(verdict['checkpoints'], 'signed checkpoint')}: {state}."
        f" Last hash {verdict['chain_hash'] or '-'}; key {verdict['fingerprint'] or '-'}"
    )


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
