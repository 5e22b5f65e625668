"""``gatepost connector``: the agent beside Exchange."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from gatepost.cli import output
from gatepost.cli.doctor import print_checks, print_json
from gatepost.domain.checks import Level, worst
from gatepost.errors import SettingsError
from gatepost.settings import MODES, ConnectorSettings, load

if TYPE_CHECKING:
    from gatepost.connector.agent import Report, State

app = typer.Typer(help="The agent beside Exchange.", no_args_is_help=True)

CONFIG = typer.Option(..., "--config", metavar="FILE", help="The connector's settings, as TOML.")
JSON = typer.Option(False, "--json", help="Print JSON.")
FINDINGS, HELD, ENDED = 3, 4, 6


@app.callback()
def group() -> None:
    """The agent beside Exchange."""


class Bar:
    """Progress on a terminal; on anything else it shows nothing."""

    STAGES = {  # noqa: RUF012
        "mailboxes": "Listing mailboxes",
        "devices": "Listing devices",
        "sending": "Sending",
        "statistics": "Reading statistics",
    }

    def __init__(self) -> None:
        self._task: TaskID | None = None
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=output.talk,
            disable=not output.talk.is_terminal,
        )

    def __enter__(self) -> Self:
        """Show it."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave what was reached on the screen."""
        self._finish()
        self._bar.stop()

    def stage(self, name: str, total: int | None) -> None:
        """A line for each stage; one without a known total spins until the next begins."""
        self._finish()
        self._task = self._bar.add_task(self.STAGES.get(name, name), total=total)

    def advance(self, count: int) -> None:
        """So many more are done."""
        if self._task is not None:
            self._bar.advance(self._task, count)

    def _finish(self) -> None:
        if self._task is not None:
            [task] = [task for task in self._bar.tasks if task.id == self._task]
            if task.total is None:
                self._bar.update(self._task, total=max(task.completed, 1), completed=max(task.completed, 1))
            self._bar.stop_task(self._task)


@app.command()
def sync(
    config: Path = CONFIG,
    full: bool = typer.Option(False, "--full", help="Tell everything (the default)."),
    quick: bool = typer.Option(False, "--quick", help="Tell what changed, then read statistics that are due."),
    as_json: bool = JSON,
) -> None:
    """Take the inventory now, tell the service, and do what is desired where the mode is enforce.

    Exit code 4 where the service's guard holds the inventory, or no lease permits a write.
    """
    from gatepost.connector.agent import COMMAND_PATIENCE, Agent, Scope, start_process

    if full and quick:
        raise typer.BadParameter("choose one of --full and --quick")
    start_process(quiet=output.talk.is_terminal)
    settings = load(ConnectorSettings, config)
    with Bar() as bar, Agent(settings, patience=COMMAND_PATIENCE, progress=bar) as agent:
        report = agent.sync(Scope.QUICK if quick else Scope.FULL)
        looked = agent.work()
        statistics = agent.statistics() if quick and report.state == "sealed" else {}
    _print_report(report, looked, statistics, as_json)
    if report.state == "held":
        raise typer.Exit(HELD)


def _print_report(report: "Report", looked: Mapping[str, int], statistics: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report) | {"looked": dict(looked), "statistics": dict(statistics)}))
        return
    told = f"{report.sent_devices} devices and {report.sent_mailboxes} mailboxes told"
    print(f"{report.scope} synchronisation {report.state} in {report.seconds['total']:.1f} s: {told}")
    here, elsewhere = report.mailboxes - report.elsewhere, f", {report.elsewhere} elsewhere" if report.elsewhere else ""
    print(f"{report.devices} devices, {here} mailboxes in Exchange{elsewhere}")
    for count, what in ((report.unreadable, "unreadable"), (report.mended, "mended"), (report.rejected, "rejected")):
        if count:
            print(f"{count} {what}")
    if report.why:
        print(f"held: {report.why}")
    if looked:
        print("mailboxes looked at: " + ", ".join(f"{count} {word}" for word, count in sorted(looked.items())))
    if any(statistics.values()):
        print("statistics: " + ", ".join(f"{count} {word}" for word, count in statistics.items()))


@app.command()
def run(config: Path = CONFIG) -> None:
    """Work until stopped: synchronise on time, check in, and be woken by the service."""
    from gatepost.connector.agent import Agent, start_process

    start_process()
    with Agent(load(ConnectorSettings, config)) as agent:
        agent.run()


@app.command()
def status(config: Path = CONFIG, as_json: bool = JSON) -> None:
    """What this connector's folder tells of it, running or not. Exit code 6 where it was replaced or removed."""
    from gatepost.connector.agent import status as look

    found = look(load(ConnectorSettings, config))
    state = asdict(found)
    if as_json:
        print(json.dumps(state))
    else:
        width = max(map(len, state))
        for name, value in state.items():
            print(f"{name.replace('_', ' '):<{width}}  {_shown(value)}")
        _say_running_mode(found, found.mode)
    if found.ended is not None:
        output.talk.print(f"This connector was replaced: {found.ended}", markup=False, soft_wrap=True)
        raise typer.Exit(ENDED)


def _say_running_mode(state: "State", wanted: str) -> bool:
    """Say so where a connector runs in another mode than its settings say; whether that is so."""
    differs = state.running_mode not in {None, wanted}
    if differs:
        output.talk.print(
            f"The connector that runs goes on with {state.running_mode}: start it again.", markup=False, soft_wrap=True
        )
    return differs


def _shown(value: object) -> object:
    """A value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


@app.command()
def doctor(
    config: Path = CONFIG,
    send_test: str | None = typer.Option(
        None, "--send-test", metavar="ADDRESS", help="Send one test notice to this address."
    ),
    as_json: bool = JSON,
) -> None:
    """Check this connector and all that it needs; each finding says what, why it matters, and what to do.

    It reads only, and works before set-up, beside a running connector, and while things are away. It takes a minute at
    the most. Exit code 3 where something is bad.
    """
    from gatepost.connector.doctor import examine

    if send_test is not None and send_test.strip("@").count("@") != 1:
        raise typer.BadParameter("give one address, such as someone@example.com", param_hint="--send-test")
    settings = load(ConnectorSettings, config)
    with output.talk.status("Looking") as looking:
        checks = examine(settings, progress=lambda check: looking.update(f"Looking: {check.name}"), send_test=send_test)
    if as_json:
        print_json(checks)
    else:
        print_checks(checks)
    if worst(checks) is Level.BAD:
        raise typer.Exit(FINDINGS)


@app.command()
def mode(
    wanted: str = typer.Argument(..., metavar="observe|enforce", help="What this connector may do at Exchange."),
    config: Path = CONFIG,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = JSON,
) -> None:
    """Let this connector write to Exchange (enforce), or not (observe). It counts when the connector starts again."""
    from gatepost.connector.agent import status as look
    from gatepost.connector.setup import set_mode

    if wanted not in MODES:
        raise typer.BadParameter(f"choose one of {', '.join(MODES)}")
    state = look(load(ConnectorSettings, config))
    if state.ended is not None:
        raise SettingsError(f"This connector was replaced: {state.ended}", "Enrol again with a new ticket.")
    if wanted == "enforce" and not yes:
        output.talk.print(_follows(state), markup=False)
        typer.confirm("Write to Exchange from now on?", abort=True, err=True)
    set_mode(config, wanted)
    if as_json:
        print(json.dumps({"mode": wanted, "before": state.mode, "running": state.running}))
    if not _say_running_mode(state, wanted) and not as_json:
        print(f"mode {wanted}, {'as the running connector has it' if state.running else 'from the next start'}")


def _follows(state: "State") -> str:
    """What follows from writing, for who is asked."""
    scope = "all mailboxes" if "*" in state.scope else ", ".join(state.scope) or "no mailbox"
    return (
        f"The connector will change the lists of allowed and blocked devices of {scope}.\n"
        f"At most {state.ceiling} writes an hour may take access away.\n"
        f"As last read, {state.pending} devices do not stand as the service desires."
    )
