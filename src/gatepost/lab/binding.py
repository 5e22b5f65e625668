"""Cmdlets as declarations, and the binding of what a client sent to their parameters.

PowerShell's rules, as far as a session without a language shows them: names without regard to case, unique beginnings
of names, positions, and conversion to the declared type or a terminating error.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatepost.lab import errors
from gatepost.lab.clixml import Shape

COMMON = frozenset(
    {
        "verbose", "debug", "erroraction", "warningaction", "informationaction", "errorvariable", "warningvariable",
        "informationvariable", "outvariable", "outbuffer", "pipelinevariable", "confirm", "whatif",
    }
)  # fmt: skip
"""What every cmdlet takes beside its own parameters."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, its .NET type by short name, and whether it is required or has a position."""

    name: str
    type: str = "String"
    required: bool = False
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One cmdlet: what runs, what it takes, the shape of what comes out (None: nothing), which profiles lack it."""

    name: str
    run: Callable[[Any], Iterable[object]]
    parameters: tuple[Parameter, ...]
    shape: Shape | None = None
    one_of: tuple[tuple[str, ...], ...] = ()
    missing_in: frozenset[str] = frozenset()

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
        bound.values[parameter.name] = _convert(cmdlet, parameter, value)
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
    if missing:
        raise errors.missing_parameters(cmdlet.name, " ".join(missing))
    for group in cmdlet.one_of:
        if sum(name in values for name in group) > 1:
            raise errors.ambiguous_parameters(cmdlet.name)


def _convert(cmdlet: Cmdlet, parameter: Parameter, value: Any) -> Any:  # noqa: ANN401 - whatever was sent
    """The value as the declared type."""
    kind = parameter.type
    if kind in {"Boolean", "SwitchParameter"}:
        if isinstance(value, str) or value is None:
            if value is None and kind == "SwitchParameter":
                return True
            raise errors.bad_value(cmdlet.name, parameter.name, value, f"System.{kind}")
        return bool(value)
    if kind == "Unlimited":
        return _unlimited(cmdlet, parameter, value)
    if kind == "Int32":
        return _number(cmdlet, parameter, value)
    if kind.endswith("[]"):
        values = value if isinstance(value, list | tuple) else [] if value is None else [value]
        return tuple(str(entry) for entry in values)
    if isinstance(value, list | tuple):
        raise errors.bad_value(cmdlet.name, parameter.name, "System.Object[]", f"System.{kind}")
    return None if value is None else str(value)


def _number(cmdlet: Cmdlet, parameter: Parameter, value: Any) -> int:  # noqa: ANN401 - whatever was sent
    try:
        return int(str(value))
    except ValueError as error:
        raise errors.bad_value(cmdlet.name, parameter.name, value, f"System.{parameter.type}") from error


def _unlimited(cmdlet: Cmdlet, parameter: Parameter, value: Any) -> int | None:  # noqa: ANN401 - whatever was sent
    """A number, or None for ``Unlimited``."""
    return None if str(value).lower() == "unlimited" else _number(cmdlet, parameter, value)
