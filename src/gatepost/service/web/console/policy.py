"""The pages of the policy: what is in force and for whom, its versions, and rolling one out, stopping, rolling back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from gatepost.errors import Problem
from gatepost.service import following
from gatepost.service.access import holds
from gatepost.service.administrators import Session
from gatepost.service.administrators.person import Person
from gatepost.service.database import Scope
from gatepost.service.policies import choices, rings, rollout, versions, watch
from gatepost.service.policies.rings import Ring, Rollout
from gatepost.service.web import render
from gatepost.service.web.console.route import console_router
from gatepost.service.web.i18n import N_
from gatepost.service.web.permissions import Permission, requires
from gatepost.service.web.policy_form import Groups, draft_of
from gatepost.service.web.sessions import tenant_of

PAGE = "/policy"
MISTAKES = {
    "pilot": N_("There is no group of this name, or more than one. Choose it by its name as the directory tells it."),
    "ring_hours": N_("Write a whole number of hours from 1 to 720, or nothing."),
    "ring": N_("Choose one."),
}
HOURS = "24"
LISTED = 25
router = console_router()


@router.get(PAGE)
async def policy(request: Request, session: Annotated[Session, requires(Permission.POLICIES_READ)]) -> Response:
    """What is in force and for whom, and every version there is, a page of them at a time."""
    before = _whole(request.query_params.get("before", ""))
    async with tenant_of(request, session) as scope:
        standing = await rings.current(scope)
        shown = await versions.get(scope, standing.version) if standing else None
        values = await _said(request, scope, shown)
        known = await choices.history(scope, before, LISTED + 1)
        waiting = await holds.listing(scope, [holds.HoldState.OPEN])
    goes_on = standing.ring_since + timedelta(hours=standing.ring_hours) if standing and standing.ring_hours else None
    return render.page(
        request,
        "policy.html",
        session=session,
        rollout=standing,
        rings=tuple(Ring),
        goes_on=goes_on,
        waiting=waiting,
        versions=known[:LISTED],
        older=known[LISTED - 1]["version"] if len(known) > LISTED else None,
        **values,
    )


@router.get(f"{PAGE}/versions/{{version}}")
async def version_page(
    request: Request, version: int, session: Annotated[Session, requires(Permission.POLICIES_READ)]
) -> Response:
    """What one version says."""
    async with tenant_of(request, session) as scope:
        values = await _said(request, scope, await versions.get(scope, version))
        values["rollout"] = await rings.current(scope)
    return render.page(request, "policy/version.html", session=session, **values)


@router.get(f"{PAGE}/rollout")
async def rollout_page(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """The form that rolls out a version; without one the newest."""
    typed = request.query_params.get("version", "")
    return await _rollout_page(request, session, _whole(typed))


@router.post(f"{PAGE}/rollout")
async def begin(
    request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE, step_up=True)]
) -> Response:
    """Let a version hold within a ring."""
    form = await request.form()
    typed = {name: str(form.get(name, "")).strip()[:200] for name in ("version", "ring", "pilot", "ring_hours")}
    version = _whole(typed["version"])
    async with tenant_of(request, session) as scope:
        pilot = Groups((), typed["pilot"]).resolved(await choices.groups(scope))
    if (mistake := _mistake(typed, pilot)) or version is None:
        return await _rollout_page(request, session, version, typed, mistake)
    group = UUID(pilot.chosen[0]) if pilot.chosen else None
    hours, ring = int(typed["ring_hours"]) if typed["ring_hours"] else None, Ring(typed["ring"])
    losing = await _expected(request, session, version, ring, group)
    async with tenant_of(request, session) as scope:
        await rollout.begin(scope, version, ring, group, hours, Person.of(session), losing)
    return await _followed(request, session)


@router.post(f"{PAGE}/advance")
async def advance(
    request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE, step_up=True)]
) -> Response:
    """Widen the rollout to its next ring."""
    async with tenant_of(request, session) as scope:
        known = await rings.current(scope)
    wider = known.ring.wider if known else None
    losing = await _expected(request, session, known.version, wider, known.pilot) if known and wider else None
    async with tenant_of(request, session) as scope:
        await rollout.advance(scope, Person.of(session), losing)
    return await _followed(request, session)


@router.post(f"{PAGE}/stop")
async def stop(request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE)]) -> Response:
    """Let the rollout go no further; needs no fresh proof, for it is done in a hurry and harms nobody."""
    why = str((await request.form()).get("why", ""))
    async with tenant_of(request, session) as scope:
        await rollout.stop(scope, why, Person.of(session))
    return _back()


@router.post(f"{PAGE}/resume")
async def resume(
    request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE, step_up=True)]
) -> Response:
    """Let a stopped rollout go on."""
    async with tenant_of(request, session) as scope:
        await rollout.resume(scope, Person.of(session))
    return _back()


@router.post(f"{PAGE}/roll-back")
async def roll_back(
    request: Request, session: Annotated[Session, requires(Permission.POLICIES_WRITE, step_up=True)]
) -> Response:
    """Let an older version hold for everybody again."""
    version = _whole(str((await request.form()).get("version", "")))
    if version is None:
        raise Problem(404, "not-found", "There is no such version.")
    async with tenant_of(request, session) as scope:
        await rollout.roll_back(scope, version, Person.of(session))
    return await _followed(request, session)


async def _said(request: Request, scope: Scope, shown: versions.Version | None) -> dict[str, Any]:
    """What a page shows of a version: the version, what it says as a draft, and what its names mean."""
    return {
        "shown": shown,
        "draft": draft_of(shown.policy, render.zone_of(request)) if shown else None,
        "groups": await choices.groups(scope),
        "defaults": await choices.defaults(scope),
    }


async def _rollout_page(
    request: Request,
    session: Session,
    version: int | None,
    typed: Mapping[str, str] | None = None,
    mistake: str = "",
) -> Response:
    async with tenant_of(request, session) as scope:
        shown = await (versions.get(scope, version) if version is not None else versions.newest(scope))
        if shown is None:
            raise Problem(404, "not-found", "There is no version of the policy yet.")
        values = await _said(request, scope, shown)
        standing = await rings.current(scope)
    return render.page(
        request,
        "policy/rollout.html",
        session=session,
        status=400 if mistake else 200,
        rollout=standing,
        rings=tuple(Ring),
        typed=typed or _offered(standing, values["groups"]),
        mistake={mistake: MISTAKES[mistake]} if mistake else {},
        **values,
    )


def _offered(standing: Rollout | None, groups: Mapping[str, str]) -> dict[str, str]:
    """What the form begins with: the smallest ring, and the pilot group of last time."""
    pilot = groups.get(str(standing.pilot), "") if standing else ""
    return {"ring": Ring.PILOT if pilot else Ring.ONE, "pilot": pilot, "ring_hours": HOURS}


def _mistake(typed: Mapping[str, str], pilot: Groups) -> str:
    """The field that cannot be as it was typed; empty where all can."""
    hours = typed["ring_hours"]
    if typed["ring"] not in set(Ring):
        return "ring"
    if pilot.typed or (typed["ring"] == Ring.PILOT and not pilot.chosen):
        return "pilot"
    return "ring_hours" if hours and not 1 <= (_whole(hours) or 0) <= rollout.LONGEST_HOURS else ""


def _whole(typed: str) -> int | None:
    """A number of a few digits; None for anything else."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else None


async def _expected(request: Request, session: Session, version: int, ring: Ring, pilot: UUID | None) -> int:
    """How many people would lose access by it; the rollout stops by itself where they become more."""
    state = request.app.state
    return await watch.expected(state.worker, state.database, session.tenant_id, version, ring, pilot)


async def _followed(request: Request, session: Session) -> Response:
    """What holds now is decided, as far as that goes at once; and back to where it is seen."""
    await following.follow(request.app.state.database, session.tenant_id)
    return _back()


def _back() -> Response:
    return RedirectResponse(f"{PAGE}#rollout", 303)
