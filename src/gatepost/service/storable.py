"""Foreign values made such that the database can hold them."""

import math
from collections.abc import Mapping
from typing import Any

from gatepost.domain.contract import ContractError

DEEPEST = 20


def short(value: str, longest: int = 200) -> str:
    """A text that any column can hold, at most so many characters."""
    return value.encode("utf-8", "replace").decode().replace("\0", "")[:longest]


def storable(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - foreign JSON
    """JSON that jsonb can hold: no NUL, no half of a surrogate pair, no NaN. Raises ContractError past 20 levels."""
    if depth > DEEPEST:
        raise ContractError("document", f"nested deeper than {DEEPEST} levels")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {storable(key): storable(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [storable(entry, depth + 1) for entry in value]
    return value
