"""What the pages of policies offer and list: groups by name, what each Exchange does by default, versions by number."""

from collections.abc import Mapping, Sequence
from typing import Any

from gatepost.service.database import Scope


async def groups(scope: Scope) -> dict[str, str]:
    """The names of the directory's groups by the id that policies have for them, in the order of the names."""
    return {row["id"]: row["name"] for row in await scope.all("policy_choices.groups")}


async def defaults(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """Each organization's ``name`` and ``default_level``, in Exchange's own word; None where it was never read."""
    return await scope.all("policy_choices.defaults")


async def history(scope: Scope, below: int | None, limit: int) -> Sequence[Mapping[str, Any]]:
    """Versions without their documents, the newest first: ``version``, ``note``, ``made_at``, ``made_by``."""
    return await scope.all("policy_choices.versions", below=below, limit=limit)
