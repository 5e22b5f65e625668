"""Versions of a tenant's policy: saved once, never changed; which of them holds is ``rings`` and ``rollout``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatepost.domain.events import Event
from gatepost.domain.policies import Policy, PolicyError, read_policy
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope

LONGEST_NOTE = 500
LISTED = 200


@dataclass(frozen=True, slots=True)
class Version:
    """One version, as it was saved; ``document`` is what ``domain.policies.read_policy`` reads."""

    version: int
    note: str
    made_at: datetime
    made_by: str
    document: Mapping[str, Any]

    @property
    def policy(self) -> Policy:
        """The policy."""
        return read_policy(self.document)


async def save(scope: Scope, document: object, note: str, person: Person) -> int:
    """Keep a new version; its number. Nothing changes by it until it is rolled out.

    Raises Problem 400 ``malformed`` that names the field in ``place``, 409 where another was saved at that moment.
    """
    policy = read(document)
    await check_groups(scope, policy)
    if len(note.strip()) > LONGEST_NOTE or not note.isprintable():
        raise Problem(400, "malformed", f"A note has at most {LONGEST_NOTE} visible characters.", place="note")
    values = {"note": note.strip(), "made_by": person.name, "made_id": person.administrator_id}
    made = await scope.one("policies.save", document=policy.document(), **values)
    if made is None:
        raise Problem(409, "conflict", "Somebody else saved a version at the same moment. Look at it, and save again.")
    version: int = made["version"]
    await audit.record(scope, Event.POLICY_SAVED, person.name, {"version": version, "note": note.strip()})
    return version


def read(document: object) -> Policy:
    """A policy from its document. Raises Problem 400 that names the field in ``place``."""
    try:
        return read_policy(document)
    except PolicyError as error:
        raise Problem(400, "malformed", str(error), place=error.place) from error


async def get(scope: Scope, version: int) -> Version:
    """One version. Raises Problem 404."""
    row = await scope.one("policies.get", version=version)
    if row is None:
        raise Problem(404, "not-found", f"The policy has no version {version}.")
    return Version(**row)


async def newest(scope: Scope) -> Version | None:
    """The version that was saved last, None where there is none."""
    rows = await listing(scope, limit=1)
    return rows[0] if rows else None


async def listing(scope: Scope, before: int | None = None, limit: int = LISTED) -> list[Version]:
    """Versions, the newest first; ``before`` a number, for the next page."""
    return [Version(**row) for row in await scope.all("policies.list", below=before, limit=limit)]


async def check_groups(scope: Scope, policy: Policy) -> None:
    """Refuse a policy that speaks of a group that the directory does not have: it would mean nobody. Problem 400."""
    if not policy.groups:
        return
    known = {row["name"] for row in await scope.all("policies.known_groups", names=sorted(policy.groups))}
    if unknown := sorted(policy.groups - known):
        raise Problem(400, "malformed", f"The directory has no group {unknown[0]}.", place="groups")
