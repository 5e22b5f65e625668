"""Rolling out a version of the policy: begun, widened ring by ring, stopped, resumed, rolled back.

Each act changes the one row that says what holds, and marks every device: those for whom another version holds now are
decided anew, by whoever follows the transaction. Whoever begins a rollout is the person behind all that it decides, so
another has to approve what the guard holds of it. It stops and goes on by itself in ``watch``.
"""

from typing import Any
from uuid import UUID

from gatepost.domain.events import Event
from gatepost.errors import Problem
from gatepost.service import audit
from gatepost.service.access import due
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.policies import versions
from gatepost.service.policies.rings import Ring, Rollout, current

SERVICE = "service"
LONGEST_HOURS = 720


async def begin(
    scope: Scope,
    version: int,
    ring: Ring,
    pilot: UUID | None,
    ring_hours: int | None,
    person: Person,
    expected: int | None = None,
) -> Rollout:
    """Let a version hold within a ring; outside of it holds what held for everybody before.

    ``expected``: how many people the preview said would lose access. Raises Problem 400 with what is wrong, 404 where
    there is no such version.
    """
    await check(scope, version, ring, pilot, ring_hours)
    before = await current(scope, lock=True)
    return await _write(
        scope,
        Event.ROLLOUT_BEGUN,
        person,
        version=version,
        base=before.everywhere if before else None,
        ring=ring,
        pilot=pilot,
        ring_hours=None if ring is Ring.ALL else ring_hours,
        expected=expected,
    )


async def advance(scope: Scope, person: Person | None, expected: int | None = None) -> Rollout:
    """Widen to the next ring; ``person`` None: by itself, its hours being over. Raises Problem 409."""
    known = await _known(scope)
    wider = known.ring.wider
    if wider is None:
        raise Problem(409, "everybody", "This version holds for everybody already.")
    if known.state != "rolling":
        raise Problem(409, "rollout-stopped", "The rollout is stopped. Resume it first.")
    who = person or Person(known.began_id, SERVICE)
    event = Event.ROLLOUT_ADVANCED if person else Event.ROLLOUT_WIDENED
    return await _write(
        scope,
        event,
        who,
        version=known.version,
        base=known.base,
        ring=wider,
        pilot=known.pilot,
        ring_hours=None if wider is Ring.ALL else known.ring_hours,
        expected=expected,
    )


async def stop(scope: Scope, why: str, person: Person | None) -> Rollout:
    """Let it go no further; whoever is in the ring stays there. ``person`` None: by itself. Raises Problem 409."""
    known = await _known(scope)
    if known.state != "rolling":
        raise Problem(409, "not-rolling", "No rollout is under way that could be stopped.")
    event = Event.ROLLOUT_STOPPED if person else Event.ROLLOUT_HALTED
    return await _change_state(scope, known, "stopped", why.strip()[:500], event, person)


async def resume(scope: Scope, person: Person) -> Rollout:
    """Let it go on from where it stopped; its hours begin anew. Raises Problem 409."""
    known = await _known(scope)
    if known.state != "stopped":
        raise Problem(409, "rollout-not-stopped", "No rollout is stopped.")
    return await _change_state(scope, known, "rolling", "", Event.ROLLOUT_RESUMED, person)


async def roll_back(scope: Scope, version: int, person: Person, expected: int | None = None) -> Rollout:
    """Let an older version hold for everybody again, at once.

    Raises Problem 404, 409 where it is not an older one, 400 where it names a group that is not there any more.
    """
    known = await _known(scope)
    await versions.check_groups(scope, (await versions.get(scope, version)).policy)
    if version >= known.version:
        raise Problem(409, "not-older", f"Version {version} is not older than what holds now. Roll it out instead.")
    return await _write(
        scope,
        Event.POLICY_ROLLED_BACK,
        person,
        version=version,
        base=known.version,
        ring=Ring.ALL,
        pilot=None,
        ring_hours=None,
        expected=expected,
    )


async def _known(scope: Scope) -> Rollout:
    known = await current(scope, lock=True)
    if known is None:
        raise Problem(409, "no-rollout", "No version of the policy was rolled out yet.")
    return known


async def _write(scope: Scope, event: Event, person: Person, **values: Any) -> Rollout:  # noqa: ANN401 - columns
    """The row, its event, and the marks."""
    ring = values["ring"]
    columns = {**values, "ring": ring.value, "state": "done" if ring is Ring.ALL else "rolling"}
    who = {"began_by": person.name, "began_id": person.administrator_id}
    if event is Event.ROLLOUT_WIDENED:
        await scope.run("policies.widen", ring=ring.value, state=columns["state"], expected=values["expected"])
    else:
        await scope.run("policies.roll_out", **columns, **who)
    pilot = values["pilot"]
    told = {name: columns[name] for name in ("version", "base", "ring", "state")}
    await audit.record(scope, event, person.name, {**told, "pilot": str(pilot) if pilot else None})
    await due.mark_all(scope, due.Cause("policy", str(values["version"]), person.administrator_id))
    made = await current(scope)
    assert made is not None, "it was just written"
    return made


async def _change_state(
    scope: Scope, known: Rollout, state: str, why: str, event: Event, person: Person | None
) -> Rollout:
    await scope.run("policies.change_state", state=state, why=why)
    told = {"version": known.version, "ring": known.ring.value, "state": state, "why": why}
    await audit.record(scope, event, person.name if person else SERVICE, told)
    made = await current(scope)
    assert made is not None, "its row is locked"
    return made


async def check(scope: Scope, version: int, ring: Ring, pilot: UUID | None, ring_hours: int | None) -> None:
    """Refuse a rollout that cannot be. Raises Problem 400 that names the field, 404 where there is no such version."""
    await versions.check_groups(scope, (await versions.get(scope, version)).policy)
    if ring is Ring.PILOT and pilot is None:
        raise Problem(400, "malformed", "Name the pilot group that is to go first.", place="pilot")
    if pilot is not None and await scope.one("policies.group", group_id=pilot) is None:
        raise Problem(400, "malformed", "The directory has no such pilot group.", place="pilot")
    if ring_hours is not None and not 1 <= ring_hours <= LONGEST_HOURS:
        raise Problem(400, "malformed", f"The hours of a ring are 1 to {LONGEST_HOURS}.", place="ring_hours")
