"""Fields of a document's JSON, read or refused: what is wrong is a ``ContractError`` that names the place."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from gatepost.errors import GatepostError

MOST = 2**63 - 1

E = TypeVar("E", bound=StrEnum)


class ContractError(GatepostError):
    """A document that is not what the contract says; ``place`` is a path such as ``facts.devices.columns``."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        self.problem = problem
        super().__init__(f"The document is malformed at {place}: {problem}.")


def loads(document: bytes) -> Any:  # noqa: ANN401 - foreign JSON
    """The JSON of a document."""
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ContractError("document", f"not JSON ({error})") from error


def dumps(value: Any) -> bytes:  # noqa: ANN401 - foreign JSON
    """Compact JSON in ASCII, so that a lone surrogate in a device's name is kept and never breaks a document."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def mapping(value: Any, place: str) -> Mapping[str, Any]:  # noqa: ANN401 - foreign JSON
    """An object."""
    if not isinstance(value, dict):
        raise ContractError(place, "expected an object")
    return value


def sequence(value: Any, place: str) -> list[Any]:  # noqa: ANN401 - foreign JSON
    """A list."""
    if not isinstance(value, list):
        raise ContractError(place, "expected a list")
    return value


def mappings(value: Any, place: str) -> tuple[Mapping[str, Any], ...]:  # noqa: ANN401 - foreign JSON
    """A list of objects."""
    return tuple(mapping(entry, f"{place}[{number}]") for number, entry in enumerate(sequence(value, place)))


def text(raw: Mapping[str, Any], name: str, place: str = "") -> str:
    """A text that is not empty."""
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise ContractError(place + name, "expected a text that is not empty")
    return value


def guid(raw: Mapping[str, Any], name: str, place: str = "") -> str:
    """A GUID in its usual form."""
    value = text(raw, name, place)
    try:
        return str(UUID(value))
    except ValueError as error:
        raise ContractError(place + name, "expected a GUID") from error


def moment(value: Any, place: str) -> datetime:  # noqa: ANN401 - foreign JSON
    """A time with its zone, in UTC."""
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ContractError(place, "expected a time with its zone")
        return found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(place, "expected an ISO 8601 time") from error


def whole(raw: Mapping[str, Any], name: str, place: str = "") -> int:
    """A whole number from 0 that 64 bits can hold; 0 where it is missing."""
    value = raw.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise ContractError(place + name, "expected a whole number from 0")
    return value


def choice(kind: type[E], value: Any, place: str) -> E:  # noqa: ANN401 - foreign JSON
    """One of a few words."""
    try:
        return kind(value)
    except ValueError as error:
        raise ContractError(place, f"expected one of {', '.join(kind)}") from error


def choices(kind: type[E], value: Any, place: str) -> tuple[E, ...]:  # noqa: ANN401 - foreign JSON
    """A list of some of a few words, each once, in their own order."""
    chosen = {choice(kind, entry, f"{place}[{number}]") for number, entry in enumerate(sequence(value, place))}
    return tuple(entry for entry in kind if entry in chosen)
