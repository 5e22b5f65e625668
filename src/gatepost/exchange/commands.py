"""How a command is made of a declaration: nothing leaves but declared parameters with values of the declared type.

No script text exists here. A Get- verb never goes out with an empty identity, because Exchange would answer with
everything; what could ask for a confirmation is told not to; and a filter is made of moments, never of foreign text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gatepost.errors import UsageError
from gatepost.wire.creating import NULL, Command, Null

UNLIMITED = "Unlimited"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to a list and taken from it: ``@{Add=…;Remove=…}``, which leaves all other entries alone."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.add or self.remove)

    def table(self) -> dict[str, tuple[str, ...]]:
        """The hash table that Exchange takes, without keys that say nothing."""
        return {key: ids for key, ids in (("Add", self.add), ("Remove", self.remove)) if ids}


class Stamp(StrEnum):
    """The times of an object that can be asked for."""

    CHANGED = "WhenChangedUTC"
    FIRST_SYNC = "FirstSyncTime"


@dataclass(frozen=True, slots=True)
class Changed:
    """OPATH: changed at or after ``since``, and at or before ``until`` where that is given. Both know their zone.

    ``stamp`` is the time that is meant.
    """

    since: datetime
    until: datetime | None = None
    stamp: Stamp = Stamp.CHANGED

    def opath(self) -> str:
        """The filter's text. Whole seconds, as the directory keeps them, in the one form that no locale reads amiss."""
        since = f"{self.stamp} -ge '{_text(self.since)}'"
        return since if self.until is None else f"({since}) -and ({self.stamp} -le '{_text(self.until)}')"


class Clearable:
    """The type of a parameter that takes text, or ``NULL`` to clear what is there."""


class Duty(StrEnum):
    """What a right is for. Roles are made for each duty apart, so that an account gets what is wanted and no more."""

    READ = "read"
    GATE = "gate"
    SETTINGS = "settings"
    WIPE = "wipe"


_DUTIES = {"access": Duty.GATE, "orders": Duty.WIPE}
_OF_EVERY_WRITE = frozenset({"Identity", "Confirm", "DomainController"})


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One cmdlet. ``fields`` are the properties that we read of its output.

    ``old`` is its name before Exchange 2013; ``renamed`` has the parameters and properties that are called otherwise
    under it. A parameter of type ``None`` is a switch. ``purpose`` says what we use it for, ``role`` names a built-in
    management role that contains it. ``apart`` are parameters that belong to the settings of a mailbox, whatever the
    cmdlet is for.
    """

    name: str
    parameters: Mapping[str, type | None]
    fields: tuple[str, ...] = ()
    old: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    role: str = ""
    apart: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The name and, where there is one, the old name."""
        return (self.name, self.old) if self.old else (self.name,)

    @property
    def writes(self) -> bool:
        """Whether it changes something: then it could ask for a confirmation."""
        return "Confirm" in self.parameters

    @property
    def duty(self) -> Duty:
        """What the right to use it is for."""
        return _DUTIES.get(self.purpose, Duty.SETTINGS) if self.writes else Duty.READ

    def needed(self, duty: Duty) -> tuple[str, ...] | None:
        """The parameters that a duty needs of it; None where it does not need the cmdlet."""
        if duty is self.duty:
            return tuple(name for name in self.parameters if name not in self.apart)
        if duty is Duty.SETTINGS and self.apart:
            return tuple(name for name in self.parameters if name in self.apart | _OF_EVERY_WRITE)
        return None

    def called(self, name: str, word: str) -> str:
        """What a parameter or property is called under one of the cmdlet's names."""
        return self.renamed.get(word, word) if name == self.old else word


def build(cmdlet: Cmdlet, name: str | None = None, **parameters: Any) -> Command:  # noqa: ANN401 - typed by the declaration
    """A command of a declared cmdlet, under its own or its old name. Raises UsageError for what it does not take."""
    name = name or cmdlet.name
    if name not in cmdlet.names:
        raise UsageError(f"{name} is not a name of {cmdlet.name}.")
    for parameter, value in parameters.items():
        if parameter not in cmdlet.parameters:
            raise UsageError(f"{cmdlet.name} is not declared with a parameter -{parameter}.")
        _check(cmdlet, parameter, value)
    if cmdlet.writes:
        parameters["Confirm"] = False  # nobody is there to answer
    return Command(name, {cmdlet.called(name, parameter): _wire(value) for parameter, value in parameters.items()})


def _check(cmdlet: Cmdlet, parameter: str, value: Any) -> None:  # noqa: ANN401 - typed by the declaration
    kind = cmdlet.parameters[parameter]
    wanted: tuple[type, ...] = (str, Null) if kind is Clearable else (type(None) if kind is None else kind,)
    if type(value) not in wanted:
        named = "no value" if kind is None else " or ".join(entry.__name__ for entry in wanted)
        raise UsageError(f"-{parameter} of {cmdlet.name} takes {named}, not {type(value).__name__}.")
    if isinstance(value, Change) and not value:
        raise UsageError(f"-{parameter} of {cmdlet.name} is a change of nothing.")
    for text in _texts(value):
        if type(text) is not str or not text.strip() or _CONTROL.search(text):
            raise UsageError(
                f"-{parameter} of {cmdlet.name} is no text, empty or holds control characters.",
                "An empty identity would make Exchange answer with everything.",
            )


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - typed by the declaration
    """The texts in a value that came from elsewhere."""
    if isinstance(value, Change):
        return (*value.add, *value.remove)
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()


def _wire(value: Any) -> Any:  # noqa: ANN401 - typed by the declaration
    """A value as the wire carries it."""
    if isinstance(value, Change):
        return value.table()
    return value.opath() if isinstance(value, Changed) else value


def _text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone cannot be compared with Exchange's")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["NULL", "UNLIMITED", "Change", "Changed", "Clearable", "Cmdlet", "Duty", "Stamp", "build"]
