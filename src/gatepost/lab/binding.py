"""Cmdlets as declarations, and the binding of what a client sent to their parameters.

PowerShell's rules, as far as a session without a language shows them: names without regard to case, unique beginnings
of names, positions, and conversion to the declared type or a terminating error.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from gatepost.lab import errors
from gatepost.lab.clixml import Shape
from gatepost.lab.values import UnfitError, convert

COMMON = frozenset(
    {
        "verbose", "debug", "erroraction", "warningaction", "informationaction", "errorvariable", "warningvariable",
        "informationvariable", "outvariable", "outbuffer", "pipelinevariable",
    }
)  # fmt: skip
"""What every cmdlet takes beside its own parameters, whatever the roles say."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, its .NET type by short name, and whether it is required or has a position.

    ``since`` names the first profile that has it; empty means all. A required parameter takes no null or empty text.
    """

    name: str
    type: str = "String"
    required: bool = False
    position: int | None = None
    since: str = ""


CONFIRM = Parameter("Confirm", "SwitchParameter")
WHAT_IF = Parameter("WhatIf", "SwitchParameter")


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One cmdlet: what runs, what it takes, the shape of what comes out (None: nothing).

    ``one_of`` are groups of parameters of which a call has at most one, ``any_of`` those of which it must have one.
    ``asks`` says whether it asks for confirmation by itself. ``since`` names the first profile that has it.
    """

    name: str
    run: Callable[[Any], Iterable[object]]
    parameters: tuple[Parameter, ...]
    shape: Shape | None = None
    one_of: tuple[tuple[str, ...], ...] = ()
    any_of: tuple[str, ...] = ()
    asks: bool = False
    since: str = ""

    @property
    def changes(self) -> bool:
        """Whether it is more than a reading: then it stands in the administrator audit log."""
        return not self.name.startswith(("Get-", "Select-"))

    @property
    def parameter_types(self) -> dict[str, str]:
        """Each parameter's type, as Get-Command shows it."""
        return {parameter.name: parameter.type for parameter in self.parameters}

    @property
    def definition(self) -> str:
        """The syntax in one line."""
        return " ".join([self.name, *(_usage(parameter) for parameter in self.parameters)])

    @property
    def sets(self) -> tuple[str, ...]:
        """The syntax of each parameter set."""
        return (" ".join(_usage(parameter) for parameter in self.parameters),)

    def only(self, wanted: Callable[[Parameter], bool]) -> Self:
        """The same cmdlet with fewer parameters."""
        return replace(self, parameters=tuple(filter(wanted, self.parameters)))


def _usage(parameter: Parameter) -> str:
    kind = "" if parameter.type == "SwitchParameter" else f" <{parameter.type}>"
    name = f"[-{parameter.name}]" if parameter.position is not None else f"-{parameter.name}"
    return f"{name}{kind}" if parameter.required else f"[{name}{kind}]"


@dataclass(slots=True)
class Arguments:
    """What a call was given, converted; names are the declared ones."""

    values: dict[str, Any] = field(default_factory=dict)
    stop: bool = False

    def text(self, name: str) -> str | None:
        """A text argument; empty text and null are both None, as the cmdlets treat them."""
        return self.values.get(name) or None

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")


def bind(cmdlet: Cmdlet, given: Sequence[tuple[str | None, Any]]) -> Arguments:
    """Match what was sent with the declaration. Raises CmdletError."""
    bound = Arguments()
    places = sorted((p.position, p) for p in cmdlet.parameters if p.position is not None)
    free = [parameter for _, parameter in places]
    for name, value in given:
        if name is None:
            parameter = next((p for p in free if p.name not in bound.values), None)
            if parameter is None:
                raise errors.unknown_position(cmdlet.name, str(value))
        else:
            plain = name.strip("-:").lower()
            if plain in COMMON:
                bound.stop = bound.stop or (plain == "erroraction" and str(value).lower() in {"stop", "1"})
                continue
            parameter = _named(cmdlet, plain)
        bound.values[parameter.name] = _converted(cmdlet, parameter, value)
    _check(cmdlet, bound.values)
    return bound


def _named(cmdlet: Cmdlet, name: str) -> Parameter:
    """The parameter of that name, or of that unique beginning."""
    exact = [p for p in cmdlet.parameters if p.name.lower() == name]
    found = exact or [p for p in cmdlet.parameters if p.name.lower().startswith(name)]
    if len(found) != 1:
        raise errors.unknown_parameter(cmdlet.name, name)
    return found[0]


def _check(cmdlet: Cmdlet, values: Mapping[str, Any]) -> None:
    """Required parameters are there, and of each group of alternatives no two."""
    missing = [p.name for p in cmdlet.parameters if p.required and p.name not in values]
    if not missing and cmdlet.any_of and not any(name in values for name in cmdlet.any_of):
        missing = [cmdlet.any_of[0]]
    if missing:
        raise errors.missing_parameters(cmdlet.name, " ".join(missing))
    for group in cmdlet.one_of:
        if sum(name in values for name in group) > 1:
            raise errors.ambiguous_parameters(cmdlet.name)


def _converted(cmdlet: Cmdlet, parameter: Parameter, value: Any) -> Any:  # noqa: ANN401 - whatever was sent
    """The value as the declared type. Raises CmdletError."""
    if parameter.required and value is None:
        raise errors.null_value(cmdlet.name, parameter.name)
    if parameter.required and value == "":
        detail = f'Cannot convert value "" to type "{parameter.type}". The value can\'t be empty.'
        raise errors.bad_value(cmdlet.name, parameter.name, detail)
    try:
        return convert(parameter.type, value)
    except UnfitError as error:
        raise errors.bad_value(cmdlet.name, parameter.name, str(error)) from error
