"""Rings: whom a new version reaches first, and so which version holds for a mailbox.

A mailbox's place is computed from its guid, so it is in the same ring at every rollout and in every process. The pilot
group is in every ring. Outside of the ring the base version holds; where there is none, nothing is decided.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from gatepost.domain.policies import Policy, read_policy
from gatepost.service.database import Scope

OFF = Policy(enabled=False)
"""What holds where there is no version: pins are obeyed, and hands are off everything else."""


class Ring(StrEnum):
    """How far a version reaches: the pilot group, 1 % or 10 % of the mailboxes with it, or everybody."""

    PILOT = "pilot"
    ONE = "1"
    TEN = "10"
    ALL = "all"

    @property
    def buckets(self) -> int:
        """How many of the 10,000 places are in it."""
        return {"pilot": 0, "1": 100, "10": 1_000, "all": 10_000}[self.value]

    @property
    def wider(self) -> "Ring | None":
        """The next ring; None after everybody."""
        rings = list(Ring)
        return None if self is Ring.ALL else rings[rings.index(self) + 1]


def bucket(mailbox_guid: UUID) -> int:
    """A mailbox's place, 0 to 9,999."""
    text = str(mailbox_guid).encode("ascii")
    return int(hashlib.md5(text, usedforsecurity=False).hexdigest()[:8], 16) % 10_000


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for whom: ``version`` within the ring, ``base`` outside of it; None: there is none.

    ``pilot`` is the pilot group by the name that policies use for groups.
    """

    version: int | None = None
    base: int | None = None
    ring: Ring = Ring.ALL
    pilot: str | None = None
    policies: Mapping[int, Policy] = field(default_factory=dict)

    @property
    def groups(self) -> frozenset[str]:
        """Every group that a policy in force speaks of."""
        return frozenset().union(*(policy.groups for policy in self.policies.values()))

    def reaches(self, mailbox_guid: UUID, groups: frozenset[str] | None) -> bool:
        """Whether a mailbox, whose person is in these groups, is in the ring."""
        return bucket(mailbox_guid) < self.ring.buckets or (self.pilot is not None and self.pilot in (groups or ()))

    def policy_for(self, mailbox_guid: UUID, groups: frozenset[str] | None) -> tuple[Policy, int | None]:
        """The policy that holds for a mailbox, and its version; a policy that is off where there is none."""
        version = self.version if self.reaches(mailbox_guid, groups) else self.base
        return (OFF, None) if version is None else (self.policies[version], version)


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a version has come. ``state`` is rolling, done or stopped, and then ``why`` says so.

    ``ring_hours``: after so many hours it goes on by itself, None for by hand only. ``expected``: how many people the
    preview said would lose access by this ring, None where nobody looked.
    """

    version: int
    base: int | None
    ring: Ring
    pilot: UUID | None
    pilot_name: str | None
    state: str
    why: str
    ring_hours: int | None
    ring_since: datetime
    expected: int | None
    began_by: str
    began_id: UUID

    @property
    def everywhere(self) -> int | None:
        """The version that holds for everybody whom no ring names: what a next rollout has outside of its ring."""
        return self.version if self.ring is Ring.ALL else self.base


async def current(scope: Scope, *, lock: bool = False) -> Rollout | None:
    """The newest rollout, None where no version was ever rolled out; ``lock``: nobody else changes it meanwhile."""
    row = await scope.one("policies.lock_rollout" if lock else "policies.rollout")
    return Rollout(**{**row, "ring": Ring(row["ring"])}) if row else None


async def in_force(scope: Scope) -> InForce:
    """What holds for whom now."""
    known = await current(scope)
    if known is None:
        return InForce()
    wanted = [version for version in (known.version, known.base) if version is not None]
    rows = await scope.all("policies.documents", versions=wanted)
    policies = {row["version"]: read_policy(row["document"]) for row in rows}
    return InForce(known.version, known.base, known.ring, known.pilot_name, policies)
