"""Which version of the policy holds for whom: the newest within the ring that it has come to, else the one before."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from gatepost.domain.policies import Policy, read_policy
from gatepost.service.database import Scope

BUCKETS = 10_000
RINGS: Mapping[str, int] = {"pilot": 0, "1": 100, "10": 1_000, "all": BUCKETS}
NOTHING: tuple[Policy, int | None] = (Policy(), None)


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force in a tenant: ``newest`` within the ring, ``base`` outside of it, each with its version.

    ``share`` is how many of ``BUCKETS`` buckets of mailboxes the ring has; ``pilot`` is the id of the group that is in
    it from the beginning, empty for none.
    """

    newest: tuple[Policy, int | None] = NOTHING
    base: tuple[Policy, int | None] = NOTHING
    share: int = 0
    pilot: str = ""

    def policy_for(self, mailbox_guid: UUID, groups: frozenset[str] | None) -> tuple[Policy, int | None]:
        """The policy that holds for a mailbox whose person is in these groups, and its version."""
        within = self.share >= BUCKETS or (groups is not None and self.pilot in groups)
        return self.newest if within or bucket(mailbox_guid) < self.share else self.base


def bucket(mailbox_guid: UUID) -> int:
    """Which of the buckets a mailbox is in, always the same; PostgreSQL finds it too."""
    return int(hashlib.md5(str(mailbox_guid).encode(), usedforsecurity=False).hexdigest()[:8], 16) % BUCKETS


async def in_force(scope: Scope) -> InForce:
    """What is in force now; no policy holds for anybody where none was ever rolled out."""
    rows = await scope.all("decisions.in_force")
    if not rows:
        return InForce()
    versions = {row["version"]: (read_policy(row["document"]), row["version"]) for row in rows}
    first = rows[0]
    return InForce(
        newest=versions[first["newest"]],
        base=versions.get(first["base"], NOTHING),
        share=RINGS[first["ring"]],
        pilot=str(first["pilot"] or ""),
    )
