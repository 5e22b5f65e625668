"""Pipelines of a session without a language: one cmdlet, perhaps ``Select-Object`` behind it, constants as arguments.

What comes out is lazy: rows are rendered as the client receives them.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from gatepost.lab import errors
from gatepost.lab.binding import Arguments, Cmdlet, Parameter, bind
from gatepost.lab.calls import Ask, Call, Session
from gatepost.lab.clixml import Choice, Plan, Shape
from gatepost.lab.cmdlets import CMDLETS
from gatepost.lab.dialects import Dialect
from gatepost.lab.faults import Faults
from gatepost.lab.organization import Organization
from gatepost.lab.profiles import PROFILES, cmdlets_of
from gatepost.lab.roles import granted
from gatepost.lab.thresholds import first_thresholds
from gatepost.lab.variety import spoil, variants, vary


class Command(Protocol):
    """One command of a pipeline as psrpcore reads it."""

    command_text: str
    is_script: bool
    parameters: list[tuple[str | None, Any]]
    end_of_statement: bool


class Logged(NamedTuple):
    """One cmdlet that was run: an independent witness of what a client did. ``at`` is Unix time."""

    cmdlet: str
    parameters: dict[str, Any]
    user: str
    shell: str
    at: float
    controller: str = ""


class Audited(NamedTuple):
    """One entry of the administrator audit log, which has every cmdlet that is not a Get-; ``at`` is Unix time.

    ``object`` is what was changed, empty if it was never found; ``error`` says why it was not done, in English.
    """

    cmdlet: str
    parameters: dict[str, Any]
    user: str
    controller: str
    object: str
    succeeded: bool
    error: str
    at: float


@dataclass(slots=True)
class Output:
    """What a pipeline gives: rows being rendered, and what is said beside them."""

    objects: Iterator[bytes]
    warnings: list[str] = field(default_factory=list)
    failures: list[tuple[str, errors.CmdletError]] = field(default_factory=list)


def _nothing(_call: Call) -> Iterable[object]:
    """Select-Object by itself has nothing to select from."""
    return ()


SELECT = Cmdlet(
    "Select-Object",
    _nothing,
    (
        Parameter("Property", "Object[]", position=0),
        Parameter("ExcludeProperty", "String[]"),
        Parameter("First", "Int32"),
        Parameter("InputObject", "PSObject"),
    ),
)
"""Stands behind a cmdlet; what it does is in how the rows are rendered."""


REMEMBERED = 100_000
"""How many calls the log holds; a lab may run for weeks."""


def nobody(question: str) -> bool:
    """Ask nobody: a client without a host. Raises CmdletError."""
    raise errors.no_host(question)


class Engine:
    """Runs pipelines on one organization; shared by all shells."""

    def __init__(
        self,
        organization: Organization,
        *,
        profile: str,
        roles: Sequence[str] = (),
        shell_limit: int = 18,
        projection: bool,
        dialect: Dialect,
        faults: Faults,
    ) -> None:
        self.organization = organization
        self.dialect = dialect
        self.faults = faults
        self.projection = projection
        self.calls: deque[Logged] = deque(maxlen=REMEMBERED)
        self.audit: deque[Audited] = deque(maxlen=REMEMBERED)
        named = PROFILES[profile].named_errors
        self.voice = errors.Voice(
            dialect.language, organization.servers[0].name if named else None, passed_on=dialect.passed_on
        )
        self.granted = granted(cmdlets_of(profile, CMDLETS), roles)
        self._shell_limit = shell_limit
        self._thresholds = first_thresholds()
        if projection:
            self.granted.append(SELECT)
        self._by_name = {cmdlet.name.lower(): cmdlet for cmdlet in self.granted}
        self._plans: dict[tuple[str, Choice], list[Plan]] = {}
        self._lock = threading.Lock()

    def run(
        self, commands: Sequence[Command], session: Session, shell: str, *, full: bool, ask: Ask = nobody
    ) -> Output:
        """Run a pipeline's statements; ``ask`` reaches a person. Raises CmdletError for what ends it as failed."""
        if any(command.is_script for command in commands):
            raise errors.script_refused()
        output = Output(iter(()))
        parts = [self._statement(part, session, shell, output, ask, full=full) for part in _statements(commands)]
        output.objects = (data for part in parts for data in part)
        return output

    def _statement(
        self, commands: Sequence[Command], session: Session, shell: str, output: Output, ask: Ask, *, full: bool
    ) -> Iterator[bytes]:
        """Run one statement: its first cmdlet, then what stands behind."""
        cmdlet = self._find(commands[0].command_text)
        for command in commands[1:]:
            self._check_behind(command.command_text)
        arguments = bind(cmdlet, commands[0].parameters)
        chosen = [self._selection(command) for command in commands[1:]]
        call = self._call(cmdlet, session, arguments, ask)
        self._log(cmdlet, arguments.values, session, shell, call.controller)
        for values in chosen:
            self._log(SELECT, values, session, shell)
        rows = self._carry_out(call)
        output.warnings += call.warnings
        output.failures += [(cmdlet.name, error) for error in call.failures]
        if cmdlet.shape is None:
            return iter(())
        return self._render(rows, cmdlet.shape, chosen, full=full)

    def _call(self, cmdlet: Cmdlet, session: Session, arguments: Arguments, ask: Ask) -> Call:
        return Call(
            cmdlet,
            self.organization,
            session,
            arguments,
            granted=self.granted,
            dialect=self.dialect,
            voice=self.voice,
            ask=ask,
            thresholds=self._thresholds,
            shell_limit=self._shell_limit,
        )

    def _carry_out(self, call: Call) -> Iterable[object]:
        """Run a cmdlet; what is more than a reading is audited, also if it fails. Raises CmdletError."""
        error: errors.CmdletError | None = None
        try:
            return call.cmdlet.run(call)
        except errors.CmdletError as raised:
            error = raised
            if raised.fatal or call.arguments.stop:
                raise
            call.failures.append(raised)
            return ()
        finally:
            if call.cmdlet.changes:
                why = str(error or next(iter(call.failures), ""))
                values, user = dict(call.arguments.values), call.session.user
                self.audit.append(
                    Audited(
                        call.cmdlet.name,
                        values,
                        user,
                        call.written_at or call.controller,
                        call.touched,
                        not why,
                        why,
                        time.time(),
                    )
                )

    def _render(
        self, rows: Iterable[object], shape: Shape, chosen: list[dict[str, Any]], *, full: bool
    ) -> Iterator[bytes]:
        selected: tuple[str, ...] | None = None
        for values in chosen:
            names = values.get("Property")
            if names:
                selected = _chosen_names(names, shape, selected)
            if values.get("First") is not None:
                rows = list(rows)[: values["First"]]
        return spoil(rows, self._plans_for(shape, Choice(full, selected)), self.faults)

    def _plans_for(self, shape: Shape, choice: Choice) -> list[Plan]:
        """The plans of a shape and choice; made once, for making one costs more than a row."""
        key = (shape.types[0], choice)
        with self._lock:
            if key not in self._plans:
                if len(self._plans) > 200:
                    self._plans.clear()
                self._plans[key] = [
                    Plan(vary(shape, self.dialect, number), choice) for number in range(variants(self.dialect))
                ]
            return self._plans[key]

    def _find(self, name: str) -> Cmdlet:
        cmdlet = self._by_name.get(name.lower())
        if cmdlet is None or cmdlet is SELECT:
            raise errors.unknown_command(name)
        return cmdlet

    def _check_behind(self, name: str) -> None:
        if not self.projection or name.lower() not in {"select-object", "select"}:
            raise errors.unknown_command(name)

    def _selection(self, command: Command) -> dict[str, Any]:
        """The arguments of Select-Object; a narrow endpoint takes only so many names."""
        values = bind(SELECT, command.parameters).values
        given, most = len(values.get("Property", ())), self.dialect.select_limit
        if most and given > most:
            raise errors.too_many_values(SELECT.name, "Property", given, most)
        return values

    def _log(self, cmdlet: Cmdlet, values: dict[str, Any], session: Session, shell: str, controller: str = "") -> None:
        self.calls.append(Logged(cmdlet.name, dict(values), session.user, shell, time.time(), controller))


def _statements(commands: Sequence[Command]) -> Iterator[list[Command]]:
    """The commands by statement."""
    statement: list[Command] = []
    for command in commands:
        statement.append(command)
        if command.end_of_statement:
            yield statement
            statement = []
    if statement:
        yield statement


def _chosen_names(names: Sequence[str], shape: Shape, before: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names that Select-Object leaves; ``*`` means all there were."""
    everything = before or tuple(prop.name for prop in shape.properties)
    chosen: dict[str, str] = {}
    for name in names:
        for found in everything if name == "*" else (name,):
            chosen.setdefault(found.lower(), found)
    return tuple(chosen.values())
