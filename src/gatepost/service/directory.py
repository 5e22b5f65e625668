"""People and groups, as whoever tells of them does: kept under their names there, matched to mailboxes by address.

Memberships are told flattened: a person is in a group however deep it is nested. What rules can see of a person is
interned as an *audience*, the sorted set of groups. A mailbox belongs to the one person who has its primary address;
an address that two claim is nobody's, and a person nobody knows is never a reason to take access away.

A list that says that it is complete removes what it leaves out, and is refused where it is empty or leaves out more
than a list may without a word about it (``may_remove``).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit, policies
from gatepost.service.access import due
from gatepost.service.access.due import Cause
from gatepost.service.administrators.person import Person
from gatepost.service.compliance import standing
from gatepost.service.database import Scope
from gatepost.service.syncs import allowed

DIRECTORY = "directory"
NAMED = 5
Row = Mapping[str, Any]


async def put_groups(scope: Scope, groups: Sequence[Row], *, complete: bool, may_remove: int, person: Person) -> int:
    """Keep groups (``external_id``, ``name``); how many were removed.

    Raises Problem 409 ``shrunk``, ``group-in-use`` where a rollout's pilot group would go, or one that a policy in
    force names: who was excluded by it would be judged, and who was included would be left alone.
    """
    await scope.one("directory.lock")
    await scope.together("directory.put_groups", groups)
    if not complete:
        return 0
    kept = [group["external_id"] for group in groups]
    named = sorted((await policies.in_force(scope)).groups)
    found = await scope.one("directory.missing_groups", external_ids=kept, named=named)
    assert found is not None
    _guard(found, len(kept), may_remove)
    if found["pilot"]:
        raise Problem(409, "group-in-use", f"The group {found['pilot']} is the pilot group of a policy's rollout.")
    if found["named"]:
        raise Problem(
            409,
            "group-in-use",
            f"The group {found['named']} is named by the policy that holds, so nothing was changed. Roll out a version "
            "that does not name it, then leave it out.",
        )
    members = await scope.all("directory.remove_groups", external_ids=kept) if found["missing"] else []
    await _intern(scope, [row["person_id"] for row in members], _cause(person))
    await _record(scope, "groups", found["missing"], person.name)
    return int(found["missing"])


async def put_people(scope: Scope, people: Sequence[Row], *, complete: bool, may_remove: int, person: Person) -> int:
    """Keep people (``external_id``, ``smtp``, ``upn``, ``display_name``, ``language``, ``enabled``, ``groups``).

    Returns how many were removed. Raises Problem 400 ``unknown-group``, 409 ``shrunk``.
    """
    await scope.one("directory.lock")
    await _refuse_unknown_groups(scope, people)
    await scope.together("directory.put_people", people)
    moved = await scope.together("directory.put_memberships", people)
    addresses = {row["address"] for row in await scope.together("directory.put_addresses", people)}
    removed = 0
    if complete:
        kept = [person["external_id"] for person in people]
        found = await scope.one("directory.missing_people", external_ids=kept)
        assert found is not None
        _guard(found, len(kept), may_remove)
        if removed := int(found["missing"]):
            addresses |= {row["address"] for row in await scope.all("directory.remove_people", external_ids=kept)}
            await _record(scope, "people", removed, person.name)
    await _intern(scope, [row["person_id"] for row in moved], _cause(person))
    await _match(scope, addresses, _cause(person))
    return removed


async def groups(scope: Scope, after: str, limit: int) -> list[dict[str, Any]]:
    """A page of groups, after a name."""
    return await scope.all("directory.groups", after=after, limit=limit)


async def people(scope: Scope, after: str, limit: int) -> list[dict[str, Any]]:
    """A page of people, after a name."""
    return await scope.all("directory.people", after=after, limit=limit)


async def counts(scope: Scope) -> dict[str, Any]:
    """How many people, groups, mailboxes, and mailboxes that have a person (``matched``)."""
    row = await scope.one("directory.counts")
    assert row is not None
    return row


def _cause(person: Person) -> Cause:
    """Who tells of people and groups is behind what comes of it: else a group's edit would be its own approval."""
    return Cause(DIRECTORY, by_id=person.administrator_id)


async def _refuse_unknown_groups(scope: Scope, people: Sequence[Row]) -> None:
    named = sorted({group for person in people for group in person["groups"]})
    unknown = [row["external_id"] for row in await scope.all("directory.unknown_groups", external_ids=named)]
    if unknown:
        more = f", and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        told = ", ".join(unknown[:NAMED])
        raise Problem(400, "unknown-group", f"There is no group {told}{more}. Tell of groups first.", place="groups")


def _guard(found: Row, told: int, may_remove: int) -> None:
    """Refuse a list that is empty, or that leaves out more than it may."""
    missing, known = found["missing"], found["known"]
    if missing and not told:
        detail = "An empty list is never believed, so nothing was changed."
        raise Problem(409, "shrunk", detail, known=known, missing=missing)
    if missing > max(allowed(known), may_remove):
        raise Problem(
            409,
            "shrunk",
            f"The list leaves out {missing:,} of {known:,}, so nothing was changed. If that is right, send it with "
            f"may_remove {missing}.",
            known=known,
            missing=missing,
        )


async def _record(scope: Scope, what: str, removed: int, actor: str) -> None:
    if removed:
        await audit.record(scope, Event.DIRECTORY_SHRUNK, actor, {"kind": what, "gone": removed})


async def _intern(scope: Scope, person_ids: Collection[UUID], cause: Cause) -> None:
    """Find the audiences of these people anew; where one is another, what depends on it is to be decided."""
    if person_ids:
        changed = await scope.all("directory.intern_audiences", person_ids=list(person_ids))
        await due.mark_people(scope, [row["person_id"] for row in changed], cause)


async def _match(scope: Scope, addresses: Collection[str], cause: Cause) -> None:
    """Find the people of mailboxes and of compliance records with these addresses anew."""
    if not addresses:
        return
    said = await scope.all("directory.match_records", addresses=list(addresses))
    by_organization: dict[UUID, list[UUID]] = {}
    for row in await scope.all("directory.match_mailboxes", addresses=list(addresses)):
        by_organization.setdefault(row["organization_id"], []).append(row["guid"])
    for organization_id, guids in by_organization.items():
        await due.mark_mailboxes(scope, organization_id, guids, cause)
    await standing.refresh(scope, said, cause)
    await standing.of_mailboxes(scope, [guid for guids in by_organization.values() for guid in guids], cause)
